// Package advance moves a virtual clock from one thing that is due to the next, so that a month passes in a second and everything in it happens
// in its order.
//
// A clock that jumps makes a mess: whatever fell due on the way happens at its end, all at once. So it steps. At each stop everything that was set off
// there comes to its end before the clock goes on: a schedule fires, its event is delivered, the attempt fails, its outcome is in the log; then the next
// attempt is due in a minute, and that may be the next stop.
//
//	┌─► look: is anything in hand? ── yes ──► wait a moment, in the real world ─┐
//	│   no: when is the next thing due?                                         │
//	│    └─► move the clock there ──────────────────────────────────────────────┤
//	└───────────────────────────────────────────────────────────────────────────┘
//
// Each [Part] says what it has in hand and what it waits for. Work goes from part to part while they are asked, so the answers are good only together:
// the parts are asked in the order in which they hand work on, and the one way back, through the shards, is watched by counting ([Options.Turns]).
// What never ends, such as a call to a target that does not answer, is waited for as long as [Options.Patience] says, and left behind then.
//
// Start with [Driver.To].
package advance

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
)

const (
	defaultPatience = 10 * time.Second
	spins           = 20                    // looks without a pause: most things take some ten microseconds
	firstPause      = 20 * time.Microsecond // between two looks then, doubled each time
	longestPause    = 2 * time.Millisecond
)

// A Part is a part of a server that acts by the clock.
type Part struct {
	Name string // for people, such as "deliveries"

	// Due says when the part will have something to do next, by itself, after the present, zero if that is no matter of time; and how much it has in hand now.
	Due func(ctx context.Context) (next time.Time, inHand int, err error)

	// Elsewhere is set if what the part has in hand may depend on others, so that nobody can tell how long it takes.
	Elsewhere bool
}

// Options tunes a [Driver]. The zero value is ready to use.
type Options struct {
	Logger   *slog.Logger  // nil discards
	Patience time.Duration // for which work in hand is waited for at a stop, by the real clock; 0 is 10 seconds

	// Turns grows whenever work has come to a part in another way than from one that is asked before it. Nil is never.
	Turns func() uint64
	// Keep stores where the clock is and where it is going, so that the next process goes on from there. Nil does not.
	Keep func(ctx context.Context, now, to time.Time) error
	// Tidy does at the end of a move what is done by the clock but makes no difference to anybody, such as giving back space. Nil does nothing.
	Tidy func(ctx context.Context) error
}

// A Driver moves a clock.
type Driver struct {
	clock *rialto.VirtualClock
	parts []Part
	opts  Options

	moving sync.Mutex // held by whoever moves the clock
}

// New makes a Driver of a clock by which some parts go. A part hands work to those after it, and to others only as [Options.Turns] counts it.
func New(clock *rialto.VirtualClock, parts []Part, opts Options) *Driver {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	opts.Patience = cmp.Or(opts.Patience, defaultPatience)
	if opts.Turns == nil {
		opts.Turns = func() uint64 { return 0 }
	}
	if opts.Keep == nil {
		opts.Keep = func(context.Context, time.Time, time.Time) error { return nil }
	}
	if opts.Tidy == nil {
		opts.Tidy = func(context.Context) error { return nil }
	}
	return &Driver{clock: clock, parts: parts, opts: opts}
}

// A State is how a clock stands.
type State struct {
	Now  time.Time
	Next time.Time // when something is due; zero if nothing is
	Part string    // which has it
	Busy []string  // parts that have work in hand now
}

// State returns how the clock stands.
func (d *Driver) State(ctx context.Context) (State, error) {
	l, err := d.look(ctx)
	return State{Now: d.clock.Now(), Next: l.next, Part: l.part, Busy: l.busy(nil)}, err
}

// A Move is how a clock was moved.
type Move struct {
	From, To time.Time
	Stops    int
	Left     []string // parts of which some work was left behind, since it took too long
}

