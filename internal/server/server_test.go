package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/server"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
)

// start runs a server until the test ends or stop is called.
func start(t *testing.T, c server.Config) (url string, stop func()) {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.DataDir == "" {
		c.DataDir = t.TempDir()
	}
	s, err := server.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server stopped with: %v", err)
		}
	}
	t.Cleanup(stop)
	return "http://" + s.Addr(), stop
}

func events(url, region, key, secret string) *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{
		BaseEndpoint: &url, Region: region, Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
		RetryMaxAttempts: 1,
	})
}

func TestWhatIsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct {
		name   string
		config server.Config
		says   string
	}{
		{"no port", server.Config{Listen: "localhost"}, `"localhost" is no address to listen on`},
		{"strangers without credentials", server.Config{Listen: "0.0.0.0:0"}, "Refusing to serve on 0.0.0.0:0 without credentials"},
		{"every interface by leaving out the host", server.Config{Listen: ":0"}, "Refusing to serve on :0 without credentials"},
		{"an address in use", server.Config{Listen: taken.Addr().String()}, "is in use"},
		{"too many shards", server.Config{Listen: "127.0.0.1:0", Shards: 1000}, "1000 shards cannot be"},
		{"a remote that is nowhere", server.Config{Listen: "127.0.0.1:0", Remotes: []remote.Remote{{Name: "x", Endpoint: "nowhere"}}}, "The endpoint of the remote x is not a URL"},
		{"credentials that are not there", server.Config{Listen: "127.0.0.1:0", Credentials: "/does/not/exist"}, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.config.DataDir = t.TempDir()
			s, err := server.Open(t.Context(), tc.config)
			if err == nil {
				t.Fatalf("%+v was taken: %s", tc.config, s.Addr())
			}
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the error is %q, want it to say %q", err, tc.says)
			}
		})
	}
}

func TestADataDirectoryHasOneServer(t *testing.T) {
	dir := t.TempDir()
	start(t, server.Config{DataDir: dir})
	_, err := server.Open(t.Context(), server.Config{Listen: "127.0.0.1:0", DataDir: dir})
	if rialto.KindOf(err) != rialto.Unavailable || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second server got %v", err)
	}
}

func TestHealth(t *testing.T) {
	url, _ := start(t, server.Config{})
	for path, want := range map[string]string{
		"/healthz":            `"ok"`,
		"/readyz":             `"ok"`,
		"/_localstack/health": `"events":"running"`,
	} {
		r, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK || !json.Valid(body) || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s %s, %v", path, r.Status, body, err)
		}
	}
}

// TestSignatures starts a server that asks for them, as one does on an address that others reach.
func TestSignatures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	keys := "[shop]\naws_access_key_id = AKSHOP\naws_secret_access_key = secret\naws_account_id = 111122223333\n" +
		"[bank]\naws_access_key_id = AKBANK\naws_secret_access_key = hidden\naws_account_id = 444455556666\n"
	if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	url, _ := start(t, server.Config{Credentials: file})
	bus, err := events(url, "eu-west-1", "AKSHOP", "secret").CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:events:eu-west-1:111122223333:event-bus/orders"; *bus.EventBusArn != want {
		t.Errorf("the bus is %s, want %s", *bus.EventBusArn, want)
	}
	for _, tc := range []struct{ name, key, secret, code string }{
		{"a wrong secret", "AKSHOP", "guessed", "InvalidSignatureException"},
		{"an unknown key", "AKNOBODY", "secret", "UnrecognizedClientException"},
	} {
		_, err := events(url, "eu-west-1", tc.key, tc.secret).ListEventBuses(t.Context(), &eventbridge.ListEventBusesInput{})
		if failure, ok := errors.AsType[smithy.APIError](err); !ok || failure.ErrorCode() != tc.code {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.code)
		}
	}
	put := func() error {
		_, err := events(url, "eu-west-1", "AKBANK", "hidden").PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries(*bus.EventBusArn)})
		return err
	}
	if failure, ok := errors.AsType[smithy.APIError](put()); !ok || failure.ErrorCode() != "AccessDeniedException" {
		t.Errorf("an account without permission put an event: %v", failure)
	}
	_, err = events(url, "eu-west-1", "AKSHOP", "secret").PutPermission(t.Context(), &eventbridge.PutPermissionInput{
		EventBusName: aws.String("orders"), Action: aws.String("events:PutEvents"), Principal: aws.String("444455556666"), StatementId: aws.String("bank"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(); err != nil {
		t.Errorf("an account with permission: %v", err)
	}
	if r, err := http.Get(url + "/_rialto/v1/destinations"); err != nil || r.StatusCode != http.StatusForbidden {
		t.Errorf("an unsigned request to our own API: %v, %v", r.Status, err)
	}
}

// TestShardsStay starts a server over a journal that was made with another number of shards.
func TestShardsStay(t *testing.T) {
	dir := t.TempDir()
	url, stop := start(t, server.Config{DataDir: dir, Shards: 3})
	queues := func(url string) *sqs.Client {
		return sqs.New(sqs.Options{BaseEndpoint: &url, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		q, err := queues(url).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := queues(url).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: &name}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	url, _ = start(t, server.Config{DataDir: dir, Shards: 1})
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		got, err := queues(url).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String("/000000000000/" + name)})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) != 1 || *got.Messages[0].Body != name {
			t.Errorf("queue %s has %v after the restart", name, got.Messages)
		}
	}
}

