package scheduler

import (
	"context"
	"time"
)

// Due says what there is to do, for whoever moves a virtual clock: when the next schedule falls due, zero if none will, and on how many
// shards one is due now and has not fired yet.
func (t *Timers) Due(ctx context.Context) (next time.Time, inHand int, err error) {
	now := t.opts.Clock.Now()
	for _, h := range t.hosts {
		var first time.Time
		if err := h.shard.View(ctx, func() { first = h.machine.due(now, 0, nil) }); err != nil {
			return time.Time{}, 0, err
		}
		switch {
		case first.IsZero():
		case !first.After(now):
			inHand++
		case next.IsZero() || first.Before(next):
			next = first
		}
	}
	return next, inHand, nil
}

// Fired is how many occurrences have fired since the start.
func (t *Timers) Fired() uint64 { return t.fired.Load() }

// Due says how many rules have changed whose schedules were not looked at yet.
func (r *Rules) Due(context.Context) (next time.Time, inHand int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if inHand = len(r.dirty); r.busy {
		inHand++
	}
	return time.Time{}, inHand, nil
}

// Due says how much is to be cleared up: schedules that are over, and groups.
func (s *Schedules) Due(context.Context) (next time.Time, inHand int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inHand = len(s.ended) + len(s.moved); s.busy {
		inHand++
	}
	return time.Time{}, inHand, nil
}
