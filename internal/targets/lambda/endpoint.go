package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto/internal/redact"
	"github.com/rialto-events/rialto/target"
)

// Headers of the Invoke API (Lambda API reference, "Invoke"), and our own.
const (
	functionError  = "X-Amz-Function-Error"
	invocationType = "X-Amz-Invocation-Type"
	traceHeader    = "X-Amzn-Trace-Id"
	eventHeader    = "Rialto-Event-Id"
)

// functionsPath is where the Invoke API has its functions.
const functionsPath = "/2015-03-31/functions/"

// An endpoint is a function behind a URL.
type endpoint struct {
	url       *url.URL
	invokes   bool // it speaks the Invoke API
	headers   map[string]string
	secrets   redact.Redactor
	slots     chan struct{} // one for each invocation at once; nil is no limit
	transport http.RoundTripper
}

func newEndpoint(f Function, transport http.RoundTripper) (*endpoint, error) {
	e := &endpoint{invokes: f.InvokeURL != "", headers: f.Headers, transport: transport}
	text := f.URL + f.InvokeURL // one of which is empty
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not a URL such as http://127.0.0.1:8080", text)
	}
	e.url, e.secrets = u, redact.New(secretsOf(u, f.Headers)...)
	if f.Instances > 0 {
		e.slots = make(chan struct{}, f.Instances)
	}
	return e, nil
}

// shortestSecret is how many bytes a value has at least that is kept out of what is shown. A shorter one is none, and would tear holes
// into every answer.
const shortestSecret = 6

// secretsOf is what the operator has put into the calls of a function, which is not for those whose rules call it: headers, what is
// behind the scheme of an authorisation, user and password, and the values of the query.
func secretsOf(u *url.URL, headers map[string]string) (secrets []string) {
	add := func(values ...string) {
		for _, v := range values {
			if len(v) >= shortestSecret {
				secrets = append(secrets, v)
			}
		}
	}
	for _, value := range headers {
		_, credentials, _ := strings.Cut(value, " ")
		add(value, credentials)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		add(password, base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	for _, values := range u.Query() {
		add(values...)
	}
	return secrets
}

// place is where the function is, as far as everybody may know.
func (e *endpoint) place() string { return e.url.Scheme + "://" + e.url.Host + e.url.EscapedPath() }

// invoke makes the call. The status decides; the body is read as far as it says more.
func (e *endpoint) invoke(ctx context.Context, c *call) (result, error) {
	if e.slots != nil {
		if err := acquire(ctx, c, e.slots); err != nil {
			return result{}, err
		}
		defer func() { <-e.slots }()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errTooLong)
	defer cancel()
	resp, err := e.transport.RoundTrip(e.request(ctx, c)) // a client would follow redirects
	if err != nil {
		return result{}, e.unanswered(ctx, c, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResult+1))
	if decided := resp.StatusCode/100 == 2 && !e.invokes && !c.whole; err != nil && !decided {
		return result{}, e.unanswered(ctx, c, err)
	}
	r := result{status: resp.StatusCode, failed: resp.Header.Get(functionError), body: body, after: retryAfter(resp.Header.Get("Retry-After")),
		secrets: e.secrets}
	if e.invokes && r.failed == "" && resp.StatusCode/100 == 2 && looksFailed(body) {
		r.failed = "Unhandled" // the Runtime Interface Emulator has no header for it
	}
	if len(body) > maxResult {
		r.body = body[:maxResult]
		if c.whole || e.invokes {
			r.failed, r.kind = "Unhandled", tooLarge
		}
	}
	return r, nil
}

func (e *endpoint) request(ctx context.Context, c *call) *http.Request {
	u := *e.url
	if e.invokes && !strings.Contains(u.Path, functionsPath) {
		u.Path = strings.TrimSuffix(u.Path, "/") + functionsPath + c.name + "/invocations"
		if c.alias != "" {
			q := u.Query()
			q.Set("Qualifier", c.alias)
			u.RawQuery = q.Encode()
		}
	}
	r := (&http.Request{Method: http.MethodPost, URL: &u, Host: u.Host, Header: make(http.Header), ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(c.payload)), int64(len(c.payload))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.payload)), nil }
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "rialto")
	r.Header.Set(eventHeader, c.event)
	if c.trace != "" {
		r.Header.Set(traceHeader, c.trace)
	}
	if e.invokes {
		r.Header.Set(invocationType, "RequestResponse")
	}
	if user := u.User; user != nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	for name, value := range e.headers {
		r.Header.Set(name, value)
	}
	return r
}

// unanswered says what became of a call without an answer.
func (e *endpoint) unanswered(ctx context.Context, c *call, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTooLong), errors.Is(cause, context.DeadlineExceeded):
		return timedOut(c)
	case cause != nil:
		return abandoned(ctx)
	}
	return &target.Error{Code: target.CodeConnectionFailure, Cause: err,
		Message: fmt.Sprintf("The function %s cannot be reached at %s.", c.name, e.place())}
}

// retryAfter reads the header as far as it is seconds, which is how whatever is throttled says it.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, 24*time.Hour)
}
