package deliver

import (
	"context"
	"time"
)

// Due says what there is to do, for whoever moves a virtual clock: when the next rate, batch or circuit has waited long enough, zero if none waits,
// and how much is in hand now. Deliveries that wait for their next attempt are in nobody's hand; the shards know when they fall due.
// Outcomes from which something follows do not linger. Others do, as they may: that a delivery is over is of interest to nobody at that time, and a frame
// for each would take as long as all the rest.
func (d *Deliverer) Due(context.Context) (next time.Time, inHand int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.opts.Clock.Now()
	for _, dest := range d.destinations {
		at, n := dest.due(now)
		if inHand += n; !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, h := range d.hosts { // after those whose attempts end there
		inHand += h.outcomes.hurry(false)
	}
	return next, inHand, nil
}

// Hurry has all outcomes committed at once. Until they are, [Deliverer.Due] says that they are in hand.
func (d *Deliverer) Hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.hosts {
		h.outcomes.hurry(true)
	}
}

// due is when the destination's watcher wakes by itself, if that is after now, and how many are at work.
func (d *destination) due(now time.Time) (next time.Time, inHand int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	inHand = d.working
	switch {
	case !d.watching:
	case d.wakeAt.After(now):
		next = d.wakeAt
	default:
		inHand++
	}
	return next, inHand
}
