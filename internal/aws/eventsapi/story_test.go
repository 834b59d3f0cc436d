package eventsapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/aws/eventsapi"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/replay"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
	"github.com/rialto-events/rialto/internal/vault"
	"github.com/rialto-events/rialto/target"
)

// TestStories tells the stories in testdata, each to a server of its own. A story is made of calls with their answers:
//
//	CreateEventBus {"Name": "orders"}                 operation and input
//	200 {"EventBusArn": "…:event-bus/orders"}         status and output; nothing if the body is empty
//	400 ValidationException: Cannot delete …          or status, error code and message
//
// The word topsecret must not come back, nor be in the catalog. In an output … stands for anything, ↵ in a message for a line break. A string "$name" is remembered, must be the same when it
// comes again, and is put in for $name in later inputs. Lines between calls:
//
//	# comment, with the source of what follows
//	account 111122223333     region eu-west-1         who calls, from here on
//	wait 90s                                          time passes
//	managed BUS RULE PRINCIPAL                        a service takes a rule for its own
//	authorized CONNECTION                             the connection has got its token
//	limits {"Rules": 2}      plain http     policies  options of the server, at the beginning of a file
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tell(t, strings.Split(string(text), "\n"))
		})
	}
}

// A teller is in the middle of a story.
type teller struct {
	*server
	account, region string
	known           map[string]string
	n               int    // of the line
	call, answer    string // the last call and what came back
}

func tell(t *testing.T, lines []string) {
	var opts eventsapi.Options
	var policies bool
	n := 0
	for ; n < len(lines); n++ {
		word, rest, _ := strings.Cut(lines[n], " ")
		switch word {
		case "limits":
			if err := json.Unmarshal([]byte(rest), &opts.Limits); err != nil {
				t.Fatal(err)
			}
		case "plain":
			opts.PlainHTTP = true
		case "policies":
			policies = true
		}
		if word != "#" && word != "" && word != "limits" && word != "plain" && word != "policies" {
			break
		}
	}
	s := &teller{server: serve(t, opts, policies), account: "000000000000", region: "us-east-1", known: map[string]string{}}
	for s.n = n; s.n < len(lines); s.n++ {
		s.line(t, lines[s.n])
	}
	for _, e := range s.catalog.Connections.List("", "", 0) {
		if b, err := json.Marshal(e.Value); err != nil || bytes.Contains(b, []byte(secret)) {
			t.Errorf("the catalog has a secret in %s: %s (%v)", e.Key, b, err)
		}
	}
}

func (s *teller) line(t *testing.T, line string) {
	t.Helper()
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch {
	case word == "" || word[0] == '#':
	case word == "account":
		s.account = rest
	case word == "region":
		s.region = rest
	case word == "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			t.Fatal(err)
		}
		s.clock.advance(d)
	case word == "managed":
		f := strings.Fields(rest)
		s.manage(t, rialto.BusName(f[0]), rialto.RuleName(f[1]), f[2])
	case word == "authorized":
		s.authorize(t, rest)
	case word[0] >= '0' && word[0] <= '9':
		s.compare(t, line)
	default:
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(s.known))) {
			rest = strings.ReplaceAll(rest, "$"+name, s.known[name])
		}
		s.call = line
		s.answer = s.post(t, s.account, s.region, word, rest)
		if strings.Contains(s.answer, secret) {
			t.Errorf("line %d: %s\ngives a secret away: %s", s.n+1, s.call, s.answer)
		}
	}
}

const secret = "topsecret"

// compare holds an answer against what a story says.
func (s *teller) compare(t *testing.T, want string) {
	t.Helper()
	status, rest, _ := strings.Cut(want, " ")
	code, message, isError := strings.Cut(rest, ": ")
	if isError && status != "200" {
		body, _ := json.Marshal(map[string]string{"__type": code, "message": strings.ReplaceAll(message, "↵", "\n")})
		rest = string(body)
	}
	gotStatus, body, _ := strings.Cut(s.answer, " ")
	if gotStatus != status {
		t.Errorf("line %d: %s\n got %s\nwant %s", s.n+1, s.call, s.answer, want)
		return
	}
	if body == "" || rest == "" {
		if body != rest {
			t.Errorf("line %d: %s\n got %q\nwant %q", s.n+1, s.call, body, rest)
		}
		return
	}
	var got, expected any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%s answers %s: %v", s.call, body, err)
	}
	if err := json.Unmarshal([]byte(rest), &expected); err != nil {
		t.Fatalf("the story says %s: %v", rest, err)
	}
	if !s.same(got, expected) {
		t.Errorf("line %d: %s\n got %s\nwant %s", s.n+1, s.call, body, rest)
	}
}

