package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

const (
	maxQueued    = 4096     // proposals that wait for a frame; further ones wait for their turn to wait
	defaultCache = 16 << 20 // bytes of frames kept in memory for Read
	closeTimeout = 10 * time.Second
	lookEvery    = time.Second      // at the length of the log, and at the room that is left
	alarmEvery   = 10 * time.Second // the longest wait before the clock is looked at again: it may have been set
	worthRoom    = 1 << 20          // bytes of log that are worth two snapshots when space is short
)

// Options tunes a Shard. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
	Owner  string       // who this is, for the log; such as a node's name
	Cache  int          // bytes of recent frames kept in memory; 0 is 16 MiB
	Room   func() error // says why space is short; snapshots come sooner then, so that the log can be truncated. Nil is never

	// Recovered, if it is not nil, is told of the time of the last frame, before the first of this process is written.
	Recovered func(last time.Time)

	// Appended, if it is not nil, is told of each frame that was written: how large it is, and how long that took. It must be quick.
	Appended func(bytes int, took time.Duration)
}

// A Shard is a log with its machines and their owner.
type Shard struct {
	core   *core
	opts   Options
	in     chan request
	cache  *frameCache
	time   *pacemaker
	timers timerHeap
	resume outcome

	turns atomic.Uint64 // how often effects were handed over

	scratch []byte // memory for the payload of the next frame

	snapshotting bool          // a snapshot is on its way to the disk
	snapshotDone chan snapshot // the owner learns here how it went
	compacting   bool          // what lives in old frames is being carried forward
	background   sync.WaitGroup

	stopped chan struct{} // closed when Run returns
	err     error         // why; read after stopped is closed
	stall   atomic.Pointer[chan struct{}]
}

// A request is a proposal or a view.
type request struct {
	build func(*Batch)
	more  int // bytes that the proposal may have beyond the limit
	view  func()
	waits bool        // also while the log does not answer
	done  chan answer // has room for the one answer
}

type answer struct {
	results []any
	err     error
}

type snapshot struct {
	image image
	size  int64
	err   error
}

// Open recovers a shard and takes it over. Nothing happens in it until [Shard.Run] is called.
//
// A log that is damaged is refused with a *journal.DamageError, which names the log and the range.
func Open(ctx context.Context, log journal.Log, blob journal.Blob, machines []Hosted, opts Options) (*Shard, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	if opts.Cache == 0 {
		opts.Cache = defaultCache
	}
	s := &Shard{
		core:         newCore(log, blob, machines),
		opts:         opts,
		in:           make(chan request, maxQueued),
		cache:        newFrameCache(opts.Cache),
		snapshotDone: make(chan snapshot, 1),
		stopped:      make(chan struct{}),
	}
	open := make(chan struct{})
	s.stall.Store(&open)
	s.core.warn = func(msg string, seq uint64, err error) {
		opts.Logger.Warn(msg, "log", log.Name(), "seq", seq, "err", err)
	}
	s.core.stall = s.setStalled
	now := func() time.Time {
		if opts.Recovered != nil {
			opts.Recovered(s.core.tip.time)
		}
		return opts.Clock.Now()
	}
	if err := s.core.takeOver(ctx, opts.Owner, now); err != nil {
		return nil, err
	}
	s.time = newPacemaker(opts.Clock, s.core.tip.time)
	s.resume = s.core.resume()
	return s, nil
}

// Name is the name of the shard's log.
func (s *Shard) Name() string { return s.core.log.Name() }

// Now is the shard's time, by which commands are applied and timers fire: that of [Options.Clock], unless that was set back.
func (s *Shard) Now() time.Time { return s.time.now() }

// Due is when the next effect falls due that waits for its time; zero if none does. One that is due and not handed over yet is due in the past.
// What was proposed before the call is committed, and its effects are handed over, when Due returns.
func (s *Shard) Due(ctx context.Context) (next time.Time, err error) {
	err = s.View(ctx, func() {
		if len(s.timers) > 0 {
			next = s.timers[0].at
		}
	})
	return next, err
}

// Turns is how often effects were handed to their handlers: as long as it stays the same, nobody has got work from here. It is counted once
// they have it.
func (s *Shard) Turns() uint64 { return s.turns.Load() }

