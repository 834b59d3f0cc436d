package shard

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
)

// What lives in old frames is carried forward into new ones, so that the old ones can be truncated: one dead destination, or one old
// message, cannot pin the log. A log is a circle then. Its head is emptied whenever there is more in it that is dead than is worth
// keeping, wherever in it that is: what lives in the head moves to the tail, until what is dead has become the head.
//
//	┌────┬────┬────┬────┬────┬────┬────┬────┬────┐        ┌────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┐
//	│ ab │ cd │ ·· │ ·· │ ·e │ ·· │ f· │ gh │ ij │  ───►  │ ·· │ ·· │ ·· │ ·· │ ·· │ ·· │ f· │ gh │ ij │ ab │ cde│
//	└────┴────┴────┴────┴────┴────┴────┴────┴────┘        └────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┘
//	                                                        to be truncated, after two snapshots ▲
const (
	minCarry   = 16 << 20 // bytes of payloads carried in one round, or as many as a snapshot has
	maxCarried = 1 << 20  // payloads in one round
	carryRate  = 32 << 20 // bytes a second that are carried, so that most of the disk is left to callers
)

// A carriedPayload is one that lives in an old frame.
type carriedPayload struct {
	ref     Ref
	key     []byte
	machine Kind // the first kind of the machine that it belongs to
}

// compact begins a round if the log is longer than it may be.
func (s *Shard) compact() {
	over := s.core.live.excess(s.core.slack)
	if over <= 0 || s.compacting {
		return
	}
	before := s.core.live.carryBefore(over, max(minCarry, s.core.lastSnapshot), maxCarried)
	if before == 0 {
		return
	}
	s.compacting = true
	views := s.core.freeze()
	payloads := s.core.liveNow(views, before)
	s.background.Go(func() {
		payloads = liveThen(payloads, views, before)
		_ = s.insistView(func() { thaw(views) }) // else the shard has ended
		if err := s.carryAll(payloads); err != nil {
			s.opts.Logger.Warn("log not compacted", "log", s.Name(), "err", err)
		}
		_ = s.insistView(func() { s.compacting = false })
	})
}

// liveNow lists what those machines refer to in frames before a sequence number that cannot be frozen.
func (c *core) liveNow(views []view, before uint64) (list []carriedPayload) {
	for i, v := range views {
		if v.frozen == nil {
			list = appendLive(list, v.machine, before, c.machines[i].Machine.Live)
		}
	}
	return list
}

// liveThen adds what the other machines refer to, and sorts all as it stands in the log.
func liveThen(list []carriedPayload, views []view, before uint64) []carriedPayload {
	for _, v := range views {
		if v.frozen != nil {
			list = appendLive(list, v.machine, before, v.frozen.Live)
		}
	}
	slices.SortFunc(list, func(a, b carriedPayload) int {
		return cmp.Or(cmp.Compare(a.ref.Seq, b.ref.Seq), cmp.Compare(a.ref.Off, b.ref.Off))
	})
	return list
}

func appendLive(list []carriedPayload, machine Kind, before uint64, live func(uint64, func([]byte, Ref) bool)) []carriedPayload {
	var keys []byte // of many payloads in one piece of memory
	live(before, func(key []byte, ref Ref) bool {
		if cap(keys)-len(keys) < len(key) {
			keys = make([]byte, 0, max(64<<10, len(key)))
		}
		from := len(keys)
		keys = append(keys, key...)
		list = append(list, carriedPayload{ref, keys[from:len(keys):len(keys)], machine})
		return true
	})
	return list
}

// carryAll carries payloads, a frame at a time, no faster than carryRate unless space is short.
func (s *Shard) carryAll(payloads []carriedPayload) error {
	read := s.readThrough()
	for len(payloads) > 0 {
		bodies, n, err := carryBodies(payloads, s.core.limit.soft, read)
		if err != nil {
			return err
		}
		size := 0
		for _, body := range bodies {
			size += len(body)
		}
		a := s.ask(context.Background(), request{more: carryRoom, build: addCarry(bodies)})
		if a.err != nil {
			return a.err
		}
		if payloads = payloads[n:]; s.opts.Room == nil || s.opts.Room() == nil {
			s.rest(time.Duration(size) * time.Second / carryRate)
		}
	}
	return nil
}

// carryBodies makes the commands that carry the first few payloads, up to so many bytes or one, and says how many payloads it took.
func carryBodies(payloads []carriedPayload, limit int, read func(Ref) ([]byte, error)) (bodies [][]byte, n int, err error) {
	for size := 0; n < len(payloads); n++ {
		p := payloads[n]
		if size > 0 && size+int(p.ref.Len) > limit {
			break
		}
		b, err := read(p.ref)
		if errors.Is(err, ErrMoved) {
			continue // released meanwhile, and its frame is truncated
		}
		if err != nil {
			return nil, 0, err
		}
		body := appendCarry(nil, p.machine, p.key, b)
		bodies = append(bodies, body)
		size += len(body)
	}
	return bodies, n, nil
}

func addCarry(bodies [][]byte) func(*Batch) {
	return func(b *Batch) {
		for _, body := range bodies {
			b.Add(kindCarry, body)
		}
	}
}

// readThrough returns a function that reads payloads in the order of the log. It leaves what it reads out of the cache, which is for frames
// that somebody waits for.
func (s *Shard) readThrough() func(Ref) ([]byte, error) {
	var seq uint64
	var frame []byte
	return func(ref Ref) ([]byte, error) {
		if ref.Seq != seq {
			payload, err := s.fetch(context.Background(), ref.Seq)
			if err != nil {
				return nil, err
			}
			seq, frame = ref.Seq, payload
		}
		return part(frame, ref)
	}
}

// rest waits, but not beyond the end of the shard.
func (s *Shard) rest(d time.Duration) {
	t := rialto.Real(s.opts.Clock).NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-s.stopped:
	}
}
