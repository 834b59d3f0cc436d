package scheduler

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/occurrence"
	"github.com/rialto-events/rialto/target"
)

// Occur makes the event of a schedule. Of several occurrences that fell into a time in which nothing ran, the last stands for all.
func (s *Schedules) Occur(_ context.Context, o Occurrence) ([]deliver.Accepted, Due) {
	n, d, p, err := s.read(o)
	if err != nil {
		s.log.Error("schedule left out", "schedule", o.Home, "err", err) // a newer version wrote it
		return nil, Due{}
	}
	g := s.catalog.Groups.Get(catalog.NameKey(n.Scope, n.Group))
	if g == nil && n.Group != catalog.DefaultScheduleGroup {
		return nil, Due{Over: true} // it came into its group as that went
	}
	due := p.due(o.Due, true)
	for next := p.next(due.Time); !next.Time.IsZero() && !next.At.After(o.Since); next = p.next(due.Time) {
		due = next
	}
	next := p.next(due.Time)
	next.Over = next.Time.IsZero() && d.Delete
	if g != nil && g.Paused {
		if p.Once() {
			due.Held = true
			return nil, due
		}
		return nil, next
	}
	e, err := s.event(n, d, due, next.Over)
	if err != nil {
		s.log.Error("occurrence of a schedule left out", "schedule", o.Home, "err", err)
		return nil, next
	}
	return []deliver.Accepted{e}, next
}

func (s *Schedules) read(o Occurrence) (n ScheduleName, d Definition, p pace, err error) {
	arn, err := rialto.ParseARN(o.Home)
	if err != nil {
		return n, d, p, err
	}
	n, _ = nameOf(arn)
	if err = unmarshal(o.Definition, &d); err == nil {
		p, err = d.pace(n)
	}
	return n, d, p, err
}

// event is an occurrence on its way to the target. It counts as accepted when it was due: its greatest age is counted from then, or from when the
// schedule was told to fire at a time that was past.
func (s *Schedules) event(n ScheduleName, d Definition, due Due, last bool) (deliver.Accepted, error) {
	o := occurrence.Occurrence{ID: uuid.Must(uuid.NewV7()).String(), Schedule: n.ARN(), Time: due.Time, Input: d.Target.Input}
	sealed, err := s.seal(&d, n.Scope, last)
	if err != nil {
		return deliver.Accepted{}, err
	}
	accepted, now := due.At, s.clock.Now()
	if accepted.Before(d.Modified) {
		accepted = d.Modified
	}
	if accepted.After(now) {
		accepted = now
	}
	return deliver.Accepted{
		EventID: o.ID, Event: o.Event(), Bus: sealed.Rule, Accepted: accepted, Targets: []*target.Sealed{sealed}, Home: n.place().Home,
	}, nil
}

// Occurred tells those who look on. A schedule whose last occurrence caused nothing has ended, unless it is held; that its group has gone on since it
// was seen to be paused is found here, for whoever let it go on did not see this schedule among those that are held.
func (s *Schedules) Occurred(o Occurrence, events []deliver.Accepted) {
	if len(events) == 0 {
		s.look(o.Home)
		s.lookAtGroup(o.Home)
	}
	for i := range events {
		if s.opts.Accepted != nil {
			s.opts.Accepted(&events[i])
		}
	}
}

// lookAtGroup has the schedules of a home's group released, if the group is not paused.
func (s *Schedules) lookAtGroup(home string) {
	arn, err := rialto.ParseARN(home)
	n, ok := nameOf(arn)
	if err != nil || !ok {
		return
	}
	key := catalog.NameKey(n.Scope, n.Group)
	if g := s.catalog.Groups.Get(key); g != nil && !g.Paused {
		s.mark(s.moved, key)
	}
}

// Attempted is told of each attempt to deliver anything. After the last one of the last occurrence the schedule is to be deleted.
func (s *Schedules) Attempted(a *deliver.Attempted) {
	if a.For.Schedule == nil || !a.For.Schedule.Last {
		return
	}
	switch a.Verdict.Action {
	case deliver.Again:
		return
	case deliver.DeadLetter:
		if !a.Letter && a.For.DeadLetter != "" {
			return // the letter is sent now
		}
	}
	s.look(occurrence.ScheduleOf(a.Message.Event))
}

// Fire makes an occurrence of a schedule now, whatever it is due next and whether or not it is enabled. It returns the id of the event.
func (s *Schedules) Fire(ctx context.Context, n ScheduleName) (string, error) {
	is, err := s.Get(ctx, n)
	if err != nil {
		return "", err
	}
	if err := s.opts.Room(); err != nil {
		return "", err
	}
	now := s.clock.Now().UTC()
	e, err := s.event(n, is.Definition, Due{Time: now.Truncate(time.Second), At: now}, false)
	if err != nil {
		return "", err
	}
	events := []deliver.Accepted{e}
	if err := s.opts.Deliver.Accept(ctx, events); err != nil {
		return "", err
	}
	s.Occurred(Occurrence{}, events)
	return e.EventID, nil
}
