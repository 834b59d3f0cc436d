package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	binary "github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/target"
)

const (
	logName     = "explain"
	writeEvery  = time.Second      // the shortest time between two writes
	sweepEvery  = 10 * time.Minute // the longest time until what is too old goes
	stopTimeout = 5 * time.Second  // for what is left at an orderly end
	stopWrites  = 16

	batchBytes     = 512 << 10 // of one write, or one item more
	waitingBytes   = 4 << 20   // of what waits to be written
	unmatchedBytes = 256 << 10 // of these, for events that no rule wanted
)

// A keeper has what waits to be written. Whoever has something for it is never kept waiting.
type keeper struct {
	off    atomic.Bool   // nothing is written
	wake   chan struct{} // has a value when something came where nothing was
	loaded chan struct{} // closed when what was kept before is there, or will not be
	left   atomic.Uint64 // items that were left out, because too much waited or the log did not take them

	mu        sync.Mutex
	items     []item
	bytes     int
	unmatched int // of bytes, for events that no rule wanted
}

// An item is a record with all that is in it when it is written, or one more attempt.
type item struct {
	record *record // nil is an attempt
	shelf  *shelf

	id  string
	bus rialto.ARN
	def *target.Definition
	try try

	size    int
	nobodys bool // no rule wanted the event
}

func (k *keeper) init() {
	k.wake, k.loaded = make(chan struct{}, 1), make(chan struct{})
}

// add has an item written, unless too much waits already.
func (k *keeper) add(i item, size int, nobodys bool) bool {
	if k.off.Load() {
		return false
	}
	i.size, i.nobodys = size, nobodys
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bytes+size > waitingBytes || nobodys && k.unmatched+size > unmatchedBytes {
		k.left.Add(1)
		return false
	}
	k.items = append(k.items, i)
	k.bytes += size
	if nobodys {
		k.unmatched += size
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return true
}

// LeftOut is how much of what happened is not kept across a restart, because too much came at once or the log did not take it.
func (r *Recorder) LeftOut() uint64 { return r.keeper.left.Load() }

// take takes items for one write.
func (k *keeper) take() []item {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, size := 0, 0
	for ; n < len(k.items) && size < batchBytes; n++ {
		size += k.items[n].size
		if k.items[n].nobodys {
			k.unmatched -= k.items[n].size
		}
	}
	taken := slices.Clone(k.items[:n])
	k.items = slices.Delete(k.items, 0, n)
	if k.bytes -= size; len(k.items) == 0 {
		k.items = nil
	}
	return taken
}

// Run reads what was kept, and then writes what is to be kept until ctx ends. A log that does not work costs the memory of
// failures across restarts, and nothing else.
func (r *Recorder) Run(ctx context.Context) error {
	if r.opts.Journal == nil {
		r.keeper.off.Store(true)
		close(r.keeper.loaded)
		<-ctx.Done()
		return nil
	}
	t, err := r.load(ctx)
	if err != nil && ctx.Err() == nil {
		r.keeper.off.Store(true)
		r.opts.Logger.Error("failures of before are not known, and none is kept across a restart", "log", logName, "err", err)
	}
	close(r.keeper.loaded)
	if err != nil {
		<-ctx.Done()
		return nil
	}
	sweep := r.opts.Clock.NewTimer(sweepEvery)
	defer sweep.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-sweep.C():
			r.sweep(ctx, t)
			sweep.Reset(sweepEvery)
		case <-r.keeper.wake:
			for more := true; more && ctx.Err() == nil; {
				more = r.write(ctx, t)
				r.rest(ctx)
			}
		}
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for n := 0; n < stopWrites && r.write(ending, t); n++ {
	}
	return nil
}

// rest waits until something may be written again.
func (r *Recorder) rest(ctx context.Context) {
	timer := rialto.Real(r.opts.Clock).NewTimer(writeEvery)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}

