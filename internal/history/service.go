package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

// tendEvery is how often old segments are looked for.
const tendEvery = time.Minute

// What is too old is not counted and not read any more, at once. It is removed only by a clock that has run for a while, since the start or since it was
// set: one that was wrong, as that of a machine that has just started may be, is mostly put right by then, and everything is there again.
const (
	clockProven = 10 * time.Minute
	clockJump   = time.Minute // by which it may be corrected meanwhile
)

// Options tunes a Service. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
}

// A Service keeps the events of all archives. Its methods take the ID of an archive, [catalog.Archive.ID]; if there is none, or no more,
// the error has the kind [rialto.NotFound].
type Service struct {
	opts    Options
	kv      journal.KV
	blobs   journal.Blob
	cache   *cache
	source  Source
	sealing chan struct{} // has a value when a store may want to seal earlier than was thought
	tending chan struct{} // has a value when there is something to merge or to remove
	damaged atomic.Int64
	tended  time.Time // when all stores were last; this and the next are for tend alone
	clock   runOfClock
	proven  atomic.Bool // the clock is right, as far as can be told

	mu      sync.Mutex
	stores  map[string]*store
	deleted map[string]*store // that are to be purged
	damages map[damage]bool   // that were logged
}

var _ deliver.Retainer = (*Service)(nil)

// Source is where events come from: package deliver's Deliverer.
type Source interface {
	ReadRetained(ctx context.Context, r deliver.Retained) (*deliver.Accepted, error)
	Settle(list []deliver.Retained)
	HandedOut(ctx context.Context) error
}

var _ Source = (*deliver.Deliverer)(nil)

// Open reads what is stored, and removes what an interrupted process has left. It gets the bucket and the blobs "history".
func Open(ctx context.Context, kv journal.KV, blobs journal.Blob, c *catalog.Catalog, opts Options) (*Service, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	s := &Service{
		opts: opts, kv: kv, blobs: blobs, cache: newCache(cacheBytes),
		sealing: make(chan struct{}, 1), tending: make(chan struct{}, 1),
		stores: make(map[string]*store), deleted: make(map[string]*store), damages: make(map[damage]bool),
	}
	c.Archives.Follow(s.follow)
	if err := s.load(ctx); err != nil {
		return nil, fmt.Errorf("read what archives have kept: %w", err)
	}
	return s, nil
}

// follow takes over a change of the catalog.
func (s *Service) follow(_ string, was, is *catalog.Archive) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was != nil && (is == nil || is.ID != was.ID) {
		if st, ok := s.stores[was.ID]; ok {
			delete(s.stores, was.ID)
			s.deleted[was.ID] = st
			st.drop()
			wake(s.tending)
		}
	}
	if is == nil {
		return
	}
	st, ok := s.stores[is.ID]
	if !ok {
		st = &store{service: s, id: is.ID, name: is.Name, ledger: new(ledger)}
		s.stores[is.ID] = st
	}
	st.follow(is)
}

// load reads the ledgers, and sweeps.
func (s *Service) load(ctx context.Context) error {
	entries, err := s.kv.List(ctx, "")
	if err != nil {
		return err
	}
	for _, e := range entries {
		st, ok := s.stores[e.Key]
		if !ok { // deleted, and the process ended before it was purged
			s.deleted[e.Key] = &store{service: s, id: e.Key, name: e.Key, ledger: new(ledger), gone: true}
			continue
		}
		if st.ledger, err = parseLedger(e.Value); err != nil {
			return fmt.Errorf("archive %s: %w", st.name, err)
		}
		st.rev = e.Rev
	}
	wake(s.tending)
	if err := s.sweep(ctx); err != nil {
		s.opts.Logger.Warn("what archives have left was not removed", "err", err)
	}
	return nil
}

// sweep removes the segments that no ledger names. Another process may be about to name one, if it has not heard yet that its shards are
// ours: so a ledger is replaced first, which makes that fail.
func (s *Service) sweep(ctx context.Context) error {
	names, err := s.blobs.List(ctx, "")
	if err != nil {
		return err
	}
	ours := make(map[*store]bool)
	for _, name := range names {
		id, segment, _ := strings.Cut(name, "/")
		st := s.stores[id]
		if st != nil && st.ledger.has(segment) {
			continue
		}
		if st != nil && !ours[st] {
			next := st.ledger.with(nil, st.ledger.marks)
			rev, err := st.update(ctx, next.append(nil))
			if err != nil {
				return err
			}
			st.ledger, st.rev, ours[st] = next, rev, true
		}
		if err := s.blobs.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// Attach tells where events come from. It is called once, before anything is handed over.
func (s *Service) Attach(source Source) { s.source = source }

// Run seals, merges and removes until ctx ends. What is not sealed then is in the log, and is handed out again at the next start.
func (s *Service) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { s.repeat(ctx, s.sealing, s.sealDue) })
	all.Go(func() { s.repeat(ctx, s.tending, s.tend) })
	all.Wait()
	return nil
}

