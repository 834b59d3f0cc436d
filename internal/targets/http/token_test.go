package http_test

import (
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

// A tokenCase is a call for a token of testdata/tokens.txt. Its lines begin with a word; the operand begins at column 10:
//
//	grant      method and path of the authorization endpoint; a case begins with it
//	+header    a header of the connection
//	+query     a query parameter of the connection
//	+body      a body parameter of the connection
//
//	sent       method and path that the authorization server sees
//	header     a header that it sees
//	without    headers that it does not see
//	body       what it reads
type tokenCase struct {
	at      string
	grant   http.Grant
	sent    string
	headers [][2]string
	without []string
	body    *string
}

func tokenCases(t testing.TB) (cases []*tokenCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/tokens.txt")
	if err != nil {
		t.Fatal(err)
	}
	var c *tokenCase
	for line := range strings.SplitSeq(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		word, operand, _ := strings.Cut(line, " ")
		operand = strings.TrimLeft(operand, " ")
		key, value, _ := strings.Cut(operand, "=")
		name, content, _ := strings.Cut(operand, ": ")
		switch word {
		case "grant":
			c = &tokenCase{at: operand, grant: http.Grant{Connection: "arn:c", ClientID: "me", ClientSecret: "s3/cret"}}
			c.grant.Method, c.grant.Endpoint, _ = strings.Cut(operand, " ")
			cases = append(cases, c)
		case "+header":
			c.grant.Headers = append(c.grant.Headers, http.Parameter{Key: name, Value: content})
		case "+query":
			c.grant.Query = append(c.grant.Query, http.Parameter{Key: key, Value: value})
		case "+body":
			c.grant.Body = append(c.grant.Body, http.Parameter{Key: key, Value: value})
		case "sent":
			c.sent = operand
		case "header":
			c.headers = append(c.headers, [2]string{name, content})
		case "without":
			c.without = strings.Fields(operand)
		case "body":
			c.body = &operand
		default:
			t.Fatalf("tokens.txt: what is %q?", line)
		}
	}
	return cases
}

func TestCallsForTokens(t *testing.T) {
	for _, c := range tokenCases(t) {
		t.Run(c.at, func(t *testing.T) {
			server := new(endpoint)
			server.Server = httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
				server.ServeHTTP(w, r)
				io.WriteString(w, `{"access_token":"t-1","token_type":"Bearer","expires_in":3600}`)
			}))
			t.Cleanup(server.Close)
			c.grant.Endpoint = server.URL + c.grant.Endpoint
			e := newEndpoint(t)
			s := newSender(t, directory{"arn:d": withGrant(e.URL, &c.grant)}, loopback)
			if err := s.Send(t.Context(), to("arn:d")); err != nil {
				t.Fatal(err)
			}
			c.check(t, server.received()[0])
			if got := e.received()[0].header.Get("Authorization"); got != "Bearer t-1" {
				t.Errorf("the destination got the authorization %q", got)
			}
		})
	}
}

func (c *tokenCase) check(t *testing.T, got call) {
	t.Helper()
	if got.line != c.sent {
		t.Errorf("the server saw\n     %s\nwant %s", got.line, c.sent)
	}
	for _, h := range c.headers {
		if values := got.header.Values(h[0]); len(values) != 1 || values[0] != h[1] {
			t.Errorf("header %s is %q, want %q", h[0], values, h[1])
		}
	}
	for _, name := range c.without {
		if values := got.header.Values(name); len(values) != 0 {
			t.Errorf("header %s is %q, want none", name, values)
		}
	}
	if strings.HasPrefix(got.host, "evil") {
		t.Errorf("the host is %q", got.host)
	}
	if c.body != nil && string(got.body) != *c.body {
		t.Errorf("the body is\n     %s\nwant %s", got.body, *c.body)
	}
}

// withGrant is a destination of a connection with OAuth.
func withGrant(url string, g *http.Grant) http.Destination {
	return http.Destination{Endpoint: url, Method: "POST", Auth: http.Auth{Type: http.OAuth, Grant: g}}
}

// to is a message to a destination, with time enough for a machine under load.
func to(arn string) *target.Message {
	return &target.Message{Definition: &target.Definition{ARN: arn, Timeout: time.Minute}, Payload: []byte(`{}`)}
}