// Queued is how many proposals wait for a frame: a cheap hint for whoever may choose between shards.
func (s *Shard) Queued() int { return len(s.in) }

// Fits reports whether a proposal can have a command with so long a body.
func (s *Shard) Fits(body int) bool { return body+maxCommandHead <= s.core.limit.proposal }

// Propose asks for commands to be committed. The owner calls build when it makes the next frame: all frames before are
// applied by then, so build may look at the machines' state, and it must be quick. Propose returns what Apply returned for
// each command added, in order. If ctx ends first, the commands may or may not be committed.
//
// The error is an *rialto.Error of kind Unavailable if the log cannot be written to at the moment, [ErrTooLarge] if the
// proposal does not fit into a frame, or [ErrFenced] if the shard has another owner now.
func (s *Shard) Propose(ctx context.Context, build func(b *Batch)) ([]any, error) {
	a := s.ask(ctx, request{build: build})
	return a.results, a.err
}

// Insist is like Propose, but waits as long as the log does not answer, for who must not ask twice: unless ctx or the shard ends
// first, the outcome is known.
func (s *Shard) Insist(ctx context.Context, build func(b *Batch)) ([]any, error) {
	a := s.ask(ctx, request{build: build, waits: true})
	return a.results, a.err
}

// View calls f on the owner's goroutine, between two frames, so that it sees a consistent state. It must be quick. When View
// returns an error, f may still be called later.
func (s *Shard) View(ctx context.Context, f func()) error {
	return s.ask(ctx, request{view: f}).err
}

// insistView is like View, but waits as long as the log does not answer. An error says that the shard has ended.
func (s *Shard) insistView(f func()) error {
	return s.ask(context.Background(), request{view: f, waits: true}).err
}

func (s *Shard) ask(ctx context.Context, r request) answer {
	r.done = make(chan answer, 1)
	stalled := *s.stall.Load()
	if r.waits {
		stalled = nil
	}
	select {
	case s.in <- r:
	case <-ctx.Done():
		return answer{err: ctx.Err()}
	case <-stalled:
		return answer{err: s.stalledError()}
	case <-s.stopped:
		return answer{err: s.stoppedError()}
	}
	select {
	case a := <-r.done:
		return a
	case <-ctx.Done():
		return answer{err: ctx.Err()}
	case <-stalled:
		return answer{err: s.stalledError()}
	case <-s.stopped:
		select {
		case a := <-r.done: // answered just before the end
			return a
		default:
			return answer{err: s.stoppedError()}
		}
	}
}

// setStalled sends proposers away while an append has no outcome, and lets them in again.
func (s *Shard) setStalled(stalled bool) {
	ch := *s.stall.Load()
	select {
	case <-ch:
		if !stalled {
			open := make(chan struct{})
			s.stall.Store(&open)
		}
	default:
		if stalled {
			s.opts.Logger.Warn("log does not answer", "log", s.Name())
			close(ch)
		}
	}
}

func (s *Shard) stalledError() error {
	return unavailable(s.Name(), errors.New("the log does not answer"))
}

func (s *Shard) stoppedError() error {
	if s.err != nil {
		return s.err
	}
	return &rialto.Error{Kind: rialto.Unavailable, Message: "The server is shutting down.", Cause: fmt.Errorf("shard %s is closed", s.Name())}
}

// Read returns a payload from the log. Recent frames are answered from memory. It may be called from any goroutine. If the
// payload was carried forward meanwhile, the error is [ErrMoved]: ask the machine for the new place and read again.
func (s *Shard) Read(ctx context.Context, ref Ref) ([]byte, error) {
	payload, err := s.cache.read(ctx, ref.Seq, func() ([]byte, error) { return s.fetch(ctx, ref.Seq) })
	if err != nil {
		return nil, err
	}
	return part(payload, ref)
}

