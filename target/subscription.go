package target

import (
	"math"
	"time"

	"github.com/rialto-events/rialto"
)

// A Subscription is what a definition has that is no target of a rule, but a subscription of a topic. Its deliveries are notifications,
// which package internal/notification describes, and are written for the protocol as late as they are sent. [Subscription.Definition]
// makes the definition around it.
type Subscription struct {
	Topic       rialto.ARN `json:"topic"`
	ARN         rialto.ARN `json:"arn"` // the topic's, a colon and an id
	Protocol    Protocol   `json:"protocol"`
	Endpoint    string     `json:"endpoint"`              // an ARN or a URL, as the protocol asks
	Raw         bool       `json:"raw,omitempty"`         // the message alone is delivered, without the envelope
	Signature   string     `json:"signature,omitempty"`   // SignatureVersion of the topic, "1" or "2"; empty is "1"
	ContentType string     `json:"contentType,omitempty"` // of HTTP requests; empty is AWS's
}

// A Protocol is AWS's name of a way to notify a subscriber.
type Protocol string

// Protocols that are delivered to. Events is rialto's own: the endpoint is an event bus.
const (
	ProtocolSQS      Protocol = "sqs"
	ProtocolHTTP     Protocol = "http"
	ProtocolHTTPS    Protocol = "https"
	ProtocolLambda   Protocol = "lambda"
	ProtocolFirehose Protocol = "firehose"
	ProtocolEvents   Protocol = "events"
)

// Definition is the definition of what a subscription receives. Where a rule would be, with its limits, its circuit and its counters,
// stands the subscription. A web server has no ARN: its destination is the subscription.
func (s *Subscription) Definition() *Definition {
	d := &Definition{
		Rule: s.ARN, RuleName: rialto.RuleName(s.ARN.Resource), ID: string(s.Protocol), ARN: s.Endpoint, Subscription: s, Retry: ManagedRetry(),
	}
	if s.Protocol == ProtocolHTTP || s.Protocol == ProtocolHTTPS {
		d.ARN, d.Retry = s.ARN.String(), HTTPRetry()
	}
	return d
}

// A Backoff is the pauses between attempts: first none, then the least, then a climb from the least to the most, then the most. It is
// what a delivery policy of SNS describes (SNS developer guide, "Message delivery retries").
type Backoff struct {
	Immediate int           `json:"immediate,omitempty"` // retries without a pause
	AtLeast   int           `json:"atLeast,omitempty"`   // retries after Least, behind those
	AtMost    int           `json:"atMost,omitempty"`    // retries after Most, at the end
	Least     time.Duration `json:"least"`
	Most      time.Duration `json:"most"`
	Climb     Climb         `json:"climb,omitempty"` // empty is linear
}

// A Climb is how pauses become longer, in the words of a delivery policy.
type Climb string

const (
	Linear      Climb = "linear"
	Arithmetic  Climb = "arithmetic"
	Geometric   Climb = "geometric"
	Exponential Climb = "exponential"
)

// ManagedRetry is what SNS does for endpoints within AWS, for 23 days (SNS developer guide, "Message delivery retries").
func ManagedRetry() Retry {
	return Retry{MaxAttempts: 100_015, MaxAge: 23 * 24 * time.Hour, Backoff: &Backoff{
		Immediate: 3, AtLeast: 2, AtMost: 100_000, Least: time.Second, Most: 20 * time.Second, Climb: Exponential,
	}}
}

// HTTPRetry is what SNS does for a web server without a delivery policy of its own (SNS developer guide, "Creating an HTTP/S delivery
// policy"). An hour is the longest that such a policy can last.
func HTTPRetry() Retry {
	return Retry{MaxAttempts: 3, MaxAge: time.Hour, Backoff: &Backoff{Least: 20 * time.Second, Most: 20 * time.Second, Climb: Linear}}
}

// Pause is how long to wait after a failed attempt, the first being 1, by the Backoff, which must be there. How SNS computes what lies
// between the least and the most is not published; its guide draws four curves, of which linear rises at once and exponential last.
func (r Retry) Pause(attempt int) time.Duration {
	b := r.Backoff
	step := attempt - b.Immediate
	steps := r.MaxAttempts - b.Immediate - b.AtLeast - b.AtMost
	switch {
	case step <= 0:
		return 0
	case step <= b.AtLeast:
		return b.Least
	case step > b.AtLeast+steps:
		return b.Most
	}
	return b.climb(step-b.AtLeast-1, steps-1)
}

// climb is a pause on the way from the least, with step 0, to the most, with the last.
func (b *Backoff) climb(step, last int) time.Duration {
	if last <= 0 || b.Most <= b.Least {
		return b.Least
	}
	x := float64(step) / float64(last)
	switch least, most := b.Least.Seconds(), b.Most.Seconds(); b.Climb {
	case Arithmetic:
		x *= x
	case Geometric:
		least = max(least, 1e-3) // a factor makes nothing of zero
		x = (least*math.Pow(most/least, x) - least) / (most - least)
	case Exponential:
		x = (math.Exp2(float64(step)) - 1) / (math.Exp2(float64(last)) - 1)
	}
	return b.Least + time.Duration(x*float64(b.Most-b.Least)).Round(time.Millisecond)
}
