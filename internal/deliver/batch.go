package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rialto-events/rialto/target"
)

// attemptBatch makes one attempt for several deliveries, and hands the outcome of each on. Events that shaping has made larger than
// a batch may be go out in several, one after the other.
func (d *worker) attemptBatch(ctx context.Context, w *work) {
	var tries []try
	for i := range w.jobs {
		t := try{job: &w.jobs[i], batch: 1}
		if d.prepare(ctx, &t) {
			tries = append(tries, t)
		}
	}
	limit := d.batchOf(w.jobs[0].def)
	if len(tries) > 0 {
		w.sent, w.began = true, d.opts.Clock.Now()
	}
	for len(tries) > 0 && ctx.Err() == nil {
		n := fitting(tries, limit)
		d.sendTries(ctx, tries[:n])
		w.ended = d.opts.Clock.Now()
		for i := range tries[:n] {
			t := &tries[i]
			if t.err != nil && ctx.Err() != nil {
				continue // broken off
			}
			w.answered(answerOf(t.err))
			d.conclude(ctx, t, w.ended)
		}
		tries = tries[n:]
	}
}

// answered takes note of what a message of a batch says of the destination: one that was answered shows that it is there, and one that
// was refused because of too many outweighs it.
func (w *work) answered(a answer) {
	a.asked = max(w.asked, a.asked)
	if w.reply == replyNone || a.reply == replyBusy || a.reply == replyGood && w.reply == replyBad {
		w.answer = a
	}
	w.asked = a.asked
}

// fitting is how many of the first tries fit into one batch; at least one.
func fitting(tries []try, limit batch) int {
	size := 0
	for i, t := range tries {
		if size += len(t.message.Payload); i > 0 && (size > limit.bytes || i >= limit.size) {
			return i
		}
	}
	return len(tries)
}

// sendTries makes the attempt within its time, and notes how it ended for each.
func (d *Deliverer) sendTries(ctx context.Context, tries []try) {
	messages, began := make([]*target.Message, len(tries)), d.opts.Clock.Now()
	for i := range tries {
		messages[i] = tries[i].message
		messages[i].Definition = messages[0].Definition // the same, maybe by way of another shard
		tries[i].batch, tries[i].began = len(tries), began
	}
	errs, err := d.sendBatch(ctx, messages)
	for i := range tries {
		switch {
		case err != nil:
			tries[i].err = err
		case len(errs) > 0:
			tries[i].err = errs[i]
		}
	}
}

func (d *Deliverer) sendBatch(ctx context.Context, ms []*target.Message) (errs []error, err error) {
	defer recovered(&err)
	kind, ok := d.resolve(ms[0].Definition).(target.Batcher)
	if !ok {
		return nil, errors.New("the kind of destination does not take batches any more")
	}
	ctx, cancel := context.WithTimeout(ctx, timeoutOf(kind, ms[0].Definition))
	defer cancel()
	if errs = kind.SendBatch(ctx, ms); len(errs) != 0 && len(errs) != len(ms) {
		return nil, fmt.Errorf("the kind of destination gave %d results for %d messages", len(errs), len(ms))
	}
	return errs, nil
}

// timeoutOf bounds an attempt.
func timeoutOf(kind target.Sender, def *target.Definition) time.Duration {
	if def.Timeout > 0 {
		return def.Timeout
	}
	if timed, ok := kind.(target.Timed); ok {
		if t := timed.Timeout(def); t > 0 {
			return t
		}
	}
	return defaultTimeout
}
