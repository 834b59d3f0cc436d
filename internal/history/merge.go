package history

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// A quiet archive gets a segment every few seconds. Those that follow one another are merged, eight or more of about one size into one, which
// makes them eight times as large, and so on: an event is written again a few times in its life, and an archive has some ten
// segments of each size.
const (
	mergeWidth   = 8
	mergeBytes   = 40 << 20  // of events before they are compressed, in one segment
	mergeMore    = 512 << 20 // the same, once there are very many segments
	mergeMany    = 4096      // segments that are very many
	smallestTier = 4 << 10
	mergeSpan    = 24 * time.Hour // between the first and the last acceptance in a segment
)

// tier is the size of a segment, as a power of eight.
func (s *segmentInfo) tier() int { return bits.Len64(uint64(s.raw)/smallestTier) / 3 }

// merge merges until there is nothing to merge.
func (st *store) merge(ctx context.Context) error {
	for ctx.Err() == nil {
		run := mergeable(st.current().segments, func(s *segmentInfo) bool { return st.service.isDamaged(st.blob(s.name)) })
		if run == nil {
			return nil
		}
		if err := st.mergeRun(ctx, run); err != nil {
			return fmt.Errorf("merge %d segments: %w", len(run), err)
		}
	}
	return ctx.Err()
}

// mergeable finds segments that follow one another and are to be one; nil if there are none.
func mergeable(segments []segmentInfo, damaged func(*segmentInfo) bool) []segmentInfo {
	limit := int64(mergeBytes)
	if len(segments) > mergeMany {
		limit = mergeMore
	}
	highest := 0
	for i := range segments {
		highest = max(highest, segments[i].tier())
	}
	for tier := 0; tier <= highest; tier++ {
		for i := 0; i < len(segments); {
			n, closed := runOf(segments[i:], tier, limit, damaged)
			if n >= mergeWidth || closed && n > 1 {
				return segments[i : i+n]
			}
			i += max(1, n)
		}
	}
	return nil
}

// runOf is how many segments from the first on may be one, of up to a tier. It is closed if it is worth merging although it is short, because no
// other can join it any more: the next one's acceptance is too far away, or there is no room. One that takes half of the room stays as it is.
func runOf(segments []segmentInfo, tier int, limit int64, damaged func(*segmentInfo) bool) (n int, closed bool) {
	raw, accepted := int64(0), noSpan
	for i := range segments {
		s := &segments[i]
		joined := accepted.join(s.accepted)
		switch {
		case s.tier() > tier || s.raw > limit/2 || damaged(s):
			return i, false
		case raw+s.raw > limit || joined.last-joined.first > mergeSpan.Microseconds():
			return i, true
		}
		raw, accepted = raw+s.raw, joined
	}
	return len(segments), false
}

// mergeRun writes one segment in the place of several. Nobody is kept waiting meanwhile: what is merged does not change, and if it was removed
// in the end, so is the new one.
func (st *store) mergeRun(ctx context.Context, run []segmentInfo) error {
	w, err := st.rewrite(ctx, run)
	if _, damaged := errors.AsType[*DamageError](err); damaged || errors.Is(err, errRemoved) {
		return nil // found, and left alone from now on
	}
	if err != nil {
		return err
	}
	var by *segmentInfo
	if len(w.cells) > 0 {
		info, err := st.put(ctx, w)
		if err != nil {
			return err
		}
		by = &info
	}
	st.write.Lock()
	defer st.write.Unlock()
	now := st.current()
	next := now.replacing(run, by)
	if next == nil {
		if by != nil {
			st.discard(ctx, &ledger{segments: []segmentInfo{*by}}, now)
		}
		return nil
	}
	if err := st.swap(ctx, next); !errors.Is(err, errMoved) {
		return err
	}
	return nil
}

// rewrite merges the events that are not to be removed.
func (st *store) rewrite(ctx context.Context, run []segmentInfo) (*segmentWriter, error) {
	r := &reading{ctx: ctx, store: st, order: byTime, limits: Window{}.limits(st.disposable())}
	r.told, r.yield = make(map[damage]bool), func(Entry, error) bool { return false } // damage ends it
	open := &cursors{order: byTime}
	for i := range run {
		c := &cursor{reading: r, info: &run[i]}
		if err := c.open(); err != nil {
			return nil, err
		}
		if c.more() {
			heap.Push(open, c)
		}
	}
	w := newSegmentWriter(st.id)
	for open.Len() > 0 {
		c := open.list[0]
		if e := c.events[c.at]; r.wants(e.Position) {
			w.add(e)
		}
		if err := c.advance(); err != nil {
			return nil, err
		}
		if c.more() {
			heap.Fix(open, 0)
		} else {
			heap.Pop(open)
		}
	}
	return w, nil
}
