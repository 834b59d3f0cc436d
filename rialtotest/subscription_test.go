package rialtotest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto/internal/notification/notificationtest"
	"github.com/rialto-events/rialto/rialtotest"
)

// A news is a topic, and whoever uses it.
type news struct {
	*rialtotest.Server
	client *sns.Client
	arn    string
}

func newNews(t *testing.T, s *rialtotest.Server, attributes map[string]string) *news {
	t.Helper()
	n := &news{Server: s, client: sns.NewFromConfig(s.AWS())}
	name := "news"
	if attributes["FifoTopic"] == "true" {
		name += ".fifo"
	}
	made, err := n.client.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	n.arn = *made.TopicArn
	return n
}

func (n *news) subscribe(t *testing.T, protocol, endpoint string, attributes map[string]string) (arn string) {
	t.Helper()
	made, err := n.client.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: &n.arn, Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes, ReturnSubscriptionArn: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return *made.SubscriptionArn
}

func (n *news) publish(t *testing.T, message string, change ...func(*sns.PublishInput)) (id string) {
	t.Helper()
	in := &sns.PublishInput{TopicArn: &n.arn, Message: &message}
	for _, c := range change {
		c(in)
	}
	out, err := n.client.Publish(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.MessageId
}

// fetch gets what is at a URL, without showing who asks.
func fetch(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", url, resp.Status, b)
	}
	return b, err
}

// heard is an envelope, as its receiver reads it.
type heard struct {
	Type, MessageId, Token, TopicArn, Subject, Message, SubscribeURL, UnsubscribeURL, SignatureVersion, SequenceNumber string

	MessageAttributes map[string]struct{ Type, Value string }
}

// verified waits for a request of a type, and verifies its signature.
func verified(t *testing.T, h *rialtotest.Webhook, kind string) (e heard) {
	t.Helper()
	r := h.Want(t, `{"Type": "`+kind+`"}`)
	if err := notificationtest.Verify([]byte(r.Body), fetch); err != nil {
		t.Errorf("%s is not to be believed: %v\n%s", kind, err, r.Body)
	}
	if err := json.Unmarshal([]byte(r.Body), &e); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"X-Amz-Sns-Message-Type": kind, "X-Amz-Sns-Message-Id": e.MessageId, "X-Amz-Sns-Topic-Arn": e.TopicArn, "Content-Type": "text/plain; charset=UTF-8"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: header %s is %q, want %q", kind, name, got, want)
		}
	}
	return e
}

// TestHandshake goes through the life of a subscription as a web server sees it: it is asked, agrees, is told, ends it, is told so, and
// takes it back.
func TestHandshake(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1", "2"} {
		t.Run("signature version "+version, func(t *testing.T) {
			s := rialtotest.Start(t)
			h := s.Webhook(t)
			n := newNews(t, s, map[string]string{"SignatureVersion": version})
			arn := n.subscribe(t, "http", h.URL, nil)
			asked := verified(t, h, "SubscriptionConfirmation")
			if asked.TopicArn != n.arn || !strings.HasPrefix(asked.SubscribeURL, s.URL+"/?Action=ConfirmSubscription&TopicArn="+n.arn+"&Token="+asked.Token) {
				t.Errorf("asked by %+v", asked)
			}
			n.publish(t, "nobody hears this")
			if _, err := fetch(asked.SubscribeURL); err != nil {
				t.Fatal(err)
			}

			n.publish(t, "hello\n\t\"wörld\" <&>", func(in *sns.PublishInput) {
				in.Subject = aws.String("Greetings")
				in.MessageAttributes = map[string]types.MessageAttributeValue{"b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}}}
			})
			told := verified(t, h, "Notification")
			if told.Message != "hello\n\t\"wörld\" <&>" || told.Subject != "Greetings" || told.SignatureVersion != version || told.MessageAttributes["b"].Value != "AP8=" {
				t.Errorf("told %+v", told)
			}
			if want := s.URL + "/?Action=Unsubscribe&SubscriptionArn=" + arn; told.UnsubscribeURL != want {
				t.Errorf("the way out is %s, want %s", told.UnsubscribeURL, want)
			}

			if _, err := fetch(told.UnsubscribeURL); err != nil {
				t.Fatal(err)
			}
			gone := verified(t, h, "UnsubscribeConfirmation")
			n.publish(t, "nobody hears this either")
			if _, err := fetch(gone.SubscribeURL); err != nil {
				t.Fatal(err)
			}
			n.publish(t, "back again")
			if told := verified(t, h, "Notification"); told.Message != "back again" {
				t.Errorf("told %+v", told)
			}
			if got := h.Received(); got != 4 {
				t.Errorf("the web server was called %d times, want 4", got)
			}
		})
	}
}

