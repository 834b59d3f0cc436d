package redrive

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/target"
)

// Why a letter is left alone.
const (
	noLetter     = "no dead letter of a rule"
	noRule       = "the rule was deleted"
	disabledRule = "the rule is disabled"
	noTarget     = "the target was removed from the rule"
)

// A route is where a letter goes: a target as it is now, or the reason why there is none.
type route struct {
	target *target.Sealed
	reason string
}

// routes finds where letters go, and remembers it for as long as a batch takes.
type routes struct {
	catalog *catalog.Catalog
	from    queue.Address
	to      string // ARN of what everything is delivered to, or empty
	known   map[routeKey]route
}

type routeKey struct {
	rule rialto.ARN
	id   string
}

func (r *routes) of(o *target.Origin) route {
	key := routeKey{o.Rule, o.TargetID}
	is, ok := r.known[key]
	if !ok {
		is = r.find(o)
		r.known[key] = is
	}
	return is
}

func (r *routes) find(o *target.Origin) route {
	if r.to != "" {
		return r.elsewhere(o)
	}
	scope := o.Rule.Scope()
	bus, name := splitRule(o.Rule)
	rule := r.catalog.Rules.Get(catalog.RuleKey(scope, bus, name))
	switch {
	case rule == nil:
		return route{reason: noRule}
	case !rule.Enabled:
		return route{reason: disabledRule}
	}
	for i := range rule.Targets {
		if rule.Targets[i].ID == o.TargetID {
			return sealed(rule.Definition(scope, &rule.Targets[i]))
		}
	}
	return route{reason: noTarget}
}

// elsewhere is the way to a destination that somebody has asked for. What cannot be delivered there comes back to the queue, and
// belongs to its rule and target as before.
func (r *routes) elsewhere(o *target.Origin) route {
	_, name := splitRule(o.Rule)
	return sealed(&target.Definition{
		Rule: o.Rule, RuleName: name, ID: o.TargetID, ARN: r.to, Retry: target.DefaultRetry, DeadLetter: r.from.ARN().String(),
	})
}

func sealed(d *target.Definition) route {
	s, err := target.Seal(d)
	if err != nil {
		return route{reason: fmt.Sprintf("the target cannot be used: %v", err)}
	}
	return route{target: s}
}

// splitRule takes an ARN of a rule apart; that of a rule on the default bus does not name the bus.
func splitRule(arn rialto.ARN) (rialto.BusName, rialto.RuleName) {
	path := strings.TrimPrefix(arn.Resource, "rule/")
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return rialto.DefaultBus, rialto.RuleName(path)
	}
	return rialto.BusName(path[:i]), rialto.RuleName(path[i+1:])
}

// keyOf is what an event that comes back is accepted under: its letter has it for as long as it lives, and no other has it.
func keyOf(messageID string) [16]byte {
	sum := sha256.Sum256([]byte("rialto redrive\x00" + messageID))
	return [16]byte(sum[:])
}
