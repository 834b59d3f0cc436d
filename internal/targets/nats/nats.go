// Package nats delivers events to subjects of NATS. The operator names the servers; the ARN of a target names one of them and a subject:
//
//	arn:rialto:nats:us-east-1:000000000000:orders.paid     the subject orders.paid on the server called "default"
//	arn:rialto:nats:::edge/orders.paid                     the same subject on the server called "edge"; region and account may be empty
//
// Where a stream of JetStream listens to the subject, a message counts as delivered when the stream has acknowledged it: at least once,
// and within the stream's window of duplicates once, since repetitions have the same Nats-Msg-Id. Where none does, the message is
// handed to the server and nobody can say who got it: core NATS delivers at most once, which is what its users expect. [Server.JetStream]
// says if that is to be an error.
//
// It is the only package beside internal/journal that knows NATS: there NATS is what rialto stands on and is hidden; here it is somebody
// else's. Start with [New].
package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/cloudevents"
	"github.com/rialto-events/rialto/internal/tracecontext"
	"github.com/rialto-events/rialto/target"
)

// DefaultServer is the name of the server of ARNs that name none.
const DefaultServer = "default"

const (
	sendTimeout = 10 * time.Second // of an attempt, unless the rule has one

	// Of a batch, all of which is on its way at once.
	mostMessages = 500
	mostBytes    = 4 << 20
)

// A Server is a NATS server or cluster.
type Server struct {
	URL         string // such as nats://n1:4222,nats://n2:4222
	Credentials string // path of a file of NATS credentials; may be empty
	JetStream   Mode
}

// A Mode says whether acknowledgements of JetStream are waited for.
type Mode string

const (
	Auto   Mode = "auto"   // where a stream listens to the subject; empty is the same
	Always Mode = "always" // and a subject to which none listens is an error
	Never  Mode = "never"
)

// Options tunes a Sender. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
}

// A Sender delivers to subjects.
type Sender struct {
	servers map[string]*connection
}

var _ target.Batcher = (*Sender)(nil)

// New makes a Sender, and begins to connect to the servers, each under its name.
func New(servers map[string]Server, o Options) (*Sender, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for name, c := range servers {
		if err := c.check(name); err != nil {
			return nil, err
		}
	}
	s := &Sender{make(map[string]*connection)}
	for name, c := range servers {
		s.servers[name] = connect(name, c, o.Logger)
	}
	return s, nil
}

// check says what is wrong with a server, before anything depends on it.
func (c Server) check(name string) error {
	wrong := func(format string, args ...any) error {
		return rialto.Errorf(rialto.Invalid, "The NATS server %s: %s", name, fmt.Sprintf(format, args...))
	}
	if name == "" || strings.ContainsAny(name, "/: ") {
		return wrong("a server has a name such as %s or edge.", DefaultServer)
	}
	for part := range strings.SplitSeq(c.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return wrong("its URL is such as nats://127.0.0.1:4222.") // and is not repeated, for it may hold a password
		}
	}
	if !slices.Contains([]Mode{"", Auto, Always, Never}, c.JetStream) {
		return wrong("jetstream is %s, %s or %s, not %q.", Auto, Always, Never, c.JetStream)
	}
	if c.Credentials != "" {
		if _, err := os.Stat(c.Credentials); err != nil {
			return wrong("its credentials cannot be read: %v.", err)
		}
	}
	return nil
}

// Close closes the connections.
func (s *Sender) Close() {
	for _, c := range s.servers {
		c.close()
	}
}

// Most bounds a batch.
func (s *Sender) Most(*target.Definition) (messages, bytes int) { return mostMessages, mostBytes }

// Send publishes a message.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	return s.SendBatch(ctx, []*target.Message{m})[0]
}

// SendBatch publishes messages in their order; each has its own result.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	if len(ms) == 0 {
		return nil
	}
	errs := make([]error, len(ms))
	c, subject, err := s.find(ms[0].Definition.ARN)
	if err != nil {
		return fill(errs, err)
	}
	timeout := ms[0].Definition.Timeout
	if timeout <= 0 {
		timeout = sendTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nc, err := c.ready(ctx)
	if err != nil {
		return fill(errs, err)
	}
	acks, err := c.acknowledges(ctx, subject)
	if err != nil {
		return fill(errs, err)
	}
	p := publication{connection: c, nc: nc, subject: subject, errs: errs}
	if acks {
		p.publish(ctx, ms, p.toStream)
	} else {
		p.publish(ctx, ms, p.toSubject)
	}
	return errs
}