// write writes what waits, as far as one write takes it, and reports whether there was any.
func (r *Recorder) write(ctx context.Context, t *tape) bool {
	items := r.keeper.take()
	if len(items) == 0 {
		return false
	}
	b := []byte{version}
	for i := range items {
		b = appendItem(b, &items[i])
	}
	err := r.opts.Journal.Room()
	if err == nil {
		err = t.append(ctx, r.opts.Clock.Now(), b)
	}
	if err != nil {
		r.keeper.left.Add(uint64(len(items)))
		r.opts.Logger.Warn("what happened to some events is not kept across a restart", "items", len(items), "err", err)
	}
	r.sweep(ctx, t)
	return true
}

func appendItem(b []byte, i *item) []byte {
	var body []byte
	kind := byte(kindTry)
	if i.record != nil {
		kind = kindRecord
		i.shelf.mu.Lock()
		body = appendRecord(nil, i.record)
		i.shelf.mu.Unlock()
	} else {
		body = binary.AppendString(nil, i.id)
		body = binary.AppendString(body, i.bus.String())
		body = appendTarget(body, i.def)
		body = appendTry(body, &i.try)
	}
	return binary.AppendBytes(append(b, kind), body)
}

// sweep forgets what is too old, or too much.
func (r *Recorder) sweep(ctx context.Context, t *tape) {
	oldest := r.opts.Clock.Now().Add(-keepFor)
	for i := range r.shelves {
		s := &r.shelves[i]
		s.mu.Lock()
		s.expire(oldest)
		s.mu.Unlock()
	}
	if err := t.truncate(ctx, oldest, r.opts.Failures); err != nil && ctx.Err() == nil {
		r.opts.Logger.Warn("log not truncated", "log", logName, "err", err)
	}
}

// load opens the log and takes over what is in it.
func (r *Recorder) load(ctx context.Context) (*tape, error) {
	log, err := r.opts.Journal.Log(ctx, logName)
	if err != nil {
		return nil, err
	}
	t := &tape{log: log, epoch: 1}
	oldest := r.opts.Clock.Now().Add(-keepFor)
	err = log.Read(ctx, 0, func(seq uint64, rec []byte) error {
		f, err := journal.ParseFrame(rec)
		if err != nil {
			return err
		}
		t.read(f, rec)
		if f.Time.Before(oldest) {
			return nil
		}
		return r.restore(f.Payload)
	})
	if err == nil {
		err = t.find(ctx)
	}
	return t, err
}

// restore takes over the items of a frame.
func (r *Recorder) restore(payload []byte) error {
	if len(payload) == 0 || payload[0] != version {
		return errors.New("it was written by a newer version")
	}
	for items := binary.NewReader(payload[1:]); items.Len() > 0; {
		kind, body := items.Byte(), items.Bytes()
		if items.Err() != nil {
			return items.Err()
		}
		rec, err := readItem(kind, body)
		if err != nil {
			return err
		}
		r.merge(rec)
	}
	return nil
}

// readItem reads an item as a record, which for an attempt is one without a beginning.
func readItem(kind byte, body []byte) (*record, error) {
	switch kind {
	case kindRecord:
		return readRecord(body)
	case kindTry:
		r := binary.NewReader(body)
		rec := &record{id: r.String(), partial: true, stored: true}
		p := passage{bus: readARN(r)}
		d := p.delivery(readTarget(r))
		d.add(readTry(r))
		rec.passages = []passage{p}
		return rec, r.Err()
	}
	return nil, fmt.Errorf("an item of kind %d: it was written by a newer version", kind)
}

