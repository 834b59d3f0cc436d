package redrive

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/occurrence"
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

	noSchedule       = "the schedule was deleted"
	disabledSchedule = "the schedule is disabled, or its group is paused"
	notPlain         = "a letter of a schedule goes back to its target, or to a queue, a topic or a function"
)

// A way is where a letter goes: a target as it is now, or the reason why there is none.
type way struct {
	target *target.Sealed
	order  *route.Order // what its deliveries are ordered by, or nil
	reason string
}

// ways finds where letters go, and remembers it for as long as a batch takes.
type ways struct {
	catalog   *catalog.Catalog
	topics    Subscriptions
	schedules Schedules
	from      queue.Address
	to        string // ARN of what everything is delivered to, or empty
	known     map[wayKey]way
}

type wayKey struct {
	rule rialto.ARN
	id   string
}

// of finds the way of a letter. An error says that this is not known at the moment.
func (w *ways) of(ctx context.Context, o *target.Origin) (is way, err error) {
	key := wayKey{senderOf(o), o.TargetID}
	is, ok := w.known[key]
	if ok {
		return is, nil
	}
	switch {
	case o.Rule.Service == "scheduler":
		is, err = w.toSchedule(ctx, o, key.rule)
	case o.Rule.Service == "sns":
		is = w.toSubscriber(o)
	case w.to != "":
		is = w.elsewhere(o)
	default:
		is = w.toRule(o)
	}
	if err == nil {
		w.known[key] = is
	}
	return is, err
}

// senderOf is the ARN of the rule, subscription or schedule that a letter is of. Deliveries of schedules know the group only.
func senderOf(o *target.Origin) rialto.ARN {
	if o.Rule.Service == "scheduler" {
		if arn, err := rialto.ParseARN(occurrence.ScheduleOf(o.Event)); err == nil {
			return arn
		}
	}
	return o.Rule
}

func (w *ways) toRule(o *target.Origin) way {
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
func (w *ways) elsewhere(o *target.Origin) way { return sealed(w.definitionElsewhere(o)) }

func (w *ways) definitionElsewhere(o *target.Origin) *target.Definition {
	_, name := splitRule(o.Rule)
	return &target.Definition{
		Rule: o.Rule, RuleName: name, ID: o.TargetID, ARN: w.to, Retry: target.DefaultRetry, DeadLetter: w.from.ARN().String(),
	}
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

// toSchedule is the way of an occurrence of a schedule: to the target that the schedule has now. If there is no schedule any more, as after the last
// occurrence of one that is deleted then, it goes to the target that it had: what a schedule has caused goes on without it.
func (w *ways) toSchedule(ctx context.Context, o *target.Origin, schedule rialto.ARN) (way, error) {
	if w.to != "" {
		return w.scheduleElsewhere(o), nil
	}
	if w.schedules != nil {
		d, enabled, err := w.schedules(ctx, schedule)
		switch {
		case err != nil:
			return way{}, err
		case d != nil && !enabled:
			return way{reason: disabledSchedule}, nil
		case d != nil:
			return sealed(d), nil
		}
	}
	was, err := formerly(o)
	switch {
	case err != nil:
		return way{reason: fmt.Sprintf("the target cannot be used: %v", err)}, nil
	case was == nil:
		return way{reason: noSchedule}, nil
	}
	was.Schedule = new(target.Schedule) // when it has ended there is nothing left to delete
	return sealed(was), nil
}

// formerly is the target that the schedule of a letter had, or nil if the letter does not say.
func formerly(o *target.Origin) (*target.Definition, error) {
	if o.Definition == nil {
		return nil, nil
	}
	s, err := target.Unseal(o.Definition)
	if err != nil {
		return nil, err
	}
	return s.Definition, nil
}

// scheduleElsewhere is the way of an occurrence to a destination that somebody has asked for.
func (w *ways) scheduleElsewhere(o *target.Origin) way {
	if arn, err := rialto.ParseARN(w.to); err != nil || !plain[arn.Service] {
		return way{reason: notPlain}
	}
	was, _ := formerly(o) // what cannot be read is of no use there, either
	d := w.definitionElsewhere(o)
	d.Schedule = &target.Schedule{Was: was}
	return sealed(d)
}

// plain are the services whose targets take an input and need nothing else.
var plain = map[string]bool{"sqs": true, "sns": true, "lambda": true}

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
