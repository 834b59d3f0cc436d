package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto/internal/server"
	targetshttp "github.com/rialto-events/rialto/internal/targets/http"
)

// A partner is an authorization server for the client "me", and a webhook that takes its tokens. It hands on the authorization of
// each call that it takes.
type partner struct {
	*httptest.Server
	secret atomic.Pointer[string] // of the client
	tokens atomic.Int64           // calls for a token
	taken  chan string
}

func newPartner(t *testing.T) *partner {
	p := &partner{taken: make(chan string, 10)}
	p.secret.Store(aws.String("s3cret-1"))
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		n, got := p.tokens.Add(1), r.FormValue("client_secret")
		if r.FormValue("client_id") != "me" || got != *p.secret.Load() || r.FormValue("scope") != "events" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, "not the secret of me: "+got)
			return
		}
		fmt.Fprintf(w, `{"access_token":"tok-%d-%s","expires_in":3600}`, n, got)
	})
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		authorization := r.Header.Get("Authorization")
		if !strings.HasSuffix(authorization, *p.secret.Load()) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.taken <- authorization
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *partner) parameters(secret string) *types.CreateConnectionOAuthRequestParameters {
	return &types.CreateConnectionOAuthRequestParameters{
		AuthorizationEndpoint: aws.String(p.URL + "/token"), HttpMethod: types.ConnectionOAuthHttpMethodPost,
		ClientParameters: &types.CreateConnectionOAuthClientRequestParameters{ClientID: aws.String("me"), ClientSecret: &secret},
		OAuthHttpParameters: &types.ConnectionHttpParameters{
			BodyParameters: []types.ConnectionBodyParameter{{Key: aws.String("scope"), Value: aws.String("events")}},
		},
	}
}

// A logbook keeps what a server logs.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// TestOAuth follows a connection through its life: events arrive with its token, a secret that changes at the partner's makes dead
// letters until the connection is given the new one, and nothing that is logged, stored or dead holds a secret or a token.
func TestOAuth(t *testing.T) {
	p, log, dir := newPartner(t), new(logbook), t.TempDir()
	url, stop := start(t, server.Config{DataDir: dir, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	client := events(url, "eu-west-1", "a", "b")
	deadLetter := newDeadLetters(t, url)
	connection, err := client.CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
		Name: aws.String("partner"), AuthorizationType: types.ConnectionAuthorizationTypeOauthClientCredentials,
		AuthParameters: &types.CreateConnectionAuthRequestParameters{OAuthParameters: p.parameters("s3cret-1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	destination, err := client.CreateApiDestination(t.Context(), &eventbridge.CreateApiDestinationInput{
		Name: aws.String("partner"), ConnectionArn: connection.ConnectionArn, InvocationEndpoint: aws.String(p.URL + "/hook"),
		HttpMethod: types.ApiDestinationHttpMethodPost,
	})
	if err != nil {
		t.Fatal(err)
	}
	deliverTo(t, client, *destination.ApiDestinationArn, "arn:aws:sqs:eu-west-1:000000000000:dead")
	put := func() {
		t.Helper()
		if _, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")}); err != nil {
			t.Fatal(err)
		}
	}
	wantTaken := func(want string) {
		t.Helper()
		put()
		if got := <-p.taken; got != want {
			t.Errorf("the webhook got %q, want %q", got, want)
		}
	}

	wantTaken("Bearer tok-1-s3cret-1")
	wantTaken("Bearer tok-1-s3cret-1")

	p.secret.Store(aws.String("s3cret-2"))
	put()
	letter := deadLetter()
	for _, want := range []string{"NO_PERMISSIONS", "gave no token for its client credentials: status 401 Unauthorized, invalid_client. Correct them with UpdateConnection."} {
		if !strings.Contains(letter, want) {
			t.Errorf("the dead letter does not say %q: %s", want, letter)
		}
	}

	_, err = client.UpdateConnection(t.Context(), &eventbridge.UpdateConnectionInput{
		Name: aws.String("partner"), AuthorizationType: types.ConnectionAuthorizationTypeOauthClientCredentials,
		AuthParameters: &types.UpdateConnectionAuthRequestParameters{OAuthParameters: &types.UpdateConnectionOAuthRequestParameters{
			ClientParameters: &types.UpdateConnectionOAuthClientRequestParameters{ClientSecret: aws.String("s3cret-2")},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantTaken("Bearer tok-3-s3cret-2") // the second call was in vain

	stop()
	log.mu.Lock()
	defer log.mu.Unlock()
	if n := strings.Count(log.text.String(), "delivery attempted"); n < 4 {
		t.Errorf("the log tells of %d attempts", n)
	}
	for _, secret := range []string{"s3cret-", "tok-1-", "tok-3-"} {
		if strings.Contains(log.text.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
		if strings.Contains(letter, secret) {
			t.Errorf("the dead letter holds %q", secret)
		}
		wantNowhere(t, dir, secret)
	}
}

// newDeadLetters makes the queue "dead". The function waits for the next message there, and returns it as JSON.
func newDeadLetters(t *testing.T, url string) (next func() string) {
	t.Helper()
	client := sqs.New(sqs.Options{BaseEndpoint: &url, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("dead")})
	if err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: queue.QueueUrl, WaitTimeSeconds: 20, MessageAttributeNames: []string{"All"},
		})
		if err != nil || len(got.Messages) != 1 {
			t.Fatalf("the dead letters are %v, %v", got, err)
		}
		letter, err := json.Marshal(got.Messages[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(letter)
	}
}

// TestDeniedTargets denies what would be allowed, because the server itself listens on loopback.
func TestDeniedTargets(t *testing.T) {
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the destination was called") }))
	t.Cleanup(hook.Close)
	local := strings.Replace(hook.URL, "127.0.0.1", "localhost", 1)
	for _, tc := range []struct {
		name, endpoint, says string
		config               server.Config
	}{
		{"a network", hook.URL, "calls to 127.0.0.1 are denied: the server was started with 127.0.0.0/8 in --deny-targets.",
			server.Config{DenyTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}},
		{"a host", local, "calls to localhost are denied: the server was started with localhost in --deny-targets.",
			server.Config{DenyHosts: []targetshttp.HostPattern{"localhost"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url, _ := start(t, tc.config)
			client := events(url, "eu-west-1", "a", "b")
			deadLetter := newDeadLetters(t, url)
			connection, err := client.CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
				Name: aws.String("hook"), AuthorizationType: types.ConnectionAuthorizationTypeApiKey, AuthParameters: keyed("one"),
			})
			if err != nil {
				t.Fatal(err)
			}
			destination, err := client.CreateApiDestination(t.Context(), &eventbridge.CreateApiDestinationInput{
				Name: aws.String("hook"), ConnectionArn: connection.ConnectionArn, InvocationEndpoint: &tc.endpoint,
				HttpMethod: types.ApiDestinationHttpMethodPost,
			})
			if err != nil {
				t.Fatal(err)
			}
			deliverTo(t, client, *destination.ApiDestinationArn, "arn:aws:sqs:eu-west-1:000000000000:dead")
			if _, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")}); err != nil {
				t.Fatal(err)
			}
			letter := deadLetter()
			if !strings.Contains(letter, tc.says) || !strings.Contains(letter, "SDK_CLIENT_ERROR") || strings.Contains(letter, "EXHAUSTED") {
				t.Errorf("the dead letter is %s, want one of a permanent error that says %q", letter, tc.says)
			}
		})
	}
}

// keyed are the parameters of a connection with a key in the header X-Key.
func keyed(value string) *types.CreateConnectionAuthRequestParameters {
	return &types.CreateConnectionAuthRequestParameters{
		ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: aws.String("X-Key"), ApiKeyValue: &value},
	}
}

// deliverTo sends every event of the shop to an API destination: once, if there is a queue for dead letters.
func deliverTo(t *testing.T, client *eventbridge.Client, destination, deadLetters string) {
	t.Helper()
	if _, err := client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("all"), EventPattern: aws.String(`{"source":["shop"]}`)}); err != nil {
		t.Fatal(err)
	}
	list := targets(destination)
	list[0].RoleArn = aws.String("arn:aws:iam::000000000000:role/events")
	if deadLetters != "" {
		list[0].RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(0)}
		list[0].DeadLetterConfig = &types.DeadLetterConfig{Arn: &deadLetters}
	}
	if _, err := client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("all"), Targets: list}); err != nil {
		t.Fatal(err)
	}
}

