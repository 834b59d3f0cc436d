package shard

import (
	"sync"
	"time"

	"github.com/rialto-events/rialto"
)

// A pacemaker is the clock of one shard: it never goes back, not even behind the time of the last frame, and it never stands
// still. When the clock of the machine is set back, or was ahead when the last frame was written, the shard's time goes on from
// where it is, a little slower, until the other has caught up; otherwise both are the same.
//
// Were the time of frames merely kept from falling, it would stand until the machine's clock had caught up: whatever waits
// would wait for so much longer, and whatever is to be tried again after a pause would be due at once.
type pacemaker struct {
	clock rialto.Clock

	mu   sync.Mutex
	seen time.Time // what the clock showed last
	time time.Time // what the shard's time was then
}

// slower is the part of a shard's time by which it is slower than the clock it is ahead of: one in so many.
const slower = 16

func newPacemaker(clock rialto.Clock, last time.Time) *pacemaker {
	return &pacemaker{clock: clock, seen: clock.Now(), time: last}
}

// now is the shard's time.
func (p *pacemaker) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.look()
}

func (p *pacemaker) look() time.Time {
	seen := p.clock.Now()
	passed := max(seen.Sub(p.seen), 0) // by the monotonic clock, if there is one
	p.seen = seen
	p.time = p.time.Add(passed - passed/slower)
	if shows := seen.Round(0); shows.After(p.time) {
		p.time = shows
	}
	return p.time
}

// alarm has a timer fire when the shard's time is at. It fires earlier if that is long hence: the clock may be set meanwhile.
func (p *pacemaker) alarm(t rialto.Timer, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if longest := p.look().Add(alarmEvery); at.After(longest) {
		at = longest
	}
	ahead := p.time.Sub(p.seen.Round(0)) // of the clock
	rialto.ResetAlarm(p.clock, t, at.Add(-ahead))
}
