package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// Why no attempt is made.
var (
	errEnded    = errors.New("the delivery has ended") // meanwhile
	errStopping = errors.New("the log could not be read until the end")
)

// readPause is the pause between two tries to read an event from a log that does not answer.
const readPause = time.Second

// work makes attempts for a destination as long as there are any.
func (d *Deliverer) work(ctx context.Context, idle <-chan struct{}, dest *destination) {
	for {
		j, wait, ok := dest.next()
		switch {
		case ok:
			failed := d.attempt(ctx, idle, dest, &j)
			if pause := dest.rest(failed); pause > 0 {
				d.pause(pause, idle)
				dest.rested()
			}
		case wait == 0:
			return
		case !d.pause(wait, idle) || !dest.back():
			return
		}
	}
}

// pause waits, and reports whether it was to the end.
func (d *Deliverer) pause(wait time.Duration, idle <-chan struct{}) bool {
	timer := d.opts.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-idle:
		return false
	}
}

// attempt makes one attempt, hands its outcome on, and reports whether it failed in a way that another may not. If it was broken
// off it has no outcome, and is made again after the next start.
func (d *Deliverer) attempt(ctx context.Context, idle <-chan struct{}, dest *destination, j *job) (failed bool) {
	m, err := d.message(ctx, idle, j)
	began := d.opts.Clock.Now()
	switch {
	case errors.Is(err, errEnded), errors.Is(err, errStopping):
		return false
	case errors.Is(err, transform.ErrEmpty):
		err = nil // nothing to deliver, and no failure
	case err == nil:
		err = d.send(ctx, m)
	}
	if err != nil && ctx.Err() != nil {
		return true
	}
	now := d.opts.Clock.Now()
	v := d.verdict(j, m, err, now)
	d.log(ctx, j, m, v, err, now.Sub(began))
	if d.opts.Observer != nil {
		d.opts.Observer.Attempted(&Attempted{
			Message: m, For: j.def, Letter: j.letter != nil, Batch: 1, Began: began, Took: now.Sub(began), Err: err, Verdict: v,
		})
	}
	d.act(dest, j, m, v, now)
	return err != nil && !target.Permanent(err)
}

// message prepares the message of a job. A log that does not answer at the moment is waited for: it is no fault of the target, and
// to count it as an attempt could use up the only one.
func (d *Deliverer) message(ctx context.Context, idle <-chan struct{}, j *job) (*target.Message, error) {
	for warned := false; ; warned = true {
		m, err := j.message(ctx)
		switch {
		case err == nil || rialto.KindOf(err) != rialto.Unavailable:
			return m, err
		case !warned:
			d.opts.Logger.Warn("event cannot be read at present", "target", m.Definition.ARN, "err", err)
		}
		if !d.pause(readPause, idle) {
			return m, errStopping
		}
	}
}

// message reads the event and shapes what is to be sent. With an error it returns what is known of the message.
func (j *job) message(ctx context.Context) (*target.Message, error) {
	m := &target.Message{Definition: j.definition(), Attempt: int(j.made) + 1}
	payload, err := j.host.read(ctx, j.ref, func(h *Machine) (shard.Ref, bool) {
		d, ok := h.find(j.handle())
		if !ok {
			return shard.Ref{}, false
		}
		return h.events.get(d.event).ref, true
	})
	if err != nil {
		return m, unreadable(err)
	}
	e, err := readEvent(payload)
	if err != nil {
		return m, unreadable(err)
	}
	m.EventID, m.Event, m.Bus, m.Trace, m.Hops, m.Accepted = e.EventID, e.Event, e.Bus, e.Trace, e.Hops, e.Accepted
	m.Redrives, m.Redriven = e.Redrives, e.Redriven
	m.Payload, err = j.payload(e)
	if j.letter == nil {
		return m, err
	}
	if len(m.Payload) == 0 {
		m.Payload = m.Event
	}
	l, err := j.readLetter(ctx)
	if err != nil {
		return m, unreadable(err)
	}
	m.Attributes, m.Origin = l.attributes(j.def), origin(m, j.def)
	return m, nil
}

// origin is what a dead letter needs to come back.
func origin(m *target.Message, def *target.Definition) *target.Origin {
	return &target.Origin{
		EventID: m.EventID, Event: m.Event, Bus: m.Bus, Rule: def.Rule, TargetID: def.ID,
		Accepted: m.Accepted, Trace: m.Trace, Hops: m.Hops, Redrives: m.Redrives,
	}
}

// unreadable tells a payload that cannot be read from one that cannot be read now, or need not be any more.
func unreadable(err error) error {
	if errors.Is(err, errEnded) || rialto.KindOf(err) == rialto.Unavailable {
		return err
	}
	return &target.Error{Code: target.CodeInternal, Message: "The event cannot be read from the log.", Cause: err}
}

// payload is what the target receives of an event. It is the same at every attempt, since shaping is pure. A panic in it is
// like one in a sender.
func (j *job) payload(e *Accepted) (payload []byte, err error) {
	defer recovered(&err)
	t, err := j.shape()
	if err != nil {
		return e.Event, &target.Error{Code: target.CodeInvalidParameter, Message: err.Error(), Permanent: true}
	}
	return t.Apply(e.Event, e.Accepted)
}

func (j *job) readLetter(ctx context.Context) (letter, error) {
	payload, err := j.host.read(ctx, *j.letter, func(h *Machine) (shard.Ref, bool) {
		ref, ok := h.letters[j.slot]
		if d, there := h.find(j.handle()); !there || !d.dead {
			return shard.Ref{}, false
		}
		return ref, ok
	})
	if err != nil {
		return letter{}, err
	}
	return readLetter(payload)
}

