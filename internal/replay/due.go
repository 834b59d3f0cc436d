package replay

import (
	"context"
	"time"
)

// Due says what there is to do, for whoever moves a virtual clock: when the next event of a replay falls due, zero if none does, and how many
// replays can go on now. One that is paused, or waits for its targets, cannot.
func (s *Service) Due(context.Context) (next time.Time, inHand int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inHand = int(s.under.Load())
	now := s.opts.Clock.Now()
	for key, k := range s.replays {
		at, sleeps := s.sleeps[key]
		switch {
		case !k.State.Active() || sleeps && at.IsZero():
		case !sleeps || !at.After(now):
			inHand++
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return next, inHand, nil
}

// sleep notes that the runner has nothing to do until a time, or, if that is zero, until something happens. If the replay has changed it has.
func (r *runner) sleep(until time.Time) {
	s := r.service
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replays[r.key] == r.known {
		s.sleeps[r.key] = until
	}
}

func (r *runner) awake() {
	s := r.service
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sleeps, r.key)
}
