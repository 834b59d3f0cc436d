package notification

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/target"
)

// A Writer writes notifications as subscribers receive them.
//
// AWS shows them in two ways, and so does this: with blanks and line breaks to people who read queues, and packed for programs. Programs
// do not care, and people compare.
type Writer struct {
	URL    string // where this server is reached, such as "https://sns.example.com"; links begin with it
	Signer Signer // nil signs nothing
}

// A Signer shows that a text is from here.
type Signer interface {
	// Sign signs a text, by the way that a signature version names, with the key of a certificate that is at a path below the
	// server's URL.
	Sign(ctx context.Context, version string, text []byte) (signature []byte, path string, err error)
}

// Signature versions (SNS developer guide, "Verifying the signatures of Amazon SNS messages").
const (
	SignedSHA1   = "1"
	SignedSHA256 = "2"
)

// timestamp is the form of times, always in UTC.
const timestamp = "2006-01-02T15:04:05.000Z"

// Envelope writes a notification for queues and web servers (SNS developer guide, "HTTP/HTTPS notification JSON format" and its two
// neighbours). Topics that keep an order do not sign.
func (w Writer) Envelope(ctx context.Context, n *Notification, s *target.Subscription) ([]byte, error) {
	members := w.members(n, s)
	if !n.FIFO() {
		var err error
		if members, err = w.sign(ctx, members, n, s); err != nil {
			return nil, err
		}
	}
	return n.appendPretty(nil, w.withUnsubscribe(members, n, s)), nil
}

// Record writes a notification for a delivery stream: the envelope without a signature, packed (SNS developer guide, "Formatting Amazon
// SNS notifications for storage in Amazon S3 destinations").
func (w Writer) Record(n *Notification, s *target.Subscription) []byte {
	b := appendPacked([]byte{'{'}, w.withUnsubscribe(w.members(n, s), n, s))
	if len(n.Attributes) > 0 {
		b = n.appendAttributes(append(b, `,"MessageAttributes":`...))
	}
	return append(b, '}')
}

// Event writes a notification for a function (Lambda developer guide, "Invoking Lambda functions with Amazon SNS notifications"). Two of
// its members are spelled otherwise than in the envelope, and two are there even if they are empty.
func (w Writer) Event(ctx context.Context, n *Notification, s *target.Subscription) ([]byte, error) {
	members, err := w.members(n, s), error(nil)
	if !n.FIFO() {
		if members, err = w.sign(ctx, members, n, s); err != nil {
			return nil, err
		}
	}
	members = w.withUnsubscribe(members, n, s)
	b := []byte(`{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0",`)
	b = append(appendMember(b, "EventSubscriptionArn", s.ARN.String()), `,"Sns":{`...)
	for i, m := range members {
		b = comma(b, i)
		if m.name == "Message" && n.Subject == "" {
			b = append(b, `"Subject":null,`...)
		}
		b = appendMember(b, strings.Replace(m.name, "URL", "Url", 1), m.value)
	}
	b = n.appendAttributes(append(b, `,"MessageAttributes":`...))
	return append(b, "}}]}"...), nil
}

// A member is one of an envelope.
type member struct{ name, value string }

// members are those of the envelope up to the time, in their order.
func (w Writer) members(n *Notification, s *target.Subscription) []member {
	list := []member{{"Type", string(n.Kind)}, {"MessageId", n.ID}}
	if n.FIFO() {
		list = append(list, member{"SequenceNumber", n.Sequence})
	}
	if n.Kind != Published {
		list = append(list, member{"Token", n.Token})
	}
	list = append(list, member{"TopicArn", n.Topic.String()})
	if n.Subject != "" {
		list = append(list, member{"Subject", n.Subject})
	}
	list = append(list, member{"Message", n.message(s)})
	if n.Kind != Published {
		list = append(list, member{"SubscribeURL", w.confirmURL(n)})
	}
	return append(list, member{"Timestamp", n.Published.UTC().Format(timestamp)})
}

// message is what the subscription is told. That of a confirmation is always the same (SNS developer guide, "HTTP/HTTPS subscription
// confirmation JSON format" and "HTTP/HTTPS unsubscribe confirmation JSON format").
func (n *Notification) message(s *target.Subscription) string {
	switch n.Kind {
	case SubscriptionConfirmation:
		return fmt.Sprintf("You have chosen to subscribe to the topic %s.\nTo confirm the subscription, visit the SubscribeURL included in this message.", n.Topic)
	case UnsubscribeConfirmation:
		return fmt.Sprintf("You have chosen to deactivate subscription %s.\nTo cancel this operation and restore the subscription, "+
			"visit the SubscribeURL included in this message.", s.ARN)
	}
	return n.MessageFor(s.Protocol)
}

// confirmURL is where whoever has the token confirms. AWS escapes nothing in it.
func (w Writer) confirmURL(n *Notification) string {
	return w.URL + "/?Action=ConfirmSubscription&TopicArn=" + n.Topic.String() + "&Token=" + n.Token
}

