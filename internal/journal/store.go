package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rialto-events/rialto"
)

// Limits of the conversation with a JetStream server.
const (
	ackWait   = 10 * time.Second // for the acknowledgement of a write, before the server counts as broken
	replyWait = 5 * time.Second  // for the next part of an answer to a read

	batchBytes   = 8 << 20 // asked for at once by a read; larger ones gain little (measured: 4 MiB 1.1 GB/s, 16 MiB 1.3 GB/s)
	batchRecords = 4096    // asked for at once by a read; there is room for so many in its channel

	messageOverhead = 4096 // bytes of a message beyond its payload: headers and subject
)

// A store is a journal on a JetStream server: what the embedded and the external one have in common, which is all but how
// the server is reached, and where high-water marks are kept.
type store struct {
	opts  Options // no field is nil or zero
	nc    *nats.Conn
	js    jetstream.JetStream
	gate  gate
	limit int // bytes of the largest payload that the server takes

	room     func() error           // refuses a write when the volume is nearly full
	suspect  func(error)            // told when a write went wrong in a way that only a broken server explains
	marker   func(of string) marker // keeps the high-water mark of a log or bucket; nil if it has none
	patience int                    // how often a finding of damage is looked at again: replicas may lag
	owned    bool                   // nobody else writes to this journal
	written  atomic.Int64           // bytes published since the embedded server was last asked how much it occupies

	// Several may open something at a time, since each waits for the disk; whoever looks at all that is open shuts them out.
	opening sync.RWMutex
	logs    opened[streamLog]
	kvs     opened[streamKV]
	blobs   opened[streamBlob]
}

func newStore(opts Options) *store {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	if opts.Replicas == 0 {
		opts.Replicas = 1
	}
	return &store{
		opts: opts, room: func() error { return nil }, suspect: func(error) {},
	}
}

// connect attaches the store to a server.
func (s *store) connect(url string, opts ...nats.Option) error {
	opts = append([]nats.Option{
		nats.Name("rialto"),
		nats.MaxReconnects(-1),
		// What cannot be sent now is refused now: a write that waits in a buffer would be acknowledged to nobody.
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.opts.Logger.Warn("connection to the journal", "err", err)
		}),
	}, opts...)
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return err
	}
	s.nc = nc
	s.limit = int(nc.MaxPayload()) - messageOverhead
	s.js, err = jetstream.New(nc)
	return err
}

// unavailable is an error of a write that did not happen and may be tried again.
func unavailable(cause error, message string) error {
	return &rialto.Error{Kind: rialto.Unavailable, Message: message, Cause: cause}
}

// unknown is an error of a write that may have happened.
func unknown(cause error) error { return fmt.Errorf("%w: %w", ErrUnknown, cause) }

var errNoAck = fmt.Errorf("no acknowledgement within %v", ackWait)

// ErrFull is in the chain of the error of a write for which there is no room.
var ErrFull = errors.New("no room for the journal")

var errNoQuota = unavailable(fmt.Errorf("%w: the quota of the JetStream server is used up", ErrFull), "The journal occupies all that it may of its disk.")

// publish writes a message and returns its sequence number once it is acknowledged.
func (s *store) publish(ctx context.Context, msg *nats.Msg) (uint64, error) {
	if err := s.room(); err != nil {
		return 0, err
	}
	ctx, leave, err := s.gate.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	ctx, cancel := context.WithTimeoutCause(ctx, ackWait, errNoAck)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.written.Add(int64(len(msg.Data)))
	reply, err := s.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return 0, s.unacknowledged(ctx, err)
	}
	return readAck(reply.Data)
}

// unacknowledged tells a write that never left from one that nobody knows about.
func (s *store) unacknowledged(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return ErrTooLarge
	case errors.Is(err, nats.ErrNoResponders):
		s.suspect(err)
		return unavailable(err, "The journal cannot be reached at present.")
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return unavailable(err, "The journal cannot be reached at present.")
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err == errNoAck {
		s.suspect(err)
	}
	return unknown(err)
}

// Codes of the JetStream API.
const (
	codeWrongLastSequence = 10071
	codeWriteInFlight     = 10164 // of another message on that subject, in a cluster
	codeTooLarge          = 10054
	codeNoQuota           = 10023 // the streams occupy as much as the server may use
	codeNoStream          = 10059
)

func readAck(data []byte) (uint64, error) {
	var ack struct {
		Seq   uint64
		Error *jetstream.APIError
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return 0, unknown(fmt.Errorf("the acknowledgement is not JSON: %w", err))
	}
	if ack.Error == nil {
		return ack.Seq, nil
	}
	switch ack.Error.ErrorCode {
	case codeWrongLastSequence, codeWriteInFlight:
		return 0, ErrConflict
	case codeTooLarge:
		return 0, ErrTooLarge
	case codeNoQuota:
		return 0, errNoQuota
	}
	return 0, unavailable(ack.Error, "The journal takes no writes at present.")
}

