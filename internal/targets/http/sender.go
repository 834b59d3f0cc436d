// Package http delivers events to API destinations: HTTP endpoints that need a key, a password or a token.
//
// A call is put together from the destination (endpoint and method), the target of the rule (path, headers, query) and the
// connection (authorisation, headers, query, members of the body), where the connection has the last word. Several messages make one
// call whose body is an array. What the endpoint answers matters as far as its status, and for a batch its list of failed items;
// of the rest the beginning is kept for people to see, without secrets. Neither a slow body nor an endless one costs more than a bound
// in this package, packed or not. Redirects are not followed.
//
// Tokens are got by OAuth's client credentials when a delivery needs one, shared by all of the connection, and replaced before they
// expire and when a destination refuses them. An attempt's time holds for all of it: the wait for a token, the call, and a second
// call with a new token.
//
// A connection may have an [Identity]: a certificate, and authorities of its own. Each has its own connections.
//
// Endpoints are what users type in, so that a call may only go where the [Guard] lets it: by default to public addresses. Secrets and
// tokens are in no error, neither in its message nor in its cause.
//
// Differently from AWS, connections are kept open for the next call, and an endpoint may speak plain HTTP. Start with [New].
package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"syscall"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

const defaultTimeout = 5 * time.Second // of a call, all in all (EventBridge user guide, "API destinations")

// Options tunes a Sender. The zero value is ready to use, and calls public addresses only.
type Options struct {
	Guard Guard
	Clock rialto.Clock // nil is the real one; it reads the dates of Retry-After
	TLS   *tls.Config  // nil trusts what the system trusts
}

// A Sender delivers to API destinations.
type Sender struct {
	directory Directory
	clock     rialto.Clock
	lines     *lines
	tokens    *tokens
}

var (
	_ target.Paced   = (*Sender)(nil)
	_ target.Batcher = (*Sender)(nil)
)

// New makes a Sender.
func New(directory Directory, o Options) *Sender {
	if o.Clock == nil {
		o.Clock = rialto.SystemClock
	}
	lines := newLines(o.Guard, o.TLS)
	return &Sender{directory: directory, clock: o.Clock, lines: lines, tokens: newTokens(lines, o.Clock)}
}

// Close ends the calls for tokens and closes the connections that no call uses.
func (s *Sender) Close() {
	s.tokens.close()
	s.lines.close()
}

// Authorize gets a token for a connection, unless there is one, and reports why it cannot. Deliveries use the same token.
func (s *Sender) Authorize(ctx context.Context, g *Grant) error {
	_, err := s.tokens.get(ctx, g)
	return err
}

// Pace is the invocation rate limit of the destination.
func (s *Sender) Pace(d *target.Definition) float64 {
	destination, err := s.directory.Destination(context.Background(), d.ARN)
	if err != nil {
		return 0 // the attempt will say what is wrong
	}
	return destination.Rate
}

// Send makes one call, or two if the first one's token is refused.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	d, err := s.destination(ctx, m.Definition)
	if err != nil {
		return err
	}
	c, err := newCall(d, m)
	if err != nil {
		return err
	}
	req, err := c.request(d.Method, m.Trace)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeoutOf(m.Definition), errTooLong)
	defer cancel()
	r, err := s.exchange(ctx, d, req, shownBytes)
	m.Answer = r.answer
	return err
}

// shownBytes are read of an answer that is only shown.
const shownBytes = 0

// destination looks up where a target leads. One that is not active can still be put right by its owner.
func (s *Sender) destination(ctx context.Context, def *target.Definition) (*Destination, error) {
	d, err := s.directory.Destination(ctx, def.ARN)
	if err != nil {
		return nil, lookupError(def.ARN, err)
	}
	if d.Inactive != "" {
		return nil, &target.Error{Code: target.CodeNoPermissions, Message: invoke + d.Inactive}
	}
	return &d, nil
}

func timeoutOf(def *target.Definition) time.Duration {
	if def.Timeout > 0 {
		return def.Timeout
	}
	return defaultTimeout
}

// errTooLong is why the context of an attempt ends that has used up its time.
var errTooLong net.Error = tooLongError{}

type tooLongError struct{}

func (tooLongError) Error() string   { return "the time of the attempt is over" }
func (tooLongError) Timeout() bool   { return true }
func (tooLongError) Temporary() bool { return true }

// A result is what came of an attempt that had an answer.
type result struct {
	reply
	answer target.Answer // what may be shown of the reply
}

// exchange sends a request with the authorisation of the destination, and reads at least want bytes of the answer.
func (s *Sender) exchange(ctx context.Context, d *Destination, req *nethttp.Request, want int) (result, error) {
	line, err := s.lines.of(d.TLS)
	if err != nil {
		return result{}, callError(ctx, err)
	}
	c := exchange{sender: s, to: line.calls, destination: d, want: want}
	if d.Auth.Type == OAuth {
		return c.withToken(ctx, d.Auth.Grant, req)
	}
	return c.once(ctx, req)
}

