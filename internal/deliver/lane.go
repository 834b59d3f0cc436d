package deliver

import (
	"container/heap"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// maxBatchBytes bounds the events of one batch where neither the rule nor the kind of destination does: a batch is in memory at once.
const maxBatchBytes = 4 << 20

// gatherLate is how long deliveries that have waited already wait for others with which they can share an attempt: the outcomes of one
// batch come to the log in a frame or two, and alarms ring for all that is due.
const gatherLate = 20 * time.Millisecond

// A laneKey says whose deliveries a lane has: those to one target of a rule, or, if it is zero, the dead letters.
type laneKey struct {
	rule rialto.ARN
	id   string
}

// A lane is the part of a destination's work that comes from one target of one rule. Lanes are served in turn, and each has limits of its
// own, from the newest definition of its target.
//
// Old work (retries that fell due, then what was parked or has waited since before the start) and fresh work are served in turn, so
// that neither a backlog nor fresh events starve. Within each, what came first is first.
type lane struct {
	laneKey
	destination *destination

	retries, parked, fresh jobs
	oldNext                bool // of old and fresh work

	where where
	held  bool           // the circuit has a say
	until time.Time      // asleep
	index int            // in the heap of those that sleep
	users int            // bindings
	using *binding       // whose definition the limits are from; nil at first
	lasts bool           // those of using stay until others are told, whatever deliveries bring
	pulse int            // deliveries a second that arrived lately when the process before ended
	set   target.Breaker // when the circuit opens
	parks bool           // deliveries are kept while the circuit is open
	most  int            // attempts at once; 0 is no limit of its own
	busy  int            // attempts in progress
	rate  bucket
	batch batch
	since time.Time // when the first of a batch came, or could have
	bytes int       // of the events that wait
}

// where says what a lane waits for.
type where uint8

const (
	idle    where = iota // for work
	waiting              // for its turn
	asleep               // for a time
	full                 // for one of its own attempts to end
)

// A batch says how many deliveries may share an attempt; a size of 0 is that each has its own.
type batch struct {
	size   int
	bytes  int
	window time.Duration
}

func (l *lane) n() int { return l.retries.n + l.parked.n + l.fresh.n }

// queue is where the next job is; there must be one.
func (l *lane) queue() *jobs {
	switch {
	case l.fresh.n > 0 && (!l.oldNext || l.retries.n+l.parked.n == 0):
		return &l.fresh
	case l.retries.n > 0:
		return &l.retries
	}
	return &l.parked
}

func (l *lane) first() *job { return l.queue().first() }

func (l *lane) pop() job {
	q := l.queue()
	l.oldNext = q == &l.fresh
	j := q.pop()
	l.bytes -= int(j.ref.Len)
	return j
}

// oldest is when the first of the lane's events was accepted, as far as the heads of its queues tell.
func (l *lane) oldest() uint32 {
	at := ^uint32(0)
	for _, q := range []*jobs{&l.retries, &l.parked, &l.fresh} {
		if q.n > 0 {
			at = min(at, q.first().accepted)
		}
	}
	return at
}

// ready reports whether the lane's limits allow an attempt. If not, wait is how long to wait, or 0 if one of its attempts must end.
func (l *lane) ready(now time.Time) (wait time.Duration, ok bool) {
	if l.most > 0 && l.busy >= l.most {
		return 0, false
	}
	if wait := l.rate.wait(now); wait > 0 {
		return wait, false
	}
	if l.batch.size > 0 && !l.filled() {
		if wait := l.complete().Sub(now); wait > 0 {
			return wait, false
		}
	}
	return 0, true
}

// gather begins a batch with a delivery that comes now, unless one has begun. What has waited already, for its turn or for its next attempt,
// does not wait for a whole window, but for a moment in which others of its kind come. Otherwise a group would make one step in each window.
func (l *lane) gather(now time.Time, from source) {
	since := now
	if from == fromGroup || from == fromAlarm {
		since = now.Add(min(0, gatherLate-l.batch.window))
	}
	if l.n() == 0 || since.Before(l.since) {
		l.since = since
	}
}

// complete is when a batch goes out although it is not filled.
func (l *lane) complete() time.Time { return l.since.Add(l.batch.window) }

// filled reports whether there is as much as a batch may have.
func (l *lane) filled() bool { return l.n() >= l.batch.size || l.bytes >= l.batch.bytes }

// take takes the jobs of one attempt: one, or a batch of the same definition.
func (l *lane) take(to []job) []job {
	j := l.pop()
	to = append(to, j)
	for size := int(j.ref.Len); len(to) < l.batch.size && l.n() > 0; {
		next := l.first()
		if size += int(next.ref.Len); size > l.batch.bytes || next.binding.key != j.binding.key {
			break
		}
		to = append(to, l.pop())
	}
	l.busy++
	l.rate.take()
	return to
}

// sleepers is a heap of lanes that wait for a time, the earliest first.
type sleepers []*lane

func (s sleepers) Len() int           { return len(s) }
func (s sleepers) Less(i, j int) bool { return s[i].until.Before(s[j].until) }
func (s sleepers) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}
func (s *sleepers) Push(l any) {
	l.(*lane).index = len(*s)
	*s = append(*s, l.(*lane))
}
func (s *sleepers) Pop() any {
	last := len(*s) - 1
	l := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return l
}

var _ heap.Interface = (*sleepers)(nil)

// A ring is lanes that have work and are served in turn.
type ring struct {
	lanes []*lane
	at    int
	shut  bool // nothing can be taken until somebody looks again
}

func (r *ring) add(l *lane) { r.lanes = append(r.lanes, l) }

// remove takes out the lane whose turn it is.
func (r *ring) remove() {
	last := len(r.lanes) - 1
	copy(r.lanes[r.at:], r.lanes[r.at+1:])
	r.lanes[last] = nil
	if r.lanes = r.lanes[:last]; r.at >= last {
		r.at = 0
	}
}

func (r *ring) advance() {
	if r.at++; r.at >= len(r.lanes) {
		r.at = 0
	}
}
