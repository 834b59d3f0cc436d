package replay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/target"
)

const (
	batchEvents = 2048                   // events in one frame of a replay; each costs a sync of the disk
	batchBytes  = 512 << 10              // of events in one frame, or one event
	slot        = 20 * time.Millisecond  // events that are due within it are put together
	slack       = time.Second            // by which a replay that is late catches up; beyond it the clock is set anew
	lagPause    = 5 * time.Millisecond   // between two looks at how far targets are behind
	lagTold     = 5 * time.Second        // after which it is said that a replay waits for them
	minPause    = 100 * time.Millisecond // between two tries
	maxPause    = 5 * time.Second
)

// Run carries out replays until ctx ends. One that has not ended then goes on after the next start.
func (s *Service) Run(ctx context.Context) error {
	if err := s.recovered(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var group sync.WaitGroup
	defer group.Wait()
	running, ended := make(map[string]bool), make(chan string)
	for {
		for _, key := range s.active() {
			if !running[key] {
				running[key] = true
				group.Go(func() {
					r := &runner{service: s, key: key, salts: make(map[target.Key][8]byte)}
					r.run(ctx)
					select {
					case ended <- key:
					case <-ctx.Done():
					}
				})
			}
		}
		select {
		case <-s.news:
		case key := <-ended:
			delete(running, key)
		case <-ctx.Done():
			return nil
		}
	}
}

// active lists the replays that have not ended.
func (s *Service) active() (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, k := range s.replays {
		if k.State.Active() {
			keys = append(keys, key)
		}
	}
	return keys
}

// A runner carries out one replay.
type runner struct {
	service *Service
	key     string
	known   *known // as it was when the present stretch began
	match   func(event []byte) bool
	order   jsonpath.Path // if it is ordered by a path
	salts   map[target.Key][8]byte
}

// run carries the replay out, stretch by stretch: each goes on from what is committed, until somebody wants it otherwise, something is in
// the way, or all is done.
func (r *runner) run(ctx context.Context) {
	defer r.service.wait(r.key, "") // what has ended waits for nothing
	for pause := minPause; ctx.Err() == nil; {
		r.service.mu.Lock()
		r.known = r.service.replays[r.key]
		r.service.mu.Unlock()
		var err error
		switch {
		case r.known == nil || !r.known.State.Active():
			return
		case r.known.State == Cancelling:
			err = r.end(ctx, Cancelled, "")
		case r.known.Paused:
			r.sleep(time.Time{})
			r.wait(ctx, r.real().Now().Add(maxPause), r.real())
			continue
		default:
			err = r.play(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		switch {
		case err == nil || errors.Is(err, errChanged) || errors.Is(err, errOver):
			r.service.wait(r.key, "")
			pause = minPause
			continue
		case rialto.KindOf(err) == rialto.NotFound:
			err = r.end(ctx, Failed, "Archive resource not found.") // recorded on AWS
		case rialto.KindOf(err) == rialto.Unavailable:
			r.service.opts.Logger.Warn("replay waits", "replay", r.known.Name, "err", err)
			r.service.wait(r.key, err.Error())
		default:
			r.service.opts.Logger.Error("replay failed", "replay", r.known.Name, "err", err)
			err = r.end(ctx, Failed, "Internal Failure.")
		}
		if err == nil {
			continue
		}
		r.wait(ctx, r.real().Now().Add(pause), r.real())
		pause = min(2*pause, maxPause)
		for r.resync(ctx) != nil && ctx.Err() == nil {
			r.wait(ctx, r.real().Now().Add(maxPause), r.real())
		}
	}
}

// errChanged ends a stretch: somebody wants the replay otherwise.
var errChanged = errors.New("the replay was changed")

// resync asks the machine how the replay is, after something of which the outcome may not be known. Nothing may be put before that is.
func (r *runner) resync(ctx context.Context) error {
	h := r.known.host
	var is *Replay
	err := h.shard.View(ctx, func() { is = h.machine.replays[r.key] })
	if err == nil && is != nil {
		r.service.learn(h, is)
	}
	return err
}

// real is the clock by which is waited for what is in the way.
func (r *runner) real() rialto.Clock { return rialto.Real(r.service.opts.Clock) }

// wait waits for a change, or until a clock shows a time.
func (r *runner) wait(ctx context.Context, until time.Time, clock rialto.Clock) {
	t := rialto.NewAlarm(clock, until)
	defer t.Stop()
	select {
	case <-t.C():
	case <-r.known.changed:
	case <-ctx.Done():
	}
}

// interrupted reports whether somebody wants the replay otherwise. That it has got further is no such change.
func (r *runner) interrupted() bool {
	s := r.service
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.replays[r.key]
	if now == nil || now.State == Cancelling || !now.State.Active() || now.Paused || now.Speed != r.known.Speed {
		return true
	}
	r.known = now
	return false
}

// A batch is events that are put together, in one frame.
type batch struct {
	entries []history.Entry
	bytes   int
	due     time.Duration // since the stretch began
	damage  string        // that was found after them
	err     error         // that ended the reading after them
	done    bool          // they are the last
}

// play puts events until all are put. The archive is read one batch ahead, and while a batch is being committed the next one is prepared: the disk
// takes most of the time. There is one commit at a time, and it is known how it ended before play returns, or ctx has ended.
func (r *runner) play(ctx context.Context) (err error) {
	if err := r.prepare(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	batches := make(chan *batch, 1)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer stop()
	window, from, archive := r.known.window(), r.known.Position, r.known.ArchiveID
	metronome, began := r.tempo(r.service.opts.Clock.Now())
	if r.known.Pattern != "" && r.known.Speed.PerSecond > 0 {
		if metronome.counts, err = Matcher(r.known.Pattern); err != nil { // one of its own, since the reader goes ahead
			return err
		}
	}
	reader.Go(func() {
		defer close(batches)
		r.service.read(ctx, archive, window, from, metronome, batches)
	})
	var under *commit // way
	defer func() {
		if under != nil {
			err = cmp.Or(r.finish(ctx, under), err)
		}
	}()
	for b := range batches {
		if b.err != nil && len(b.entries) == 0 {
			return b.err
		}
		now := r.service.opts.Clock.Now()
		if late := now.Sub(began.Add(b.due)); late > slack {
			began = began.Add(late)
		} else if err := r.until(ctx, began.Add(b.due)); err != nil {
			return err
		}
		next, err := r.ready(b)
		if err != nil {
			return err
		}
		if before := under; before != nil {
			under = nil
			if err := r.finish(ctx, before); err != nil {
				return err
			}
			waited, err := r.keepPace(ctx, before.targets)
			if err != nil {
				return err
			}
			if waited { // perhaps for hours: the rules are those of now
				if next, err = r.ready(b); err != nil {
					return err
				}
			}
		}
		if r.interrupted() {
			return errChanged
		}
		r.begin(ctx, next)
		under = next
		if b.done || b.err != nil {
			return b.err
		}
	}
	return ctx.Err()
}

// prepare compiles what the spec says.
func (r *runner) prepare() error {
	if r.known.Order != "" && r.known.Order != byTime {
		var err error
		if r.order, err = jsonpath.Parse(r.known.Order); err != nil {
			return err
		}
	}
	if r.match == nil {
		var err error
		r.match, err = Matcher(r.known.Pattern)
		return err
	}
	return nil
}

// Matcher makes a function that tells which events match a pattern; "" is all.
func Matcher(text string) (func(event []byte) bool, error) { return matcher("pattern", text) }

// matcher is Matcher, of a pattern that has a name in messages.
func matcher(name, text string) (func(event []byte) bool, error) {
	if text == "" {
		return func([]byte) bool { return true }, nil
	}
	p, err := pattern.Parse([]byte(text))
	if err != nil {
		return nil, errPattern(name, err)
	}
	set, scratch := new(pattern.Set), new(pattern.Scratch)
	set.Add(1, p)
	return func(event []byte) bool {
		ids, err := set.Match(event, scratch)
		return err == nil && len(ids) > 0
	}, nil
}

// A metronome says when events are due, by their number and their time.
type metronome struct {
	speed  Speed
	counts func(event []byte) bool // others are due with the one before them; nil is that all count
	n      int
	first  time.Time
}

// tempo is when events are due in a stretch that begins now, and since when. The stretch goes on from the last event that was put, if there was one:
// a restart between two events that are hours apart does not make the second one come at once.
func (r *runner) tempo(now time.Time) (m *metronome, since time.Time) {
	m, since = &metronome{speed: r.known.Speed}, now
	if moved := r.known.Moved; !moved.IsZero() {
		m.due(r.known.Last)
		if moved.Before(now) { // or the clock was set back
			since = moved
		}
	}
	return m, since
}

// due is when the next event is due, since the first one was.
func (m *metronome) due(event time.Time) time.Duration {
	if m.n == 0 {
		m.first = event
	}
	m.n++
	switch {
	case m.speed.PerSecond > 0:
		return seconds(float64(m.n-1) / m.speed.PerSecond)
	case m.speed.Times > 0:
		return seconds(event.Sub(m.first).Seconds() / m.speed.Times)
	}
	return 0
}

// longest is what a slow replay waits at most: archives may have events of any year, and a [time.Duration] ends after 292.
const longest = 100 * 365 * 24 * time.Hour

func seconds(n float64) time.Duration {
	return time.Duration(min(n, longest.Seconds()) * float64(time.Second))
}

// read makes batches of what an archive has.
func (s *Service) read(ctx context.Context, archive string, w history.Window, after history.Position, m *metronome, to chan<- *batch) {
	b := new(batch)
	flush := func(next *batch) bool {
		select {
		case to <- b:
			b = next
			return true
		case <-ctx.Done():
			return false
		}
	}
	due := time.Duration(0)
	for e, err := range s.history.Read(ctx, archive, w, after) {
		if damage, ok := errors.AsType[*history.DamageError](err); ok {
			s.opts.Logger.Error("events left out of a replay", "archive", archive, "err", damage)
			if b.damage == "" {
				b.damage = damage.Error()
			}
			continue
		}
		if err != nil {
			b.err = err
			flush(nil)
			return
		}
		if m.counts == nil || m.counts(e.Event) {
			due = m.due(e.Time())
		}
		if n := len(b.entries); n > 0 && (n == batchEvents || b.bytes+len(e.Event) > batchBytes || due-b.due >= slot) {
			if !flush(new(batch)) {
				return
			}
		}
		if len(b.entries) == 0 {
			b.due = due
		}
		b.entries = append(b.entries, e)
		b.bytes += len(e.Event)
	}
	b.done = true
	flush(nil)
}

// until waits for a time, or until somebody wants the replay otherwise.
func (r *runner) until(ctx context.Context, at time.Time) error {
	for {
		left := at.Sub(r.service.opts.Clock.Now())
		if left <= 0 {
			return ctx.Err()
		}
		if r.interrupted() {
			return errChanged
		}
		r.sleep(at)
		r.wait(ctx, at, r.service.opts.Clock)
		r.awake()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// A commit is a batch on its way into the log.
type commit struct {
	*batch
	progress progress
	events   []deliver.Accepted
	targets  []*target.Sealed // that they go to
	ended    chan error       // has room for the one answer
}

// ready prepares a batch to be committed.
func (r *runner) ready(b *batch) (*commit, error) {
	if err := r.service.events.Room(); err != nil {
		return nil, err
	}
	c := &commit{batch: b, ended: make(chan error, 1)}
	p := &c.progress
	p.read, p.damage, p.done = int64(len(b.entries)), b.damage, b.done
	if n := len(b.entries); n > 0 {
		p.position, p.last = b.entries[n-1].Position, b.entries[n-1].Time()
	}
	seen := make(map[target.Key]bool)
	for i := range b.entries {
		if !r.match(b.entries[i].Event) {
			continue
		}
		e, err := r.again(b.entries[i].Event)
		if err != nil {
			return nil, err
		}
		if len(e.Targets) == 0 {
			continue
		}
		for _, t := range e.Targets {
			if !seen[t.Key] {
				seen[t.Key] = true
				c.targets = append(c.targets, t)
			}
		}
		p.put, p.delivered = p.put+1, p.delivered+int64(len(e.Targets))
		c.events = append(c.events, e)
	}
	return c, nil
}

// begin begins a commit, which must be finished.
func (r *runner) begin(ctx context.Context, c *commit) {
	known := r.known
	r.service.under.Add(1)
	go func() {
		err := r.service.commit(ctx, known, kindProgress, c.progress.command(r.key), c.events)
		r.service.under.Add(-1)
		c.ended <- err
	}()
}

// finish waits for the end of a commit. A batch that does not fit into a frame, because its events go to very many targets, is put in two.
func (r *runner) finish(ctx context.Context, c *commit) error {
	err := <-c.ended
	if n := len(c.entries); errors.Is(err, shard.ErrTooLarge) && n > 1 {
		half := n / 2
		if err := r.put(ctx, &batch{entries: c.entries[:half]}); err != nil {
			return err
		}
		return r.put(ctx, &batch{entries: c.entries[half:], damage: c.damage, done: c.done})
	}
	if err == nil {
		r.service.events.Committed(r.known.bus(), c.events)
	}
	return err
}

// put commits a batch.
func (r *runner) put(ctx context.Context, b *batch) error {
	c, err := r.ready(b)
	if err != nil {
		return err
	}
	r.begin(ctx, c)
	return r.finish(ctx, c)
}

// again prepares an event: where it goes now, of that what the replay wants, in the order that it wants.
func (r *runner) again(event []byte) (deliver.Accepted, error) {
	spec := &r.known.Spec
	e, err := r.service.events.Again(spec.bus(), spec.Name, event)
	if err != nil {
		return e, fmt.Errorf("replay an event: %w", err)
	}
	if len(spec.Rules) > 0 || spec.Target != "" {
		e.Keep(spec.wants)
	}
	if spec.Perishable {
		if e.Expires = r.service.events.Expires(spec.bus(), &e); e.Expired() {
			e.Targets, e.Orders = nil, nil
		}
	}
	if spec.Order == "" {
		return e, nil
	}
	var value []byte
	if spec.Order != byTime {
		value, _ = r.order.Find(e.Event)
	}
	e.Orders = make([]uint64, len(e.Targets))
	for i, t := range e.Targets {
		salt := r.salt(t)
		if spec.Order == byTime {
			e.Orders[i] = max(1, binary.BigEndian.Uint64(salt[:]))
			continue
		}
		e.Orders[i] = (&route.Order{Path: r.order, Salt: salt}).Hash(value)
	}
	return e, nil
}

// wants reports whether a target gets anything.
func (s *Spec) wants(t *target.Sealed) bool {
	if s.Target != "" && t.ID != s.Target {
		return false
	}
	if len(s.Rules) == 0 {
		return true
	}
	arn := t.Rule.String()
	for _, r := range s.Rules {
		if r == arn {
			return true
		}
	}
	return false
}

// salt tells what this replay puts to a target from all else.
func (r *runner) salt(t *target.Sealed) [8]byte {
	salt, ok := r.salts[t.Key]
	if !ok {
		sum := sha256.Sum256([]byte(r.key + "\x00" + t.Rule.String() + "\x00" + t.ID))
		salt = [8]byte(sum[:])
		r.salts[t.Key] = salt
	}
	return salt
}

// end has the replay end.
func (r *runner) end(ctx context.Context, state State, reason string) error {
	return r.service.commit(ctx, r.known, kindEnd, endCommand(r.key, state, reason), nil)
}

// commit has a command of a replay committed with events.
func (s *Service) commit(ctx context.Context, k *known, kind shard.Kind, body []byte, events []deliver.Accepted) error {
	answer, err := s.deliver.AcceptAlong(ctx, deliver.Along{Home: k.home(), Kind: kind, Body: body}, events)
	if err != nil {
		return err
	}
	switch is := answer.(type) {
	case *Replay:
		s.learn(k.host, is)
		return nil
	case error:
		return is
	}
	return errUnknown
}

// keepPace waits until no target is too far behind, and reports whether it had to. Whoever looks at the replay is told, since that may be as long as a
// target is down.
func (r *runner) keepPace(ctx context.Context, targets []*target.Sealed) (waited bool, err error) {
	began, told := r.real().Now(), false
	defer r.awake()
	for ; ; waited = true {
		lag := r.service.deliver.Lag(targets)
		if r.known.Order != "" {
			held, err := r.service.deliver.Held(ctx, r.known.home(), targets)
			if err != nil {
				return waited, err
			}
			lag = max(lag, held)
		}
		if lag <= r.service.opts.Lag {
			r.service.wait(r.key, "")
			return waited, nil
		}
		if !told && r.real().Now().Sub(began) >= lagTold {
			told = true
			r.service.opts.Logger.Warn("replay waits for its targets", "replay", r.known.Name, "waiting", lag)
			r.service.wait(r.key, fmt.Sprintf("Its targets are behind: %d deliveries to one of them wait.", lag))
		}
		if r.interrupted() {
			return waited, errChanged
		}
		r.sleep(time.Time{}) // its targets are at work, or wait for something themselves
		t := r.real().NewTimer(lagPause)
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			return waited, ctx.Err()
		}
	}
}
