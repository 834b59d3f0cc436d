package rialto

import "time"

// A Clock tells the time and wakes sleepers. Long-lived parts take one, so that a test can move it.
type Clock interface {
	// Now is the present, in UTC.
	Now() time.Time
	// NewTimer starts a timer that fires once, after d. A d of zero or less fires at once.
	NewTimer(d time.Duration) Timer
}

// A Timer fires once. Its channel has room for one value, so that nobody who stops listening holds up the clock.
type Timer interface {
	C() <-chan time.Time
	Stop() bool // reports whether it was stopped before it fired
	Reset(d time.Duration)
}

// NewAlarm starts a timer that fires once, when the clock shows a time, or at once if that has passed. Who waits for a time asks for it so, and
// does not work out how long that is: a [VirtualClock] may be moved in between.
func NewAlarm(c Clock, at time.Time) Timer {
	t := c.NewTimer(at.Sub(c.Now()))
	if virtual, ok := t.(*virtualTimer); ok {
		virtual.resetTo(at)
	}
	return t
}

// ResetAlarm has a timer of a clock fire when the clock shows a time.
func ResetAlarm(c Clock, t Timer, at time.Time) {
	if virtual, ok := t.(*virtualTimer); ok {
		virtual.resetTo(at)
		return
	}
	t.Reset(at.Sub(c.Now()))
}

// Real is the clock for whatever is no matter of the time that a clock shows: how long a disk, a socket or a peer is waited for, and what
// certificates and signatures are held against. It is the clock itself, unless that is a [VirtualClock]: then it is the machine's.
func Real(c Clock) Clock {
	if _, virtual := c.(*VirtualClock); virtual {
		return SystemClock
	}
	return c
}

// SystemClock is the clock of the machine.
var SystemClock Clock = systemClock{}

type systemClock struct{}

func (systemClock) Now() time.Time                 { return time.Now().UTC() }
func (systemClock) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (t systemTimer) C() <-chan time.Time   { return t.t.C }
func (t systemTimer) Stop() bool            { return t.t.Stop() }
func (t systemTimer) Reset(d time.Duration) { t.t.Reset(d) }
