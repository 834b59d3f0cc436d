package shard

import (
	"context"
	"errors"
	"slices"
)

// A carried payload is one that lives in an old frame.
type carriedPayload struct {
	machine Kind // the first kind of the machine that it belongs to
	key     []byte
	ref     Ref
}

// startCarry moves what lives in the frames before a sequence number into new frames, so that the old ones can be
// truncated: one dead destination, or one old message, cannot pin the log.
func (s *Shard) startCarry(before uint64) {
	if before == 0 || !s.compacting.CompareAndSwap(false, true) {
		return
	}
	payloads := s.core.livePayloads(before)
	s.background.Go(func() {
		defer s.compacting.Store(false)
		for len(payloads) > 0 {
			n, err := s.carry(payloads)
			if err != nil {
				s.opts.Logger.Warn("log not compacted", "log", s.Name(), "err", err)
				return
			}
			payloads = payloads[n:]
		}
	})
}

// livePayloads lists what the machines refer to in frames before a sequence number, in the order of the log.
func (c *core) livePayloads(before uint64) []carriedPayload {
	var list []carriedPayload
	for _, h := range c.machines {
		first, _ := h.Machine.Kinds()
		h.Machine.Live(before, func(key []byte, ref Ref) bool {
			list = append(list, carriedPayload{first, slices.Clone(key), ref})
			return true
		})
	}
	slices.SortFunc(list, func(a, b carriedPayload) int { return int(int64(a.ref.Seq) - int64(b.ref.Seq)) })
	return list
}

// carry moves the first few payloads in one frame and returns how many it took.
func (s *Shard) carry(payloads []carriedPayload) (int, error) {
	var bodies [][]byte
	n, size := 0, 0
	for ; n < len(payloads); n++ {
		p := payloads[n]
		if n > 0 && size+int(p.ref.Len) > s.core.limit.soft {
			break
		}
		b, err := s.Read(context.Background(), p.ref)
		if errors.Is(err, ErrMoved) {
			continue // released meanwhile, and its frame is truncated
		}
		if err != nil {
			return n, err
		}
		body := appendCarry(nil, p.machine, p.key, b)
		bodies = append(bodies, body)
		size += len(body)
	}
	a := s.ask(context.Background(), request{more: carryRoom, build: func(b *Batch) {
		for _, body := range bodies {
			b.Add(kindCarry, body)
		}
	}})
	return n, a.err
}
