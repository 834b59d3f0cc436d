package scheduler

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
)

const (
	aheadFor   = time.Minute      // before it is due the definition of a schedule may be read
	aheadEvery = 10 * time.Second // it is looked for what is due soon, and whenever most of what was held is used up
	aheadMost  = 1 << 20          // definitions that are held for that
	aheadBytes = 128 << 20        // of them, as they are held; one more may be than fits
	aheadAlike = 256              // definitions in a pass from which on it is worth while to hold only what tells them apart
)

// An ahead holds the definitions of schedules that are due soon. Definitions lie in the log as they were made, and those of schedules that are due
// in one second all over it: to read them when they are due would be to read most of the log for every second. So it is read through
// once for many seconds, before they come. What is not here is read when it is due.
type ahead struct {
	mu      sync.Mutex
	held    map[uint64]heldAt // by revision
	seconds map[int64]*shelf  // by when they are due
	size    int               // bytes on the shelves
	like    *s2.Dict          // what the definitions of this pass are like; nil if they are few
	buf     []byte
	low     int           // definitions that are held when it is time to look again
	wants   chan struct{} // has a value when it is
}

// A heldAt is where a definition is.
type heldAt struct {
	at        int64 // its shelf
	off, size uint32
}

// A shelf has the definitions of what is due in one second. It is let go when the last of them is taken. That they lie there one after the other,
// and are found without pointers, spares the garbage collector. Where there are many, one program has made them, and they are alike: each is
// packed beside one of them, into a tenth.
type shelf struct {
	bytes     []byte   // only added to
	revisions []uint64 // of the definitions, also of those that were taken
	live      int      // definitions that are held
	like      *s2.Dict // by which they are packed; nil if they are not
}

// A waiting schedule is one that is due soon.
type waiting struct {
	revision uint64
	ref      shard.Ref
	at       int64 // Unix second in which it is to fire
}

func newAhead() *ahead {
	return &ahead{held: make(map[uint64]heldAt), seconds: make(map[int64]*shelf), wants: make(chan struct{}, 1)}
}

// take takes the definition of a revision out, nil if it is not held.
func (a *ahead) take(revision uint64) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.held[revision]
	if !ok {
		return nil
	}
	s := a.seconds[at.at]
	b := s.bytes[at.off : at.off+at.size : at.off+at.size]
	a.drop(revision, at)
	if len(a.held) == a.low && a.low > 0 { // a handful is read when it is due
		select {
		case a.wants <- struct{}{}:
		default:
		}
	}
	if s.like == nil {
		return b
	}
	b, err := s.like.Decode(nil, b)
	if err != nil {
		return nil // never so: it was packed here
	}
	return b
}

func (a *ahead) drop(revision uint64, at heldAt) {
	delete(a.held, revision)
	s := a.seconds[at.at]
	if s.live--; s.live == 0 {
		a.size -= len(s.bytes)
		delete(a.seconds, at.at)
	}
}

// heldFor is how many definitions are held for a second.
func (a *ahead) heldFor(at int64) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.seconds[at]; s != nil {
		return s.live
	}
	return 0
}

// forget lets go what is held for seconds in which nothing is due.
func (a *ahead) forget(isDue func(at int64) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for at, s := range a.seconds {
		if isDue(at) {
			continue
		}
		for _, revision := range s.revisions {
			if is, ok := a.held[revision]; ok && is.at == at {
				delete(a.held, revision)
			}
		}
		a.size -= len(s.bytes)
		delete(a.seconds, at)
	}
}

// missing are those of a list that are not held, in the order of the log.
func (a *ahead) missing(list []waiting) []waiting {
	a.mu.Lock()
	list = slices.DeleteFunc(list, func(w waiting) bool {
		_, ok := a.held[w.revision]
		return ok
	})
	a.mu.Unlock()
	slices.SortFunc(list, func(a, b waiting) int { return inLog(a.ref, b.ref) })
	return list
}

