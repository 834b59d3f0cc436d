package ingest

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rialto-events/rialto/internal/route"
)

// tapBuffer is how many events wait for who looks on; further ones are left out and counted.
const tapBuffer = 1024

// A Tap shows the events that a bus accepts, as they are accepted: whether a rule wants them or not, and a moment before they
// are in the log. Whoever reads too slowly misses some; accepting never waits for a tap.
type Tap struct {
	events chan []byte
	missed atomic.Uint64
	bus    route.Bus
}

// Events hands out the events, as JSON that must not be changed.
func (t *Tap) Events() <-chan []byte { return t.events }

// Missed is how many events were left out so far.
func (t *Tap) Missed() uint64 { return t.missed.Load() }

// Tap begins to look at a bus. Call close to end it.
func (in *Ingester) Tap(bus route.Bus) (t *Tap, closeTap func()) {
	t = &Tap{events: make(chan []byte, tapBuffer), bus: bus}
	in.taps.change(func(all []*Tap) []*Tap { return append(slices.Clone(all), t) })
	return t, func() {
		in.taps.change(func(all []*Tap) []*Tap {
			return slices.DeleteFunc(slices.Clone(all), func(x *Tap) bool { return x == t })
		})
	}
}

// taps are all that look on; there are none, as a rule.
type taps struct {
	all atomic.Pointer[[]*Tap]
	mu  sync.Mutex // held while another list is made
}

func (ts *taps) change(f func([]*Tap) []*Tap) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	var all []*Tap
	if p := ts.all.Load(); p != nil {
		all = *p
	}
	all = f(all)
	ts.all.Store(&all)
}

// show hands an event to those who look at its bus.
func (ts *taps) show(bus route.Bus, event []byte) {
	p := ts.all.Load()
	if p == nil {
		return
	}
	for _, t := range *p {
		if t.bus != bus {
			continue
		}
		select {
		case t.events <- event:
		default:
			t.missed.Add(1)
		}
	}
}
