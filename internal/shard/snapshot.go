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
const (
	snapshotMagic    = "RLTS"
	snapshotVersion  = 1
	snapshotsKept    = 2
	minSnapshotBytes = 32 << 20 // bytes of frames before a snapshot is worth its writing
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshotDue reports whether enough was written since the last snapshot to make the next one worth its size.
func (c *core) snapshotDue() bool {
	return c.sinceSnapshot >= max(minSnapshotBytes, 2*c.lastSnapshot)
}

// snapshot encodes the present state.
func (c *core) snapshot() []byte {
	b := append(make([]byte, 0, c.lastSnapshot+c.lastSnapshot/8+4096), snapshotMagic...)
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
	var state []byte
	for _, h := range c.machines {
		state = h.Machine.Snapshot(state[:0])
		b = record.AppendString(b, h.Machine.Name())
		b = record.AppendBytes(b, state)
	}
	return append(b, crc(b)...)
}

func crc(b []byte) []byte {
	n := crc32.Checksum(b, castagnoli)
	return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// restore replaces the state by a snapshot's.
func (c *core) restore(b []byte) error {
	body := b[:max(0, len(b)-4)]
	if !bytes.HasPrefix(body, []byte(snapshotMagic)) || !bytes.Equal(crc(body), b[len(body):]) {
		return fmt.Errorf("it is damaged")
	}
	r := record.NewReader(body[len(snapshotMagic):])
	if v := r.Byte(); v != snapshotVersion {
		return fmt.Errorf("its version is %d, and this program reads %d", v, snapshotVersion)
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
	states := make(map[string][]byte)
	for range r.Count() {
		name := r.String()
		states[name] = r.Bytes()
	}
	if r.Err() != nil {
		return r.Err()
	}
	for _, h := range c.machines {
		state := states[h.Machine.Name()] // nil if a version wrote it that had no such machine, and no command of it
		if err := h.Machine.Restore(state); err != nil {
			return fmt.Errorf("state of %s: %w", h.Machine.Name(), err)
		}
		h.Machine.Live(math.MaxUint64, func(_ []byte, ref Ref) bool { live.add(ref, 1); return true })
	}
	c.tip, c.live = end, live
	c.sinceSnapshot, c.lastSnapshot = 0, int64(len(b))
	return nil
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
			err = c.restore(b)
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

// store writes a snapshot that was taken at seq. It may run beside the owner's goroutine, once at a time.
func (c *core) store(ctx context.Context, seq uint64, b []byte) error {
	if err := c.blob.Put(ctx, c.snapshotName(seq), b); err != nil {
		return fmt.Errorf("write snapshot %d of %s: %w", seq, c.log.Name(), err)
	}
	return nil
}

// stored notes that a snapshot is safe, and returns the snapshots that are not needed any more and the sequence number
// below which the log is not.
func (c *core) stored(seq uint64, size int) (drop []uint64, before uint64) {
	c.lastSnapshot = int64(size)
	if !slices.Contains(c.snapshots, seq) { // one that was written again replaced itself
		c.snapshots = append(c.snapshots, seq)
	}
	if n := len(c.snapshots) - snapshotsKept; n > 0 {
		drop = append(drop, c.snapshots[:n]...)
		c.snapshots = append(c.snapshots[:0], c.snapshots[n:]...)
	}
	return drop, c.truncateBefore()
}

// truncateBefore is the first frame that is still needed: by the older of the two snapshots, or by a payload.
func (c *core) truncateBefore() uint64 {
	if len(c.snapshots) < snapshotsKept {
		return c.live.first
	}
	return min(c.snapshots[0]+1, c.live.oldestLive())
}

// clean carries out what stored returned. It may run beside the owner's goroutine, once at a time.
func (c *core) clean(ctx context.Context, drop []uint64, before uint64) error {
	for _, seq := range drop {
		if err := c.blob.Delete(ctx, c.snapshotName(seq)); err != nil {
			return fmt.Errorf("delete snapshot %d of %s: %w", seq, c.log.Name(), err)
		}
	}
	if err := c.log.Truncate(ctx, before); err != nil {
		return fmt.Errorf("truncate %s before %d: %w", c.log.Name(), before, err)
	}
	return nil
}

func (c *core) snapshotPrefix() string { return c.log.Name() + "/" }
func (c *core) snapshotName(seq uint64) string {
	return fmt.Sprintf("%s%020d", c.snapshotPrefix(), seq)
}
