package deliver

import (
	"time"

	"github.com/rialto-events/rialto/target"
)

// What a circuit does where nobody said otherwise.
const (
	defaultShare  = 0.5              // of the attempts that fail
	defaultSpan   = 30 * time.Second // over which they are counted
	defaultVolume = 20               // attempts below which the share means nothing
)

// What nobody can change about a circuit.
const (
	spanParts    = 10                     // of the time over which attempts are counted; the oldest is forgotten at once
	deadParts    = 2                      // in which nothing must go well for a destination to be taken for dead
	firstPause   = time.Second            // that the circuit is open at first; doubled with every probe that fails
	longestPause = time.Minute            // that it is open at a time
	probePause   = 100 * time.Millisecond // between two probes: the pace at which the ramp begins
	probesWanted = 3                      // attempts that must go well, one after the other, before it closes
	resumeAlone  = 16                     // deliveries that may wait at a start without their destination being suspected
	sweepPause   = time.Second            // between two looks for deliveries that got too old
	sweepMost    = 10_000                 // of them that one look finds, and some more
	sweepStep    = 10 * time.Millisecond  // before the next look, if there were so many
)

// breakerOf says when the circuit opens on behalf of a target's deliveries, and whether they are kept while it is open. Whoever asks
// for fewer attempts than AWS makes by itself gets exactly these, at the times at which AWS would make them, unless the rule asks
// for a breaker.
func breakerOf(def *target.Definition, standard target.Breaker) (b target.Breaker, parks bool) {
	b = standard
	switch {
	case def.Breaker != nil:
		b = *def.Breaker
	case def.Retry.MaxAttempts < target.DefaultRetry.MaxAttempts:
		return target.Breaker{Off: true}, false
	}
	if b.Failures <= 0 {
		b.Failures = defaultShare
	}
	if b.Window <= 0 {
		b.Window = defaultSpan
	}
	if b.Volume <= 0 {
		b.Volume = defaultVolume
	}
	return b, !b.Off
}

// A breaker is the circuit of a destination: a state machine to which the time is handed in. Those who make attempts ask it with
// admit, tell it with begin and end, and let it go on with tick.
//
//	         share of failures                 pause over
//	closed ─────────────────────► open ◄──────────────────► half-open
//	  ▲   (ramp: the share, too)         a probe fails          │
//	  └──────────────────────────────────────────────────────────┘ probes go well: closed, with a ramp
type breaker struct {
	set    target.Breaker // complete; Off if the deliveries of no rule park
	mode   CircuitMode
	state  CircuitState
	since  time.Time
	reason string

	epoch   uint32 // of the state; attempts that began in another one say nothing of this one
	counts  tally
	failing time.Time     // since when every attempt failed; zero if the last did not
	pause   time.Duration // that the circuit was open the last time; 0 if it has recovered since
	until   time.Time     // when an open circuit is to be probed; zero if it is forced
	next    time.Time     // when the next probe may be made
	probing bool          // a probe is being made
	passed  int           // probes that went well
	ramp    ramp
	outage  outage
	before  float64 // attempts a second that went well before the start, if the circuit is half-open because of that
	inside  bool    // the destination is in this server, and can have everything at once when it is back
}

// An outage is why deliveries wait for a destination, until its circuit is closed.
type outage struct {
	failure           // that opened the circuit; empty if none did
	since   time.Time // zero if there is none
}

// epitaph is the ERROR_MESSAGE of a delivery that has waited until it was too old.
func (o outage) epitaph() string {
	text := "The event reached its greatest age while the circuit of its target was open"
	if !o.since.IsZero() {
		text += " since " + o.since.UTC().Format(time.RFC3339)
	}
	if o.message == "" {
		return text + "."
	}
	return cut(text+". Why it opened: "+o.message, maxMessage)
}

// A ticket goes with an attempt from its begin to its end.
type ticket struct {
	epoch uint32
	probe bool
	token bool // of the ramp
	began time.Time
}

func newBreaker(now time.Time) breaker {
	return breaker{set: target.Breaker{Off: true}, since: now, counts: tally{origin: now}}
}

// use takes the settings of the newest definition, and reports whether that has changed the state: where no deliveries park any more,
// nothing keeps a circuit open. What was counted over another time is forgotten.
func (b *breaker) use(now time.Time, set target.Breaker) (changed bool) {
	if set.Window != b.set.Window {
		b.counts = tally{origin: b.counts.origin}
	}
	b.set = set
	if !set.Off || b.mode != CircuitAutomatic || b.state == CircuitClosed {
		return false
	}
	b.enter(now, CircuitClosed, "No rule asks for a circuit breaker.")
	b.pause = 0
	return true
}

