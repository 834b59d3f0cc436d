package deliver

import (
	"time"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// A binding is a definition in use on one shard: where its deliveries and its dead letters go.
type binding struct {
	host    *host
	key     target.Key
	def     *target.Definition
	kept    bool // deliveries are the Retainer's, and there is no lane
	lane    *lane
	dlq     *target.Definition // what dead letters are sent to, or nil
	letters *lane              // or nil
	shape   func() (*transform.Transform, error)
}

// A job is an attempt to be made: 48 bytes, since a million of them may wait.
type job struct {
	*binding
	key      uint64 // with slot, the delivery's handle
	ref      shard.Ref
	slot     uint32
	accepted uint32 // seconds since 1970; 0 is unknown
	made     uint32
	letter   bool // the dead letter is to be brought, not the event
	ordered  bool // others may wait for it to end
}

func (j *job) handle() handle { return handle{j.slot, j.key} }

// definition is what the job's attempt sends to.
func (j *job) definition() *target.Definition {
	if j.letter {
		return j.dlq
	}
	return j.def
}

// expires is when the event has certainly reached the greatest age that its target's policy allows: when it was accepted is known to the
// second. Dead letters have none.
func (j *job) expires() (at time.Time, ok bool) {
	if j.letter || j.accepted == 0 {
		return time.Time{}, false
	}
	return time.Unix(int64(j.accepted)+1, 0).Add(j.def.Retry.MaxAge), true
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
		*q = jobs{}
	case q.from == len(q.head.jobs):
		q.head, q.from = q.head.next, 0
	}
	return j
}

// join moves everything from another queue to the end of this one.
func (q *jobs) join(other *jobs) {
	switch {
	case other.n == 0:
		return
	case q.n == 0:
		*q = *other
	default:
		other.head.jobs = other.head.jobs[other.from:]
		q.tail.next, q.tail = other.head, other.tail
		q.n += other.n
	}
	*other = jobs{}
}

// sift hands every job over, first come first, and keeps those for which keep is true.
func (q *jobs) sift(keep func(*job) bool) {
	old, from := q.head, q.from
	*q = jobs{}
	for p := old; p != nil; p, from = p.next, 0 {
		kept := p.jobs[:0]
		for i := from; i < len(p.jobs); i++ {
			if keep(&p.jobs[i]) {
				kept = append(kept, p.jobs[i])
			}
		}
		clear(p.jobs[len(kept):])
		if p.jobs = kept; len(kept) == 0 {
			continue
		}
		if q.tail == nil {
			q.head = p
		} else {
			q.tail.next = p
		}
		q.tail = p
		q.n += len(kept)
	}
	if q.tail != nil {
		q.tail.next = nil
	}
}
