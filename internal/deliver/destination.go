package deliver

import (
	"cmp"
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// A destination that does nothing but fail gets its attempts at a slower pace, if its circuit does not open. One that refuses at once
// would otherwise be tried as fast as the processor can, and a large backlog would take that from everybody else. The first attempt
// that goes well ends it.
const (
	restStep = 10 * time.Millisecond  // by which a slot rests longer after every window full of failures
	maxRest  = 100 * time.Millisecond // a window of 64 then makes 640 attempts a second
)

// A place identifies a destination: rules of one account and region that name the same ARN share it.
type place struct {
	scope rialto.Scope
	arn   string
}

// A destination has lanes of attempts to be made, and lets a bounded number of them be made at once.
//
//	lanes ─► ring: free ─┐
//	  │                  ├─► next: window, rate ──► a worker for each slot of the window, as long as something can be taken
//	  └────► ring: held ─┘
//	           circuit
//
// What waits for a time, a lane for its rate or its batch, the circuit for its pause, is waited for by one goroutine, the watcher,
// which holds no slot.
type destination struct {
	place
	deliverer *Deliverer

	mu     sync.Mutex
	lanes  map[laneKey]*lane
	rings  [2]ring // of lanes that have work: those that are free, and those that the circuit holds
	turn   int     // of the rings
	asleep sleepers
	tooOld jobs // parked until they reached their greatest age

	hire, watch func()    // start a worker, and the watcher; nil while nobody works
	working     int       // workers, each with a slot of the window
	coming      int       // of these, that have not asked for an attempt yet
	attempts    int       // in progress
	carried     int       // deliveries that are being attempted
	watching    bool      // there is a watcher
	wakeAt      time.Time // when it wakes
	kick        chan struct{}

	most    int // attempts at once
	window  window
	pace    bucket
	paced   bool // the pace lets nothing begin until the watcher wakes
	circuit breaker
	sweepAt time.Time // when to look for deliveries that got too old; zero is never
	failing int       // attempts that failed since the last that went well, or was refused for good
	users   int       // bindings, and a mode that was forced; guarded by Deliverer.mu

	settled, failed, dead, dropped, expired atomic.Uint64
}

// The rings.
const (
	ringFree = 0
	ringHeld = 1
)

func (d *Deliverer) newDestination(at place) *destination {
	return &destination{
		place: at, deliverer: d, lanes: make(map[laneKey]*lane), kick: make(chan struct{}, 1),
		most: d.opts.Window, window: newWindow(d.opts.Window), circuit: newBreaker(d.opts.Clock.Now()),
	}
}

func (d *destination) now() time.Time { return d.deliverer.opts.Clock.Now() }

// join returns the lane of a key for one more binding, until it leaves.
func (d *destination) join(key laneKey) *lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.lanes[key]
	if !ok {
		l = &lane{laneKey: key, destination: d, held: d.circuit.holdsAll()}
		d.lanes[key] = l
	}
	l.users++
	return l
}

func (d *destination) leave(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(d.lanes, l.laneKey)
		d.agree()
	}
}

// A source says where an attempt comes from.
type source uint8

const (
	fromAccept source = iota // its event was accepted just now
	fromGroup                // the one before it in its group has ended
	fromAlarm                // it failed before, and fell due
	fromBefore               // it has waited since before the start
)

// push queues an attempt and sees to it that there is a worker for it.
func (d *destination) push(l *lane, j job, from source) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.using == nil || l.using != j.binding && (from == fromAccept || d.hire == nil) {
		d.use(l, j.binding)
	}
	expires, mortal := j.expires()
	if mortal = mortal && l.held; mortal && !expires.After(d.now()) {
		d.tooOld.push(j)
		d.staff()
		return
	}
	if l.batch.size > 0 {
		l.gather(d.now(), from)
	}
	l.bytes += int(j.ref.Len)
	switch {
	case from == fromAlarm:
		l.retries.push(j)
	case from == fromBefore, l.held && d.circuit.state == CircuitOpen:
		l.parked.push(j)
	default:
		l.fresh.push(j)
	}
	switch {
	case l.where == idle:
		d.line(l)
	case l.where == asleep && l.batch.size > 0 && (l.filled() || l.complete().Before(l.until)):
		heap.Remove(&d.asleep, l.index)
		d.line(l)
	}
	if l.where == waiting && !d.ring(l).shut && !d.paced {
		d.staff()
	}
	if mortal && expires.Before(d.sweepAt) {
		d.sweepAt = expires
		d.wake(expires)
	}
}

