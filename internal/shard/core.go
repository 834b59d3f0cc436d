package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/record"
)

// Kinds 0x00 to 0x0f belong to the shard itself.
const (
	kindEpoch Kind = 0x01 // the owner, by name: first of all, and when a frame is needed for its own sake
	kindCarry Kind = 0x02 // a payload carried forward: the machine's first kind, the machine's key, the payload
)

// stallAfter is the pause between two tries of an append from which on proposers are sent away rather than kept waiting.
const stallAfter = 250 * time.Millisecond

// ErrFenced says that another process owns the shard now; this one must stop.
var ErrFenced = errors.New("the shard has another owner now")

// ErrMoved says that a payload is no longer where a [Ref] says: the machine knows its new place.
var ErrMoved = errors.New("the payload was carried forward")

// A Hosted is a machine with the handler of its effects.
type Hosted struct {
	Machine Machine
	Handler Handler // nil discards the effects
}

// A tip is the last frame of a log: what the next one follows.
type tip struct {
	seq   uint64
	hash  journal.Hash
	epoch uint64
	time  time.Time
}

// A core is a shard without its goroutine: every step is a call. The simulation drives it directly.
type core struct {
	log      journal.Log
	blob     journal.Blob
	machines []Hosted
	byKind   [256]int // index into machines, or -1
	limit    frameLimit

	partBytes   int   // of a large state in one part of a snapshot
	minSnapshot int64 // bytes of frames before a snapshot is worth its writing
	slack       int64 // bytes of the log that are not worth any effort

	tip  tip // the last frame
	live liveTable
	tx   Tx // reused

	warn  func(msg string, seq uint64, err error)
	wait  func(ctx context.Context, d time.Duration) error // between two tries of an append whose outcome is not known
	stall func(stalled bool)                               // an append has been without an outcome for long, or has one now

	sinceSnapshot int64    // bytes of frames since the newest snapshot
	snapshots     []uint64 // sequence numbers of the snapshots that are kept, oldest first
	lastSnapshot  int64    // bytes of the newest one
}

func newCore(log journal.Log, blob journal.Blob, machines []Hosted) *core {
	c := &core{
		log: log, blob: blob, machines: machines, limit: frameLimitOf(log.MaxRecord()), partBytes: snapshotPart, minSnapshot: minSnapshotBytes, slack: slackBytes,
		warn: func(string, uint64, error) {}, wait: pause, stall: func(bool) {},
	}
	for k := range c.byKind {
		c.byKind[k] = -1
	}
	for i, h := range machines {
		first, last := h.Machine.Kinds()
		for k := int(first); k <= int(last); k++ {
			if c.byKind[k] >= 0 || k < 0x10 {
				panic(fmt.Sprintf("shard: kind %#x of machine %s is taken", k, h.Machine.Name()))
			}
			c.byKind[k] = i
		}
	}
	c.live.first = 1
	return c
}

// outcome is what became of a frame: what each command answered, and the effects and timers of each machine.
type outcome struct {
	payload []byte // of the frame, as it is kept
	results []any
	effects [][]any // by machine
	timers  []timer
}

// commit writes a payload as the next frame and applies it. After an error the frame is not in the log, except for
// [ErrFenced], [journal.ErrClosed], damage and an ended context, after which nobody may use the core any more.
func (c *core) commit(ctx context.Context, payload []byte, commands int, now time.Time) (outcome, error) {
	rec, err := c.append(ctx, c.tip.epoch, now, payload)
	if err != nil {
		return outcome{}, err
	}
	return c.apply(rec, commands, false)
}

