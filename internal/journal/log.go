package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// fullCheckBytes is how much of a log is read when it is opened. Of a larger one that much is read at its end, and the rest
// is left to [Log.Scrub] and to whoever reads it.
const fullCheckBytes = 64 << 20

// A streamLog is a log on a JetStream stream. The sequence number of a record is that of its message.
type streamLog struct {
	store           *store
	name            string
	stream, subject string
	marker          marker

	mu     sync.Mutex
	mark   mark  // how far the log is known to reach
	damage error // found some time; every later call returns it
}

var _ Log = (*streamLog)(nil)

func (s *store) openLog(ctx context.Context, name string) (*streamLog, error) {
	l := &streamLog{store: s, name: name, stream: "rialto-log-" + name, subject: "rialto.log." + name}
	l.marker = s.marker("log-" + name)
	if err := l.open(ctx); err != nil {
		_ = l.marker.close(ctx)
		return nil, fmt.Errorf("open log %s: %w", name, err)
	}
	return l, nil
}

func (l *streamLog) open(ctx context.Context) error {
	cfg := jetstream.StreamConfig{Name: l.stream, Subjects: []string{l.subject}, MaxMsgSize: MaxRecord + messageOverhead}
	return l.store.insist(ctx, func() error {
		m, err := l.store.attach(ctx, cfg, l.marker, l.broken)
		if err != nil {
			return err
		}
		m.first = max(m.first, 1)
		l.mark = m
		return l.check(ctx)
	})
}

// check compares the log with its mark, reads its end, and moves the mark to it.
func (l *streamLog) check(ctx context.Context) error {
	st, err := l.store.state(ctx, l.stream)
	if err != nil {
		return err
	}
	l.mu.Lock()
	m := l.mark
	l.mu.Unlock()
	first, last := boundsOf(st)
	switch {
	case last < m.last:
		return l.broken(last+1, m.last, missing(last+1, m.last))
	case first > m.first:
		return l.broken(m.first, first-1, missing(m.first, first-1))
	}
	from := first
	whole := st.Msgs == last-first+1
	if whole && st.Bytes > fullCheckBytes {
		from = last - uint64(float64(st.Msgs)*fullCheckBytes/float64(st.Bytes))
		from = max(first, min(from, m.last))
	}
	end := m
	err = l.read(ctx, from, last, func(seq uint64, record []byte) error {
		end.last, end.hash = seq, HashOf(record)
		return nil
	})
	if err != nil {
		return err
	}
	if !whole {
		return l.broken(first, last, fmt.Sprintf("it has %d records instead of %d", st.Msgs, last-first+1))
	}
	if end.last != last {
		end.last, end.hash = last, Hash{} // all is truncated, and the mark too old to tell the hash of the last
	}
	l.mu.Lock()
	l.mark = end
	l.mu.Unlock()
	return l.marker.keep(ctx, end)
}

func boundsOf(st jetstream.StreamState) (first, last uint64) {
	if st.Msgs == 0 {
		return st.LastSeq + 1, st.LastSeq
	}
	return st.FirstSeq, st.LastSeq
}

func (l *streamLog) Name() string { return l.name }

func (l *streamLog) MaxRecord() int { return min(MaxRecord, l.store.limit) }

func (l *streamLog) Append(ctx context.Context, expected uint64, record []byte) (uint64, error) {
	seq, err := l.append(ctx, expected, record)
	if err != nil {
		return 0, fmt.Errorf("append record %d to log %s: %w", expected+1, l.name, err)
	}
	return seq, nil
}

func (l *streamLog) append(ctx context.Context, expected uint64, record []byte) (uint64, error) {
	f, err := checkAppend(l.name, l.MaxRecord(), expected, record)
	if err != nil {
		return 0, err
	}
	if err := l.follows(expected, f.Prev); err != nil {
		return 0, err
	}
	msg := nats.NewMsg(l.subject)
	msg.Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(expected, 10))
	msg.Data = record
	seq, err := l.store.publish(ctx, msg)
	if err != nil {
		return 0, err
	}
	if seq != expected+1 {
		return 0, l.refuse(seq, seq, fmt.Sprintf("record %d was stored as number %d", expected+1, seq))
	}
	l.reached(ctx, seq, HashOf(record))
	return seq, nil
}

// follows refuses a record that does not continue the log as it is known here.
func (l *streamLog) follows(expected uint64, prev Hash) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.damage != nil {
		return l.damage
	}
	if l.mark.last == expected && l.mark.hash != prev && l.mark.hash != (Hash{}) {
		return errors.New("the frame follows another record than the last")
	}
	return nil
}

// reached moves the mark forward: the record seq is known to be stored. A mark that cannot be written is behind, and no
// worse.
func (l *streamLog) reached(ctx context.Context, seq uint64, hash Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq <= l.mark.last {
		return
	}
	l.mark.last, l.mark.hash = seq, hash
	if err := l.marker.keep(ctx, l.mark); err != nil {
		l.store.opts.Logger.Warn("high-water mark was not kept", "log", l.name, "err", err)
	}
}

func (l *streamLog) Read(ctx context.Context, from uint64, yield func(seq uint64, record []byte) error) error {
	if err := l.known(); err != nil {
		return err
	}
	first, last, err := l.Bounds(ctx)
	if err != nil {
		return err
	}
	var ended error // by yield
	err = l.store.insist(ctx, func() error {
		return l.read(ctx, max(from, first), last, func(seq uint64, record []byte) error {
			from = seq + 1 // where another try goes on
			if ended = yield(seq, record); ended != nil {
				return errStop
			}
			return nil
		})
	})
	return firstErr(ended, err)
}

func (l *streamLog) known() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.damage
}

