package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// TestChaos kills whole processes at random moments, while callers accept events on two shards, the journal fails in all its ways and
// destinations fail in theirs. What Accept has answered for must arrive, or its letter.
func TestChaos(t *testing.T) {
	seeds := uint64(25)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { newChaos(seed).run(t) }) }) {
			return
		}
	}
}

// A chaos is one run of it.
type chaos struct {
	sim     *journal.Sim
	targets []*target.Sealed

	mu      sync.Mutex
	rand    *rand.Rand
	wanted  map[string]bool // "event target" of every delivery that Accept has answered for
	arrived map[string]int  // by the same name, at the target or at the dead-letter queue
	n       int             // events so far
	calm    bool            // destinations take everything
	down    int             // number of the target that is down, so that its circuit opens; -1 is none
}

func newChaos(seed uint64) *chaos {
	c := &chaos{
		sim: journal.NewSim(seed, journal.SimFaults{}), rand: rand.New(rand.NewPCG(seed, 2)),
		wanted: make(map[string]bool), arrived: make(map[string]int), down: -1,
	}
	for i := range 4 {
		c.targets = append(c.targets, testTarget(fmt.Sprintf("t%d", i), true))
	}
	return c
}

func (c *chaos) chance(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.IntN(n)
}

// Send is what the destinations do. A dead letter is never refused for good, or it would be lost, as it should.
func (c *chaos) Send(ctx context.Context, m *target.Message) error {
	c.mu.Lock()
	what, pause := c.rand.IntN(12), time.Duration(c.rand.IntN(50))*time.Millisecond
	down := !c.calm && m.Attributes == nil && m.Definition.ID == fmt.Sprintf("t%d", c.down)
	if c.calm {
		what = 0
	}
	c.mu.Unlock()
	if down {
		return errBusy
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return ctx.Err()
	}
	letter := m.Attributes != nil
	switch {
	case what == 1 && !letter:
		return errGone
	case what == 2 && !letter:
		panic("chaos")
	case what >= 3 && what < 6 && !letter, what == 3 && m.Attempt < 5:
		return errBusy
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived[m.EventID+" "+m.Definition.ID]++
	if what == 7 {
		return errBusy // it has arrived, and says that it has not
	}
	return nil
}

func (c *chaos) run(t *testing.T) {
	for range 6 {
		p := c.start(t)
		var callers sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			callers.Go(func() { c.call(p.Deliverer, stop) })
		}
		time.Sleep(time.Duration(c.chance(3000)) * time.Millisecond)
		c.mu.Lock()
		c.down = c.rand.IntN(len(c.targets)+2) - 1 // sometimes none, or none that there is
		c.mu.Unlock()
		time.Sleep(time.Duration(c.chance(8000)) * time.Millisecond)
		orderly := c.chance(4) == 0
		close(stop)
		if !orderly {
			p.kill()
			callers.Wait()
			continue
		}
		callers.Wait()
		p.stop()
	}
	c.sim.SetFaults(journal.SimFaults{})
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	p := c.start(t)
	time.Sleep(26 * time.Hour)
	left, err := p.WaitingEvents(context.Background())
	if err != nil || len(left) > 0 {
		t.Errorf("a day later %v still waits, %v", left, err)
	}
	p.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.wanted {
		if c.arrived[name] == 0 {
			t.Errorf("%s was accepted and is lost", name)
		}
	}
	if len(c.wanted) < 100 {
		t.Errorf("only %d deliveries were accepted", len(c.wanted))
	}
}

// call accepts events until it is stopped.
func (c *chaos) call(d *Deliverer, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(c.chance(30)) * time.Millisecond):
		}
		var events []Accepted
		for range 1 + c.chance(3) {
			c.mu.Lock()
			c.n++
			e := newEvent(fmt.Sprintf("e%d", c.n))
			for _, i := range c.rand.Perm(len(c.targets))[:1+c.rand.IntN(3)] {
				e.Targets = append(e.Targets, c.targets[i])
			}
			c.mu.Unlock()
			events = append(events, e)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+c.chance(200))*time.Millisecond)
		err := d.Accept(ctx, events)
		cancel()
		if err != nil {
			continue
		}
		c.mu.Lock()
		for _, e := range events {
			for _, s := range e.Targets {
				c.wanted[e.EventID+" "+s.ID] = true
			}
		}
		c.mu.Unlock()
	}
}

// A process is a Deliverer with its two shards.
type process struct {
	*Deliverer
	journal *journal.SimJournal
	ends    []func() error // in the order in which they are started
}

// start starts a process; the journal fails from then on.
func (c *chaos) start(t *testing.T) *process {
	t.Helper()
	for range 1000 {
		p := &process{Deliverer: New(func(*target.Definition) target.Sender { return c }, Options{Window: 8}), journal: c.sim.Open()}
		shards, err := p.open()
		if err != nil {
			if _, damaged := errors.AsType[*journal.DamageError](err); damaged {
				t.Fatal(err)
			}
			continue // the journal failed
		}
		p.Attach(shards)
		for _, s := range shards {
			p.ends = append(p.ends, inBackground(s.Run))
		}
		p.ends = append(p.ends, inBackground(p.Run))
		c.mu.Lock()
		if !c.calm {
			c.sim.SetFaults(journal.SimFaults{LostAck: 0.05, LostWrite: 0.05, Late: 0.05, Unavailable: 0.1, CrashBefore: 0.002, CrashAfter: 0.002})
		}
		c.mu.Unlock()
		return p
	}
	t.Fatal("no process came up")
	return nil
}

func (p *process) open() ([]*shard.Shard, error) {
	blob, err := p.journal.Blob(context.Background(), "snapshots")
	if err != nil {
		return nil, err
	}
	var shards []*shard.Shard
	for i := range 2 {
		log, err := p.journal.Log(context.Background(), fmt.Sprintf("shard-%d", i))
		if err != nil {
			return nil, err
		}
		s, err := shard.Open(context.Background(), log, blob, []shard.Hosted{p.Host()}, shard.Options{})
		if err != nil {
			return nil, err
		}
		shards = append(shards, s)
	}
	return shards, nil
}

// stop ends the process in order. The journal may fail it even then, so what the parts say does not count.
func (p *process) stop() {
	for i := len(p.ends) - 1; i >= 0; i-- {
		_ = p.ends[i]()
	}
}

func (p *process) kill() {
	p.journal.Crash()
	p.stop()
}
