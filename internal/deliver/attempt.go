package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// A worker makes attempts for a destination.
type worker struct {
	*Deliverer
	destination *destination
	idle        <-chan struct{} // closed when nobody is to wait for a time any more
}

// run works as long as there is something to do.
func (d *worker) run(ctx context.Context) {
	var w work
	for {
		pause, ok := d.destination.next(&w)
		switch {
		case pause > 0:
			d.pause(pause)
		case !ok:
			return
		case w.tooOld:
			d.giveUp(ctx, &w)
		case w.batch:
			d.attemptBatch(ctx, &w)
		default:
			d.attempt(ctx, &w)
		}
	}
}

// pause waits, and reports whether it was to the end. It spares the processor, which knows no other time than the real one.
func (d *worker) pause(wait time.Duration) bool {
	timer := rialto.Real(d.opts.Clock).NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-d.idle:
		return false
	}
}

// A try is an attempt for one delivery.
type try struct {
	*job
	message *target.Message
	batch   int // deliveries that share the attempt
	began   time.Time
	err     error
}

// attempt makes one attempt and hands its outcome on. If it was broken off it has none, and is made again after the next start.
func (d *worker) attempt(ctx context.Context, w *work) {
	t := try{job: &w.jobs[0], batch: 1}
	if !d.prepare(ctx, &t) {
		return
	}
	w.sent, w.began = true, t.began
	t.err = d.send(ctx, t.message)
	w.ended = d.opts.Clock.Now()
	if t.err != nil && ctx.Err() != nil {
		return
	}
	w.answer = answerOf(t.err)
	d.conclude(ctx, &t, w.ended)
}

// An answer is what an attempt says of its destination.
type answer struct {
	reply   reply
	asked   time.Duration // for which it wants to be left alone
	failure               // if it has failed
}

// A failure is why an attempt failed, as dead letters tell it.
type failure struct{ code, message string }

func answerOf(err error) answer {
	if err == nil {
		return answer{reply: replyGood}
	}
	e := failureOf(err)
	a := answer{reply: replyBad, asked: e.RetryAfter, failure: failure{e.Code, e.Message}}
	switch {
	case e.Permanent:
		return answer{reply: replyGood} // the payload is at fault
	case e.Code == target.CodeThrottling || e.RetryAfter > 0:
		a.reply = replyBusy
	}
	return a
}

// prepare makes the message of a try, and reports whether it is to be sent. If not, the try has ended here.
func (d *worker) prepare(ctx context.Context, t *try) bool {
	m, expires, err := d.message(ctx, t.job)
	t.message, t.began, t.err = m, d.opts.Clock.Now(), err
	switch {
	case errors.Is(err, errEnded), errors.Is(err, errStopping), err != nil && ctx.Err() != nil:
		return false
	case !expires.IsZero() && t.began.After(expires) && !t.letter:
		t.err = nil
		d.end(ctx, t, Verdict{Action: Expired}, t.began)
		return false
	case err == nil:
		return true
	case errors.Is(err, transform.ErrEmpty):
		t.err = nil // nothing to deliver, and no failure
	}
	d.conclude(ctx, t, t.began)
	return false
}

// conclude decides what becomes of the delivery of a try that ended now.
func (d *worker) conclude(ctx context.Context, t *try, now time.Time) {
	v := d.verdict(t.job, t.message, t.err, now)
	if v.Action != Done {
		d.destination.failed.Add(1)
	}
	d.end(ctx, t, v, now)
}

// end carries out a verdict of now, and tells of it.
func (d *worker) end(ctx context.Context, t *try, v Verdict, now time.Time) {
	d.log(ctx, t, v, now)
	if d.opts.Observer != nil {
		d.opts.Observer.Attempted(&Attempted{
			Message: t.message, For: t.def, Letter: t.letter, Batch: t.batch, Began: t.began, Took: now.Sub(t.began), Err: t.err, Verdict: v,
		})
	}
	d.act(t.job, t.message, v, now)
}

