package advance_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/advance"
)

var beginning = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(hours int) time.Time { return beginning.Add(time.Duration(hours) * time.Hour) }

// A worker is a part that begins some work at each of its times, and ends it some time later in the real world.
type worker struct {
	name  string
	clock *rialto.VirtualClock
	takes time.Duration // what never ends takes 0

	mu    sync.Mutex
	times []time.Time // at which work is still to begin, the earliest first
	busy  int
	ended []time.Time // when work ended, by the clock
}

// part is the worker as a part.
func (w *worker) part(elsewhere bool) advance.Part {
	return advance.Part{Name: w.name, Due: w.due, Elsewhere: elsewhere}
}

func (w *worker) due(context.Context) (next time.Time, inHand int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.times) > 0 && !w.times[0].After(w.clock.Now()) {
		w.times = w.times[1:]
		w.begin()
	}
	if len(w.times) > 0 {
		next = w.times[0]
	}
	return next, w.busy, nil
}

func (w *worker) begin() {
	w.busy++
	if w.takes > 0 {
		go func() {
			time.Sleep(w.takes)
			w.end()
		}()
	}
}

func (w *worker) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	w.ended = append(w.ended, w.clock.Now())
}

// done is when work ended, in hours since the beginning.
func (w *worker) done() (hours []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.ended {
		hours = append(hours, int(t.Sub(beginning)/time.Hour))
	}
	return hours
}

// A mark is what was kept of a clock.
type mark struct{ now, to time.Time }

// A ledger keeps marks.
type ledger struct {
	marks []mark
	err   error
}

func (l *ledger) keep(_ context.Context, now, to time.Time) error {
	l.marks = append(l.marks, mark{now, to})
	return l.err
}

// Everything that was set off at a stop is over before the clock goes on to the next, and after the last of them to where it was told to.
func TestStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, kept := rialto.NewVirtualClock(beginning), new(ledger)
		slow := &worker{name: "slow", clock: clock, takes: time.Second, times: []time.Time{at(1), at(3), at(3), at(9)}}
		quick := &worker{name: "quick", clock: clock, takes: time.Microsecond, times: []time.Time{at(2), at(3)}}
		d := advance.New(clock, []advance.Part{slow.part(false), quick.part(false)}, advance.Options{Keep: kept.keep})
		if is, err := d.State(t.Context()); err != nil || !is.Next.Equal(at(1)) || is.Part != "slow" || len(is.Busy) > 0 {
			t.Errorf("before it goes on the clock is %+v, %v", is, err)
		}
		m, err := d.To(t.Context(), at(8))
		if err != nil || m.Stops != 3 || !m.From.Equal(beginning) || !m.To.Equal(at(8)) || len(m.Left) > 0 {
			t.Errorf("the move was %+v, %v", m, err)
		}
		if got, want := slow.done(), []int{1, 3, 3}; !slices.Equal(got, want) {
			t.Errorf("slow work ended at %v, want %v", got, want)
		}
		if got, want := quick.done(), []int{2, 3}; !slices.Equal(got, want) {
			t.Errorf("quick work ended at %v, want %v", got, want)
		}
		if want := []mark{{beginning, at(8)}, {at(8), at(8)}}; !slices.Equal(kept.marks, want) {
			t.Errorf("kept is %v, want %v", kept.marks, want)
		}
		if _, err := d.To(t.Context(), at(7)); rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("a move back got %v", err)
		}
	})
}

// What is elsewhere is waited for once, and then left behind until it has ended; what comes beside it is waited for.
func TestWhatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := rialto.NewVirtualClock(beginning)
		hangs := &worker{name: "calls", clock: clock, times: []time.Time{at(1)}}
		works := &worker{name: "schedules", clock: clock, takes: time.Second, times: []time.Time{at(2), at(3)}}
		d := advance.New(clock, []advance.Part{works.part(false), hangs.part(true)}, advance.Options{})
		began := time.Now()
		m, err := d.To(t.Context(), at(4))
		if err != nil || !slices.Equal(m.Left, []string{"calls"}) || !m.To.Equal(at(4)) {
			t.Errorf("the move was %+v, %v", m, err)
		}
		if got := time.Since(began); got < 12*time.Second || got > 13*time.Second {
			t.Errorf("it took %s, want ten seconds for what hangs and two for what works", got)
		}
		if got, want := works.done(), []int{2, 3}; !slices.Equal(got, want) {
			t.Errorf("what works ended at %v, want %v", got, want)
		}
		hangs.end()
		if m, err := d.To(t.Context(), at(5)); err != nil || len(m.Left) > 0 {
			t.Errorf("when nothing hangs any more the move was %+v, %v", m, err)
		}
	})
}