func (w Writer) withUnsubscribe(list []member, n *Notification, s *target.Subscription) []member {
	if n.Kind != Published {
		return list
	}
	return append(list, member{"UnsubscribeURL", w.URL + "/?Action=Unsubscribe&SubscriptionArn=" + s.ARN.String()})
}

// signed are the members that a signature covers, in the order in which it does (SNS developer guide, "Verifying the signatures of Amazon
// SNS messages"); of these, an envelope has those that it has.
var signed = []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}

// stringToSign is what a signature covers: names and values, each with a line break behind.
func stringToSign(list []member) []byte {
	var text []byte
	for _, name := range signed {
		if i := slices.IndexFunc(list, func(m member) bool { return m.name == name }); i >= 0 {
			text = append(append(append(append(text, name...), '\n'), list[i].value...), '\n')
		}
	}
	return text
}

func (w Writer) sign(ctx context.Context, list []member, n *Notification, s *target.Subscription) ([]member, error) {
	if w.Signer == nil {
		return list, nil
	}
	version := s.Signature
	if version == "" {
		version = SignedSHA1
	}
	signature, path, err := w.Signer.Sign(ctx, version, stringToSign(list))
	if err != nil {
		return nil, fmt.Errorf("sign message %s: %w", n.ID, err)
	}
	return append(list, member{"SignatureVersion", version}, member{"Signature", base64.StdEncoding.EncodeToString(signature)},
		member{"SigningCertURL", w.URL + path}), nil
}

// appendPretty appends an envelope as AWS lays it out (recorded on AWS).
func (n *Notification) appendPretty(b []byte, list []member) []byte {
	b = append(b, '{')
	for i, m := range list {
		b = append(appendString(append(comma(b, i), "\n  "...), m.name), " : "...)
		b = appendString(b, m.value)
	}
	if len(n.Attributes) > 0 {
		b = append(b, ",\n  \"MessageAttributes\" : {"...)
		for i, name := range slices.Sorted(maps.Keys(n.Attributes)) {
			b = append(appendString(append(comma(b, i), "\n    "...), name), " : "...)
			b = n.Attributes[name].append(b, "Type", "Value", "Value")
		}
		b = append(b, "\n  }"...)
	}
	return append(b, "\n}"...)
}

func appendPacked(b []byte, list []member) []byte {
	for i, m := range list {
		b = appendMember(comma(b, i), m.name, m.value)
	}
	return b
}

// appendAttributes appends the attributes as one object.
func (n *Notification) appendAttributes(b []byte) []byte {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(n.Attributes)) {
		b = append(appendString(comma(b, i), name), ':')
		b = n.Attributes[name].append(b, "Type", "Value", "Value")
	}
	return append(b, '}')
}

// MessageAttributes are the attributes as a message of a queue has them.
func (n *Notification) MessageAttributes() map[string]target.Attribute {
	if len(n.Attributes) == 0 {
		return nil
	}
	out := make(map[string]target.Attribute, len(n.Attributes))
	for name, a := range n.Attributes {
		value := a.String
		if a.IsBinary() {
			value = string(a.Binary)
		}
		out[name] = target.Attribute{Type: a.Type, Value: value}
	}
	return out
}

// BusEvent writes a notification as an event of EventBridge, for an event bus that is subscribed. A message that is a JSON object is its
// detail; any other message is in the detail as in a [Writer.Record]. Attributes named source and detail-type, of the String type, are
// those of the event.
func (w Writer) BusEvent(n *Notification, s *target.Subscription) []byte {
	source, detailType := DefaultSource, DefaultDetailType
	for name, to := range map[string]*string{"source": &source, "detail-type": &detailType} {
		if a := n.Attributes[name]; a.String != "" {
			*to = a.String
		}
	}
	b := append(appendMember([]byte(`{"version":"0",`), "id", n.ID), ',')
	b = append(appendMember(b, "detail-type", detailType), ',')
	b = append(appendMember(b, "source", source), ',')
	b = append(appendMember(b, "account", string(n.Topic.Account)), ',')
	b = append(appendMember(b, "time", n.Published.UTC().Format(eventTime)), ',')
	b = append(appendMember(b, "region", string(n.Topic.Region)), `,"resources":[`...)
	b = append(appendString(b, n.Topic.String()), `],"detail":`...)
	detail, err := pattern.AppendCompact(nil, []byte(n.MessageFor(s.Protocol)))
	if err != nil || detail[0] != '{' {
		detail = w.Record(n, s)
	}
	return append(append(b, detail...), '}')
}

// What an event has of which the attributes say nothing else.
const (
	DefaultSource     = "rialto.sns"
	DefaultDetailType = string(Published)
)

const eventTime = "2006-01-02T15:04:05Z" // of events, which have no fractions of a second
