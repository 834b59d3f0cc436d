package history

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/jsonpath"
)

const (
	sealBytes  = 4 << 20         // of events that wait, which are sealed at once
	sealAfter  = 5 * time.Second // that an event waits at most for others
	sealSpan   = 24 * time.Hour  // between the first and the last acceptance of a segment: it goes when its youngest event is too old
	retryPause = time.Second     // between two tries to seal
	askAgain   = 10              // times that a write of unknown outcome is repeated before the seal is begun anew
	writePause = 10 * time.Millisecond
)

// A store is what one archive has.
//
// To seal: read what waits, write a blob, swap the ledger, settle. Whatever fails on the way, what waits goes on waiting.
type store struct {
	service *Service
	id      string
	name    string       // as AWS calls it, for the log
	keep    atomic.Int64 // retention, in nanoseconds; 0 is for ever
	changed atomic.Bool  // there may be something to merge

	write  sync.Mutex // held while a ledger is replaced
	rev    uint64     // of the ledger in the bucket, 0 if there is none; guarded by write
	doubts []string   // segments of ledgers that may still be stored, until another one is known to be; guarded by write

	mu      sync.Mutex
	ledger  *ledger
	waiting []waiting
	from    uint64    // how many came before the first that waits
	size    int       // bytes of those that wait, about
	since   time.Time // when the first of them came
	retry   time.Time // not before this time, since sealing has failed; zero is at once
	gone    bool      // the archive is deleted
}

// A waiting event is in its shard's log, and not in a segment yet.
type waiting struct {
	deliver.Retained
	bytes int32 // of its JSON; 0 is not known yet, and less that it cannot be read
}

func (st *store) blob(segment string) string { return st.id + "/" + segment }

// retention is how long events are kept; 0 is for ever.
func (st *store) retention() time.Duration { return time.Duration(st.keep.Load()) }

// oldest is the first hour of acceptance whose events are not too old.
func (st *store) oldest() int64 {
	keep := st.retention()
	if keep <= 0 {
		return noSpan.last // before all
	}
	return hourOf(st.service.opts.Clock.Now().Add(-keep).UnixMicro())
}

// disposable is the first hour of acceptance whose events are not to be removed.
func (st *store) disposable() int64 {
	if !st.service.proven.Load() {
		return noSpan.last // before all
	}
	return st.oldest()
}

// follow takes the archive's definition.
func (st *store) follow(a *catalog.Archive) { st.keep.Store(int64(a.Retention())) }

// take takes deliveries. The owner of a shard calls it.
func (st *store) take(list []deliver.Retained) {
	st.mu.Lock()
	defer st.mu.Unlock()
	var settle []deliver.Retained
	wasEmpty := len(st.waiting) == 0
	for _, r := range list {
		if st.gone || st.ledger.sealed(r.Shard, r.Key) {
			settle = append(settle, r)
			continue
		}
		st.waiting = append(st.waiting, waiting{Retained: r})
		st.size += r.Size()
	}
	if len(settle) > 0 {
		st.service.source.Settle(settle)
	}
	if wasEmpty {
		st.since = st.service.opts.Clock.Now()
	}
	if wasEmpty && len(st.waiting) > 0 || st.size >= sealBytes {
		st.service.wakeSealer()
	}
}

// due is when the store wants to seal; ok is false if it does not.
func (st *store) due() (at time.Time, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case len(st.waiting) == 0:
		return time.Time{}, false
	case st.size >= sealBytes:
		return st.retry, true
	}
	at = st.since.Add(sealAfter)
	if st.retry.After(at) {
		at = st.retry
	}
	return at, true
}

// arrived is how many events ever came.
func (st *store) arrived() uint64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.from + uint64(len(st.waiting))
}

// sealUntil seals until the first so many events that ever came are sealed.
func (st *store) sealUntil(ctx context.Context, arrived uint64) error {
	for {
		st.mu.Lock()
		done := st.from >= arrived || len(st.waiting) == 0
		st.mu.Unlock()
		if done {
			return nil
		}
		if err := st.seal(ctx); err != nil {
			return err
		}
	}
}

