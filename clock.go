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

// SystemClock is the clock of the machine.
var SystemClock Clock = systemClock{}

type systemClock struct{}

func (systemClock) Now() time.Time                 { return time.Now().UTC() }
func (systemClock) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (t systemTimer) C() <-chan time.Time   { return t.t.C }
func (t systemTimer) Stop() bool            { return t.t.Stop() }
func (t systemTimer) Reset(d time.Duration) { t.t.Reset(d) }