// purge removes messages from the beginning or on a subject, or all of them.
func (s *store) purge(ctx context.Context, stream string, what ...jetstream.StreamPurgeOpt) error {
	ctx, leave, err := s.gate.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeoutCause(ctx, ackWait, errNoAck)
	defer cancel()
	st, err := s.js.Stream(ctx, stream)
	if err != nil {
		return s.failed(err)
	}
	return s.failed(st.Purge(ctx, what...))
}

// failed gives an error of the JetStream API its kind.
func (s *store) failed(err error) error {
	if err == nil || s.gate.closed() {
		return firstErr(s.gate.refusal(), err)
	}
	if _, ok := errors.AsType[*rialto.Error](err); ok {
		return err
	}
	return unavailable(err, "The journal does not answer at present.")
}

// ensureStream makes a stream if it is not there and may be made. It reports whether it was there.
func (s *store) ensureStream(ctx context.Context, cfg jetstream.StreamConfig, create bool) (existed bool, err error) {
	cfg.Retention, cfg.Storage, cfg.Discard = jetstream.LimitsPolicy, jetstream.FileStorage, jetstream.DiscardNew
	cfg.AllowDirect, cfg.DenyDelete = true, true
	cfg.Replicas = s.opts.Replicas
	st, err := s.js.Stream(ctx, cfg.Name)
	switch {
	case err == nil:
		is := st.CachedInfo().Config
		if is.Replicas == cfg.Replicas {
			return true, nil
		}
		is.Replicas = cfg.Replicas
		_, err := s.js.UpdateStream(ctx, is)
		return true, s.failed(err)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return false, s.failed(err)
	case !create:
		return false, nil
	}
	if err := s.room(); err != nil {
		return false, err
	}
	_, err = s.js.CreateStream(ctx, cfg)
	return false, s.failed(err)
}

// A damageFunc makes the [*DamageError] of a log or bucket.
type damageFunc func(first, last uint64, reason string) error

// attach opens a stream and its mark, or makes both. The mark is made first, so that a stream without one is known to have
// lost it, and it says whether a stream that is not there was ever written to.
func (s *store) attach(ctx context.Context, cfg jetstream.StreamConfig, mk marker, broken damageFunc) (mark, error) {
	m, err := mk.load(ctx)
	switch {
	case err == errMarkDamaged:
		return mark{}, broken(0, 0, err.Error())
	case err == errNoMark:
		if existed, err := s.ensureStream(ctx, cfg, false); err != nil {
			return mark{}, err
		} else if existed {
			return mark{}, broken(0, 0, "its high-water mark is missing")
		}
		if err := s.room(); err != nil {
			return mark{}, err
		}
		if err := mk.pin(ctx, mark{}); err != nil {
			return mark{}, err
		}
	case err != nil:
		return mark{}, err
	}
	existed, err := s.ensureStream(ctx, cfg, m.last == 0)
	if err != nil {
		return mark{}, err
	}
	if !existed && m.last > 0 {
		return mark{}, broken(1, m.last, "all of it is missing")
	}
	return m, nil
}

// state asks the server what a stream holds. While the gate is shut, that need not be what it will hold afterwards.
func (s *store) state(ctx context.Context, stream string) (jetstream.StreamState, error) {
	st, err := s.js.Stream(ctx, stream)
	if err != nil {
		return jetstream.StreamState{}, s.failed(err)
	}
	return st.CachedInfo().State, nil
}

// A getRequest asks for one message or for several, straight from the store: "direct get" in the API of JetStream. It needs
// no consumer and leaves nothing behind on the server.
type getRequest struct {
	Seq       uint64 `json:"seq,omitempty"`
	LastFor   string `json:"last_by_subj,omitempty"`
	NextFor   string `json:"next_by_subj,omitempty"`
	Batch     int    `json:"batch,omitempty"`
	MaxBytes  int    `json:"max_bytes,omitempty"`
	NoHeaders bool   `json:"no_hdr,omitempty"`
}

func directSubject(stream string) string { return "$JS.API.DIRECT.GET." + stream }

// Headers of an answer.
const (
	headerStatus  = "Status" // set in answers that are no message
	headerPending = "Nats-Num-Pending"
)

// errNone says that the server has no such message, or cannot read it.
var errNone = errors.New("no such message")

// get returns one message.
func (s *store) get(ctx context.Context, stream string, req getRequest) (*nats.Msg, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, replyWait)
	defer cancel()
	m, err := s.nc.RequestWithContext(ctx, directSubject(stream), body)
	if err != nil {
		return nil, s.failed(err)
	}
	switch m.Header.Get(headerStatus) {
	case "":
		return m, nil
	case "404":
		return nil, errNone
	}
	return nil, s.failed(fmt.Errorf("read from %s: status %s %s", stream, m.Header.Get(headerStatus), m.Header.Get("Description")))
}