// fetch reads the payload of a frame from the log.
func (s *Shard) fetch(ctx context.Context, seq uint64) ([]byte, error) {
	rec, err := s.core.log.Get(ctx, seq)
	if errors.Is(err, journal.ErrTruncated) {
		return nil, ErrMoved
	}
	if err != nil {
		return nil, fmt.Errorf("read frame %d of %s: %w", seq, s.Name(), err)
	}
	frame, err := journal.ParseFrame(rec)
	if err != nil {
		return nil, err
	}
	return frame.Payload, nil
}

// part is what ref names of a frame's payload.
func part(payload []byte, ref Ref) ([]byte, error) {
	end := uint64(ref.Off) + uint64(ref.Len)
	if end > uint64(len(payload)) {
		return nil, fmt.Errorf("frame %d has no payload at %d+%d", ref.Seq, ref.Off, ref.Len)
	}
	return payload[ref.Off:end:end], nil
}

// Run is the owner. It returns nil after ctx ended: what was proposed before is committed, and a snapshot is written so
// that the next start is quick. It returns [ErrFenced] when the shard has another owner.
func (s *Shard) Run(ctx context.Context) error {
	s.handle(s.resume)
	s.resume = outcome{}
	err := s.loop(ctx)
	if err == nil {
		err = s.shut()
	}
	s.err = err
	close(s.stopped)
	s.background.Wait()
	return err
}

func (s *Shard) loop(ctx context.Context) error {
	// An orderly stop waits for the frame in flight, but not for ever.
	writing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() {
		_ = pause(writing, closeTimeout)
		giveUp()
	})()

	alarm := s.opts.Clock.NewTimer(time.Hour)
	defer alarm.Stop()
	look := rialto.Real(s.opts.Clock).NewTimer(lookEvery)
	defer look.Stop()
	for {
		if len(s.timers) > 0 {
			s.time.alarm(alarm, s.timers[0].at)
		}
		select {
		case r := <-s.in:
			if err := s.frame(writing, r); err != nil {
				return err
			}
		case <-alarm.C():
			s.ring()
		case <-look.C():
			if err := s.shorten(writing); err != nil {
				return err
			}
			look.Reset(lookEvery)
		case done := <-s.snapshotDone:
			s.snapshotted(done)
		case <-ctx.Done():
			return nil
		}
	}
}

// ring hands over the effects whose time has come.
func (s *Shard) ring() {
	s.timers.due(s.Now(), func(t timer) {
		if h := s.core.machines[t.machine].Handler; h != nil {
			h([]any{t.effect})
		}
	})
	s.turns.Add(1)
}

// frame makes one frame of first and of whatever else waits, commits it and answers. Only an error that ends the owner is
// returned.
func (s *Shard) frame(ctx context.Context, first request) error {
	b := Batch{payload: s.scratch[:0]}
	defer func() { s.scratch = b.payload }() // it is copied into the frame, so the next one may use its memory
	var waiting []waiter
	for r, ok := first, true; ok; r, ok = s.next(len(b.payload)) {
		if r.view != nil {
			r.view()
			r.done <- answer{}
			continue
		}
		n, err := b.add(r.build, s.core.limit.proposal+r.more)
		if err != nil || n == 0 {
			r.done <- answer{err: err}
			continue
		}
		waiting = append(waiting, waiter{r.done, n})
	}
	if b.commands == 0 {
		return nil
	}
	began := time.Now()
	out, err := s.core.commit(ctx, b.payload, b.commands, s.Now())
	if err == nil && s.opts.Appended != nil {
		s.opts.Appended(len(b.payload), time.Since(began))
	}
	damage, isDamage := errors.AsType[*journal.DamageError](err)
	switch {
	case errors.Is(err, ErrFenced):
		answerAll(waiting, nil, ErrFenced)
		return ErrFenced
	case isDamage:
		answerAll(waiting, nil, damage)
		return damage
	case err != nil && (ctx.Err() != nil || errors.Is(err, journal.ErrClosed)):
		answerAll(waiting, nil, unavailable(s.Name(), err))
		return fmt.Errorf("the last frame of %s has no outcome: %w", s.Name(), err)
	case err != nil:
		s.opts.Logger.Warn("frame not written", "log", s.Name(), "err", err)
		answerAll(waiting, nil, unavailable(s.Name(), err))
		return nil
	}
	s.cache.put(s.core.tip.seq, out.payload)
	answerAll(waiting, out.results, nil)
	s.handle(out)
	if !s.snapshotting && s.core.snapshotDue() {
		s.startSnapshot()
	}
	return nil
}

