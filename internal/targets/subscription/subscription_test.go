package subscription_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/internal/targets/subscription"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
	"github.com/rialto-events/rialto/target/targettest/hostile"
)

var (
	scope = rialto.Scope{Account: "123456789012", Region: "eu-west-1"}
	topic = scope.ARN("sns", "orders")
	made  = time.Date(2026, 3, 1, 10, 0, 5, 123e6, time.UTC)
)

// A signer signs everything alike.
type signer struct{ err error }

func (s signer) Sign(context.Context, string, []byte) ([]byte, string, error) {
	return []byte("signed"), "/SimpleNotificationService-0.pem", s.err
}

// Places stand for whatever has an ARN: some do not answer, or cannot. They keep what they get.
type places struct {
	mu  sync.Mutex
	got []*target.Message
}

func (p *places) Send(ctx context.Context, m *target.Message) error {
	switch {
	case strings.HasSuffix(m.Definition.ARN, "hangs"):
		<-ctx.Done()
	case strings.HasSuffix(m.Definition.ARN, "down"):
		return &target.Error{Code: target.CodeThrottling, Message: "Rate exceeded"}
	case strings.HasSuffix(m.Definition.ARN, "gone"):
		return &target.Error{Code: target.CodeNoResource, Message: "It is gone.", Permanent: true}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	copied := *m
	p.got = append(p.got, &copied)
	m.Answer = target.Answer{Head: "taken"}
	return nil
}

func (p *places) of(d *target.Definition) target.Sender {
	if d.Subscription != nil {
		panic("a definition with a subscription comes back")
	}
	return p
}

func (p *places) received() []*target.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// definition is what a subscription receives by.
func definition(protocol target.Protocol, endpoint string, change ...func(*target.Subscription)) *target.Definition {
	arn := topic
	arn.Resource += ":2bcfbf39-05c3-41de-beaa-fcfcc21c8f55"
	s := &target.Subscription{Topic: topic, ARN: arn, Protocol: protocol, Endpoint: endpoint}
	for _, c := range change {
		c(s)
	}
	return s.Definition()
}

func rawly(s *target.Subscription) { s.Raw = true }

// published is a notification of a message.
func published(text string, change ...func(*notification.Notification)) *notification.Notification {
	n := &notification.Notification{Kind: notification.Published, ID: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", Topic: topic, Message: text, Published: made}
	for _, c := range change {
		c(n)
	}
	return n
}

func message(d *target.Definition, n *notification.Notification) *target.Message {
	return &target.Message{Definition: d, EventID: n.ID, Event: n.Append(nil), Payload: n.Append(nil), Bus: topic, Accepted: made, Attempt: 1}
}

// A world is a Sender and what it delivers to.
type world struct {
	*subscription.Sender
	there places
	web   *http.Sender
}

func start(t testing.TB) *world {
	w := &world{web: http.New(nil, http.Options{Guard: http.Guard{Allow: http.Loopback}})}
	t.Cleanup(w.web.Close)
	w.Sender = subscription.New(w.there.of, w.web, notification.Writer{URL: "https://rialto.example.com", Signer: signer{}})
	return w
}

// prepare makes of a message of the suite one whose event is a notification of the payload.
func prepare(m *target.Message) { m.Event = published(string(m.Payload)).Append(nil) }

func TestSender(t *testing.T) {
	queue, function, stream, bus := scope.QueueARN, "arn:aws:lambda:eu-west-1:123456789012:function:",
		"arn:aws:firehose:eu-west-1:123456789012:deliverystream/", scope.BusARN
	for name, kind := range map[string]struct {
		define func(place string) *target.Definition
		body   func(payload []byte) string // the message in what arrived
	}{
		"queues": {func(p string) *target.Definition {
			return definition(target.ProtocolSQS, queue(rialto.QueueName(p)).String())
		}, inEnvelope},
		"queues, raw": {func(p string) *target.Definition {
			return definition(target.ProtocolSQS, queue(rialto.QueueName(p)).String(), rawly)
		}, itself},
		"functions":    {func(p string) *target.Definition { return definition(target.ProtocolLambda, function+p) }, inEvent},
		"streams, raw": {func(p string) *target.Definition { return definition(target.ProtocolFirehose, stream+p, rawly) }, itself},
		"buses": {func(p string) *target.Definition {
			return definition(target.ProtocolEvents, bus(rialto.BusName(p)).String())
		}, inDetail},
	} {
		t.Run(name, func(t *testing.T) {
			targettest.Run(t, func(t *testing.T) targettest.Subject {
				w := start(t)
				return targettest.Subject{
					Sender: w, Works: kind.define("works"), Prepare: prepare,
					Received: func() (bodies [][]byte) {
						for _, m := range w.there.received() {
							bodies = append(bodies, []byte(kind.body(m.Payload)))
						}
						return bodies
					},
					Equal: func(sent, got []byte) bool { return bytes.Equal(compact(sent), compact(got)) },
					Faults: map[targettest.Fault]targettest.Misbehaved{
						targettest.Hangs: {kind.define("hangs")}, targettest.Down: {kind.define("down")}, targettest.Gone: {kind.define("gone")},
					},
				}
			})
		})
	}
}

func itself(payload []byte) string { return string(payload) }

func inEnvelope(payload []byte) string {
	var e struct{ Message string }
	_ = json.Unmarshal(payload, &e) // an empty message is found out
	return e.Message
}

func inEvent(payload []byte) string {
	var e struct {
		Records []struct{ Sns json.RawMessage }
	}
	if json.Unmarshal(payload, &e) != nil || len(e.Records) != 1 {
		return ""
	}
	return inEnvelope(e.Records[0].Sns)
}

func inDetail(payload []byte) string {
	var e struct{ Detail json.RawMessage }
	_ = json.Unmarshal(payload, &e)
	if message := inEnvelope(e.Detail); message != "" {
		return message
	}
	return string(e.Detail)
}

// compact makes JSON comparable for a kind that takes the blanks out.
func compact(b []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return b
	}
	return out.Bytes()
}

// An endpoint is a web server that keeps what it gets.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*nethttp.Request
	bodies   [][]byte
}

