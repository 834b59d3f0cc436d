// Package route answers one question: to which targets does this event go?
//
// A [Router] follows the catalog and holds the enabled rules of every bus, compiled. [Router.Plan] never waits for a change to
// the rules, and a change that has returned is in force for the next event. Each rule is seen as it was before a change or as
// it was after, never in between; the answer is written into the log with the event. Start with [Router.Plan].
package route

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/tuning"
	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/target"
)

// A Bus names an event bus on this server.
type Bus struct {
	Scope rialto.Scope
	Name  rialto.BusName
}

// ARN is the ARN of the bus.
func (b Bus) ARN() rialto.ARN { return b.Scope.BusARN(b.Name) }

// Options tunes a Router. The zero value is ready to use.
type Options struct {
	Logger   *slog.Logger // nil discards
	Policies bool         // callers of other accounts need the permission of a bus's policy

	// Changed is told the targets of every rule, enabled or not, at first and after each change, before any event goes to them. Nil is nobody.
	Changed func(targets []*target.Sealed)
}

// A Router knows the rules of every bus.
type Router struct {
	catalog *catalog.Catalog
	opts    Options
	buses   sync.Map // Bus → *table
	scratch sync.Pool
}

// New makes a Router that follows the catalog.
func New(c *catalog.Catalog, opts Options) *Router {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Router{catalog: c, opts: opts}
	r.scratch.New = func() any { return new(pattern.Scratch) }
	c.Rules.Follow(r.follow)
	c.Buses.Follow(r.followBus)
	return r
}

// Plan finds where an event on a bus goes. The event must be JSON as ingest writes it. A bus that is not there has no rules.
func (r *Router) Plan(bus Bus, event []byte) (Plan, error) {
	found, ok := r.buses.Load(bus)
	if !ok {
		return Plan{}, nil
	}
	t := found.(*table)
	scratch := r.scratch.Get().(*pattern.Scratch)
	defer r.scratch.Put(scratch)
	ids, err := t.set.Match(event, scratch)
	if err != nil {
		return Plan{}, fmt.Errorf("match an event on %s: %w", bus.ARN(), err)
	}
	return t.terms.add(t.plan(ids)), nil
}

// Match is the targets of a [Router.Plan].
func (r *Router) Match(bus Bus, event []byte) ([]*target.Sealed, error) {
	p, err := r.Plan(bus, event)
	return p.Targets, err
}

// Exists reports whether a bus is there. The default bus always is.
func (r *Router) Exists(bus Bus) bool {
	return bus.Name == rialto.DefaultBus || r.catalog.Buses.Get(catalog.BusKey(bus.Scope, bus.Name)) != nil
}

// A table has the rules of one bus, and its terms. Only follow, of which one call runs at a time, changes the rules.
type table struct {
	terms terms
	set   pattern.Set
	rules map[rialto.RuleName]*rule
	byID  atomic.Pointer[[]*rule] // by pattern.ID; only appended to, since a reader may still come with an old id

	scheduled sync.Map // rialto.RuleName → *goals of each enabled rule with a schedule
}

// A rule is an enabled rule.
type rule struct {
	id      pattern.ID
	pattern string
	goals   atomic.Pointer[goals] // nil once the rule is disabled or deleted
}

// plan gathers the targets of rules.
func (t *table) plan(ids []pattern.ID) (p Plan) {
	if len(ids) == 0 {
		return p
	}
	rules := *t.byID.Load()
	for _, id := range ids {
		if g := rules[id].goals.Load(); g != nil {
			p = gather(p, g)
		}
	}
	return p
}

// follow takes over a change of the catalog.
func (r *Router) follow(key string, was, is *catalog.Rule) {
	scope, _ := catalog.SplitKey(key)
	named := is
	if is == nil {
		named = was
	}
	bus := Bus{scope, named.Bus}
	t := r.table(bus)
	if is == nil {
		t.remove(named.Name)
		t.scheduled.Delete(named.Name)
		return
	}
	targets := r.targets(scope, is)
	if r.opts.Changed != nil {
		r.opts.Changed(targets)
	}
	g, err := goalsOf(targets)
	if err == nil {
		t.schedule(is, g)
	}
	if !is.Enabled || is.Pattern == nil || *is.Pattern == "" {
		t.remove(named.Name)
		return
	}
	if err == nil {
		err = t.put(is.Name, *is.Pattern, g)
	}
	if err != nil {
		r.opts.Logger.Error("rule left out", "bus", bus.Name, "rule", is.Name, "err", err)
	}
}

// targets seals those of a rule.
func (r *Router) targets(scope rialto.Scope, is *catalog.Rule) []*target.Sealed {
	if _, err := is.Tuning(); err != nil {
		r.opts.Logger.Error("tags left out", "bus", is.Bus, "rule", is.Name, "err", err) // a newer version wrote them
	}
	targets := make([]*target.Sealed, 0, len(is.Targets))
	for i := range is.Targets {
		s, err := target.Seal(is.Definition(scope, &is.Targets[i]))
		if err != nil {
			r.opts.Logger.Error("target left out", "bus", is.Bus, "rule", is.Name, "target", is.Targets[i].ID, "err", err)
			continue
		}
		targets = append(targets, s)
	}
	return targets
}

// followBus takes over a change of a bus.
func (r *Router) followBus(key string, _, is *catalog.Bus) {
	scope, name := catalog.SplitKey(key)
	bus := Bus{scope, rialto.BusName(name)}
	var asks tuning.Bus
	if is != nil {
		var err error
		if asks, err = is.Tuning(); err != nil {
			r.opts.Logger.Error("tags left out", "bus", bus.Name, "err", err) // a newer version wrote them
		}
	}
	if asks.DedupeBy != nil || asks.TTLFrom != nil {
		r.table(bus).terms.bus.Store(&asks)
	} else if t, ok := r.buses.Load(bus); ok {
		t.(*table).terms.bus.Store(nil)
	}
}

func (r *Router) table(bus Bus) *table {
	if t, ok := r.buses.Load(bus); ok {
		return t.(*table)
	}
	t := &table{rules: make(map[rialto.RuleName]*rule)}
	t.byID.Store(new([]*rule))
	first, _ := r.buses.LoadOrStore(bus, t)
	return first.(*table)
}

// put makes a rule, or changes one. The set replaces a pattern in one step: at each moment the rule is found by the old one or by the
// new one.
func (t *table) put(name rialto.RuleName, text string, g *goals) error {
	r, ok := t.rules[name]
	if ok && r.pattern == text {
		t.aim(r, g)
		return nil
	}
	p, err := pattern.Parse([]byte(text))
	if err != nil {
		return err // the catalog holds only patterns that were checked: a newer version wrote this one
	}
	if !ok {
		byID := *t.byID.Load()
		r = &rule{id: pattern.ID(len(byID))}
		byID = append(byID, r)
		t.byID.Store(&byID)
		t.rules[name] = r
	}
	r.pattern = text
	t.aim(r, g)
	t.set.Add(r.id, p)
	return nil
}

// aim gives a rule other goals, nil for none.
func (t *table) aim(r *rule, g *goals) {
	was := r.goals.Swap(g)
	t.terms.ordered.Add(g.ordered() - was.ordered())
}

func (t *table) remove(name rialto.RuleName) {
	r, ok := t.rules[name]
	if !ok {
		return
	}
	t.aim(r, nil)
	t.set.Remove(r.id)
	delete(t.rules, name)
}
