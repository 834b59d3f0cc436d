package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/cloudevents"
	"github.com/rialto-events/rialto/internal/redact"
	"github.com/rialto-events/rialto/target"
)

const (
	defaultTimeout = 10 * time.Second // of one call; what takes an event answers in milliseconds
	gatewayTimeout = 5 * time.Second  // of API Gateway (EventBridge user guide, "API Gateway targets")

	maxConnsPerHost     = 256
	maxIdleConnsPerHost = 64
	idleTimeout         = 60 * time.Second

	maxHeader = 64 << 10  // bytes of an answer's header
	maxAnswer = 512 << 10 // bytes of an answer that are read: those of 500 records have some hundred each
)

// Options tunes a Sender. The zero value is ready to use.
type Options struct {
	Clock     rialto.Clock    // nil is the real one
	Transport *http.Transport // nil is one of the Sender's own

	// OwnOnly keeps rules to resources of their own account, unless a remote names theirs among its callers. It is for servers that tell
	// accounts from each other: otherwise everybody could use the remote's credentials.
	OwnOnly bool
}

// A Sender delivers to remotes.
type Sender struct {
	places    []*place
	clock     rialto.Clock
	transport *http.Transport
	signer    *v4.Signer
	ownOnly   bool
}

var _ target.Batcher = (*Sender)(nil)

// New makes a Sender. The remotes must have passed [Remote.Check].
func New(remotes []Remote, o Options) *Sender {
	if o.Clock == nil {
		o.Clock = rialto.SystemClock
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableCompression: true, TLSHandshakeTimeout: defaultTimeout,
			MaxConnsPerHost: maxConnsPerHost, MaxIdleConnsPerHost: maxIdleConnsPerHost, IdleConnTimeout: idleTimeout,
			MaxResponseHeaderBytes: maxHeader,
		}
	}
	s := &Sender{clock: o.Clock, transport: o.Transport, signer: v4.NewSigner(), ownOnly: o.OwnOnly}
	for _, r := range remotes {
		p := &place{Remote: r}
		p.load = p.sharedConfig
		s.places = append(s.places, p)
	}
	return s
}

// Close closes the connections that no call uses.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// Claims reports whether a remote stands for a resource.
func (s *Sender) Claims(arn rialto.ARN) bool { return s.placeOf(arn) != nil }

func (s *Sender) placeOf(arn rialto.ARN) *place {
	for _, p := range s.places {
		if p.claims(arn) {
			return p
		}
	}
	return nil
}

// Send makes one call for one message.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	c, err := s.callFor(m.Definition)
	if err != nil {
		return err
	}
	if c.kind.one == nil {
		return s.sendMany(ctx, c, []*target.Message{m})[0]
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	sent, err := formatted([]*target.Message{m})
	if err != nil {
		return err
	}
	req, err := c.kind.one(c, sent[0])
	if err != nil {
		return err
	}
	a, err := s.call(ctx, c, req)
	if err != nil {
		return err
	}
	m.Answer = a.shown()
	if f := a.failure(c.kind); f != nil {
		return f.outcome(c.kind)
	}
	return nil
}

// SendBatch makes one call for all messages, if the service has one that takes several; otherwise one for each.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	errs := make([]error, len(ms))
	if len(ms) == 0 {
		return errs
	}
	c, err := s.callFor(ms[0].Definition)
	if err != nil {
		return slices.Repeat([]error{err}, len(ms))
	}
	order := make([]int, len(ms)) // in which they are sent
	for i := range order {
		order[i] = i
	}
	many := c.kind.many
	if many != nil && many.order != nil {
		slices.SortStableFunc(order, func(a, b int) int { return many.order(ms[a], ms[b]) })
	}
	sorted := make([]*target.Message, len(ms))
	for i, from := range order {
		sorted[i] = ms[from]
	}
	if len(ms) == 1 || many == nil || many.apart != nil && many.apart(sorted) {
		for i, m := range ms {
			errs[i] = s.Send(ctx, m)
		}
		return errs
	}
	for i, err := range s.sendMany(ctx, c, sorted) {
		errs[order[i]] = err
	}
	return errs
}

