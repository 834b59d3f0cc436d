package http_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
)

// A callCase is a call of testdata/calls.txt. Its lines begin with a word; the operand begins at column 10:
//
//	event      the event for the cases that follow (at column 6)
//	call       method and path of the endpoint; a case begins with it
//	path       a path parameter of the target
//	query      a query parameter of the target, and of the connection with a + in front
//	header-    a header of the target; of the connection it is +header
//	+body      a body parameter of the connection
//	auth       type, name and value of the authorization
//	payload    what the target's input made of the event; {} if not given
//	trace      the trace header of the event
//
//	sent       method and path that the endpoint sees
//	header     a header that it sees
//	without    headers that it does not see
//	body       what it reads
//	fails      error code, and the message after AWS's words, of a permanent error; nothing is sent
type callCase struct {
	at          string
	destination http.Destination
	message     target.Message
	sent        string
	headers     [][2]string
	without     []string
	body        *string
	fails       string
}

func callCases(t testing.TB) (cases []*callCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/calls.txt")
	if err != nil {
		t.Fatal(err)
	}
	var event string
	var c *callCase
	for line := range strings.SplitSeq(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		word, operand, _ := strings.Cut(line, " ")
		operand = strings.TrimLeft(operand, " ")
		key, value, _ := strings.Cut(operand, "=")
		name, content, _ := strings.Cut(operand, ": ")
		switch word {
		case "event":
			event = operand
		case "call":
			c = &callCase{at: operand}
			c.destination.Method, c.destination.Endpoint, _ = strings.Cut(operand, " ")
			c.message.Event, c.message.Payload = []byte(event), []byte("{}")
			c.message.Definition = &target.Definition{HTTP: &target.HTTP{Headers: map[string]string{}, Query: map[string]string{}}}
			cases = append(cases, c)
		case "path":
			c.message.Definition.HTTP.PathParameters = append(c.message.Definition.HTTP.PathParameters, operand)
		case "query":
			c.message.Definition.HTTP.Query[key] = value
		case "+query":
			c.destination.Query = append(c.destination.Query, http.Parameter{Key: key, Value: value})
		case "header-":
			c.message.Definition.HTTP.Headers[name] = content
		case "+header":
			c.destination.Headers = append(c.destination.Headers, http.Parameter{Key: name, Value: content})
		case "+body":
			c.destination.Body = append(c.destination.Body, http.Parameter{Key: key, Value: value})
		case "auth":
			kind, secret, _ := strings.Cut(operand, " ")
			user, password, _ := strings.Cut(secret, ":")
			c.destination.Auth = http.Auth{Type: http.AuthType(kind), Name: user, Value: password}
		case "payload":
			c.message.Payload = []byte(operand)
		case "trace":
			c.message.Trace = operand
		case "sent":
			c.sent = operand
		case "header":
			c.headers = append(c.headers, [2]string{name, content})
		case "without":
			c.without = strings.Fields(operand)
		case "body":
			c.body = &operand
		case "fails":
			c.fails = operand
		default:
			t.Fatalf("calls.txt: what is %q?", line)
		}
	}
	return cases
}

func TestCalls(t *testing.T) {
	for _, c := range callCases(t) {
		t.Run(c.at, func(t *testing.T) { c.run(t) })
	}
}

func (c *callCase) run(t *testing.T) {
	e := newEndpoint(t)
	c.destination.Endpoint = e.URL + c.destination.Endpoint
	s := newSender(t, directory{"arn:d": c.destination}, loopback)
	c.message.Definition.ARN = "arn:d"
	err := s.Send(t.Context(), &c.message)
	if c.fails != "" {
		c.wantFailure(t, err)
		if got := e.received(); len(got) != 0 {
			t.Errorf("the endpoint was called: %s", got[0].line)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got := e.received()[0]
	if got.line != c.sent {
		t.Errorf("the endpoint saw\n     %s\nwant %s", got.line, c.sent)
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
	if "http://"+got.host != e.URL {
		t.Errorf("the host is %q", got.host)
	}
	if c.body != nil && string(got.body) != *c.body {
		t.Errorf("the body is\n     %s\nwant %s", got.body, *c.body)
	}
}

func (c *callCase) wantFailure(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*target.Error](err)
	if !ok || !e.Permanent {
		t.Fatalf("got %v, want a permanent error", err)
	}
	code, message, _ := strings.Cut(c.fails, " ")
	if want := "Unable to invoke ApiDestination endpoint: " + message; e.Code != code || e.Message != want {
		t.Errorf("got  %s %s\nwant %s %s", e.Code, e.Message, code, want)
	}
}