// holds reports whether deliveries that park must ask before they are attempted; holdsAll, whether all must.
func (b *breaker) holds() bool    { return b.state != CircuitClosed || b.ramp.on }
func (b *breaker) holdsAll() bool { return b.mode == CircuitForcedOpen }

// admit reports whether an attempt of those that are held may begin. If not, wait is how long to wait, or 0 if something else
// must happen first: a probe end, or somebody change the mode.
func (b *breaker) admit(now time.Time) (wait time.Duration, ok bool) {
	switch {
	case b.state == CircuitHalfOpen && b.probing:
		return 0, false
	case b.state == CircuitHalfOpen:
		wait = max(0, b.next.Sub(now))
		return wait, wait == 0
	case b.state == CircuitOpen && b.until.IsZero():
		return 0, false
	case b.state == CircuitOpen:
		return max(b.until.Sub(now), 1), false
	}
	wait = b.ramp.wait(now)
	return wait, wait == 0
}

// begin lets an attempt begin. If it was held, admit has said yes.
func (b *breaker) begin(now time.Time, held bool) ticket {
	t := ticket{epoch: b.epoch, began: now}
	switch {
	case !held:
	case b.state == CircuitHalfOpen:
		b.probing, t.probe = true, true
	case b.ramp.on:
		t.token = true
		b.ramp.take()
	}
	return t
}

// giveBack is for an attempt that was begun, and then not made.
func (b *breaker) giveBack(t ticket) {
	if t.token && t.epoch == b.epoch {
		b.ramp.tokens.giveBack()
	}
}

// end takes note of how an attempt ended, and reports whether that has changed the state. If the destination asked to be left
// alone for a while, it is, as long as the longest pause allows.
func (b *breaker) end(now time.Time, t ticket, a answer) (changed bool) {
	if t.epoch != b.epoch {
		return false
	}
	if t.probe {
		b.probing = false
	}
	if a.reply == replyNone || b.mode != CircuitAutomatic {
		return false
	}
	failed := a.reply != replyGood
	switch b.state {
	case CircuitHalfOpen:
		if failed {
			b.open(now, a, "A probe failed.")
			return true
		}
		if b.passed++; b.passed < probesWanted {
			b.next = now.Add(probePause)
			return false
		}
		before := b.before
		b.enter(now, CircuitClosed, "The destination answers again.")
		if !b.inside {
			b.ramp.start(now, max(rampStart, before))
		}
		return true
	case CircuitClosed:
		b.ramp.end(now, t.began, failed)
		b.counts.add(now, b.set.Window, failed)
		switch {
		case !failed:
			b.failing = time.Time{}
		case b.failing.IsZero():
			b.failing = now
		}
		if failed && b.tripped(now) {
			b.open(now, a, "Too many attempts failed.")
			return true
		}
	}
	return false
}

// tripped reports whether too many attempts failed: their share of all, or every one for a part of the time over which they are
// counted. Without the second, a destination that was busy until it died would be tried for long.
func (b *breaker) tripped(now time.Time) bool {
	if b.set.Off {
		return false
	}
	all, failed := b.counts.sum(now, b.set.Window, spanParts)
	if all >= b.set.Volume && float64(failed) >= b.set.Failures*float64(all) {
		return true
	}
	all, failed = b.counts.sum(now, b.set.Window, deadParts)
	return failed >= b.set.Volume && failed == all && now.Sub(b.failing) >= b.set.Window/spanParts
}

// open opens the circuit, for longer than the last time unless it has recovered since.
func (b *breaker) open(now time.Time, a answer, reason string) {
	b.enter(now, CircuitOpen, reason)
	b.outage.failure = a.failure
	b.pause = min(max(firstPause, 2*b.pause), longestPause)
	b.until = now.Add(max(b.pause, min(a.asked, longestPause)))
}

func (b *breaker) enter(now time.Time, state CircuitState, reason string) {
	b.state, b.since, b.reason = state, now, reason
	b.until, b.next, b.failing, b.probing, b.passed = time.Time{}, time.Time{}, time.Time{}, false, 0
	b.ramp, b.before = ramp{}, 0
	b.counts = tally{origin: now}
	b.epoch++
	switch {
	case state == CircuitClosed:
		b.outage = outage{}
	case b.outage.since.IsZero():
		b.outage.since = now
	}
}

// tick lets a pause end, and reports whether that has changed the state.
func (b *breaker) tick(now time.Time) (changed bool) {
	if b.state != CircuitOpen || b.until.IsZero() || now.Before(b.until) {
		return false
	}
	b.enter(now, CircuitHalfOpen, "The pause is over; single attempts find out.")
	return true
}

// resume begins cautiously, because much has waited since before the start. If single attempts go well, the backlog drains at the rate at
// which deliveries arrived before: nobody knows what state the circuit had, but a destination that was weak got no more than it bore.
func (b *breaker) resume(now time.Time, before float64) (changed bool) {
	if b.mode != CircuitAutomatic || b.state != CircuitClosed || b.set.Off || b.inside {
		return false
	}
	b.enter(now, CircuitHalfOpen, "Deliveries have waited since before the start.")
	b.before = before
	return true
}

