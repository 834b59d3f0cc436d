// Package notification is what topics tell their subscribers: what was published, as it travels in the log, and as subscribers get it.
//
// A [Notification] is written into the log once, by [Notification.Append], whoever its subscribers are; [Parse] reads it. Where it
// goes to, a [target.Subscription] says.
package notification

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// A Kind is what a notification is for, in AWS's words.
type Kind string

const (
	Published                Kind = "Notification"             // somebody has published a message
	SubscriptionConfirmation Kind = "SubscriptionConfirmation" // an endpoint is asked whether it wants to be subscribed
	UnsubscribeConfirmation  Kind = "UnsubscribeConfirmation"  // an endpoint is told that it is subscribed no more
)

// A Notification is a message of a topic.
type Notification struct {
	Kind       Kind
	ID         string // a UUID
	Topic      rialto.ARN
	Subject    string                     // or empty
	Message    string                     // for all protocols but those of ByProtocol
	ByProtocol map[target.Protocol]string // of a MessageStructure of json; nil otherwise
	Attributes map[string]Attribute
	Group      string // MessageGroupId, or empty
	Dedupe     string // by what a FIFO topic knows it again; empty for other topics
	Sequence   string // its number within a FIFO topic; empty for other topics
	Token      string // that confirms, for both confirmations
	Published  time.Time
}

// An Attribute is a message attribute.
type Attribute struct {
	Type   string // String, String.Array, Number or Binary, perhaps with a dot and a name of the user's own
	String string
	Binary []byte // of the Binary types, instead of String
}

// IsBinary reports whether the value is bytes and not text.
func (a Attribute) IsBinary() bool {
	kind, _, _ := strings.Cut(a.Type, ".")
	return kind == "Binary"
}

// FIFO reports whether the topic is one that keeps an order.
func (n *Notification) FIFO() bool { return n.Sequence != "" }

// MessageFor is the message for a protocol.
func (n *Notification) MessageFor(p target.Protocol) string {
	if m, ok := n.ByProtocol[p]; ok {
		return m
	}
	return n.Message
}

// Append appends the notification as it is in the log. Equal notifications are written equally.
func (n *Notification) Append(b []byte) []byte {
	b = append(b, '{')
	for _, m := range []struct{ name, value string }{
		{"kind", string(n.Kind)}, {"id", n.ID}, {"topic", n.Topic.String()}, {"subject", n.Subject}, {"message", n.Message},
		{"group", n.Group}, {"dedupe", n.Dedupe}, {"sequence", n.Sequence}, {"token", n.Token},
	} {
		if m.value != "" {
			b = append(appendMember(b, m.name, m.value), ',')
		}
	}
	if len(n.ByProtocol) > 0 {
		b = append(appendString(b, "byProtocol"), ':', '{')
		for i, p := range slices.Sorted(maps.Keys(n.ByProtocol)) {
			b = appendMember(comma(b, i), string(p), n.ByProtocol[p])
		}
		b = append(b, '}', ',')
	}
	if len(n.Attributes) > 0 {
		b = append(appendString(b, "attributes"), ':', '{')
		for i, name := range slices.Sorted(maps.Keys(n.Attributes)) {
			b = append(appendString(comma(b, i), name), ':')
			b = n.Attributes[name].append(b, "type", "string", "binary")
		}
		b = append(b, '}', ',')
	}
	return append(appendMember(b, "published", n.Published.UTC().Format(time.RFC3339Nano)), '}')
}

// append appends the attribute as an object of two members with the given names: the type, and the value as text or in base64.
func (a Attribute) append(b []byte, kind, text, binary string) []byte {
	b = append(appendMember(append(b, '{'), kind, a.Type), ',')
	if !a.IsBinary() {
		return append(appendMember(b, text, a.String), '}')
	}
	b = append(appendString(b, binary), ':', '"')
	return append(base64.StdEncoding.AppendEncode(b, a.Binary), '"', '}')
}

func appendMember(b []byte, name, value string) []byte {
	return appendString(append(appendString(b, name), ':'), value)
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // writes U+FFFD for what is no UTF-8, and complains of nothing else
	return b
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// Parse reads what [Notification.Append] wrote.
func Parse(b []byte) (*Notification, error) {
	var in struct {
		Kind       Kind                       `json:"kind"`
		ID         string                     `json:"id"`
		Topic      string                     `json:"topic"`
		Subject    string                     `json:"subject"`
		Message    string                     `json:"message"`
		ByProtocol map[target.Protocol]string `json:"byProtocol"`
		Attributes map[string]struct {
			Type   string `json:"type"`
			String string `json:"string"`
			Binary []byte `json:"binary"`
		} `json:"attributes"`
		Group     string    `json:"group"`
		Dedupe    string    `json:"dedupe"`
		Sequence  string    `json:"sequence"`
		Token     string    `json:"token"`
		Published time.Time `json:"published"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("read a notification: %w", err)
	}
	topic, err := rialto.ParseARN(in.Topic)
	if err != nil {
		return nil, fmt.Errorf("read a notification: its topic: %w", err)
	}
	switch in.Kind {
	case Published, SubscriptionConfirmation, UnsubscribeConfirmation:
	default:
		return nil, fmt.Errorf("read a notification: its kind is %.40q", in.Kind)
	}
	n := &Notification{
		Kind: in.Kind, ID: in.ID, Topic: topic, Subject: in.Subject, Message: in.Message, ByProtocol: in.ByProtocol, Group: in.Group,
		Dedupe: in.Dedupe, Sequence: in.Sequence, Token: in.Token, Published: in.Published.UTC(),
	}
	for name, a := range in.Attributes {
		if n.Attributes == nil {
			n.Attributes = make(map[string]Attribute, len(in.Attributes))
		}
		n.Attributes[name] = Attribute(a)
	}
	return n, nil
}
