package deliver

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// burst is the part of a second for which a rate may be caught up, when a timer comes late or nothing was sent for a while.
const burst = 20

// A destination that does nothing but fail gets its attempts at a slower pace. One that refuses at once would otherwise be tried
// as fast as the processor can, and a large backlog would take that from everybody else. The first attempt that goes well ends it.
const (
	restStep = 10 * time.Millisecond  // by which a slot rests longer after every window full of failures
	maxRest  = 100 * time.Millisecond // a window of 64 then makes 640 attempts a second
)

// A place identifies a destination: rules of one account and region that name the same ARN share it.
type place struct {
	scope rialto.Scope
	arn   string
}

// A binding is a definition in use on one shard: where its deliveries and its dead letters go.
type binding struct {
	host  *host
	def   *target.Definition
	to    *destination
	dlq   *target.Definition // what dead letters are sent to, or nil
	toDLQ *destination       // or nil
	shape func() (*transform.Transform, error)
}

// A job is an attempt to be made.
type job struct {
	*binding
	key     uint64 // with slot, the delivery's handle
	slot    uint32
	made    uint16
	ordered bool   // others may wait for it to end
	from    uint32 // when the event was accepted, in seconds since 1970; 0 is unknown
	ref     shard.Ref
	letter  *shard.Ref // nil if the event itself is to be brought
}

func (j *job) handle() handle { return handle{j.slot, j.key} }

// A destination has a queue of attempts to be made, and lets a bounded number of them be made at once.
//
//	ready ──► next: window, rate ──► a worker for each slot of the window, as long as something is ready
type destination struct {
	place
	window int
	pace   func(*target.Definition) float64
	now    func() time.Time

	mu      sync.Mutex
	ready   jobs
	hire    func()        // starts a worker; nil while nobody works
	working int           // workers, each with a slot of the window
	limiter *rate.Limiter // nil without a rate
	waiting bool          // a worker without a slot waits for the rate
	failing int           // attempts that failed since the last that went well, or was refused for good
	resting int           // workers that make no attempt, but hold their slots
	users   int           // bindings; guarded by Deliverer.mu

	settled, failed, dead, dropped atomic.Uint64
}

// push queues attempts and sees to it that there are workers for them.
func (d *destination) push(j job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready.push(j)
	d.staff(1)
}

// staff hires workers for up to n attempts. d.mu is held.
func (d *destination) staff(n int) {
	if d.hire == nil || d.waiting {
		return // whoever waits for the rate sees to it
	}
	for range min(n, d.window-d.working) {
		d.working++
		d.hire()
	}
}

// open lets workers begin; close lets none begin any more, and those that work stop after their attempt.
func (d *destination) open(hire func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hire = hire
	d.staff(d.ready.n)
}

func (d *destination) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hire = nil
}

// next gives a worker its next attempt. If there is none, the worker has lost its slot: it goes home, or, if wait is not zero,
// waits so long and asks [destination.back].
func (d *destination) next() (j job, wait time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hire == nil || d.ready.n == 0 {
		d.working--
		return job{}, 0, false
	}
	if wait = d.rateWait(); wait > 0 {
		d.working--
		if d.waiting {
			return job{}, 0, false // somebody else waits
		}
		d.waiting = true
		return job{}, wait, false
	}
	j = d.ready.pop()
	if d.limiter != nil && d.ready.n > 0 {
		d.staff(1) // to wait for the rate while this one works
	}
	return j, 0, true
}

// rateWait is how long the first attempt must wait for the rate; if it need not, its share of the rate is taken.
func (d *destination) rateWait() time.Duration {
	per := d.pace(d.ready.first().definition())
	if per <= 0 {
		d.limiter = nil
		return 0
	}
	now := d.now()
	most := max(1, int(per/burst))
	switch {
	case d.limiter == nil:
		d.limiter = rate.NewLimiter(rate.Limit(per), most)
	case d.limiter.Limit() != rate.Limit(per):
		d.limiter.SetLimitAt(now, rate.Limit(per))
		d.limiter.SetBurstAt(now, most)
	}
	r := d.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// back gives a worker that waited a slot again, if one is free.
func (d *destination) back() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = false
	if d.working >= d.window {
		return false // those who work will ask for more
	}
	d.working++
	return true
}

// rest notes how an attempt ended, and returns how long its slot is to rest. If that is not zero, rested ends it.
func (d *destination) rest(failed bool) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !failed {
		d.failing = 0
		return 0
	}
	d.failing++
	pause := min(restStep*time.Duration(d.failing/d.window), maxRest)
	if pause > 0 {
		d.resting++
	}
	return pause
}

func (d *destination) rested() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resting--
}

// inFlight is how many attempts are being made.
func (d *destination) inFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.working - d.resting
}

// definition is what the job's attempt sends to.
func (j *job) definition() *target.Definition {
	if j.letter != nil {
		return j.dlq
	}
	return j.def
}

// jobs is a queue that takes memory for what is in it, in pieces; the first is small, since most destinations have little to do.
type jobs struct {
	head, tail *piece
	from       int // of head
	n          int
}

type piece struct {
	jobs []job // its capacity is fixed
	next *piece
}

const (
	firstPiece = 4
	otherPiece = 64
)

func (q *jobs) push(j job) {
	switch {
	case q.tail == nil:
		q.head = &piece{jobs: make([]job, 0, firstPiece)}
		q.tail, q.from = q.head, 0
	case len(q.tail.jobs) == cap(q.tail.jobs):
		q.tail.next = &piece{jobs: make([]job, 0, otherPiece)}
		q.tail = q.tail.next
	}
	q.tail.jobs = append(q.tail.jobs, j)
	q.n++
}

// first is the job that pop would take; there must be one.
func (q *jobs) first() *job { return &q.head.jobs[q.from] }

func (q *jobs) pop() job {
	j := q.head.jobs[q.from]
	q.head.jobs[q.from] = job{}
	q.from++
	q.n--
	switch {
	case q.n == 0 && cap(q.head.jobs) == firstPiece:
		q.head.jobs, q.from = q.head.jobs[:0], 0 // for the next ones
	case q.n == 0:
		q.head, q.tail = nil, nil
	case q.from == cap(q.head.jobs):
		q.head, q.from = q.head.next, 0
	}
	return j
}
