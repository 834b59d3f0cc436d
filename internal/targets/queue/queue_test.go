package queue_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
	targetqueue "github.com/rialto-events/rialto/internal/targets/queue"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

var scope = rialto.Scope{Account: "000000000000", Region: "us-east-1"}

func definition(name string) *target.Definition {
	return &target.Definition{ARN: scope.QueueARN(rialto.QueueName(name)).String()}
}

// start runs queues until the test ends.
func start(t *testing.T) *queue.Service {
	t.Helper()
	s := queue.New(catalogtest.Start(t), queue.Options{})
	s.Attach([]*shard.Shard{shardtest.Start(t, shard.Options{}, s.Host())})
	for name, attributes := range map[rialto.QueueName]map[string]string{"works": nil, "orders.fifo": {"FifoQueue": "true"}} {
		if err := s.Create(t.Context(), queue.Address{Scope: scope, Name: name}, attributes, nil); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// A troubled wraps queues of which some do not answer, or cannot.
type troubled struct{ targetqueue.Queues }

func (q troubled) Deliver(ctx context.Context, arn rialto.ARN, ms []*target.Message) []error {
	var err error
	switch arn.Resource {
	case "hangs":
		<-ctx.Done()
		err = ctx.Err()
	case "down":
		err = rialto.Errorf(rialto.Unavailable, "The event store cannot be written to at the moment; try again.")
	default:
		return q.Queues.Deliver(ctx, arn, ms)
	}
	return slices.Repeat([]error{err}, len(ms))
}

func TestSender(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		queues := start(t)
		var got [][]byte
		return targettest.Subject{
			Sender: targetqueue.New(troubled{queues}, targetqueue.Options{}),
			Works:  definition("works"),
			Received: func() [][]byte {
				for {
					messages, err := queues.Receive(t.Context(), queue.Address{Scope: scope, Name: "works"}, queue.ReceiveOptions{Max: 10})
					if err != nil {
						t.Fatal(err)
					}
					if len(messages) == 0 {
						return got
					}
					for _, m := range messages {
						got = append(got, []byte(m.Body))
					}
				}
			},
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: {definition("hangs")},
				targettest.Down:  {definition("down")},
				targettest.Gone:  {definition("none"), definition("none.fifo"), {ARN: "arn:aws:sns:us-east-1:000000000000:works"}},
			},
			MaxBytes: queue.MaxMessageSize,
		}
	})
}

func TestRefusals(t *testing.T) {
	sender := targetqueue.New(start(t), targetqueue.Options{})
	for _, tc := range []struct {
		name    string
		queue   string
		payload string
		code    string
		message string
	}{
		{"no such queue", "none", "x", target.CodeNoResource, "The specified queue does not exist or you do not have access to it. (Service: AmazonSQS; Status Code: 400; " +
			"Error Code: AWS.SimpleQueueService.NonExistentQueue; Request ID: "},
		{"a FIFO queue, and no group", "orders.fifo", "x", target.CodeInvalidParameter, "The request must contain the parameter MessageGroupId."},
		{"too large", "works", strings.Repeat("x", queue.MaxMessageSize+1), target.CodeInvalidParameter, "Message must be shorter than 1048576 bytes."},
		{"nothing", "works", "", target.CodeInvalidParameter, "The request must contain the parameter MessageBody."},
	} {
		err := sender.Send(t.Context(), &target.Message{Definition: definition(tc.queue), Payload: []byte(tc.payload)})
		e, ok := err.(*target.Error)
		if !ok || !e.Permanent || e.Code != tc.code || !strings.Contains(e.Message, tc.message) {
			t.Errorf("%s: got %#v, want the permanent error %s: %s", tc.name, err, tc.code, tc.message)
		}
	}
}

func TestQueuesOfOthers(t *testing.T) {
	queues := start(t)
	mine, theirs := definition("works"), definition("works")
	mine.Rule = scope.RuleARN("default", "r")
	theirs.Rule = rialto.Scope{Account: "111122223333", Region: scope.Region}.RuleARN("default", "r")
	subscribed := (&target.Subscription{ARN: theirs.Rule, Protocol: target.ProtocolSQS, Endpoint: mine.ARN}).Definition()
	for _, tc := range []struct {
		name    string
		options targetqueue.Options
		target  *target.Definition
		denied  bool
	}{
		{"own", targetqueue.Options{OwnQueuesOnly: true}, mine, false},
		{"another account's", targetqueue.Options{OwnQueuesOnly: true}, theirs, true},
		{"another account's topic's", targetqueue.Options{OwnQueuesOnly: true}, subscribed, true},
		{"another account's, where anybody is believed", targetqueue.Options{}, theirs, false},
	} {
		err := targetqueue.New(queues, tc.options).Send(t.Context(), &target.Message{Definition: tc.target, Payload: []byte("x")})
		e, failed := err.(*target.Error)
		service := "events"
		if tc.target.Subscription != nil {
			service = "sns"
		}
		switch {
		case failed != tc.denied:
			t.Errorf("%s: got %v", tc.name, err)
		case failed && (e.Code != target.CodeNoPermissions || !e.Permanent || !strings.HasPrefix(e.Message, "User: "+service+".amazonaws.com is not authorized")):
			t.Errorf("%s: got %s %s", tc.name, e.Code, e.Message)
		}
	}
}
