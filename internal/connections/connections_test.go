package connections_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/connections"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/internal/vault"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest/hostile"
)

var scope = rialto.Scope{Account: "000000000000", Region: "eu-west-1"}

// A hasty clock goes on by as much as somebody wants to wait, at once.
type hasty struct {
	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
}

func (c *hasty) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *hasty) NewTimer(d time.Duration) rialto.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.waited = c.now.Add(d), append(c.waited, d)
	return rialto.SystemClock.NewTimer(0)
}

// A paper collects what is told.
type paper struct {
	mu   sync.Mutex
	told []string
	news chan struct{} // has a value for each
}

func (p *paper) AnnounceAs(_ context.Context, source string, s rialto.Scope, detailType string, detail any, resources ...string) error {
	text, err := json.Marshal(detail)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, fmt.Sprint(source, " ", s.Region, " ", detailType, " ", string(text), " ", len(resources)))
	p.news <- struct{}{}
	return err
}

func (p *paper) says(t *testing.T, want ...string) {
	t.Helper()
	for range want {
		<-p.news
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := strings.Join(p.told, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told was\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	p.told = nil
}

// A house is a Service with all that it needs.
type house struct {
	*connections.Service
	catalog *catalog.Catalog
	vault   *vault.Vault
	clock   *hasty
	news    *paper
	states  chan string // that the connection "c" came to
}

func newHouse(t testing.TB) *house {
	t.Helper()
	v, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		catalog: catalogtest.Start(t), vault: v, clock: &hasty{now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}, news: &paper{news: make(chan struct{}, 100)}, states: make(chan string, 100),
	}
	h.Service = connections.New(h.catalog, v, connections.Options{
		Clock: h.clock, Guard: http.Guard{Allow: http.Loopback}, News: connections.NewNews(h.news, h.catalog, h.clock, nil),
	})
	t.Cleanup(h.Close)
	h.catalog.Connections.Follow(func(_ string, _, is *catalog.Connection) {
		if is != nil {
			state := is.State
			if is.StateReason != nil {
				state += ": " + *is.StateReason
			}
			h.states <- state
		}
	})
	return h
}

// run authorises until the test, or the function that it returns, ends it.
func (h *house) run(t testing.TB) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// define makes the connection "c", or gives it new parameters.
func (h *house) define(t testing.TB, secrets catalog.ConnectionSecrets) *catalog.Connection {
	t.Helper()
	plain, err := json.Marshal(secrets)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.catalog.Connections.Edit(t.Context(), catalog.NameKey(scope, "c"), func(was *catalog.Connection) (*catalog.Connection, error) {
		is := &catalog.Connection{Name: "c", ID: "1", Created: h.clock.Now()}
		if was != nil {
			*is = *was
		}
		is.Secrets, is.Parameters, is.Authorization = h.vault.Seal(plain, []byte(is.ARN(scope))), secrets.Public(), secrets.Authorization
		is.State, is.StateReason, is.Given = catalog.Authorized, nil, h.clock.Now()
		if secrets.OAuth != nil {
			is.State = catalog.Authorizing
		}
		return is, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lead makes an API destination of the connection "c".
func (h *house) lead(t testing.TB, name, endpoint string) (arn string) {
	t.Helper()
	d, err := h.catalog.Destinations.Edit(t.Context(), catalog.NameKey(scope, name), func(*catalog.Destination) (*catalog.Destination, error) {
		return &catalog.Destination{
			Name: name, ID: "2", Endpoint: endpoint, Method: "POST",
			ConnectionARN: (&catalog.Connection{Name: "c", ID: "1"}).ARN(scope),
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d.ARN(scope)
}

func key(value string) catalog.ConnectionSecrets {
	return catalog.ConnectionSecrets{Authorization: "API_KEY", APIKeyName: "X-Key", APIKeyValue: value}
}

func oauth(endpoint, secret string) catalog.ConnectionSecrets {
	return catalog.ConnectionSecrets{Authorization: "OAUTH_CLIENT_CREDENTIALS", OAuth: &catalog.OAuth{ClientID: "me", ClientSecret: secret, Endpoint: endpoint, Method: "POST"}}
}

// serve serves HTTP until the test ends.
func serve(t testing.TB, f nethttp.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// issuer gives tokens to whoever has the secret "good".
func issuer(t testing.TB, calls *atomic.Int64) string {
	return serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		calls.Add(1)
		if r.FormValue("client_secret") != "good" {
			w.WriteHeader(nethttp.StatusUnauthorized)
			io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		io.WriteString(w, `{"access_token":"tok-1","expires_in":3600}`)
	})
}

func (h *house) want(t *testing.T, states ...string) {
	t.Helper()
	for _, want := range states {
		select {
		case got := <-h.states:
			if got != want {
				t.Fatalf("the connection came to %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second): // a bound for a test that fails, not a wait
			t.Fatalf("the connection did not come to %q", want)
		}
	}
}

// TestAuthorizing gets the first token right away; a wrong secret ends DEAUTHORIZED, and new parameters begin anew.
func TestAuthorizing(t *testing.T) {
	h, calls := newHouse(t), new(atomic.Int64)
	token := issuer(t, calls)
	h.lead(t, "d", "http://127.0.0.1:1")
	h.run(t)
	h.define(t, oauth(token, "good"))
	h.want(t, catalog.Authorizing, catalog.Authorized)
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls for a token", n)
	}
	c := h.catalog.Connections.Get(catalog.NameKey(scope, "c"))
	if !c.Authorized.Equal(h.clock.Now()) || c.StateReason != nil {
		t.Errorf("the connection was authorised at %v because of %v", c.Authorized, c.StateReason)
	}

	const refused = "The authorization endpoint of the connection gave no token for its client credentials: status 401 Unauthorized, invalid_client. Correct them with UpdateConnection."
	h.define(t, oauth(token, "bad"))
	h.want(t, catalog.Authorizing, catalog.Authorizing+": "+refused, catalog.Deauthorized+": "+refused)
	if n := calls.Load(); n != 11 {
		t.Errorf("%d calls for a token after ten in vain", n-1)
	}
	var all time.Duration
	for _, d := range h.clock.waited {
		all += d
	}
	if all != 151*time.Second {
		t.Errorf("it took %v to give up: %v", all, h.clock.waited)
	}

	h.define(t, oauth(token, "good"))
	h.want(t, catalog.Authorizing, catalog.Authorized)
	at := `"Timestamp":"2026-03-01 10:00:00 +0000 UTC"}`
	later := `"Timestamp":"2026-03-01 10:02:31 +0000 UTC"}`
	h.news.says(t,
		`aws.events eu-west-1 Connection Authorized {"ConnectionName":"c",`+at+` 1`,
		`aws.events eu-west-1 API Destination Activated {"ApiDestinationName":"d",`+at+` 1`,
		`aws.events eu-west-1 Connection Deauthorized {"ConnectionName":"c","StateReason":"`+refused+`",`+later+` 1`,
		`aws.events eu-west-1 API Destination Deactivated {"ApiDestinationName":"d",`+later+` 1`,
		`aws.events eu-west-1 Connection Authorized {"ConnectionName":"c",`+later+` 1`,
		`aws.events eu-west-1 API Destination Activated {"ApiDestinationName":"d",`+later+` 1`)
}

// TestReasonsOfStates has authorization servers fail in ways of their own. What cannot get better is given up at once.
func TestReasonsOfStates(t *testing.T) {
	expired := hostile.Expired()
	t.Cleanup(expired.Close)
	for name, c := range map[string]struct {
		endpoint string
		says     string
		waits    int
	}{
		"nobody there": {"http://127.0.0.1:1", "Could not connect to the specified endpoint.", 9}, // recorded on AWS
		"certificate":  {expired.URL, "Could not connect to the specified endpoint. Its certificate, of ", 9},
		"no token":     {serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { io.WriteString(w, "{}") }), "The authorization endpoint of the connection answered without an access_token", 9},
		"forbidden":    {"http://169.254.169.254/token", "169.254.169.254 gives out credentials of cloud machines", 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.run(t)
			h.define(t, oauth(c.endpoint, "good"))
			for state := range h.states {
				if before, reason, ok := strings.Cut(state, ": "); ok && !strings.HasPrefix(reason, c.says) {
					t.Errorf("%s because of %q, want %q", before, reason, c.says)
				}
				if strings.HasPrefix(state, catalog.Deauthorized) {
					break
				}
			}
			if n := len(h.clock.waited); n != c.waits {
				t.Errorf("it was tried again %d times, want %d", n, c.waits)
			}
		})
	}
}

// TestAuthorizingGoesOnAfterARestart stops while a connection is being authorised, and starts again.
func TestAuthorizingGoesOnAfterARestart(t *testing.T) {
	h, calls := newHouse(t), new(atomic.Int64)
	asked, hold := make(chan struct{}, 1), make(chan struct{})
	stuck := serve(t, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		asked <- struct{}{}
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	})
	defer close(hold)
	stop := h.run(t)
	h.define(t, oauth(stuck, "good"))
	<-asked
	stop()
	h.want(t, catalog.Authorizing)
	if got := h.catalog.Connections.Get(catalog.NameKey(scope, "c")); got.State != catalog.Authorizing || got.StateReason != nil {
		t.Errorf("the connection changed to %s because of %v", got.State, got.StateReason)
	}

	// The next process has a service of its own over the same catalog.
	h.define(t, oauth(issuer(t, calls), "good"))
	next := connections.New(h.catalog, h.vault, connections.Options{Guard: http.Guard{Allow: http.Loopback}})
	t.Cleanup(next.Close)
	h.Service = next
	h.run(t)
	h.want(t, catalog.Authorizing, catalog.Authorized)
}

// TestDeliveriesDoNotWaitForTheState sends while the connection is being authorised, and after it was not.
func TestDeliveriesDoNotWaitForTheState(t *testing.T) {
	h, calls := newHouse(t), new(atomic.Int64)
	token := issuer(t, calls)
	arn := h.lead(t, "d", serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.Header.Get("Authorization") != "Bearer tok-1" {
			w.WriteHeader(nethttp.StatusForbidden)
		}
	}))
	h.define(t, oauth(token, "good"))
	m := &target.Message{Definition: &target.Definition{ARN: arn}, Payload: []byte(`{}`)}
	if err := h.Sender().Send(t.Context(), m); err != nil {
		t.Errorf("while it is authorised: %v", err)
	}
	h.run(t)
	h.want(t, catalog.Authorizing, catalog.Authorized)
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls for a token, want the one of the delivery", n)
	}
	h.define(t, oauth(token, "bad"))
	for state := range h.states {
		if strings.HasPrefix(state, catalog.Deauthorized) {
			break
		}
	}
	err := h.Sender().Send(t.Context(), m)
	if err == nil || target.Permanent(err) || !strings.Contains(err.Error(), "is not authorized, or is gone. The authorization endpoint of the connection gave no token") {
		t.Errorf("when it is not authorised: %v", err)
	}
}

// material makes a certificate that has signed itself and is valid for 150 days until a time.
func material(t testing.TB, name string, until time.Time) catalog.TLSMaterial {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-150 * 24 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return catalog.TLSMaterial{
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

// TestCertificatesOfAConnection follows them from when they are given until they are taken away.
func TestCertificatesOfAConnection(t *testing.T) {
	h := newHouse(t)
	h.define(t, key("s3cret"))
	if _, err := h.TLS(scope, "c"); rialto.KindOf(err) != rialto.NotFound || !strings.Contains(err.Error(), "has no certificates of its own") {
		t.Errorf("before: %v", err)
	}
	m := material(t, "ada", h.clock.Now().Add(100*24*time.Hour))
	m.CA, m.ServerName = m.Certificate, "crm.internal"
	shown, err := h.SetTLS(t.Context(), scope, "c", m)
	if err != nil || len(shown.Certificate) != 1 || shown.Certificate[0].Subject != "CN=ada" || len(shown.CA) != 1 || shown.ServerName != "crm.internal" || shown.Warnings != nil {
		t.Fatalf("given: %+v, %v", shown, err)
	}
	c := h.catalog.Connections.Get(catalog.NameKey(scope, "c"))
	stored, err := json.Marshal(c)
	if err != nil || strings.Contains(string(stored), "PRIVATE") || strings.Contains(string(stored), "ada") {
		t.Errorf("stored in the clear: %s, %v", stored, err)
	}
	if text, _ := json.Marshal(shown); strings.Contains(string(text), "PRIVATE") {
		t.Errorf("shown: %s", text)
	}

	h.define(t, key("another"))
	if again, err := h.TLS(scope, "c"); err != nil || again.ServerName != "crm.internal" {
		t.Errorf("after an update: %+v, %v", again, err)
	}
	if _, err := h.vault.Open(c.TLS.Sealed, []byte(c.ARN(scope))); err == nil {
		t.Error("the certificates open in the place of the secrets")
	}
	bad := m
	bad.Key = material(t, "bob", h.clock.Now()).Key
	if _, err := h.SetTLS(t.Context(), scope, "c", bad); rialto.KindOf(err) != rialto.Invalid {
		t.Errorf("a key that does not belong there: %v", err)
	}
	for until, says := range map[time.Duration]string{
		-time.Hour: "certificate: CN=ada expired on 2026-03-01T09:00:00Z.", time.Hour: "certificate: CN=ada expires on 2026-03-01T11:00:00Z.",
		5000 * time.Hour: "certificate: CN=ada is not valid before ",
	} {
		shown, err := h.SetTLS(t.Context(), scope, "c", material(t, "ada", h.clock.Now().Add(until)))
		if err != nil || len(shown.Warnings) != 1 || !strings.HasPrefix(shown.Warnings[0], says) {
			t.Errorf("until %v: %+v, %v; want %q", until, shown, err, says)
		}
	}
	for range 2 {
		if err := h.RemoveTLS(t.Context(), scope, "c"); err != nil {
			t.Error(err)
		}
	}
	if list := h.List(scope); len(list) != 1 || list[0].TLS {
		t.Errorf("after they were taken away: %+v", list)
	}
	if _, err := h.SetTLS(t.Context(), scope, "none", m); rialto.KindOf(err) != rialto.NotFound {
		t.Errorf("of no connection: %v", err)
	}
}

// TestARotationCountsFromTheNextCall replaces the authority that a delivery believes.
func TestARotationCountsFromTheNextCall(t *testing.T) {
	h := newHouse(t)
	h.define(t, key("s3cret"))
	one, two := hostile.SelfSigned(), hostile.SelfSigned()
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	arns := map[*hostile.Server]string{one: h.lead(t, "one", one.URL), two: h.lead(t, "two", two.URL)}
	for _, trusted := range []*hostile.Server{one, two, one} {
		if _, err := h.SetTLS(t.Context(), scope, "c", catalog.TLSMaterial{CA: string(trusted.CA)}); err != nil {
			t.Fatal(err)
		}
		for s, arn := range arns {
			err := h.Sender().Send(t.Context(), &target.Message{Definition: &target.Definition{ARN: arn}, Payload: []byte(`{}`)})
			if (err == nil) != (s == trusted) || target.Permanent(err) {
				t.Errorf("%s: %v, trusted is %t", arn, err, s == trusted)
			}
		}
	}
}

// TestTrials tries connections that work and that do not: the report says which step fails, what to try, and no secret.
func TestTrials(t *testing.T) {
	calls := new(atomic.Int64)
	token := issuer(t, calls)
	echo := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Set-Cookie", "session=c00kie; Path=/")
		w.Header().Set("X-Saw", r.Header.Get("X-Key")+r.Header.Get("Authorization"))
		fmt.Fprintf(w, "%s %s %s key=%s auth=%s", r.Method, r.URL, body, r.Header.Get("X-Key"), r.Header.Get("Authorization"))
	})
	denies := serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(nethttp.StatusForbidden) })
	expired, silent := hostile.Expired(), hostile.Garbage()
	t.Cleanup(expired.Close)
	t.Cleanup(silent.Close)
	for _, c := range []struct {
		name    string
		secrets catalog.ConnectionSecrets
		trial   connections.Trial
		failed  string
		says    string // in the report
	}{
		{"a key", key("s3cret"), connections.Trial{URL: echo + "/x/*", Method: "post", PathParameters: []string{"a b"}, Body: `{"a":1}`}, "",
			`"head":"POST /x/a%20b {\"a\":1} key=[redacted] auth="`},
		{"a token", oauth(token, "good"), connections.Trial{URL: echo}, "", `"Authorization":["Bearer [redacted]"]`},
		{"a cookie", key("s3cret"), connections.Trial{URL: echo}, "", `"Set-Cookie":["[redacted]"]`},
		{"a token alone", oauth(token, "good"), connections.Trial{}, "", `"status":200`},
		{"a wrong secret", oauth(token, "s3cret"), connections.Trial{URL: echo}, http.StepToken, "Correct the OAuth parameters of the connection with UpdateConnection."},
		{"a token from nobody", oauth("http://127.0.0.1:1", "s3cret"), connections.Trial{URL: echo}, http.StepToken, "Could not connect to the specified endpoint."},
		{"nobody there", key("s3cret"), connections.Trial{URL: "http://127.0.0.1:1"}, http.StepDial, `"dialed":"127.0.0.1:1"`},
		{"an inner address", key("s3cret"), connections.Trial{URL: "http://10.0.0.1"}, http.StepGuard, "--allow-targets"},
		{"an expired certificate", key("s3cret"), connections.Trial{URL: expired.URL}, http.StepTLS, `"subject":"CN=hostile"`},
		{"no HTTP", key("s3cret"), connections.Trial{URL: silent.URL}, http.StepAnswer, "Check that the server speaks HTTP there"},
		{"a refusal", key("s3cret"), connections.Trial{URL: denies}, http.StepStatus, "Correct the credentials of the connection"},
		{"no URL", key("s3cret"), connections.Trial{URL: "ftp://x"}, http.StepRequest, "is not a URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.define(t, c.secrets)
			r, err := h.Test(t.Context(), scope, "c", c.trial)
			if err != nil {
				t.Fatal(err)
			}
			text := new(strings.Builder)
			e := json.NewEncoder(text)
			e.SetEscapeHTML(false)
			if err := e.Encode(r); err != nil {
				t.Fatal(err)
			}
			if r.OK != (c.failed == "") || r.Failed != c.failed || !strings.Contains(text.String(), c.says) || !r.OK && r.Reason == "" {
				t.Errorf("got %s, want the step %q to fail, and %q", text, c.failed, c.says)
			}
			for _, secret := range []string{"s3cret", "tok-1", "good", "c00kie"} {
				if strings.Contains(text.String(), secret) {
					t.Errorf("the report holds %q: %s", secret, text)
				}
			}
		})
	}
}