// confirmed makes a subscription of a web server and confirms it.
func (n *news) confirmed(t *testing.T, h *rialtotest.Webhook, attributes map[string]string) (arn string) {
	t.Helper()
	arn = n.subscribe(t, "http", h.URL, attributes)
	asked := verified(t, h, "SubscriptionConfirmation")
	if _, err := n.client.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: &n.arn, Token: &asked.Token}); err != nil {
		t.Fatal(err)
	}
	return arn
}

// TestRawAndWrapped publishes one message to subscribers of all sorts.
func TestRawAndWrapped(t *testing.T) {
	t.Parallel()
	s := rialtotest.Start(t)
	raw, wrapped, onBus, h := s.Queue(t, "raw"), s.Queue(t, "wrapped"), s.Queue(t, "bus"), s.Webhook(t)
	n := newNews(t, s, nil)
	n.subscribe(t, "sqs", raw.ARN, map[string]string{"RawMessageDelivery": "true"})
	n.subscribe(t, "sqs", wrapped.ARN, nil)
	n.confirmed(t, h, map[string]string{
		"RawMessageDelivery": "true", "DeliveryPolicy": `{"requestPolicy": {"headerContentType": "application/json"}}`,
	})
	s.PutRule(t, "default", `{"source": ["shop"], "detail-type": ["paid"]}`, onBus.ARN)
	n.subscribe(t, "events", strings.Replace(strings.Replace(n.arn, ":sns:", ":events:", 1), ":news", ":event-bus/default", 1), nil)
	id := n.publish(t, `{"order": 17}`, func(in *sns.PublishInput) {
		in.MessageAttributes = map[string]types.MessageAttributeValue{
			"source": {DataType: aws.String("String"), StringValue: aws.String("shop")}, "detail-type": {DataType: aws.String("String"), StringValue: aws.String("paid")},
		}
	})

	if m := raw.Want(t, `{"order": 17}`); m.Body != `{"order": 17}` || m.Attributes["source"] != "shop" || len(m.Attributes) != 2 {
		t.Errorf("raw, the queue has %+v", m)
	}
	m := wrapped.Want(t, `{"Type": "Notification", "MessageId": "`+id+`"}`)
	if err := notificationtest.Verify([]byte(m.Body), fetch); err != nil || len(m.Attributes) > 0 {
		t.Errorf("wrapped, the queue has %+v: %v", m, err)
	}
	if r := h.Want(t, `{"order": 17}`); r.Header.Get("X-Amz-Sns-Rawdelivery") != "true" || r.Header.Get("Content-Type") != "application/json" || r.Body != `{"order": 17}` {
		t.Errorf("raw, the web server has %+v", r)
	}
	onBus.Want(t, `{"id": "`+id+`", "source": "shop", "detail-type": "paid", "resources": ["`+n.arn+`"], "detail": {"order": 17}}`)
}

