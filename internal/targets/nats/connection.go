package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rialto-events/rialto/target"
)

const (
	dialTimeout   = 3 * time.Second
	reconnectWait = 500 * time.Millisecond
	ackTimeout    = 30 * time.Second // after which an acknowledgement that nobody waits for any more is forgotten
	lookAgain     = 10 * time.Second // whether a stream listens to a subject
	maxSubjects   = 10_000           // of which that is remembered
)

// errDenied is that the server does not allow a subject.
var errDenied = errors.New("publishing is not allowed")

// A connection to a server is kept for as long as the Sender, whatever the server does.
type connection struct {
	name string
	mode Mode
	quit context.CancelFunc
	done chan struct{} // closed when there is nc, or never will be

	nc *nats.Conn // to be read when done is closed; nil if the Sender was closed before
	js jetstream.JetStream

	mu      sync.Mutex
	streams map[string]listening // by subject
}

// listening says whether a stream listens to a subject, as it was at a time.
type listening struct {
	acks bool
	at   time.Time
}

// connect begins to connect.
func connect(name string, s Server, log *slog.Logger) *connection {
	ctx, quit := context.WithCancel(context.Background())
	c := &connection{name: name, mode: s.JetStream, quit: quit, done: make(chan struct{}), streams: make(map[string]listening)}
	opts := []nats.Option{
		nats.Name("rialto"), nats.SetCustomDialer(dialer(ctx)), nats.Timeout(dialTimeout), nats.ReconnectWait(reconnectWait), nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(), // somebody may put it right
		nats.ReconnectBufSize(-1), // what cannot be sent is an error: whoever sends tries again
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS target has an error", "server", name, "err", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS target is disconnected", "server", name, "err", err)
			}
		}),
	}
	if s.Credentials != "" {
		opts = append(opts, nats.UserCredentials(s.Credentials))
	}
	go func() {
		defer close(c.done)
		for ctx.Err() == nil { // an error here is one of the options, or of a file that they name
			nc, err := nats.Connect(s.URL, opts...)
			if err == nil {
				c.js, err = jetstream.New(nc, jetstream.WithPublishAsyncTimeout(ackTimeout))
			}
			if err == nil {
				c.nc = nc
				return
			}
			log.Warn("NATS target cannot be connected", "server", name, "err", err)
			timer := time.NewTimer(reconnectWait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
	}()
	return c
}

// dialer makes connections that end with a context, so that nobody waits for a server that does not answer.
func dialer(ctx context.Context) dialFunc {
	return func(network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &bound{conn, context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil
	}
}

type dialFunc func(network, address string) (net.Conn, error)

// Dial makes a connection.
func (f dialFunc) Dial(network, address string) (net.Conn, error) { return f(network, address) }

// A bound connection forgets the context that ends it when it is closed before.
type bound struct {
	net.Conn
	forget func() bool
}

func (b *bound) Close() error {
	b.forget()
	return b.Conn.Close()
}

func (c *connection) close() {
	c.quit()
	<-c.done
	if c.nc != nil {
		c.nc.Close()
	}
}

// ready waits for the connection.
func (c *connection) ready(ctx context.Context) (*nats.Conn, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		return nil, failure(ctx, c.name, "any subject", ctx.Err())
	}
	if c.nc == nil || !c.nc.IsConnected() {
		return nil, &target.Error{Code: target.CodeConnectionFailure, Message: fmt.Sprintf("The NATS server %s cannot be reached.", c.name)}
	}
	return c.nc, ctx.Err()
}

// acknowledges reports whether a stream is to acknowledge what is published to a subject.
func (c *connection) acknowledges(ctx context.Context, subject string) (bool, error) {
	if c.mode == Always || c.mode == Never {
		return c.mode == Always, nil
	}
	now := time.Now()
	c.mu.Lock()
	l, ok := c.streams[subject]
	c.mu.Unlock()
	if ok && now.Sub(l.at) < lookAgain {
		return l.acks, nil
	}
	_, err := c.js.StreamNameBySubject(ctx, subject)
	api := (*jetstream.APIError)(nil)
	none := errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, nats.ErrNoResponders) || errors.As(err, &api) && api.Code == 503 // no JetStream
	if err != nil && !none {
		return false, failure(ctx, c.name, subject, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.streams) >= maxSubjects {
		clear(c.streams)
	}
	c.streams[subject] = listening{err == nil, now}
	return err == nil, nil
}

// forget has the stream of a subject looked for again.
func (c *connection) forget(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, subject)
}

// A publication is messages on their way to a subject.
type publication struct {
	*connection
	nc      *nats.Conn
	subject string
	errs    []error
}

// publish sends the messages, has the server say that it has read them, and ends them by what else send asks for. A message that
// the server does not allow it answers to before that, and to nobody in particular.
func (p *publication) publish(ctx context.Context, ms []*target.Message, send func(context.Context, *nats.Msg) (end func() (target.Answer, error), err error)) {
	before := p.nc.LastError()
	ends := make([]func() (target.Answer, error), len(ms))
	for i, m := range ms {
		msg, err := message(p.subject, m)
		if err != nil {
			p.errs[i] = err
			continue
		}
		if ends[i], err = send(ctx, msg); err != nil {
			p.errs[i], ends[i] = failure(ctx, p.name, p.subject, err), nil
		}
	}
	flushed := p.nc.FlushWithContext(ctx)
	if err := p.nc.LastError(); flushed == nil && err != before && denies(err, p.subject) {
		flushed = errDenied
	}
	for i, end := range ends {
		if end == nil {
			continue
		}
		answer, err := target.Answer{}, flushed
		if err == nil {
			answer, err = end()
		}
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			p.forget(p.subject)
		}
		if err != nil {
			p.errs[i] = failure(ctx, p.name, p.subject, err)
		}
		ms[i].Answer = answer
	}
}

// denies reports whether an error is that a subject is not allowed.
func denies(err error, subject string) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(strings.ToLower(err.Error()), `"`+strings.ToLower(subject)+`"`)
}

// toStream publishes a message for a stream to acknowledge.
func (p *publication) toStream(ctx context.Context, msg *nats.Msg) (func() (target.Answer, error), error) {
	future, err := p.js.PublishMsgAsync(msg)
	if err != nil {
		return nil, err
	}
	return func() (target.Answer, error) {
		select {
		case ack := <-future.Ok():
			return target.Answer{Head: fmt.Sprintf(`{"stream":%q,"seq":%d,"duplicate":%t}`, ack.Stream, ack.Sequence, ack.Duplicate)}, nil
		case err := <-future.Err():
			return target.Answer{}, err
		case <-ctx.Done():
			return target.Answer{}, ctx.Err()
		}
	}, nil
}

// toSubject publishes a message to whoever listens.
func (p *publication) toSubject(_ context.Context, msg *nats.Msg) (func() (target.Answer, error), error) {
	if err := p.nc.PublishMsg(msg); err != nil {
		return nil, err
	}
	return func() (target.Answer, error) {
		return target.Answer{Head: "published; core NATS does not say to whom"}, nil
	}, nil
}
