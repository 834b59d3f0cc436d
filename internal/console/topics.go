package console

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/topic"
	"github.com/rialto-events/rialto/target"
)

// A Herald knows topics, and who has subscribed to them.
type Herald interface {
	List(scope rialto.Scope, after string, n int) []rialto.TopicName
	Attributes(at topic.Address) (map[string]string, error)
	Subscriptions(at topic.Address, after string, n int) []topic.Subscription
	DefinitionOf(arn rialto.ARN) (*target.Definition, bool)
}

// Topics is the part that shows topics, and how their subscribers fare.
func Topics(h Herald, c Counter) Part {
	p := heralds{h, c}
	return Part{{"GET", "/_rialto/v1/topics", p.list}, {"GET", "/_rialto/v1/topics/{name}", p.show}}
}

// heralds answers for topics.
type heralds struct {
	Herald
	counter Counter
}

const (
	topicsMost        = 1000 // in one answer
	subscriptionsMost = 1000 // of a topic in one answer
)

// A shownTopic is what the API says of one.
type shownTopic struct {
	ARN        string            `json:"arn"`
	Name       string            `json:"name"`
	FIFO       bool              `json:"fifo"`
	Attributes map[string]string `json:"attributes"` // as AWS names them; how many have subscribed is among them

	Subscriptions []shownSubscription `json:"subscriptions,omitempty"` // of one that is shown alone
	More          bool                `json:"more,omitempty"`          // there may be others after the last
}

// A shownSubscription is what the API says of one.
type shownSubscription struct {
	ARN      string    `json:"arn"`
	Protocol string    `json:"protocol"`
	Endpoint string    `json:"endpoint"`
	State    string    `json:"state"` // confirmed, or pending
	Since    time.Time `json:"since"` // when it came into that state, or was asked last
	Raw      bool      `json:"raw"`

	FilterPolicy json.RawMessage `json:"filterPolicy,omitempty"`
	FilterScope  string          `json:"filterScope,omitempty"`
	DeadLetters  string          `json:"deadLetters,omitempty"` // ARN of the queue

	// How its destination fares, if it was delivered to lately. Subscriptions and rules that have a destination in common share this.
	Destination *destination `json:"destination,omitempty"`
}

// topic is what both answers have.
func (p heralds) topic(at topic.Address) (shownTopic, error) {
	attributes, err := p.Attributes(at)
	return shownTopic{ARN: at.ARN().String(), Name: string(at.Name), FIFO: at.FIFO(), Attributes: attributes}, err
}

func (p heralds) list(w http.ResponseWriter, r *Request) error {
	names := p.List(r.Scope, r.FormValue("after"), topicsMost)
	list := make([]shownTopic, 0, len(names))
	for _, name := range names {
		is, err := p.topic(topic.Address{Scope: r.Scope, Name: name})
		if err == nil { // or it was deleted just now
			list = append(list, is)
		}
	}
	return Answer(w, map[string]any{"topics": list, "more": len(names) == topicsMost})
}

func (p heralds) show(w http.ResponseWriter, r *Request) error {
	at := topic.Address{Scope: r.Scope, Name: rialto.TopicName(r.PathValue("name"))}
	is, err := p.topic(at)
	if err != nil {
		return err
	}
	after, err := r.subscription(at, "after")
	if err != nil {
		return err
	}
	fares, err := p.destinations(r)
	if err != nil {
		return err
	}
	subscriptions := p.Subscriptions(at, after, subscriptionsMost)
	for _, u := range subscriptions {
		is.Subscriptions = append(is.Subscriptions, p.subscription(u, fares))
	}
	is.More = len(subscriptions) == subscriptionsMost
	return Answer(w, is)
}

// subscription reads a parameter that is the ARN of a subscription of a topic, and returns by what that is sorted.
func (r *Request) subscription(at topic.Address, name string) (key string, err error) {
	text := r.FormValue(name)
	if text == "" {
		return "", nil
	}
	arn, err := rialto.ParseARN(text)
	if address, ok := topic.SubscriptionAddressOf(arn); err == nil && ok && address.Topic == at {
		return topic.Subscription{Address: address}.Key(), nil
	}
	return "", rialto.Errorf(rialto.Invalid, "%q is no value for %s: it takes the ARN of a subscription of %s.", text, name, at.ARN())
}

// destinations are those of the caller's account and region, by ARN.
func (p heralds) destinations(r *Request) (map[string]*destination, error) {
	all, err := p.counter.Stats(r.Context())
	if err != nil {
		return nil, err
	}
	fares := make(map[string]*destination)
	for _, d := range all {
		if d.Scope == r.Scope {
			fares[d.ARN] = new(destinationOf(d))
		}
	}
	return fares, nil
}

func (p heralds) subscription(u topic.Subscription, fares map[string]*destination) shownSubscription {
	is := shownSubscription{
		ARN: u.Address.ARN().String(), Protocol: string(u.Protocol), Endpoint: u.Endpoint, State: string(u.State), Since: u.Since,
		Raw: u.Attributes["RawMessageDelivery"] == "true",
	}
	if is.FilterScope = u.FilterScope(); is.FilterScope != "" {
		is.FilterPolicy = json.RawMessage(u.Attributes["FilterPolicy"])
	}
	if d, ok := p.DefinitionOf(u.Address.ARN()); ok {
		is.DeadLetters, is.Destination = d.DeadLetter, fares[d.ARN]
	}
	return is
}
