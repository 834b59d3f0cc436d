package history

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

// A Window is a part of an archive. The zero value is all of it.
type Window struct {
	From, To time.Time // From <= the event's time < To; zero is open. For [Service.ReadAccepted] it is the time of its acceptance
	Before   time.Time // only what was accepted before; zero is everything
	Since    time.Time // only what was accepted then or later
	Edge     *Edge     // only what is before it; nil is everything. What comes in while somebody reads is left out with it
}

// An Edge is a moment in the life of an archive. What was in the archive then is before it, whatever clocks have shown.
type Edge struct {
	Keys     []uint64 `json:"keys,omitempty"`     // by shard: the greatest [Position.Key]
	Imported uint64   `json:"imported,omitempty"` // of what came from no shard
}

// before reports whether an event was there.
func (e *Edge) before(p Position) bool {
	if p.Shard == importedShard {
		return p.Key <= e.Imported
	}
	return int(p.Shard) < len(e.Keys) && p.Key <= e.Keys[p.Shard]
}

// An Entry is an event of an archive.
type Entry struct {
	Position Position
	Event    []byte // JSON, as it was accepted; must not be changed
}

// Time is the event's time, to the microsecond.
func (e *Entry) Time() time.Time { return microTime(e.Position.Time) }

// Accepted is when the event was accepted, to the microsecond.
func (e *Entry) Accepted() time.Time { return microTime(e.Position.Accepted) }

// Read yields the events of a window that are sealed, by time and, for equal times, by acceptance, beginning with the first after a position.
// The zero position is before all. The order is total and never changes, and a position stays valid whatever is merged or removed meanwhile: reading
// on after a break, or a restart, at the last position leaves nothing out and repeats nothing. It keeps one block in memory of each segment whose
// times overlap where it is, and the segments that were used last.
//
// An error that is a [*DamageError] tells of a range that is left out; the reading goes on after it. After any other error it ends.
func (s *Service) Read(ctx context.Context, archive string, w Window, after Position) iter.Seq2[Entry, error] {
	return s.reading(ctx, archive, w, after, byTime)
}

// ReadAccepted is like Read, in the order of acceptance: by [Position.CompareAccepted], with a window of acceptance. It keeps whole segments in
// memory, those that overlap where it is.
func (s *Service) ReadAccepted(ctx context.Context, archive string, w Window, after Position) iter.Seq2[Entry, error] {
	return s.reading(ctx, archive, w, after, byAcceptance)
}

// An order is one in which events are read.
type order struct {
	compare func(a, b Position) int
	of      func(Position) int64    // the time that comes first in it
	segment func(*segmentInfo) span // of that time
	block   func(*blockInfo) span   // likewise
	sorted  bool                    // segments have it
}

var byTime = &order{
	compare: Position.Compare, of: func(p Position) int64 { return p.Time }, sorted: true,
	segment: func(s *segmentInfo) span { return s.time }, block: func(b *blockInfo) span { return b.time },
}

var byAcceptance = &order{
	compare: Position.CompareAccepted, of: func(p Position) int64 { return p.Accepted },
	segment: func(s *segmentInfo) span { return s.accepted }, block: func(b *blockInfo) span { return b.accepted },
}

// errRemoved says that a segment was merged with others, or removed, while it was to be read.
var errRemoved = errors.New("the segment is not there any more")

// limits are a window, as microseconds, together with what is too old.
type limits struct {
	from, to int64 // from <= time < to
	before   int64 // accepted before
	since    int64 // accepted then or later
	oldest   int64 // hour of acceptance
	edge     *Edge
}

func (w Window) limits(oldest int64) limits {
	l := limits{from: math.MinInt64, to: math.MaxInt64, before: math.MaxInt64, since: math.MinInt64, oldest: oldest, edge: w.Edge}
	if !w.From.IsZero() {
		l.from = w.From.UnixMicro()
	}
	if !w.To.IsZero() {
		l.to = w.To.UnixMicro()
	}
	if !w.Before.IsZero() {
		l.before = w.Before.UnixMicro()
	}
	if !w.Since.IsZero() {
		l.since = w.Since.UnixMicro()
	}
	return l
}

// meets reports whether something with these times and acceptances may have events within the limits.
func (l *limits) meets(times, accepted span) bool {
	return times.last >= l.from && times.first < l.to && accepted.first < l.before && accepted.last >= l.since && hourOf(accepted.last) >= l.oldest
}

