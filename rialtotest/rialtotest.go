// Package rialtotest runs a whole rialto inside a test: one line starts it, the end of the test stops it.
//
//	srv := rialtotest.Start(t)
//	hook := srv.Webhook(t)
//	srv.PutRule(t, "orders", `{"source": ["shop"]}`, hook.ARN)
//	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{}"}`)
//	hook.Want(t, `{"source": "shop", "detail-type": "paid"}`)
//
// It is the real server, durable in a temporary directory and reached over HTTP with AWS's own SDK; nothing is imitated. Code
// under test is pointed at it by [Server.AWS], which configures any client of the SDK, or by [Server.URL], which is what other
// programs take as AWS_ENDPOINT_URL. [Server.Webhook] and [Server.Queue] make targets that remember what reaches them, and
// wait for it: no test needs to sleep.
//
// A server fails its test if it does not stop in order, or leaves goroutines behind. Tests may run in parallel, each with a
// server of its own; that takes some ten milliseconds. Start with [Start].
package rialtotest

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/server"
)

// defaultPatience is how long something is waited for that takes milliseconds on an idle machine: machines under test are not.
const defaultPatience = 20 * time.Second

// Options tunes a [Server]. The zero value is ready to use.
type Options struct {
	DataDir   string         // where it keeps its data; "" is a directory of the test
	Patience  time.Duration  // how long Want waits before it fails the test; 0 is 20 seconds
	AWSQuotas bool           // enforce AWS's own quotas where rialto's are larger
	Networks  []netip.Prefix // private networks that API destinations may be in; loopback always is
	PublicURL string         // at which clients reach the server, for what stands in front of it; "" is the address that it listens on
	Clock     rialto.Clock   // nil is the machine's
	MoveWait  time.Duration  // how long, in the real world, a move of a virtual clock waits for a target that does not answer; 0 is 10 seconds
	Logger    *slog.Logger   // nil is the log of the test, from warnings up; go test shows it when the test fails
}

// A Server is a running rialto, seen from one account and region: [rialto.DefaultAccount] in [rialto.DefaultRegion], unless
// it was made by [Server.As]. Its methods may be called from many goroutines at once, except Restart.
type Server struct {
	*process

	URL   string // where it is reached, such as http://127.0.0.1:40123; a restart does not change it
	scope rialto.Scope
}

// A process is the server's life from start to stop. Views of a server share it.
type process struct {
	options Options
	name    string // label of the goroutines that belong to it
	address string
	stop    func(t testing.TB)
}

// started counts servers, so that the goroutines of each can be told from those of others.
var started atomic.Int64

// Start starts a server that is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	return Options{}.Start(t)
}

// Start starts a server that is stopped when the test ends.
func (o Options) Start(t testing.TB) *Server {
	t.Helper()
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	p := &process{options: o, name: strconv.FormatInt(started.Add(1), 10), address: "127.0.0.1:0"}
	p.start(t)
	t.Cleanup(func() { p.stop(t) })
	return &Server{process: p, URL: "http://" + p.address, scope: rialto.Scope{Account: rialto.DefaultAccount, Region: rialto.DefaultRegion}}
}

// start opens the server and has it run. Everything it starts is labelled, so that [leftovers] can find it.
func (p *process) start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var err error
	labelled(ctx, p.name, func(ctx context.Context) {
		var s *server.Server
		s, err = server.Open(ctx, server.Config{
			Listen: p.address, DataDir: p.options.DataDir, AllowTargets: p.options.Networks, AWSQuotas: p.options.AWSQuotas,
			PublicURL: p.options.PublicURL, Logger: p.options.Logger, Clock: p.options.Clock, MoveWait: p.options.MoveWait,
		})
		if err != nil {
			return
		}
		p.address = s.Addr()
		go func() { done <- s.Run(ctx) }()
	})
	if err != nil {
		cancel()
		t.Fatalf("start rialto: %v", err)
	}
	p.stop = func(t testing.TB) {
		t.Helper()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("rialto did not run and stop in order: %v", err)
			}
		case <-time.After(p.options.Patience):
			t.Errorf("rialto did not stop within %s. Its goroutines:\n%s", p.options.Patience, goroutines(p.name))
			return
		}
		if left := leftovers(p.name); left != "" {
			t.Errorf("rialto has stopped and left goroutines behind:\n%s", left)
		}
	}
}

// Restart stops the server in order and starts it again, with the same data and at the same URL.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.stop(t)
	s.stop = func(testing.TB) {} // should the start fail, there is nothing to stop
	s.start(t)
}

// As is the same server as another account in another region sees it. No two of them see each other's resources.
func (s *Server) As(account rialto.AccountID, region rialto.Region) *Server {
	view := *s
	view.scope = rialto.Scope{Account: account, Region: region}
	return &view
}

// AWS configures clients of the SDK for the server.
func (s *Server) AWS() aws.Config {
	return aws.Config{
		BaseEndpoint: aws.String(s.URL),
		Region:       string(s.scope.Region),
		Credentials:  credentials.NewStaticCredentialsProvider(string(s.scope.Account), "secret", ""), // the key is the account
	}
}

// Events is a client for EventBridge.
func (s *Server) Events() *eventbridge.Client { return eventbridge.NewFromConfig(s.AWS()) }

// Scheduler is a client of EventBridge Scheduler.
func (s *Server) Scheduler() *scheduler.Client { return scheduler.NewFromConfig(s.AWS()) }

// SQS is a client for queues.
func (s *Server) SQS() *sqs.Client { return sqs.NewFromConfig(s.AWS()) }
