package http

import (
	"cmp"
	"crypto/tls"
	nethttp "net/http"
	"sync"
	"time"
)

// Connections of one host. How many calls are under way is up to the caller's window for each destination; these bounds keep
// many destinations on one host from eating up the file descriptors.
const (
	maxConnsPerHost     = 512
	maxIdleConnsPerHost = 64
	maxIdleConns        = 512
	idleTimeout         = 90 * time.Second

	// maxIdentities is how many connections with certificates of their own are kept ready; a few times as many as we expect.
	maxIdentities = 2000
)

// What HTTP/2 may cost: a server may send as much as a stream's window before anybody reads it, and a connection that has died
// without a word must not swallow one call after another.
var http2 = nethttp.HTTP2Config{
	MaxReceiveBufferPerStream:     maxResponseBody,
	MaxReceiveBufferPerConnection: 1 << 20,
	SendPingTimeout:               15 * time.Second,
	PingTimeout:                   defaultTimeout,
}

// lines are the open connections to other hosts, apart for each [Identity], so that no call travels on a TLS session that another
// connection has proved itself for. Those without an identity share theirs.
type lines struct {
	guard Guard
	base  *tls.Config

	mu     sync.Mutex
	own    map[string]*line // by id of the identity; "" is that of all who have none
	closed bool
}

// A line is the open connections of one identity. Calls for tokens have some of their own: they never queue behind deliveries that
// hang on the same host.
type line struct {
	calls, tokens *nethttp.Transport
	used          time.Time
}

func newLines(guard Guard, base *tls.Config) *lines {
	return &lines{guard: guard, base: base, own: make(map[string]*line)}
}

// of is the line of an identity, or the shared one for nil.
func (l *lines) of(i *Identity) (*line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	now := time.Now() // of the transports, whose idle connections count by the real clock, too
	if have := l.own[i.ID()]; have != nil {
		have.used = now
		return have, nil
	}
	l.sweep(now)
	made, err := l.make(i, nil)
	if err != nil {
		return nil, err
	}
	made.used = now
	l.own[i.ID()] = made
	return made, nil
}

// make makes a line on which nothing is open yet. If asked is not nil, it is called when a server asks for a certificate.
func (l *lines) make(i *Identity, asked func()) (*line, error) {
	calls, tokens := l.base.Clone(), l.base.Clone() // which may be nil
	if i != nil {
		var err error
		if tokens, err = i.forTokens(l.base); err != nil {
			return nil, err
		}
		calls = i.forCalls(l.base)
	}
	if asked != nil {
		calls, tokens = cmp.Or(calls, new(tls.Config)), cmp.Or(tokens, new(tls.Config))
		for _, c := range []*tls.Config{calls, tokens} {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked()
				if i != nil && i.pair != nil {
					return i.pair, nil
				}
				return new(tls.Certificate), nil // none
			}
		}
	}
	return &line{calls: l.transport(calls), tokens: l.transport(tokens)}, nil
}

func (l *lines) transport(c *tls.Config) *nethttp.Transport {
	settings := http2
	return &nethttp.Transport{
		DialContext:            l.guard.dial,
		TLSClientConfig:        c,
		TLSHandshakeTimeout:    defaultTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &settings,
		DisableCompression:     true, // little is read of an answer, and that within bounds
		MaxConnsPerHost:        maxConnsPerHost,
		MaxIdleConnsPerHost:    maxIdleConnsPerHost,
		MaxIdleConns:           maxIdleConns,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// sweep forgets lines that have been idle so long that nothing is open there any more, such as those of certificates that were
// replaced; and one more if there are too many. A call under way on one ends as if nothing had happened.
func (l *lines) sweep(now time.Time) {
	var oldest string
	for id, some := range l.own {
		switch {
		case id == "":
		case now.Sub(some.used) > idleTimeout:
			l.drop(id)
		case oldest == "" || some.used.Before(l.own[oldest].used):
			oldest = id
		}
	}
	if len(l.own) >= maxIdentities {
		l.drop(oldest)
	}
}

func (l *lines) drop(id string) {
	l.own[id].close()
	delete(l.own, id)
}

func (l *line) close() {
	l.calls.CloseIdleConnections()
	l.tokens.CloseIdleConnections()
}

// close closes what no call uses. There are no more lines.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, some := range l.own {
		some.close()
	}
}