// errStop ends a batch early.
var errStop = errors.New("stop")

// read yields the records from to last, each checked.
func (l *streamLog) read(ctx context.Context, from, last uint64, yield func(seq uint64, record []byte) error) error {
	l.mu.Lock()
	m := l.mark
	l.mu.Unlock()
	chain := NewChain(l.name, from)
	for next := from; next <= last; {
		began := next
		_, err := l.store.batch(ctx, l.stream, getRequest{Seq: next, NoHeaders: true}, func(msg *nats.Msg) error {
			if next > last {
				return errStop
			}
			if _, err := chain.Next(msg.Data); err != nil {
				return err
			}
			if next == m.last && HashOf(msg.Data) != m.hash {
				return l.broken(next, next, fmt.Sprintf("record %d is not the one that was acknowledged", next))
			}
			next++
			return yield(next-1, msg.Data)
		})
		if err == errStop {
			return nil
		}
		if err != nil && err != errNone {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return l.truncatedMeanwhile(ctx, next, err)
		}
		if next == began {
			return l.truncatedMeanwhile(ctx, next, l.broken(next, next, fmt.Sprintf("record %d cannot be read", next)))
		}
	}
	return nil
}

// truncatedMeanwhile returns err, unless it is damage that Truncate explains.
func (l *streamLog) truncatedMeanwhile(ctx context.Context, seq uint64, err error) error {
	if _, damaged := errors.AsType[*DamageError](err); !damaged {
		return err
	}
	if first, _, berr := l.Bounds(ctx); berr == nil && seq < first {
		return fmt.Errorf("read log %s at %d: %w", l.name, seq, ErrTruncated)
	}
	return err
}

func (l *streamLog) Get(ctx context.Context, seq uint64) ([]byte, error) {
	var record []byte
	err := l.store.insist(ctx, func() (err error) {
		record, err = l.get(ctx, seq)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read record %d of log %s: %w", seq, l.name, err)
	}
	return record, nil
}

func (l *streamLog) get(ctx context.Context, seq uint64) ([]byte, error) {
	l.mu.Lock()
	m, damage := l.mark, l.damage
	l.mu.Unlock()
	switch refusal := l.store.gate.refusal(); {
	case damage != nil:
		return nil, damage
	case seq == 0:
		return nil, ErrTruncated
	case refusal != nil && seq > m.last:
		return nil, refusal // the server may be about to forget what it has not acknowledged
	}
	msg, err := l.store.get(ctx, l.stream, getRequest{Seq: seq})
	if err == errNone {
		return nil, l.absent(ctx, seq)
	}
	if err != nil {
		return nil, err
	}
	f, err := NewChain(l.name, seq).Next(msg.Data)
	if err != nil {
		return nil, err
	}
	hash := HashOf(msg.Data)
	if seq == m.last && hash != m.hash {
		return nil, l.broken(seq, seq, fmt.Sprintf("record %d is not the one that was acknowledged", seq))
	}
	if seq == m.last+1 && f.Prev == m.hash {
		l.reached(ctx, seq, hash)
	}
	return msg.Data, nil
}

// absent says why a record is not there.
func (l *streamLog) absent(ctx context.Context, seq uint64) error {
	first, last, err := l.Bounds(ctx)
	switch {
	case err != nil:
		return err
	case seq < first:
		return ErrTruncated
	case seq > last:
		return ErrNotFound
	}
	return l.broken(seq, seq, fmt.Sprintf("record %d cannot be read", seq))
}

func (l *streamLog) Truncate(ctx context.Context, before uint64) error {
	if err := l.truncate(ctx, before); err != nil {
		return fmt.Errorf("truncate log %s before record %d: %w", l.name, before, err)
	}
	return nil
}

// truncate moves the mark first: records above it that are missing are damage, records below it that are still there are not.
func (l *streamLog) truncate(ctx context.Context, before uint64) error {
	first, last, err := l.Bounds(ctx)
	switch {
	case err != nil:
		return err
	case before > last+1:
		return fmt.Errorf("the last is %d", last)
	case before <= first:
		return nil
	}
	l.mu.Lock()
	if before > l.mark.first {
		l.mark.first = before
	}
	err = l.marker.pin(ctx, l.mark)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.store.purge(ctx, l.stream, jetstream.WithPurgeSequence(before))
}

func (l *streamLog) Bounds(ctx context.Context) (first, last uint64, err error) {
	if err := l.known(); err != nil {
		return 0, 0, err
	}
	if err := l.store.gate.refusal(); err != nil {
		return 0, 0, err
	}
	st, err := l.store.state(ctx, l.stream)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the bounds of log %s: %w", l.name, err)
	}
	first, last = boundsOf(st)
	return first, last, nil
}

func (l *streamLog) Scrub(ctx context.Context) error {
	err := l.Read(ctx, 1, func(uint64, []byte) error { return nil })
	if errors.Is(err, ErrTruncated) {
		return nil // its beginning went away meanwhile
	}
	return err
}

// recheck looks again after the server was replaced. What is missing now is damage for good.
func (l *streamLog) recheck(ctx context.Context) {
	err := l.check(ctx)
	if d, damaged := errors.AsType[*DamageError](err); damaged {
		_ = l.refuse(d.First, d.Last, d.Reason)
	}
}

// refuse notes damage, so that every later call returns it.
func (l *streamLog) refuse(first, last uint64, reason string) error {
	err := l.broken(first, last, reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.damage = err
	l.store.opts.Logger.Error("log is damaged and refused", "log", l.name, "err", err)
	return err
}

func (l *streamLog) broken(first, last uint64, reason string) error {
	return &DamageError{Log: "log " + l.name, First: first, Last: last, Reason: reason}
}