func (s *Sender) sendMany(ctx context.Context, c *call, ms []*target.Message) []error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	all := func(err error) []error { return slices.Repeat([]error{err}, len(ms)) }
	sent, err := formatted(ms)
	if err != nil {
		return all(err)
	}
	req, err := c.kind.many.request(c, sent)
	if err != nil {
		return all(err)
	}
	a, err := s.callPrepared(ctx, c, req, ms[0])
	if err != nil {
		return all(err)
	}
	for _, m := range ms {
		m.Answer = a.shown()
	}
	if f := a.refusal(); f != nil {
		return all(f.outcome(c.kind))
	}
	if len(a.body) > maxAnswer {
		return all(a.rubbish(c.kind))
	}
	failures, ok := c.kind.many.results(a.body, len(ms))
	if !ok {
		return all(a.rubbish(c.kind))
	}
	errs := make([]error, len(ms))
	for i, f := range failures {
		if f == nil {
			continue
		}
		f.requestID = a.requestID()
		if len(ms) > 1 {
			ms[i].Answer = target.Answer{Status: f.status, Head: cut(f.code + ": " + f.message)}
		}
		errs[i] = f.outcome(c.kind)
	}
	return errs
}

// formatted is the messages as they are sent: in the format that the rule asks for.
func formatted(ms []*target.Message) ([]*target.Message, error) {
	switch ms[0].Definition.Format {
	case "":
		return ms, nil
	case target.CloudEventsStructured:
	default:
		return nil, invalid("Of the formats of CloudEvents, services of AWS get %s alone.", target.CloudEventsStructured)
	}
	sent := make([]*target.Message, len(ms))
	for i, m := range ms {
		e, err := cloudevents.ForMessage(m)
		if err != nil {
			return nil, invalid("%v", err)
		}
		document := *m
		document.Payload = e.AppendStructured(nil)
		sent[i] = &document
	}
	return sent, nil
}

// Most is what the service takes in one call.
func (s *Sender) Most(d *target.Definition) (messages, size int) {
	c, err := s.callFor(d)
	if err != nil || c.kind.many == nil {
		return 1, 0
	}
	return c.kind.many.messages, c.kind.many.bytes
}

// A call is what is known before a request is written.
type call struct {
	*place
	kind   *kind
	arn    rialto.ARN
	region string // that is spoken to
	d      *target.Definition
}

// callFor finds out where a target is and what it is.
func (s *Sender) callFor(d *target.Definition) (*call, error) {
	arn, err := rialto.ParseARN(d.ARN)
	if err != nil {
		return nil, invalid("%q is not an ARN.", d.ARN)
	}
	p := s.placeOf(arn)
	if p == nil {
		return nil, Unclaimed(arn)
	}
	if s.ownOnly && !p.admits(d.Rule.Account, arn) {
		return nil, &target.Error{Code: target.CodeNoPermissions, Permanent: true,
			Message: fmt.Sprintf("The account %s has no use of the remote %s for %s. Whoever runs this server can name it among the remote's callers.", d.Rule.Account, p.Name, arn)}
	}
	k := kindOf(arn)
	if k == nil {
		return nil, &target.Error{Code: target.CodeNoResource, Permanent: true,
			Message: fmt.Sprintf("rialto does not know how to call %s.", arn)}
	}
	region := p.Region
	for _, r := range []rialto.Region{arn.Region, d.Rule.Region, rialto.DefaultRegion} {
		if region == "" {
			region = r
		}
	}
	return &call{place: p, kind: k, arn: arn, region: string(region), d: d}, nil
}

// Unclaimed is the error of a target that no remote claims.
func Unclaimed(arn rialto.ARN) error {
	return &target.Error{Code: target.CodeNoResource, Permanent: true, Message: fmt.Sprintf("rialto does not serve %s itself, and no remote claims %s. "+
		"To deliver it to a real account or another emulator, add one under \"remotes\" in the file of settings: name: %s, accounts: [%q], services: [%s].",
		arn.Service, arn, arn.Service, arn.Account, arn.Service)}
}