func (s *teller) same(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		return ok && maps.EqualFunc(got, want, s.same)
	case []any:
		got, ok := got.([]any)
		return ok && slices.EqualFunc(got, want, s.same)
	case string:
		got, ok := got.(string)
		if name, isName := strings.CutPrefix(want, "$"); ok && isName && !strings.ContainsAny(name, ". ") {
			if known, there := s.known[name]; there {
				return got == known
			}
			s.known[name] = got
			return true
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
		return ok && regexp.MustCompile(`(?s)\A`+pattern+`\z`).MatchString(got)
	}
	return got == want
}

// A server is a front over a catalog in a simulated journal.
type server struct {
	url     string
	catalog *catalog.Catalog
	clock   *clock
	events  *recorder
}

func serve(t testing.TB, opts eventsapi.Options, policies bool) *server {
	t.Helper()
	s := &server{
		catalog: catalogtest.Start(t), clock: &clock{now: time.Date(2026, 3, 1, 10, 0, 0, 250e6, time.UTC)}, events: new(recorder),
	}
	secrets, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	opts.Clock = s.clock
	if policies {
		opts.Policies = route.New(s.catalog, route.Options{Policies: true})
	}
	opts.Replays = s.replays(t)
	front := eventsapi.New(s.catalog, s.events, secrets, opts)
	web := httptest.NewServer(aws.NewHandler(aws.Options{}, front.Service()))
	s.url = web.URL
	t.Cleanup(web.Close)
	return s
}

// replays makes replays that nobody carries out, of archives that are empty.
func (s *server) replays(t testing.TB) *replay.Service {
	d := deliver.New(func(*target.Definition) target.Sender { return nil }, deliver.Options{})
	r := replay.New(s.catalog, emptyHistory{}, nil, d, replay.Options{Clock: s.clock, Most: 4})
	shards := []*shard.Shard{shardtest.Start(t, shard.Options{}, d.Host(), r.Host())}
	d.Attach(shards)
	r.Attach(shards)
	return r
}

type emptyHistory struct{ replay.History }

func (emptyHistory) Cut(context.Context, string, history.Window) (*history.Edge, history.Total, error) {
	return new(history.Edge), history.Total{}, nil
}

// post makes a call as an SDK would, and returns status and body.
func (s *server) post(t testing.TB, account, region, operation, input string) string {
	t.Helper()
	req, err := http.NewRequest("POST", s.url, strings.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "AWSEvents."+operation)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20260301/%s/events/aws4_request, SignedHeaders=host, Signature=0", account, region))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(resp.StatusCode) + " " + string(bytes.TrimSpace(body))
}

func (s *server) manage(t *testing.T, bus rialto.BusName, rule rialto.RuleName, principal string) {
	t.Helper()
	scope := rialto.Scope{Account: rialto.DefaultAccount, Region: rialto.DefaultRegion}
	_, err := s.catalog.Rules.Edit(t.Context(), catalog.RuleKey(scope, bus, rule), func(was *catalog.Rule) (*catalog.Rule, error) {
		is := *was
		is.ManagedBy = &principal
		return &is, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// authorize does what package connections does once there is a token.
func (s *server) authorize(t *testing.T, name string) {
	t.Helper()
	scope := rialto.Scope{Account: rialto.DefaultAccount, Region: rialto.DefaultRegion}
	_, err := s.catalog.Connections.Edit(t.Context(), catalog.NameKey(scope, name), func(was *catalog.Connection) (*catalog.Connection, error) {
		is := *was
		is.State, is.Authorized = catalog.Authorized, s.clock.Now()
		return &is, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A clock stands still until it is moved.
type clock struct {
	rialto.Clock
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A recorder accepts events whose source is not "bad", and keeps what it was told.
type recorder struct {
	mu      sync.Mutex
	caller  ingest.Caller
	entries []ingest.Entry
}

func (r *recorder) Put(_ context.Context, caller ingest.Caller, entries []ingest.Entry) ([]ingest.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.caller, r.entries = caller, entries
	results := make([]ingest.Result, len(entries))
	for i, e := range entries {
		results[i] = ingest.Result{EventID: "id-" + strconv.Itoa(i)}
		if e.Source != nil && *e.Source == "bad" {
			results[i] = ingest.Result{Code: "InvalidArgument", Message: "no good"}
		}
	}
	return results, nil
}