// To moves the clock to a time. If ctx ends, or something of this server does not get on, the clock stays at the stop that it has reached, and
// Move says which. There is one move at a time; the error of another is of the kind Conflict.
func (d *Driver) To(ctx context.Context, to time.Time) (Move, error) {
	if !d.moving.TryLock() {
		return Move{}, rialto.Errorf(rialto.Conflict, "Somebody else is moving the clock. Try again when that is done.")
	}
	defer d.moving.Unlock()
	from := d.clock.Now()
	if to.Before(from) {
		return Move{}, rialto.Errorf(rialto.Invalid, "The clock shows %s already and never goes back.", from.Format(time.RFC3339Nano))
	}
	m := Move{From: from, To: from}
	if err := d.opts.Keep(ctx, from, to); err != nil {
		return m, fmt.Errorf("keep where the clock goes: %w", err)
	}
	err := d.move(ctx, &m, to)
	m.To = d.clock.Now()
	if kept := d.opts.Keep(context.WithoutCancel(ctx), m.To, m.To); kept != nil {
		err = cmp.Or(err, fmt.Errorf("keep where the clock is: %w", kept))
	}
	return m, err
}

func (d *Driver) move(ctx context.Context, m *Move, to time.Time) error {
	left := make(map[string]int) // by part: what is not waited for any more
	defer func() {
		for _, p := range d.parts {
			if _, ok := left[p.Name]; ok {
				m.Left = append(m.Left, p.Name)
			}
		}
	}()
	for {
		next, err := d.settle(ctx, left)
		if err != nil {
			return err
		}
		if next.IsZero() || next.After(to) {
			break
		}
		d.clock.AdvanceTo(next)
		m.Stops++
	}
	d.clock.AdvanceTo(to)
	if err := d.opts.Tidy(ctx); err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	_, err := d.settle(ctx, left)
	return err
}

// settle waits until nothing is in hand but what is left behind, and returns when the next thing is due.
func (d *Driver) settle(ctx context.Context, left map[string]int) (next time.Time, err error) {
	began := rialto.SystemClock.Now()
	for looks := 0; ; looks++ {
		l, err := d.look(ctx)
		if err != nil {
			return time.Time{}, err
		}
		busy := l.busy(left)
		if len(busy) == 0 && l.whole {
			return l.next, nil
		}
		if rialto.SystemClock.Now().Sub(began) >= d.opts.Patience {
			if err := d.leave(l, left); err != nil {
				return time.Time{}, err
			}
			d.opts.Logger.Warn("clock goes on without what takes too long", "parts", strings.Join(busy, ", "), "now", d.clock.Now())
			return l.next, nil
		}
		if err := pause(ctx, looks); err != nil {
			return time.Time{}, err
		}
	}
}

// leave leaves behind what is in hand. What is this server's own must not be: there is something wrong with it.
func (d *Driver) leave(l *looked, left map[string]int) error {
	for _, p := range d.parts {
		n := l.inHand[p.Name]
		switch {
		case n <= left[p.Name]:
		case !p.Elsewhere:
			return rialto.Errorf(rialto.Unavailable, "The clock stays at %s: %s are at work for longer than %s, so something is in their way. "+
				"The log of the server may say what.", d.clock.Now().Format(time.RFC3339Nano), p.Name, d.opts.Patience)
		default:
			left[p.Name] = n
		}
	}
	return nil
}

// pause waits a moment, the longer the more often one has looked.
func pause(ctx context.Context, looks int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if looks < spins {
		runtime.Gosched()
		return nil
	}
	t := rialto.SystemClock.NewTimer(min(firstPause<<min(looks-spins, 10), longestPause))
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A looked is what was seen when all parts were asked.
type looked struct {
	next   time.Time
	part   string
	inHand map[string]int // by part
	whole  bool           // no work went back meanwhile
}

func (d *Driver) look(ctx context.Context) (*looked, error) {
	l := &looked{inHand: make(map[string]int)}
	turns := d.opts.Turns()
	for _, p := range d.parts {
		next, n, err := p.Due(ctx)
		if err != nil {
			return l, fmt.Errorf("ask %s what is due: %w", p.Name, err)
		}
		if n > 0 {
			l.inHand[p.Name] = n
		}
		if !next.IsZero() && (l.next.IsZero() || next.Before(l.next)) {
			l.next, l.part = next, p.Name
		}
	}
	l.whole = d.opts.Turns() == turns
	return l, nil
}

// busy lists the parts that have more in hand than what is left behind. Of that, what has come to an end is forgotten.
func (l *looked) busy(left map[string]int) []string {
	for part, n := range left {
		left[part] = min(n, l.inHand[part])
	}
	var list []string
	for _, part := range slices.Sorted(maps.Keys(l.inHand)) {
		if l.inHand[part] > left[part] {
			list = append(list, part)
		}
	}
	return list
}
