package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto/internal/server"
)

// TestTopicsAreShown looks at a topic with a queue that wants a part of it, and with a web server that has not answered; then the queue goes,
// and what would have been delivered there is a dead letter that the subscription can be asked for.
func TestTopicsAreShown(t *testing.T) {
	base, _ := start(t, server.Config{})
	q := queues(base, "us-east-1", "test")
	made := make(map[string]*string) // URLs by name
	for _, name := range []string{"billing", "dead"} {
		out, err := q.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		made[name] = out.QueueUrl
	}
	client := sns.New(sns.Options{BaseEndpoint: &base, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	news, err := client.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("news")})
	if err != nil {
		t.Fatal(err)
	}
	subscribe := func(protocol, endpoint string, attributes map[string]string) string {
		t.Helper()
		out, err := client.Subscribe(t.Context(), &sns.SubscribeInput{
			TopicArn: news.TopicArn, Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes, ReturnSubscriptionArn: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return *out.SubscriptionArn
	}
	billing := subscribe("sqs", "arn:aws:sqs:us-east-1:000000000000:billing", map[string]string{
		"RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody", "FilterPolicy": `{"total": [{"numeric": [">", 1]}]}`,
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead"}`,
	})
	door := subscribe("http", "http://127.0.0.1:1/", nil)
	publish := func(message string) {
		t.Helper()
		if _, err := client.Publish(t.Context(), &sns.PublishInput{TopicArn: news.TopicArn, Message: &message}); err != nil {
			t.Fatal(err)
		}
	}
	publish(`{"total": 42}`)
	publish(`{"total": 1}`)
	receiveOne(t, q, *made["billing"])

	type subscription struct {
		ARN, Protocol, Endpoint, State, FilterScope, DeadLetters string
		Raw                                                      bool
		FilterPolicy                                             any
		Destination                                              *struct {
			ARN     string
			Settled int
		}
	}
	var is struct {
		ARN, Name     string
		FIFO          bool
		Attributes    map[string]string
		Subscriptions []subscription
	}
	eventually(t, func() bool { // the count follows the delivery
		getJSON(t, base+"/_rialto/v1/topics/news", &is)
		return slices.ContainsFunc(is.Subscriptions, func(u subscription) bool {
			return u.ARN == billing && u.Destination != nil && u.Destination.ARN == u.Endpoint && u.Destination.Settled == 1
		})
	})
	if is.ARN != *news.TopicArn || is.Name != "news" || is.FIFO || is.Attributes["SubscriptionsConfirmed"] != "1" || is.Attributes["SubscriptionsPending"] != "1" {
		t.Errorf("the topic is %+v", is)
	}
	got := make(map[string]subscription)
	for _, u := range is.Subscriptions {
		u.Destination = nil
		got[u.ARN] = u
	}
	want := map[string]subscription{
		billing: {
			ARN: billing, Protocol: "sqs", Endpoint: "arn:aws:sqs:us-east-1:000000000000:billing", State: "confirmed", Raw: true,
			FilterPolicy: map[string]any{"total": []any{map[string]any{"numeric": []any{">", 1.0}}}}, FilterScope: "MessageBody", DeadLetters: "arn:aws:sqs:us-east-1:000000000000:dead",
		},
		door: {ARN: door, Protocol: "http", Endpoint: "http://127.0.0.1:1/", State: "pending"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
	var rest struct{ Subscriptions []subscription }
	getJSON(t, base+"/_rialto/v1/topics/news?after="+url.QueryEscape(is.Subscriptions[0].ARN), &rest)
	if len(rest.Subscriptions) != 1 || rest.Subscriptions[0].ARN != is.Subscriptions[1].ARN {
		t.Errorf("behind the first subscription there are %+v", rest.Subscriptions)
	}

	if _, err := q.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: made["billing"]}); err != nil {
		t.Fatal(err)
	}
	publish(`{"total": 43}`)
	var letters struct{ Total int }
	eventually(t, func() bool {
		getJSON(t, base+"/_rialto/v1/dead-letters?queue=dead&rule="+url.QueryEscape(billing), &letters)
		return letters.Total == 1
	})

	var list struct {
		Topics []struct{ Name string }
		More   bool
	}
	getJSON(t, base+"/_rialto/v1/topics", &list)
	if len(list.Topics) != 1 || list.Topics[0].Name != "news" || list.More {
		t.Errorf("the topics are %+v", list)
	}
	for path, says := range map[string]string{"none": "Topic does not exist", "news?after=x": "takes the ARN of a subscription of"} {
		r, err := http.Get(base + "/_rialto/v1/topics/" + path)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Message string }
		err = json.NewDecoder(r.Body).Decode(&answer)
		_ = r.Body.Close()
		if err != nil || r.StatusCode == http.StatusOK || !strings.Contains(answer.Message, says) {
			t.Errorf("%s answers %s %s, %v", path, r.Status, answer.Message, err)
		}
	}
}

// eventually asks until something is so.
func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatal("it did not happen in 20 seconds")
		}
	}
}