func invalid(format string, args ...any) error {
	return &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Message: fmt.Sprintf(format, args...)}
}

// within bounds the time of an attempt.
func (c *call) within(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := c.kind.timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if c.d.Timeout > 0 {
		timeout = c.d.Timeout
	}
	return context.WithTimeoutCause(ctx, timeout, errTooLong)
}

var errTooLong = errors.New("the time of the attempt is over")

// callPrepared makes a call. Where something has to be there first, it is made, and the call is made again.
func (s *Sender) callPrepared(ctx context.Context, c *call, req *request, m *target.Message) (*answer, error) {
	a, err := s.call(ctx, c, req)
	if err != nil || c.kind.prepare == nil {
		return a, err
	}
	first := c.kind.prepare(c, a.refusal(), m)
	if first == nil {
		return a, nil
	}
	made, err := s.call(ctx, c, first)
	if err != nil {
		return nil, err
	}
	if f := made.refusal(); f != nil && !f.exists() {
		return made, nil
	}
	return s.call(ctx, c, req)
}

// call signs and makes one call.
func (s *Sender) call(ctx context.Context, c *call, req *request) (*answer, error) {
	r, err := req.http(ctx, c)
	if err != nil {
		return nil, err
	}
	cache, err := c.signer(ctx, c.arn, c.d.RoleARN, c.region)
	if err != nil {
		return nil, c.signerError(ctx, "", err)
	}
	keys, err := cache.Retrieve(ctx)
	if err != nil {
		role := c.Credentials.Role
		if role == TargetRole {
			role = c.d.RoleARN
		}
		return nil, c.signerError(ctx, role, err)
	}
	sum := sha256.Sum256(req.body)
	if err := s.signer.SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), c.kind.api.signing, c.region, s.clock.Now()); err != nil {
		return nil, &target.Error{Code: target.CodeInternal, Message: "The request could not be signed.", Cause: err}
	}
	resp, err := s.transport.RoundTrip(r) // a client would follow redirects
	if err != nil {
		return nil, c.noAnswer(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, c.noAnswer(ctx, err)
	}
	if keys.SessionToken != "" && len(body) > 0 { // which AWS itself quotes when a signature does not match
		body = []byte(redact.New(keys.SessionToken).Text(string(body)))
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, body: body, now: s.clock.Now()}
	if f := a.refusal(); f != nil && f.stale() {
		c.forget(cache)
	}
	return a, nil
}

// noAnswer says why there was none.
func (c *call) noAnswer(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && cause != errTooLong {
		return fmt.Errorf("call %s: %w", c.arn, cause)
	}
	if timeout, ok := errors.AsType[net.Error](err); context.Cause(ctx) == errTooLong || ok && timeout.Timeout() {
		return &target.Error{Code: target.CodeTimeout, Cause: err, Message: fmt.Sprintf("%s of the remote %s did not answer in time.", c.kind.api.name, c.Name)}
	}
	return &target.Error{Code: target.CodeConnectionFailure, Cause: err,
		Message: fmt.Sprintf("%s of the remote %s cannot be reached, or broke off.", c.kind.api.name, c.Name)}
}

// http is the request as it is sent, but for the signature.
func (req *request) http(ctx context.Context, c *call) (*http.Request, error) {
	host := req.host
	if host == "" {
		host = c.kind.api.host
	}
	if !req.global {
		host += "." + c.region
	}
	host += "." + suffix(c.arn.Partition)
	base := "https://" + host
	if c.Endpoint != "" {
		base = trimSlash(c.Endpoint)
	}
	u := base + req.path
	if req.query != nil {
		u += "?" + req.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, req.method, u, bytes.NewReader(req.body))
	if err != nil {
		return nil, invalid("No request can be made of %s.", c.arn)
	}
	if c.Endpoint != "" && req.host != "" {
		r.Host = host // emulators tell by it which API is meant
	}
	for name, value := range req.header {
		r.Header.Set(name, value)
	}
	r.Header.Set("User-Agent", "rialto")
	return r, nil
}
