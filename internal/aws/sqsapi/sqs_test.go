package sqsapi_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestSendReceiveDelete(t *testing.T) {
	s := start(t)
	url := s.create(t, "orders", nil)
	s.send(t, url, "foobar")
	out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	must(t, err)
	if len(out.Messages) != 1 || *out.Messages[0].Body != "foobar" {
		t.Fatalf("received %+v", out.Messages)
	}
	t.Log(out.Messages[0].Attributes)
	_, err = s.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: out.Messages[0].ReceiptHandle})
	must(t, err)
}
