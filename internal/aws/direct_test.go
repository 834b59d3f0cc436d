package aws_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
)

// TestDirect calls operations without HTTP, in the spelling of SDKs.
func TestDirect(t *testing.T) {
	var got *PutEventsInput
	var caller *aws.Request
	h := front{
		putEvents: func(ctx context.Context, in *PutEventsInput) (*PutEventsOutput, error) {
			got, caller = in, aws.Caller(ctx)
			return &PutEventsOutput{}, nil
		},
		getQueueURL: func(context.Context, *GetQueueUrlInput) (*GetQueueUrlOutput, error) {
			return nil, rialto.Errorf(rialto.NotFound, "It is not there.")
		},
	}.handler(aws.Options{})
	scope := rialto.Scope{Account: "111122223333", Region: "eu-west-1"}
	call := func(service, operation, input string) error {
		return h.Direct(t.Context(), &aws.Request{Service: service, Operation: operation, Scope: scope}, []byte(input))
	}
	err := call("events", "PutEvents", `{"entries":[{"Source":"s","DetailType":"d","Detail":"{}","Time":"2030-01-02T03:04:05Z"}]}`)
	if err != nil || len(got.Entries) != 1 || *got.Entries[0].Source != "s" || caller.Scope != scope || caller.ID == "" {
		t.Fatalf("got %+v for %+v, %v", got, caller, err)
	}
	if want := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC); !got.Entries[0].Time.Equal(want) {
		t.Errorf("the time is %v", got.Entries[0].Time)
	}
	for _, tc := range []struct {
		service, operation, input string
		status                    int
		code, message             string
	}{
		{"sqs", "GetQueueUrl", `{"QueueName":"q"}`, 400, "AWS.SimpleQueueService.NonExistentQueue", "It is not there."},
		{"events", "PutEvents", `{}`, 400, "ValidationException", "1 validation error detected: Value null at 'entries' failed to satisfy constraint: Member must not be null"},
		{"events", "PutEvents", `{"Entries":[{"Time":"noon"}]}`, 400, "SerializationException", "STRING_VALUE can not be converted to a Timestamp"},
		{"events", "PutEvents", `[]`, 400, "SerializationException", "Start of list found where not expected"},
		{"events", "PutNothing", `{}`, 400, "UnknownOperationException", "The action PutNothing is not valid for this endpoint."},
		{"moon", "Land", `{}`, 400, "UnknownOperationException", "rialto does not serve the service moon."},
	} {
		err := call(tc.service, tc.operation, tc.input)
		r, ok := errors.AsType[*aws.Refusal](err)
		if !ok || r.Status != tc.status || r.Code != tc.code || r.Message != tc.message {
			t.Errorf("%s %s %s: got %#v", tc.service, tc.operation, tc.input, err)
		}
	}
	if !h.Serves("sqs") || h.Serves("moon") {
		t.Error("it does not know whom it serves")
	}
}