// TestLettersOfSubscriptions brings to the dead-letter queue what the subscriber would have received, and nothing else.
func TestLettersOfSubscriptions(t *testing.T) {
	t.Parallel()
	s := rialtotest.Start(t)
	letters, gone, h := s.Queue(t, "letters"), s.Queue(t, "gone"), s.Webhook(t)
	n := newNews(t, s, nil)
	redrive := `{"deadLetterTargetArn": "` + letters.ARN + `"}`
	n.confirmed(t, h, map[string]string{"RedrivePolicy": redrive})
	n.subscribe(t, "sqs", gone.ARN, map[string]string{"RedrivePolicy": redrive, "RawMessageDelivery": "true"})
	if _, err := s.SQS().DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &gone.URL}); err != nil {
		t.Fatal(err)
	}
	h.Answer(func(int, *rialtotest.Request) int { return http.StatusGone })
	n.publish(t, "hello", func(in *sns.PublishInput) {
		in.MessageAttributes = map[string]types.MessageAttributeValue{"k": {DataType: aws.String("Number.int"), StringValue: aws.String("17")}}
	})
	tried := h.Want(t, `{"Message": "hello"}`)
	if m := letters.Want(t, tried.Body); m.Body != tried.Body || len(m.Attributes) > 0 {
		t.Errorf("the letter of the web server is %+v, and it was sent %s", m, tried.Body)
	}
	if m := letters.Want(t, "hello"); m.Attributes["k"] != "17" || len(m.Attributes) != 1 {
		t.Errorf("the letter of the queue is %+v", m)
	}
	letters.WantNothing(t)
	if got := h.Received(); got != 2 {
		t.Errorf("the web server was called %d times: what is gone is not tried again", got)
	}
}

// TestDeliveryPolicy makes as many attempts as a subscription's policy says, over a restart.
func TestDeliveryPolicy(t *testing.T) {
	t.Parallel()
	s := rialtotest.Start(t)
	letters, h := s.Queue(t, "letters"), s.Webhook(t)
	n := newNews(t, s, nil)
	n.confirmed(t, h, map[string]string{
		"RedrivePolicy":  `{"deadLetterTargetArn": "` + letters.ARN + `"}`,
		"DeliveryPolicy": `{"healthyRetryPolicy": {"numRetries": 4, "numNoDelayRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 1}}`,
	})
	var mu sync.Mutex
	attempts := make(map[string]int)
	tried := make(chan int, 100)
	h.Answer(func(_ int, r *rialtotest.Request) int {
		var e heard
		_ = json.Unmarshal([]byte(r.Body), &e) // what is wrong is found out below
		mu.Lock()
		defer mu.Unlock()
		attempts[e.Message]++
		if e.Message == "lost" {
			tried <- attempts[e.Message]
		}
		if e.Message == "late" && attempts[e.Message] == 5 {
			return http.StatusOK
		}
		return http.StatusServiceUnavailable
	})
	n.publish(t, "late")
	n.publish(t, "lost")
	for <-tried < 3 { // those without a pause
	}
	s.Restart(t)
	letters.Want(t, `{"Message": "lost"}`)
	for range 5 {
		h.Want(t, `{"Message": "late"}`)
		h.Want(t, `{"Message": "lost"}`)
	}
	letters.WantNothing(t)
	mu.Lock()
	defer mu.Unlock()
	// An attempt that was under way when the server stopped may have been made again.
	if attempts["late"] < 5 || attempts["late"] > 6 || attempts["lost"] < 5 || attempts["lost"] > 6 {
		t.Errorf("attempts %v, want 5 each", attempts)
	}
}

