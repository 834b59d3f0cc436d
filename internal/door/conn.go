package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

const (
	firstBuffer = 4 << 10   // bytes that a connection begins with; as a rule, a request has fewer
	maxRequest  = 256 << 10 // bytes of a request, head and body: a batch of a usual size. What is larger net/http may read piece by piece
	maxKept     = 64 << 10  // bytes of a buffer that a connection keeps for its next request
)

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// A conn is a connection that has brought nothing but plain requests so far.
type conn struct {
	net.Conn
	door   *Door
	cancel context.CancelFunc // of the context of its requests
	blank  *http.Request      // with what all requests have in common
	idle   time.Time          // until when the next request is waited for

	in   []byte // what was read and is not answered yet
	more bool   // the last of it came byte by byte, so there is more
	out  []byte // the answer
	head head
	req  http.Request
	body body
	resp response

	watcher  *time.Timer
	mu       sync.Mutex
	busy     bool // a request is being answered
	watching *watch
}

func newConn(ctx context.Context, d *Door, nc net.Conn) *conn {
	ctx, cancel := context.WithCancel(ctx)
	c := &conn{Conn: nc, door: d, cancel: cancel, in: make([]byte, 0, firstBuffer)}
	c.blank = (&http.Request{
		Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: nc.RemoteAddr().String(),
	}).WithContext(ctx)
	c.resp.header = make(http.Header)
	c.watcher = time.AfterFunc(time.Hour, c.watch)
	c.watcher.Stop()
	return c
}

// end closes the connection and with it whatever its request does.
func (c *conn) end() {
	c.watcher.Stop()
	c.cancel()
	_ = c.Close() // what is to be written is written
}

// serve answers requests for as long as they are plain.
func (c *conn) serve() {
	for {
		length, plain := c.next()
		switch {
		case len(c.in) == 0: // the client has gone, or has been silent for too long, or the server ends
			c.end()
			return
		case !plain:
			c.watcher.Stop()
			_ = c.SetReadDeadline(time.Time{}) // net/http sets its own
			c.door.handOver(c.Conn, c.in)
			return
		}
		if !c.answer(length) {
			c.end()
			return
		}
	}
}

// next reads the next request, and returns how long it is. It reports whether that is a plain one, which is all there then.
func (c *conn) next() (length int, plain bool) {
	c.expectMore()
	if len(c.in) == 0 || c.more {
		c.more = false
		if c.read() != nil {
			return 0, false
		}
	}
	end := bytes.Index(c.in, emptyLine) + len(emptyLine)
	if end < len(emptyLine) || !c.head.parse(string(c.in[:end])) {
		return 0, false
	}
	length = end + c.head.length
	if length > maxRequest {
		return 0, false
	}
	for len(c.in) < length {
		if c.read() != nil {
			return 0, false
		}
	}
	return length, true
}

var emptyLine = []byte("\r\n\r\n")

// expectMore lets the next request be waited for. To move a deadline costs more than to have it a little too early.
func (c *conn) expectMore() {
	const exact = 8 // parts of the time by which it may be too early
	timeout := c.door.rest.IdleTimeout
	if timeout <= 0 {
		return
	}
	now := time.Now()
	if c.idle.Sub(now) > timeout-timeout/exact {
		return
	}
	c.idle = now.Add(timeout)
	_ = c.SetReadDeadline(c.idle)
	if c.door.closing.Load() { // and has set a deadline that this one would replace
		_ = c.SetReadDeadline(past)
	}
}

// read adds what has come.
func (c *conn) read() error {
	if len(c.in) == cap(c.in) {
		c.in = append(c.in, 0)[:len(c.in)]
	}
	n, err := c.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// answer has the request answered that is at the beginning of what was read. It reports whether the connection can have another one.
func (c *conn) answer(length int) bool {
	c.req = *c.blank
	c.body = body{rest: c.in[length-c.head.length : length], all: c.in[length-c.head.length : length]}
	c.head.fill(&c.req)
	c.req.Body = &c.body
	c.resp.reset()
	c.begin()
	ok := c.handle()
	ahead, here := c.finish()
	if !ok {
		return false
	}
	last := c.door.closing.Load() || !here
	c.out = c.resp.append(c.out[:0], c.door.now(), last)
	_, err := c.Write(c.out)
	c.keep(length, ahead)
	return err == nil && !last
}

// keep leaves what was read beyond a request for the next one.
func (c *conn) keep(length int, ahead []byte) {
	rest := append(c.in[length:], ahead...)
	c.more = len(ahead) > 0
	if cap(c.in) > maxKept {
		c.in = make([]byte, 0, max(firstBuffer, len(rest)))
	}
	c.in = append(c.in[:0], rest...)
	if cap(c.out) > maxKept {
		c.out = nil
	}
	c.resp.body = c.resp.body[:0]
	if cap(c.resp.body) > maxKept {
		c.resp.body = nil
	}
}

// handle calls the handler. It reports false if that has panicked: then there is no answer, as with net/http.
func (c *conn) handle() (ok bool) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			c.door.log.Error("panic while answering a request", "err", v, "stack", string(debug.Stack()))
		}
	}()
	c.door.plain.ServeHTTP(&c.resp, &c.req)
	return true
}

// A watch looks whether the client of a request goes away.
type watch struct {
	done  chan struct{} // closed when it looks no longer
	ahead []byte        // what came instead: the beginning of the next request
	gone  bool
}

// begin lets the client be watched soon.
func (c *conn) begin() {
	c.mu.Lock()
	c.busy = true
	c.mu.Unlock()
	c.watcher.Reset(c.door.patience)
}

// watch ends the context of the connection when the client closes it while a request is being answered. It may come late, in the next request;
// that one is watched, then.
func (c *conn) watch() {
	c.mu.Lock()
	if !c.busy || c.watching != nil {
		c.mu.Unlock()
		return
	}
	w := &watch{done: make(chan struct{})}
	c.watching = w
	c.mu.Unlock()
	defer close(w.done)
	var b [1]byte
	n, err := c.Read(b[:])
	w.ahead = b[:n]
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.gone = true
		c.cancel()
	}
}

// finish ends what begin began. It returns what was read meanwhile, and whether the client is still there, as far as that is known.
func (c *conn) finish() (ahead []byte, here bool) {
	c.watcher.Stop()
	c.mu.Lock()
	w := c.watching
	c.busy, c.watching = false, nil
	c.mu.Unlock()
	if w == nil {
		return nil, true
	}
	_ = c.SetReadDeadline(past)
	<-w.done
	c.idle = time.Time{} // the deadline is to be set anew
	_ = c.SetReadDeadline(time.Time{})
	return w.ahead, !w.gone
}