// An exchange is what the calls of one attempt have in common.
type exchange struct {
	sender      *Sender
	to          nethttp.RoundTripper
	destination *Destination
	want        int      // bytes of the answer
	tokens      []string // that were sent
}

// once makes a call.
func (c *exchange) once(ctx context.Context, req *nethttp.Request) (result, error) {
	resp, err := c.to.RoundTrip(req.WithContext(ctx)) // a client would follow redirects
	if err != nil {
		return result{}, callError(ctx, err)
	}
	defer resp.Body.Close()
	var r result
	if resp.Body == nethttp.NoBody || resp.ContentLength == 0 {
		r.reply = reply{status: resp.StatusCode, whole: true}
		r.answer = target.Answer{Status: resp.StatusCode}
	} else {
		secrets := c.destination.secrets(c.tokens...)
		r.reply = read(resp, max(c.want, secrets.Window(target.MaxAnswer)))
		r.answer = r.reply.answer(secrets)
	}
	return r, outcome(resp.StatusCode, resp.Header.Get("Retry-After"), c.sender.clock.Now())
}

// withToken makes a call with the token of a connection. Should the destination refuse the token, which may have been revoked,
// the call is made again with a new one.
func (c *exchange) withToken(ctx context.Context, g *Grant, req *nethttp.Request) (result, error) {
	tokens := c.sender.tokens
	token, err := tokens.get(ctx, g)
	if err != nil {
		return result{}, tokenError(ctx, err)
	}
	c.tokens = []string{token}
	r, err := c.once(ctx, withToken(req, token))
	if !refusesToken(r.status) {
		return r, err
	}
	fresh, tokenErr := tokens.replace(ctx, g, token)
	if tokenErr != nil {
		return r, tokenError(ctx, tokenErr)
	}
	if fresh == "" {
		return r, err
	}
	c.tokens = append(c.tokens, fresh)
	r, err = c.once(ctx, withToken(req, fresh))
	if refusesToken(r.status) {
		tokens.refusedAtOnce(g, fresh)
	}
	return r, err
}

// refusesToken reports whether AWS gets a new token after a status (EventBridge user guide, "Connections").
func refusesToken(status int) bool {
	return status == nethttp.StatusUnauthorized || status == nethttp.StatusProxyAuthRequired
}

// withToken is a request as it is sent: with the token, and with the body from its beginning.
func withToken(req *nethttp.Request, token string) *nethttp.Request {
	r := req.Clone(req.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	r.Body, _ = req.GetBody() // of a reader in memory, which never fails
	return r
}

func lookupError(arn string, err error) error {
	if rialto.KindOf(err) == rialto.NotFound {
		return &target.Error{Code: target.CodeNoResource, Message: fmt.Sprintf("API destination %s does not exist.", arn), Permanent: true, Cause: err}
	}
	return &target.Error{Code: target.CodeInternal, Message: fmt.Sprintf("API destination %s cannot be read.", arn), Cause: err}
}

// words say that there was no answer, each behind a prefix.
type words struct{ prefix, timeout, unreachable string }

// callWords are recorded on AWS.
var callWords = words{
	prefix:      invoke,
	timeout:     "Timeout calling endpoint for API Destination: socket closed.",
	unreachable: "API destination endpoint cannot be reached.",
}

// callError says what became of a call without an answer. AWS gives up on a host that does not exist (EventBridge user guide,
// "Retry policy").
func callError(ctx context.Context, err error) error {
	if cause := abandoned(ctx); cause != nil {
		return fmt.Errorf("call the endpoint: %w", cause)
	}
	e := noAnswer(err, callWords)
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		e.Permanent = true
	}
	return e
}

// tokenError says why there is no token in time.
func tokenError(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*target.Error](err); ok {
		return err
	}
	if cause := abandoned(ctx); cause != nil {
		return fmt.Errorf("get a token: %w", cause)
	}
	return noAnswer(err, authorizationWords)
}

// abandoned is why the caller has had enough before the time of the attempt was over, or nil.
func abandoned(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != errTooLong {
		return cause
	}
	return nil
}

func noAnswer(err error, w words) *target.Error {
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return &target.Error{Code: target.CodeSDKClient, Message: w.prefix + refused.Error(), Permanent: true, Cause: err}
	}
	if why := insecure(err); why != "" {
		return &target.Error{Code: target.CodeSDKClient, Message: w.prefix + w.unreachable + " " + why, Cause: causeOf(err)}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &target.Error{Code: target.CodeUnknown, Message: w.prefix + w.timeout, Cause: causeOf(err)}
	}
	return &target.Error{Code: target.CodeSDKClient, Message: w.prefix + w.unreachable, Cause: causeOf(err)}
}

// causeOf is what the log may have of an error. Errors of the network are harmless. Others quote what the other side has sent, and that
// may be what it was sent: a key, or a token.
func causeOf(err error) error {
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var number syscall.Errno
	if errors.As(err, &network) || errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &number) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errClosed) {
		return err
	}
	return errors.New("the answer is not HTTP that can be read")
}

const invoke = "Unable to invoke ApiDestination endpoint: "
