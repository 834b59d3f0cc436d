package route

import (
	"maps"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/policy"
)

// Condition keys that the policy of a bus may ask for (EventBridge user guide, "Condition keys"; IAM user guide, "Global condition
// context keys"). Case does not count in their names; here they are in lower case.
const (
	KeySource        = "events:source"             // of the event
	KeyDetailType    = "events:detail-type"        // of the event
	KeyBusInvocation = "events:eventbusinvocation" // "true" if a rule forwards the event, "false" if somebody puts it
	KeyCreator       = "events:creatoraccount"     // that made the rule
	KeyManagedBy     = "events:managedby"          // the service that the rule belongs to
	KeyTargetARN     = "events:targetarn"          // of a target that is put
	KeySourceARN     = "aws:sourcearn"             // of the rule that forwards
	KeySourceAccount = "aws:sourceaccount"         // of that rule

	keyBusName = "events:eventbusname"
)

// An Access is what somebody wants to do on a bus.
type Access struct {
	Account  rialto.AccountID  // whose
	Action   string            // such as "events:PutEvents"
	Resource string            // an ARN, such as that of a rule on the bus; empty is the bus itself
	Context  map[string]string // see the constants for condition keys; empty is absent, and what is not there is not known
}

// Allows reports whether an access to a bus is allowed. Its own account always may; others need a statement of the bus's policy.
// Where policies are not enforced, everybody may.
func (r *Router) Allows(bus Bus, a Access) bool {
	if !r.opts.Policies || a.Account == bus.Scope.Account {
		return true
	}
	b := r.catalog.Buses.Get(catalog.BusKey(bus.Scope, bus.Name))
	if b == nil || len(b.Policy) == 0 {
		return false
	}
	is := policy.Access{Account: a.Account, Action: a.Action, Resource: a.Resource, Context: maps.Clone(a.Context)}
	if is.Resource == "" {
		is.Resource = bus.ARN().String()
	}
	if is.Context == nil {
		is.Context = make(map[string]string)
	}
	is.Context[keyBusName] = string(bus.Name)
	return policy.Allows(b.Policy, is)
}
