package deliver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
)

const (
	linger      = 10 * time.Millisecond // outcomes wait so long for a frame of accepted events before they ask for one of their own
	outcomeSize = 64 << 10              // bytes of outcomes in one proposal, or a few more
	retryPause  = time.Second           // the longest pause between two tries to commit outcomes
)

// outcomes are how attempts ended, as the bodies of commands.
type outcomes struct {
	settled []byte
	again   []byte
	dead    []byte
	dropped []byte
	since   time.Time // when the first of them came
	ordered bool      // one of them may have others wait for it
}

// followed reports whether anything happens because of these outcomes, other than that deliveries are over: a next attempt, a dead letter, or what
// has waited for its turn.
func (o *outcomes) followed() bool { return o.ordered || len(o.again) > 0 || len(o.dead) > 0 }

func (o *outcomes) size() int { return len(o.settled) + len(o.again) + len(o.dead) + len(o.dropped) }

func (o *outcomes) addTo(b *shard.Batch) {
	for _, c := range []struct {
		kind shard.Kind
		body []byte
	}{{kindSettled, o.settled}, {kindAgain, o.again}, {kindDead, o.dead}, {kindDropped, o.dropped}} {
		if len(c.body) > 0 {
			b.Add(c.kind, c.body)
		}
	}
}

// A collector gathers the outcomes of one shard's attempts until they are committed. A delivery has one outcome at a time, so
// the deliveries that the machine knows bound it, however long the log cannot be written to.
type collector struct {
	clock   rialto.Clock // the real one: to linger saves writes
	mu      sync.Mutex
	waiting []*outcomes   // oldest first; the last may take more
	held    bool          // deliveries are held until another one of their group has ended
	hurried bool          // somebody waits for what waits
	own     bool          // some are on their way in a proposal of their own
	arrived chan struct{} // has a value when there may be less patience than before
}

func newCollector(clock rialto.Clock) *collector {
	return &collector{clock: clock, arrived: make(chan struct{}, 1)}
}

// add takes an outcome. That of an ordered delivery does not linger while any is held.
func (c *collector) add(ordered bool, write func(*outcomes)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.waiting)
	if n == 0 || c.waiting[n-1].size() >= outcomeSize {
		c.waiting = append(c.waiting, &outcomes{since: c.clock.Now()})
		n++
		c.signal()
	}
	last := c.waiting[n-1]
	write(last)
	if ordered && !last.ordered {
		last.ordered = true
		c.signal()
	}
}

// hold says whether any delivery is held. That a frame has just brought one is said each time: the outcome that it is held for may
// have come a moment before.
func (c *collector) hold(held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held = held; held {
		c.signal()
	}
}

func (c *collector) signal() {
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// take takes the oldest outcomes out, or nil if none waits.
func (c *collector) take() *outcomes {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return nil
	}
	o := c.waiting[0]
	if c.waiting = slices.Delete(c.waiting, 0, 1); len(c.waiting) == 0 {
		c.hurried = false
	}
	return o
}

// takeOwn is take for a proposal of their own, after which passed is called.
func (c *collector) takeOwn() *outcomes {
	c.mu.Lock()
	c.own = true
	c.mu.Unlock()
	return c.take()
}

func (c *collector) passed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = false
}

// hurry has what waits committed at once, all of it or only if something follows from it, and returns how much of what is hurried, or is on its way
// by itself, is not committed yet.
func (c *collector) hurry(all bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) > 0 && !c.hurried && (all || slices.ContainsFunc(c.waiting, (*outcomes).followed)) {
		c.hurried = true
		c.signal()
	}
	if c.hurried {
		n = len(c.waiting)
	}
	if c.own {
		n++
	}
	return n
}

// giveBack takes outcomes again that were not committed, or perhaps not. Saying an outcome twice does no harm.
func (c *collector) giveBack(o *outcomes) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = slices.Insert(c.waiting, 0, o)
	c.hurried = true // it has waited
	c.signal()
}

// patience is how long what waits may go on waiting for a frame; ok is false if nothing waits.
func (c *collector) patience() (d time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch len(c.waiting) {
	case 0:
		return 0, false
	case 1:
		if c.hurried || c.held && c.waiting[0].ordered {
			return 0, true
		}
		return linger - c.clock.Now().Sub(c.waiting[0].since), true
	}
	return 0, true
}

// A ride takes outcomes along in somebody else's proposal.
type ride struct {
	from  *collector
	mu    sync.Mutex
	taken *outcomes
	over  bool // the proposer does not wait any more, so that nobody would hear whether they arrived
}

// board adds what waits to a frame. It is called while the frame is built.
func (r *ride) board(b *shard.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	if r.taken = r.from.take(); r.taken != nil {
		r.taken.addTo(b)
	}
}

// end says how the proposal ended.
func (r *ride) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if err != nil && r.taken != nil {
		r.from.giveBack(r.taken)
	}
}

// collect commits outcomes that find no ride, until finish is closed; then it commits what is left. It returns an error if the
// shard is lost. After ctx ends nothing is committed any more.
func (h *host) collect(ctx context.Context, finish <-chan struct{}) error {
	c := h.outcomes
	finishing := false
	for {
		wait, any := c.patience()
		switch {
		case any && (wait <= 0 || finishing):
			err := h.commit(ctx, c.takeOwn())
			c.passed()
			if err != nil || ctx.Err() != nil {
				return err
			}
		case finishing:
			return nil
		case any:
			timer := c.clock.NewTimer(wait)
			select {
			case <-timer.C():
			case <-c.arrived:
			case <-finish:
				finishing = true
			}
			timer.Stop()
		default:
			select {
			case <-c.arrived:
			case <-finish:
				finishing = true
			}
		}
	}
}

// commit proposes outcomes until they are in the log.
func (h *host) commit(ctx context.Context, o *outcomes) error {
	if o == nil {
		return nil // somebody gave them a ride just now
	}
	for pause := linger; ; pause = min(2*pause, retryPause) {
		_, err := h.shard.Propose(ctx, o.addTo)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, shard.ErrFenced) || rialto.KindOf(err) != rialto.Unavailable {
			return err
		}
		timer := h.outcomes.clock.NewTimer(pause)
		select {
		case <-timer.C():
		case <-ctx.Done():
		}
		timer.Stop()
	}
}
