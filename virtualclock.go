package rialto

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// A VirtualClock stands still until somebody moves it. It is safe for concurrent use.
type VirtualClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*virtualTimer // that have not fired, the earliest first
}

var _ Clock = (*VirtualClock)(nil)

// NewVirtualClock makes a VirtualClock that shows a time.
func NewVirtualClock(now time.Time) *VirtualClock { return &VirtualClock{now: now.UTC()} }

// Now is the time that the clock shows.
func (c *VirtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// NewTimer starts a timer of this clock.
func (c *VirtualClock) NewTimer(d time.Duration) Timer {
	t := &virtualTimer{clock: c, fired: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// Next is when the earliest timer fires, if there is one.
func (c *VirtualClock) Next() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.timers[0].at, true
}

// AdvanceTo moves the clock forward to a time; it never goes back. Timers fire in the order of their times. What whoever waits for them does
// is not waited for.
func (c *VirtualClock) AdvanceTo(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.timers) > 0 && !c.timers[0].at.After(t) {
		first := c.timers[0]
		c.timers = slices.Delete(c.timers, 0, 1)
		if first.at.After(c.now) {
			c.now = first.at
		}
		first.fire(c.now)
	}
	if t.After(c.now) {
		c.now = t.UTC()
	}
}

// Advance moves the clock forward by a time, like [VirtualClock.AdvanceTo].
func (c *VirtualClock) Advance(d time.Duration) { c.AdvanceTo(c.Now().Add(d)) }

type virtualTimer struct {
	clock *VirtualClock
	at    time.Time
	fired chan time.Time // has room for one
}

// fire is called with the clock's lock.
func (t *virtualTimer) fire(now time.Time) {
	select {
	case t.fired <- now:
	default: // nobody has taken the one before
	}
}

func (t *virtualTimer) C() <-chan time.Time { return t.fired }

func (t *virtualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stop()
}

func (t *virtualTimer) stop() bool {
	i := slices.Index(t.clock.timers, t)
	if i < 0 {
		return false
	}
	t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	return true
}

func (t *virtualTimer) Reset(d time.Duration) {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.set(t.clock.now.Add(d))
}

func (t *virtualTimer) resetTo(at time.Time) {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.set(at)
}

// set is called with the clock's lock.
func (t *virtualTimer) set(at time.Time) {
	t.stop()
	select {
	case <-t.fired: // of the time before
	default:
	}
	t.at = at
	if !at.After(t.clock.now) {
		t.fire(t.clock.now)
		return
	}
	i, _ := slices.BinarySearchFunc(t.clock.timers, t.at, func(o *virtualTimer, at time.Time) int {
		return cmp.Or(o.at.Compare(at), -1) // behind those of the same time
	})
	t.clock.timers = slices.Insert(t.clock.timers, i, t)
}
