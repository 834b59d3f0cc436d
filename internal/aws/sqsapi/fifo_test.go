package sqsapi_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/rialto-events/rialto/internal/journal"
)

// post sends a message to a FIFO queue.
func (s *server) post(t testing.TB, url *string, group, id, body string) *sqs.SendMessageOutput {
	t.Helper()
	out, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: url, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: &id, DelaySeconds: 0,
	})
	must(t, err)
	return out
}

func bodies(messages []types.Message) (list []string) {
	for _, m := range messages {
		list = append(list, *m.Body)
	}
	return list
}

// wantCode checks that AWS's SDK shows an error with a code and a text in it.
func wantCode(t testing.TB, err error, code, text string) {
	t.Helper()
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("got %v, want %s: %s", err, code, text)
	}
}

func TestFIFO(t *testing.T) {
	sim, clock := journal.NewSim(1, journal.SimFaults{}), newClock()
	s := startOn(t, sim.Open(), clock)
	url := s.create(t, "orders.fifo", map[string]string{"FifoQueue": "true"})
	first := s.post(t, url, "a", "1", "one")
	again := s.post(t, url, "a", "1", "two")
	if *again.MessageId != *first.MessageId || *again.SequenceNumber != *first.SequenceNumber || len(*first.SequenceNumber) != 20 {
		t.Errorf("a duplicate is answered by %s and %s, the first was by %s and %s",
			*again.MessageId, *again.SequenceNumber, *first.MessageId, *first.SequenceNumber)
	}
	batch, err := s.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
		{Id: new("x"), MessageBody: new("three"), MessageGroupId: new("a"), MessageDeduplicationId: new("3")},
		{Id: new("y"), MessageBody: new("four"), MessageGroupId: new("b"), MessageDeduplicationId: new("4")},
		{Id: new("z"), MessageBody: new("\x00"), MessageGroupId: new("b"), MessageDeduplicationId: new("5")},
	}})
	must(t, err)
	if len(batch.Successful) != 2 || len(batch.Failed) != 1 || *batch.Successful[0].SequenceNumber <= *first.SequenceNumber {
		t.Errorf("the batch is answered by %+v", batch)
	}
	got := s.receive(t, url)
	if !slices.Equal(bodies(got), []string{"one", "three", "four"}) {
		t.Fatalf("received %q", bodies(got))
	}
	for name, want := range map[string]string{"MessageGroupId": "a", "MessageDeduplicationId": "1", "SequenceNumber": *first.SequenceNumber} {
		if is := got[0].Attributes[name]; is != want {
			t.Errorf("%s is %q, want %q", name, is, want)
		}
	}
	clock.forward(31 * time.Second)
	_, err = s.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: got[0].ReceiptHandle})
	wantCode(t, err, "InvalidParameterValue", "The receipt handle has expired.")
	_, err = s.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: 5})
	wantCode(t, err, "AWS.SimpleQueueService.MessageNotInflight", "")

	attempt := &sqs.ReceiveMessageInput{QueueUrl: url, ReceiveRequestAttemptId: awssdk.String("try-1")}
	was, err := s.ReceiveMessage(t.Context(), attempt)
	must(t, err)
	is, err := s.ReceiveMessage(t.Context(), attempt)
	must(t, err)
	if len(is.Messages) != 1 || *is.Messages[0].ReceiptHandle != *was.Messages[0].ReceiptHandle {
		t.Errorf("received %+v, and by the same attempt %+v", was.Messages, is.Messages)
	}
}