// TestSubscriptionsLikeTargets does with a subscription what can be done with a target of a rule: its messages are explained, its letters come
// back, its circuit is decided about.
func TestSubscriptionsLikeTargets(t *testing.T) {
	t.Parallel()
	s := rialtotest.Start(t)
	letters, h := s.Queue(t, "letters"), s.Webhook(t)
	n := newNews(t, s, nil)
	arn := n.confirmed(t, h, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn": "` + letters.ARN + `"}`})
	h.Answer(func(int, *rialtotest.Request) int { return http.StatusNotFound })
	id := n.publish(t, "hello")
	h.Want(t, `{"Message": "hello"}`)
	native := func(method, path, body string) string {
		t.Helper()
		r, err := http.NewRequest(method, s.URL+"/_rialto/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, b, err)
		}
		return string(b)
	}
	until := func(path string, enough func(answer string) bool) string {
		t.Helper()
		for end := time.After(20 * time.Second); ; {
			answer := native(http.MethodGet, path, "")
			if enough(answer) {
				return answer
			}
			select {
			case <-end:
				t.Fatalf("%s is still %s", path, answer)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	told := until("/events/"+id, func(a string) bool { return strings.Contains(a, `"dead"`) })
	if !strings.Contains(told, arn) || !strings.Contains(told, n.arn) || !strings.Contains(told, "status 404") {
		t.Errorf("the message is explained by %s", told)
	}

	h.Answer(func(int, *rialtotest.Request) int { return http.StatusOK })
	until("/dead-letters?queue=letters", func(a string) bool { return strings.Contains(a, id) })
	native(http.MethodPost, "/redrives", `{"queue": "letters"}`)
	again := h.Want(t, `{"Message": "hello", "MessageId": "`+id+`"}`)
	if err := notificationtest.Verify([]byte(again.Body), fetch); err != nil {
		t.Errorf("what comes back is not to be believed: %v", err)
	}

	native(http.MethodPut, "/circuits/"+arn, `{"mode": "open", "reason": "maintenance"}`)
	metrics, err := fetch(s.URL + "/metrics")
	if want := `aws_sns_number_of_messages_published_total{account="000000000000",region="us-east-1",topic_name="news"} 1`; err != nil || !strings.Contains(string(metrics), want) {
		t.Errorf("the metrics do not have %s: %v", want, err)
	}
}

// TestNothingRunsInACircle lets a rule publish on a topic that puts the message back on the bus, where the rule wants it again.
func TestNothingRunsInACircle(t *testing.T) {
	t.Parallel()
	s := rialtotest.Start(t)
	letters := s.Queue(t, "letters")
	n := newNews(t, s, nil)
	s.PutRule(t, "default", `{"source": ["shop", "rialto.sns"]}`, n.arn)
	n.subscribe(t, "events", "arn:aws:events:us-east-1:000000000000:event-bus/default", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn": "` + letters.ARN + `"}`})
	s.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{}"}`)
	letters.Want(t, `{"Type": "Notification"}`)
	letters.WantNothing(t)
}

// TestInOrder publishes on a topic that keeps an order: a FIFO queue gets each message once, in its group and in order, wrapped and raw.
func TestInOrder(t *testing.T) {
	t.Parallel()
	s := rialtotest.Start(t)
	n := newNews(t, s, map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	fifo := func(name string, subscription map[string]string) *rialtotest.Queue {
		q := s.Queue(t, name)
		n.subscribe(t, "sqs", q.ARN, subscription)
		return q
	}
	wrapped, raw := fifo("wrapped.fifo", nil), fifo("raw.fifo", map[string]string{"RawMessageDelivery": "true"})
	sequence := ""
	for _, m := range []string{"one", "two", "one", "three"} { // the second "one" is the first again
		n.publish(t, m, func(in *sns.PublishInput) { in.MessageGroupId = aws.String("g") })
	}
	for _, want := range []string{"one", "two", "three"} {
		m := wrapped.Want(t, `{"Type": "Notification"}`)
		var e heard
		if err := json.Unmarshal([]byte(m.Body), &e); err != nil {
			t.Fatal(err)
		}
		if e.Message != want || e.SequenceNumber <= sequence || e.SignatureVersion != "" || m.System["MessageGroupId"] != "g" {
			t.Errorf("wrapped, got %+v with %v, want %s after %s", e, m.System, want, sequence)
		}
		sequence = e.SequenceNumber
		if m := raw.Want(t, want); m.System["MessageGroupId"] != "g" || m.System["MessageDeduplicationId"] == "" {
			t.Errorf("raw, got %+v", m)
		}
	}
	wrapped.WantNothing(t)
	raw.WantNothing(t)
}
