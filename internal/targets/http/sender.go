// Package http delivers events to API destinations: HTTP endpoints that need a key, a password or a token.
//
// A call is put together from the destination (endpoint and method), the target of the rule (path, headers, query) and the
// connection (authorisation, headers, query, members of the body), where the connection has the last word. What the endpoint answers
// matters only as far as its status: the body is thrown away, and neither a slow nor an endless one costs more than a bound in
// [Options] or in this package. Redirects are not followed.
//
// Tokens are got by OAuth's client credentials when a delivery needs one, shared by all of the connection, and replaced before they
// expire and when a destination refuses them. An attempt's time holds for all of it: the wait for a token, the call, and a second
// call with a new token.
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

const (
	defaultTimeout = 5 * time.Second // of a call, all in all (EventBridge user guide, "API destinations")

	// Connections of one host. How many calls are under way is up to the caller's window for each destination; these bounds keep
	// many destinations on one host from eating up the file descriptors.
	maxConnsPerHost     = 512
	maxIdleConnsPerHost = 64
	maxIdleConns        = 512
	idleTimeout         = 90 * time.Second

	maxResponseHeader = 64 << 10 // bytes; enough for anything but an attack
	maxResponseBody   = 64 << 10 // bytes that are read so that the connection can be used again; more costs a new one
)

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
	transport *nethttp.Transport
	tokens    *tokens
}

var _ target.Paced = (*Sender)(nil)

// New makes a Sender.
func New(directory Directory, o Options) *Sender {
	if o.Clock == nil {
		o.Clock = rialto.SystemClock
	}
	transport := &nethttp.Transport{
		DialContext:            o.Guard.dial,
		TLSClientConfig:        o.TLS,
		TLSHandshakeTimeout:    defaultTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // nobody reads the answer
		MaxConnsPerHost:        maxConnsPerHost,
		MaxIdleConnsPerHost:    maxIdleConnsPerHost,
		MaxIdleConns:           maxIdleConns,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
	// Calls for tokens have connections of their own: they never queue behind deliveries that hang on the same host.
	return &Sender{directory: directory, clock: o.Clock, transport: transport, tokens: newTokens(transport.Clone(), o.Clock)}
}

// Close ends the calls for tokens and closes the connections that no call uses.
func (s *Sender) Close() {
	s.tokens.close()
	s.transport.CloseIdleConnections()
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
	d, err := s.directory.Destination(ctx, m.Definition.ARN)
	if err != nil {
		return lookupError(m.Definition.ARN, err)
	}
	req, err := newRequest(d, m)
	if err != nil {
		return err
	}
	timeout := m.Definition.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTooLong)
	defer cancel()
	if d.Auth.Type == OAuth {
		return s.callWithToken(ctx, d.Auth.Grant, req)
	}
	_, err = s.call(ctx, req)
	return err
}

// errTooLong is why the context of an attempt ends that has used up its time.
var errTooLong net.Error = tooLongError{}

type tooLongError struct{}

func (tooLongError) Error() string   { return "the time of the attempt is over" }
func (tooLongError) Timeout() bool   { return true }
func (tooLongError) Temporary() bool { return true }

// call makes a call, and returns the status of the answer.
func (s *Sender) call(ctx context.Context, req *nethttp.Request) (status int, err error) {
	resp, err := s.transport.RoundTrip(req.WithContext(ctx)) // a client would follow redirects
	if err != nil {
		return 0, callError(ctx, err)
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, maxResponseBody) // whether it comes to an end changes nothing: the status has decided
	return resp.StatusCode, outcome(resp.StatusCode, resp.Header.Get("Retry-After"), s.clock.Now())
}

// callWithToken makes a call with the token of a connection. Should the destination refuse the token, which may have been revoked,
// the call is made again with a new one.
func (s *Sender) callWithToken(ctx context.Context, g *Grant, req *nethttp.Request) error {
	token, err := s.tokens.get(ctx, g)
	if err != nil {
		return tokenError(ctx, err)
	}
	status, err := s.call(ctx, withToken(req, token))
	if !refusesToken(status) {
		return err
	}
	fresh, tokenErr := s.tokens.replace(ctx, g, token)
	if tokenErr != nil {
		return tokenError(ctx, tokenErr)
	}
	if fresh == "" {
		return err
	}
	status, err = s.call(ctx, withToken(req, fresh))
	if refusesToken(status) {
		s.tokens.refusedAtOnce(g, fresh)
	}
	return err
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

// words say that there was no answer.
type words struct{ timeout, unreachable string }

// callWords are recorded on AWS.
var callWords = words{
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
		return &target.Error{Code: target.CodeSDKClient, Message: invoke + refused.Error(), Permanent: true, Cause: err}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &target.Error{Code: target.CodeUnknown, Message: invoke + w.timeout, Cause: causeOf(err)}
	}
	return &target.Error{Code: target.CodeSDKClient, Message: invoke + w.unreachable, Cause: causeOf(err)}
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
