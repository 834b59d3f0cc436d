package rialtotest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rialto-events/rialto/rialtotest"
)

func TestALongPollEndsWhenAMessageComes(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	q := srv.Queue(t, "q")
	srv.PutRule(t, "all", `{"source": ["shop"]}`, q.ARN)
	got := poll(t, srv, q)
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {}}`)
	start := time.Now()
	if r := <-got; r.err != nil || len(r.out.Messages) != 1 {
		t.Fatalf("the poll ended with %v, %v, want a message", r.out, r.err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the poll ended %s after the event was accepted", took)
	}
}

func TestALongPollEndsWhenTheServerStops(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	q := srv.Queue(t, "q")
	got := poll(t, srv, q)
	start := time.Now()
	srv.Restart(t)
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("stopping and starting took %s: a poll was waited for", took)
	}
	<-got
}

type polled struct {
	out *sqs.ReceiveMessageOutput
	err error
}

// poll waits for a message in the background.
func poll(t *testing.T, srv *rialtotest.Server, q *rialtotest.Queue) <-chan polled {
	client := sqs.NewFromConfig(srv.AWS(), func(o *sqs.Options) { o.RetryMaxAttempts = 1 })
	done := make(chan polled, 1)
	go func() {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.URL, WaitTimeSeconds: 20})
		done <- polled{out, err}
	}()
	return done
}

func TestAMessageMovesToTheDeadLetterQueueOfItsQueue(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	ctx, client := t.Context(), srv.SQS()
	dead := srv.Queue(t, "dead")
	made, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"` + dead.ARN + `","maxReceiveCount":"2"}`, "VisibilityTimeout": "0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: aws.String("poison")})
	if err != nil {
		t.Fatal(err)
	}
	receive := func() []types.Message {
		t.Helper()
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl})
		if err != nil {
			t.Fatal(err)
		}
		return out.Messages
	}
	if n := len(receive()); n != 1 {
		t.Fatalf("the first receive got %d messages, want 1", n)
	}
	srv.Restart(t) // it remembers the receives
	if n := len(receive()); n != 1 {
		t.Fatalf("the second receive got %d messages, want 1", n)
	}
	if n := len(receive()); n != 0 {
		t.Fatalf("the third receive got %d messages, want none", n)
	}
	got := dead.Want(t, "poison")
	if got.ID != aws.ToString(sent.MessageId) {
		t.Errorf("the message has the id %s, want %s", got.ID, *sent.MessageId)
	}
}

func TestADeletedMessageDoesNotComeBack(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	ctx, client := t.Context(), srv.SQS()
	q := srv.Queue(t, "q")
	for _, body := range []string{"kept", "deleted"} {
		if _, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.URL, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: 10, VisibilityTimeout: 600})
	if err != nil || len(out.Messages) != 2 {
		t.Fatalf("received %v, %v, want two messages", out, err)
	}
	for _, m := range out.Messages {
		if *m.Body == "deleted" {
			_, err = client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.URL, ReceiptHandle: m.ReceiptHandle})
		} else {
			_, err = client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q.URL, ReceiptHandle: m.ReceiptHandle})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	srv.Restart(t)
	q.Want(t, "kept")
	q.WantNothing(t)
}

func TestAQueueThatIsNotThere(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	_, err := srv.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("none")})
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok {
		t.Errorf("got %v, want QueueDoesNotExist", err)
	}
}
