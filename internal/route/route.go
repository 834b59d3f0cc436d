// Package route answers one question: to which targets does this event go?
//
// A [Router] follows the catalog and holds the enabled rules of every bus, compiled. [Router.Match] never waits for a change to
// the rules, and a change that has returned is in force for the next event. Each rule is seen as it was before a change or as
// it was after, never in between; the answer is written into the log with the event. Start with [Router.Match].
package route

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
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
	return r
}

// Match returns the targets that an event on a bus goes to, in no particular order. The event must be JSON as ingest writes it. A
// bus that is not there has no rules.
func (r *Router) Match(bus Bus, event []byte) ([]*target.Sealed, error) {
	t, ok := r.buses.Load(bus)
	if !ok {
		return nil, nil
	}
	scratch := r.scratch.Get().(*pattern.Scratch)
	defer r.scratch.Put(scratch)
	ids, err := t.(*table).set.Match(event, scratch)
	if err != nil {
		return nil, fmt.Errorf("match an event on %s: %w", bus.ARN(), err)
	}
	return t.(*table).targets(ids), nil
}

// Exists reports whether a bus is there. The default bus always is.
func (r *Router) Exists(bus Bus) bool {
	return bus.Name == rialto.DefaultBus || r.catalog.Buses.Get(catalog.BusKey(bus.Scope, bus.Name)) != nil
}

// A table has the rules of one bus. Only follow, of which one call runs at a time, changes it.
type table struct {
	set   pattern.Set
	rules map[rialto.RuleName]*rule
	byID  atomic.Pointer[[]*rule] // by pattern.ID; only appended to, since a reader may still come with an old id
}

// A rule is an enabled rule.
type rule struct {
	id      pattern.ID
	pattern string
	targets atomic.Pointer[[]*target.Sealed] // nil once the rule is disabled or deleted
}

// targets gathers the targets of rules.
func (t *table) targets(ids []pattern.ID) []*target.Sealed {
	if len(ids) == 0 {
		return nil
	}
	rules := *t.byID.Load()
	var all []*target.Sealed
	for _, id := range ids {
		targets := rules[id].targets.Load()
		switch {
		case targets == nil:
		case all == nil:
			all = (*targets)[:len(*targets):len(*targets)] // a further rule's go into a copy
		default:
			all = append(all, *targets...)
		}
	}
	return all
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
	if is == nil || !is.Enabled || is.Pattern == nil || *is.Pattern == "" {
		t.remove(named.Name)
		return
	}
	targets := make([]*target.Sealed, 0, len(is.Targets))
	for i := range is.Targets {
		s, err := target.Seal(is.Definition(scope, &is.Targets[i]))
		if err != nil {
			r.opts.Logger.Error("target left out", "bus", bus.Name, "rule", is.Name, "target", is.Targets[i].ID, "err", err)
			continue
		}
		targets = append(targets, s)
	}
	if err := t.put(is.Name, *is.Pattern, targets); err != nil {
		r.opts.Logger.Error("rule left out", "bus", bus.Name, "rule", is.Name, "err", err)
	}
}

func (r *Router) table(bus Bus) *table {
	if t, ok := r.buses.Load(bus); ok {
		return t.(*table)
	}
	t := &table{rules: make(map[rialto.RuleName]*rule)}
	t.byID.Store(new([]*rule))
	r.buses.Store(bus, t)
	return t
}

// put makes a rule, or changes one. The set replaces a pattern in one step: at each moment the rule is found by the old one or by the
// new one.
func (t *table) put(name rialto.RuleName, text string, targets []*target.Sealed) error {
	r, ok := t.rules[name]
	if ok && r.pattern == text {
		r.targets.Store(&targets)
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
	r.targets.Store(&targets)
	t.set.Add(r.id, p)
	return nil
}

func (t *table) remove(name rialto.RuleName) {
	r, ok := t.rules[name]
	if !ok {
		return
	}
	r.targets.Store(nil)
	t.set.Remove(r.id)
	delete(t.rules, name)
}
