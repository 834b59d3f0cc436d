package snsapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"

	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/aws/snsapi"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/topic"
)

// A server is SNS alone. What it commits is kept in a list; deliveries are tested in rialtotest.
type server struct {
	*sns.Client
	handler http.Handler
	url     string
	book    *book
}

// start runs a server until the test ends.
func start(t testing.TB, o topic.Options) *server {
	t.Helper()
	b := new(book)
	topics := topic.New(catalogtest.Start(t), b, o)
	handler := aws.NewHandler(aws.Options{}, snsapi.New(topics).Service())
	front := httptest.NewServer(handler)
	t.Cleanup(front.Close)
	return &server{Client: client(front.URL, "000000000000"), handler: handler, url: front.URL, book: b}
}

func client(url, key string) *sns.Client {
	return sns.New(sns.Options{
		BaseEndpoint: &url, Region: "us-east-1", RetryMaxAttempts: 1, HTTPClient: patient{}, Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""),
	})
}

// A patient client lets net/http finish with the body of a request. The SDK closes it as soon as there is an answer, and sometimes
// net/http is just about to look for its end: then it breaks the connection in the middle of a long answer, whatever the server is.
type patient struct{}

func (patient) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultClient.Do(r)
}

// A book stands for a deliverer: it stamps, knows events again for ever, and keeps the others.
type book struct {
	mu    sync.Mutex
	known map[[16]byte]string
	got   []deliver.Accepted
}

func (b *book) Accept(_ context.Context, events []deliver.Accepted) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range events {
		e := &events[i]
		if e.Stamp != nil {
			e.Stamp(time.Now())
		}
		if e.Dedupe.Window > 0 {
			if id, ok := b.known[e.Dedupe.Key]; ok {
				e.DuplicateOf = id
				continue
			}
			if b.known == nil {
				b.known = make(map[[16]byte]string)
			}
			b.known[e.Dedupe.Key] = e.EventID
		}
		b.got = append(b.got, *e)
	}
	return nil
}

// last is the last message that was committed.
func (b *book) last(t testing.TB) (*notification.Notification, deliver.Accepted) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) == 0 {
		t.Fatal("nothing was committed")
	}
	e := b.got[len(b.got)-1]
	n, err := notification.Parse(e.Event)
	if err != nil {
		t.Fatal(err)
	}
	return n, e
}

func (b *book) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.got)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused is the code and the message of an error.
func refused(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode() + ": " + e.ErrorMessage()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (s *server) create(t testing.TB, name string, attributes map[string]string) *string {
	t.Helper()
	out, err := s.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name, Attributes: attributes})
	must(t, err)
	return out.TopicArn
}

func (s *server) subscribe(t testing.TB, topic *string, protocol, endpoint string, attributes map[string]string) *string {
	t.Helper()
	out, err := s.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: topic, Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes, ReturnSubscriptionArn: true,
	})
	must(t, err)
	return out.SubscriptionArn
}
