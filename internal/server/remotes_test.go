package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/server"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
)

func queues(url, region, key string) *sqs.Client {
	return sqs.New(sqs.Options{BaseEndpoint: &url, Region: region, Credentials: credentials.NewStaticCredentialsProvider(key, "secret", "")})
}

// receiveOne waits for a message in a queue, and returns it.
func receiveOne(t *testing.T, c *sqs.Client, url string) sqstypes.Message {
	t.Helper()
	out, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20, MessageAttributeNames: []string{"All"}})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	return out.Messages[0]
}

// TestAnotherServerIsARemote has one server deliver to queues and a bus of another, and find its dead letters there, too.
func TestAnotherServerIsARemote(t *testing.T) {
	const theirs = "111122223333"
	there, _ := start(t, server.Config{})
	here, _ := start(t, server.Config{Remotes: []remote.Remote{
		{Name: "there", Accounts: []rialto.AccountID{theirs}, Services: []string{"sqs", "events", "sns"}, Endpoint: there},
	}})
	their := queues(there, "eu-west-1", theirs)
	urls := map[string]string{}
	for _, name := range []string{"billing", "forwarded", "dead"} {
		q, err := their.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		urls[name] = *q.QueueUrl
	}
	// A rule there takes what is put on the bus from here.
	theirEvents := events(there, "eu-west-1", theirs, "secret")
	putRule(t, theirEvents, types.Target{Id: aws.String("q"), Arn: aws.String("arn:aws:sqs:eu-west-1:111122223333:forwarded")})

	ours := events(here, "eu-west-1", "000000000000", "secret")
	role := aws.String("arn:aws:iam::000000000000:role/events")
	dead := &types.DeadLetterConfig{Arn: aws.String("arn:aws:sqs:eu-west-1:111122223333:dead")}
	putRule(t, ours,
		types.Target{Id: aws.String("queue"), Arn: aws.String("arn:aws:sqs:eu-west-1:111122223333:billing"), InputPath: aws.String("$.detail")},
		types.Target{Id: aws.String("bus"), Arn: aws.String("arn:aws:events:eu-west-1:111122223333:event-bus/default"), RoleArn: role},
		types.Target{Id: aws.String("missing"), Arn: aws.String("arn:aws:sqs:eu-west-1:111122223333:none"), DeadLetterConfig: dead},
		types.Target{Id: aws.String("stream"), Arn: aws.String("arn:aws:kinesis:eu-west-1:000000000000:stream/mine"), RoleArn: role, DeadLetterConfig: dead},
	)
	put := entries("default")
	if _, err := ours.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: put}); err != nil {
		t.Fatal(err)
	}
	if got := *receiveOne(t, their, urls["billing"]).Body; got != `{"total":42.5}` {
		t.Errorf("the queue has got %s", got)
	}
	var forwarded struct {
		Account, Source string
		Detail          json.RawMessage
	}
	if err := json.Unmarshal([]byte(*receiveOne(t, their, urls["forwarded"]).Body), &forwarded); err != nil ||
		forwarded.Account != theirs || forwarded.Source != *put[0].Source || string(forwarded.Detail) != `{"total":42.5}` {
		t.Errorf("the bus has got %+v, %v", forwarded, err)
	}
	want := map[string]string{
		"arn:aws:sqs:eu-west-1:111122223333:none": "The specified queue does not exist. (Service: AmazonSQS; Status Code: 400; " +
			"Error Code: AWS.SimpleQueueService.NonExistentQueue; Request ID: ",
		"arn:aws:kinesis:eu-west-1:000000000000:stream/mine": `no remote claims arn:aws:kinesis:eu-west-1:000000000000:stream/mine`,
	}
	for range len(want) {
		m := receiveOne(t, their, urls["dead"])
		attribute := func(name string) string { return *m.MessageAttributes[name].StringValue }
		text, ok := want[attribute("TARGET_ARN")]
		if !ok || attribute("ERROR_CODE") != "NO_RESOURCE" || !strings.Contains(attribute("ERROR_MESSAGE"), text) {
			t.Errorf("the dead letter of %s says %s: %s", attribute("TARGET_ARN"), attribute("ERROR_CODE"), attribute("ERROR_MESSAGE"))
		}
		delete(want, attribute("TARGET_ARN"))
		if _, err := their.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(urls["dead"]), ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
}

// putRule makes a rule on the default bus for the source of [entries].
func putRule(t *testing.T, c *eventbridge.Client, targets ...types.Target) {
	t.Helper()
	name, pattern := "all", `{"source":[{"exists":true}]}`
	if _, err := c.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern}); err != nil {
		t.Fatal(err)
	}
	out, err := c.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &name, Targets: targets})
	if err != nil || out.FailedEntryCount > 0 {
		t.Fatalf("%+v, %v", out, err)
	}
}
