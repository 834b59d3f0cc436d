package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rialto-events/rialto"
)

const (
	markEvery     = time.Second // how often the mark of a log on a cluster is kept
	lagTries      = 20          // how often a finding of damage is looked at again, since replicas may lag
	minMaxPayload = 256 << 10   // bytes that a server must take as a message: less is no place for events
)

// An external journal is on a JetStream server or cluster of its own.
type external struct {
	*store
	marks *streamKV
	once  sync.Once
	err   error // of Close
}

// OpenExternal opens the journal on the JetStream server or cluster at url, such as "nats://a:4222,nats://b:4222". Several
// processes may have it open; the expected sequence number of [Log.Append] decides between them.
func OpenExternal(ctx context.Context, url string, opts Options) (Journal, error) {
	e := &external{store: newStore(opts)}
	if r := e.opts.Replicas; r != 1 && r != 3 {
		return nil, rialto.Errorf(rialto.Invalid, "A journal keeps 1 or 3 replicas, not %d.", r)
	}
	e.patience, e.marker = lagTries, e.markOf
	more := []nats.Option{nats.ReconnectWait(250 * time.Millisecond)}
	if opts.Credentials != "" {
		more = append(more, nats.UserCredentials(opts.Credentials))
	}
	if err := e.connect(url, more...); err != nil {
		return nil, fmt.Errorf("connect to the journal at %s: %w", url, err)
	}
	if err := e.open(ctx); err != nil {
		e.nc.Close()
		return nil, fmt.Errorf("open the journal at %s: %w", e.nc.ConnectedUrlRedacted(), err)
	}
	return e, nil
}

func (e *external) open(ctx context.Context) error {
	if got := e.nc.MaxPayload(); got < minMaxPayload {
		return rialto.Errorf(rialto.Invalid, "The NATS server takes messages of up to %d bytes; set its max_payload to %d or more.",
			got, minMaxPayload)
	}
	marks, err := e.openKV(ctx, "the high-water marks", "rialto-marks", "rialto.marks")
	e.marks = marks
	return err
}

func (e *external) markOf(of string) marker {
	return &sharedMark{kv: e.marks, key: of, clock: e.opts.Clock}
}

// Close ends calls in progress, keeps the marks, and closes the connection.
func (e *external) Close(ctx context.Context) error {
	e.once.Do(func() {
		e.err = e.closeMarks(ctx)
		e.gate.shut(ErrClosed)
		e.nc.Close()
	})
	return e.err
}

// A sharedMark is a mark in a bucket of the cluster, where every owner of the log moves it forward: at most every second,
// since it costs a write.
type sharedMark struct {
	kv    *streamKV
	key   string
	clock rialto.Clock

	mu   sync.Mutex
	held mark // what is not kept yet, or the zero mark
	kept time.Time
}

func (s *sharedMark) load(ctx context.Context) (mark, error) {
	m, _, err := s.stored(ctx)
	return m, err
}

func (s *sharedMark) stored(ctx context.Context) (mark, uint64, error) {
	e, err := s.kv.Get(ctx, s.key)
	if errors.Is(err, ErrNotFound) {
		return mark{}, 0, errNoMark
	}
	if err != nil {
		return mark{}, 0, fmt.Errorf("read the high-water mark: %w", err)
	}
	m, _, ok := readMark(e.Value)
	if !ok {
		return mark{}, 0, errMarkDamaged
	}
	return m, e.Rev, nil
}

func (s *sharedMark) keep(ctx context.Context, m mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = m
	if now := s.clock.Now(); now.Sub(s.kept) >= markEvery {
		s.kept = now
		return s.move(ctx, m)
	}
	return nil
}

func (s *sharedMark) pin(ctx context.Context, m mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.move(ctx, m)
}

func (s *sharedMark) close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == (mark{}) {
		return nil
	}
	return s.move(ctx, s.held)
}

// move brings the stored mark forward to m. Another owner may have brought it further.
func (s *sharedMark) move(ctx context.Context, m mark) error {
	s.held = mark{}
	for range maxTries {
		was, rev, err := s.stored(ctx)
		switch {
		case errors.Is(err, errNoMark):
			_, err = s.kv.Create(ctx, s.key, m.append(nil, 1))
		case err == nil:
			if was.last > m.last {
				m.last, m.hash = was.last, was.hash
			}
			m.first = max(m.first, was.first)
			if m == was {
				return nil
			}
			_, err = s.kv.Update(ctx, s.key, m.append(nil, rev+1), rev)
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) {
			return err
		}
	}
	return fmt.Errorf("keep the high-water mark: %w", ErrConflict)
}
