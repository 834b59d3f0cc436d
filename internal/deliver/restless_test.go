package deliver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/target"
)

// TestNoLaneSleepsForEver changes everything that makes lanes and circuits wait, at random and under load: the limits of rules, modes of
// circuits, paces, how attempts end, restarts. When that is over, nothing may wait any more, and every group came in its order.
func TestNoLaneSleepsForEver(t *testing.T) {
	seeds := uint64(10)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { newRestless(t, seed).run() }) }) {
			return
		}
	}
}

// A restless is one run of it: rules whose targets are two destinations.
type restless struct {
	*rig
	rules []*target.Definition // without limits

	mu     sync.Mutex
	rand   *rand.Rand
	pace   float64
	broken [2]int         // of a hundred attempts at each destination
	last   map[string]int // number of the newest event that was attempted, by target and group
	again  map[string]int // the newest that was attempted before the restart
	n      int
}

const restlessGroups = 3

func newRestless(t *testing.T, seed uint64) *restless {
	c := &restless{
		rand: rand.New(rand.NewPCG(seed, 3)), last: make(map[string]int), again: make(map[string]int),
	}
	for i := range 4 {
		def := *testTarget(fmt.Sprint("billing", i%2), true).Definition
		def.ID = fmt.Sprint("t", i)
		c.rules = append(c.rules, &def)
	}
	c.rig = newRig(t, Options{Window: 8})
	c.stop()
	c.resolve = func(*target.Definition) target.Sender { return c }
	c.start()
	return c
}

func (c *restless) chance(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.IntN(n)
}

func (c *restless) Pace(*target.Definition) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pace
}

func (c *restless) Most(*target.Definition) (messages, bytes int) { return 5, 0 }

func (c *restless) Send(ctx context.Context, m *target.Message) error {
	return c.SendBatch(ctx, []*target.Message{m})[0]
}

func (c *restless) SendBatch(_ context.Context, ms []*target.Message) []error {
	errs := make([]error, len(ms))
	for i, m := range ms {
		if m.Attributes == nil {
			errs[i] = c.take(m)
		}
	}
	time.Sleep(time.Duration(c.chance(30)) * time.Millisecond)
	return errs
}

// take is what becomes of one message.
func (c *restless) take(m *target.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var n int
	if _, err := fmt.Sscanf(m.EventID, "e%d", &n); err != nil {
		c.t.Error(err)
	}
	if m.Definition.OrderBy != "" {
		group := fmt.Sprint(m.Definition.ID, n%restlessGroups)
		if n < c.last[group] && n != c.again[group] {
			c.t.Errorf("%s of %s is attempted after e%d", m.EventID, group, c.last[group])
		}
		c.last[group] = max(c.last[group], n)
	}
	var at int
	fmt.Sscanf(m.Definition.ID, "t%d", &at)
	if c.rand.IntN(100) >= c.broken[at%2] {
		return nil
	}
	switch c.rand.IntN(8) {
	case 0:
		return errGone
	case 1:
		panic("a mistake")
	case 2:
		return &target.Error{Code: target.CodeThrottling, Message: "Rate exceeded", RetryAfter: time.Duration(c.rand.IntN(90)) * time.Second}
	}
	return errBusy
}

// tuned is a rule's target with limits of some sort.
func (c *restless) tuned(def target.Definition) *target.Sealed {
	c.mu.Lock()
	defer c.mu.Unlock()
	def.OrderBy = "$.detail.k"
	if def.ID == "t3" {
		def.OrderBy = ""
	}
	if c.rand.IntN(2) == 0 {
		def.Batch = &target.Batch{Size: 2 + c.rand.IntN(9), Window: time.Duration(c.rand.IntN(2000)) * time.Millisecond}
	}
	if c.rand.IntN(2) == 0 {
		def.Rate = []float64{0.5, 3, 40, 1000}[c.rand.IntN(4)]
	}
	if c.rand.IntN(2) == 0 {
		def.Concurrency = 1 + c.rand.IntN(4)
	}
	switch c.rand.IntN(4) {
	case 0:
		def.Breaker = &target.Breaker{Off: true}
	case 1:
		def.Breaker = &target.Breaker{Failures: 0.3, Window: time.Second, Volume: 2}
	}
	switch c.rand.IntN(4) {
	case 0:
		def.Retry.MaxAttempts = 0
	case 1:
		def.Retry.MaxAge = time.Minute
	}
	sealed, err := target.Seal(&def)
	if err != nil {
		c.t.Fatal(err)
	}
	return sealed
}

func (c *restless) run() {
	targets := make([]*target.Sealed, len(c.rules))
	for range 60 {
		switch at := c.chance(len(c.rules)); c.chance(8) {
		case 0, 1, 2:
			targets[at] = c.tuned(*c.rules[at])
		case 3:
			c.Force(simScope, c.rules[at].ARN, CircuitMode(c.chance(3)), time.Now(), "")
		case 4, 5:
			n := c.chance(3) * 50
			c.mu.Lock()
			c.broken[at%2] = n
			c.mu.Unlock()
		case 6:
			n := c.chance(3) * 20
			c.mu.Lock()
			c.pace = float64(n)
			c.mu.Unlock()
		case 7:
			c.restart()
		}
		for range c.chance(60) {
			c.acceptOne(targets)
		}
		time.Sleep(time.Duration(c.chance(5000)) * time.Millisecond)
	}
	c.mu.Lock()
	c.broken, c.pace = [2]int{}, 0
	c.mu.Unlock()
	for _, def := range c.rules {
		c.Force(simScope, def.ARN, CircuitAutomatic, time.Now(), "")
	}
	time.Sleep(3 * time.Hour)
	if w := c.waiting(); w != "" {
		list, _ := c.Stats(context.Background())
		c.t.Errorf("hours later there wait %s; %+v", w, list)
	}
}

func (c *restless) restart() {
	if c.chance(2) == 0 {
		c.stop()
	} else {
		c.kill()
	}
	c.mu.Lock()
	for group, n := range c.last {
		c.again[group] = n
	}
	c.mu.Unlock()
	c.start()
}

// acceptOne accepts an event for every rule that has a target by now.
func (c *restless) acceptOne(targets []*target.Sealed) {
	e := newEvent(fmt.Sprintf("e%d", c.n+1))
	for _, to := range targets {
		if to == nil {
			continue
		}
		order := uint64(0)
		if to.OrderBy != "" {
			order = uint64(to.ID[1])<<8 + uint64((c.n+1)%restlessGroups) + 1
		}
		e.Targets, e.Orders = append(e.Targets, to), append(e.Orders, order)
	}
	if len(e.Targets) == 0 {
		return
	}
	c.n, e.Home = c.n+1, "orders"
	if err := c.Accept(context.Background(), []Accepted{e}); err != nil {
		c.t.Fatal(err)
	}
}
