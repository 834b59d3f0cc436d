package rialtotest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rialto-events/rialto/rialtotest"
)

// TestAFIFOQueueAsTarget brings events of a rule into groups by what is in them, across a restart between two receives.
func TestAFIFOQueueAsTarget(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	ctx, queues := t.Context(), srv.SQS()
	made, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("orders.fifo"), Attributes: map[string]string{
		"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "600",
	}})
	if err != nil {
		t.Fatal(err)
	}
	events := eventbridge.NewFromConfig(srv.AWS())
	_, err = events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("orders"), EventPattern: aws.String(`{"source": ["shop"]}`),
		Tags: []ebtypes.Tag{{Key: aws.String("rialto:order-by"), Value: aws.String("$.detail.order")}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("orders"), Targets: []ebtypes.Target{{
		Id: aws.String("t"), Arn: aws.String("arn:aws:sqs:us-east-1:000000000000:orders.fifo"), InputPath: aws.String("$.detail.n"),
		SqsParameters: &ebtypes.SqsParameters{MessageGroupId: aws.String("$.detail.order")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		srv.PutEvents(t, fmt.Sprintf(`{"Source": "shop", "DetailType": "step", "Detail": {"order": "o-%d", "n": %d}}`, n%2, n))
	}
	got := make(map[string][]string)
	for i := range 6 {
		if i == 3 {
			srv.Restart(t)
			queues = srv.SQS()
		}
		out, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: made.QueueUrl, WaitTimeSeconds: 10, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"MessageGroupId"},
		})
		if err != nil || len(out.Messages) != 1 {
			t.Fatalf("receive: %v, %v", out, err)
		}
		m := out.Messages[0]
		group := m.Attributes["MessageGroupId"]
		got[group] = append(got[group], *m.Body)
		if _, err := queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got["o-0"], []string{"0", "2", "4"}) || !slices.Equal(got["o-1"], []string{"1", "3", "5"}) {
		t.Errorf("the groups came as %v", got)
	}
}
