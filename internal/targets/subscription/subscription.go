// Package subscription delivers notifications of topics to their subscribers.
//
// A notification is written for its subscriber when it is sent, and then brought there by whoever delivers to such a place for rules,
// too: queues, functions, delivery streams and buses by their own kinds of targets, web servers over the connections of API destinations.
//
//	sqs            the envelope; raw, the message with its attributes. Group and deduplication id go along
//	http, https    the envelope; raw, the message. AWS's headers; 15 seconds
//	lambda         the event of a function
//	firehose       the record of a delivery stream; raw, the message
//	events         an event of EventBridge, see [notification.Writer.BusEvent]
//
// A dead letter is what the subscriber would have received. It is a message for a queue, so for functions, streams and buses it is the
// envelope. Start with [New].
package subscription

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	nethttp "net/http"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
)

const (
	// httpTimeout is how long a web server may take (SNS developer guide, "Fanout to HTTP/S endpoints").
	httpTimeout = 15 * time.Second

	// maxAttributes is how many attributes a raw message may have for a queue (SNS developer guide, "Amazon SNS message attributes").
	maxAttributes = 10
)

// A Web calls web servers. Package targets/http has it.
type Web interface {
	Post(ctx context.Context, p http.Post) (http.Posted, error)
}

// A Sender delivers to subscribers.
type Sender struct {
	of     func(*target.Definition) target.Sender
	web    Web
	writer notification.Writer
}

var (
	_ target.Timed = (*Sender)(nil)
	_ target.Local = (*Sender)(nil)
)

// New makes a Sender. The function says who delivers to what has an ARN, for a definition without a subscription.
func New(of func(*target.Definition) target.Sender, web Web, w notification.Writer) *Sender {
	return &Sender{of, web, w}
}

// Timeout is that of whoever delivers.
func (s *Sender) Timeout(d *target.Definition) time.Duration {
	if timed, ok := s.of(plain(d)).(target.Timed); ok {
		return timed.Timeout(d)
	}
	return 0
}

// Local is that of whoever delivers. Web servers are elsewhere.
func (s *Sender) Local(d *target.Definition) bool {
	if d.ARN == d.Subscription.ARN.String() {
		return false
	}
	local, ok := s.of(plain(d)).(target.Local)
	return ok && local.Local(d)
}

// plain is the definition of a target that is no subscription.
func plain(d *target.Definition) *target.Definition {
	p := *d
	p.Subscription = nil
	return &p
}

// Send writes the notification and brings it to where the definition says. If that is a queue, it is written for one, whatever the
// subscription's own protocol is: then it is a dead letter.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	sub := m.Definition.Subscription
	n, err := notification.Parse(m.Event)
	if err != nil {
		return &target.Error{Code: target.CodeInternal, Permanent: true, Message: "The notification cannot be read.", Cause: err}
	}
	arn, err := rialto.ParseARN(m.Definition.ARN)
	if err != nil {
		return refused("%s is not an ARN.", m.Definition.ARN)
	}
	if arn.Service == "sqs" {
		return s.toQueue(ctx, m, n, arn)
	}
	switch sub.Protocol {
	case target.ProtocolHTTP, target.ProtocolHTTPS:
		return s.toWeb(ctx, m, n)
	case target.ProtocolLambda:
		return s.toFunction(ctx, m, n)
	case target.ProtocolFirehose:
		return s.pass(ctx, m, s.record(n, sub))
	case target.ProtocolEvents:
		return s.toBus(ctx, m, n)
	}
	return refused("Messages cannot be delivered by the protocol %q to %s.", sub.Protocol, arn)
}

func refused(format string, args ...any) error {
	return &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Message: fmt.Sprintf(format, args...)}
}

// pass hands a payload to whoever delivers to the ARN.
func (s *Sender) pass(ctx context.Context, m *target.Message, payload []byte) error {
	out := *m
	out.Payload = payload
	err := s.of(plain(m.Definition)).Send(ctx, &out)
	m.Answer = out.Answer
	return err
}

// toQueue delivers to a queue: what the subscriber is to receive, or would have.
func (s *Sender) toQueue(ctx context.Context, m *target.Message, n *notification.Notification, arn rialto.ARN) error {
	sub, out := m.Definition.Subscription, *m
	letter := sub.Protocol != target.ProtocolSQS || m.Definition.ARN != sub.Endpoint
	out.Attributes, out.Group = nil, n.Group
	if strings.HasSuffix(arn.Resource, ".fifo") {
		out.Dedupe = n.Dedupe
		if letter {
			out.Dedupe = letterID(n, sub)
		}
	}
	var payload []byte
	switch attributes := n.MessageAttributes(); {
	case !raw(n, sub) || letter && len(attributes) > maxAttributes: // a letter may not be lost for having too many
		var err error
		if payload, err = s.writer.Envelope(ctx, n, sub); err != nil {
			return unsigned(err)
		}
	case len(attributes) > maxAttributes:
		return refused("The message has %d attributes, and a raw message for a queue has at most %d.", len(attributes), maxAttributes)
	default:
		payload, out.Attributes = []byte(n.MessageFor(sub.Protocol)), attributes
	}
	err := s.pass(ctx, &out, payload)
	m.Answer = out.Answer
	return err
}

