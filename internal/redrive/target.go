package redrive

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/target"
)

// Why a letter is left alone.
const (
	noLetter     = "no dead letter of a rule"
	noRule       = "the rule was deleted"
	disabledRule = "the rule is disabled"
	noTarget     = "the target was removed from the rule"

	noSubscription = "the subscription was deleted"
	noQueue        = "a letter of a subscription goes back to it, or to a queue"
)

// A way is where a letter goes: a target as it is now, or the reason why there is none.
type way struct {
	target *target.Sealed
	order  *route.Order // what its deliveries are ordered by, or nil
	reason string
}

// ways finds where letters go, and remembers it for as long as a batch takes.
type ways struct {
	catalog *catalog.Catalog
	topics  Subscriptions
	from    queue.Address
	to      string // ARN of what everything is delivered to, or empty
	known   map[wayKey]way
}

type wayKey struct {
	rule rialto.ARN
	id   string
}

func (w *ways) of(o *target.Origin) way {
	key := wayKey{o.Rule, o.TargetID}
	is, ok := w.known[key]
	if !ok {
		is = w.find(o)
		w.known[key] = is
	}
	return is
}

func (w *ways) find(o *target.Origin) way {
	if o.Rule.Service == "sns" {
		return w.toSubscriber(o)
	}
	if w.to != "" {
		return w.elsewhere(o)
	}
	scope := o.Rule.Scope()
	bus, name := splitRule(o.Rule)
	rule := w.catalog.Rules.Get(catalog.RuleKey(scope, bus, name))
	switch {
	case rule == nil:
		return way{reason: noRule}
	case !rule.Enabled:
		return way{reason: disabledRule}
	}
	for i := range rule.Targets {
		if rule.Targets[i].ID == o.TargetID {
			return sealed(rule.Definition(scope, &rule.Targets[i]))
		}
	}
	return way{reason: noTarget}
}

// elsewhere is the way to a destination that somebody has asked for. What cannot be delivered there comes back to the queue, and
// belongs to its rule and target as before.
func (w *ways) elsewhere(o *target.Origin) way {
	_, name := splitRule(o.Rule)
	return sealed(&target.Definition{
		Rule: o.Rule, RuleName: name, ID: o.TargetID, ARN: w.to, Retry: target.DefaultRetry, DeadLetter: w.from.ARN().String(),
	})
}

// toSubscriber is the way of a letter that no rule has sent, but a topic: to the subscriber, or to a queue as it would have got it.
func (w *ways) toSubscriber(o *target.Origin) way {
	if w.topics == nil {
		return way{reason: noSubscription}
	}
	d, ok := w.topics(o.Rule)
	if !ok {
		return way{reason: noSubscription}
	}
	if w.to != "" {
		if arn, err := rialto.ParseARN(w.to); err != nil || arn.Service != "sqs" {
			return way{reason: noQueue}
		}
		d.ARN, d.DeadLetter, d.Retry = w.to, w.from.ARN().String(), target.DefaultRetry
	}
	return sealed(d)
}

func sealed(d *target.Definition) way {
	order, err := route.OrderOf(d)
	if err != nil {
		return way{reason: fmt.Sprintf("the target cannot be used: %v", err)}
	}
	s, err := target.Seal(d)
	if err != nil {
		return way{reason: fmt.Sprintf("the target cannot be used: %v", err)}
	}
	return way{target: s, order: order}
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