// inLog compares where definitions lie in the log.
func inLog(a, b shard.Ref) int {
	return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Off, b.Off))
}

// pass begins a pass that brings so many definitions, of which this is the first.
func (a *ahead) pass(n int, definition []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.like = nil; n >= aheadAlike {
		a.like = s2.MakeDict(definition, nil)
	}
}

// put takes a definition in, and reports whether there is room for another.
func (a *ahead) put(w waiting, definition []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lay(w, definition)
	return a.size < aheadBytes
}

// again holds on to the definition of a schedule that fires now, if it is due soon again, and there is room.
func (a *ahead) again(r ready, definition []byte, next Due) {
	if next.Time.IsZero() || next.At.Sub(r.due) > aheadFor {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.size < aheadBytes && len(a.held) < aheadMost {
		a.lay(waiting{r.revision, r.ref, next.At.Unix()}, definition)
	}
}

// lay puts a definition on its shelf.
func (a *ahead) lay(w waiting, definition []byte) {
	if _, ok := a.held[w.revision]; ok {
		return // it was listed twice, or is kept
	}
	s := a.seconds[w.at]
	if s == nil {
		s = &shelf{like: a.like}
		a.seconds[w.at] = s
	}
	if s.like != nil {
		a.buf = s.like.Encode(a.buf[:cap(a.buf)], definition)
		definition = a.buf
	}
	a.held[w.revision] = heldAt{w.at, uint32(len(s.bytes)), uint32(len(definition))}
	s.bytes, s.revisions = append(s.bytes, definition...), append(s.revisions, w.revision)
	s.live++
	a.size += len(definition)
}

// filled notes that no more is read for now. What is left when it is time to look again lasts for longer than it takes to read.
func (a *ahead) filled() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.low = len(a.held) / 4
}

var errFull = errors.New("no more can be held")

// readAhead reads definitions before they are due, until ctx ends. That the log cannot be read is not said here, but by whoever fires.
func (h *host) readAhead(ctx context.Context) {
	timer := rialto.Real(h.timers.opts.Clock).NewTimer(aheadEvery)
	defer timer.Stop()
	for {
		list := h.ahead.missing(h.soon(ctx))
		refs := make([]shard.Ref, len(list))
		for i := range list {
			refs[i] = list[i].ref
		}
		_ = h.shard.Scan(ctx, refs, func(i int, definition []byte) error {
			if i == 0 {
				h.ahead.pass(len(list), definition)
			}
			if !h.ahead.put(list[i], definition) {
				return errFull
			}
			return nil
		})
		h.ahead.filled()
		timer.Reset(aheadEvery)
		select {
		case <-timer.C():
		case <-h.ahead.wants:
		case <-ctx.Done():
			return
		}
	}
}

// soon lists what is due soon and not held, as far as that can be told by how many there are: what is missed is read when it is due. Of what is held
// it forgets what is not due any more.
func (h *host) soon(ctx context.Context) (list []waiting) {
	now := h.timers.opts.Clock.Now()
	var seconds []int64
	err := h.shard.View(ctx, func() {
		h.ahead.forget(func(at int64) bool { return h.machine.agenda.seconds[at] != nil })
		for s := range h.machine.agenda.inOrder() {
			if s.at > now.Add(aheadFor).Unix() {
				return
			}
			if s.at > now.Unix() && len(s.slots) > h.ahead.heldFor(s.at) {
				seconds = append(seconds, s.at)
			}
		}
	})
	for _, at := range seconds {
		if err != nil || len(list) >= aheadMost {
			break
		}
		err = h.shard.View(ctx, func() {
			if s := h.machine.agenda.seconds[at]; s != nil {
				for _, slot := range s.slots[:min(len(s.slots), aheadMost)] {
					e := h.machine.entries.Peek(slot)
					list = append(list, waiting{e.revision, e.ref, at})
				}
			}
		})
	}
	return list
}
