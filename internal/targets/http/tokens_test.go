package http_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
)

// A movedClock stands still until it is moved.
type movedClock struct {
	rialto.Clock
	moved atomic.Int64
}

func (c *movedClock) Now() time.Time          { return fixedClock{}.Now().Add(time.Duration(c.moved.Load())) }
func (c *movedClock) advance(d time.Duration) { c.moved.Add(int64(d)) }

// An issuer is an authorization server and a destination that takes its tokens.
type issuer struct {
	auth, destination *httptest.Server
	clock             *movedClock
	lifetime          time.Duration

	mu      sync.Mutex
	issued  int                  // calls for a token
	valid   map[string]time.Time // tokens, and when they end
	refused int                  // calls of the destination
	taken   int
	fails   int           // status of every call for a token; 0 is success
	hold    chan struct{} // if not nil, calls for a token wait until it is closed
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{clock: new(movedClock), lifetime: time.Hour, valid: make(map[string]time.Time)}
	i.auth = httptest.NewServer(nethttp.HandlerFunc(i.issue))
	t.Cleanup(i.auth.Close)
	i.destination = httptest.NewServer(nethttp.HandlerFunc(i.take))
	t.Cleanup(i.destination.Close)
	return i
}

func (i *issuer) issue(w nethttp.ResponseWriter, r *nethttp.Request) {
	i.mu.Lock()
	i.issued++
	token, fails, hold := fmt.Sprintf("tok-%d-%s", i.issued, r.FormValue("client_secret")), i.fails, i.hold
	i.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	if fails != 0 {
		w.WriteHeader(fails)
		return
	}
	i.mu.Lock()
	i.valid[token] = i.clock.Now().Add(i.lifetime)
	i.mu.Unlock()
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"bearer","expires_in":%d}`, token, int(i.lifetime.Seconds()))
}

func (i *issuer) take(w nethttp.ResponseWriter, r *nethttp.Request) {
	io.Copy(io.Discard, r.Body)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.clock.Now().Before(i.valid[token]) {
		i.refused++
		w.WriteHeader(nethttp.StatusUnauthorized)
		return
	}
	i.taken++
}

// revoke makes every token that was issued worthless.
func (i *issuer) revoke() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.valid)
}

func (i *issuer) fail(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fails = status
}

func (i *issuer) counts() (issued, taken, refused int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.issued, i.taken, i.refused
}

func (i *issuer) wantIssued(t *testing.T, want int, when string) {
	t.Helper()
	if got, _, _ := i.counts(); got != want {
		t.Errorf("%s: %d tokens were asked for, want %d", when, got, want)
	}
}

func (i *issuer) grant(secret string) *http.Grant {
	return &http.Grant{Connection: "arn:c", Endpoint: i.auth.URL, Method: "POST", ClientID: "me", ClientSecret: secret}
}

func (i *issuer) sender(t testing.TB, d directory) *http.Sender {
	t.Helper()
	if d == nil {
		d = directory{"arn:d": withGrant(i.destination.URL, i.grant("s3cret"))}
	}
	o := loopback
	o.Clock = i.clock
	return newSender(t, d, o)
}

func TestOneTokenForManyDeliveries(t *testing.T) {
	const deliveries = 1000
	i := newIssuer(t)
	i.hold = make(chan struct{})
	s := i.sender(t, nil)
	var begun, done sync.WaitGroup
	begun.Add(deliveries)
	for range deliveries {
		done.Go(func() {
			begun.Done()
			if err := s.Send(t.Context(), to("arn:d")); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	close(i.hold)
	done.Wait()
	if issued, taken, _ := i.counts(); issued != 1 || taken != deliveries {
		t.Errorf("%d tokens were asked for and %d deliveries arrived, want 1 and %d", issued, taken, deliveries)
	}
}

func TestOneFailureForManyDeliveries(t *testing.T) {
	const deliveries = 100
	i := newIssuer(t)
	i.fails = 503
	s := i.sender(t, nil)
	var done sync.WaitGroup
	for range deliveries {
		done.Go(func() {
			if err := s.Send(t.Context(), to("arn:d")); err == nil || target.Permanent(err) {
				t.Errorf("got %v", err)
			}
		})
	}
	done.Wait()
	i.wantIssued(t, 1, "while the server fails")
	i.fail(0)
	i.clock.advance(time.Second)
	if err := s.Send(t.Context(), to("arn:d")); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

// load sends from several goroutines at once, and calls between after each delivery. Nothing may fail.
func load(t *testing.T, s *http.Sender, each int, between func(n int)) {
	t.Helper()
	var sent atomic.Int64
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range each {
				if err := s.Send(t.Context(), to("arn:d")); err != nil {
					t.Error(err)
				}
				between(int(sent.Add(1)))
			}
		})
	}
	done.Wait()
}

func TestTokensExpireUnderLoad(t *testing.T) {
	i := newIssuer(t)
	i.lifetime = 2 * time.Minute
	load(t, i.sender(t, nil), 200, func(int) { i.clock.advance(200 * time.Millisecond) })
	if issued, taken, _ := i.counts(); taken != 1600 || issued < 3 || issued > 12 { // 320 s, each token for one minute to two
		t.Errorf("%d deliveries arrived with %d tokens", taken, issued)
	}
}

func TestTokensAreRevokedUnderLoad(t *testing.T) {
	i := newIssuer(t)
	load(t, i.sender(t, nil), 200, func(n int) {
		if n == 500 || n == 1000 {
			i.revoke()
		}
	})
	if issued, taken, _ := i.counts(); taken != 1600 || issued < 3 || issued > 5 {
		t.Errorf("%d deliveries arrived with %d tokens", taken, issued)
	}
}

func TestProxyAuthenticationGetsANewTokenToo(t *testing.T) {
	i := newIssuer(t)
	var calls atomic.Int64
	e := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, _ := io.ReadAll(r.Body)
		if calls.Add(1) == 1 {
			w.WriteHeader(nethttp.StatusProxyAuthRequired)
		} else if string(body) != "{}" {
			t.Errorf("the second call has the body %q", body)
		}
	}))
	t.Cleanup(e.Close)
	if err := i.sender(t, directory{"arn:d": withGrant(e.URL, i.grant("s3cret"))}).Send(t.Context(), to("arn:d")); err != nil {
		t.Error(err)
	}
	i.wantIssued(t, 2, "after a 407")
}

// TestADestinationThatRefusesEveryToken must not make us ask for a token with every delivery.
func TestADestinationThatRefusesEveryToken(t *testing.T) {
	i := newIssuer(t)
	s := i.sender(t, directory{
		"arn:bad": withGrant(status(t, 401), i.grant("s3cret")),
		"arn:d":   withGrant(i.destination.URL, i.grant("s3cret")),
	})
	for range 10 {
		e := asTargetError(t, s.Send(t.Context(), to("arn:bad")))
		if e.Permanent || !strings.Contains(e.Message, "401") {
			t.Errorf("got %#v", e)
		}
	}
	i.wantIssued(t, 2, "in the same moment")
	if err := s.Send(t.Context(), to("arn:d")); err != nil {
		t.Errorf("another destination of the connection suffers: %v", err)
	}
	i.clock.advance(time.Second)
	s.Send(t.Context(), to("arn:bad"))
	i.wantIssued(t, 3, "a second later")
}

func TestAnOldTokenDoesWhileThereIsNoNewOne(t *testing.T) {
	i := newIssuer(t)
	s := i.sender(t, nil)
	send := func(want bool, when string) {
		t.Helper()
		if err := s.Send(t.Context(), to("arn:d")); (err == nil) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
	send(true, "with a new token")
	i.fail(500)
	i.clock.advance(time.Hour - 30*time.Second)
	send(true, "when it is time for the next token")
	i.clock.advance(25 * time.Second)
	send(false, "in the last moments of the token")
	i.fail(0)
	i.clock.advance(time.Second)
	send(true, "when there are tokens again")
}

func TestAChangedConnectionUsesNoOldToken(t *testing.T) {
	i := newIssuer(t)
	d := directory{}
	var tokens []string
	var mu sync.Mutex
	e := httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		mu.Lock()
		defer mu.Unlock()
		tokens = append(tokens, r.Header.Get("Authorization"))
	}))
	t.Cleanup(e.Close)
	s := i.sender(t, d)
	changes := []struct {
		name   string
		change func(g *http.Grant)
		want   string
	}{
		{"as it was made", func(*http.Grant) {}, "Bearer tok-1-old"},
		{"unchanged", func(*http.Grant) {}, "Bearer tok-1-old"},
		{"with a new secret", func(g *http.Grant) { g.ClientSecret = "new" }, "Bearer tok-2-new"},
		{"with another scope", func(g *http.Grant) { g.Body = []http.Parameter{{Key: "scope", Value: "b"}} }, "Bearer tok-3-new"},
		{"authorised again", func(g *http.Grant) { g.Given = g.Given.Add(time.Second) }, "Bearer tok-4-new"},
		{"as it was a moment ago", func(g *http.Grant) { g.Given, g.ClientSecret = time.Time{}, "old" }, "Bearer tok-4-new"},
	}
	g := *i.grant("old")
	for n, c := range changes {
		c.change(&g)
		is := g
		d["arn:d"] = withGrant(e.URL, &is)
		if err := s.Send(t.Context(), to("arn:d")); err != nil {
			t.Fatal(err)
		}
		if tokens[n] != c.want {
			t.Errorf("%s: the token is %q, want %q", c.name, tokens[n], c.want)
		}
	}
}

// TestWhoGivesUpHarmsNoOther ends the delivery for which a token was asked.
func TestWhoGivesUpHarmsNoOther(t *testing.T) {
	i := newIssuer(t)
	i.hold = make(chan struct{})
	s := i.sender(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := s.Send(ctx, to("arn:d")); !errors.Is(err, enough) {
		t.Errorf("who gave up got %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Send(t.Context(), to("arn:d")) }()
	close(i.hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
	i.wantIssued(t, 1, "for two deliveries")
}

func TestCloseEndsCallsForTokens(t *testing.T) {
	i := newIssuer(t)
	i.hold = make(chan struct{}) // stays
	s := i.sender(t, nil)
	done := make(chan error, 1)
	go func() { done <- s.Send(t.Context(), to("arn:d")) }()
	s.Close()
	if err := <-done; err == nil || target.Permanent(err) {
		t.Errorf("got %v", err)
	}
}

func TestLifetimes(t *testing.T) {
	cases := []struct {
		reply          string
		used, replaced time.Duration // by deliveries so long after the first
	}{
		{`"expires_in":3600`, 58 * time.Minute, 59 * time.Minute}, // AWS replaces it a minute early
		{`"expires_in":"3600"`, 58 * time.Minute, 59 * time.Minute},
		{`"expires_in":3600.5`, 58 * time.Minute, 60 * time.Minute},
		{`"expires_in":60`, 29 * time.Second, 30 * time.Second},
		{`"expires_in":1`, 400 * time.Millisecond, 500 * time.Millisecond},
		{`"scope":"a"`, 58 * time.Minute, 59 * time.Minute}, // only recommended (RFC 6749, section 5.1)
		{`"expires_in":0`, 58 * time.Minute, 59 * time.Minute},
		{`"expires_in":-5`, 58 * time.Minute, 59 * time.Minute},
		{`"expires_in":null`, 58 * time.Minute, 59 * time.Minute},
		{`"expires_in":"soon"`, 58 * time.Minute, 59 * time.Minute},
		{`"expires_in":1e99`, 23 * time.Hour, 24 * time.Hour},
		{`"expires_in":1e999`, 23 * time.Hour, 24 * time.Hour},
		{`"expires_in":"NaN"`, 58 * time.Minute, 59 * time.Minute},
	}
	for _, c := range cases {
		t.Run(c.reply, func(t *testing.T) {
			var calls atomic.Int64
			again := make(chan struct{})
			auth := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
				if calls.Add(1) == 2 {
					close(again)
				}
				fmt.Fprintf(w, `{"access_token":"t-%d",%s}`, calls.Load(), c.reply)
			}))
			t.Cleanup(auth.Close)
			o, clock := loopback, new(movedClock)
			o.Clock = clock
			g := &http.Grant{Endpoint: auth.URL, Method: "POST", ClientID: "me", ClientSecret: "s3cret"}
			s := newSender(t, directory{"arn:d": withGrant(newEndpoint(t).URL, g)}, o)
			send := func() {
				t.Helper()
				if err := s.Send(t.Context(), to("arn:d")); err != nil {
					t.Fatal(err)
				}
			}
			send()
			clock.advance(c.used)
			send()
			if n := calls.Load(); n != 1 {
				t.Errorf("after %s there were %d calls", c.used, n)
			}
			clock.advance(c.replaced - c.used)
			send()
			select {
			case <-again: // in the background
			case <-time.After(20 * time.Second):
				t.Errorf("after %s the token was not replaced", c.replaced)
			}
		})
	}
}
