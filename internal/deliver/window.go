package deliver

import "time"

// How a window moves. A single failure among many says little of how many attempts a destination bears at once, so it shrinks by what
// failed of a round, which is as many attempts as the window allows; a destination that says itself that it is too much is believed.
const (
	windowFailures  = 0.1  // of a round; what is more shrinks the window
	windowOnFailure = 0.75 // what is left of it then
	windowOnBusy    = 0.5  // what is left after "too many requests"
	windowOnSlow    = 0.95 // what is left after a round that took much longer than the destination needs

	// A latency is compared with the destination's own floor, with some room for what is short anyway.
	slowTimes, slowRoom         = 2, 5 * time.Millisecond  // the window does not grow any more
	verySlowTimes, verySlowRoom = 4, 20 * time.Millisecond // it shrinks
	slowest                     = 4                        // attempts at once below which latency alone shrinks nothing

	floorDrift  = 1.0 / 1024 // part of the way to the present latency by which the floor follows with each attempt
	latencyPart = 1.0 / 8    // of the newest attempt in the present latency
)

// A reply is what an attempt says of the destination.
type reply uint8

const (
	replyNone reply = iota // nothing: it was not made, or was broken off
	replyGood              // it has answered; that the payload is at fault is an answer, too
	replyBad               // it has failed, or was not reached in time
	replyBusy              // it asks for fewer
)

// A window is how many attempts a destination gets at once. It begins at the most there may be, grows by one for every round that used
// it and went well, and shrinks by a factor when attempts fail or take much longer than they need. Time is handed in.
type window struct {
	most  float64
	limit float64

	failed  float64   // attempts of this round
	ended   float64   // attempts of this round
	since   time.Time // attempts that began earlier say nothing of the present size
	floor   float64   // seconds that an attempt takes if the destination has little to do
	latency float64   // seconds that it takes at present
}

func newWindow(most int) window { return window{most: float64(most), limit: float64(most)} }

// size is how many attempts may be in progress.
func (w *window) size() int { return max(1, int(w.limit)) }

// end takes note of an attempt that ended now, when so many were in progress.
func (w *window) end(r reply, began, now time.Time, busy int) {
	if r == replyNone || began.Before(w.since) {
		return
	}
	w.ended++
	switch r {
	case replyBusy:
		w.shrink(windowOnBusy, 1, now)
		return
	case replyBad:
		if w.failed++; w.failed > windowFailures*w.limit {
			w.shrink(windowOnFailure, 1, now)
		}
		return
	}
	w.observe(now.Sub(began).Seconds())
	switch {
	case w.slower(verySlowTimes, verySlowRoom):
		if w.ended >= w.limit {
			w.shrink(windowOnSlow, min(slowest, w.limit), now)
		}
	case 2*busy >= w.size() && !w.slower(slowTimes, slowRoom):
		w.limit = min(w.most, w.limit+1/w.limit)
	}
	if w.ended >= w.limit {
		w.ended, w.failed = 0, 0
	}
}

func (w *window) shrink(by, least float64, now time.Time) {
	w.limit = max(least, w.limit*by)
	w.ended, w.failed, w.since = 0, 0, now
}

// observe lets the floor fall to whatever was quicker, and rise slowly, since a destination may have become another one.
func (w *window) observe(took float64) {
	if w.floor == 0 && w.latency == 0 {
		w.floor, w.latency = took, took
		return
	}
	w.latency += latencyPart * (took - w.latency)
	w.floor = min(took, w.floor+floorDrift*(took-w.floor))
}

func (w *window) slower(times float64, room time.Duration) bool {
	return w.latency > times*w.floor+room.Seconds()
}
