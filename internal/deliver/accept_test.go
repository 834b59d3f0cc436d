package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
	"github.com/rialto-events/rialto/target"
)

// A pair is a Deliverer on two shards, which accepts events and brings none to its target.
type pair struct {
	*Deliverer
	t    *testing.T
	sims [2]*journal.Sim // of each shard
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, Deliverer: New(func(*target.Definition) target.Sender { return newFakeSender() }, Options{})}
	var shards []*shard.Shard
	for i := range p.sims {
		p.sims[i] = journal.NewSim(uint64(i), journal.SimFaults{})
		shards = append(shards, shardtest.StartOn(t, p.sims[i], shard.Options{}, p.Host()))
	}
	p.Attach(shards)
	return p
}

// homes are so many names of homes on a shard.
func (p *pair) homes(at, n int) []string {
	var names []string
	for i := 0; len(names) < n; i++ {
		if name := fmt.Sprintf("bus-%d", i); p.home(name) == p.hosts[at] {
			names = append(names, name)
		}
	}
	return names
}

// kept are the ids of the events on a shard, in the order in which they were accepted.
func (p *pair) kept(at int) string {
	p.t.Helper()
	h := p.hosts[at]
	var events []keptEvent
	err := h.shard.View(context.Background(), func() {
		for slot, e := range h.machine.events.All() {
			events = append(events, keptEvent{slot, *e})
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	slices.SortFunc(events, func(a, b keptEvent) int { return int(a.key) - int(b.key) })
	var ids []string
	for _, e := range events {
		id, err := h.eventID(context.Background(), e)
		if err != nil {
			p.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

func homed(id, home string) Accepted {
	e := newEvent(id, testTarget("billing", false))
	e.Home = home
	return e
}

func TestHomes(t *testing.T) {
	p := newPair(t)
	here, there := p.homes(0, 2), p.homes(1, 1)
	list := []Accepted{homed("a1", here[0]), homed("b1", there[0]), homed("x1", ""), homed("c1", here[1]), homed("a2", here[0]), homed("b2", there[0])}
	if err := p.Accept(context.Background(), list); err != nil {
		t.Fatal(err)
	}
	if got, want := p.kept(0), "a1 x1 c1 a2"; got != want {
		t.Errorf("shard 0 has %s, want %s", got, want)
	}
	if got, want := p.kept(1), "b1 b2"; got != want {
		t.Errorf("shard 1 has %s, want %s", got, want)
	}
}

// TestHomeRefuses lets the log of one home refuse everything: the events of the other are accepted, and each knows about itself.
func TestHomeRefuses(t *testing.T) {
	p := newPair(t)
	here, there := p.homes(0, 1)[0], p.homes(1, 1)[0]
	p.sims[1].SetFaults(journal.SimFaults{Unavailable: 1})
	list := []Accepted{homed("a1", here), homed("b1", there), homed("a2", here), homed("b2", there)}
	err := p.Accept(context.Background(), list)
	if rialto.KindOf(err) != rialto.Unavailable {
		t.Fatalf("Accept answered %v, want that the log is unavailable", err)
	}
	for _, e := range list {
		if refused := e.Home == there; refused != (e.Err != nil) || refused && !errors.Is(e.Err, err) {
			t.Errorf("%s has the error %v", e.EventID, e.Err)
		}
	}
	p.sims[1].SetFaults(journal.SimFaults{})
	if here, there := p.kept(0), p.kept(1); here != "a1 a2" || there != "" {
		t.Errorf("the shards have %q and %q", here, there)
	}
	if err := p.Accept(context.Background(), list[1:2]); err != nil || list[1].Err != nil {
		t.Errorf("accepted again: %v, %v", err, list[1].Err)
	}
}

func TestAcceptOnce(t *testing.T) {
	p := newPair(t)
	once := func(id, home string, key byte) Accepted {
		e := homed(id, home)
		e.Dedupe = Dedupe{Key: [16]byte{key}, Window: time.Hour}
		return e
	}
	here, there := p.homes(0, 1)[0], p.homes(1, 1)[0]
	list := []Accepted{once("a1", here, 1), once("b1", there, 2), once("a2", here, 1), homed("x1", here), once("b2", there, 3)}
	for round := range 2 {
		if err := p.Accept(context.Background(), list); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"a1", "b1", "a1", "", "b2"} {
			if round == 0 && i != 2 {
				want = ""
			}
			if e := list[i]; e.DuplicateOf != want || e.Err != nil {
				t.Errorf("round %d: %s is a duplicate of %q, want %q; %v", round, e.EventID, e.DuplicateOf, want, e.Err)
			}
		}
	}
	if here, there := p.kept(0), p.kept(1); here != "a1 x1 x1" || there != "b1 b2" {
		t.Errorf("the shards have %q and %q", here, there)
	}
}

// TestKnownAgain accepts an event that goes nowhere: all that is kept of it is that it was there.
func TestKnownAgain(t *testing.T) {
	p := newPair(t)
	home := p.homes(0, 1)[0]
	for i, id := range []string{"e1", "e2", "e3"} {
		e := homed(id, home)
		e.Dedupe = Dedupe{Key: [16]byte{1}, Window: time.Hour}
		if i == 0 {
			e.Targets = nil
		}
		if err := p.Accept(context.Background(), []Accepted{e}); err != nil {
			t.Fatal(err)
		}
		list := []Accepted{e}
		if err := p.Accept(context.Background(), list); err != nil || list[0].DuplicateOf != "e1" {
			t.Errorf("%s is a duplicate of %q, want e1; %v", id, list[0].DuplicateOf, err)
		}
	}
	if got := p.kept(0); got != "" {
		t.Errorf("the shard has %q, want nothing", got)
	}
}

// TestStamp has many put events into one home at once: the numbers that they get are in the order of the log.
func TestStamp(t *testing.T) {
	p := newPair(t)
	home := p.homes(0, 1)[0]
	var number int
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			list := []Accepted{homed("000", home), homed("000", home)}
			for i := range list {
				list[i].Stamp = func(time.Time) {
					number++ // the owner of the shard alone stamps
					list[i].EventID = fmt.Sprintf("%03d", number)
				}
			}
			if err := p.Accept(context.Background(), list); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := strings.Fields(p.kept(0))
	if len(got) != 100 || !slices.IsSorted(got) || slices.Compact(got)[0] != "001" || len(slices.Compact(got)) != 100 {
		t.Errorf("the log has %v", got)
	}
}

// TestAcceptRefuses refuses a list because of one event, before any other is taken.
func TestAcceptRefuses(t *testing.T) {
	p := newPair(t)
	for name, change := range map[string]func(*Accepted){
		"no content":            func(e *Accepted) { e.Event = nil },
		"no target":             func(e *Accepted) { e.Targets = nil },
		"a long id":             func(e *Accepted) { e.EventID = strings.Repeat("e", maxEventID+1) },
		"too few orders":        func(e *Accepted) { e.Home, e.Targets, e.Orders = "h", append(e.Targets, e.Targets...), []uint64{1} },
		"ordered without home":  func(e *Accepted) { e.Orders = []uint64{1} },
		"deduped without home":  func(e *Accepted) { e.Dedupe.Window = time.Second },
		"more than a frame has": func(e *Accepted) { e.Event = make([]byte, 4<<20) },
	} {
		list := []Accepted{homed("e1", ""), homed("e2", "")}
		change(&list[1])
		err := p.Accept(context.Background(), list)
		if err == nil || list[0].Err != err || list[1].Err != err {
			t.Errorf("%s: Accept answered %v, and the events have %v and %v", name, err, list[0].Err, list[1].Err)
		}
		if errors.Is(err, shard.ErrTooLarge) != strings.HasPrefix(name, "more") {
			t.Errorf("%s: Accept answered %v", name, err)
		}
	}
	if here, there := p.kept(0), p.kept(1); here+there != "" {
		t.Errorf("the shards have %q and %q", here, there)
	}
}

// TestOrderedOutcomes lets outcomes of ordered deliveries wait for no frame of others while a delivery is held.
func TestOrderedOutcomes(t *testing.T) {
	settled := func(o *outcomes) { o.settled = append(o.settled, 0, 0) }
	for _, c := range []struct {
		name    string
		happens func(*collector)
		hurry   bool
	}{
		{"ordered, and nobody is held", func(c *collector) { c.add(true, settled) }, false},
		{"ordered, and somebody is held", func(c *collector) { c.hold(true); c.add(true, settled) }, true},
		{"ordered, and then somebody is held", func(c *collector) { c.add(true, settled); c.hold(true) }, true},
		{"ordered, and nobody is held any more", func(c *collector) { c.hold(true); c.hold(false); c.add(true, settled) }, false},
		{"not ordered", func(c *collector) { c.hold(true); c.add(false, settled) }, false},
		{"one of several is ordered", func(c *collector) { c.hold(true); c.add(false, settled); c.add(true, settled); c.add(false, settled) }, true},
	} {
		col := newCollector(rialto.SystemClock)
		c.happens(col)
		wait, any := col.patience()
		if !any || (wait == 0) != c.hurry {
			t.Errorf("%s: outcomes may wait for %v, want a hurry: %v", c.name, wait, c.hurry)
		}
		if len(col.arrived) != 1 {
			t.Errorf("%s: nobody was told", c.name)
		}
	}
}

// TestHurry holds what one who moves a clock waits for: outcomes from which something follows and, in the end, all of them.
func TestHurry(t *testing.T) {
	for _, c := range []struct {
		name    string
		ordered bool
		write   func(*outcomes)
		waits   int
	}{
		{"an arrival", false, func(o *outcomes) { o.settled = appendHandle(o.settled, handle{}) }, 0},
		{"an arrival for which another may wait", true, func(o *outcomes) { o.settled = appendHandle(o.settled, handle{}) }, 1},
		{"one that is dropped", false, func(o *outcomes) { o.dropped = appendHandle(o.dropped, handle{}) }, 0},
		{"another attempt", false, func(o *outcomes) { o.again = appendPostponed(o.again, postponed{}) }, 1},
		{"a dead letter", false, func(o *outcomes) { o.dead = appendDead(o.dead, handle{}, letter{}) }, 1},
	} {
		col := newCollector(rialto.SystemClock)
		col.add(c.ordered, c.write)
		if n := col.hurry(false); n != c.waits {
			t.Errorf("%s: %d outcomes are waited for at a stop, want %d", c.name, n, c.waits)
		}
		if wait, _ := col.patience(); (wait == 0) != (c.waits > 0) {
			t.Errorf("%s: they wait for %v", c.name, wait)
		}
		if n := col.hurry(true); n != 1 {
			t.Errorf("%s: %d are waited for at the end", c.name, n)
		}
		o := col.take()
		if n := col.hurry(true); n != 0 {
			t.Errorf("%s: %d are waited for when they were taken", c.name, n)
		}
		col.giveBack(o)
		if n := col.hurry(false); n != 1 {
			t.Errorf("%s: %d are waited for when they were given back", c.name, n)
		}
	}
}
