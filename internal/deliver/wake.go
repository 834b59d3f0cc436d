package deliver

import (
	"container/heap"
	"time"

	"github.com/rialto-events/rialto"
)

// wake sees to it that the watcher wakes at a time, if not earlier.
func (d *destination) wake(at time.Time) {
	switch {
	case d.watch == nil:
	case !d.watching:
		d.watching, d.wakeAt = true, at
		d.watch()
	case at.Before(d.wakeAt):
		d.wakeAt = at
		select {
		case d.kick <- struct{}{}:
		default:
		}
	}
}

// watch waits for whatever a destination's work waits for.
func (d *Deliverer) watch(idle <-chan struct{}, dest *destination) {
	for {
		until, ok := dest.nap()
		if !ok {
			return
		}
		timer := rialto.NewAlarm(d.opts.Clock, until)
		select {
		case <-timer.C():
		case <-dest.kick:
		case <-idle:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// nap is what the watcher asks: until when to wait now. It is done if ok is false.
func (d *destination) nap() (until time.Time, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if d.wakeAt.After(now) && d.watch != nil {
		return d.wakeAt, true
	}
	d.watching = false
	d.tick(now)
	return d.wakeAt, d.watching
}

// tick does what the time has come for.
func (d *destination) tick(now time.Time) {
	if d.watch == nil {
		return
	}
	watch := d.watch
	d.watch = func() {} // whoever wakes the watcher now finds it awake
	defer func() { d.watch = watch }()
	if was := d.circuit.state; d.circuit.tick(now) {
		d.changed(was)
	}
	if !d.sweepAt.IsZero() && !now.Before(d.sweepAt) {
		d.sweep(now)
	}
	for len(d.asleep) > 0 && !now.Before(d.asleep[0].until) {
		d.line(heap.Pop(&d.asleep).(*lane))
	}
	d.paced = false
	for i := range d.rings {
		d.rings[i].shut = false
	}
	if d.tooOld.n+d.takeable() > 0 {
		d.staff()
	}
	if len(d.asleep) > 0 {
		d.wake(d.asleep[0].until)
	}
	if !d.sweepAt.IsZero() {
		d.wake(d.sweepAt)
	}
	if at := d.circuit.until; !at.IsZero() {
		d.wake(at)
	}
}

// sweep finds deliveries whose time ended while they were held, so many at once, and when it will for the next one.
func (d *destination) sweep(now time.Time) {
	most, next := sweepMost, uint32(never)
	for _, l := range d.lanes {
		if !l.held {
			continue
		}
		for _, q := range []*jobs{&l.retries, &l.parked, &l.fresh} {
			next = min(next, q.sift(uint32(now.Unix()), &most, func(j job) {
				d.tooOld.push(j)
				l.bytes -= int(j.ref.Len)
			}))
		}
	}
	switch at := time.Unix(int64(next), 0); {
	case most <= 0:
		d.sweepAt = now.Add(sweepStep)
	case at.After(now.Add(time.Hour)):
		d.sweepAt = now.Add(time.Hour)
	default:
		d.sweepAt = later(at, now.Add(sweepPause))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
