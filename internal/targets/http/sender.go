// Package http delivers events to API destinations: HTTP endpoints that need a key or a password.
//
// A call is put together from the destination (endpoint and method), the target of the rule (path, headers, query) and the
// connection (authorisation, headers, query, members of the body), where the connection has the last word. What the endpoint answers
// matters only as far as its status: the body is thrown away, and neither a slow nor an endless one costs more than a bound in
// [Options] or in this package. Redirects are not followed.
//
// Endpoints are what users type in, so that a call may only go where the [Guard] lets it: by default to public addresses.
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
}

var _ target.Paced = (*Sender)(nil)

// New makes a Sender.
func New(directory Directory, o Options) *Sender {
	if o.Clock == nil {
		o.Clock = rialto.SystemClock
	}
	// The transport dials on when the call that needed the connection has ended, so that dialling needs a bound of its own.
	dialer := net.Dialer{Timeout: defaultTimeout, Control: o.Guard.control}
	return &Sender{
		directory: directory,
		clock:     o.Clock,
		transport: &nethttp.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        o.TLS,
			TLSHandshakeTimeout:    defaultTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // nobody reads the answer
			MaxConnsPerHost:        maxConnsPerHost,
			MaxIdleConnsPerHost:    maxIdleConnsPerHost,
			MaxIdleConns:           maxIdleConns,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxResponseHeader,
		},
	}
}

// Close closes the connections that no call uses.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// Pace is the invocation rate limit of the destination.
func (s *Sender) Pace(d *target.Definition) float64 {
	destination, err := s.directory.Destination(context.Background(), d.ARN)
	if err != nil {
		return 0 // the attempt will say what is wrong
	}
	return destination.Rate
}

// Send makes one call.
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
	call, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := s.transport.RoundTrip(req.WithContext(call)) // a client would follow redirects
	if err != nil {
		return callError(ctx, err)
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, maxResponseBody) // whether it comes to an end changes nothing: the status has decided
	return outcome(resp.StatusCode, resp.Header.Get("Retry-After"), s.clock.Now())
}

func lookupError(arn string, err error) error {
	if rialto.KindOf(err) == rialto.NotFound {
		return &target.Error{Code: target.CodeNoResource, Message: fmt.Sprintf("API destination %s does not exist.", arn), Permanent: true, Cause: err}
	}
	return &target.Error{Code: target.CodeInternal, Message: fmt.Sprintf("API destination %s cannot be read.", arn), Cause: err}
}

// callError says what became of a call without an answer. The texts are recorded on AWS; what is worth another attempt is documented
// (EventBridge user guide, "Retry policy").
func callError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("call the endpoint: %w", context.Cause(ctx)) // the caller has had enough, and knows why
	}
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return &target.Error{Code: target.CodeSDKClient, Message: invoke + refused.Error(), Permanent: true, Cause: err}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &target.Error{Code: target.CodeUnknown, Message: invoke + "Timeout calling endpoint for API Destination: socket closed.", Cause: err}
	}
	dns, ok := errors.AsType[*net.DNSError](err)
	return &target.Error{
		Code:      target.CodeSDKClient,
		Message:   invoke + "API destination endpoint cannot be reached.",
		Permanent: ok && dns.IsNotFound,
		Cause:     err,
	}
}

const invoke = "Unable to invoke ApiDestination endpoint: "