// next takes another request for a frame that has so many bytes already, if one waits.
func (s *Shard) next(size int) (request, bool) {
	if size >= s.core.limit.soft {
		return request{}, false
	}
	select {
	case r := <-s.in:
		return r, true
	default:
		return request{}, false
	}
}

// A waiter waits for the results of the next so many commands of a frame.
type waiter struct {
	done     chan answer
	commands int
}

func answerAll(waiting []waiter, results []any, err error) {
	for _, w := range waiting {
		if err != nil {
			w.done <- answer{err: err}
			continue
		}
		w.done <- answer{results: results[:w.commands:w.commands]}
		results = results[w.commands:]
	}
}

// handle hands effects to the machines' handlers and sets timers.
func (s *Shard) handle(out outcome) {
	for i, effects := range out.effects {
		if h := s.core.machines[i].Handler; h != nil && len(effects) > 0 {
			h(effects)
		}
	}
	for _, t := range out.timers {
		s.timers.set(t)
	}
	s.turns.Add(1)
}

// shorten keeps the log short although nobody writes any more: after a purge, or after many deletes among messages that stay. It takes two
// snapshots to truncate, and a snapshot is only another one if there is another frame.
func (s *Shard) shorten(ctx context.Context) error {
	if s.snapshotting {
		return nil
	}
	if !s.worthTruncating() {
		s.compact()
		return nil
	}
	if s.core.sinceSnapshot == 0 {
		again := request{build: func(b *Batch) { b.Add(kindEpoch, []byte(s.opts.Owner)) }, done: make(chan answer, 1)}
		if err := s.frame(ctx, again); err != nil {
			return err
		}
	}
	if !s.snapshotting { // that frame was not the last straw
		s.startSnapshot()
	}
	return nil
}

// worthTruncating reports whether the log has more frames at its head that nothing refers to than while the usual snapshots come and go,
// or, when space is short, any to speak of.
func (s *Shard) worthTruncating() bool {
	worth := 2*s.core.snapshotEvery() + s.core.slack
	if s.opts.Room != nil && s.opts.Room() != nil {
		worth = worthRoom
	}
	return s.core.live.dead() >= worth
}

// startSnapshot takes a snapshot; writing it goes on beside the owner.
func (s *Shard) startSnapshot() {
	s.snapshotting = true
	s.core.sinceSnapshot = 0
	img := s.core.capture()
	s.background.Go(func() {
		size, err := s.core.store(context.Background(), img)
		s.snapshotDone <- snapshot{img, size, err}
	})
}

// snapshotted cleans up after a snapshot is safe.
func (s *Shard) snapshotted(done snapshot) {
	s.snapshotting = false
	thaw(done.image.views)
	if done.err != nil {
		s.opts.Logger.Warn("snapshot not written", "log", s.Name(), "err", done.err)
		return
	}
	old := s.core.stored(done.image.seq, done.size)
	s.core.live.truncate(old.before)
	s.background.Go(func() {
		if err := s.core.clean(context.Background(), old); err != nil {
			s.opts.Logger.Warn("log not truncated", "log", s.Name(), "err", err)
		}
	})
	s.compact()
}

// shut commits what was proposed before the end and writes a last snapshot.
func (s *Shard) shut() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for {
		select {
		case r := <-s.in:
			if err := s.frame(ctx, r); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	if s.snapshotting {
		s.snapshotted(<-s.snapshotDone)
	}
	if s.core.sinceSnapshot == 0 {
		return nil
	}
	img := s.core.capture()
	size, err := s.core.store(ctx, img)
	thaw(img.views)
	if err != nil {
		s.opts.Logger.Warn("last snapshot not written; the next start reads more of the log", "log", s.Name(), "err", err)
		return nil
	}
	if err := s.core.clean(ctx, s.core.stored(img.seq, size)); err != nil {
		s.opts.Logger.Warn("log not truncated", "log", s.Name(), "err", err)
	}
	return nil
}
