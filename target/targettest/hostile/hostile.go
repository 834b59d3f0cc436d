// Package hostile is HTTP servers that misbehave, each in its own way, for tests and measurements of whoever calls them.
//
//	s := hostile.EndlessHeaders()
//	defer s.Close()
//	… call s.URL …
//	if s.Sent() > limit { … } // bytes that were taken off the server's hands
//
// Every server listens on loopback, counts what it does, and ends with Close whatever its clients do. [Kinds] lists them all, with what
// becomes of a call. Nothing here is slow by itself: who never answers costs nothing but the caller's patience.
package hostile

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Server misbehaves until it is closed.
type Server struct {
	URL string
	CA  []byte // PEM of the authority that issued its certificate; nil if it speaks plain HTTP

	listener net.Listener
	calls    atomic.Int64
	sent     atomic.Int64
	ended    chan struct{} // closed by Close
	serving  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// Calls is how many connections were made. A server may have several calls on one.
func (s *Server) Calls() int64 { return s.calls.Load() }

// Sent is how many bytes were written to clients. What a client has not read is in it as far as the buffers of the network take it,
// which is a few MiB for a connection.
func (s *Server) Sent() int64 { return s.sent.Load() }

// Close breaks all connections and waits until nothing is left.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.ended)
		_ = s.listener.Close()
		for c := range s.conns {
			_ = c.Close()
		}
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// start serves each connection with a function. Like package httptest it panics without a loopback interface.
func start(secure *certificate, serve func(*Server, net.Conn)) *Server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("hostile: listen on loopback: %v", err))
	}
	s := &Server{URL: "http://" + l.Addr().String(), listener: l, ended: make(chan struct{}), conns: make(map[net.Conn]bool)}
	if secure != nil {
		s.URL, s.CA = "https://"+l.Addr().String(), secure.authority
	}
	s.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.calls.Add(1)
			if !s.keep(c) {
				return
			}
			s.serving.Go(func() {
				defer s.drop(c)
				counted := net.Conn(&countingConn{c, &s.sent})
				if secure != nil {
					counted = tls.Server(counted, secure.config())
				}
				serve(s, counted)
			})
		}
	})
	return s
}

func (s *Server) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return false
	}
	s.conns[c] = true
	return true
}

func (s *Server) drop(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// pause waits, and reports whether the server still runs.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ended:
		return false
	}
}

// A countingConn counts what is written.
type countingConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// request reads until a request's header has come, and perhaps more.
func request(c net.Conn) bool {
	b := make([]byte, 0, 64<<10)
	for len(b) < cap(b) {
		n, err := c.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if bytes.Contains(b, []byte("\r\n\r\n")) {
			return true
		}
		if err != nil {
			return false
		}
	}
	return true
}

// endless says something, and then the same forever.
func endless(head, more string) func(*Server, net.Conn) {
	block := []byte(strings.Repeat(more, max(1, 32<<10/len(more))))
	return func(_ *Server, c net.Conn) {
		if !request(c) {
			return
		}
		for _, err := io.WriteString(c, head); err == nil; {
			_, err = c.Write(block)
		}
	}
}