func newEndpoint(t testing.TB) *endpoint {
	e := new(endpoint)
	e.Server = httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.requests, e.bodies = append(e.requests, r), append(e.bodies, body)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) received() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.bodies)
}

func status(t testing.TB, code int) string {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(code) }))
	t.Cleanup(s.Close)
	return s.URL
}

func TestWebServers(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		e, w := newEndpoint(t), start(t)
		misbehaved := func(kinds ...func() *hostile.Server) (all targettest.Misbehaved) {
			for _, start := range kinds {
				s := start()
				t.Cleanup(s.Close)
				all = append(all, definition(target.ProtocolHTTP, s.URL, rawly))
			}
			return all
		}
		faulty := func(urls ...string) (all targettest.Misbehaved) {
			for _, u := range urls {
				all = append(all, definition(target.ProtocolHTTP, u, rawly))
			}
			return all
		}
		return targettest.Subject{
			Sender: w, Works: definition(target.ProtocolHTTP, e.URL, rawly), Received: e.received, Prepare: prepare,
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs:   misbehaved(hostile.Silent, hostile.Drip),
				targettest.Endless: misbehaved(hostile.EndlessHeaders, hostile.EndlessChunks, hostile.HugeBody, hostile.Bomb),
				targettest.Cuts:    misbehaved(hostile.Reset, hostile.Cut, hostile.HangsUp),
				targettest.Garbage: misbehaved(hostile.Garbage),
				targettest.Down:    faulty(status(t, 500), status(t, 503), status(t, 429), "http://127.0.0.1:1"),
				targettest.Gone:    faulty(status(t, 302), status(t, 400), status(t, 404), status(t, 410), "ftp://127.0.0.1", "nothing", "http://10.0.0.1", "http://169.254.169.254/latest"),
			},
		}
	})
}