// adopt is what push does of a delivery that does not come yet.
func (d *destination) adopt(l *lane, b *binding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.using == b {
		return
	}
	d.use(l, b)
	if l.where == waiting && !d.ring(l).shut && !d.paced {
		d.staff()
	}
}

// use takes a lane's limits from a definition.
func (d *destination) use(l *lane, b *binding) {
	was := l.using
	l.using = b
	if was != nil && was.key == b.key {
		return // on another shard
	}
	if l.laneKey == (laneKey{}) {
		return // dead letters: AWS tries them a few times, and so it stays
	}
	l.most = b.def.Concurrency
	l.rate.set(d.now(), b.def.Rate)
	l.batch = d.deliverer.batchOf(b.def)
	l.set, l.parks = breakerOf(b.def, d.deliverer.opts.Breaker)
	d.agree()
	switch l.where { // for what the former limits made it wait
	case asleep:
		heap.Remove(&d.asleep, l.index)
		d.line(l)
	case full:
		d.line(l)
	}
	if d.holds(l) != l.held {
		d.regate()
	}
}

// agree has the circuit follow what its lanes ask for now.
func (d *destination) agree() {
	if was := d.circuit.state; d.circuit.use(d.now(), d.settings()) {
		d.changed(was)
	}
}

// settings are when the circuit opens. It is the destination's, and each lane may have a word of its own: what a rule asks for comes
// before the server's default, and of several the most sensitive.
func (d *destination) settings() target.Breaker {
	var best *lane
	for _, l := range d.lanes {
		if l.parks && (best == nil || l.settles(best)) {
			best = l
		}
	}
	if best == nil {
		return target.Breaker{Off: true}
	}
	return best.set
}

// settles reports whether the settings of a lane come before those of another.
func (l *lane) settles(than *lane) bool {
	if a, b := l.using.def.Breaker != nil, than.using.def.Breaker != nil; a != b {
		return a
	}
	a, b := l.set, than.set
	return cmp.Or(cmp.Compare(a.Failures, b.Failures), cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Window, b.Window)) < 0
}

func (d *destination) holds(l *lane) bool {
	return d.circuit.holdsAll() || l.parks && d.circuit.holds()
}

func (d *destination) ring(l *lane) *ring {
	if l.held {
		return &d.rings[ringHeld]
	}
	return &d.rings[ringFree]
}

// line lets a lane that has work wait for its turn.
func (d *destination) line(l *lane) {
	l.where = waiting
	d.ring(l).add(l)
}

// regate lets the circuit hold whatever it is to hold now, and nothing else. What was fresh is parked if the circuit is open.
func (d *destination) regate() {
	var lined []*lane
	for i := range d.rings {
		lined = append(lined, d.rings[i].lanes...)
		d.rings[i] = ring{lanes: d.rings[i].lanes[:0]}
	}
	for _, l := range d.lanes {
		l.held = d.holds(l)
		if l.held && d.circuit.state == CircuitOpen {
			l.parked.join(&l.fresh)
		}
	}
	for _, l := range lined {
		d.ring(l).add(l)
	}
	d.sweepAt = time.Time{}
	if d.circuit.holds() {
		d.sweepAt = d.now().Add(sweepPause)
		d.wake(d.sweepAt)
	}
	if at := d.circuit.until; !at.IsZero() {
		d.wake(at)
	}
}

// changed follows a change of the circuit's state, and tells of it.
func (d *destination) changed(previous CircuitState) {
	d.regate()
	if d.circuit.state == CircuitClosed && d.parked() == 0 {
		d.drained()
	}
	if o := d.deliverer.opts.Observer; o != nil {
		c := d.snapshot()
		c.Previous = previous
		o.CircuitChanged(&c)
	}
}

