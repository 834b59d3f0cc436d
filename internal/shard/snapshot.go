package shard

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rialto-events/rialto/internal/record"
)

// A snapshot is the state of all machines after a frame. docs/formats.md has the layout.
//
// Two are kept. The log is truncated below the older one only, so that a newest snapshot that cannot be read costs time
// and nothing else.
//
// A state that is large stands in parts of its own beside the snapshot, which is written last. So neither writing nor reading one needs
// memory for all of it.
const (
	snapshotMagic    = "RLTS"
	firstSnapshot    = 1 // had no parts
	snapshotVersion  = 2
	snapshotsKept    = 2
	snapshotPart     = 4 << 20  // bytes of a state in one part
	minSnapshotBytes = 32 << 20 // bytes of frames before a snapshot is worth its writing
)

// Where a state stands, in version 2.
const (
	stateInside  = 0
	stateInParts = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshotEvery is how many bytes of frames are written between two snapshots: enough to make the next one worth its size.
func (c *core) snapshotEvery() int64 { return max(c.minSnapshot, c.lastSnapshot) }

// snapshotDue reports whether that many were written since the last one.
func (c *core) snapshotDue() bool { return c.sinceSnapshot >= c.snapshotEvery() }

// An image is the state after a frame, on its way to becoming a snapshot.
type image struct {
	seq    uint64
	head   []byte // of the snapshot, up to the states
	views  []view
	states [][]byte // by machine: those that cannot be frozen
}

// capture takes an image of the present state. It must be thawed.
func (c *core) capture() image {
	b := append(make([]byte, 0, 4096+3*len(c.live.frames)), snapshotMagic...)
	b = append(b, snapshotVersion)
	b = record.AppendString(b, c.log.Name())
	b = record.AppendUint(b, c.tip.seq)
	b = append(b, c.tip.hash[:]...)
	b = record.AppendUint(b, c.tip.epoch)
	b = record.AppendTime(b, c.tip.time)
	b = record.AppendUint(b, c.live.first)
	b = record.AppendUint(b, uint64(len(c.live.frames)))
	for _, f := range c.live.frames {
		b = record.AppendUint(b, uint64(f.size))
	}
	b = record.AppendUint(b, uint64(len(c.machines)))
	img := image{seq: c.tip.seq, head: b, views: c.freeze(), states: make([][]byte, len(c.machines))}
	for i, v := range img.views {
		if v.frozen == nil {
			img.states[i] = c.machines[i].Machine.Snapshot(nil)
		}
	}
	return img
}

// store writes the snapshot of an image and returns its size. It may run beside the owner's goroutine, once at a time.
func (c *core) store(ctx context.Context, img image) (size int64, err error) {
	w := partsWriter{ctx: ctx, core: c, seq: img.seq}
	b := img.head
	for i, v := range img.views {
		b = record.AppendString(b, v.name)
		if v.frozen == nil {
			b = record.AppendBytes(append(b, stateInside), img.states[i])
			continue
		}
		if b, err = w.state(b, v.frozen); err != nil {
			return 0, fmt.Errorf("write the state of %s in snapshot %d of %s: %w", v.name, img.seq, c.log.Name(), err)
		}
	}
	b = append(b, crc(b)...)
	if err := c.blob.Put(ctx, c.snapshotName(img.seq), b); err != nil {
		return 0, fmt.Errorf("write snapshot %d of %s: %w", img.seq, c.log.Name(), err)
	}
	return int64(len(b)) + w.size, nil
}

// A partsWriter writes the states of one snapshot that are large.
type partsWriter struct {
	ctx  context.Context
	core *core
	seq  uint64
	n    int    // parts so far, of all states
	size int64  // bytes of them
	rest []byte // of the present state, not written yet
}

// state appends to a snapshot where the state of a machine is: inside if that is one part.
func (w *partsWriter) state(dst []byte, frozen Frozen) ([]byte, error) {
	w.rest = w.rest[:0]
	var parts []byte
	first := w.n
	err := frozen.Write(func(b []byte) (err error) {
		w.rest = append(w.rest, b...)
		for len(w.rest) > w.core.partBytes && err == nil {
			parts, err = w.part(parts, w.core.partBytes)
		}
		return err
	})
	if err == nil && w.n > first {
		parts, err = w.part(parts, len(w.rest))
	}
	switch {
	case err != nil:
		return nil, err
	case w.n == first:
		return record.AppendBytes(append(dst, stateInside), w.rest), nil
	}
	dst = record.AppendUint(append(dst, stateInParts), uint64(w.n-first))
	return append(dst, parts...), nil
}

// part writes the first n bytes of the rest as a part, and appends to the list of parts what it is.
func (w *partsWriter) part(list []byte, n int) ([]byte, error) {
	b := w.rest[:n]
	if err := w.core.blob.Put(w.ctx, w.core.partName(w.seq, w.n), b); err != nil {
		return nil, err
	}
	w.n++
	w.size += int64(n)
	list = append(record.AppendUint(list, uint64(n)), crc(b)...)
	w.rest = append(w.rest[:0], w.rest[n:]...)
	return list, nil
}

func crc(b []byte) []byte {
	n := crc32.Checksum(b, castagnoli)
	return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// restore replaces the state by that of a snapshot, which stands behind b.
func (c *core) restore(ctx context.Context, b []byte) error {
	body := b[:max(0, len(b)-4)]
	if !bytes.HasPrefix(body, []byte(snapshotMagic)) || !bytes.Equal(crc(body), b[len(body):]) {
		return fmt.Errorf("it is damaged")
	}
	r := record.NewReader(body[len(snapshotMagic):])
	version := r.Byte()
	if version != firstSnapshot && version != snapshotVersion {
		return fmt.Errorf("its version is %d, and this program reads %d", version, snapshotVersion)
	}
	if name := r.String(); name != c.log.Name() {
		return fmt.Errorf("it belongs to %s", name)
	}
	end := tip{seq: r.Uint()}
	for i := range end.hash {
		end.hash[i] = r.Byte()
	}
	end.epoch, end.time = r.Uint(), r.Time()
	live := liveTable{first: r.Uint()}
	live.frames = make([]frameUse, 0, r.Count())
	for range cap(live.frames) {
		live.push(int(r.Uint()))
	}
	if live.last() != end.seq {
		return fmt.Errorf("its table of frames ends at %d instead of %d", live.last(), end.seq)
	}
	states := make(map[string]*storedState)
	size, parts := int64(len(b)), 0
	for range r.Count() {
		name := r.String()
		s := readState(r, version, parts)
		states[name] = s
		parts += len(s.parts)
		size += int64(s.size())
	}
	if r.Err() != nil {
		return r.Err()
	}
	for _, h := range c.machines {
		if err := c.restoreMachine(ctx, h.Machine, end.seq, states[h.Machine.Name()]); err != nil {
			return fmt.Errorf("state of %s: %w", h.Machine.Name(), err)
		}
		h.Machine.Live(math.MaxUint64, func(_ []byte, ref Ref) bool { live.add(ref, 1); return true })
	}
	c.tip, c.live = end, live
	c.sinceSnapshot, c.lastSnapshot = 0, size
	return nil
}

// A storedState is the state of a machine as a snapshot has it: inside, or in parts.
type storedState struct {
	inside []byte
	first  int // number of the first part
	parts  []storedPart
}

type storedPart struct {
	size int
	crc  [4]byte
}

func (s *storedState) size() (n int) {
	for _, p := range s.parts {
		n += p.size
	}
	return n
}

func readState(r *record.Reader, version byte, first int) *storedState {
	s := &storedState{first: first}
	if version == firstSnapshot || r.Byte() == stateInside {
		s.inside = r.Bytes()
		return s
	}
	for range r.Count() {
		p := storedPart{size: int(min(r.Uint(), math.MaxInt32))}
		for i := range p.crc {
			p.crc[i] = r.Byte()
		}
		s.parts = append(s.parts, p)
	}
	return s
}

// restoreMachine gives a machine its state; nil if a version wrote the snapshot that had no such machine, and no command of it.
func (c *core) restoreMachine(ctx context.Context, m Machine, seq uint64, s *storedState) error {
	if s == nil {
		return m.Restore(nil)
	}
	if s.parts == nil {
		return m.Restore(s.inside)
	}
	n := 0
	next := func() ([]byte, error) {
		if n == len(s.parts) {
			return nil, record.ErrShort
		}
		b, err := c.blob.Get(ctx, c.partName(seq, s.first+n))
		if err != nil {
			return nil, err
		}
		if p := s.parts[n]; len(b) != p.size || !bytes.Equal(crc(b), p.crc[:]) {
			return nil, fmt.Errorf("part %d is damaged", n)
		}
		n++
		return b, nil
	}
	r := record.NewPartsReader(s.size(), next)
	if f, ok := m.(Freezer); ok {
		return f.RestoreParts(r)
	}
	whole := r.Rest() // a machine that was a Freezer once
	if r.Err() != nil {
		return r.Err()
	}
	return m.Restore(whole)
}

// recover brings the state to the end of the log: the newest snapshot that can be read, and every frame after it.
func (c *core) recover(ctx context.Context) error {
	first, last, err := c.log.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("look at %s: %w", c.log.Name(), err)
	}
	if err := c.loadSnapshot(ctx, last); err != nil {
		return err
	}
	if c.tip.seq+1 < first {
		return c.damage(c.tip.seq+1, first-1, "the frames are gone, and no snapshot that can be read covers them")
	}
	err = c.log.Read(ctx, c.tip.seq+1, func(seq uint64, rec []byte) error {
		if seq != c.tip.seq+1 {
			return c.damage(c.tip.seq+1, seq-1, "the frames are missing")
		}
		_, err := c.apply(rec, 0, true)
		return err
	})
	if err != nil {
		return err
	}
	if c.tip.seq < last {
		return c.damage(c.tip.seq+1, last, "the frames are missing")
	}
	if oldest := c.live.oldestLive(); oldest < first {
		return c.damage(oldest, first-1, "the frames are gone, and hold payloads that are still waited for")
	}
	c.live.truncate(first)
	return nil
}

// loadSnapshot restores the newest snapshot that can be read, if there is one.
func (c *core) loadSnapshot(ctx context.Context, last uint64) error {
	names, err := c.blob.List(ctx, c.snapshotPrefix())
	if err != nil {
		return fmt.Errorf("list the snapshots of %s: %w", c.log.Name(), err)
	}
	c.snapshots = c.snapshots[:0]
	for _, name := range names {
		if seq, err := strconv.ParseUint(strings.TrimPrefix(name, c.snapshotPrefix()), 10, 64); err == nil {
			c.snapshots = append(c.snapshots, seq)
		}
	}
	for i := len(c.snapshots) - 1; i >= 0; i-- {
		seq := c.snapshots[i]
		b, err := c.blob.Get(ctx, c.snapshotName(seq))
		if err == nil {
			err = c.restore(ctx, b)
		}
		if err != nil {
			c.warn("snapshot cannot be used, an older one will", seq, err)
			continue
		}
		if c.tip.seq > last {
			return c.damage(last+1, c.tip.seq, "the newest frames are missing")
		}
		c.snapshots = c.snapshots[:i+1]
		return nil
	}
	c.snapshots = c.snapshots[:0]
	return c.reset()
}

// reset makes the state that of an empty log.
func (c *core) reset() error {
	for _, h := range c.machines {
		if err := h.Machine.Restore(nil); err != nil {
			return fmt.Errorf("reset %s: %w", h.Machine.Name(), err)
		}
	}
	c.tip = tip{}
	c.live = liveTable{first: 1}
	return nil
}

// A cleanup is what is not needed any more because of a snapshot.
type cleanup struct {
	drop   []uint64 // snapshots
	kept   []uint64 // the snapshots that stay
	before uint64   // the frames below
}

// stored notes that a snapshot is safe.
func (c *core) stored(seq uint64, size int64) cleanup {
	c.lastSnapshot = size
	if !slices.Contains(c.snapshots, seq) { // one that was written again replaced itself
		c.snapshots = append(c.snapshots, seq)
	}
	var drop []uint64
	if n := len(c.snapshots) - snapshotsKept; n > 0 {
		drop = append(drop, c.snapshots[:n]...)
		c.snapshots = append(c.snapshots[:0], c.snapshots[n:]...)
	}
	return cleanup{drop, slices.Clone(c.snapshots), c.truncateBefore()}
}

// truncateBefore is the first frame that is still needed: by the older of the two snapshots, or by a payload.
func (c *core) truncateBefore() uint64 {
	if len(c.snapshots) < snapshotsKept {
		return c.live.first
	}
	return min(c.snapshots[0]+1, c.live.oldestLive())
}

// clean carries out what stored returned. It may run beside the owner's goroutine, once at a time.
func (c *core) clean(ctx context.Context, l cleanup) error {
	for _, seq := range l.drop {
		if err := c.blob.Delete(ctx, c.snapshotName(seq)); err != nil {
			return fmt.Errorf("delete snapshot %d of %s: %w", seq, c.log.Name(), err)
		}
	}
	if err := c.sweepParts(ctx, l.kept); err != nil {
		return fmt.Errorf("delete parts of old snapshots of %s: %w", c.log.Name(), err)
	}
	if err := c.log.Truncate(ctx, l.before); err != nil {
		return fmt.Errorf("truncate %s before %d: %w", c.log.Name(), l.before, err)
	}
	return nil
}

// sweepParts removes the parts of snapshots that are gone, or were never finished. Younger ones than those that are kept may be on
// their way.
func (c *core) sweepParts(ctx context.Context, kept []uint64) error {
	names, err := c.blob.List(ctx, c.snapshotPrefix())
	if err != nil {
		return err
	}
	for _, name := range names {
		of, _, isPart := strings.Cut(strings.TrimPrefix(name, c.snapshotPrefix()), ".")
		seq, err := strconv.ParseUint(of, 10, 64)
		if !isPart || err != nil || slices.Contains(kept, seq) || seq > kept[len(kept)-1] {
			continue
		}
		if err := c.blob.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *core) snapshotPrefix() string { return c.log.Name() + "/" }
func (c *core) snapshotName(seq uint64) string {
	return fmt.Sprintf("%s%020d", c.snapshotPrefix(), seq)
}
func (c *core) partName(seq uint64, n int) string {
	return fmt.Sprintf("%s.%06d", c.snapshotName(seq), n)
}