// giveUp ends a delivery whose event ended, or got too old, while the circuit kept it.
func (d *worker) giveUp(ctx context.Context, w *work) {
	t := try{job: &w.jobs[0]}
	m, expires, err := d.message(ctx, t.job)
	if errors.Is(err, errEnded) || errors.Is(err, errStopping) || ctx.Err() != nil {
		return
	}
	t.message, t.began = m, d.opts.Clock.Now()
	if !expires.IsZero() && !t.began.Before(expires) {
		d.end(ctx, &t, Verdict{Action: Expired}, t.began)
		return
	}
	code, err := t.lastCode(ctx)
	if err != nil {
		return // it ended meanwhile, or the end has come
	}
	d.end(ctx, &t, Verdict{
		Action: DeadLetter, Code: cmp.Or(code, w.outage.code, target.CodeUnknown), Message: w.outage.epitaph(),
		Exhausted: exhaustedAge, Retries: max(0, int(t.made)-1),
	}, t.began)
}

// send makes the attempt within its time.
func (d *Deliverer) send(ctx context.Context, m *target.Message) (err error) {
	defer recovered(&err)
	kind := d.resolve(m.Definition)
	ctx, cancel := context.WithTimeout(ctx, timeoutOf(kind, m.Definition))
	defer cancel()
	return kind.Send(ctx, m)
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
	if j.letter {
		t.Accepted, t.Retry, p.Cap = now, deadLetterRetry, deadLetterCap
	}
	if !j.letter && m.Redrives > 0 {
		t.Accepted = m.Redriven
	}
	if t.Accepted.IsZero() {
		t.Accepted = now // the event could not be read
	}
	return p.Next(t, err, now, d.opts.Rand())
}

// act carries out a verdict of now: it counts, and says what is to be written into the log.
func (d *worker) act(j *job, m *target.Message, v Verdict, now time.Time) {
	h := j.handle()
	out := j.host.outcomes
	switch {
	case v.Action == Expired:
		d.destination.expired.Add(1)
		out.add(j.ordered, func(o *outcomes) { o.dropped = appendHandle(o.dropped, h) })
	case v.Action == Done:
		d.destination.settled.Add(1)
		out.add(j.ordered, func(o *outcomes) { o.settled = appendHandle(o.settled, h) })
	case v.Action == Again:
		until := j.host.shard.Now().Add(v.At.Sub(now)) // the shard's time may be another than ours
		p := postponed{handle: h, letter: j.letter, made: m.Attempt, until: until, code: v.Code}
		out.add(j.ordered, func(o *outcomes) { o.again = appendPostponed(o.again, p) })
	case !j.letter && j.dlq != nil:
		d.destination.dead.Add(1)
		l := letter{code: v.Code, message: v.Message, exhausted: v.Exhausted, retries: v.Retries}
		out.add(j.ordered, func(o *outcomes) { o.dead = appendDead(o.dead, h, l) })
	default:
		d.destination.dropped.Add(1)
		d.logDrop(j, m, v)
		out.add(j.ordered, func(o *outcomes) { o.dropped = appendHandle(o.dropped, h) })
	}
}

// log writes the one line of an attempt that ended now.
func (d *Deliverer) log(ctx context.Context, t *try, v Verdict, now time.Time) {
	level := slog.LevelDebug
	if t.err != nil {
		level = slog.LevelInfo
	}
	if !d.opts.Logger.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("bus", t.message.Bus.String()), slog.String("event", t.message.EventID), slog.String("rule", string(t.def.RuleName)),
		slog.String("target", t.message.Definition.ARN), slog.Int("attempt", t.message.Attempt), slog.Duration("took", now.Sub(t.began)),
		slog.String("verdict", v.Action.String()))
	if t.letter {
		attrs = append(attrs, slog.String("for", t.def.ARN))
	}
	if t.err != nil {
		attrs = append(attrs, slog.String("code", v.Code), slog.Any("err", t.err))
	}
	if v.Action == Again {
		attrs = append(attrs, slog.Time("again", v.At))
	}
	d.opts.Logger.LogAttrs(ctx, level, "delivery attempted", attrs...)
}

// logDrop tells of a delivery that ends here.
func (d *Deliverer) logDrop(j *job, m *target.Message, v Verdict) {
	msg := "event dropped: the target has no dead-letter queue"
	if j.letter {
		msg = "event dropped: the dead-letter queue did not take it"
	}
	d.opts.Logger.Warn(msg, "bus", m.Bus.String(), "event", m.EventID, "rule", string(j.def.RuleName), "target", j.def.ARN,
		"queue", j.def.DeadLetter, "attempt", m.Attempt, "code", v.Code, "err", v.Message)
}