// answering says something to every request of a connection.
func answering(text string) func(*Server, net.Conn) {
	return func(_ *Server, c net.Conn) {
		for request(c) {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

// GiB is the size of what is too large.
const GiB = 1 << 30

const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

// Silent takes the request and never answers.
func Silent() *Server { return start(nil, func(_ *Server, c net.Conn) { io.Copy(io.Discard, c) }) }

// SilentTLS takes the connection and never shakes hands.
func SilentTLS() *Server {
	s := start(nil, func(_ *Server, c net.Conn) { io.Copy(io.Discard, c) })
	s.URL = strings.Replace(s.URL, "http:", "https:", 1)
	return s
}

// Drip sends an answer one byte a second, beginning with its header.
func Drip() *Server { return drip("", ok+"X-Slow: "+strings.Repeat("x", 1<<16)) }

// DripBody sends a good header at once, and then a body that never ends one byte a second.
func DripBody() *Server { return drip(ok+"\r\n", strings.Repeat("x", 1<<16)) }

func drip(head, rest string) *Server {
	return start(nil, func(s *Server, c net.Conn) {
		if !request(c) {
			return
		}
		_, err := io.WriteString(c, head)
		for i := 0; err == nil && i < len(rest); i++ {
			if _, err = io.WriteString(c, rest[i:i+1]); err == nil && !s.pause(time.Second) {
				return
			}
		}
	})
}

// EndlessHeaders sends one header after another, forever.
func EndlessHeaders() *Server { return start(nil, endless(ok, "X-More: and more\r\n")) }

// EndlessHeader sends one header that never ends.
func EndlessHeader() *Server { return start(nil, endless(ok+"X-More: ", "x")) }

// Informational sends interim answers (status 103), forever.
func Informational() *Server {
	return start(nil, endless("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"))
}

// HugeBody sends a GiB after a good header.
func HugeBody() *Server {
	return start(nil, endless(fmt.Sprintf(ok+"Content-Length: %d\r\n\r\n", GiB), "x"))
}

// EndlessChunks sends a body in chunks of a byte, forever.
func EndlessChunks() *Server {
	return start(nil, endless(ok+"Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"))
}

// EndlessTrailers ends its body in order, and then sends trailers, forever.
func EndlessTrailers() *Server {
	return start(nil, endless(ok+"Trailer: X-More\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", "X-More: and more\r\n"))
}

// Bomb sends a GiB packed into a MiB.
func Bomb() *Server {
	packed := bomb()
	return start(nil, answering(fmt.Sprintf(ok+"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(packed), packed)))
}

// bomb packs a GiB. It is one block, packed once and repeated: gzip allows several files one after another.
func bomb() []byte {
	const block = 16 << 20
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(make([]byte, block)) // a buffer in memory takes everything
	_ = w.Close()
	return bytes.Repeat(b.Bytes(), GiB/block)
}

// Reset takes the request and breaks the connection off with a reset.
func Reset() *Server {
	return start(nil, func(_ *Server, c net.Conn) {
		request(c)
		if t, ok := c.(*countingConn).Conn.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // so that closing it resets it
		}
	})
}

// Cut sends half an answer and hangs up.
func Cut() *Server {
	return start(nil, func(_ *Server, c net.Conn) {
		if request(c) {
			_, _ = io.WriteString(c, ok+"Content-Length: 1000\r\n") // the client may have gone
		}
	})
}

// HangsUp takes the connection and hangs up.
func HangsUp() *Server { return start(nil, func(*Server, net.Conn) {}) }

// Vanishes answers one call of each connection well, keeps the connection, and never says anything on it again: as a machine does whose
// power has failed.
func Vanishes() *Server {
	return start(nil, func(_ *Server, c net.Conn) {
		if request(c) {
			if _, err := io.WriteString(c, ok+"Content-Length: 0\r\n\r\n"); err == nil {
				io.Copy(io.Discard, c)
			}
		}
	})
}

// Garbage answers with bytes that are not HTTP, forever.
func Garbage() *Server { return start(nil, endless("", "\x00\xff")) }

// Fails answers every call with a status, and with headers given as names and values.
func Fails(status int, header ...string) *Server {
	text := fmt.Sprintf("HTTP/1.1 %d Nonsense\r\nContent-Length: 0\r\n", status)
	for i := 0; i+1 < len(header); i += 2 {
		text += header[i] + ": " + header[i+1] + "\r\n"
	}
	return start(nil, answering(text+"\r\n"))
}

// Down answers every call with status 500.
func Down() *Server { return Fails(500) }

// Throttles answers every call with status 429 and asks to be left alone: for seconds, until a date, or in nonsense.
func Throttles(retryAfter string) *Server { return Fails(429, "Retry-After", retryAfter) }

// Redirects sends every call elsewhere, such as to an address that only the caller can reach.
func Redirects(to string) *Server { return Fails(307, "Location", to) }

// Expired is a server whose certificate was valid once.
func Expired() *Server {
	return start(issue(issued{until: -time.Hour}), answering(ok+"Content-Length: 0\r\n\r\n"))
}

// WrongHost is a server whose certificate is for another one.
func WrongHost() *Server {
	return start(issue(issued{host: "another.example"}), answering(ok+"Content-Length: 0\r\n\r\n"))
}

// SelfSigned is a server with a certificate of nobody's but its own making. Trusting its CA is all that it needs to be a good one.
func SelfSigned() *Server { return start(issue(issued{}), answering(ok+"Content-Length: 0\r\n\r\n")) }

// A Kind is a way of misbehaving, and what becomes of a call that is sound otherwise.
type Kind struct {
	Name  string
	Start func() *Server
	End   End
}

// An End is what a careful caller makes of a call.
type End string

// Ends of calls.
const (
	Taken     End = "taken"     // there was a good status, which is all that counts
	TryAgain  End = "try again" // another attempt may fare better
	Permanent End = "permanent" // none will
)

// Kinds are all ways of misbehaving.
func Kinds() []Kind {
	return []Kind{
		{"silent", Silent, TryAgain},
		{"silent in TLS", SilentTLS, TryAgain},
		{"a byte a second", Drip, TryAgain},
		{"a body of a byte a second", DripBody, Taken},
		{"endless headers", EndlessHeaders, TryAgain},
		{"an endless header", EndlessHeader, TryAgain},
		{"endless interim answers", Informational, TryAgain},
		{"endless headers in HTTP/2", EndlessHTTP2, TryAgain},
		{"a body of a GiB", HugeBody, Taken},
		{"endless chunks", EndlessChunks, Taken},
		{"endless trailers", EndlessTrailers, Taken},
		{"a packed body of a GiB", Bomb, Taken},
		{"resets", Reset, TryAgain},
		{"half an answer", Cut, TryAgain},
		{"hangs up", HangsUp, TryAgain},
		{"garbage", Garbage, TryAgain},
		{"500", Down, TryAgain},
		{"429 for a second", func() *Server { return Throttles("1") }, TryAgain},
		{"429 for a million years", func() *Server { return Throttles("31557600000000") }, TryAgain},
		{"429 for good", func() *Server { return Throttles("-1") }, Permanent},
		{"404", func() *Server { return Fails(404) }, Permanent},
		{"a redirect to loopback", func() *Server { return Redirects("http://127.0.0.1:1/") }, Permanent},
		{"a redirect to credentials", func() *Server { return Redirects("http://169.254.169.254/latest/meta-data/") }, Permanent},
		{"an expired certificate", Expired, TryAgain},
		{"a certificate of another host", WrongHost, TryAgain},
		{"a certificate of its own", SelfSigned, TryAgain},
	}
}