// drained says that nothing is held any more: the destination has recovered.
func (b *breaker) drained() {
	if b.state == CircuitClosed {
		b.ramp, b.pause = ramp{}, 0
	}
}

// force takes a mode, and reports whether that has changed anything. A circuit that was forced open and has deliveries waiting is
// probed first.
func (b *breaker) force(now time.Time, mode CircuitMode, reason string, waiting bool) (changed bool) {
	if mode == b.mode {
		return false
	}
	was := b.mode
	b.mode = mode
	switch {
	case mode == CircuitForcedOpen:
		b.enter(now, CircuitOpen, reason)
		b.outage = outage{since: now}
	case mode == CircuitForcedClosed:
		b.enter(now, CircuitClosed, reason)
		b.pause = 0
	case was == CircuitForcedOpen && waiting && !b.set.Off:
		b.enter(now, CircuitHalfOpen, reason)
	default:
		b.enter(now, CircuitClosed, reason)
	}
	return true
}

// A tally counts attempts over a time that slides along in parts.
type tally struct {
	origin time.Time
	part   int64 // number of the newest part since origin
	parts  [spanParts]struct{ all, failed int }
}

func (t *tally) slide(now time.Time, span time.Duration) {
	width := max(span/spanParts, 1)
	part := max(int64(now.Sub(t.origin)/width), t.part)
	for i := max(t.part+1, part-spanParts+1); i <= part; i++ {
		t.parts[i%spanParts].all, t.parts[i%spanParts].failed = 0, 0
	}
	t.part = part
}

func (t *tally) add(now time.Time, span time.Duration, failed bool) {
	t.slide(now, span)
	p := &t.parts[t.part%spanParts]
	p.all++
	if failed {
		p.failed++
	}
}

// sum is what was counted in the newest parts.
func (t *tally) sum(now time.Time, span time.Duration, parts int64) (all, failed int) {
	t.slide(now, span)
	for i := max(0, t.part-parts+1); i <= t.part; i++ {
		p := t.parts[i%spanParts]
		all, failed = all+p.all, failed+p.failed
	}
	return all, failed
}

// How fast a backlog drains after an outage.
const (
	rampStart     = 10.0        // attempts a second at first
	rampStep      = time.Second // in which the rate doubles
	rampLeast     = 1.0         // attempts a second
	rampEnd       = 100_000.0   // attempts a second that are no limit any more
	rampFailures  = 0.1         // of what the rate allows in a step; what is more halves it
	rampGrowth    = 1.0 / 20    // of a rate that was too much, by which it grows a step after it was halved
	rampCalmSteps = 10          // without being halved, after which it doubles again
)

// A ramp is the rate at which a backlog drains: it doubles with every step until it is too much for the destination, is halved then,
// and grows evenly from there, so that a destination which recovers slowly has no second outage.
type ramp struct {
	on     bool
	rate   float64
	grows  float64   // by so much a step; 0 while it doubles
	calm   int       // steps since it was halved
	step   time.Time // when the present step began
	failed float64   // attempts of the present step
	since  time.Time // attempts that began earlier say nothing of the present rate
	tokens bucket
}

func (r *ramp) start(now time.Time, rate float64) {
	*r = ramp{on: true, rate: min(rate, rampEnd), step: now, since: now}
	r.tokens.set(now, r.rate)
}

// wait is how long the next attempt must wait; 0 is not at all.
func (r *ramp) wait(now time.Time) time.Duration {
	if !r.on {
		return 0
	}
	for ; now.Sub(r.step) >= rampStep; r.step = r.step.Add(rampStep) {
		r.grow()
	}
	r.tokens.set(now, r.rate)
	return r.tokens.wait(now)
}

func (r *ramp) grow() {
	r.failed = 0
	if r.calm++; r.calm >= rampCalmSteps {
		r.grows = 0
	}
	if r.rate += r.grows; r.grows == 0 {
		r.rate = min(2*r.rate, rampEnd)
	}
}

func (r *ramp) take() { r.tokens.take() }

// end takes note of an attempt. One that has failed while the rate was another does not count.
func (r *ramp) end(now, began time.Time, failed bool) {
	if !r.on || !failed || began.Before(r.since) {
		return
	}
	if r.failed++; r.failed < max(1, rampFailures*r.rate) {
		return
	}
	r.grows = max(rampLeast, rampGrowth*r.rate)
	r.rate = max(rampLeast, r.rate/2)
	r.calm, r.failed, r.step, r.since = 0, 0, now, now
	r.tokens.set(now, r.rate)
}
