package topic

import (
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
)

// An Address says which topic is meant: a name in a scope.
type Address struct {
	Scope rialto.Scope
	Name  rialto.TopicName
}

// AddressOf is the address in the ARN of a topic.
func AddressOf(arn rialto.ARN) (Address, bool) {
	a := Address{arn.Scope(), rialto.TopicName(arn.Resource)}
	return a, arn.Service == "sns" && validName(a.Name)
}

// ARN is that of the topic.
func (a Address) ARN() rialto.ARN { return a.Scope.TopicARN(a.Name) }

// FIFO reports whether the topic keeps an order.
func (a Address) FIFO() bool { return strings.HasSuffix(string(a.Name), fifoSuffix) }

func (a Address) key() string { return catalog.NameKey(a.Scope, string(a.Name)) }

const (
	maxName    = 256 // characters of a topic's name (SNS API, CreateTopic)
	fifoSuffix = ".fifo"
	nameLetter = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// validName reports whether a topic may have a name; that of one that keeps an order ends with the suffix, which counts.
func validName(name rialto.TopicName) bool {
	stem := strings.TrimSuffix(string(name), fifoSuffix)
	return stem != "" && len(name) <= maxName && strings.Trim(stem, nameLetter) == ""
}

// A SubscriptionAddress says which subscription is meant.
type SubscriptionAddress struct {
	Topic Address
	ID    string // a UUID
}

// SubscriptionAddressOf is the address in the ARN of a subscription, which is that of its topic, a colon and an id.
func SubscriptionAddressOf(arn rialto.ARN) (SubscriptionAddress, bool) {
	name, id, _ := strings.Cut(arn.Resource, ":")
	arn.Resource = name
	at, ok := AddressOf(arn)
	return SubscriptionAddress{at, id}, ok && validID(id)
}

// ARN is that of the subscription.
func (a SubscriptionAddress) ARN() rialto.ARN {
	return a.Topic.Scope.ARN("sns", string(a.Topic.Name)+":"+a.ID)
}

func (a SubscriptionAddress) key() string {
	return catalog.SubscriptionKey(a.Topic.Scope, a.Topic.Name, a.ID)
}

// validID reports whether an id may be that of a subscription.
func validID(id string) bool {
	return len(id) == 36 && strings.Trim(id, "0123456789abcdef-") == ""
}
