package explain

import (
	"bytes"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

// Defaults of [Options].
const (
	defaultRecent   = 16 << 20
	defaultFailures = 32 << 20
	keepFor         = 24 * time.Hour
)

// unmatchedShare is the part of the memory for failures that events get which no rule wanted.
const unmatchedShare = 8

// shelves is how many locks there are. Two callers rarely want the same one.
const shelves = 16

// Options tunes a Recorder. The zero value is ready to use.
type Options struct {
	Logger   *slog.Logger    // nil discards
	Clock    rialto.Clock    // nil is the system's
	Journal  journal.Journal // keeps failures across restarts; nil is nobody
	Recent   int             // bytes of memory for what went well; 0 is 16 MiB
	Failures int             // bytes of memory, and of the log, for what failed; 0 is 32 MiB
}

// A Recorder notes what happens to events. It is an Observer of packages ingest and deliver.
type Recorder struct {
	opts    Options
	started time.Time
	seed    maphash.Seed
	shelves [shelves]shelf
	keeper  keeper
}

// A shelf has the records of some of the events.
type shelf struct {
	mu        sync.Mutex
	byID      map[string]*record
	recent    list
	failures  list
	unmatched list
}

// A list has records in the order in which something happened to them last, the longest ago first, and forgets those when it
// is full.
type list struct {
	first, last *record
	size, limit int
}

// NewRecorder makes a Recorder. What it kept before is there once [Recorder.Run] has read it.
func NewRecorder(opts Options) *Recorder {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	if opts.Recent <= 0 {
		opts.Recent = defaultRecent
	}
	if opts.Failures <= 0 {
		opts.Failures = defaultFailures
	}
	r := &Recorder{opts: opts, started: opts.Clock.Now(), seed: maphash.MakeSeed()}
	for i := range r.shelves {
		s := &r.shelves[i]
		s.byID = make(map[string]*record)
		s.recent.limit = opts.Recent / shelves
		s.failures.limit = opts.Failures / shelves
		s.unmatched.limit = opts.Failures / unmatchedShare / shelves
	}
	r.keeper.init()
	return r
}

func (r *Recorder) shelf(id string) *shelf {
	return &r.shelves[maphash.String(r.seed, id)%shelves]
}

// Accepted notes that an event was accepted, or that it was there before. The event's bytes are kept as they are: nobody changes
// them.
func (r *Recorder) Accepted(e *deliver.Accepted) {
	s := r.shelf(e.EventID)
	s.mu.Lock()
	rec := s.accepted(e)
	fresh := rec.in == nil
	if fresh && len(e.Targets) == 0 {
		s.put(&s.unmatched, rec, e.Accepted)
	} else if fresh || rec.in == &s.unmatched && len(e.Targets) > 0 {
		s.put(&s.recent, rec, e.Accepted)
	} else {
		s.put(rec.in, rec, e.Accepted)
	}
	if fresh && rec.in == &s.unmatched {
		r.keeper.add(item{record: rec, shelf: s}, rec.size, true)
	}
	s.mu.Unlock()
	if e.DuplicateOf != "" && e.DuplicateOf != e.EventID {
		r.repeated(e)
	}
}

// accepted notes an event on a bus.
func (s *shelf) accepted(e *deliver.Accepted) *record {
	rec := s.record(e.EventID)
	p, fresh := rec.passage(e.Bus)
	switch {
	case p == nil:
		return rec
	case !fresh && p.duplicateOf == "" && e.DuplicateOf == e.EventID:
		p.duplicates++
		return rec
	}
	p.accepted, p.trace, p.hops, p.expires, p.duplicateOf = e.Accepted, e.Trace, e.Hops, e.Expires, e.DuplicateOf
	if p.size = len(e.Event); p.size <= maxEvent {
		p.event = e.Event
	}
	if p.deliveries == nil && len(e.Targets) > 0 && e.DuplicateOf == "" {
		p.deliveries = make([]delivery, len(e.Targets))
		for i, t := range e.Targets {
			p.deliveries[i] = delivery{def: t.Definition, state: firstState(t.Definition)}
		}
		return rec
	}
	for _, t := range e.Targets { // an attempt was faster than we
		if e.DuplicateOf == "" {
			p.delivery(t.Definition)
		}
	}
	return rec
}

// repeated counts an event that was not accepted again with the one that it repeats.
func (r *Recorder) repeated(e *deliver.Accepted) {
	s := r.shelf(e.DuplicateOf)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.byID[e.DuplicateOf]
	if rec == nil {
		return
	}
	if p, fresh := rec.passage(e.Bus); p != nil && !fresh {
		p.duplicates++
	}
}

// Attempted notes an attempt.
func (r *Recorder) Attempted(a *deliver.Attempted) {
	m := a.Message
	if m.EventID == "" {
		return // the event could not be read, so nobody will ask for it by its id
	}
	t := tryOf(a)
	s := r.shelf(m.EventID)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.record(m.EventID)
	p, fresh := rec.passage(m.Bus)
	if p == nil {
		return
	}
	if fresh { // it was forgotten, or accepted before the server was started
		p.accepted, p.trace, p.hops, p.size = m.Accepted, m.Trace, m.Hops, len(m.Event)
		if p.size <= maxEvent {
			p.event = bytes.Clone(m.Event)
		}
		rec.partial = rec.in == nil && m.Attempt > 1
	}
	d := p.delivery(a.For)
	if d.bytes == 0 && !a.Letter {
		d.received(m)
	}
	d.add(t)
	at := t.began.Add(t.took)
	switch {
	case t.notable() || rec.in == &s.failures:
		s.put(&s.failures, rec, at)
		r.note(s, rec, p.bus, d, t)
	default:
		s.put(&s.recent, rec, at)
	}
}

// note has the keeper write an attempt, with everything before if the log does not have that.
func (r *Recorder) note(s *shelf, rec *record, bus rialto.ARN, d *delivery, t try) {
	if !rec.stored {
		rec.stored = r.keeper.add(item{record: rec, shelf: s}, rec.size, false)
		return
	}
	r.keeper.add(item{id: rec.id, bus: bus, def: d.def, try: t}, tryBytes+len(t.head)+len(t.message), false)
}

// received notes what the target gets.
func (d *delivery) received(m *target.Message) {
	d.bytes = len(m.Payload)
	if len(m.Payload) == len(m.Event) && len(m.Payload) > 0 && &m.Payload[0] == &m.Event[0] {
		return
	}
	if d.shaped = !bytes.Equal(m.Payload, m.Event); d.shaped {
		d.payload = bytes.Clone(m.Payload[:min(len(m.Payload), maxPayload)])
	}
}

// CircuitChanged is of no interest here: an answer tells the state of circuits as it is when somebody asks.
func (r *Recorder) CircuitChanged(*deliver.Circuit) {}

var _ deliver.Observer = (*Recorder)(nil)

func tryOf(a *deliver.Attempted) try {
	m, v := a.Message, &a.Verdict
	t := try{
		number: m.Attempt, redrive: m.Redrives, letter: a.Letter, began: a.Began, took: a.Took, status: m.Answer.Status,
		head: cut(m.Answer.Head, maxAnswer), failed: a.Err != nil || v.Action == deliver.DeadLetter, action: v.Action, at: v.At,
	}
	t.batch = max(1, a.Batch)
	if !a.Made() {
		t.batch = 0
	}
	if t.failed {
		t.code, t.message, t.exhausted = v.Code, cut(v.Message, maxMessage), v.Exhausted
	}
	return t
}

func cut(s string, limit int) string {
	if len(s) > limit {
		return s[:limit]
	}
	return s
}

// record finds what is known of an event, or begins to know something.
func (s *shelf) record(id string) *record {
	rec := s.byID[id]
	if rec == nil {
		rec = &record{id: id}
		rec.passages = rec.one[:0]
		s.byID[id] = rec
	}
	return rec
}

// put brings a record to the end of a list, and lets the list forget what is too much for it.
func (s *shelf) put(l *list, rec *record, at time.Time) {
	if rec.in != nil {
		rec.in.remove(rec)
	}
	rec.size, rec.at = rec.measure(), at
	l.append(rec)
	for l.size > l.limit && l.first != rec {
		s.forget(l.first)
	}
}

func (s *shelf) forget(rec *record) {
	rec.in.remove(rec)
	delete(s.byID, rec.id)
}

// expire forgets what is kept for a day, and was.
func (s *shelf) expire(before time.Time) {
	for _, l := range []*list{&s.failures, &s.unmatched} {
		for l.first != nil && l.first.at.Before(before) {
			s.forget(l.first)
		}
	}
}

func (l *list) append(rec *record) {
	rec.in, rec.prev, rec.next = l, l.last, nil
	if l.last == nil {
		l.first = rec
	} else {
		l.last.next = rec
	}
	l.last = rec
	l.size += rec.size
}

func (l *list) remove(rec *record) {
	if rec.prev == nil {
		l.first = rec.next
	} else {
		rec.prev.next = rec.next
	}
	if rec.next == nil {
		l.last = rec.prev
	} else {
		rec.next.prev = rec.prev
	}
	l.size -= rec.size
	rec.in, rec.prev, rec.next = nil, nil, nil
}