// answers is an authorization endpoint that always answers the same.
func answers(t testing.TB, code int, body string, header ...string) string {
	t.Helper()
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// echo answers with what it was sent, which is no HTTP.
func echo(c net.Conn) {
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	_, body, _ := strings.Cut(string(b[:n]), "\r\n\r\n")
	_, authorization, _ := strings.Cut(string(b[:n]), "Authorization: ")
	fmt.Fprintf(c, "%s%s\r\n", body, authorization)
}

// TestWordsOfFailedTokens looks at how attempts end for which there is no token. AWS's texts are not known; each must say whose fault
// it is, and none may hold a secret.
func TestWordsOfFailedTokens(t *testing.T) {
	secretEcho := `{"error":"client s3cret is not known","error_description":"s3cret"}`
	other := answers(t, 200, `{"access_token":"t-1"}`)
	cases := []struct {
		name, endpoint, code, says string
		permanent                  bool
		wait                       time.Duration
	}{
		{name: "wrong client", endpoint: answers(t, 401, `{"error":"invalid_client","error_description":"s3cret"}`), code: target.CodeNoPermissions,
			says: "the authorization endpoint of the connection gave no token for its client credentials: status 401 Unauthorized, invalid_client. Correct them with UpdateConnection."},
		{name: "wrong scope", endpoint: answers(t, 400, `{"error":"invalid_scope"}`), code: target.CodeNoPermissions, says: "400 Bad Request, invalid_scope."},
		{name: "an error of its own", endpoint: answers(t, 400, secretEcho), code: target.CodeNoPermissions, says: "400 Bad Request."},
		{name: "forbidden, in HTML", endpoint: answers(t, 403, "<html>s3cret"), code: target.CodeNoPermissions, says: "403 Forbidden."},
		{name: "down", endpoint: answers(t, 503, secretEcho, "Retry-After", "7"), code: target.CodeErrorFromTarget, wait: 7 * time.Second,
			says: "the authorization endpoint of the connection answered with status 503 Service Unavailable."},
		{name: "too many", endpoint: answers(t, 429, "", "Retry-After", "-1"), code: target.CodeErrorFromTarget, says: "429 Too Many Requests."},
		{name: "redirect", endpoint: answers(t, 307, "", "Location", other), code: target.CodeErrorFromTarget, says: "rialto does not take a secret elsewhere"},
		{name: "no JSON", endpoint: answers(t, 200, "access_token=s3cret"), code: target.CodeErrorFromTarget, says: "something else than JSON"},
		{name: "no token", endpoint: answers(t, 200, `{"token":"s3cret"}`), code: target.CodeErrorFromTarget, says: "without an access_token that can be used"},
		{name: "a token with a line break", endpoint: answers(t, 200, `{"access_token":"s3cret\r\nX-Evil: 1"}`), code: target.CodeErrorFromTarget, says: "without an access_token"},
		{name: "too long", endpoint: answers(t, 200, `{"access_token":"`+strings.Repeat("s3cret", 20_000)+`"}`), code: target.CodeErrorFromTarget, says: "more than 65536 bytes"},
		{name: "endless", endpoint: raw(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n", "s3cret") }),
			code: target.CodeErrorFromTarget, says: "more than 65536 bytes"},
		{name: "cut off", endpoint: raw(t, func(c net.Conn) {
			c.Read(make([]byte, 4096))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ns3")
		}),
			code: target.CodeSDKClient, says: "the authorization endpoint of the connection cannot be reached."},
		{name: "echo", endpoint: raw(t, echo), code: target.CodeSDKClient, says: "cannot be reached"},
		{name: "nobody there", endpoint: nobody(t), code: target.CodeSDKClient, says: "cannot be reached"},
		{name: "hangs", endpoint: raw(t, func(c net.Conn) { io.Copy(io.Discard, c) }), code: target.CodeUnknown, says: "timeout calling the authorization endpoint"},
		{name: "an inner address", endpoint: "http://169.254.169.254/token", code: target.CodeSDKClient, says: "169.254.169.254 gives out credentials", permanent: true},
		{name: "not a URL", endpoint: "ftp://s3cret", code: target.CodeInvalidParameter, says: "is not a URL", permanent: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := newEndpoint(t)
			g := &http.Grant{Connection: "arn:c", Endpoint: c.endpoint, Method: "POST", ClientID: "me", ClientSecret: "s3cret"}
			s := newSender(t, directory{"arn:d": withGrant(e.URL, g)}, loopback)
			m := to("arn:d")
			if c.name == "hangs" {
				m.Definition.Timeout = 100 * time.Millisecond
			}
			err := asTargetError(t, s.Send(t.Context(), m))
			if err.Code != c.code || err.Permanent != c.permanent || err.RetryAfter != c.wait || !strings.Contains(err.Message, c.says) {
				t.Errorf("got %#v, want %s, permanent %t, a wait of %s, and a message with %q", err, c.code, c.permanent, c.wait, c.says)
			}
			if !strings.HasPrefix(err.Message, "Unable to invoke ApiDestination endpoint: ") {
				t.Errorf("the message begins with other words than AWS's: %s", err.Message)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err.Cause, err.Message); strings.Contains(text, "s3") {
				t.Errorf("the error has the secret in it: %s", text)
			}
			if n := len(e.received()); n != 0 {
				t.Errorf("the destination was called %d times without a token", n)
			}
		})
	}
}

// TestSenderWithTokens has authorization endpoints misbehave. What is down or gone includes what the owner of a connection can still
// put right, so that little is gone for good.
func TestSenderWithTokens(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		e := newEndpoint(t)
		d := directory{}
		through := func(endpoints ...string) (all targettest.Misbehaved) {
			for _, u := range endpoints {
				arn := fmt.Sprintf("arn:%d", len(d))
				d[arn] = withGrant(e.URL, &http.Grant{Connection: arn, Endpoint: u, Method: "POST", ClientID: "me", ClientSecret: "s3cret"})
				all = append(all, &target.Definition{ARN: arn})
			}
			return all
		}
		return targettest.Subject{
			Sender:   newSender(t, d, loopback),
			Works:    through(answers(t, 200, `{"access_token":"t-1","expires_in":3600}`))[0],
			Received: e.bodies,
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: through(raw(t, func(c net.Conn) { io.Copy(io.Discard, c) })),
				targettest.Endless: through(
					raw(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n", "x") }),
					raw(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n") }),
					raw(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n", "X-Header: more\r\n") }),
					raw(t, func(c net.Conn) { endless(c, "", "HTTP/1.1 100 Continue\r\n\r\n") }),
				),
				targettest.Cuts: through(
					raw(t, func(net.Conn) {}),
					raw(t, func(c net.Conn) { c.Read(make([]byte, 4096)) }),
					raw(t, func(c net.Conn) {
						c.Read(make([]byte, 4096))
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{")
					}),
				),
				targettest.Garbage: through(raw(t, func(c net.Conn) { endless(c, "", "\x00\xff") }), answers(t, 200, "\x00\xff")),
				targettest.Down:    through(nobody(t), answers(t, 500, ""), answers(t, 429, ""), answers(t, 401, ""), answers(t, 400, "")),
				targettest.Gone:    through("http://169.254.169.254/token", "ftp://example.com/"),
			},
		}
	})
}

// TestTheTokenWins sends by a connection that also has a header for authorization.
func TestTheTokenWins(t *testing.T) {
	e := newEndpoint(t)
	d := withGrant(e.URL, &http.Grant{Endpoint: answers(t, 200, `{"access_token":"t-1"}`), Method: "POST", ClientID: "me", ClientSecret: "s3cret"})
	d.Headers = []http.Parameter{{Key: "authorization", Value: "mine"}}
	if err := newSender(t, directory{"arn:d": d}, loopback).Send(t.Context(), to("arn:d")); err != nil {
		t.Fatal(err)
	}
	if got := e.received()[0].header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer t-1" {
		t.Errorf("the authorization is %q", got)
	}
}

// TestAnEchoTellsNoSecrets calls a destination that answers with what it was sent.
func TestAnEchoTellsNoSecrets(t *testing.T) {
	g := &http.Grant{Connection: "arn:c", Endpoint: answers(t, 200, `{"access_token":"tok-1"}`), Method: "POST", ClientID: "me", ClientSecret: "s3cret"}
	s := newSender(t, directory{
		"arn:oauth": withGrant(raw(t, echo), g),
		"arn:key":   {Endpoint: raw(t, echo), Method: "POST", Auth: http.Auth{Type: http.APIKey, Name: "Authorization", Value: "tok-2"}},
	}, loopback)
	for _, arn := range []string{"arn:oauth", "arn:key"} {
		if err := s.Send(t.Context(), to(arn)); err == nil || strings.Contains(err.Error(), "tok-") || !strings.Contains(err.Error(), "can be read") {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

// FuzzTokenReply feeds answers of an authorization server to a delivery. Whatever comes, it is delivered with a token that is fit for a
// header, or fails in a way that is tried again.
func FuzzTokenReply(f *testing.F) {
	var reply atomic.Pointer[[]byte]
	auth := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.Write(*reply.Load()) }))
	f.Cleanup(auth.Close)
	e := newEndpoint(f)
	d := directory{"arn:d": withGrant(e.URL, &http.Grant{Endpoint: auth.URL, Method: "POST", ClientID: "me", ClientSecret: "s3cret"})}
	for _, seed := range []string{`{"access_token":"a","expires_in":3600}`, `{"access_token":"a","expires_in":"12"}`, `{"access_token":"a b"}`,
		`{"access_token":"a","expires_in":1e999}`, `{"access_token":["a"]}`, `[]`, `null`, `{"access_token":"é"}`, `{"access_token":"a","expires_in":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		reply.Store(&body)
		s := http.New(d, loopback)
		defer s.Close()
		if err := s.Send(t.Context(), to("arn:d")); target.Permanent(err) {
			t.Errorf("%q: %v", body, err)
		}
	})
}