// append makes the next frame and gets it into the log. A lost acknowledgement is not an error: it asks until it knows,
// since a frame that may still be on its way into the log forbids every other.
func (c *core) append(ctx context.Context, epoch uint64, now time.Time, payload []byte) ([]byte, error) {
	now = now.Truncate(time.Microsecond)
	if now.Before(c.tip.time) {
		now = c.tip.time // the clock went back; machines never see that
	}
	expected := c.tip.seq
	f := journal.Frame{Shard: c.log.Name(), Seq: expected + 1, Epoch: epoch, Prev: c.tip.hash, Time: now, Payload: payload}
	rec := f.Append(make([]byte, 0, len(payload)+journal.FrameOverhead))
	inDoubt := false
	defer func() { c.stall(false) }()
	for wait := time.Millisecond; ; wait = min(2*wait, time.Second) {
		_, err := c.log.Append(ctx, expected, rec)
		switch {
		case err == nil:
			return rec, nil
		case errors.Is(err, journal.ErrConflict):
			// Somebody wrote this sequence number: we did, and the acknowledgement got lost, or another owner did.
			got, err := c.log.Get(ctx, expected+1)
			if err == nil && bytes.Equal(got, rec) {
				return rec, nil
			}
			switch {
			case err == nil || errors.Is(err, journal.ErrTruncated):
				return nil, ErrFenced
			case final(err):
				return nil, err
			}
			inDoubt = true
		case errors.Is(err, journal.ErrUnknown):
			inDoubt = true
		case final(err):
			return nil, err
		case !inDoubt:
			return nil, err
		}
		if wait >= stallAfter {
			c.stall(true)
		}
		if err := c.wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// final reports whether a log will never say more than this: it is closed, or not what it was.
func final(err error) bool {
	_, damaged := errors.AsType[*journal.DamageError](err)
	return damaged || errors.Is(err, journal.ErrClosed)
}

// apply takes a frame that is in the log into the state.
func (c *core) apply(rec []byte, commands int, replay bool) (outcome, error) {
	frame, err := journal.ParseFrame(rec)
	if err != nil {
		return outcome{}, err
	}
	if frame.Seq != c.tip.seq+1 || frame.Prev != c.tip.hash {
		return outcome{}, c.damage(c.tip.seq+1, c.tip.seq+1, "the frame does not follow the one before it")
	}
	c.tip = tip{seq: frame.Seq, hash: journal.HashOf(rec), epoch: frame.Epoch, time: frame.Time}
	c.live.push(len(rec))
	c.sinceSnapshot += int64(len(rec))
	out := outcome{payload: frame.Payload, results: make([]any, 0, commands)}
	if !replay {
		out.effects = make([][]any, len(c.machines))
	}
	c.tx = Tx{now: frame.Time, seq: frame.Seq, live: &c.live, muted: replay}
	err = eachCommand(frame.Payload, func(kind Kind, body []byte, off uint32) error {
		c.tx.bodyOff = off
		switch i := c.byKind[kind]; {
		case i >= 0:
			out.results = append(out.results, c.machines[i].Machine.Apply(&c.tx, kind, body))
			c.collect(i, &out)
			return nil
		case kind == kindEpoch:
			out.results = append(out.results, nil)
			return nil
		case kind == kindCarry:
			out.results = append(out.results, nil)
			return c.carried(body, &out)
		}
		return fmt.Errorf("kind %#x is unknown: the log was written by a newer version", kind)
	})
	if err != nil {
		return outcome{}, c.damage(frame.Seq, frame.Seq, err.Error())
	}
	return out, nil
}

func (c *core) damage(first, last uint64, reason string) error {
	return &journal.DamageError{Log: "log " + c.log.Name(), First: first, Last: last, Reason: reason}
}

// collect files what a machine just emitted.
func (c *core) collect(i int, out *outcome) {
	if len(c.tx.effects) > 0 {
		out.effects[i] = append(out.effects[i], c.tx.effects...)
		c.tx.effects = c.tx.effects[:0]
	}
	for _, t := range c.tx.timers {
		t.machine = i
		out.timers = append(out.timers, t)
	}
	c.tx.timers = c.tx.timers[:0]
}

// appendCarry makes the body of a command that carries a payload forward.
func appendCarry(dst []byte, machine Kind, key, payload []byte) []byte {
	dst = append(dst, byte(machine))
	dst = record.AppendBytes(dst, key)
	return append(dst, payload...)
}

func (c *core) carried(body []byte, out *outcome) error {
	r := record.NewReader(body)
	kind, key := Kind(r.Byte()), r.Bytes()
	if r.Err() != nil || c.byKind[kind] < 0 {
		return errors.New("a carried payload names no machine")
	}
	ref := c.tx.Ref(len(body)-r.Len(), len(body))
	i := c.byKind[kind]
	c.machines[i].Machine.Carried(&c.tx, key, ref)
	c.collect(i, out)
	return nil
}

// resume lets every machine emit what waits.
func (c *core) resume() outcome {
	out := outcome{effects: make([][]any, len(c.machines))}
	c.tx = Tx{now: c.tip.time, seq: c.tip.seq, live: &c.live}
	for i, h := range c.machines {
		h.Machine.Resume(&c.tx)
		c.collect(i, &out)
	}
	return out
}

// takeOver makes this process the owner: it brings the state up to the end of the log and appends a frame of the next epoch.
// From then on the former owner's appends fail.
//
// The time is asked for when the state is there.
func (c *core) takeOver(ctx context.Context, owner string, now func() time.Time) error {
	if err := c.recover(ctx); err != nil {
		return err
	}
	var b Batch
	b.Add(kindEpoch, []byte(owner))
	rec, err := c.append(ctx, c.tip.epoch+1, now(), b.payload)
	if err != nil {
		return fmt.Errorf("take over %s: %w", c.log.Name(), err)
	}
	_, err = c.apply(rec, 1, true)
	return err
}

// unavailable tells a proposer that its commands are not in the log.
func unavailable(log string, err error) error {
	if e, ok := errors.AsType[*rialto.Error](err); ok {
		return e
	}
	return &rialto.Error{Kind: rialto.Unavailable, Message: "The event store cannot be written to at the moment; try again.", Cause: fmt.Errorf("append to %s: %w", log, err)}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