// TestWhatATrialCalls looks for the destination to call where none is named.
func TestWhatATrialCalls(t *testing.T) {
	h := newHouse(t)
	h.define(t, key("s3cret"))
	test := func(trial connections.Trial) error {
		_, err := h.Test(t.Context(), scope, "c", trial)
		return err
	}
	want := func(err error, kind rialto.Kind, says string) {
		t.Helper()
		if rialto.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	want(test(connections.Trial{}), rialto.Invalid, "No API destination uses connection 'c': say a url to call.")
	want(test(connections.Trial{Destination: "d"}), rialto.NotFound, "nor does any other")
	taken := new(atomic.Int64)
	url := serve(t, func(nethttp.ResponseWriter, *nethttp.Request) { taken.Add(1) })
	arn := h.lead(t, "d", url)
	for _, name := range []string{"", "d", arn} {
		if err := test(connections.Trial{Destination: name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if n := taken.Load(); n != 3 {
		t.Errorf("%d calls arrived", n)
	}
	h.lead(t, "e", url)
	want(test(connections.Trial{}), rialto.Invalid, "2 API destinations use connection 'c': say which, or a url. They are d, e.")
	want(test(connections.Trial{Destination: "f"}), rialto.NotFound, "These do: d, e.")
	want(test(connections.Trial{Destination: "d", URL: url}), rialto.Invalid, "Say either")
	want(test(connections.Trial{URL: url, Method: "TRACE"}), rialto.Invalid, `The method "TRACE" is none of`)
	_, err := h.Test(t.Context(), scope, "none", connections.Trial{})
	want(err, rialto.NotFound, "does not exist")
}

// TestARotatedKey: what an old key has sealed is sealed with the new one at the start, and says the same.
func TestARotatedKey(t *testing.T) {
	h := newHouse(t)
	h.define(t, key("s3cret"))
	authority := hostile.Expired()
	t.Cleanup(authority.Close)
	if _, err := h.SetTLS(t.Context(), scope, "c", catalog.TLSMaterial{CA: string(authority.CA)}); err != nil {
		t.Fatal(err)
	}
	h.want(t, catalog.Authorized, catalog.Authorized)
	if err := h.vault.Rotate(); err != nil {
		t.Fatal(err)
	}
	before := h.catalog.Connections.Get(catalog.NameKey(scope, "c"))
	h.run(t)
	h.want(t, catalog.Authorized)
	c := h.catalog.Connections.Get(catalog.NameKey(scope, "c"))
	if !h.vault.Old(before.Secrets) || h.vault.Old(c.Secrets) || h.vault.Old(c.TLS.Sealed) || !c.Modified.Equal(before.Modified) || !c.TLS.Given.Equal(before.TLS.Given) {
		t.Errorf("the connection was %+v, and is %+v", before, c)
	}
	if tls, err := h.TLS(scope, "c"); err != nil || len(tls.CA) != 1 {
		t.Errorf("the certificates are %+v, %v", tls, err)
	}
	echo := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.Header.Get("X-Key") != "s3cret" {
			t.Errorf("the key is %q", r.Header.Get("X-Key"))
		}
	})
	if r, err := h.Test(t.Context(), scope, "c", connections.Trial{URL: echo}); err != nil || !r.OK {
		t.Errorf("the connection does not work: %+v, %v", r, err)
	}
}
