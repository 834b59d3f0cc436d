package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	nethttp "net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto/internal/redact"
	"github.com/rialto-events/rialto/target"
)

// Steps of a call that is tried, in their order. A [Report] names the one that failed.
const (
	StepRequest = "request" // putting it together
	StepToken   = "token"   // asking the authorization server
	StepGuard   = "guard"   // asking rialto's own rules whether to call
	StepResolve = "resolve" // looking up the host
	StepDial    = "dial"    // connecting to its address
	StepTLS     = "tls"     // shaking hands
	StepAnswer  = "answer"  // waiting for something that is HTTP
	StepStatus  = "status"  // reading the status: it is not one of success
)

// A Report is what became of a call that was tried. It holds no secrets.
type Report struct {
	OK     bool   `json:"ok"`
	Failed string `json:"failed,omitempty"` // the step that did
	Reason string `json:"reason,omitempty"`
	Try    string `json:"try,omitempty"` // what may help

	Token *Leg `json:"token,omitempty"` // the call for a token
	Call  *Leg `json:"call,omitempty"`  // the call of the destination
}

// A Leg is one call, as far as it got.
type Leg struct {
	Method   string              `json:"method"`
	URL      string              `json:"url"`
	Sent     map[string][]string `json:"sent,omitempty"` // headers
	Resolved []string            `json:"resolved,omitempty"`
	Dialed   string              `json:"dialed,omitempty"` // the address that answered, or the last that did not
	TLS      *Handshake          `json:"tls,omitempty"`
	Status   int                 `json:"status,omitempty"`
	Millis   float64             `json:"milliseconds"`
	Headers  map[string][]string `json:"headers,omitempty"` // of the answer
	Head     string              `json:"head,omitempty"`    // the beginning of its body; that of an authorization server is not shown

	reached bool // a connection was made
}

// A Handshake is what the two sides agreed on.
type Handshake struct {
	Version  string        `json:"version,omitempty"`
	Asked    bool          `json:"asksForCertificate,omitempty"` // the server wants to know who calls
	Protocol string        `json:"protocol,omitempty"`           // of HTTP, such as "h2", if it was agreed on
	Peer     []Certificate `json:"peer,omitempty"`               // the server's, its own first
}

// A Certificate is what is worth knowing of one.
type Certificate struct {
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Names   []string  `json:"names,omitempty"`
	Begins  time.Time `json:"notBefore"`
	Expires time.Time `json:"notAfter"`
}

// maxNames bounds the names of a certificate that are shown.
const maxNames = 20

// Describe says what is worth knowing of a certificate.
func Describe(c *x509.Certificate) Certificate {
	out := Certificate{
		Subject: printable(c.Subject.String()), Issuer: printable(c.Issuer.String()), Begins: c.NotBefore.UTC(), Expires: c.NotAfter.UTC(),
	}
	for _, name := range c.DNSNames {
		out.Names = append(out.Names, printable(name))
	}
	for _, ip := range c.IPAddresses {
		out.Names = append(out.Names, ip.String())
	}
	out.Names = out.Names[:min(len(out.Names), maxNames)]
	return out
}

// Try makes a call as a delivery of the message would, over connections of its own and with a token of its own, and says what
// happened. With an empty endpoint it only gets a token.
func (s *Sender) Try(ctx context.Context, d Destination, m *target.Message) *Report {
	ctx, cancel := context.WithTimeoutCause(ctx, timeoutOf(m.Definition)+tokenTimeout, errTooLong)
	defer cancel()
	t := &trial{sender: s, destination: &d, secrets: d.secrets()}
	if err := t.run(ctx, m); err != nil {
		t.fail(err)
	}
	t.report.OK = t.report.Failed == ""
	return &t.report
}

// A trial is a call being tried.
type trial struct {
	sender      *Sender
	destination *Destination
	secrets     redact.Redactor
	report      Report
	step        string      // that is being made, as far as the error alone does not say it
	asked       atomic.Bool // in the handshake of the present call
}