// TestADamagedLogIsRefused overwrites something in the middle of what the journal has stored.
func TestADamagedLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	url, stop := start(t, server.Config{DataDir: dir, Shards: 1})
	client := events(url, "eu-west-1", "a", "b")
	if _, err := client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("all"), EventPattern: aws.String(`{"source":["shop"]}`)}); err != nil {
		t.Fatal(err)
	}
	_, err := client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("all"), Targets: targets("arn:aws:sqs:eu-west-1:000000000000:nowhere")})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "rialto-log-shard-0", "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no blocks found: %v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = server.Open(t.Context(), server.Config{Listen: "127.0.0.1:0", DataDir: dir})
	damage, ok := errors.AsType[*journal.DamageError](err)
	if !ok || damage.Log != "log shard-0" || damage.First == 0 {
		t.Errorf("the damaged log gives %v", err)
	}
}

// TestAFullJournalCanBeEmptied fills a small journal with messages until it takes no more, and then takes them out.
func TestAFullJournalCanBeEmptied(t *testing.T) {
	url, _ := start(t, server.Config{MaxBytes: 24 << 20})
	client := sqs.New(sqs.Options{
		BaseEndpoint: &url, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1,
	})
	q, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("full")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events(url, "eu-west-1", "a", "b").PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("all"), EventPattern: aws.String(`{"source":["shop"]}`)}); err != nil {
		t.Fatal(err)
	}
	_, err = events(url, "eu-west-1", "a", "b").PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("all"), Targets: targets("arn:aws:sqs:eu-west-1:000000000000:full")})
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("x", 256<<10)
	sent := 0
	for ; sent < 200; sent++ {
		if _, err = client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: &body}); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "nearly all that it may") {
		t.Fatalf("after %d messages: %v", sent, err)
	}
	_, err = events(url, "eu-west-1", "a", "b").PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")})
	if err == nil || !strings.Contains(err.Error(), "nearly all that it may") {
		t.Errorf("an event is taken: %v", err)
	}
	for n := 0; n < sent; n++ {
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl})
		if err != nil || len(got.Messages) != 1 {
			t.Fatalf("receive number %d of %d: %v, %v", n, sent, got, err)
		}
		if _, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: q.QueueUrl, ReceiptHandle: got.Messages[0].ReceiptHandle}); err != nil {
			t.Fatalf("delete number %d of %d: %v", n, sent, err)
		}
	}
	// Space comes back with snapshots, which come with frames: a receive from an empty queue makes one now and then.
	for deadline := time.Now().Add(30 * time.Second); ; {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("small")})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the journal is empty and takes nothing: %v", err)
		}
		if _, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl, WaitTimeSeconds: 1}); err != nil {
			t.Fatal(err)
		}
	}
}
