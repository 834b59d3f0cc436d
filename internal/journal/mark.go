package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
)

// A mark says how far a log must reach, and lies elsewhere than the log. It is never ahead of what was acknowledged.
type mark struct {
	first uint64 // every record from here to last must be there; what is below may have been truncated
	last  uint64 // the last acknowledged record
	hash  Hash   // of the last record; of a bucket: that of all its entries together
	delta Hash   // of a bucket: what the write after last, if there was one, changes in hash
	late  bool   // more may have been acknowledged since
}

var (
	errNoMark      = errors.New("there is no high-water mark") // and there never was
	errMarkDamaged = errors.New("its high-water mark is damaged")
)

// A marker keeps a mark.
type marker interface {
	// load returns the mark that was kept last, errNoMark or errMarkDamaged.
	load(ctx context.Context) (mark, error)
	// keep replaces the mark. It may be lost when the machine stops, and may be kept later only.
	keep(ctx context.Context, m mark) error
	// pin replaces the mark for good.
	pin(ctx context.Context, m mark) error
	// close keeps what was held back, for good.
	close(ctx context.Context) error
}

// The encoding of a mark: magic "RLTM", version, 1 if it is late, 2 zero bytes, count, first, last, hash, delta, and the
// hash of all that.
const (
	markMagic   = "RLTM"
	markVersion = 1
	markSize    = 4 + 1 + 3 + 3*8 + 3*hashSize
)

// append encodes m. The count grows with every mark kept, so that the younger of two is known.
func (m mark) append(dst []byte, count uint64) []byte {
	start := len(dst)
	dst = append(dst, markMagic...)
	late := byte(0)
	if m.late {
		late = 1
	}
	dst = append(dst, markVersion, late, 0, 0)
	for _, n := range []uint64{count, m.first, m.last} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	dst = append(dst, m.hash[:]...)
	dst = append(dst, m.delta[:]...)
	sum := hashOf(dst[start:])
	return append(dst, sum[:]...)
}

func readMark(b []byte) (m mark, count uint64, ok bool) {
	if len(b) < markSize || string(b[:4]) != markMagic || b[4] != markVersion {
		return mark{}, 0, false
	}
	b = b[:markSize]
	if hashOf(b[:markSize-hashSize]) != HashOf(b) {
		return mark{}, 0, false
	}
	be := binary.BigEndian
	m = mark{first: be.Uint64(b[16:]), last: be.Uint64(b[24:]), hash: Hash(b[32:48]), delta: Hash(b[48:64]), late: b[5] == 1}
	return m, be.Uint64(b[8:]), true
}

// A fileMark is a mark in a small file. Two slots are written in turn, so that one is whole at any time. Writing does not
// wait for the disk: after kill -9 the file has what was written last, and after a power failure it may be older than the
// log, which does no harm.
type fileMark struct {
	path  string
	clock rialto.Clock
	lag   time.Duration // a mark is written this much later, if the log itself may lose what is younger

	mu    sync.Mutex
	file  *os.File // nil until something is written
	count uint64   // of the slot that was written last
	wrote mark     // what that slot has
	is    mark     // what was kept last, written or not
	held  mark     // what waits for its time, unless it is the zero mark
	since time.Time
}

const slotSize = 512 // bytes between the two slots: they are not in one sector

func (f *fileMark) load(context.Context) (mark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return mark{}, errNoMark
	}
	if err != nil {
		return mark{}, fmt.Errorf("read the high-water mark: %w", err)
	}
	found := false
	for slot := range 2 {
		if len(b) < slot*slotSize {
			break
		}
		if m, count, ok := readMark(b[slot*slotSize:]); ok && (!found || count > f.count) {
			f.wrote, f.count, found = m, count, true
		}
	}
	if !found {
		return mark{}, errMarkDamaged
	}
	return f.wrote, nil
}

func (f *fileMark) keep(_ context.Context, m mark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.is = m
	if f.lag == 0 {
		return f.write(m, false)
	}
	due, now := f.held, f.clock.Now()
	if due != (mark{}) && now.Sub(f.since) < f.lag {
		return nil
	}
	f.held, f.since = m, now
	if due == (mark{}) {
		return nil
	}
	due.late = true
	return f.write(due, false)
}

func (f *fileMark) pin(_ context.Context, m mark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.is = m
	if f.lag == 0 {
		made, err := f.open()
		if err != nil {
			return fmt.Errorf("write the high-water mark: %w", err)
		}
		if made && m == (mark{}) {
			return nil // that is in it
		}
		return f.write(m, true)
	}
	if f.held != (mark{}) {
		f.held.first = m.first
	}
	f.wrote.first, f.wrote.late = m.first, true
	return f.write(f.wrote, true)
}

func (f *fileMark) close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lag > 0 && f.is != (mark{}) {
		if err := f.write(f.is, false); err != nil {
			return err
		}
	}
	if f.file == nil {
		return nil
	}
	err := f.file.Sync()
	return errors.Join(err, f.file.Close())
}

func (f *fileMark) write(m mark, sync bool) error {
	if _, err := f.open(); err != nil {
		return fmt.Errorf("write the high-water mark: %w", err)
	}
	count := f.count + 1
	if _, err := f.file.WriteAt(m.append(make([]byte, 0, markSize), count), int64(count%2)*slotSize); err != nil {
		return fmt.Errorf("write the high-water mark: %w", err) // the other slot has the last that was written, and keeps it
	}
	f.count, f.wrote = count, m
	if !sync {
		return nil
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("sync the high-water mark: %w", err)
	}
	return nil
}

// open opens the file. If it is not there it appears for good with the zero mark in it, or not at all.
func (f *fileMark) open() (made bool, err error) {
	if f.file != nil {
		return false, nil
	}
	if f.file, err = os.OpenFile(f.path, os.O_RDWR, 0); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	fresh, err := os.OpenFile(f.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return false, err
	}
	_, err = fresh.Write(mark{}.append(nil, 0))
	if err == nil {
		err = fresh.Sync()
	}
	if err == nil {
		err = os.Rename(fresh.Name(), f.path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(f.path))
	}
	if err != nil {
		return false, errors.Join(err, fresh.Close(), os.Remove(fresh.Name()))
	}
	f.file = fresh
	return true, nil
}