// covers reports whether all of its events are within the limits, as far as can be told without reading them.
func (l *limits) covers(times, accepted span) bool {
	return l.edge == nil && times.first >= l.from && times.last < l.to && accepted.last < l.before && accepted.first >= l.since && hourOf(accepted.first) >= l.oldest
}

// admits reports whether an event at a time is within the limits.
func (l *limits) admits(time int64, p Position) bool {
	return time >= l.from && time < l.to && p.Accepted < l.before && p.Accepted >= l.since && hourOf(p.Accepted) >= l.oldest &&
		(l.edge == nil || l.edge.before(p))
}

// A reading reads a store in an order.
type reading struct {
	ctx    context.Context
	store  *store
	order  *order
	limits limits
	after  Position
	begun  bool            // after is a position
	told   map[damage]bool // damages that were yielded
	yield  func(Entry, error) bool
	ended  bool // yield wants no more
}

func (s *Service) reading(ctx context.Context, archive string, w Window, after Position, o *order) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		st, err := s.store(archive)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		r := &reading{
			ctx: ctx, store: st, order: o, limits: w.limits(st.oldest()), after: after, begun: after != Position{},
			told: make(map[damage]bool), yield: yield,
		}
		for {
			err := r.run()
			if errors.Is(err, errRemoved) {
				continue // from the last position on, by the ledger as it is now
			}
			if err != nil && !r.ended {
				yield(Entry{}, err)
			}
			return
		}
	}
}

// run reads by the present ledger, until the end or until a segment that it needs is gone.
func (r *reading) run() error {
	l, err := r.store.present(r.ctx)
	if err != nil {
		return err
	}
	var closed []*segmentInfo
	for i := range l.segments {
		info := &l.segments[i]
		if at := r.order.segment(info); r.limits.meets(at, info.accepted) && (!r.begun || at.last >= r.order.of(r.after)) {
			closed = append(closed, info)
		}
	}
	slices.SortStableFunc(closed, func(a, b *segmentInfo) int {
		return cmp.Compare(r.order.segment(a).first, r.order.segment(b).first)
	})
	open := &cursors{order: r.order}
	for {
		for len(closed) > 0 && (open.Len() == 0 || r.order.segment(closed[0]).first <= r.order.of(open.list[0].head())) {
			c := &cursor{reading: r, info: closed[0]}
			closed = closed[1:]
			if err := c.open(); err != nil {
				return err
			}
			if c.more() {
				heap.Push(open, c)
			}
		}
		if open.Len() == 0 {
			return nil
		}
		c := open.list[0]
		if done := r.give(c.events[c.at]); done {
			return nil
		}
		if err := c.advance(); err != nil {
			return err
		}
		if c.more() {
			heap.Fix(open, 0)
		} else {
			heap.Pop(open)
		}
	}
}

// give yields an event, if it is wanted, and reports whether that was all.
func (r *reading) give(e Entry) (done bool) {
	time := r.order.of(e.Position)
	if time >= r.limits.to {
		return true
	}
	if !r.wants(e.Position) {
		return false
	}
	r.after, r.begun = e.Position, true
	r.ended = !r.yield(e, nil)
	return r.ended
}

func (r *reading) wants(p Position) bool {
	return r.limits.admits(r.order.of(p), p) && (!r.begun || r.order.compare(p, r.after) > 0)
}

// lower is a time before which nothing is wanted.
func (r *reading) lower() int64 {
	if r.begun {
		return max(r.limits.from, r.order.of(r.after))
	}
	return r.limits.from
}

// leaveOut tells of damage, and returns nil if that is what err is. Then the reading goes on.
func (r *reading) leaveOut(err error) error {
	d, ok := errors.AsType[*DamageError](err)
	if !ok {
		return err
	}
	key := damage{d.Segment, d.Block}
	if r.told[key] || r.ended {
		return nil
	}
	r.told[key] = true
	r.ended = !r.yield(Entry{}, d)
	if r.ended {
		return d
	}
	return nil
}

// A cursor is a segment that is being read.
type cursor struct {
	reading *reading
	info    *segmentInfo
	blocks  []blockInfo
	next    int // block
	events  []Entry
	at      int // of events
}

func (c *cursor) more() bool { return c.at < len(c.events) }

func (c *cursor) head() Position { return c.events[c.at].Position }

// open goes to the first event that may be wanted.
func (c *cursor) open() error {
	r := c.reading
	seg, err := r.store.load(r.ctx, c.info)
	if err != nil {
		return r.leaveOut(err)
	}
	c.blocks = seg.blocks
	if !r.order.sorted {
		return c.readAll()
	}
	c.next = seg.seek(r.lower())
	return c.fill()
}