func (t *trial) run(ctx context.Context, m *target.Message) error {
	d := t.destination
	t.step = StepRequest
	line, err := t.sender.lines.make(d.TLS, func() { t.asked.Store(true) })
	if err != nil {
		return err
	}
	defer line.close()
	var req *nethttp.Request
	if d.Endpoint != "" {
		c, err := newCall(d, m)
		if err != nil {
			return err
		}
		if req, err = c.request(d.Method, m.Trace); err != nil {
			return err
		}
	}
	if d.Auth.Type == OAuth {
		token, err := t.token(ctx, line)
		if err != nil {
			return err
		}
		t.secrets = d.secrets(token)
		if req != nil {
			req = withToken(req, token)
		}
	}
	if req == nil {
		return nil
	}
	return t.call(ctx, line, req)
}

// token asks for a token.
func (t *trial) token(ctx context.Context, line *line) (string, error) {
	t.step = StepToken
	req, err := newTokenRequest(ctx, t.destination.Auth.Grant)
	if err != nil {
		return "", err
	}
	leg := &tracedLeg{trial: t, inner: line.tokens}
	t.report.Token = &leg.Leg
	reply, err := ask(leg, req, t.sender.clock)
	leg.settle()
	return reply.AccessToken, err
}

// call calls the destination.
func (t *trial) call(ctx context.Context, line *line, req *nethttp.Request) error {
	t.step = StepAnswer
	leg := &tracedLeg{trial: t, inner: line.calls}
	t.report.Call = &leg.Leg
	defer leg.settle()
	resp, err := leg.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return callError(ctx, err)
	}
	defer resp.Body.Close()
	r := read(resp, t.secrets.Window(target.MaxAnswer))
	leg.Head = r.answer(t.secrets).Head
	t.step = StepStatus
	return outcome(resp.StatusCode, "", t.sender.clock.Now())
}

// fail says in the report what failed.
func (t *trial) fail(err error) {
	r, d := &t.report, t.destination
	r.Failed, r.Reason = t.step, Reason(err)
	leg := r.Call
	if t.step == StepToken {
		leg = r.Token
	}
	if leg == nil || leg.Status != 0 {
		r.Try = advice[t.step]
		if t.step == StepStatus && (leg.Status == nethttp.StatusUnauthorized || leg.Status == nethttp.StatusForbidden) {
			r.Try = "Correct the credentials of the connection with UpdateConnection, or have the destination accept them."
		}
		return
	}
	at := leg.failedStep(err)
	r.Try = advice[at]
	if leg.TLS != nil && leg.TLS.Asked && (d.TLS == nil || d.TLS.pair == nil) {
		at, r.Try = StepTLS, "The server asks for a client certificate: give the connection one with rialto connection tls."
	}
	if t.step != StepToken { // what failed is the token, and the reason says how
		r.Failed = at
	}
}

// failedStep is the step at which a call without an answer failed.
func (l *Leg) failedStep(err error) string {
	_, refused := errors.AsType[*refusedError](err)
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case refused:
		return StepGuard
	case unknown:
		return StepResolve
	case l.TLS != nil && (l.TLS.Version == "" || insecure(err) != ""):
		return StepTLS
	case !l.reached:
		return StepDial
	}
	return StepAnswer
}

// advice is what to try where the reason does not say it.
var advice = map[string]string{
	StepRequest: "Correct the API destination or the parameters of the connection.",
	StepToken:   "Correct the OAuth parameters of the connection with UpdateConnection.",
	StepResolve: "Check the name of the host, and that the name servers of this machine know it.",
	StepDial:    "Check that a server listens at this address and port, and that no firewall is between.",
	StepTLS:     "Compare the certificates of both sides; rialto connection tls gives the connection its own, and authorities to believe.",
	StepAnswer:  "Check that the server speaks HTTP there, and answers within the time of an attempt.",
	StepStatus:  "The call arrives, and is refused: the answer of the destination may say why.",
}