// What this server does itself must end: the clock does not go on without it.
func TestWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := rialto.NewVirtualClock(beginning)
		stuck := &worker{name: "schedules", clock: clock, times: []time.Time{at(1)}}
		d := advance.New(clock, []advance.Part{stuck.part(false)}, advance.Options{Patience: time.Minute})
		m, err := d.To(t.Context(), at(4))
		if rialto.KindOf(err) != rialto.Unavailable || !strings.Contains(err.Error(), "schedules are at work for longer than 1m0s") || !m.To.Equal(at(1)) {
			t.Errorf("the move was %+v, %v", m, err)
		}
		stuck.end()
		if m, err := d.To(t.Context(), at(4)); err != nil || !m.From.Equal(at(1)) || !m.To.Equal(at(4)) {
			t.Errorf("when it is not stuck any more the move was %+v, %v", m, err)
		}
	})
}

// One who leaves stops the clock where it is; until then nobody else moves it.
func TestWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, kept := rialto.NewVirtualClock(beginning), new(ledger)
		slow := &worker{name: "calls", clock: clock, takes: 5 * time.Second, times: []time.Time{at(1), at(2)}}
		d := advance.New(clock, []advance.Part{slow.part(true)}, advance.Options{Keep: kept.keep})
		ctx, leave := context.WithCancel(t.Context())
		moved := make(chan advance.Move)
		go func() {
			m, err := d.To(ctx, at(4))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("who left was told %v", err)
			}
			moved <- m
		}()
		time.Sleep(6 * time.Second) // in which one call has ended, and the other has not
		if _, err := d.To(t.Context(), at(9)); rialto.KindOf(err) != rialto.Conflict {
			t.Errorf("a second move at the same time got %v", err)
		}
		leave()
		if m := <-moved; !m.To.Equal(at(2)) || m.Stops != 2 {
			t.Errorf("the move was %+v", m)
		}
		if want := (mark{at(2), at(2)}); kept.marks[len(kept.marks)-1] != want {
			t.Errorf("kept is %v, want %v at last", kept.marks, want)
		}
		if m, err := d.To(t.Context(), at(4)); err != nil || m.Stops != 0 || !slices.Equal(slow.done(), []int{1, 2}) {
			t.Errorf("the next move was %+v, %v, and calls ended at %v", m, err, slow.done())
		}
	})
}

// Work that goes back, to a part that has been asked already, is not overlooked.
func TestWorkThatGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := rialto.NewVirtualClock(beginning)
		first := &worker{name: "deliveries", clock: clock, takes: time.Millisecond}
		var turns uint64
		times := []time.Time{at(1), at(2)}
		hands := advance.Part{Name: "shards", Due: func(context.Context) (next time.Time, inHand int, err error) {
			for len(times) > 0 && !times[0].After(clock.Now()) { // it is in the hand of the first part before anybody sees it in this one
				times = times[1:]
				turns++
				first.mu.Lock()
				first.begin()
				first.mu.Unlock()
			}
			if len(times) > 0 {
				next = times[0]
			}
			return next, 0, nil
		}}
		d := advance.New(clock, []advance.Part{first.part(false), hands}, advance.Options{Turns: func() uint64 { return turns }})
		if m, err := d.To(t.Context(), at(9)); err != nil || m.Stops != 2 {
			t.Errorf("the move was %+v, %v", m, err)
		}
		if got, want := first.done(), []int{1, 2}; !slices.Equal(got, want) {
			t.Errorf("work ended at %v, want %v", got, want)
		}
	})
}

// What cannot be kept does not happen, and what tidying up sets off is waited for.
func TestKeepAndTidy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, kept := rialto.NewVirtualClock(beginning), &ledger{err: errors.New("the disk is full")}
		w := &worker{name: "history", clock: clock, takes: time.Second}
		d := advance.New(clock, []advance.Part{w.part(false)}, advance.Options{Keep: kept.keep, Tidy: func(context.Context) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.begin()
			return nil
		}})
		if _, err := d.To(t.Context(), at(1)); !errors.Is(err, kept.err) || !clock.Now().Equal(beginning) {
			t.Errorf("a move that could not be kept got %v, and the clock shows %v", err, clock.Now())
		}
		kept.err = nil
		if _, err := d.To(t.Context(), at(1)); err != nil || !slices.Equal(w.done(), []int{1}) {
			t.Errorf("the move got %v, and what it tidied up ended at %v", err, w.done())
		}
	})
}
