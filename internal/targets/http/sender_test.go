package http_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

// A directory knows destinations by ARN.
type directory map[string]http.Destination

func (d directory) Destination(_ context.Context, arn string) (http.Destination, error) {
	if arn == "arn:locked" {
		return http.Destination{}, errors.New("the vault is locked")
	}
	destination, ok := d[arn]
	if !ok {
		return http.Destination{}, rialto.Errorf(rialto.NotFound, "no such destination")
	}
	return destination, nil
}

var loopback = http.Options{Guard: http.Guard{Allow: http.Loopback}}

func newSender(t testing.TB, d directory, o http.Options) *http.Sender {
	t.Helper()
	s := http.New(d, o)
	t.Cleanup(s.Close)
	return s
}

// An endpoint records what it receives.
type endpoint struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
}

type call struct {
	line   string // method and path, as they were sent
	host   string
	header nethttp.Header
	body   []byte
}

func newEndpoint(t testing.TB) *endpoint {
	t.Helper()
	e := new(endpoint)
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(_ nethttp.ResponseWriter, r *nethttp.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, call{r.Method + " " + r.RequestURI, r.Host, r.Header, body})
}

func (e *endpoint) received() []call {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

// bodies are the payloads of all calls, those of a batch one by one.
func (e *endpoint) bodies() (bodies [][]byte) {
	for _, c := range e.received() {
		bodies = append(bodies, itemsOf(c.body)...)
	}
	return bodies
}

// itemsOf takes a batch of objects apart, as whoever receives one does.
func itemsOf(body []byte) (items [][]byte) {
	var list []json.RawMessage
	if !bytes.HasPrefix(body, []byte("[{")) || json.Unmarshal(body, &list) != nil {
		return [][]byte{body}
	}
	for _, item := range list {
		items = append(items, item)
	}
	return items
}

// picky is an endpoint that refuses some of a batch.
func picky(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, _ := io.ReadAll(r.Body)
		var failures []string
		for _, item := range itemsOf(body) {
			var payload struct{ ID string }
			if err := json.Unmarshal(item, &payload); err == nil && targettest.Refused(item) {
				failures = append(failures, fmt.Sprintf(`{"itemIdentifier":"%s"}`, payload.ID))
			}
		}
		fmt.Fprintf(w, `{"batchItemFailures":[%s]}`, strings.Join(failures, ","))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// raw serves each connection with a function, for what no HTTP server would do.
func raw(t testing.TB, serve func(c net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			open.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		open.Wait()
	})
	return "http://" + l.Addr().String()
}

// endless writes until the other side has gone.
func endless(c net.Conn, head, more string) {
	c.Read(make([]byte, 4096))
	block := bytes.Repeat([]byte(more), 4096/len(more))
	for _, err := io.WriteString(c, head); err == nil; _, err = c.Write(block) {
	}
}

// status is an endpoint that always gives one answer.
func status(t testing.TB, code int, header ...string) string {
	t.Helper()
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// nobody is an endpoint where nobody listens any more.
func nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestSender(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		e := newEndpoint(t)
		d := directory{"arn:works": {Endpoint: e.URL, Method: "POST"}}
		faulty := func(urls ...string) (all targettest.Misbehaved) {
			for _, u := range urls {
				arn := fmt.Sprintf("arn:%d", len(d))
				d[arn] = http.Destination{Endpoint: u, Method: "POST"}
				all = append(all, &target.Definition{ARN: arn})
			}
			return all
		}
		return targettest.Subject{
			Sender:   newSender(t, d, loopback),
			Works:    &target.Definition{ARN: "arn:works"},
			Received: e.bodies,
			Partly:   faulty(picky(t))[0],
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: faulty(raw(t, func(c net.Conn) { io.Copy(io.Discard, c) })),
				targettest.Endless: faulty(
					raw(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n", "x") }),
					raw(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n") }),
					raw(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n", "X-Header: more\r\n") }),
					raw(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nX-Header: ", "x") }),
					raw(t, func(c net.Conn) { endless(c, "", "HTTP/1.1 100 Continue\r\n\r\n") }),
				),
				targettest.Cuts: faulty(
					raw(t, func(net.Conn) {}),
					raw(t, func(c net.Conn) { c.Read(make([]byte, 4096)) }),
					raw(t, func(c net.Conn) { c.Read(make([]byte, 4096)); io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-") }),
				),
				targettest.Garbage: faulty(
					raw(t, func(c net.Conn) { io.WriteString(c, "220 smtp.example ESMTP\r\n"); c.Read(make([]byte, 4096)) }),
					raw(t, func(c net.Conn) { endless(c, "", "\x00\xff") }),
				),
				targettest.Down: faulty(nobody(t), status(t, 500), status(t, 503), status(t, 429), status(t, 401)),
				targettest.Gone: append(faulty(status(t, 404), status(t, 400), status(t, 301)), &target.Definition{ARN: "arn:none"}),
			},
		}
	})
}

// send makes one call to an endpoint and returns how it ended.
func send(t *testing.T, url string, o http.Options) error {
	t.Helper()
	s := newSender(t, directory{"arn:d": {Endpoint: url, Method: "POST"}}, o)
	return s.Send(t.Context(), &target.Message{Definition: &target.Definition{ARN: "arn:d"}, Payload: []byte(`{}`)})
}

func asTargetError(t *testing.T, err error) *target.Error {
	t.Helper()
	e, ok := errors.AsType[*target.Error](err)
	if !ok {
		t.Fatalf("got %#v, want a target error", err)
	}
	return e
}

func TestStatus(t *testing.T) {
	retry := map[int]bool{401: true, 407: true, 409: true, 429: true} // and every 5xx (EventBridge user guide, "API destinations")
	for _, code := range []int{200, 201, 202, 204, 226, 300, 301, 302, 304, 307, 400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413,
		422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 599} {
		err := send(t, status(t, code, "Location", "/elsewhere"), loopback)
		if code < 300 {
			if err != nil {
				t.Errorf("%d: %v", code, err)
			}
			continue
		}
		e := asTargetError(t, err)
		if e.Code != target.CodeErrorFromTarget || e.Permanent == (retry[code] || code >= 500) {
			t.Errorf("%d: code %s, permanent %t", code, e.Code, e.Permanent)
		}
		if !strings.Contains(e.Message, fmt.Sprintf(" %d", code)) {
			t.Errorf("%d: the message is %q", code, e.Message)
		}
	}
}

func TestSwitchingProtocolsIsNoSuccess(t *testing.T) {
	url := raw(t, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
	})
	if err := send(t, url, loopback); !target.Permanent(err) {
		t.Errorf("got %v", err)
	}
}

type fixedClock struct{ rialto.Clock }

func (fixedClock) Now() time.Time { return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC) }

func TestRetryAfter(t *testing.T) {
	cases := []struct {
		status    int
		header    string
		wait      time.Duration
		permanent bool
	}{
		{503, "", 0, false},
		{503, "0", 0, false},
		{503, "120", 2 * time.Minute, false},
		{429, " 7 ", 7 * time.Second, false},
		{503, "Sun, 01 Mar 2026 10:01:30 GMT", 90 * time.Second, false},
		{503, "Sun, 01 Mar 2026 09:00:00 GMT", 0, false}, // has passed
		{503, "-1", 0, true},                             // stops retrying
		{503, "-99999999999999999999", 0, true},
		{503, "99999999999999999999", 24 * time.Hour, false},
		{503, "Fri, 01 Jan 2100 00:00:00 GMT", 24 * time.Hour, false},
		{503, "soon", 0, false},
		{503, "1.5", 0, false},
		{404, "120", 0, true}, // only for statuses that are tried again
	}
	o := loopback
	o.Clock = fixedClock{}
	for _, c := range cases {
		e := asTargetError(t, send(t, status(t, c.status, "Retry-After", c.header), o))
		if e.RetryAfter != c.wait || e.Permanent != c.permanent {
			t.Errorf("%d with %q: wait %v, permanent %t; want %v, %t", c.status, c.header, e.RetryAfter, e.Permanent, c.wait, c.permanent)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := newEndpoint(t)
	if err := send(t, status(t, 307, "Location", elsewhere.URL), loopback); !target.Permanent(err) {
		t.Errorf("got %v", err)
	}
	if n := len(elsewhere.received()); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// TestWordsOfFailures holds the codes and texts that are recorded on AWS.
func TestWordsOfFailures(t *testing.T) {
	e := asTargetError(t, send(t, nobody(t), loopback))
	if e.Code != "SDK_CLIENT_ERROR" || e.Message != "Unable to invoke ApiDestination endpoint: API destination endpoint cannot be reached." || e.Permanent {
		t.Errorf("nobody there: %#v", e)
	}

	hanging := raw(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	s := newSender(t, directory{"arn:d": {Endpoint: hanging, Method: "POST"}}, loopback)
	m := &target.Message{Definition: &target.Definition{ARN: "arn:d", Timeout: 50 * time.Millisecond}}
	e = asTargetError(t, s.Send(t.Context(), m))
	if e.Code != "UNKNOWN" || e.Message != "Unable to invoke ApiDestination endpoint: Timeout calling endpoint for API Destination: socket closed." || e.Permanent {
		t.Errorf("no answer: %#v", e)
	}

	e = asTargetError(t, s.Send(t.Context(), &target.Message{Definition: &target.Definition{ARN: "arn:none"}}))
	if e.Code != "NO_RESOURCE" || e.Message != "API destination arn:none does not exist." || !e.Permanent {
		t.Errorf("no destination: %#v", e)
	}
	e = asTargetError(t, s.Send(t.Context(), &target.Message{Definition: &target.Definition{ARN: "arn:locked"}}))
	if e.Code != "INTERNAL_ERROR" || e.Permanent {
		t.Errorf("no secrets: %#v", e)
	}
}

func TestAHostThatDoesNotExistIsPermanent(t *testing.T) {
	// .invalid never resolves (RFC 6761); where no name server answers at all, the error is one to try again.
	e := asTargetError(t, send(t, "https://host.invalid/", http.Options{}))
	dns, ok := errors.AsType[*net.DNSError](e)
	if !ok {
		t.Fatalf("got %v", e)
	}
	if e.Permanent != dns.IsNotFound {
		t.Errorf("host not found is %t, permanent %t", dns.IsNotFound, e.Permanent)
	}
}

func TestBadEndpoints(t *testing.T) {
	for _, endpoint := range []string{"", "https://", "ftp://example.com/", "https://a b/", "https://example.com/%zz", "file:///etc/passwd"} {
		if e := asTargetError(t, send(t, endpoint, loopback)); e.Code != target.CodeInvalidParameter || !e.Permanent {
			t.Errorf("%q: %v", endpoint, e)
		}
	}
}

func TestAnInactiveDestinationIsTriedAgain(t *testing.T) {
	s := newSender(t, directory{"arn:d": {Inactive: "The connection is not authorized."}}, loopback)
	e := asTargetError(t, s.Send(t.Context(), &target.Message{Definition: &target.Definition{ARN: "arn:d"}}))
	if e.Permanent || !strings.HasSuffix(e.Message, "The connection is not authorized.") {
		t.Errorf("got %#v", e)
	}
}

func TestPace(t *testing.T) {
	s := newSender(t, directory{"arn:slow": {Rate: 3}, "arn:fast": {}}, loopback)
	for arn, want := range map[string]float64{"arn:slow": 3, "arn:fast": 0, "arn:none": 0} {
		if got := s.Pace(&target.Definition{ARN: arn}); got != want {
			t.Errorf("%s: %v, want %v", arn, got, want)
		}
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var mu sync.Mutex
	opened := 0
	e := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { io.WriteString(w, "thanks") }))
	e.Config.ConnState = func(_ net.Conn, s nethttp.ConnState) {
		if s == nethttp.StateNew {
			mu.Lock()
			opened++
			mu.Unlock()
		}
	}
	e.Start()
	t.Cleanup(e.Close)
	s := newSender(t, directory{"arn:d": {Endpoint: e.URL, Method: "POST"}}, loopback)
	for range 20 {
		if err := s.Send(t.Context(), &target.Message{Definition: &target.Definition{ARN: "arn:d"}, Payload: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if opened != 1 {
		t.Errorf("20 calls opened %d connections", opened)
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	d := http.Destination{
		Endpoint: nobody(t), Method: "POST",
		Auth:    http.Auth{Type: http.APIKey, Name: "X-Key", Value: "hunter2"},
		Headers: []http.Parameter{{Key: "X-Other", Value: "hunter2"}},
		Query:   []http.Parameter{{Key: "token", Value: "hunter2"}},
	}
	bad := d
	bad.Auth.Value = "hunter2\n"
	s := newSender(t, directory{"arn:d": d, "arn:bad": bad}, loopback)
	for _, arn := range []string{"arn:d", "arn:bad"} {
		err := s.Send(t.Context(), &target.Message{Definition: &target.Definition{ARN: arn}})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

// FuzzCall feeds hostile events to a call that takes path, query and header from them. Whatever comes, the call goes to the endpoint's
// path below its own prefix, or is refused for good.
func FuzzCall(f *testing.F) {
	e := newEndpoint(f)
	s := newSender(f, directory{"arn:d": {
		Endpoint: e.URL + "/prefix/*/end?own=1", Method: "POST", Body: []http.Parameter{{Key: "k", Value: "v"}},
	}}, loopback)
	def := &target.Definition{ARN: "arn:d", HTTP: &target.HTTP{
		PathParameters: []string{"$.a"}, Query: map[string]string{"q": "$.a"}, Headers: map[string]string{"X-A": "$.a"},
	}}
	for _, c := range callCases(f) {
		f.Add(c.message.Event, c.message.Payload)
	}
	f.Add([]byte(`{"a":"../../x"}`), []byte(`{}`))
	f.Add([]byte(`{"a":"a\r\nb: c"}`), []byte(`{"a":1}`))
	f.Add([]byte(`{"a":"%2e%2e"}`), []byte(`{`))
	f.Fuzz(func(t *testing.T, event, payload []byte) {
		e.mu.Lock()
		e.calls = nil
		e.mu.Unlock()
		err := s.Send(t.Context(), &target.Message{Definition: def, Event: event, Payload: payload})
		if err != nil {
			if !target.Permanent(err) {
				t.Errorf("event %q: %v", event, err)
			}
			return
		}
		line := e.received()[0].line
		path, _, _ := strings.Cut(strings.TrimPrefix(line, "POST "), "?")
		if !strings.HasPrefix(path, "/prefix/") || !strings.HasSuffix(path, "/end") || strings.Count(path, "/") != 3 || strings.Contains(path, "/../") {
			t.Errorf("event %q: the call went to %s", event, line)
		}
	})
}