func fill(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// find is the server and the subject that an ARN names.
func (s *Sender) find(text string) (*connection, string, error) {
	arn, err := rialto.ParseARN(text)
	name, subject, named := strings.Cut(arn.Resource, "/")
	if !named {
		name, subject = DefaultServer, arn.Resource
	}
	if err != nil || arn.Service != "nats" || !validSubject(subject) {
		return nil, "", &target.Error{Code: target.CodeInvalidParameter, Permanent: true,
			Message: fmt.Sprintf("%s is not the ARN of a subject that can be published to, such as arn:rialto:nats:::%s/orders.paid.", text, DefaultServer)}
	}
	c := s.servers[name]
	if c == nil {
		return nil, "", &target.Error{Code: target.CodeNoResource, Permanent: true,
			Message: fmt.Sprintf("There is no NATS server %s. Start rialto with --nats-target %s=nats://HOST:4222, or name the server under "+
				"nats-targets: in its file of settings.", name, name)}
	}
	return c, subject, nil
}

// validSubject reports whether a subject is one, without wildcards. What begins with a dollar sign is how the server is managed.
func validSubject(subject string) bool {
	if strings.HasPrefix(subject, "$") || strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return false
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || token == "*" || token == ">" {
			return false
		}
	}
	return true
}

// Headers of a message beside those of traces and CloudEvents.
const (
	eventHeader = "Rialto-Event-Id"
	ruleHeader  = "Rialto-Rule"
)

// message is what is published. Its id is that of the delivery, so that a repetition is known again and a second target is not.
func message(subject string, m *target.Message) (*nats.Msg, error) {
	msg := &nats.Msg{Subject: subject, Data: m.Payload, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, m.EventID+"/"+m.Definition.Rule.String()+"/"+m.Definition.ID)
	msg.Header.Set(eventHeader, m.EventID)
	msg.Header.Set(ruleHeader, m.Definition.Rule.String())
	if m.Trace != "" {
		msg.Header.Set("X-Amzn-Trace-Id", m.Trace)
		traceparent, tracestate := tracecontext.W3C(m.Trace)
		msg.Header.Set("traceparent", traceparent)
		if tracestate != "" {
			msg.Header.Set("tracestate", tracestate)
		}
	}
	if m.Definition.Format == "" {
		return msg, nil
	}
	event, err := cloudevents.ForMessage(m)
	if err != nil {
		return nil, &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Cause: err,
			Message: fmt.Sprintf("The event cannot be written as a CloudEvent: %v.", err)}
	}
	if m.Definition.Format != target.CloudEventsBinary { // a message is one event, also where batches are asked for
		msg.Header.Set("content-type", cloudevents.StructuredType)
		msg.Data = event.AppendStructured(nil)
		return msg, nil
	}
	msg.Header.Set("content-type", "application/json")
	for name, value := range event.Header() {
		msg.Header.Set(name, value)
	}
	msg.Data = event.Data
	return msg, nil
}

// failure says what an error of the client means for the delivery. ctx is the attempt's.
func failure(ctx context.Context, name, subject string, err error) error {
	switch api := (*jetstream.APIError)(nil); {
	case errors.Is(context.Cause(ctx), context.Canceled):
		return fmt.Errorf("publish to %s: %w", subject, err)
	case errors.Is(err, errDenied):
		return &target.Error{Code: target.CodeNoPermissions, Permanent: true,
			Message: fmt.Sprintf("The NATS server %s does not let rialto publish to %s.", name, subject)}
	case errors.Is(err, nats.ErrMaxPayload), errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Cause: err,
			Message: fmt.Sprintf("The message is larger than the NATS server %s takes for %s.", name, subject)}
	case errors.As(err, &api):
		return &target.Error{Code: target.CodeErrorFromTarget, Cause: err,
			Message: fmt.Sprintf("The stream of %s on the NATS server %s did not take the message: %s.", subject, name, api.Description)}
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		// Not for good: while a stream elects a leader it does not answer either.
		return &target.Error{Code: target.CodeNoResource, Cause: err,
			Message: fmt.Sprintf("No stream on the NATS server %s listens to %s. Add one, or set jetstream: auto to go without.", name, subject)}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return &target.Error{Code: target.CodeTimeout, Message: fmt.Sprintf("The NATS server %s did not answer in time.", name), Cause: err}
	}
	return &target.Error{Code: target.CodeConnectionFailure, Message: fmt.Sprintf("The NATS server %s cannot be reached.", name), Cause: err}
}