// errMoved says that the ledger is another than was thought.
var errMoved = errors.New("another process has changed the archive")

// seal makes a segment of the first events that wait.
func (st *store) seal(ctx context.Context) error {
	st.write.Lock()
	defer st.write.Unlock()
	batch := st.batch()
	if len(batch) == 0 {
		return nil
	}
	events, n, err := st.read(ctx, batch)
	if err != nil {
		return fmt.Errorf("read events for the archive %s: %w", st.name, err)
	}
	batch = batch[:n]
	now := st.current()
	var segments []segmentInfo
	if len(events) > 0 {
		info, err := st.store(ctx, events)
		if err != nil {
			return fmt.Errorf("store a segment of the archive %s: %w", st.name, err)
		}
		segments = append(segments, info)
	}
	err = st.swap(ctx, now.with(segments, marksAfter(now.marks, batch)))
	if err != nil && !errors.Is(err, errMoved) { // then what waits is known now, and the caller looks again
		return fmt.Errorf("seal events of the archive %s: %w", st.name, err)
	}
	return nil
}

func (st *store) current() *ledger {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.ledger
}

// batch is the first events that wait, as many as go into a segment.
func (st *store) batch() []waiting {
	st.mu.Lock()
	defer st.mu.Unlock()
	n, size := 0, 0
	for n < len(st.waiting) && (n == 0 || size+st.waiting[n].Size() <= sealBytes) {
		size += st.waiting[n].Size()
		n++
	}
	return slices.Clone(st.waiting[:n])
}

// marksAfter is the marks once a batch is sealed. The keys of each shard grow, in a batch and from one to the next.
func marksAfter(marks []uint64, batch []waiting) []uint64 {
	next := slices.Clone(marks)
	for _, w := range batch {
		for int(w.Shard) >= len(next) {
			next = append(next, 0)
		}
		next[w.Shard] = max(next[w.Shard], w.Key+1)
	}
	return next
}

// read reads the first n events of a batch, which may go into one segment, and sorts them.
func (st *store) read(ctx context.Context, batch []waiting) (events []Entry, n int, err error) {
	accepted := noSpan
	for n = range batch {
		e, err := st.service.source.ReadRetained(ctx, batch[n].Retained)
		switch {
		case errors.Is(err, deliver.ErrSettled):
			continue // and somebody has stored it
		case errors.Is(err, deliver.ErrUnreadable): // it would keep all others waiting
			st.service.lost(st, err)
			continue
		case err != nil:
			return nil, 0, err
		}
		entry := entryOf(e, batch[n].Retained)
		accepted = accepted.with(entry.Position.Accepted)
		if accepted.last-accepted.first > sealSpan.Microseconds() && n > 0 {
			return sorted(events), n, nil
		}
		events = append(events, entry)
	}
	return sorted(events), len(batch), nil
}

func sorted(events []Entry) []Entry {
	slices.SortFunc(events, func(a, b Entry) int { return a.Position.Compare(b.Position) })
	return events
}

// entryOf is an event as it is kept.
func entryOf(e *deliver.Accepted, r deliver.Retained) Entry {
	at := e.Accepted
	for name, value := range jsonpath.Members(e.Event) {
		if string(name) != "time" {
			continue
		}
		if t, err := time.Parse(time.RFC3339, string(bytes.Trim(value, `"`))); err == nil {
			at = t
		}
		break
	}
	return Entry{
		Position: Position{Time: at.UnixMicro(), Accepted: e.Accepted.UnixMicro(), Shard: r.Shard, Key: r.Key + 1},
		Event:    e.Event,
	}
}

// store writes a segment that no ledger names yet.
func (st *store) store(ctx context.Context, events []Entry) (segmentInfo, error) {
	w := newSegmentWriter(st.id)
	for _, e := range events {
		w.add(e)
	}
	return st.put(ctx, w)
}

