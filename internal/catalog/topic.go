package catalog

import (
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// A Topic is an SNS topic.
type Topic struct {
	Name       rialto.TopicName  `json:"name"`
	ID         string            `json:"id"`                   // a UUID, new with each life of the name
	Attributes map[string]string `json:"attributes,omitempty"` // those that were set, by AWS name
	Protection string            `json:"protection,omitempty"` // data-protection policy, as it was given
	Tags       []Tag             `json:"tags,omitempty"`
	Created    time.Time         `json:"created"`
}

// A Subscription is one of a topic. It belongs to one life of the topic, and is nothing once that has ended.
type Subscription struct {
	ID            string            `json:"id"` // a UUID, the last part of the ARN
	Topic         rialto.TopicName  `json:"topic"`
	TopicID       string            `json:"topicId"` // of the life of the topic
	Protocol      target.Protocol   `json:"protocol"`
	Endpoint      string            `json:"endpoint"`
	Attributes    map[string]string `json:"attributes,omitempty"` // those that were set, by AWS name
	Owner         rialto.AccountID  `json:"owner"`
	Principal     string            `json:"principal"` // ARN of who made it
	State         SubscriptionState `json:"state"`
	Since         time.Time         `json:"since"`                   // when it came into that state, or got its last token
	Token         []byte            `json:"token,omitempty"`         // SHA-256 of the token that confirms it
	Authenticated bool              `json:"authenticated,omitempty"` // whoever confirmed it has signed
	Locked        bool              `json:"locked,omitempty"`        // whoever ends it must sign: AuthenticateOnUnsubscribe
}

// A SubscriptionState says whether a subscription is delivered to.
type SubscriptionState string

const (
	SubscriptionPending   SubscriptionState = "pending"   // its endpoint has not confirmed it yet
	SubscriptionConfirmed SubscriptionState = "confirmed" // the only one that is delivered to
	SubscriptionEnded     SubscriptionState = "ended"     // its endpoint may restore it for some time
)

// ARN is the ARN of the topic.
func (t *Topic) ARN(s rialto.Scope) rialto.ARN { return s.TopicARN(t.Name) }

// ARN is the ARN of the subscription.
func (u *Subscription) ARN(s rialto.Scope) rialto.ARN { return s.ARN("sns", string(u.Topic)+":"+u.ID) }

// SubscriptionsKey is what the keys of a topic's subscriptions begin with.
func SubscriptionsKey(s rialto.Scope, topic rialto.TopicName) string {
	return ScopeKey(s) + string(topic) + "|"
}

// SubscriptionKey is the key of a subscription.
func SubscriptionKey(s rialto.Scope, topic rialto.TopicName, id string) string {
	return SubscriptionsKey(s, topic) + id
}
