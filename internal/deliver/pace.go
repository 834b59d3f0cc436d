package deliver

import (
	"math"
	"time"
)

// burst is the part of a second for which a rate may be caught up, when a timer comes late or nothing was sent for a while.
const burst = 20

// A bucket is a rate: it gets tokens evenly, holds as many as may be caught up, and each attempt takes one. Time is handed in.
type bucket struct {
	per  float64 // tokens a second; 0 is no limit
	have float64
	at   time.Time // when have was right
}

// set changes the rate. A bucket that had none begins full.
func (b *bucket) set(now time.Time, per float64) {
	switch {
	case per <= 0:
		*b = bucket{}
	case b.per == 0:
		*b = bucket{per: per, have: max(1, math.Floor(per/burst)), at: now}
	case b.per != per:
		b.fill(now)
		b.per = per
		b.have = min(b.have, b.most())
	}
}

func (b *bucket) most() float64 { return max(1, math.Floor(b.per/burst)) }

func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.have, b.at = min(b.most(), b.have+d.Seconds()*b.per), now
	} else if d < 0 {
		b.at = now // the clock was set back
	}
}

// wait is how long it takes until there is a token; 0 is not at all.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.per <= 0 {
		return 0
	}
	b.fill(now)
	const enough = 1 - 1e-9 // sums of fractions are a little off
	if b.have >= enough {
		return 0
	}
	return time.Duration(math.Ceil((1 - b.have) / b.per * float64(time.Second)))
}

// take takes the token that wait has seen.
func (b *bucket) take() {
	if b.per > 0 {
		b.have--
	}
}

// giveBack returns a token that was not used.
func (b *bucket) giveBack() {
	if b.per > 0 {
		b.have = min(b.have+1, b.most())
	}
}
