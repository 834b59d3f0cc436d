package rialtotest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/uuid"
)

// The header by which rialto shows who it is to a [Webhook].
const (
	KeyName  = "X-Api-Key"
	KeyValue = "the-key-of-the-webhook"
)

// A Webhook is an HTTP endpoint that records what it receives, and the API destination that leads to it.
type Webhook struct {
	ARN string // of the API destination, as the target of a rule
	URL string // of the endpoint

	patience time.Duration
	mu       sync.Mutex
	answer   func(n int, r *Request) int
	got      int        // requests so far
	waiting  []*Request // that no Want has taken
	news     chan struct{}
}

// A Request is what a webhook has received.
type Request struct {
	Method string
	URL    string // path and query
	Header http.Header
	Body   string
	Status int // that was answered
}

// Webhook makes an endpoint, a connection with an API key and an API destination. It answers every request with 200 until
// [Webhook.Answer] says otherwise.
func (s *Server) Webhook(t testing.TB) *Webhook {
	t.Helper()
	h := &Webhook{patience: s.options.Patience, news: make(chan struct{}), answer: func(int, *Request) int { return http.StatusOK }}
	endpoint := httptest.NewServer(h)
	t.Cleanup(endpoint.Close)
	h.URL = endpoint.URL

	name := "webhook-" + uuid.NewString()
	connection, err := s.Events().CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
		Name:              aws.String(name),
		AuthorizationType: types.ConnectionAuthorizationTypeApiKey,
		AuthParameters: &types.CreateConnectionAuthRequestParameters{
			ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: aws.String(KeyName), ApiKeyValue: aws.String(KeyValue)},
		},
	})
	if err != nil {
		t.Fatalf("make the connection of a webhook: %v", err)
	}
	h.ARN = s.Destination(t, name, aws.ToString(connection.ConnectionArn), h.URL)
	return h
}

// Destination makes an API destination that posts to a URL, and returns its ARN.
func (s *Server) Destination(t testing.TB, name, connection, url string) string {
	t.Helper()
	d, err := s.Events().CreateApiDestination(t.Context(), &eventbridge.CreateApiDestinationInput{
		Name: aws.String(name), ConnectionArn: aws.String(connection), InvocationEndpoint: aws.String(url),
		HttpMethod: types.ApiDestinationHttpMethodPost,
	})
	if err != nil {
		t.Fatalf("make the API destination of %s: %v", url, err)
	}
	return aws.ToString(d.ApiDestinationArn)
}

// Answer has the webhook ask f for the status of each answer. The first request is number 1.
func (h *Webhook) Answer(f func(n int, r *Request) int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = f
}

// ServeHTTP records a request.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has gone away; it will have another try
	}
	got := &Request{Method: r.Method, URL: r.URL.RequestURI(), Header: r.Header.Clone(), Body: string(body)}
	h.mu.Lock()
	h.got++
	n, answer := h.got, h.answer
	h.mu.Unlock()
	got.Status = answer(n, got) // not under the lock: it may block
	w.WriteHeader(got.Status)

	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, got)
	close(h.news)
	h.news = make(chan struct{})
}

// Want waits for a request whose body holds everything in the JSON text: an object there may have fewer members than the one
// received, at any depth. Each request is returned once. The test fails if none comes.
func (h *Webhook) Want(t testing.TB, subset string) *Request {
	t.Helper()
	end := time.After(h.patience)
	for {
		got, news := h.take(subset)
		if got != nil {
			return got
		}
		select {
		case <-news:
		case <-end:
			t.Fatalf("the webhook has not received, within %s:\n  %s\n%s", h.patience, subset, listed(h.bodies()))
		}
	}
}

// take removes and returns a request that holds the subset. Without one it returns what is closed when another has come.
func (h *Webhook) take(subset string) (*Request, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.waiting, func(r *Request) bool { return contains(r.Body, subset) })
	if i < 0 {
		return nil, h.news
	}
	got := h.waiting[i]
	h.waiting = slices.Delete(h.waiting, i, i+1)
	return got, nil
}

// Received counts the requests so far, those that Want has returned among them.
func (h *Webhook) Received() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got
}

func (h *Webhook) bodies() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, r := range h.waiting {
		list = append(list, r.Body)
	}
	return list
}