// TestHostileServers holds what becomes of a call to each of the servers that misbehave. A server cannot end a delivery by its Retry-After:
// SNS does not read that.
func TestHostileServers(t *testing.T) {
	for _, k := range hostile.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s := k.Start()
			defer s.Close()
			if s.CA != nil {
				k.End = hostile.TryAgain // nobody knows its authority
			}
			if k.Name == "429 for good" {
				k.End = hostile.TryAgain
			}
			d := definition(target.ProtocolHTTPS, s.URL)
			d.Timeout = 300 * time.Millisecond
			if k.End == hostile.Taken {
				d.Timeout = 3 * time.Second // a busy machine must not look like a slow server
			}
			err := start(t).Send(t.Context(), message(d, published("x")))
			end := hostile.TryAgain
			switch {
			case err == nil:
				end = hostile.Taken
			case target.Permanent(err):
				end = hostile.Permanent
			}
			if end != k.End {
				t.Errorf("the call ends with %v, want %s", err, k.End)
			}
			if e, ok := err.(*target.Error); ok && e.RetryAfter > d.Retry.Backoff.Most {
				t.Errorf("the server asks for %v", e.RetryAfter)
			}
			if n := s.Sent(); n > 16<<20 {
				t.Errorf("the call took %d bytes", n)
			}
		})
	}
}

// TestRequests holds what a web server gets beside the body (SNS developer guide, "HTTP/HTTPS headers" and "Amazon SNS raw message delivery").
func TestRequests(t *testing.T) {
	e, w := newEndpoint(t), start(t)
	withUser := strings.Replace(e.URL, "http://", "http://me:s3cret@", 1) + "/in?x=1"
	for _, c := range []struct {
		name string
		to   *target.Definition
		n    *notification.Notification
		want map[string]string // headers; an empty one must not be there
		body string            // its beginning
	}{
		{"a notification", definition(target.ProtocolHTTP, e.URL), published("x"), map[string]string{
			"x-amz-sns-message-type": "Notification", "x-amz-sns-message-id": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
			"x-amz-sns-topic-arn":        "arn:aws:sns:eu-west-1:123456789012:orders",
			"x-amz-sns-subscription-arn": "arn:aws:sns:eu-west-1:123456789012:orders:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55",
			"Content-Type":               "text/plain; charset=UTF-8", "User-Agent": "Amazon Simple Notification Service Agent", "Accept-Encoding": "gzip,deflate",
			"x-amz-sns-rawdelivery": "", "Authorization": "", "Transfer-Encoding": "",
		}, "{\n  \"Type\" : \"Notification\","},
		{"raw", definition(target.ProtocolHTTP, e.URL, rawly), published("x"), map[string]string{
			"x-amz-sns-message-type": "Notification", "x-amz-sns-rawdelivery": "true", "Content-Type": "text/plain; charset=UTF-8",
		}, "x"},
		{"a content type", definition(target.ProtocolHTTP, e.URL, func(s *target.Subscription) { s.ContentType = "application/json" }), published("x"),
			map[string]string{"Content-Type": "application/json"}, "{"},
		{"a user", definition(target.ProtocolHTTP, withUser), published("x"), map[string]string{"Authorization": "Basic bWU6czNjcmV0"}, "{"},
		{"a question", definition(target.ProtocolHTTP, e.URL, rawly, func(s *target.Subscription) { s.ContentType = "application/json" }),
			published("", func(n *notification.Notification) { n.Kind, n.Token = notification.SubscriptionConfirmation, "0123" }), map[string]string{
				"x-amz-sns-message-type": "SubscriptionConfirmation", "x-amz-sns-subscription-arn": "", "x-amz-sns-rawdelivery": "", "Content-Type": "text/plain; charset=UTF-8",
			}, "{\n  \"Type\" : \"SubscriptionConfirmation\","},
		{"a farewell", definition(target.ProtocolHTTP, e.URL, rawly),
			published("", func(n *notification.Notification) { n.Kind, n.Token = notification.UnsubscribeConfirmation, "0123" }), map[string]string{
				"x-amz-sns-message-type": "UnsubscribeConfirmation", "x-amz-sns-subscription-arn": "arn:aws:sns:eu-west-1:123456789012:orders:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55",
			}, "{\n  \"Type\" : \"UnsubscribeConfirmation\","},
	} {
		if err := w.Send(t.Context(), message(c.to, c.n)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		r, body := e.requests[len(e.requests)-1], e.bodies[len(e.bodies)-1]
		for name, want := range c.want {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: header %s is %q, want %q", c.name, name, got, want)
			}
		}
		if r.Method != "POST" || !bytes.HasPrefix(body, []byte(c.body)) {
			t.Errorf("%s: %s of\n%s", c.name, r.Method, body)
		}
	}
}

