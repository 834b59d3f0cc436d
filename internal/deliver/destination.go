package deliver

import (
	"cmp"
	"container/heap"
	"slices"
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
	turn   int     // of the rings, and of what got too old
	asleep sleepers
	tooOld jobs // parked until they reached their greatest age, or their event its end

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

// Whose turn it can be.
const (
	ringFree   = 0
	ringHeld   = 1
	turnTooOld = 2
	turns      = 3
)

func (d *Deliverer) newDestination(at place) *destination {
	return &destination{
		place: at, deliverer: d, lanes: make(map[laneKey]*lane), kick: make(chan struct{}, 1),
		most: d.opts.Window, window: newWindow(d.opts.Window), circuit: newBreaker(d.opts.Clock.Now()),
	}
}

func (d *destination) now() time.Time { return d.deliverer.opts.Clock.Now() }

// join returns the lane of a key for one more binding, until it leaves.
func (d *destination) join(key laneKey) (l *lane, isNew bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.lanes[key]
	if !ok {
		l = &lane{laneKey: key, destination: d, held: d.circuit.holdsAll()}
		d.lanes[key] = l
	}
	l.users++
	return l, !ok
}

// leave is the contrary of join, and reports whether the lane has ended.
func (d *destination) leave(l *lane) (ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(d.lanes, l.laneKey)
		d.agree()
	}
	return l.users == 0
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
	if l.using == nil || !l.lasts && l.using != j.binding && (from == fromAccept || d.hire == nil) {
		d.use(l, j.binding)
	}
	mortal := l.held && j.ends() != never
	if mortal && int64(j.ends()) <= d.now().Unix() {
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
	d.stir(l)
	if ends := time.Unix(int64(j.ends()), 0); mortal && ends.Before(d.sweepAt) {
		d.sweepAt = ends
		d.wake(ends)
	}
}

// renew has a lane keep to the limits of a definition, which no delivery has brought, until it is told other ones.
func (d *destination) renew(l *lane, s *target.Sealed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	def := s.Definition
	if def.ARN != d.arn { // what waits here is from before the target was another
		here := *def
		here.ARN, def = d.arn, &here
	}
	l.lasts = true
	d.use(l, &binding{key: s.Key, def: def})
	d.stir(l)
}

// stir lets a lane's work begin if something can be taken now.
func (d *destination) stir(l *lane) {
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
	d.circuit.inside = d.deliverer.isLocal(b.def)
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

// opens lets workers begin. A destination that has more work than comes by itself in a moment, or work that has failed before, had
// its troubles before the start, and is tried cautiously.
func (d *destination) opens(hire, watch func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hire, d.watch = hire, watch
	n, backlog, pulse, suspect := 0, 0, 0, false
	for _, l := range d.lanes {
		n += l.n()
		if l.parks {
			backlog += l.parked.n
			pulse += l.pulse
			suspect = suspect || l.failedBefore()
		}
	}
	if was := d.circuit.state; (suspect || backlog > resumeAlone) && d.circuit.resume(d.now(), float64(pulse)) {
		d.changed(was)
	} else {
		d.regate()
	}
	for range min(n, d.window.size()) {
		d.staff()
	}
}

// failedBefore reports whether a delivery that has waited since before the start has failed before.
func (l *lane) failedBefore() bool {
	for p := l.parked.head; p != nil; p = p.next {
		if slices.ContainsFunc(p.jobs, func(j job) bool { return j.made > 0 }) {
			return true
		}
	}
	return false
}

// resume takes note of how much of a lane arrived lately when the process before ended.
func (d *destination) resume(l *lane, pulse int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.pulse += pulse
}

// closes lets no worker begin any more, and those that work stop after their attempt.
func (d *destination) closes() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hire, d.watch = nil, nil
}