func (c *cursor) advance() error {
	if c.at++; c.at < len(c.events) {
		return nil
	}
	return c.fill()
}

// fill reads on to the next block that has an event which is wanted.
func (c *cursor) fill() error {
	r := c.reading
	c.events, c.at = nil, 0
	for c.next < len(c.blocks) {
		i := c.next
		c.next++
		if b := &c.blocks[i]; b.time.first >= r.limits.to || !r.limits.meets(r.order.block(b), b.accepted) {
			continue
		}
		list, err := r.store.readBlock(r.ctx, c.info, i)
		if err != nil {
			if err := r.leaveOut(err); err != nil {
				return err
			}
			continue
		}
		at := slices.IndexFunc(list, func(e Entry) bool { return r.wants(e.Position) })
		if at >= 0 {
			c.events, c.at = list, at
			return nil
		}
	}
	return nil
}

// readAll reads all events that are wanted, and sorts them.
func (c *cursor) readAll() error {
	r := c.reading
	for i := range c.blocks {
		if b := &c.blocks[i]; !r.limits.meets(r.order.block(b), b.accepted) || r.order.block(b).last < r.lower() {
			continue
		}
		list, err := r.store.readBlock(r.ctx, c.info, i)
		if err != nil {
			if err := r.leaveOut(err); err != nil {
				return err
			}
			continue
		}
		for _, e := range list {
			if r.wants(e.Position) {
				c.events = append(c.events, e)
			}
		}
	}
	slices.SortFunc(c.events, func(a, b Entry) int { return r.order.compare(a.Position, b.Position) })
	c.blocks = nil
	return nil
}

// cursors is a heap of those that have events.
type cursors struct {
	order *order
	list  []*cursor
}

func (c *cursors) Len() int           { return len(c.list) }
func (c *cursors) Less(i, j int) bool { return c.order.compare(c.list[i].head(), c.list[j].head()) < 0 }
func (c *cursors) Swap(i, j int)      { c.list[i], c.list[j] = c.list[j], c.list[i] }
func (c *cursors) Push(x any)         { c.list = append(c.list, x.(*cursor)) }
func (c *cursors) Pop() any {
	n := len(c.list) - 1
	x := c.list[n]
	c.list[n] = nil
	c.list = c.list[:n]
	return x
}

// load fetches a segment.
func (st *store) load(ctx context.Context, info *segmentInfo) (*segment, error) {
	if err := st.readable(ctx); err != nil {
		return nil, err
	}
	name := st.blob(info.name)
	if seg := st.service.cache.get(name); seg != nil {
		return seg, nil
	}
	data, err := st.service.blobs.Get(ctx, name)
	_, damaged := errors.AsType[*journal.DamageError](err)
	switch {
	case err != nil && !st.current().has(info.name):
		return nil, errRemoved
	case damaged || errors.Is(err, journal.ErrNotFound):
		return nil, st.damage(info, -1, info.time, info.total(noSpan.last).Events, err)
	case err != nil:
		return nil, err
	}
	seg, err := parseSegment(data, st.id)
	if err != nil {
		return nil, st.damage(info, -1, info.time, info.total(noSpan.last).Events, err)
	}
	st.service.cache.put(name, seg)
	return seg, nil
}

// readBlock reads a block of a segment.
func (st *store) readBlock(ctx context.Context, info *segmentInfo, block int) ([]Entry, error) {
	seg, err := st.load(ctx, info)
	if err != nil {
		return nil, err
	}
	list, err := seg.read(block)
	if err != nil {
		b := &seg.blocks[block]
		return nil, st.damage(info, block, b.time, b.Events, err)
	}
	return list, nil
}

func (st *store) damage(info *segmentInfo, block int, times span, events int64, cause error) *DamageError {
	d := &DamageError{
		Archive: st.name, Segment: info.name, Block: block, From: microTime(times.first), To: microTime(times.last), Events: events, Cause: cause,
	}
	st.service.found(st.blob(info.name), d)
	return d
}

// present is the ledger, if the archive is there: that of a deleted one is empty, which would be taken for the end.
func (st *store) present(ctx context.Context) (*ledger, error) {
	l := st.current()
	return l, st.readable(ctx)
}

// readable is nil while there is somebody to read for, and something to read.
func (st *store) readable(ctx context.Context) error {
	st.mu.Lock()
	gone := st.gone
	st.mu.Unlock()
	if gone {
		return rialto.Errorf(rialto.NotFound, "Archive resource not found.")
	}
	return ctx.Err()
}