// TestAnswersAreShown keeps what a server says for people, without the password that it may have been sent.
func TestAnswersAreShown(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.WriteHeader(403)
		fmt.Fprintf(w, "%s may not", r.Header.Get("Authorization"))
	}))
	defer s.Close()
	m := message(definition(target.ProtocolHTTP, strings.Replace(s.URL, "http://", "http://me:s3cret@", 1)), published("x"))
	err := start(t).Send(t.Context(), m)
	if e, ok := err.(*target.Error); !ok || !e.Permanent || e.Code != target.CodeErrorFromTarget || e.Message != "The endpoint answered with status 403 Forbidden." {
		t.Errorf("got %v", err)
	}
	if want := (target.Answer{Status: 403, Head: "Basic [redacted] may not"}); m.Answer != want {
		t.Errorf("the answer is %+v", m.Answer)
	}
	if err := start(t).Send(t.Context(), message(definition(target.ProtocolHTTP, "http://me:s3cret@127.0.0.1:1/"), published("x"))); strings.Contains(fmt.Sprintf("%+v %v", err, err.(*target.Error).Cause), "s3cret") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func withAttributes(n int) func(*notification.Notification) {
	return func(m *notification.Notification) {
		m.Attributes = make(map[string]notification.Attribute)
		for i := range n {
			m.Attributes[fmt.Sprintf("a%d", i)] = notification.Attribute{Type: "String", String: "v"}
		}
	}
}

func fifo(n *notification.Notification) {
	n.Group, n.Dedupe, n.Sequence = "g", "d", "10000000000000001000"
}

