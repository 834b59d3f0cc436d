package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/advance"
	"github.com/rialto-events/rialto/internal/console"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
)

// A keptClock is what the journal has of a virtual clock, so that the next process goes on where this one was. It may have got further than Now
// says, and then the logs of the shards know: nothing in them is ever later than the clock.
type keptClock struct {
	Now time.Time `json:"now"`
	To  time.Time `json:"to"` // where it was going
}

const clockKey = "clock" // in the bucket "server"

// openClock makes the clock what it is to be in this data directory. The journal itself goes by the real one.
func (s *Server) openClock(ctx context.Context) error {
	kv, err := s.journal.KV(ctx, "server")
	if err != nil {
		return err
	}
	var kept keptClock
	e, err := kv.Get(ctx, clockKey)
	switch {
	case errors.Is(err, journal.ErrNotFound):
	case err != nil:
		return fmt.Errorf("read where the clock was: %w", err)
	default:
		if err := json.Unmarshal(e.Value, &kept); err != nil {
			return fmt.Errorf("read where the clock was: %w", err)
		}
	}
	if _, given := s.config.Clock.(*rialto.VirtualClock); s.config.Virtual && !given {
		start := s.config.ClockStart
		switch {
		case !kept.Now.IsZero(): // it goes on
			start = kept.Now
		case start.IsZero():
			start = time.Now().Truncate(time.Second)
		}
		s.config.Clock = rialto.NewVirtualClock(start)
	}
	var virtual bool
	if s.virtual, virtual = s.config.Clock.(*rialto.VirtualClock); !virtual {
		return s.refuseFuture(kept)
	}
	s.virtual.AdvanceTo(kept.Now)
	now := s.virtual.Now()
	return s.keepClock(ctx, now, now)
}

// refuseFuture refuses the real clock where what is stored is of a time that has not come: everything would wait for it.
func (s *Server) refuseFuture(kept keptClock) error {
	latest := kept.Now
	if kept.To.After(latest) {
		latest = kept.To
	}
	if !latest.After(s.config.Clock.Now()) {
		return nil
	}
	return rialto.Errorf(rialto.Invalid, "What %s has was stored by a virtual clock, at up to %s. Go on with --clock=virtual, or choose another folder "+
		"with --data-dir.", s.config.DataDir, latest.Format(time.RFC3339))
}

func (s *Server) keepClock(ctx context.Context, now, to time.Time) error {
	kv, err := s.journal.KV(ctx, "server")
	if err != nil {
		return err
	}
	value, err := json.Marshal(keptClock{now, to})
	if err != nil {
		return err
	}
	_, err = kv.Put(ctx, clockKey, value)
	return err
}

// recovered lets a virtual clock be no earlier than the last frame of a shard.
func (s *Server) recovered(last time.Time) {
	if s.virtual != nil {
		s.virtual.AdvanceTo(last)
	}
}

// openDriver prepares to move a virtual clock. The parts are in the order in which they hand work on; deliveries are made by the shards' word,
// which is counted.
func (s *Server) openDriver() {
	if s.virtual == nil {
		return
	}
	parts := []advance.Part{
		{Name: "rules with a schedule", Due: s.rules.Due},
		{Name: "schedules", Due: s.timers.Due},
		{Name: "replays", Due: s.replays.Due},
		{Name: "dead letters of queues", Due: s.queues.Due},
		{Name: "deliveries", Due: s.deliver.Due, Elsewhere: true},
		{Name: "schedules that are over", Due: s.schedules.Due},
		{Name: "circuits", Due: s.circuits.Due},
		{Name: "outages", Due: s.outages.Due},
	}
	for _, sh := range s.shards {
		parts = append(parts, advance.Part{Name: "retries, visibility and delays of " + sh.Name(), Due: func(ctx context.Context) (time.Time, int, error) {
			next, err := sh.Due(ctx)
			if err != nil || next.IsZero() || next.After(s.virtual.Now()) {
				return next, 0, err
			}
			return time.Time{}, 1, nil
		}})
	}
	s.driver = advance.New(s.virtual, parts, advance.Options{
		Logger: s.config.Logger, Patience: s.config.MoveWait, Keep: s.keepClock,
		Tidy: func(ctx context.Context) error {
			s.deliver.Hurry()
			return s.history.CatchUp(ctx)
		},
		Turns: func() (n uint64) {
			for _, sh := range s.shards {
				n += sh.Turns()
			}
			return n
		},
	})
	s.config.Logger.Warn("clock is virtual: it stands still until it is moved", "now", s.virtual.Now())
}

// clockName is what the clock is called where people look.
func (s *Server) clockName() string {
	if s.virtual != nil {
		return "virtual"
	}
	return "real"
}

// clockState says how the clock stands.
func (s *Server) clockState(ctx context.Context) (console.ClockState, error) {
	if s.virtual == nil {
		return console.ClockState{Mode: s.clockName(), Now: s.config.Clock.Now()}, nil
	}
	is, err := s.driver.State(ctx)
	state := console.ClockState{Mode: s.clockName(), Now: is.Now, Busy: is.Busy}
	if !is.Next.IsZero() {
		state.Next = &console.ClockNext{At: is.Next.UTC(), What: is.Part}
	}
	return state, err
}

// advanceClock moves the clock and says what happened meanwhile.
func (s *Server) advanceClock(ctx context.Context, to func(now time.Time) time.Time) (console.ClockMove, error) {
	if s.virtual == nil {
		return console.ClockMove{}, rialto.Errorf(rialto.Invalid, "This server goes by the real clock, which nobody can move. Start one that does not with "+
			"rialto serve --clock=virtual.")
	}
	before, fired := s.tally.counts(), s.timers.Fired()
	m, err := s.driver.To(ctx, to(s.virtual.Now()))
	if err != nil {
		return console.ClockMove{}, err
	}
	after := s.tally.counts()
	return console.ClockMove{
		Mode: s.clockName(), From: m.From, Now: m.To, Stops: m.Stops, Fired: s.timers.Fired() - fired, Delivered: after.delivered - before.delivered,
		Failed: after.failed - before.failed, DeadLetters: after.dead - before.dead, Left: m.Left,
	}, nil
}

// A tally counts how attempts end.
type tally struct{ delivered, failed, dead atomic.Uint64 }

type counts struct{ delivered, failed, dead uint64 }

func (t *tally) counts() counts { return counts{t.delivered.Load(), t.failed.Load(), t.dead.Load()} }

// Accepted is of no interest here.
func (t *tally) Accepted(*deliver.Accepted) {}

// CircuitChanged is of no interest here.
func (t *tally) CircuitChanged(*deliver.Circuit) {}

// Attempted counts an attempt.
func (t *tally) Attempted(a *deliver.Attempted) {
	switch {
	case a.Verdict.Action == deliver.Done && !a.Letter:
		t.delivered.Add(1)
	case a.Verdict.Action == deliver.DeadLetter && !a.Letter:
		t.failed.Add(1)
		t.dead.Add(1)
	case a.Err != nil:
		t.failed.Add(1)
	}
}