// merge brings together what the log says of an event and what is known of it already.
func (r *Recorder) merge(read *record) {
	s := r.shelf(read.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.record(read.id)
	if rec.in == nil {
		rec.partial = read.partial
	}
	rec.partial = rec.partial && read.partial
	rec.stored = true
	for i := range read.passages {
		from := &read.passages[i]
		p, fresh := rec.passage(from.bus)
		switch {
		case p == nil:
			continue
		case fresh:
			*p = *from
			continue
		case p.accepted.IsZero() && !from.accepted.IsZero():
			deliveries := p.deliveries
			*p = *from
			p.deliveries = deliveries
		}
		for j := range from.deliveries {
			p.delivery(from.deliveries[j].def).merge(&from.deliveries[j])
		}
	}
	at, l := rec.latest(), &s.unmatched
	if rec.failed() {
		l = &s.failures
	} else if rec.in != nil {
		l = rec.in
	}
	s.put(l, rec, at)
}

// merge adds the attempts of another delivery of the same event to the same target.
func (d *delivery) merge(from *delivery) {
	if d.bytes == 0 {
		d.bytes, d.shaped, d.payload = from.bytes, from.shaped, from.payload
	}
	all := slices.Concat(d.tries, from.tries)
	slices.SortStableFunc(all, func(a, b try) int { return a.began.Compare(b.began) })
	d.tries = nil
	for _, t := range all {
		d.add(t)
	}
}

// latest is when something happened last.
func (r *record) latest() (at time.Time) {
	for i := range r.passages {
		p := &r.passages[i]
		if p.accepted.After(at) {
			at = p.accepted
		}
		for j := range p.deliveries {
			if n := len(p.deliveries[j].tries); n > 0 {
				if t := &p.deliveries[j].tries[n-1]; t.began.Add(t.took).After(at) {
					at = t.began.Add(t.took)
				}
			}
		}
	}
	return at
}

// A tape is the log that failures are written to.
type tape struct {
	log    journal.Log
	seq    uint64 // of the last frame
	hash   journal.Hash
	epoch  uint64
	frames []stretch // oldest first
	bytes  int
	lost   bool // the end of the log is not known
}

// A stretch is a frame that may be truncated.
type stretch struct {
	seq  uint64
	at   time.Time
	size int
}

func (t *tape) read(f journal.Frame, record []byte) {
	t.seq, t.hash, t.epoch = f.Seq, journal.HashOf(record), max(t.epoch, f.Epoch)
	t.frames = append(t.frames, stretch{f.Seq, f.Time, len(record)})
	t.bytes += len(record)
}

// find looks for the end of the log.
func (t *tape) find(ctx context.Context) error {
	_, last, err := t.log.Bounds(ctx)
	if err != nil || last == t.seq {
		t.lost = err != nil
		return err
	}
	record, err := t.log.Get(ctx, last)
	if errors.Is(err, journal.ErrTruncated) || errors.Is(err, journal.ErrNotFound) {
		return fmt.Errorf("the last frame of the log %s is gone", logName)
	}
	if err != nil {
		return err
	}
	f, err := journal.ParseFrame(record)
	if err == nil {
		t.read(f, record)
		t.lost = false
	}
	return err
}

// append writes a frame. One that fails is not tried again: the next one may hold more.
func (t *tape) append(ctx context.Context, now time.Time, payload []byte) error {
	if t.lost {
		if err := t.find(ctx); err != nil {
			return err
		}
		t.lost = false
	}
	f := journal.Frame{Shard: logName, Seq: t.seq + 1, Epoch: t.epoch, Prev: t.hash, Time: now, Payload: payload}
	record := f.Append(nil)
	if _, err := t.log.Append(ctx, t.seq, record); err != nil {
		t.lost = true
		return err
	}
	t.read(f, record)
	return nil
}

// truncate lets go of frames that are too old, and of the oldest if there is too much. The last one stays: the next must carry its
// hash.
func (t *tape) truncate(ctx context.Context, oldest time.Time, limit int) error {
	n := 0
	bytes := t.bytes
	for n < len(t.frames)-1 && (bytes > limit || t.frames[n].at.Before(oldest)) {
		bytes -= t.frames[n].size
		n++
	}
	if n == 0 {
		return nil
	}
	if err := t.log.Truncate(ctx, t.frames[n].seq); err != nil {
		return err
	}
	t.frames, t.bytes = slices.Delete(t.frames, 0, n), bytes
	return nil
}
