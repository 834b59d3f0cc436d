package door

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Door serves one listener.
type Door struct {
	plain http.Handler
	rest  *http.Server
	log   *slog.Logger
	hall  *hall
	date  atomic.Pointer[date]

	patience time.Duration // before it is looked whether the client of a request is still there

	closing atomic.Bool // set before connections are told

	mu     sync.Mutex
	listen net.Listener // nil before Serve
	conns  map[*conn]struct{}
	ended  sync.WaitGroup // connections that are not net/http's
}

// watchAfter is how long a request may take before it is looked whether its client is still there. Few take longer, except those that wait for
// messages; and who leaves earlier than that could not be told from one who leaves as soon as it has its answer.
const watchAfter = 100 * time.Millisecond

// New makes a Door. Plain answers plain requests, and rest serves everything else, with limits and timeouts of its own, of which the Door
// uses IdleTimeout. A nil logger discards.
func New(plain http.Handler, rest *http.Server, log *slog.Logger) *Door {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Door{plain: plain, rest: rest, log: log, patience: watchAfter, conns: make(map[*conn]struct{})}
}

// Serve answers requests until Shutdown or Close, and then returns [http.ErrServerClosed]. The contexts of all requests come from ctx. It can be
// called once.
func (d *Door) Serve(ctx context.Context, l net.Listener) error {
	d.rest.BaseContext = func(net.Listener) context.Context { return ctx }
	d.hall = &hall{address: l.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	d.mu.Lock()
	d.listen = l
	d.mu.Unlock()
	if d.closing.Load() {
		return http.ErrServerClosed
	}
	rest := make(chan error, 1)
	go func() { rest <- d.rest.Serve(d.hall) }()
	err := d.accept(ctx, l)
	if !errors.Is(err, http.ErrServerClosed) {
		err = errors.Join(err, d.Close())
	}
	if ended := <-rest; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// The pauses between two tries to accept a connection, while there are too many of them for this process.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

func (d *Door) accept(ctx context.Context, l net.Listener) error {
	pause := firstPause
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = firstPause
			d.admit(ctx, nc)
			continue
		case d.closing.Load():
			return http.ErrServerClosed
		case !temporary(err):
			return err
		}
		d.log.Error("no connection accepted", "err", err)
		<-time.After(pause)
		pause = min(2*pause, lastPause)
	}
}

// temporary reports whether an error of Accept says nothing about the listener: the process has too many files open, or a client was gone
// already.
func temporary(err error) bool {
	is, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && is.Temporary()
}

// admit serves a connection.
func (d *Door) admit(ctx context.Context, nc net.Conn) {
	c := newConn(ctx, d, nc)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing.Load() {
		c.end()
		return
	}
	d.conns[c] = struct{}{}
	d.ended.Go(func() {
		defer d.forget(c)
		c.serve()
	})
}

func (d *Door) forget(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
}

// handOver gives a connection to net/http, with what was read of it.
func (d *Door) handOver(nc net.Conn, read []byte) {
	select {
	case d.hall.conns <- &begun{nc, read}:
	case <-d.hall.closed:
		_ = nc.Close() // there is nobody any more to answer
	}
}

// Shutdown ends Serve. It lets requests that are being answered come to their end, until ctx ends.
func (d *Door) Shutdown(ctx context.Context) error {
	d.close(func(c *conn) { _ = c.SetReadDeadline(past) }) // whoever waits for a request waits no longer
	ended := make(chan struct{})
	go func() {
		d.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return d.rest.Shutdown(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends Serve, and all connections at once.
func (d *Door) Close() error {
	d.close(func(c *conn) { c.end() })
	return d.rest.Close()
}

// close refuses further connections and does something to those that are there.
func (d *Door) close(do func(*conn)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closing.Store(true)
	if d.listen != nil {
		_ = d.listen.Close()
	}
	for c := range d.conns {
		do(c)
	}
}

// A hall is the listener at which net/http gets the connections that are handed over.
type hall struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

var _ net.Listener = (*hall)(nil)

func (h *hall) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *hall) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *hall) Addr() net.Addr { return h.address }

// A begun connection is one of which something was read already.
type begun struct {
	net.Conn
	read []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.read) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.read)
	b.read = b.read[n:]
	return n, nil
}