func (st *store) put(ctx context.Context, w *segmentWriter) (segmentInfo, error) {
	data, info := w.finish()
	var id [8]byte
	rand.Read(id[:])
	info.name = hex.EncodeToString(id[:])
	return info, st.service.blobs.Put(ctx, st.blob(info.name), data)
}

// swap replaces the ledger, and settles what the new one says is sealed. The error is errMoved if the ledger was another: then that one is known
// now. After any other it is not known which of the two it is. Blobs that are named no more, or not after all, are removed. st.write is held.
func (st *store) swap(ctx context.Context, next *ledger) error {
	value, was := next.append(nil), st.current()
	if len(value) > journal.MaxValue {
		st.discard(ctx, next, was)
		return rialto.Errorf(rialto.Exceeded, "The archive has %d segments, more than one archive can have.", len(next.segments))
	}
	rev, err := st.update(ctx, value)
	doubt := errors.Is(err, journal.ErrUnknown)
	for try := 0; errors.Is(err, journal.ErrUnknown) && try < askAgain && ctx.Err() == nil; try++ {
		rev, err = st.update(ctx, value) // the same again: it does not matter which of them is stored
	}
	switch {
	case errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrExists):
		err := st.reread(ctx, value, next, was)
		if err != nil && !errors.Is(err, errMoved) {
			st.doubt(next, was)
		}
		return err
	case err != nil && doubt:
		st.doubt(next, was)
		return fmt.Errorf("%w (%v)", journal.ErrUnknown, err) // it may still be stored, and then its segment must be there
	case err != nil:
		st.discard(ctx, next, was) // it was refused, and the blob is nobody's
		return err
	}
	st.settled(ctx, was, next, rev)
	return nil
}

// doubt notes what has to go unless the ledger turns out to be stored.
func (st *store) doubt(next, was *ledger) { st.doubts = append(st.doubts, next.names(was)...) }

// settled follows a swap of which the outcome is known: this ledger is stored in the place of the former. What was in doubt expected an older
// revision: either it was stored before, and this ledger follows it, or it never will be. So the segments that this one does not name are nobody's.
func (st *store) settled(ctx context.Context, former, is *ledger, rev uint64) {
	st.adopt(is, rev)
	st.discard(ctx, former, is)
	for _, name := range st.doubts {
		if !is.has(name) {
			st.remove(ctx, name)
		}
	}
	st.doubts = nil
}

func (st *store) update(ctx context.Context, value []byte) (uint64, error) {
	if st.rev == 0 {
		return st.service.kv.Create(ctx, st.id, value)
	}
	return st.service.kv.Update(ctx, st.id, value, st.rev)
}

// reread takes the ledger that is stored in the place of the one that was to be replaced. It may be the very one that was to replace it.
func (st *store) reread(ctx context.Context, value []byte, next, was *ledger) error {
	for range askAgain {
		e, err := st.service.kv.Get(ctx, st.id)
		switch {
		case errors.Is(err, journal.ErrNotFound) && st.rev > 0:
			st.drop()
			return errMoved
		case err != nil && !errors.Is(err, journal.ErrNotFound):
			return err
		case err == nil && bytes.Equal(e.Value, value):
			st.settled(ctx, was, next, e.Rev)
			return nil
		case err == nil && e.Rev > st.rev:
			stored, err := parseLedger(e.Value)
			if err != nil {
				return err
			}
			st.settled(ctx, next, stored, e.Rev)
			return errMoved
		}
		if !st.service.pause(ctx, writePause) { // a replica was behind
			return ctx.Err()
		}
	}
	return journal.ErrUnknown
}