// attributes are those of a dead letter, in AWS's spelling (EventBridge user guide, "Using dead-letter queues to process
// undelivered events").
func (l letter) attributes(def *target.Definition) map[string]string {
	a := map[string]string{
		"RULE_ARN":      def.Rule.String(),
		"TARGET_ARN":    def.ARN,
		"ERROR_CODE":    l.code,
		"ERROR_MESSAGE": l.message,
	}
	if l.exhausted != "" {
		a["EXHAUSTED_RETRY_CONDITION"] = l.exhausted
		a["RETRY_ATTEMPTS"] = strconv.Itoa(l.retries)
	}
	return a
}

// read returns a copy of a payload, so that a slow attempt holds no more than its own event in memory. If the payload was carried
// forward, where asks the machine for its new place.
func (h *host) read(ctx context.Context, ref shard.Ref, where func(*Machine) (shard.Ref, bool)) ([]byte, error) {
	for {
		b, err := h.shard.Read(ctx, ref)
		if !errors.Is(err, shard.ErrMoved) {
			return bytes.Clone(b), err
		}
		var now shard.Ref
		var there bool
		if err := h.shard.View(ctx, func() { now, there = where(h.machine) }); err != nil {
			return nil, err
		}
		switch {
		case !there:
			return nil, errEnded
		case now == ref:
			return nil, fmt.Errorf("frame %d of %s was truncated, and a payload in it is still needed", ref.Seq, h.shard.Name())
		}
		ref = now
	}
}

// send makes the attempt within its time.
func (d *Deliverer) send(ctx context.Context, m *target.Message) (err error) {
	defer recovered(&err)
	timeout := m.Definition.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return d.resolve(m.Definition).Send(ctx, m)
}

// recovered turns a panic into a failure that is worth another attempt: a mistake in one kind of destination ends nobody else.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &target.Error{
			Code: target.CodeInternal, Message: "The delivery met an internal error.", Cause: fmt.Errorf("panic: %v\n%s", p, debug.Stack()),
		}
	}
}

// verdict decides what becomes of the delivery. A dead letter has a policy of its own: its event may be too old for any other.
func (d *Deliverer) verdict(j *job, m *target.Message, err error, now time.Time) Verdict {
	t, p := Try{Attempt: m.Attempt, Accepted: m.Accepted, Retry: j.def.Retry}, d.opts.Policy
	if j.letter != nil {
		t.Accepted, t.Retry, p.Cap = now, deadLetterRetry, deadLetterCap
	}
	if j.letter == nil && m.Redrives > 0 {
		t.Accepted = m.Redriven
	}
	if t.Accepted.IsZero() {
		t.Accepted = now // the event could not be read
	}
	return p.Next(t, err, now, d.opts.Rand())
}

// act carries out a verdict of now: it counts, and says what is to be written into the log.
func (d *Deliverer) act(dest *destination, j *job, m *target.Message, v Verdict, now time.Time) {
	h := j.handle()
	if v.Action != Done {
		dest.failed.Add(1)
	}
	out := j.host.outcomes
	switch {
	case v.Action == Done:
		dest.settled.Add(1)
		out.add(j.ordered, func(o *outcomes) { o.settled = appendHandle(o.settled, h) })
	case v.Action == Again:
		until := j.host.shard.Now().Add(v.At.Sub(now)) // the shard's time may be another than ours
		p := postponed{handle: h, letter: j.letter != nil, made: m.Attempt, until: until, code: v.Code}
		out.add(j.ordered, func(o *outcomes) { o.again = appendPostponed(o.again, p) })
	case j.letter == nil && j.dlq != nil:
		dest.dead.Add(1)
		l := letter{code: v.Code, message: v.Message, exhausted: v.Exhausted, retries: v.Retries}
		out.add(j.ordered, func(o *outcomes) { o.dead = appendDead(o.dead, h, l) })
	default:
		dest.dropped.Add(1)
		d.logDrop(j, m, v)
		out.add(j.ordered, func(o *outcomes) { o.dropped = appendHandle(o.dropped, h) })
	}
}

// log writes the one line of an attempt.
func (d *Deliverer) log(ctx context.Context, j *job, m *target.Message, v Verdict, err error, took time.Duration) {
	level := slog.LevelDebug
	if err != nil {
		level = slog.LevelInfo
	}
	if !d.opts.Logger.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("bus", m.Bus.String()), slog.String("event", m.EventID), slog.String("rule", string(j.def.RuleName)),
		slog.String("target", m.Definition.ARN), slog.Int("attempt", m.Attempt), slog.Duration("took", took),
		slog.String("verdict", v.Action.String()))
	if j.letter != nil {
		attrs = append(attrs, slog.String("for", j.def.ARN))
	}
	if err != nil {
		attrs = append(attrs, slog.String("code", v.Code), slog.Any("err", err))
	}
	if v.Action == Again {
		attrs = append(attrs, slog.Time("again", v.At))
	}
	d.opts.Logger.LogAttrs(ctx, level, "delivery attempted", attrs...)
}

// logDrop tells of a delivery that ends here.
func (d *Deliverer) logDrop(j *job, m *target.Message, v Verdict) {
	msg := "event dropped: the target has no dead-letter queue"
	if j.letter != nil {
		msg = "event dropped: the dead-letter queue did not take it"
	}
	d.opts.Logger.Warn(msg, "bus", m.Bus.String(), "event", m.EventID, "rule", string(j.def.RuleName), "target", j.def.ARN,
		"queue", j.def.DeadLetter, "attempt", m.Attempt, "code", v.Code, "err", v.Message)
}
