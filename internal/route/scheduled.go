package route

import (
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/target"
)

// Scheduled finds where an event goes that the schedule of a rule has made: to where [Router.Plan] says, and to the rule's own targets
// whether or not its pattern matches.
func (r *Router) Scheduled(bus Bus, name rialto.RuleName, event []byte) (Plan, error) {
	p, err := r.Plan(bus, event)
	found, ok := r.buses.Load(bus)
	if err != nil || !ok {
		return p, err
	}
	own, ok := found.(*table).scheduled.Load(name)
	if !ok {
		return p, nil
	}
	rule := bus.Scope.RuleARN(bus.Name, name)
	if slices.ContainsFunc(p.Targets, func(t *target.Sealed) bool { return t.Rule == rule }) {
		return p, nil // it matches its own event
	}
	return gather(p, own.(*goals)), nil
}

// schedule takes over the goals of an enabled rule with a schedule.
func (t *table) schedule(is *catalog.Rule, g *goals) {
	if is.Enabled && is.Schedule != nil && *is.Schedule != "" {
		t.scheduled.Store(is.Name, g)
	} else {
		t.scheduled.Delete(is.Name)
	}
}