// Reason is what an attempt failed by, as a sentence that can stand alone.
func Reason(err error) string {
	text := "There was an internal error."
	if e, ok := errors.AsType[*target.Error](err); ok {
		text = strings.TrimPrefix(e.Message, invoke)
	} else if err != nil && errors.Is(err, errTooLong) {
		text = callWords.timeout
	}
	for _, recorded := range []string{authorizationWords.timeout, authorizationWords.unreachable} {
		if rest, ok := strings.CutPrefix(text, recorded); ok {
			return "Could not connect to the specified endpoint." + rest // recorded on AWS, as the reason of a connection's state
		}
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// A tracedLeg makes a call and writes down how it goes. The transport may go on dialling when the call is over, so that what it reports
// is kept apart until [tracedLeg.settle].
type tracedLeg struct {
	Leg
	trial *trial
	inner nethttp.RoundTripper
	began time.Time

	mu        sync.Mutex
	settled   bool
	resolved  []string
	dialed    string
	connected bool
	tls       *Handshake
}

// RoundTrip makes the call.
func (l *tracedLeg) RoundTrip(req *nethttp.Request) (*nethttp.Response, error) {
	l.began = time.Now() // latency is of the real world
	l.trial.asked.Store(false)
	l.Method, l.URL, l.Sent = req.Method, l.trial.secrets.Text(req.URL.String()), l.shown(req.Header)
	resp, err := l.inner.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), l.trace())))
	if err != nil {
		return nil, err
	}
	l.Status, l.Headers = resp.StatusCode, l.shown(resp.Header)
	return resp, nil
}

// shown are headers without secrets. A value that authorises is one, whatever it is.
func (l *tracedLeg) shown(h nethttp.Header) map[string][]string {
	out := make(map[string][]string, len(h))
	for name, values := range h {
		for _, v := range values {
			v = l.trial.secrets.Text(v)
			if slices.Contains(authorizing, name) {
				v = withScheme(v)
			}
			out[name] = append(out[name], v)
		}
	}
	return out
}

// withScheme is a value that authorises with nothing but its scheme left, if it has one: "Bearer [redacted]". A cookie has none.
func withScheme(v string) string {
	scheme, _, ok := strings.Cut(v, " ")
	if !ok || strings.ContainsAny(scheme, "=;,") {
		return redact.Mark
	}
	return scheme + " " + redact.Mark
}

var authorizing = []string{"Authorization", "Proxy-Authorization", "Set-Cookie", "Cookie"}

func (l *tracedLeg) trace() *httptrace.ClientTrace {
	note := func(f func()) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.settled {
			f()
		}
	}
	return &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			note(func() {
				for _, a := range i.Addrs {
					l.resolved = append(l.resolved, a.String())
				}
			})
		},
		ConnectDone: func(_, address string, err error) {
			note(func() {
				if !l.connected {
					l.dialed, l.connected = address, err == nil
				}
			})
		},
		TLSHandshakeStart: func() { note(func() { l.tls = new(Handshake) }) },
		TLSHandshakeDone:  func(s tls.ConnectionState, err error) { note(func() { l.tls.done(s, err) }) },
	}
}

// done takes down a handshake that has ended, for better or worse.
func (h *Handshake) done(s tls.ConnectionState, err error) {
	peer := s.PeerCertificates
	if err == nil {
		h.Version, h.Protocol = tls.VersionName(s.Version), s.NegotiatedProtocol
	} else if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		peer = e.UnverifiedCertificates
	}
	for _, c := range peer {
		h.Peer = append(h.Peer, Describe(c))
	}
}

// settle ends the leg: what is reported later comes too late.
func (l *tracedLeg) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled = true
	l.Millis = float64(time.Since(l.began).Microseconds()) / 1000
	l.Resolved, l.Dialed, l.reached, l.TLS = l.resolved, l.dialed, l.connected, l.tls
	if l.TLS != nil {
		l.TLS.Asked = l.trial.asked.Load()
	}
}
