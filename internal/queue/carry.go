package queue

import (
	"context"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
)

const (
	carryAtOnce = 100     // messages that one command takes to another shard
	carryBytes  = 1 << 20 // bytes of them, unless one alone has more
	minPause    = 50 * time.Millisecond
	maxPause    = 5 * time.Second // between two tries to bring a message to another shard
	cleanEvery  = time.Minute
	stepTimeout = 5 * time.Second  // that the end of the service waits for a step which has begun
	orphanAfter = 10 * time.Minute // without a word of the catalog; a node that lags behind learns of a new queue long before
)

// carry brings dead letters to queues on other shards, until ctx ends:
//
//	source   receive: moving ─────────────────────────────► moved: gone
//	                    └─► effect ─► read the payloads ┐     ▲
//	target                                              └─► accept
//
// A crash between accept and moved brings the message once more: it is there twice, and never lost. A FIFO queue knows it again, if that is
// within five minutes.
func (s *Service) carry(ctx context.Context, h *host) {
	pause := minPause
	for {
		batch := h.nextMoves()
		if len(batch) == 0 {
			select {
			case <-h.moved:
				continue
			case <-ctx.Done():
				return
			}
		}
		n, err := s.carryBatch(ctx, h, batch)
		h.done(n)
		if err == nil {
			pause = minPause
			continue
		}
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("dead letters not moved, trying again", "err", err)
		if s.pause(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// step returns a context for what is to be done wholly or not at all: it ends a while after ctx does. Call end after the step.
func (s *Service) step(ctx context.Context) (_ context.Context, end func()) {
	step, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = s.pause(step, stepTimeout)
		cancel()
	})
	return step, func() { stop(); cancel() }
}

// pause waits by the real clock: the service itself does nothing by the time that a virtual one shows. Messages do, and their shards see to it.
func (s *Service) pause(ctx context.Context, d time.Duration) error {
	t := rialto.Real(s.clock).NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nextMoves returns the first moves that have source and target in common. They stay where they are until they are done.
func (h *host) nextMoves() []move {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for n < len(h.moves) && n < carryAtOnce && h.moves[n].from == h.moves[0].from && h.moves[n].to == h.moves[0].to &&
		h.moves[n].source == h.moves[0].source {
		n++
	}
	return h.moves[:n:n]
}

// done takes the first n moves away.
func (h *host) done(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.moves = h.moves[n:]; len(h.moves) == 0 {
		h.moves = nil
	}
}

// carryBatch carries out the first few of some moves and returns how many are done.
func (s *Service) carryBatch(ctx context.Context, h *host, batch []move) (int, error) {
	target, ok := s.index.findID(batch[0].to)
	if !ok {
		return len(batch), s.end(ctx, h, kindStay, batch)
	}
	var moves []move
	var payloads [][]byte
	n, size := 0, 0
	for ; n < len(batch) && size < carryBytes; n++ {
		m := batch[n]
		payload, err := h.read(ctx, Place{m.slot, m.key}, m.ref)
		if err != nil {
			return 0, err
		}
		if payload == nil {
			continue // too old, or deleted
		}
		moves, payloads = append(moves, m), append(payloads, payload)
		size += len(payload)
	}
	if len(moves) == 0 {
		return n, nil
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	ctx, end := s.step(ctx)
	defer end()
	kind, body := acceptCommand(target.id, target.retention, moves, payloads)
	if target.fifo {
		kind, body = kindAcceptFIFO, acceptFIFOCommand(target.id, target.retention, moves, payloads)
	}
	_, err := s.host(target).insist(ctx, kind, body)
	switch {
	case IsMissing(err):
		return n, s.end(ctx, h, kindStay, moves)
	case err != nil:
		return 0, err
	}
	return n, s.end(ctx, h, kindMoved, moves)
}

// end tells the source what became of moves. It tries until the source knows, since to begin anew would double the messages.
func (s *Service) end(ctx context.Context, h *host, kind shard.Kind, moves []move) error {
	places := make([]Place, len(moves))
	for i, m := range moves {
		places[i] = Place{m.slot, m.key}
	}
	body := handlesCommand(moves[0].from, places)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		_, err := h.insist(ctx, kind, body)
		if err == nil || IsMissing(err) { // a source that was deleted took its messages with it
			return nil
		}
		s.log.Warn("end of a move not written, trying again", "err", err)
		if err := s.pause(ctx, pause); err != nil {
			return err
		}
	}
}

// clean removes what nobody will ask for, until ctx ends: messages that are too old in queues that nobody uses, and queues that the
// catalog does not know because the process ended between two steps of making or deleting one.
func (s *Service) clean(ctx context.Context, h *host) {
	orphans := make(map[ID]time.Time) // since when
	for s.pause(ctx, cleanEvery) == nil {
		if err := s.sweep(ctx, h, orphans); err != nil && ctx.Err() == nil {
			s.log.Warn("queues not cleaned, trying again later", "err", err)
		}
	}
}

func (s *Service) sweep(ctx context.Context, h *host, orphans map[ID]time.Time) error {
	now := rialto.Real(s.clock).Now()
	var all, stale []ID
	err := h.shard.View(ctx, func() {
		for _, q := range h.machine.sorted() {
			all = append(all, q.id)
			if h.machine.stale(q, h.shard.Now().UnixMicro()) {
				stale = append(stale, q.id)
			}
		}
	})
	if err != nil {
		return err
	}
	for _, id := range stale {
		if d, ok := s.index.findID(id); ok {
			if _, err := h.do(ctx, kindTouch, touchCommand(id, d.retention)); err != nil && !IsMissing(err) {
				return err
			}
		}
	}
	for _, id := range s.orphansAmong(all, orphans, now) {
		if _, err := h.do(ctx, kindDrop, idCommand(id)); err != nil && !IsMissing(err) {
			return err
		}
		delete(orphans, id)
	}
	return nil
}

// orphansAmong returns the queues that the catalog has not known for long; orphans says since when each was seen without one.
func (s *Service) orphansAmong(all []ID, orphans map[ID]time.Time, now time.Time) (old []ID) {
	for _, id := range all {
		if _, ok := s.index.findID(id); ok {
			delete(orphans, id)
			continue
		}
		since, seen := orphans[id]
		switch {
		case !seen:
			orphans[id] = now
		case now.Sub(since) >= orphanAfter:
			old = append(old, id)
		}
	}
	return old
}

// Due says how many dead letters are on their way to queues on other shards, for whoever moves a virtual clock.
func (s *Service) Due(context.Context) (next time.Time, inHand int, err error) {
	for _, h := range s.hosts {
		h.mu.Lock()
		inHand += len(h.moves)
		h.mu.Unlock()
	}
	return time.Time{}, inHand, nil
}

// stale reports whether a queue has a message that is too old.
func (m *Machine) stale(q *queue, now int64) bool {
	slot := q.oldest(&m.messages)
	return slot != none && m.messages.get(slot).at[byAge]+q.retention <= now
}
