package topic

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/topic/filter"
	"github.com/rialto-events/rialto/target"
)

// subscriptionAttributes are those that can be set, by AWS name (SNS API, SetSubscriptionAttributes).
var subscriptionAttributes = []string{
	"DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "SubscriptionRoleArn",
}

// A goal is what attributes of a subscription are given for.
type goal struct {
	topic    Address
	protocol target.Protocol
	endpoint string
}

// check finds why attributes, all that the subscription will have, are refused.
func (g goal) check(given map[string]string) reason {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if why := g.checkOne(name, given[name]); why != "" {
			return why
		}
	}
	_, why := filterOf(given)
	return why
}

func (g goal) checkOne(name, value string) reason {
	switch {
	case name == replayPolicy:
		return checkArchive(name, value)
	case !slices.Contains(subscriptionAttributes, name):
		return "AttributeName"
	case value == "":
		return ""
	}
	switch name {
	case "RawMessageDelivery":
		return boolean(name)(value)
	case "RedrivePolicy":
		_, why := g.redrive(value)
		return why
	case "DeliveryPolicy":
		_, why := parseSubscriptionDelivery(value)
		return why
	case "SubscriptionRoleArn":
		if _, err := rialto.ParseARN(value); err != nil {
			return "SubscriptionRoleArn: must be an ARN"
		}
	}
	return ""
}

// redrive reads the attribute RedrivePolicy: the ARN of a queue for dead letters.
func (g goal) redrive(text string) (string, reason) {
	var p struct {
		Target string `json:"deadLetterTargetArn"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return "", reasonf("RedrivePolicy: failed to parse JSON. %v", err)
	}
	arn, ok := parse(p.Target, "sqs", "")
	switch {
	case !ok:
		return "", "RedrivePolicy: deadLetterTargetArn is an invalid arn"
	case g.topic.FIFO() && strings.HasSuffix(g.endpoint, fifoSuffix) && !strings.HasSuffix(arn.Resource, fifoSuffix):
		return "", "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."
	case arn.Scope() != g.topic.Scope:
		return "", "RedrivePolicy: deadLetterTargetArn must be a queue of the topic's account and region"
	}
	return p.Target, ""
}

// definition is what the subscription is delivered to by. What is stored was checked when it was set.
func (g goal) definition(u *catalog.Subscription, s *settings) *target.Definition {
	d := (&target.Subscription{
		Topic: g.topic.ARN(), ARN: u.ARN(g.topic.Scope), Protocol: u.Protocol, Endpoint: u.Endpoint,
		Raw: u.Attributes["RawMessageDelivery"] == "true", Signature: s.signature,
	}).Definition()
	d.RoleARN = u.Attributes["SubscriptionRoleArn"]
	if text := u.Attributes["RedrivePolicy"]; text != "" {
		d.DeadLetter, _ = g.redrive(text)
	}
	if asks(u.Protocol) {
		own, _ := parseSubscriptionDelivery(u.Attributes["DeliveryPolicy"]) // nil if there is none
		apply(d, s.delivery, own)
	}
	return d
}

// DefinitionOf is what a subscription that is confirmed is delivered to by, as it is now.
func (s *Service) DefinitionOf(arn rialto.ARN) (*target.Definition, bool) {
	address, ok := SubscriptionAddressOf(arn)
	if !ok {
		return nil, false
	}
	u, err := s.Subscription(address)
	if err != nil || u.Pending() {
		return nil, false
	}
	_, v, err := s.index.find(address.Topic)
	if err != nil {
		return nil, false
	}
	return goal{address.Topic, u.Protocol, u.Endpoint}.definition(u.Subscription, &v.settings), true
}

// A Subscription is one as callers see it.
type Subscription struct {
	*catalog.Subscription
	Address SubscriptionAddress
}

// Pending reports whether the endpoint has not confirmed the subscription yet.
func (u Subscription) Pending() bool { return u.State == catalog.SubscriptionPending }

// FilterScope is what the filter policy of the subscription looks at, or empty if it has none.
func (u Subscription) FilterScope() string {
	if !filtered(u.Attributes) {
		return "" // AWS shows it with a policy alone
	}
	return cmp.Or(u.Attributes["FilterPolicyScope"], string(filter.MessageAttributes))
}

// subscriptionShown is every attribute of a subscription.
func subscriptionShown(u Subscription, s *settings) map[string]string {
	all := maps.Clone(u.Attributes)
	if all == nil {
		all = make(map[string]string)
	}
	flag := func(is bool) string {
		if is {
			return "true"
		}
		return "false"
	}
	all["SubscriptionArn"] = u.Address.ARN().String()
	all["TopicArn"] = u.Address.Topic.ARN().String()
	all["Protocol"] = string(u.Protocol)
	all["Endpoint"] = u.Endpoint
	all["Owner"] = string(u.Owner)
	all["PendingConfirmation"] = flag(u.Pending())
	all["ConfirmationWasAuthenticated"] = flag(u.Authenticated)
	all["RawMessageDelivery"] = flag(u.Attributes["RawMessageDelivery"] == "true")
	all["SubscriptionPrincipal"] = u.Principal
	if all["FilterPolicyScope"] = u.FilterScope(); all["FilterPolicyScope"] == "" {
		delete(all, "FilterPolicyScope")
	}
	if asks(u.Protocol) {
		own, _ := parseSubscriptionDelivery(u.Attributes["DeliveryPolicy"])
		all["EffectiveDeliveryPolicy"] = effectiveSubscriptionDelivery(s.delivery, own)
	}
	return all
}
