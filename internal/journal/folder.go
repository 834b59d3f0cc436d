package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rialto-events/rialto"
)

// A folder is the data directory of an embedded journal:
//
//	LOCK        held by the process that has it open, with its id
//	jetstream/  what the JetStream server writes
//	marks/      a high-water mark for each log and bucket
type folder struct {
	path string
	lock *os.File
	// reserve is how many bytes of the volume stay free: writes are refused before the server runs into a full disk, which it
	// takes badly.
	reserve int64
}

const (
	maxReserve   = 64 << 20 // bytes that stay free on a large volume
	reserveShare = 32       // the part of a small volume that stays free: one in so many
)

// openFolder makes the folder if it is not there, and locks it.
func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(filepath.Join(path, "marks"), 0o750); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "LOCK"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	d := &folder{path: path, lock: lock}
	if err := d.take(); err != nil {
		lock.Close()
		return nil, err
	}
	size, _, err := volumeOf(path)
	if err != nil {
		d.close()
		return nil, fmt.Errorf("ask for the size of the volume of %s: %w", path, err)
	}
	d.reserve = min(maxReserve, size/reserveShare)
	return d, nil
}

func (d *folder) take() error {
	taken, err := lockFile(d.lock)
	if err != nil {
		return fmt.Errorf("lock the data directory %s: %w", d.path, err)
	}
	if !taken {
		return &LockedError{Dir: d.path, Holder: d.holder()}
	}
	// Who we are is for the error of the next one who comes. A disk that is full must not keep us from reading.
	if err := d.lock.Truncate(0); err == nil {
		_, _ = d.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return nil
}

// A LockedError says that another process has a data directory open.
type LockedError struct {
	Dir    string
	Holder string // in words, such as "the process with the id 17"
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("The data directory %s is in use by %s.", e.Dir, e.Holder)
}

// Unwrap gives it its kind: trying again makes sense once the other process has ended.
func (e *LockedError) Unwrap() error { return rialto.Errorf(rialto.Unavailable, "%s", e.Error()) }

// holder names who has the lock.
func (d *folder) holder() string {
	var b [32]byte
	n, _ := d.lock.ReadAt(b[:], 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return "the process with the id " + pid
	}
	return "another process"
}

func (d *folder) close() error { return d.lock.Close() }

// room refuses a write when the volume is nearly full.
func (d *folder) room() error { return d.roomFor(0) }

func (d *folder) roomFor(more int64) error {
	_, free, err := volumeOf(d.path)
	if err != nil || free >= d.reserve+more {
		return nil // a volume that does not tell is found full when a write fails
	}
	return unavailable(fmt.Errorf("%w: %d bytes are free in %s, and %d shall stay so", ErrFull, free, d.path, d.reserve), "The disk of the journal is full.")
}

// quota is how much the server may write: what it has written and nine tenths of what is free. The last tenth is spared.
func (d *folder) quota(most int64) (quota, spared int64, err error) {
	var used int64
	err = filepath.WalkDir(filepath.Join(d.path, "jetstream"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			used += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	_, free, err := volumeOf(d.path)
	if err != nil {
		return 0, 0, fmt.Errorf("ask how much is free in %s: %w", d.path, err)
	}
	spared = free / 10
	quota = used + free/10*9
	if most > 0 {
		quota = min(quota, most)
	}
	return quota, spared, nil
}

// sync makes everything in the streams survive a power failure, when no server runs.
func (d *folder) sync() error {
	blocks, err := filepath.Glob(filepath.Join(d.path, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return err
	}
	for _, name := range blocks {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("sync the journal: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("sync the journal: %w", err)
		}
	}
	return nil
}

// settle writes the youngest block of every stream once more and syncs it. After a sync that failed, the operating system
// may show bytes that are not on the disk and never will be; once copied, what can be read is what is there.
func (d *folder) settle() error {
	folders, err := filepath.Glob(filepath.Join(d.path, "jetstream", "*", "streams", "*", "msgs"))
	if err != nil {
		return err
	}
	for _, f := range folders {
		if err := settleNewest(f); err != nil {
			return fmt.Errorf("write the youngest block of %s again: %w", f, err)
		}
	}
	return nil
}

func settleNewest(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	newest, name := -1, ""
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".blk")); err == nil && n > newest {
			newest, name = n, filepath.Join(dir, e.Name())
		}
	}
	if name == "" {
		return nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	copied, err := os.OpenFile(name+".settle", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = copied.Write(b)
	if err == nil {
		err = copied.Sync()
	}
	if cerr := copied.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(copied.Name(), name)
	}
	if err != nil {
		os.Remove(copied.Name())
		return err
	}
	return syncFolder(dir)
}