// drained ends the ramp.
func (d *destination) drained() {
	d.circuit.drained()
	d.regate()
}

// parked is how many deliveries the circuit holds.
func (d *destination) parked() int {
	n := d.tooOld.n
	for _, l := range d.lanes {
		if l.held {
			n += l.n()
		}
	}
	return n
}

// staff hires a worker, if there is a slot.
func (d *destination) staff() {
	if d.hire != nil && d.working < d.window.size() {
		d.working++
		d.coming++
		d.hire()
	}
}

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

// nap is what the watcher asks: for how long to wait now. It is done if ok is false.
func (d *destination) nap() (wait time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if wait := d.wakeAt.Sub(now); wait > 0 && d.watch != nil {
		return wait, true
	}
	d.watching = false
	d.tick(now)
	return d.wakeAt.Sub(now), d.watching
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

// sweep finds deliveries that have passed their greatest age while they were held, and when the next one will.
func (d *destination) sweep(now time.Time) {
	next := now.Add(time.Hour)
	for _, l := range d.lanes {
		if !l.held || l.n() == 0 {
			continue
		}
		for _, q := range []*jobs{&l.retries, &l.parked, &l.fresh} {
			q.sift(func(j *job) bool {
				at, ok := j.expires()
				switch {
				case !ok:
				case !at.After(now):
					d.tooOld.push(*j)
					l.bytes -= int(j.ref.Len)
					return false
				case at.Before(next):
					next = at
				}
				return true
			})
		}
	}
	d.sweepAt = later(next, now.Add(sweepPause))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A work is what a worker has to do: an attempt for one delivery or for a batch.
type work struct {
	jobs   []job
	begun  bool  // its worker has come
	lane   *lane // nil if there is no attempt to tell of
	batch  bool
	tooOld bool // no attempt: the deliveries end because of their age
	busy   int  // attempts in progress when it began
	ticket ticket

	// For the worker to fill in.
	sent  bool // an attempt was made
	reply reply
	began time.Time     // of the sending
	ended time.Time     // of the sending
	asked time.Duration // for which the destination wants to be left alone
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
	if was := d.circuit.state; d.circuit.end(w.ended, w.ticket, w.reply, w.asked) {
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
	w.jobs, w.tooOld, w.batch, w.sent, w.reply, w.asked = w.jobs[:0], false, false, false, replyNone, 0
	if d.tooOld.n > 0 {
		w.jobs, w.tooOld = append(w.jobs, d.tooOld.pop()), true
		return true
	}
	for range d.rings {
		r := &d.rings[d.turn]
		isHeld := d.turn == ringHeld
		d.turn = (d.turn + 1) % len(d.rings)
		if !d.paced && !r.shut && len(r.lanes) > 0 && d.pickFrom(r, isHeld, w) {
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

// opens lets workers begin. A destination that has more work than comes by itself in a moment, or work that has failed before, had
// its troubles before the start, and is tried cautiously.
func (d *destination) opens(hire, watch func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hire, d.watch = hire, watch
	n, backlog, suspect := 0, 0, false
	for _, l := range d.lanes {
		n += l.n()
		if l.parks {
			backlog += l.parked.n
			suspect = suspect || l.failedBefore()
		}
	}
	if was := d.circuit.state; (suspect || backlog > resumeAlone) && d.circuit.resume(d.now()) {
		d.changed(was)
	} else {
		d.regate()
	}
	for range min(n, d.window.size()) {
		d.staff()
	}
}

// failedBefore reports whether a delivery that has waited since before the start has failed before.
func (l *lane) failedBefore() (failed bool) {
	for p := l.parked.head; p != nil; p = p.next {
		for i := range p.jobs {
			if p.jobs[i].made > 0 {
				return true
			}
		}
	}
	return false
}

// closes lets no worker begin any more, and those that work stop after their attempt.
func (d *destination) closes() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hire, d.watch = nil, nil
}