// wantNowhere looks for a text in everything that a server has stored.
func wantNowhere(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			t.Errorf("%s holds %q", path, text)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files were looked through, %v", files, err)
	}
}

// TestChangesOfADestinationCount changes what deliveries were made with: each must see the change.
func TestChangesOfADestinationCount(t *testing.T) {
	taken := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { taken <- r.URL.Path + " " + r.Header.Get("X-Key") }))
	t.Cleanup(hook.Close)
	url, _ := start(t, server.Config{})
	client := events(url, "eu-west-1", "a", "b")
	name := aws.String("hook")
	connection, err := client.CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
		Name: name, AuthorizationType: types.ConnectionAuthorizationTypeApiKey, AuthParameters: keyed("one"),
	})
	if err != nil {
		t.Fatal(err)
	}
	destination, err := client.CreateApiDestination(t.Context(), &eventbridge.CreateApiDestinationInput{
		Name: name, ConnectionArn: connection.ConnectionArn, InvocationEndpoint: aws.String(hook.URL + "/a"),
		HttpMethod: types.ApiDestinationHttpMethodPost,
	})
	if err != nil {
		t.Fatal(err)
	}
	deliverTo(t, client, *destination.ApiDestinationArn, "")
	want := func(want string) {
		t.Helper()
		if _, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")}); err != nil {
			t.Fatal(err)
		}
		if got := <-taken; got != want {
			t.Errorf("the webhook got %q, want %q", got, want)
		}
	}
	key := func(value string) {
		t.Helper()
		_, err := client.UpdateConnection(t.Context(), &eventbridge.UpdateConnectionInput{
			Name: name, AuthorizationType: types.ConnectionAuthorizationTypeApiKey,
			AuthParameters: &types.UpdateConnectionAuthRequestParameters{
				ApiKeyAuthParameters: &types.UpdateConnectionApiKeyAuthRequestParameters{ApiKeyName: aws.String("X-Key"), ApiKeyValue: &value},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	want("/a one")
	want("/a one")
	key("two")
	want("/a two")
	if _, err := client.UpdateApiDestination(t.Context(), &eventbridge.UpdateApiDestinationInput{Name: name, InvocationEndpoint: aws.String(hook.URL + "/b")}); err != nil {
		t.Fatal(err)
	}
	want("/b two")
	if _, err := client.DeauthorizeConnection(t.Context(), &eventbridge.DeauthorizeConnectionInput{Name: name}); err != nil {
		t.Fatal(err)
	}
	key("three")
	want("/b three")
}