// repeat calls f whenever it is woken, and after the time that f itself asks for.
func (s *Service) repeat(ctx context.Context, woken <-chan struct{}, f func(context.Context) time.Duration) {
	for ctx.Err() == nil {
		timer := s.opts.Clock.NewTimer(f(ctx))
		select {
		case <-timer.C():
		case <-woken:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (s *Service) wakeSealer() { wake(s.sealing) }

func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// pause waits, and reports whether it was to the end.
func (s *Service) pause(ctx context.Context, d time.Duration) bool {
	timer := rialto.Real(s.opts.Clock).NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// all is the stores, in the order of their IDs.
func (s *Service) all() []*store {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Collect(maps.Values(s.stores))
	slices.SortFunc(list, func(a, b *store) int { return strings.Compare(a.id, b.id) })
	return list
}

// store returns the store of an archive.
func (s *Service) store(archive string) (*store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, ok := s.stores[archive]; ok {
		return st, nil
	}
	return nil, rialto.Errorf(rialto.NotFound, "Archive resource not found.")
}

// sealDue seals one segment of each archive for which it is time, and returns when it will be again.
func (s *Service) sealDue(ctx context.Context) time.Duration {
	wait := sealAfter
	for _, st := range s.all() {
		at, ok := st.due()
		if ok && ctx.Err() == nil && !at.After(s.opts.Clock.Now()) {
			if err := st.seal(ctx); err != nil && ctx.Err() == nil {
				s.opts.Logger.Warn("events of an archive not sealed, trying again", "archive", st.name, "err", err)
				st.later()
			}
			wake(s.tending)
			at, ok = st.due()
		}
		if ok {
			wait = min(wait, at.Sub(s.opts.Clock.Now()))
		}
	}
	return wait
}

// later puts the next try off.
func (st *store) later() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.retry = st.service.opts.Clock.Now().Add(retryPause)
}

// tend merges and removes what is to be.
func (s *Service) tend(ctx context.Context) time.Duration {
	s.mu.Lock()
	deleted := slices.Collect(maps.Keys(s.deleted))
	s.mu.Unlock()
	for _, id := range deleted {
		if err := s.Delete(ctx, id); err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("what a deleted archive had is not removed yet", "archive", id, "err", err)
		}
	}
	now := s.opts.Clock.Now()
	s.proven.Store(s.clock.lasts(now) >= clockProven)
	all := now.Sub(s.tended).Abs() >= tendEvery // the clock may have been set back
	if all {
		s.tended = now
	}
	for _, st := range s.all() {
		if !st.changed.Swap(false) && !all {
			continue
		}
		err := st.expire(ctx)
		if err == nil {
			err = st.merge(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("segments of an archive not tended, trying again", "archive", st.name, "err", err)
		}
	}
	return tendEvery
}

// A runOfClock is a time in which a clock was not set.
type runOfClock struct{ since, seen time.Time }

// lasts is for how long it has lasted. It is asked now and then.
func (c *runOfClock) lasts(now time.Time) time.Duration {
	passed := now.Sub(c.seen) // by the monotonic clock, if there is one
	shown := now.Round(0).Sub(c.seen.Round(0))
	if c.seen.IsZero() || passed < 0 || (shown-passed).Abs() > clockJump {
		c.since = now
	}
	c.seen = now
	return now.Sub(c.since)
}

// Retains reports whether deliveries by a definition are for an archive.
func (s *Service) Retains(d *target.Definition) bool {
	_, ok := catalog.StoreID(d.ARN)
	return ok
}

// Retain takes deliveries for an archive. If it was deleted, they end.
func (s *Service) Retain(d *target.Definition, list []deliver.Retained) {
	id, _ := catalog.StoreID(d.ARN)
	st, err := s.store(id)
	if err != nil {
		s.source.Settle(list)
		return
	}
	st.take(list)
}

// A Total is a number of events and how many bytes they have as JSON.
type Total struct{ Events, Bytes int64 }

// Count is what an archive has: everything that was accepted before the call, sealed or not, and is not too old.
func (s *Service) Count(ctx context.Context, archive string) (Total, error) {
	st, arrived, err := s.arrived(ctx, archive)
	if err != nil {
		return Total{}, err
	}
	for {
		if t, ok := st.count(arrived); ok {
			return t, nil
		}
		if err := st.measure(ctx, arrived); err != nil {
			return Total{}, fmt.Errorf("measure events of the archive %s: %w", st.name, err)
		}
		if err := ctx.Err(); err != nil {
			return Total{}, err
		}
	}
}

// arrived returns the store of an archive when everything that was accepted for it before is there, and how many that are.
func (s *Service) arrived(ctx context.Context, archive string) (*store, uint64, error) {
	st, err := s.store(archive)
	if err != nil {
		return nil, 0, err
	}
	if err := s.source.HandedOut(ctx); err != nil {
		return nil, 0, err
	}
	return st, st.arrived(), nil
}

// Cut is Flush, and returns the edge that the archive has then, with what of a window is before it. An error that is a [*DamageError] comes with
// the count of the rest.
func (s *Service) Cut(ctx context.Context, archive string, w Window) (edge *Edge, t Total, err error) {
	if err := s.Flush(ctx, archive); err != nil {
		return nil, Total{}, err
	}
	counter := counting(&t, nil)
	begin := counter.begin
	counter.begin = func(l *ledger) {
		begin(l)
		edge = l.edge()
	}
	err = s.scan(ctx, archive, w, byTime, counter)
	return edge, t, err
}

// Flush returns when everything that was accepted for an archive before the call is sealed, so that Read finds it.
func (s *Service) Flush(ctx context.Context, archive string) error {
	st, arrived, err := s.arrived(ctx, archive)
	if err != nil {
		return err
	}
	return st.sealUntil(ctx, arrived)
}

// Delete removes all that an archive has, and returns when its space is given back. The archive must be gone from the catalog, since which
// moment it takes in nothing more and cannot be read. What Delete does not get to do, Run does, also after a restart.
func (s *Service) Delete(ctx context.Context, archive string) error {
	s.mu.Lock()
	st, ok := s.deleted[archive]
	_, there := s.stores[archive]
	s.mu.Unlock()
	switch {
	case there:
		return rialto.Errorf(rialto.Conflict, "The archive is in the catalog: it is removed there first.")
	case !ok:
		return nil // it is done
	}
	if err := st.purge(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.deleted, archive)
	return nil
}

// Stats are figures of an archive.
type Stats struct {
	Waiting  int       // events that are not sealed
	Sealed   Total     // that are not too old
	Segments int       // that are stored
	Stored   int64     // bytes of the segments
	First    time.Time // least time of a sealed event; zero if there is none
	Last     time.Time // greatest
}

// Stats returns the figures of an archive.
func (s *Service) Stats(archive string) (Stats, error) {
	st, err := s.store(archive)
	if err != nil {
		return Stats{}, err
	}
	oldest := st.oldest()
	st.mu.Lock()
	l, n := st.ledger, len(st.waiting)
	st.mu.Unlock()
	stats, all := Stats{Waiting: n, Sealed: l.total(oldest), Segments: len(l.segments)}, noSpan
	for i := range l.segments {
		stats.Stored += l.segments[i].stored
		if !l.segments[i].over(oldest) {
			all = all.join(l.segments[i].time)
		}
	}
	if all != noSpan {
		stats.First, stats.Last = microTime(all.first), microTime(all.last)
	}
	return stats, nil
}

func microTime(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Figures are those of all archives: events that are not sealed, bytes of segments, and how often damage was found since the start.
func (s *Service) Figures() (waiting int, stored, damaged int64) {
	for _, st := range s.all() {
		st.mu.Lock()
		l := st.ledger
		waiting += len(st.waiting)
		st.mu.Unlock()
		for i := range l.segments {
			stored += l.segments[i].stored
		}
	}
	return waiting, stored, s.damaged.Load()
}

// A damage is what was found damaged.
type damage struct {
	segment string // its blob
	block   int
}

// found logs a damage of a blob, once, and counts it.
func (s *Service) found(blob string, e *DamageError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := damage{blob, e.Block}
	if s.damages[d] {
		return
	}
	s.damages[d] = true
	s.damaged.Add(1)
	s.opts.Logger.Error("events of an archive are damaged and not served", "archive", e.Archive, "segment", e.Segment, "block", e.Block,
		"events", e.Events, "from", e.From, "to", e.To, "err", e.Cause)
}

// lost logs that an archive will not have an event, because its shard's log is damaged.
func (s *Service) lost(st *store, err error) {
	s.damaged.Add(1)
	s.opts.Logger.Error("event cannot be archived", "archive", st.name, "err", err)
}

// isDamaged reports whether anything of a segment was found damaged.
func (s *Service) isDamaged(blob string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.damages {
		if d.segment == blob {
			return true
		}
	}
	return false
}

// expire removes the segments whose events are all too old.
func (st *store) expire(ctx context.Context) error {
	oldest := st.disposable()
	if !slices.ContainsFunc(st.current().segments, func(s segmentInfo) bool { return s.over(oldest) }) {
		return nil
	}
	st.write.Lock()
	defer st.write.Unlock()
	next, _ := st.current().without(func(s *segmentInfo) bool { return s.over(oldest) })
	if err := st.swap(ctx, next); err != nil && !errors.Is(err, errMoved) {
		return fmt.Errorf("remove old segments: %w", err)
	}
	return nil
}

// CatchUp seals what has waited for long enough, and removes what is too old, as Run does some time: for whoever has just moved a virtual clock.
func (s *Service) CatchUp(ctx context.Context) error {
	for _, st := range s.all() {
		if at, ok := st.due(); ok && !at.After(s.opts.Clock.Now()) {
			if err := st.sealUntil(ctx, st.arrived()); err != nil {
				return err
			}
		}
		if err := st.expire(ctx); err != nil {
			return err
		}
	}
	return nil
}
