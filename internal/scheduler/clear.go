package scheduler

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/occurrence"
	"github.com/rialto-events/rialto/target"
)

// look has the schedule of a home deleted, if it is over.
func (s *Schedules) look(home string) { s.mark(s.ended, home) }

// mark adds to a set of what is to be cleared up.
func (s *Schedules) mark(set map[string]bool, keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		set[key] = true
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// take empties a set of what is to be cleared up.
func (s *Schedules) take(set map[string]bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = true
	keys := slices.Collect(maps.Keys(set))
	clear(set)
	return keys
}

// rest notes that nothing is being cleared up any more.
func (s *Schedules) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
}

// Run deletes schedules that are over and groups that go, and lets those fire that were held, until ctx ends.
func (s *Schedules) Run(ctx context.Context) error {
	known := false // which of the schedules that were over at the start have ended
	for pause := minPause; ; {
		var err error
		if !known {
			err = s.recover(ctx)
			known = err == nil
		}
		if err == nil {
			err = s.tidy(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			pause = minPause
			s.rest()
			select {
			case <-s.news:
			case <-ctx.Done():
				return nil
			}
			continue
		}
		s.log.Warn("schedules are not cleared up", "err", err)
		timer := rialto.Real(s.clock).NewTimer(pause)
		pause = min(2*pause, maxPause)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// recover finds the schedules whose last occurrence ended before the start, or was about to. Of the others, [Schedules.Attempted] will be told.
func (s *Schedules) recover(ctx context.Context) error {
	over, err := s.timers.Over(ctx, OwnerSchedules, "", "", math.MaxInt)
	if err != nil || len(over) == 0 {
		return err
	}
	goesOn := make(map[string]bool)
	err = s.opts.Deliver.Unended(ctx, func(d *target.Definition) bool { return d.Schedule != nil && d.Schedule.Last }, func(event []byte) {
		goesOn[occurrence.ScheduleOf(event)] = true
	})
	if err != nil {
		return err
	}
	over = slices.DeleteFunc(over, func(home string) bool { return goesOn[home] })
	return s.timers.Sweep(ctx, OwnerSchedules, over)
}

// tidy does what there is to do.
func (s *Schedules) tidy(ctx context.Context) error {
	ended := s.take(s.ended)
	if err := s.timers.Sweep(ctx, OwnerSchedules, ended); err != nil {
		s.mark(s.ended, ended...)
		return err
	}
	moved := s.take(s.moved)
	for i, key := range moved {
		g := s.catalog.Groups.Get(key)
		var err error
		switch {
		case g == nil:
		case g.Deleting:
			err = s.clearGroup(ctx, key)
		case !g.Paused:
			err = s.release(ctx, key)
		}
		if err != nil {
			s.mark(s.moved, moved[i:]...)
			return err
		}
	}
	return nil
}

// within is what the ARNs of a group's schedules begin with.
func within(key string) string {
	scope, name := catalog.SplitKey(key)
	return ScheduleName{Scope: scope, Group: name}.ARN().String()
}

// clearGroup deletes the schedules of a group that goes, and then the group.
func (s *Schedules) clearGroup(ctx context.Context, key string) error {
	s.making.Lock() // whoever saw the group before it was to go has put its schedule by now
	s.making.Unlock()
	for {
		homes, err := s.timers.Homes(ctx, OwnerSchedules, within(key), "", listAtOnce)
		if err != nil {
			return err
		}
		if len(homes) == 0 {
			break
		}
		if err := s.timers.Clear(ctx, OwnerSchedules, homes); err != nil {
			return err
		}
	}
	_, err := s.catalog.Groups.Edit(ctx, key, func(was *catalog.ScheduleGroup) (*catalog.ScheduleGroup, error) {
		if was != nil && !was.Deleting {
			return nil, catalog.Unchanged
		}
		return nil, nil
	})
	return err
}

// release lets the schedules of a group fire that were held while it was paused.
func (s *Schedules) release(ctx context.Context, key string) error {
	for {
		homes, err := s.timers.Held(ctx, OwnerSchedules, within(key), "", listAtOnce)
		if err != nil || len(homes) == 0 {
			return err
		}
		if err := s.timers.Release(ctx, OwnerSchedules, homes); err != nil {
			return err
		}
	}
}