// TestQueues holds what a queue gets: of its own subscription, and as the dead-letter queue of one.
func TestQueues(t *testing.T) {
	q, letters := scope.QueueARN("q").String(), scope.QueueARN("letters").String()
	attribute := map[string]target.Attribute{"a0": {Type: "String", Value: "v"}}
	dead := func(d *target.Definition, to string) *target.Definition {
		d.ARN = to
		return d
	}
	for _, c := range []struct {
		name          string
		to            *target.Definition
		n             *notification.Notification
		body          string // itself, or "envelope"
		attributes    map[string]target.Attribute
		group, dedupe string
	}{
		{"an envelope", definition("sqs", q), published("x", withAttributes(1)), "envelope", nil, "", ""},
		{"raw", definition("sqs", q, rawly), published("x", withAttributes(1)), "x", attribute, "", ""},
		{"of its protocol", definition("sqs", q, rawly), published("x", func(n *notification.Notification) { n.ByProtocol = map[target.Protocol]string{"sqs": "y"} }), "y", nil, "", ""},
		{"as many attributes as there may be", definition("sqs", q, rawly), published("x", withAttributes(10)), "x", nil, "", ""},
		{"of a FIFO topic", definition("sqs", q+".fifo"), published("x", fifo), "envelope", nil, "g", "d"},
		{"of a FIFO topic, raw", definition("sqs", q+".fifo", rawly), published("x", fifo, withAttributes(1)), "x", attribute, "g", "d"},
		{"a queue without order, of a FIFO topic", definition("sqs", q, rawly), published("x", fifo), "x", nil, "g", ""},
		{"with a group that means nothing", definition("sqs", q, rawly), published("x", func(n *notification.Notification) { n.Group = "$.detail" }), "x", nil, "$.detail", ""},

		{"a letter of a queue", dead(definition("sqs", q), letters), published("x", withAttributes(1)), "envelope", nil, "", ""},
		{"a letter of a queue, raw", dead(definition("sqs", q, rawly), letters), published("x", withAttributes(1)), "x", attribute, "", ""},
		{"a letter with too many attributes", dead(definition("sqs", q, rawly), letters), published("x", withAttributes(11)), "envelope", nil, "", ""},
		{"a letter of a web server", dead(definition("http", "http://x"), letters), published("x"), "envelope", nil, "", ""},
		{"a letter of a web server, raw", dead(definition("http", "http://x", rawly), letters), published("x", withAttributes(1)), "x", attribute, "", ""},
		{"a letter of a function", dead(definition("lambda", "arn:aws:lambda:::function:f"), letters), published("x"), "envelope", nil, "", ""},
		{"a letter of a bus", dead(definition("events", scope.BusARN("b").String(), rawly), letters), published("{}"), "envelope", nil, "", ""},
		{"a question that was not heard", dead(definition("http", "http://x", rawly), letters),
			published("", func(n *notification.Notification) { n.Kind, n.Token = notification.SubscriptionConfirmation, "t" }), "envelope", nil, "", ""},
	} {
		w := start(t)
		m := message(c.to, c.n)
		m.Attributes = map[string]target.Attribute{"RULE_ARN": {Type: "String", Value: "of a rule"}}
		if err := w.Send(t.Context(), m); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := w.there.received()[0]
		body := string(got.Payload)
		if strings.HasPrefix(body, "{\n  \"Type\" : ") {
			body = "envelope"
		}
		if body != c.body || got.Group != c.group || got.Dedupe != c.dedupe || got.Definition.ARN != c.to.ARN {
			t.Errorf("%s: %s gets %q, of group %q and with id %q", c.name, got.Definition.ARN, body, got.Group, got.Dedupe)
		}
		if diff := cmp.Diff(c.attributes, got.Attributes); diff != "" && len(c.n.Attributes) != 10 {
			t.Errorf("%s: attributes (-want +got):\n%s", c.name, diff)
		}
		if m.Answer.Head != "taken" {
			t.Errorf("%s: the answer is lost", c.name)
		}
	}

	err := start(t).Send(t.Context(), message(definition("sqs", q, rawly), published("x", withAttributes(11))))
	if e, ok := err.(*target.Error); !ok || !e.Permanent || e.Code != target.CodeInvalidParameter {
		t.Errorf("a raw message with eleven attributes: %v", err)
	}
}

