package rialtotest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A Queue is an SQS queue that a test reads. Only one goroutine may read it at a time.
type Queue struct {
	Name string
	URL  string
	ARN  string // as the target of a rule, or as a dead-letter queue

	server  *Server
	mu      sync.Mutex
	waiting []*Message // received, deleted, and not taken by a Want
}

// A Message is what a queue has delivered.
type Message struct {
	ID         string
	Body       string
	Attributes map[string]string // of the String type, such as ERROR_CODE of a dead letter
	System     map[string]string // such as AWSTraceHeader
}

// Queue makes a queue; one whose name ends with .fifo is a FIFO queue. If it is there already, it is the same queue.
func (s *Server) Queue(t testing.TB, name string) *Queue {
	t.Helper()
	in := &sqs.CreateQueueInput{QueueName: aws.String(name)}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoQueue": "true"}
	}
	made, err := s.SQS().CreateQueue(t.Context(), in)
	if err != nil {
		t.Fatalf("make the queue %s: %v", name, err)
	}
	return &Queue{Name: name, URL: aws.ToString(made.QueueUrl), ARN: s.scope.ARN("sqs", name).String(), server: s}
}

// Want waits for a message whose body holds everything in the JSON text: an object there may have fewer members than the one
// received, at any depth. A body that is no JSON must be equal. Each message is deleted and returned once. The test fails if none comes.
func (q *Queue) Want(t testing.TB, subset string) *Message {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), q.server.options.Patience)
	defer cancel()
	for {
		i := slices.IndexFunc(q.waiting, func(m *Message) bool { return contains(m.Body, subset) })
		if i >= 0 {
			got := q.waiting[i]
			q.waiting = slices.Delete(q.waiting, i, i+1)
			return got
		}
		if !q.receive(ctx, t, longestPoll) {
			var bodies []string
			for _, m := range q.waiting {
				bodies = append(bodies, m.Body)
			}
			t.Fatalf("the queue %s has not received, within %s:\n  %s\n%s", q.Name, q.server.options.Patience, subset, listed(bodies))
		}
	}
}

// Next waits for a message, whatever it is. The message is deleted and returned once. The test fails if none comes.
func (q *Queue) Next(t testing.TB) *Message {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), q.server.options.Patience)
	defer cancel()
	for len(q.waiting) == 0 {
		if !q.receive(ctx, t, longestPoll) {
			t.Fatalf("the queue %s has received nothing within %s", q.Name, q.server.options.Patience)
		}
	}
	got := q.waiting[0]
	q.waiting = q.waiting[1:]
	return got
}

// WantNothing fails the test if the queue holds messages now that no Want has returned. It does not wait for any.
func (q *Queue) WantNothing(t testing.TB) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receive(t.Context(), t, 0)
	for _, m := range q.waiting {
		t.Errorf("the queue %s has a message that is not wanted: %s", q.Name, m.Body)
	}
}

// longestPoll is as long as a receive may wait (SQS API, WaitTimeSeconds).
const longestPoll = 20 * time.Second

// receive takes what the queue has. It returns false when ctx has ended.
func (q *Queue) receive(ctx context.Context, t testing.TB, wait time.Duration) bool {
	t.Helper()
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, max(time.Until(end), time.Second))
	}
	client := q.server.SQS()
	got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(q.URL), MaxNumberOfMessages: 10, WaitTimeSeconds: int32(wait / time.Second),
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		t.Fatalf("receive from the queue %s: %v", q.Name, err)
	}
	for _, m := range got.Messages {
		_, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String(q.URL), ReceiptHandle: m.ReceiptHandle})
		if err != nil {
			t.Fatalf("delete a message of the queue %s: %v", q.Name, err)
		}
		message := &Message{ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), Attributes: map[string]string{}, System: m.Attributes}
		for name, value := range m.MessageAttributes {
			message.Attributes[name] = aws.ToString(value.StringValue)
		}
		q.waiting = append(q.waiting, message)
	}
	return true
}
