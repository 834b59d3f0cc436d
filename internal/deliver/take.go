package deliver

import (
	"container/heap"
	"time"
)

// A work is what a worker has to do: an attempt for one delivery or for a batch.
type work struct {
	jobs   []job
	begun  bool  // its worker has come
	lane   *lane // nil if there is no attempt to tell of
	batch  bool
	tooOld bool   // no attempt: the delivery ends because it got too old
	outage outage // that it waited for
	busy   int    // attempts in progress when it began
	ticket ticket

	// For the worker to fill in.
	sent  bool      // an attempt was made
	began time.Time // of the sending
	ended time.Time // of the sending
	answer
}

// next takes note of how a worker's last attempt went, and gives it another one. If pause is not zero, the worker keeps its slot, but
// rests and asks again. If ok is false, there is nothing that it can do, and it has lost its slot.
func (d *destination) next(w *work) (pause time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !w.begun {
		w.begun = true
		d.coming--
	}
	if w.lane != nil {
		if pause = d.finish(w); pause > 0 && d.hire != nil {
			return pause, true
		}
	}
	if d.hire == nil || d.working > d.window.size() || !d.pick(w) {
		d.working--
		return 0, false
	}
	if d.coming == 0 && d.tooOld.n+d.takeable() > 0 {
		d.staff() // one that comes calls the next, until there is nothing left to take
	}
	return 0, true
}

// takeable is how many lanes may have something to take, as far as is known.
func (d *destination) takeable() (n int) {
	for i := range d.rings {
		if r := &d.rings[i]; !d.paced && !r.shut {
			n += len(r.lanes)
		}
	}
	return n
}

// finish takes note of an attempt that has ended, and returns how long its slot is to rest.
func (d *destination) finish(w *work) (pause time.Duration) {
	l := w.lane
	w.lane = nil
	d.attempts--
	d.carried -= len(w.jobs)
	if l.busy--; l.where == full {
		d.line(l)
	}
	if !w.sent {
		d.giveBack(l, w.ticket)
	}
	if w.reply != replyNone {
		d.window.end(w.reply, w.began, w.ended, w.busy)
	}
	if w.ticket.probe {
		d.rings[ringHeld].shut = false
	}
	if was := d.circuit.state; d.circuit.end(w.ended, w.ticket, w.answer) {
		d.changed(was)
	}
	switch w.reply {
	case replyGood:
		d.failing = 0
	case replyBad, replyBusy:
		d.failing++
		pause = min(restStep*time.Duration(d.failing/d.most), maxRest)
		pause = pause * time.Duration(d.window.size()) / time.Duration(d.most) // fewer slots make no slower pace
	}
	return pause
}

// giveBack returns what an attempt has taken that was not made after all. Otherwise events that have expired while they waited for a rate
// would use it up, and those behind them expire, too.
func (d *destination) giveBack(l *lane, t ticket) {
	l.rate.giveBack()
	d.pace.giveBack()
	d.circuit.giveBack(t)
	if l.where == asleep {
		heap.Remove(&d.asleep, l.index)
		d.line(l)
	}
	d.paced = false
	for i := range d.rings {
		d.rings[i].shut = false
	}
}

// pick takes something that may be done now.
func (d *destination) pick(w *work) bool {
	w.jobs, w.tooOld, w.batch, w.sent, w.answer = w.jobs[:0], false, false, false, answer{}
	for range turns {
		turn := d.turn
		d.turn = (d.turn + 1) % turns
		if turn == turnTooOld {
			if d.tooOld.n > 0 {
				w.jobs, w.tooOld, w.outage = append(w.jobs, d.tooOld.pop()), true, d.circuit.outage
				return true
			}
			continue
		}
		if r := &d.rings[turn]; !d.paced && !r.shut && len(r.lanes) > 0 && d.pickFrom(r, turn == ringHeld, w) {
			return true
		}
	}
	return false
}

func (d *destination) pickFrom(r *ring, isHeld bool, w *work) bool {
	now := d.now()
	if isHeld {
		wait, ok := d.circuit.admit(now)
		if !ok {
			r.shut = true
			if wait > 0 {
				d.wake(now.Add(wait))
			}
			return false
		}
		if d.circuit.state == CircuitHalfOpen {
			r.at = oldestOf(r.lanes)
		}
	}
	for len(r.lanes) > 0 {
		l := r.lanes[r.at]
		switch wait, ok := l.ready(now); {
		case l.n() == 0: // all of it got too old
			l.where = idle
			r.remove()
		case !ok && wait == 0:
			l.where = full
			r.remove()
		case !ok:
			l.where, l.until = asleep, now.Add(wait)
			r.remove()
			heap.Push(&d.asleep, l)
			d.wake(l.until)
		case !d.keepsPace(l, now):
			return false
		default:
			d.give(w, r, l, now)
			return true
		}
	}
	return false
}

func oldestOf(lanes []*lane) (at int) {
	for i, l := range lanes {
		if l.oldest() < lanes[at].oldest() {
			at = i
		}
	}
	return at
}

// keepsPace reports whether the destination's own pace allows an attempt, and takes it then.
func (d *destination) keepsPace(l *lane, now time.Time) bool {
	d.pace.set(now, d.deliverer.paceOf(l.first().definition()))
	if wait := d.pace.wait(now); wait > 0 {
		d.paced = true
		d.wake(now.Add(wait))
		return false
	}
	d.pace.take()
	return true
}

// give gives an attempt of a lane to a worker.
func (d *destination) give(w *work, r *ring, l *lane, now time.Time) {
	w.jobs, w.lane, w.batch = l.take(w.jobs), l, l.batch.size > 0
	d.attempts++
	d.carried += len(w.jobs)
	w.busy = d.attempts
	w.ticket = d.circuit.begin(now, l.held)
	if l.n() > 0 {
		r.advance()
		return
	}
	l.where = idle
	r.remove()
	if d.circuit.ramp.on && len(d.rings[ringHeld].lanes) == 0 && d.parked() == 0 {
		d.drained()
	}
}

// staff hires a worker, if there is a slot.
func (d *destination) staff() {
	if d.hire != nil && d.working < d.window.size() {
		d.working++
		d.coming++
		d.hire()
	}
}
