package sqsapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/aws/sqsapi"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/shard"
)

const shards = 2

// A server is SQS alone, over a journal.
type server struct {
	*sqs.Client
	handler http.Handler
	url     string
	queues  *queue.Service
	stop    func()
}

// start runs a server over a journal in memory until the test ends.
func start(t testing.TB) *server {
	return startOn(t, journal.NewSim(1, journal.SimFaults{}).Open(), rialto.SystemClock)
}

// startOn runs a server over a journal until the test ends or stop is called.
func startOn(t testing.TB, j journal.Journal, clock rialto.Clock) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	kv, err := j.KV(ctx, "catalog")
	must(t, err)
	cat, err := catalog.Open(ctx, kv, catalog.Options{})
	must(t, err)
	queues := queue.New(cat, queue.Options{Clock: clock})
	blob, err := j.Blob(ctx, "snapshots")
	must(t, err)
	var hosts []*shard.Shard
	for i := range shards {
		log, err := j.Log(ctx, fmt.Sprintf("shard-%d", i))
		must(t, err)
		s, err := shard.Open(ctx, log, blob, []shard.Hosted{queues.Host()}, shard.Options{Clock: clock})
		must(t, err)
		hosts = append(hosts, s)
	}
	queues.Attach(hosts)
	var group, owners sync.WaitGroup
	run := func(g *sync.WaitGroup, ctx context.Context, f func(context.Context) error) {
		g.Go(func() {
			if err := f(ctx); err != nil {
				t.Errorf("a part of the server stopped with: %v", err)
			}
		})
	}
	owning, disown := context.WithCancel(context.Background())
	for _, s := range hosts {
		run(&owners, owning, s.Run)
	}
	run(&group, ctx, cat.Run)
	run(&group, ctx, queues.Run)
	handler := aws.NewHandler(aws.Options{Clock: clock}, sqsapi.New(queues, sqsapi.Options{}).Service())
	front := httptest.NewServer(handler)
	stop := sync.OnceFunc(func() {
		cancel()
		group.Wait()
		front.Close()
		disown()
		owners.Wait()
	})
	t.Cleanup(stop)
	return &server{Client: client(front.URL, "000000000000"), handler: handler, url: front.URL, queues: queues, stop: stop}
}

func client(url, key string) *sqs.Client {
	return sqs.New(sqs.Options{
		BaseEndpoint: &url, Region: "eu-west-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""),
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create makes a queue and returns its URL.
func (s *server) create(t testing.TB, name string, attributes map[string]string) *string {
	t.Helper()
	out, err := s.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	must(t, err)
	return out.QueueUrl
}

func (s *server) send(t testing.TB, url *string, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		_, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: awssdk.String(b)})
		must(t, err)
	}
}
