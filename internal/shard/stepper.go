package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rialto-events/rialto/internal/journal"
)

// A Stepper is a shard whose owner is the caller: it starts no goroutine, reads no clock, and every step is a call. Simulations
// and tests of machines drive the very code that a [Shard] runs.
type Stepper struct {
	core   *core
	timers timerHeap
}

// stepperPart is the size of a part of a snapshot, so small that a few payloads need several.
const stepperPart = 100

// OpenStepper recovers a shard and takes it over at the given time, as [Open] does. The effects of what waits are handed to
// the handlers before it returns.
func OpenStepper(log journal.Log, blob journal.Blob, now time.Time, machines ...Hosted) (*Stepper, error) {
	s := &Stepper{core: newCore(log, blob, machines)}
	s.core.partBytes = stepperPart
	s.core.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	if err := s.core.takeOver(context.Background(), "stepper", func() time.Time { return now }); err != nil {
		return nil, err
	}
	s.handle(s.core.resume())
	return s, nil
}

// Commit makes one frame of the proposals, at the given time, and hands its effects to the handlers. It returns what each
// command answered, proposal by proposal.
func (s *Stepper) Commit(now time.Time, proposals ...func(*Batch)) ([][]any, error) {
	var b Batch
	counts := make([]int, len(proposals))
	for i, build := range proposals {
		n, err := b.add(build, s.core.limit.proposal)
		if err != nil {
			return nil, err
		}
		counts[i] = n
	}
	if b.commands == 0 {
		return make([][]any, len(proposals)), nil
	}
	out, err := s.core.commit(context.Background(), b.payload, b.commands, now)
	if err != nil {
		return nil, err
	}
	answers, results := make([][]any, len(proposals)), out.results
	for i, n := range counts {
		answers[i], results = results[:n:n], results[n:]
	}
	s.handle(out)
	return answers, nil
}

// Ring hands over the effects whose time has come by now.
func (s *Stepper) Ring(now time.Time) {
	s.timers.due(now, func(t timer) {
		if h := s.core.machines[t.machine].Handler; h != nil {
			h([]any{t.effect})
		}
	})
}

// NextTimer is when the next effect is due; ok is false if none waits.
func (s *Stepper) NextTimer() (at time.Time, ok bool) {
	if len(s.timers) == 0 {
		return time.Time{}, false
	}
	return s.timers[0].at, true
}

// Snapshot writes a snapshot and truncates the log as far as it may be.
func (s *Stepper) Snapshot() error { return s.StartSnapshot()() }

// StartSnapshot takes a snapshot of the present state. What it returns writes that, at any later time, and truncates the log; until then
// no other may be started.
func (s *Stepper) StartSnapshot() (finish func() error) {
	img := s.core.capture()
	s.core.sinceSnapshot = 0
	return func() error {
		size, err := s.core.store(context.Background(), img)
		thaw(img.views)
		if err != nil {
			return err
		}
		old := s.core.stored(img.seq, size)
		s.core.live.truncate(old.before)
		return s.core.clean(context.Background(), old)
	}
}

// Compact carries every payload that stands in a frame before the youngest n into a new frame.
func (s *Stepper) Compact(now time.Time, n uint64) error {
	for carry := s.StartCompact(n); ; {
		if done, err := carry(now, 1<<20); done || err != nil {
			return err
		}
	}
}

// StartCompact lists the payloads that stand in frames before the youngest n. What it returns carries the first few of those that are left,
// up to so many bytes or one, into a new frame.
func (s *Stepper) StartCompact(n uint64) (carry func(now time.Time, bytes int) (done bool, err error)) {
	before := s.core.tip.seq - min(n, s.core.tip.seq)
	views := s.core.freeze()
	payloads := liveThen(s.core.liveNow(views, before), views, before)
	thaw(views)
	return func(now time.Time, bytes int) (bool, error) {
		bodies, n, err := carryBodies(payloads, bytes, s.Read)
		if err != nil {
			return false, err
		}
		if _, err := s.Commit(now, addCarry(bodies)); err != nil {
			return false, err
		}
		payloads = payloads[n:]
		return len(payloads) == 0, nil
	}
}

// Read returns a payload from the log.
func (s *Stepper) Read(ref Ref) ([]byte, error) {
	rec, err := s.core.log.Get(context.Background(), ref.Seq)
	if errors.Is(err, journal.ErrTruncated) {
		return nil, ErrMoved
	}
	if err != nil {
		return nil, fmt.Errorf("read frame %d of %s: %w", ref.Seq, s.core.log.Name(), err)
	}
	frame, err := journal.ParseFrame(rec)
	if err != nil {
		return nil, err
	}
	return part(frame.Payload, ref)
}

// Bounds are the sequence numbers of the first frame that is kept and of the last.
func (s *Stepper) Bounds() (first, last uint64) { return s.core.live.first, s.core.tip.seq }

func (s *Stepper) handle(out outcome) {
	for i, effects := range out.effects {
		if h := s.core.machines[i].Handler; h != nil && len(effects) > 0 {
			h(effects)
		}
	}
	for _, t := range out.timers {
		s.timers.set(t)
	}
}

// CatchUp applies what another owner of the same log has written since. A simulation compares a former owner's state with
// the new one's that way; nothing may be committed by it any more.
func (s *Stepper) CatchUp(log journal.Log) error {
	return log.Read(context.Background(), s.core.tip.seq+1, func(_ uint64, rec []byte) error {
		_, err := s.core.apply(rec, 0, true)
		return err
	})
}
