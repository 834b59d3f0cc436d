package journal

import (
	"context"
	"errors"
	"sync"
)

// A gate stands before every write. It is shut while the embedded server is being replaced, and for good when the journal is
// closed. No write is in flight while it is shut, so that what a read finds afterwards is final.
type gate struct {
	mu      sync.Mutex
	why     error                // why it is shut; nil while it is open
	flights map[*flight]struct{} // writes that have passed and are not back
	empty   chan struct{}        // closed when the last of them is back; nil if nobody waits for that
}

type flight struct{ cancel context.CancelCauseFunc }

// enter lets a write pass, or says why not. The context ends when the gate is shut; leave must be called.
func (g *gate) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why != nil {
		return nil, nil, g.why
	}
	ctx, cancel := context.WithCancelCause(ctx)
	f := &flight{cancel}
	if g.flights == nil {
		g.flights = make(map[*flight]struct{})
	}
	g.flights[f] = struct{}{}
	return ctx, func() { g.leave(f) }, nil
}

func (g *gate) leave(f *flight) {
	f.cancel(nil)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.flights, f)
	if len(g.flights) == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// shut refuses writes with why, calls back those in flight and waits for them. A gate that is shut for good stays so.
func (g *gate) shut(why error) {
	g.mu.Lock()
	if !errors.Is(g.why, ErrClosed) {
		g.why = why
	}
	if len(g.flights) == 0 {
		g.mu.Unlock()
		return
	}
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	for f := range g.flights {
		f.cancel(why)
	}
	g.mu.Unlock()
	<-empty
}

// open lets writes pass again, unless the gate is shut for good.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !errors.Is(g.why, ErrClosed) {
		g.why = nil
	}
}

// refusal is why the gate is shut, or nil.
func (g *gate) refusal() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

func (g *gate) closed() bool { return errors.Is(g.refusal(), ErrClosed) }