// batch yields the messages from req.Seq on, as many as fit into one answer, and returns how many more there are. If there
// is none, or the first of them cannot be read, the error is errNone.
func (s *store) batch(ctx context.Context, stream string, req getRequest, yield func(*nats.Msg) error) (pending uint64, err error) {
	req.Batch, req.MaxBytes = batchRecords, batchBytes
	body, err := json.Marshal(req)
	if err != nil {
		return 0, err
	}
	answers := make(chan *nats.Msg, batchRecords+1)
	inbox := s.nc.NewRespInbox()
	sub, err := s.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return 0, s.failed(err)
	}
	defer sub.Unsubscribe()
	if err := s.nc.PublishRequest(directSubject(stream), inbox, body); err != nil {
		return 0, s.failed(err)
	}
	silence := time.NewTimer(replyWait)
	defer silence.Stop()
	for {
		var m *nats.Msg
		select {
		case m = <-answers:
		default:
			silence.Reset(replyWait)
			select {
			case m = <-answers:
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-silence.C:
				return 0, s.failed(fmt.Errorf("read from %s: silence for %v", stream, replyWait))
			}
		}
		switch status := m.Header.Get(headerStatus); status {
		case "":
			if err := yield(m); err != nil {
				return 0, err
			}
		case "204":
			return strconv.ParseUint(m.Header.Get(headerPending), 10, 64)
		case "404":
			return 0, errNone
		default:
			return 0, s.failed(fmt.Errorf("read from %s: status %s %s", stream, status, m.Header.Get("Description")))
		}
	}
}

// sequenceOf is the sequence number of a message that came with headers.
func sequenceOf(m *nats.Msg) uint64 {
	seq, _ := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	return seq
}

// insist repeats a check that finds damage, if replicas that lag may be the reason.
func (s *store) insist(ctx context.Context, check func() error) error {
	for try := 0; ; try++ {
		err := check()
		if _, damaged := errors.AsType[*DamageError](err); !damaged || try >= s.patience {
			return err
		}
		if err := s.pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause lets time pass.
func (s *store) pause(ctx context.Context, d time.Duration) error {
	t := s.opts.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Room is always nil: a cluster has quotas of its own.
func (s *store) Room() error { return nil }

func (s *store) Health() error {
	if err := s.gate.refusal(); err != nil {
		return err
	}
	if !s.nc.IsConnected() {
		return unavailable(nil, "The journal cannot be reached at present.")
	}
	return s.room()
}

func (s *store) Log(ctx context.Context, name string) (Log, error) {
	return open(s, &s.logs, name, func() (*streamLog, error) { return s.openLog(ctx, name) })
}

func (s *store) KV(ctx context.Context, bucket string) (KV, error) {
	return open(s, &s.kvs, bucket, func() (*streamKV, error) {
		return s.openKV(ctx, "bucket "+bucket, "rialto-kv-"+bucket, "rialto.kv."+bucket)
	})
}

func (s *store) Blob(ctx context.Context, bucket string) (Blob, error) {
	return open(s, &s.blobs, bucket, func() (*streamBlob, error) { return s.openBlob(ctx, bucket) })
}

// opened is what is open of one sort. The zero value is ready to use.
type opened[T any] struct {
	mu     sync.Mutex
	byName map[string]*place[T]
}

// A place is where one of them is, once it is open.
type place[T any] struct {
	mu sync.Mutex // held while it is opened
	is *T
}

func (o *opened[T]) at(name string) *place[T] {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byName == nil {
		o.byName = make(map[string]*place[T])
	}
	p := o.byName[name]
	if p == nil {
		p = new(place[T])
		o.byName[name] = p
	}
	return p
}

// all yields what is open. Nobody may be opening anything.
func (o *opened[T]) all(yield func(*T) bool) {
	for _, p := range o.byName {
		if p.is != nil && !yield(p.is) {
			return
		}
	}
}

// open returns what is open already under a name, or opens it.
func open[T any](s *store, o *opened[T], name string, fresh func() (*T, error)) (*T, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	s.opening.RLock()
	defer s.opening.RUnlock()
	if err := s.gate.refusal(); err != nil {
		return nil, err
	}
	p := o.at(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.is != nil {
		return p.is, nil
	}
	t, err := fresh()
	if err != nil {
		return nil, err
	}
	p.is = t
	return t, nil
}

// closeMarks keeps every mark for good.
func (s *store) closeMarks(ctx context.Context) error {
	s.opening.Lock()
	defer s.opening.Unlock()
	var errs []error
	for l := range s.logs.all {
		errs = append(errs, l.marker.close(ctx))
	}
	for kv := range s.kvs.all {
		errs = append(errs, kv.closeMark(ctx))
	}
	for b := range s.blobs.all {
		errs = append(errs, b.index.closeMark(ctx))
	}
	return errors.Join(errs...)
}