// adopt makes a ledger that is stored the present one. What waits and is sealed by it does not wait any more.
func (st *store) adopt(l *ledger, rev uint64) {
	st.rev = rev
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ledger, st.retry = l, time.Time{}
	st.changed.Store(true)
	var settle []deliver.Retained
	kept := st.waiting[:0]
	for i, w := range st.waiting {
		if !l.sealed(w.Shard, w.Key) {
			kept = append(kept, w)
			continue
		}
		if len(kept) == 0 {
			st.from++
		}
		settle = append(settle, st.waiting[i].Retained)
		st.size -= w.Size()
	}
	if st.waiting = kept; len(kept) == 0 {
		st.waiting = nil // a long list was an exception
	}
	st.since = st.service.opts.Clock.Now()
	st.service.source.Settle(settle)
}

// discard removes the blobs that one ledger names and another does not.
func (st *store) discard(ctx context.Context, named, by *ledger) {
	for _, name := range named.names(by) {
		st.remove(ctx, name)
	}
}

// remove removes the blob of a segment. If it cannot, the next start does.
func (st *store) remove(ctx context.Context, segment string) {
	st.service.cache.remove(st.blob(segment))
	if err := st.service.blobs.Delete(ctx, st.blob(segment)); err != nil {
		st.service.opts.Logger.Warn("segment of an archive not removed", "archive", st.name, "segment", segment, "err", err)
	}
}

// drop lets go of everything that waits: the archive is deleted.
func (st *store) drop() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.gone = true
	var settle []deliver.Retained
	for _, w := range st.waiting {
		settle = append(settle, w.Retained)
	}
	st.from += uint64(len(st.waiting))
	st.waiting, st.size = nil, 0
	if st.service.source != nil {
		st.service.source.Settle(settle)
	}
}

// purge removes all that the archive has: the ledger first, so that no segment is missed.
func (st *store) purge(ctx context.Context) error {
	st.write.Lock()
	defer st.write.Unlock()
	st.drop()
	if err := st.service.kv.Delete(ctx, st.id, 0); err != nil {
		return fmt.Errorf("remove the ledger of the archive %s: %w", st.name, err)
	}
	st.forget()
	names, err := st.service.blobs.List(ctx, st.id+"/")
	if err != nil {
		return fmt.Errorf("list the segments of the archive %s: %w", st.name, err)
	}
	for _, name := range names {
		st.service.cache.remove(name)
		if err := st.service.blobs.Delete(ctx, name); err != nil {
			return fmt.Errorf("remove a segment of the archive %s: %w", st.name, err)
		}
	}
	return nil
}

// forget lets a merge that is under way find nothing that it could replace.
func (st *store) forget() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ledger = new(ledger)
}

// count is what the archive has of the first so many events that ever came; ok is false if one of them was not measured.
func (st *store) count(arrived uint64) (t Total, ok bool) {
	oldest := st.oldest()
	st.mu.Lock()
	defer st.mu.Unlock()
	t = st.ledger.total(oldest)
	for i, w := range st.waiting {
		if st.from+uint64(i) >= arrived {
			break
		}
		if w.bytes == 0 {
			return Total{}, false
		}
		if w.bytes > 0 {
			t = t.plus(Total{1, int64(w.bytes)})
		}
	}
	return t, true
}

// measure finds out how large the events are that wait.
func (st *store) measure(ctx context.Context, arrived uint64) error {
	st.mu.Lock()
	from, list := st.from, slices.Clone(st.waiting)
	st.mu.Unlock()
	sizes := make([]int32, len(list))
	for i, w := range list {
		if from+uint64(i) >= arrived {
			break
		}
		if sizes[i] = w.bytes; w.bytes != 0 {
			continue
		}
		e, err := st.service.source.ReadRetained(ctx, w.Retained)
		switch {
		case errors.Is(err, deliver.ErrSettled) || errors.Is(err, deliver.ErrUnreadable):
			sizes[i] = -1
		case err != nil:
			return err
		default:
			sizes[i] = int32(len(e.Event))
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	sized := make(map[deliver.Retained]int32)
	for i, w := range list {
		sized[w.Retained] = sizes[i]
	}
	for i := range st.waiting {
		if n := sized[st.waiting[i].Retained]; n != 0 {
			st.waiting[i].bytes = n
		}
	}
	return nil
}
