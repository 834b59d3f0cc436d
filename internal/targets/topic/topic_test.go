package topic_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/notification"
	targettopic "github.com/rialto-events/rialto/internal/targets/topic"
	"github.com/rialto-events/rialto/internal/topic"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

var scope = rialto.Scope{Account: "000000000000", Region: "us-east-1"}

func definition(name string) *target.Definition {
	return &target.Definition{ARN: scope.TopicARN(rialto.TopicName(name)).String(), Rule: scope.RuleARN("default", "r")}
}

// A book keeps what is accepted.
type book struct {
	mu  sync.Mutex
	got []deliver.Accepted
}

func (b *book) Accept(ctx context.Context, events []deliver.Accepted) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, events...)
	return nil
}

// start makes topics of which one has a subscriber.
func start(t *testing.T, o topic.Options) (*topic.Service, *book) {
	t.Helper()
	b := new(book)
	s := topic.New(catalogtest.Start(t), b, o)
	at := topic.Address{Scope: scope, Name: "works"}
	if err := s.Create(t.Context(), at, topic.Plan{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Subscribe(t.Context(), at, topic.Wish{Protocol: target.ProtocolSQS, Endpoint: scope.QueueARN("q").String(), Owner: scope.Account})
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}

// A troubled wraps topics of which some do not answer, or cannot.
type troubled struct{ targettopic.Topics }

func (q troubled) Deliver(ctx context.Context, arn rialto.ARN, m *target.Message) error {
	switch arn.Resource {
	case "hangs":
		<-ctx.Done()
		return ctx.Err()
	case "down":
		return rialto.Errorf(rialto.Unavailable, "The event store cannot be written to at the moment; try again.")
	}
	return q.Topics.Deliver(ctx, arn, m)
}

func TestSender(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		topics, book := start(t, topic.Options{})
		return targettest.Subject{
			Sender: targettopic.New(troubled{topics}),
			Works:  definition("works"),
			Received: func() [][]byte {
				book.mu.Lock()
				defer book.mu.Unlock()
				var got [][]byte
				for _, e := range book.got {
					n, err := notification.Parse(e.Event)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, []byte(n.Message))
				}
				return got
			},
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: {definition("hangs")},
				targettest.Down:  {definition("down")},
				targettest.Gone:  {definition("none"), definition("orders.fifo"), {ARN: "arn:aws:sqs:us-east-1:000000000000:works"}},
			},
			MaxBytes: 262_144,
		}
	})
}

func TestRefusals(t *testing.T) {
	topics, _ := start(t, topic.Options{Policies: true})
	sender := targettopic.New(topics)
	foreign := definition("works")
	foreign.Rule.Account = "111122223333"
	for _, tc := range []struct {
		name    string
		target  *target.Definition
		payload string
		code    string
		message string
	}{
		{"no such topic", definition("none"), "x", target.CodeNoResource, "Topic does not exist (Service: AmazonSNS; Status Code: 404; Error Code: NotFound; Request ID: "},
		{"a FIFO topic", definition("orders.fifo"), "x", target.CodeInvalidParameter, "Rules cannot publish on FIFO topics"},
		{"too large", definition("works"), strings.Repeat("x", 262_145), target.CodeInvalidParameter, "Message too long"},
		{"nothing", definition("works"), "", target.CodeInvalidParameter, "Empty message"},
		{"another account's", foreign, "x", target.CodeNoPermissions, "User: events.amazonaws.com is not authorized to perform: SNS:Publish on resource: "},
	} {
		err := sender.Send(t.Context(), &target.Message{Definition: tc.target, Payload: []byte(tc.payload)})
		e, ok := err.(*target.Error)
		if !ok || !e.Permanent || e.Code != tc.code || !strings.Contains(e.Message, tc.message) {
			t.Errorf("%s: got %#v, want the permanent error %s: %s", tc.name, err, tc.code, tc.message)
		}
	}
}

// TestPolicy lets the rules of another account publish as far as the policy of the topic says so.
func TestPolicy(t *testing.T) {
	topics, _ := start(t, topic.Options{Policies: true})
	at := topic.Address{Scope: scope, Name: "works"}
	foreign := definition("works")
	foreign.Rule = rialto.Scope{Account: "111122223333", Region: scope.Region}.RuleARN("default", "r")
	for _, tc := range []struct {
		name, statement string
		allowed         bool
	}{
		{"the service", `"Principal": {"Service": "events.amazonaws.com"}`, true},
		{"the service for this rule", `"Principal": {"Service": "events.amazonaws.com"}, "Condition": {"ArnEquals": {"aws:SourceArn": "` + foreign.Rule.String() + `"}}`, true},
		{"the service for another rule", `"Principal": {"Service": "events.amazonaws.com"}, "Condition": {"ArnEquals": {"aws:SourceArn": "` + foreign.Rule.String() + `s"}}`, false},
		{"the account", `"Principal": {"AWS": "111122223333"}`, true},
		{"another service", `"Principal": {"Service": "s3.amazonaws.com"}`, false},
		{"everybody", `"Principal": "*"`, true},
	} {
		policy := `{"Statement": [{"Effect": "Allow", "Action": "sns:Publish", "Resource": "*", ` + tc.statement + `}]}`
		if err := topics.SetAttribute(t.Context(), at, "Policy", policy); err != nil {
			t.Fatal(err)
		}
		err := targettopic.New(topics).Send(t.Context(), &target.Message{Definition: foreign, Payload: []byte("x")})
		if (err == nil) != tc.allowed {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}
