package rialtotest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/rialto-events/rialto/rialtotest"
)

// TestTopic publishes on a topic with two subscribers, and lets a rule publish, too.
func TestTopic(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	topic, a, b := srv.Topic(t, "orders"), srv.Queue(t, "a"), srv.Queue(t, "b")
	topic.Subscribe(t, a)
	topic.Subscribe(t, b)
	topic.Publish(t, "paid")
	a.Want(t, "paid")
	b.Want(t, "paid")

	srv.PutRule(t, "orders", `{"source": ["shop"]}`, topic.ARN)
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{}"}`)
	a.Want(t, `{"source": "shop", "detail-type": "paid"}`)
	b.Want(t, `{"source": "shop", "detail-type": "paid"}`)

	srv.Restart(t)
	topic.Publish(t, "shipped")
	a.Want(t, "shipped")
	b.Want(t, "shipped")
}

// TestTopicFIFO publishes on a FIFO topic: what is published twice arrives once and is answered equally, and a restart forgets neither
// that nor what was not delivered yet.
func TestTopicFIFO(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	topic, q := srv.Topic(t, "orders.fifo"), srv.Queue(t, "q")
	publish := func(message, group string) (id, sequence string) {
		t.Helper()
		out, err := srv.SNS().Publish(t.Context(), &sns.PublishInput{TopicArn: &topic.ARN, Message: &message, MessageGroupId: &group})
		if err != nil {
			t.Fatal(err)
		}
		return *out.MessageId, *out.SequenceNumber
	}
	before, _ := publish("nobody hears", "a") // and nobody will: a duplicate is one, whoever has subscribed meanwhile
	topic.Subscribe(t, q)
	if again, _ := publish("nobody hears", "a"); again != before {
		t.Errorf("published again, %s became %s", before, again)
	}
	id, sequence := publish("paid", "a")
	q.Want(t, "paid")
	srv.Restart(t)
	if id2, sequence2 := publish("paid", "a"); id2 != id || sequence2 != sequence {
		t.Errorf("published again after a restart, %s %s became %s %s", id, sequence, id2, sequence2)
	}
	if _, later := publish("shipped", "a"); later <= sequence {
		t.Errorf("after %s comes %s", sequence, later)
	}
	q.Want(t, "shipped")
	q.WantNothing(t)
}

// TestTopicOrder has many publish on a FIFO topic at once: each group arrives at a web server in the order of the sequence numbers.
func TestTopicOrder(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	topic := srv.Topic(t, "orders.fifo")
	const groups, each, publishers = 3, 20, 4
	type arrival struct{ Type, Token, SequenceNumber, Message string }
	arrived := make(chan arrival, groups*each*publishers)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var a arrival
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		arrived <- a
	}))
	defer hook.Close()
	_, err := srv.SNS().Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: &topic.ARN, Protocol: aws.String("http"), Endpoint: &hook.URL})
	if err != nil {
		t.Fatal(err)
	}
	question := <-arrived
	if _, err := srv.SNS().ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: &topic.ARN, Token: &question.Token}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := range each {
				for g := range groups {
					_, err := srv.SNS().Publish(t.Context(), &sns.PublishInput{
						TopicArn: &topic.ARN, Message: aws.String(fmt.Sprint(g, " ", p, " ", i)), MessageGroupId: aws.String(fmt.Sprint(g)),
					})
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	last := make(map[byte]string)
	for range groups * each * publishers {
		a := <-arrived
		if g := a.Message[0]; a.SequenceNumber <= last[g] {
			t.Errorf("in group %c, %s comes after %s", g, a.SequenceNumber, last[g])
		} else {
			last[g] = a.SequenceNumber
		}
	}
}

// TestTopicSurvives restarts the server while a message has not reached its subscriber: topic, subscription and message are still there.
func TestTopicSurvives(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	topic := srv.Topic(t, "orders")
	var restarted atomic.Bool
	bodies := make(chan string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Header.Get("X-Amz-Sns-Message-Type") == "Notification" && !restarted.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		bodies <- string(b)
	}))
	defer hook.Close()
	_, err := srv.SNS().Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: &topic.ARN, Protocol: aws.String("http"), Endpoint: &hook.URL, Attributes: map[string]string{
		"RawMessageDelivery": "true", "DeliveryPolicy": `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":60}}`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var question struct{ SubscribeURL string }
	if err := json.Unmarshal([]byte(<-bodies), &question); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(question.SubscribeURL)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	topic.Publish(t, "paid")
	if got := <-bodies; got != "paid" { // and it was refused
		t.Fatalf("got %s", got)
	}
	srv.Restart(t)
	restarted.Store(true)
	for got := range bodies {
		if got != "paid" {
			t.Fatalf("got %s", got)
		}
		if len(bodies) == 0 {
			break
		}
	}
	topic.Publish(t, "shipped")
	for got := range bodies {
		if got == "shipped" {
			break
		}
	}
}
