package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/server"
	"github.com/rialto-events/rialto/target"
)

// TestTargetsOfSchedules delivers what a schedule sends: by calls that the server makes to itself, and to a bus.
func TestTargetsOfSchedules(t *testing.T) {
	s, err := server.Open(t.Context(), server.Config{Listen: "127.0.0.1:0", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	senders := s.Senders()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	const account = "111122223333"
	scope := rialto.Scope{Account: account, Region: "eu-west-1"}
	url := "http://" + s.Addr()
	q := queues(url, "eu-west-1", account)
	work, err := q.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("work")})
	if err != nil {
		t.Fatal(err)
	}
	putRule(t, events(url, "eu-west-1", account, "secret"), types.Target{Id: aws.String("q"), Arn: aws.String("arn:aws:sqs:eu-west-1:111122223333:work")})
	occurrence := []byte(`{"resources":["arn:aws:scheduler:eu-west-1:111122223333:schedule/default/nightly"],"input":"x"}`)
	send := func(arn, payload string, parameters map[string]json.RawMessage) error {
		d := &target.Definition{Rule: scope.ARN("scheduler", "schedule-group/default"), RuleName: "default", ID: "target", ARN: arn, Parameters: parameters}
		return senders(d).Send(t.Context(), &target.Message{Definition: d, EventID: "6b1f0f0e-3d52-9a4c-77aa-0e9d3b1c2f10", Event: occurrence, Payload: []byte(payload), Attempt: 1})
	}
	const call = "arn:aws:scheduler:::aws-sdk:"
	for _, tc := range []struct{ arn, input, body string }{
		{call + "sqs:sendMessage", `{"QueueUrl":"https://sqs.eu-west-1.amazonaws.com/111122223333/work","MessageBody":"good morning"}`, "good morning"},
		{"arn:aws:sqs:eu-west-1:111122223333:work", "no JSON", "no JSON"},
	} {
		if err := send(tc.arn, tc.input, nil); err != nil {
			t.Errorf("%s: %v", tc.arn, err)
			continue
		}
		m := receiveOne(t, q, *work.QueueUrl)
		if *m.Body != tc.body {
			t.Errorf("%s: the queue has got %s", tc.arn, *m.Body)
		}
		if _, err := q.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: work.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	source := *entries("default")[0].Source
	block, _ := json.Marshal(map[string]string{"DetailType": *entries("default")[0].DetailType, "Source": source})
	for arn, put := range map[string]func(arn string) error{
		"arn:aws:events:eu-west-1:111122223333:event-bus/default": func(arn string) error {
			return send(arn, `{"total": 42.5}`, map[string]json.RawMessage{"EventBridgeParameters": block})
		},
		call + "eventbridge:putEvents": func(arn string) error {
			var p struct{ DetailType, Source string }
			_ = json.Unmarshal(block, &p)
			in, _ := json.Marshal(map[string]any{"Entries": []any{map[string]any{"Source": p.Source, "DetailType": p.DetailType, "Detail": `{"total": 42.5}`,
				"Resources": []string{"arn:aws:scheduler:eu-west-1:111122223333:schedule/default/nightly"}}}})
			return send(arn, string(in), nil)
		},
	} {
		if err := put(arn); err != nil {
			t.Errorf("%s: %v", arn, err)
			continue
		}
		m := receiveOne(t, q, *work.QueueUrl)
		var event struct {
			Account, Source string
			Resources       []string
			Detail          json.RawMessage
		}
		if err := json.Unmarshal([]byte(*m.Body), &event); err != nil || event.Account != account || event.Source != source ||
			len(event.Resources) != 1 || event.Resources[0] != "arn:aws:scheduler:eu-west-1:111122223333:schedule/default/nightly" || string(event.Detail) != `{"total":42.5}` {
			t.Errorf("%s: the rule's queue has got %s, %v", arn, *m.Body, err)
		}
		if _, err := q.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: work.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ arn, input, code string }{
		{call + "sqs:sendMessage", `{"QueueUrl":"https://sqs.eu-west-1.amazonaws.com/111122223333/none","MessageBody":"x"}`, "AWS.SimpleQueueService.NonExistentQueue"},
		{call + "sqs:sendMessage", `{"MessageBody":"x"}`, "MissingParameter"},
		{call + "sns:publish", `{"TopicArn":"arn:aws:sns:eu-west-1:111122223333:none","Message":"x"}`, "NotFound"},
		{call + "eventbridge:putEvents", `{}`, "ValidationException"},
		{call + "secretsmanager:deleteSecret", `{"SecretId":"none"}`, "ResourceNotFoundException"},
		{call + "mq:rebootBroker", `{}`, target.CodeNoResource},
	} {
		e, ok := errors.AsType[*target.Error](send(tc.arn, tc.input, nil))
		if !ok || e.Code != tc.code || !e.Permanent {
			t.Errorf("%s %s: got %#v", tc.arn, tc.input, e)
		}
	}
}
