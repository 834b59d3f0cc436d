package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/rialto-events/rialto/bench/wire"
	"github.com/rialto-events/rialto/rialtotest"
)

// BenchmarkEndToEnd measures from before PutEvents is called until the event has reached its target: a consumer that polls a
// queue, or an HTTP endpoint. Events on their way are one, or 64: the next is put when one has arrived.
func BenchmarkEndToEnd(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("queue/open=%d", n), func(b *testing.B) { toQueue(b, n, b.N).report(b) })
		b.Run(fmt.Sprintf("http/open=%d", n), func(b *testing.B) { toEndpoint(b, n, b.N).report(b) })
	}
}

// toQueue has consumers that receive and delete.
func toQueue(tb testing.TB, open, n int) figures {
	srv := rialtotest.Start(tb)
	q := srv.Queue(tb, "q")
	srv.PutRule(tb, "all", `{"source": ["shop"]}`, q.ARN)
	race := newRace(n)
	client := wire.New(srv.URL, open+consumers)
	defer client.Close()
	ctx, stop := context.WithCancel(tb.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for range consumers {
		wg.Go(func() { consume(ctx, client, q.URL, race) })
	}
	return race.run(tb, client, open)
}

const consumers = 4

// consume receives and deletes until ctx ends. An event whose message could not be received is missed by the race.
func consume(ctx context.Context, client *wire.Client, url string, race *race) {
	type object = map[string]any
	for ctx.Err() == nil {
		var got struct {
			Messages []struct{ MessageID, ReceiptHandle, Body string }
		}
		err := client.Call(ctx, "AmazonSQS.ReceiveMessage", object{"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20}, &got)
		if err != nil || len(got.Messages) == 0 {
			continue
		}
		var entries []object
		for i, m := range got.Messages {
			race.arrived([]byte(m.Body))
			entries = append(entries, object{"Id": fmt.Sprint(i), "ReceiptHandle": m.ReceiptHandle})
		}
		_ = client.Call(ctx, "AmazonSQS.DeleteMessageBatch", object{"QueueUrl": url, "Entries": entries}, nil) // else they come again
	}
}

func toEndpoint(tb testing.TB, open, n int) figures {
	srv := rialtotest.Start(tb)
	race := newRace(n)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			race.arrived(body)
		}
	}))
	defer endpoint.Close()
	srv.PutRule(tb, "all", `{"source": ["shop"]}`, destination(tb, srv, "endpoint", endpoint.URL))
	client := wire.New(srv.URL, open)
	defer client.Close()
	return race.run(tb, client, open)
}

// destination makes an API destination that has the default rate of 300 calls a second lifted.
func destination(tb testing.TB, srv *rialtotest.Server, name, url string) string {
	tb.Helper()
	c, err := srv.Events().CreateConnection(tb.Context(), &eventbridge.CreateConnectionInput{
		Name: aws.String(name), AuthorizationType: types.ConnectionAuthorizationTypeApiKey,
		AuthParameters: &types.CreateConnectionAuthRequestParameters{
			ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: aws.String("X-Api-Key"), ApiKeyValue: aws.String("secret")},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	d, err := srv.Events().CreateApiDestination(tb.Context(), &eventbridge.CreateApiDestinationInput{
		Name: aws.String(name), ConnectionArn: c.ConnectionArn, HttpMethod: types.ApiDestinationHttpMethodPost,
		InvocationEndpoint: aws.String(url), InvocationRateLimitPerSecond: aws.Int32(rate),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return *d.ApiDestinationArn
}

// rate is more calls a second than any endpoint here gets.
const rate = 100_000

// A race notes when each event was put and when it has arrived.
type race struct {
	mu     sync.Mutex
	put    []time.Time // by number
	took   []time.Duration
	finish chan struct{} // one for each that has arrived
}

func newRace(n int) *race {
	return &race{put: make([]time.Time, n), took: make([]time.Duration, n), finish: make(chan struct{}, n)}
}

// arrived notes the arrival of an event, the first time.
func (r *race) arrived(event []byte) {
	now := time.Now()
	var e struct{ Detail struct{ N int } }
	if json.Unmarshal(event, &e) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := e.Detail.N; n < len(r.took) && r.took[n] == 0 {
		r.took[n] = now.Sub(r.put[n])
		r.finish <- struct{}{}
	}
}

// run puts every event, such that no more than open are on their way, and waits for the last.
func (r *race) run(tb testing.TB, client *wire.Client, open int) figures {
	tb.Helper()
	if b, ok := tb.(*testing.B); ok {
		b.ResetTimer()
	}
	start := time.Now()
	failed := make(chan error, open)
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := range r.put {
		if n >= open {
			r.wait(tb, failed)
		}
		wg.Go(func() {
			r.mu.Lock()
			r.put[n] = time.Now()
			r.mu.Unlock()
			if _, err := client.Post(tb.Context(), "AWSEvents.PutEvents", []byte(order("shop", n))); err != nil {
				select {
				case failed <- err:
				default: // one is enough
				}
			}
		})
	}
	for range min(open, len(r.put)) {
		r.wait(tb, failed)
	}
	return figuresOf(r.took, time.Since(start))
}

func (r *race) wait(tb testing.TB, failed <-chan error) {
	tb.Helper()
	select {
	case <-r.finish:
	case err := <-failed:
		tb.Fatal(err)
	case <-time.After(30 * time.Second):
		tb.Fatal("an event has not arrived within 30 s")
	}
}