// letterID is by what a FIFO queue knows a dead letter again. Those of two subscriptions may come to one queue.
func letterID(n *notification.Notification, sub *target.Subscription) string {
	sum := sha256.Sum256([]byte(sub.ARN.String() + "\x00" + n.Dedupe))
	return hex.EncodeToString(sum[:])
}

// raw reports whether the message is delivered without an envelope. Questions have one in any case.
func raw(n *notification.Notification, sub *target.Subscription) bool {
	if n.Kind != notification.Published || !sub.Raw {
		return false
	}
	switch sub.Protocol {
	case target.ProtocolSQS, target.ProtocolHTTP, target.ProtocolHTTPS, target.ProtocolFirehose:
		return true
	}
	return false
}

// unsigned is the error of a notification whose signature could not be made, now.
func unsigned(err error) error {
	return &target.Error{Code: target.CodeInternal, Message: "The message could not be signed.", Cause: err}
}

func (s *Sender) toFunction(ctx context.Context, m *target.Message, n *notification.Notification) error {
	event, err := s.writer.Event(ctx, n, m.Definition.Subscription)
	if err != nil {
		return unsigned(err)
	}
	return s.pass(ctx, m, event)
}

func (s *Sender) record(n *notification.Notification, sub *target.Subscription) []byte {
	if raw(n, sub) {
		return []byte(n.MessageFor(sub.Protocol))
	}
	return s.writer.Record(n, sub)
}

// toBus puts an event on a bus. It counts as forwarded from the topic, so that nothing runs in a circle over topics for ever.
func (s *Sender) toBus(ctx context.Context, m *target.Message, n *notification.Notification) error {
	if source := n.Attributes["source"].String; strings.HasPrefix(source, "aws.") {
		return refused("The attribute source is %q: nobody can put events of that source.", source)
	}
	out := *m
	out.Event = s.writer.BusEvent(n, m.Definition.Subscription)
	err := s.pass(ctx, &out, out.Event)
	m.Answer = out.Answer
	return err
}

// Of calls to web servers (SNS developer guide, "HTTP/HTTPS headers" and "Creating an HTTP/S delivery policy").
const (
	userAgent   = "Amazon Simple Notification Service Agent"
	contentType = "text/plain; charset=UTF-8"
	encodings   = "gzip,deflate"
)

// toWeb posts to a web server.
func (s *Sender) toWeb(ctx context.Context, m *target.Message, n *notification.Notification) error {
	sub := m.Definition.Subscription
	h := make(nethttp.Header)
	h.Set("User-Agent", userAgent)
	h.Set("Accept-Encoding", encodings)
	h.Set("Content-Type", contentType)
	h.Set("X-Amz-Sns-Message-Type", string(n.Kind))
	h.Set("X-Amz-Sns-Message-Id", n.ID)
	h.Set("X-Amz-Sns-Topic-Arn", n.Topic.String())
	if n.Kind != notification.SubscriptionConfirmation {
		h.Set("X-Amz-Sns-Subscription-Arn", sub.ARN.String())
	}
	if sub.ContentType != "" && n.Kind == notification.Published {
		h.Set("Content-Type", sub.ContentType)
	}
	var body []byte
	if raw(n, sub) {
		h.Set("X-Amz-Sns-Rawdelivery", "true")
		body = []byte(n.MessageFor(sub.Protocol))
	} else {
		var err error
		if body, err = s.writer.Envelope(ctx, n, sub); err != nil {
			return unsigned(err)
		}
	}
	return s.post(ctx, m, http.Post{URL: sub.Endpoint, Header: h, Body: body, Timeout: timeoutOf(m.Definition)})
}

func timeoutOf(d *target.Definition) time.Duration {
	if d.Timeout > 0 {
		return d.Timeout
	}
	return httpTimeout
}

// post makes the call, and judges the answer as SNS does: what the server is to blame for is worth another attempt, and so is a 429
// (SNS developer guide, "Message delivery retries").
func (s *Sender) post(ctx context.Context, m *target.Message, p http.Post) error {
	answer, err := s.web.Post(ctx, p)
	if err == http.ErrURL {
		return refused("The endpoint of the subscription cannot be called: %v.", err)
	}
	m.Answer = answer.Answer
	if err != nil || answer.Status/100 == 2 {
		return err
	}
	e := &target.Error{
		Code:    target.CodeErrorFromTarget,
		Message: strings.TrimSpace(fmt.Sprintf("The endpoint answered with status %d %s", answer.Status, nethttp.StatusText(answer.Status))) + ".",
	}
	switch {
	case answer.Status == nethttp.StatusTooManyRequests:
		e.Code = target.CodeThrottling
	case answer.Status < 500:
		e.Permanent = true
	}
	if b := m.Definition.Retry.Backoff; b != nil && !e.Permanent {
		e.RetryAfter = min(answer.RetryAfter, b.Most) // SNS knows no other pauses than those of its policy
	}
	return e
}