// TestLettersAreNotTakenForEachOther: two subscriptions of a FIFO topic may share a FIFO queue for their letters.
func TestLettersAreNotTakenForEachOther(t *testing.T) {
	w := start(t)
	for _, id := range []string{"one", "two"} {
		d := definition("sqs", scope.QueueARN("q.fifo").String(), func(s *target.Subscription) { s.ARN.Resource = "orders:" + id })
		d.ARN = scope.QueueARN("letters.fifo").String()
		for range 2 {
			if err := w.Send(t.Context(), message(d, published("x", fifo))); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := w.there.received()
	if a, again, b := got[0].Dedupe, got[1].Dedupe, got[2].Dedupe; a != again || a == b || a == "" || len(a) > 128 {
		t.Errorf("ids %q, %q again, and of another %q", a, again, b)
	}
}

func TestBuses(t *testing.T) {
	for _, c := range []struct {
		name string
		n    *notification.Notification
		want string
	}{
		{"an object", published(`{ "id" : 1.50, "what": "<b>" }`), `"detail-type":"Notification","source":"rialto.sns",` + aboutBus + `"detail":{"id":1.50,"what":"<b>"}}`},
		{"a text", published("hello"), `"detail-type":"Notification","source":"rialto.sns",` + aboutBus +
			`"detail":{"Type":"Notification","MessageId":"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324","TopicArn":"arn:aws:sns:eu-west-1:123456789012:orders","Message":"hello",` +
			`"Timestamp":"2026-03-01T10:00:05.123Z","UnsubscribeURL":"https://rialto.example.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:eu-west-1:123456789012:orders:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55"}}`},
		{"with a source", published(`{}`, func(n *notification.Notification) {
			n.Attributes = map[string]notification.Attribute{"source": {Type: "String", String: "shop"}, "detail-type": {Type: "String", String: "Order \"Paid\""}}
		}), `"detail-type":"Order \"Paid\"","source":"shop",` + aboutBus + `"detail":{}}`},
	} {
		w := start(t)
		m := message(definition("events", scope.BusARN("b").String()), c.n)
		m.Hops = target.Hops{CrossRegion: 1}
		if err := w.Send(t.Context(), m); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := w.there.received()[0]
		want := `{"version":"0","id":"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",` + c.want
		if diff := cmp.Diff(want, string(got.Event)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if got.Hops != m.Hops || got.Bus != topic {
			t.Errorf("%s: it comes from %s over %+v", c.name, got.Bus, got.Hops)
		}
	}
	reserved := published(`{}`, func(n *notification.Notification) {
		n.Attributes = map[string]notification.Attribute{"source": {Type: "String", String: "aws.s3"}}
	})
	if err := start(t).Send(t.Context(), message(definition("events", scope.BusARN("b").String()), reserved)); !target.Permanent(err) {
		t.Errorf("an event of AWS: %v", err)
	}
}

const aboutBus = `"account":"123456789012","time":"2026-03-01T10:00:05Z","region":"eu-west-1","resources":["arn:aws:sns:eu-west-1:123456789012:orders"],`

// TestWhatCannotBeDelivered says so for good, or not.
func TestWhatCannotBeDelivered(t *testing.T) {
	unread := message(definition("sqs", scope.QueueARN("q").String()), published("x"))
	unread.Event = []byte("{")
	lost := message(definition("sqs", scope.QueueARN("q").String()), published("x"))
	lost.Definition.ARN = "nowhere"
	for name, m := range map[string]*target.Message{
		"a notification that cannot be read": unread,
		"no ARN":                             lost,
		"a protocol of somebody else":        message(definition("email", "arn:aws:ses:::x"), published("x")),
	} {
		if err := start(t).Send(t.Context(), m); !target.Permanent(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := start(t)
	w.Sender = subscription.New(w.there.of, w.web, notification.Writer{Signer: signer{io.ErrUnexpectedEOF}})
	for _, d := range []*target.Definition{definition("sqs", scope.QueueARN("q").String()), definition("lambda", "arn:aws:lambda:::function:f"), definition("http", "http://127.0.0.1:1")} {
		if err := w.Send(t.Context(), message(d, published("x"))); err == nil || target.Permanent(err) {
			t.Errorf("%s, without a signature: %v", d.Subscription.Protocol, err)
		}
	}
}

// A slow Sender says how long it may take, and that it is here.
type slow struct{ places }

func (*slow) Timeout(*target.Definition) time.Duration { return time.Hour }
func (*slow) Local(*target.Definition) bool            { return true }

// TestWhatKindsSay holds that a subscription is as slow and as near as what it leads to.
func TestWhatKindsSay(t *testing.T) {
	w := start(t)
	d := definition("lambda", "arn:aws:lambda:::function:f")
	if got := w.Timeout(d); got != 0 || w.Local(d) {
		t.Errorf("a kind that says nothing has %v, and is here: %t", got, w.Local(d))
	}
	w.Sender = subscription.New(func(*target.Definition) target.Sender { return new(slow) }, w.web, notification.Writer{})
	if got := w.Timeout(d); got != time.Hour || !w.Local(d) {
		t.Errorf("a kind that is slow and here has %v, and is here: %t", got, w.Local(d))
	}
	if w.Local(definition("https", "https://shop.example.com")) {
		t.Error("a web server is here")
	}
}
