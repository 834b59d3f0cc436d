package lambda

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rialto-events/rialto/target"
)

// Programs that end before they ask for work are not started over and over: after each failure in a row the pause doubles. Attempts
// that come meanwhile have the error of the last start.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// A pool runs the program of one function, as many instances of it at once as are needed and allowed.
//
//	          ┌────────── idle: those that wait, the one used last at the end ──────────┐
//	invoke ─► │ take the last of the same ARN, else start one, else end one and start ─►│ instance ─► answer ─► idle
//	          └──────────────────────────────────────────────────────────────────────────┘
//
// Whoever invokes holds one of the slots, so that an instance waits wherever as many run as may. An instance serves one ARN only:
// what a function keeps in memory for one account is not there for another.
type pool struct {
	function Function
	options  Options
	slots    chan struct{}
	ended    sync.WaitGroup // of instances

	mu       sync.Mutex
	running  int // instances that were not told to end
	idle     []*instance
	closed   bool
	failures int   // starts in a row that came to nothing
	failed   error // the last of them
	again    time.Time
}

func newPool(f Function, o Options) *pool {
	return &pool{function: f, options: o, slots: make(chan struct{}, f.Instances)}
}

// invoke has an instance do the work. One that has ended while it waited for work is passed over.
func (p *pool) invoke(ctx context.Context, c *call) (result, error) {
	if err := acquire(ctx, c, p.slots); err != nil {
		return result{}, err
	}
	defer func() { <-p.slots }()
	for {
		i, warm, err := p.take(c)
		if err != nil {
			return result{}, err
		}
		r, err := i.invoke(ctx, c)
		idle := err == errEnded || err == errMute
		if idle && warm {
			p.drop(i)
			continue
		}
		if idle {
			err = p.noteFailure(i.whyNot(c, err))
		} else if i.ready() {
			p.noteSuccess()
		}
		if err != nil || !i.alive() {
			p.drop(i)
		} else {
			p.giveBack(i)
		}
		return r, err
	}
}

// take is the instance for a call; a warm one has worked before.
func (p *pool) take(c *call) (i *instance, warm bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, &target.Error{Code: target.CodeInternal, Message: "The functions are being stopped: the server stops."}
	}
	for at := len(p.idle) - 1; at >= 0; at-- {
		if i := p.idle[at]; i.arn == c.arn {
			p.idle = slices.Delete(p.idle, at, at+1)
			i.expiry.Stop()
			return i, true, nil
		}
	}
	if p.failed != nil && time.Now().Before(p.again) {
		return nil, false, p.failed
	}
	if p.running == p.function.Instances { // then one is idle, since we hold a slot
		p.end(p.idle[0])
	}
	i, err = newInstance(p, c)
	if err != nil {
		return nil, false, p.noteFailureLocked(err)
	}
	p.running++
	return i, false, nil
}

func (p *pool) giveBack(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, i)
	if p.closed {
		p.end(i)
		return
	}
	i.expiry = time.AfterFunc(p.function.Idle, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if slices.Contains(p.idle, i) {
			p.end(i)
		}
	})
}

// end has an idle instance end, in its own time. p.mu is held.
func (p *pool) end(i *instance) {
	p.idle = slices.DeleteFunc(p.idle, func(x *instance) bool { return x == i })
	p.running--
	if i.expiry != nil {
		i.expiry.Stop()
	}
	i.stop()
}

// drop ends an instance that is of no use any more, at once.
func (p *pool) drop(i *instance) {
	i.kill()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
}

func (p *pool) noteFailure(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.noteFailureLocked(err)
}

func (p *pool) noteFailureLocked(err error) error {
	p.failed, p.again = err, time.Now().Add(min(firstPause<<min(p.failures, 10), lastPause))
	p.failures++
	return err
}

func (p *pool) noteSuccess() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures, p.failed = 0, nil
}

// close ends all instances and waits for them. Those that work were left by whoever invoked them.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for len(p.idle) > 0 {
		p.end(p.idle[0])
	}
	p.mu.Unlock()
	p.ended.Wait()
}
