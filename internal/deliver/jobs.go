package deliver

import (
	"math"
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

// A job is an attempt to be made: 56 bytes, since a million of them may wait.
type job struct {
	*binding
	key      uint64 // with slot, the delivery's handle
	ref      shard.Ref
	slot     uint32
	accepted uint32 // seconds since 1970; 0 is unknown
	until    uint32 // when its event ends, likewise; 0 is never
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

// ends is the second, since 1970, in which there is nothing more to attempt: the event has ended, or certainly reached the greatest age that
// its target's policy allows, as when it was accepted is known to the second. Dead letters wait for ever.
func (j *job) ends() uint32 {
	if j.letter {
		return never
	}
	at := uint32(never)
	if j.accepted > 0 {
		at = uint32(min(int64(j.accepted)+1+int64((j.def.Retry.MaxAge+time.Second-1)/time.Second), never))
	}
	if j.until > 0 {
		at = min(at, j.until)
	}
	return at
}

const never = math.MaxUint32

// jobs is a queue that takes memory for what is in it, in pieces; the first is small, since most destinations have little to do.
type jobs struct {
	head, tail *piece
	from       int // of head
	n          int
}

type piece struct {
	jobs []job // its capacity is fixed
	next *piece
	ends uint32 // none of its jobs ends earlier; some that did may be gone
}

const (
	firstPiece = 4
	otherPiece = 64
)

func (q *jobs) push(j job) {
	switch {
	case q.tail == nil:
		q.head = &piece{jobs: make([]job, 0, firstPiece), ends: never}
		q.tail, q.from = q.head, 0
	case len(q.tail.jobs) == cap(q.tail.jobs):
		q.tail.next = &piece{jobs: make([]job, 0, otherPiece), ends: never}
		q.tail = q.tail.next
	}
	q.tail.jobs, q.tail.ends = append(q.tail.jobs, j), min(q.tail.ends, j.ends())
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
		q.head.jobs, q.head.ends, q.from = q.head.jobs[:0], never, 0 // for the next ones
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

// sift hands jobs over that end by a second, first come first, until no more are wanted, and keeps the others. It returns when the next of
// these ends. It looks at a job for every piece, and at more only where one may have ended.
func (q *jobs) sift(by uint32, most *int, take func(job)) (next uint32) {
	next = never
	old, from := q.head, q.from
	*q = jobs{}
	for p := old; p != nil; {
		after := p.next
		if p.ends <= by && *most > 0 {
			p.sift(from, by, take, most)
			from = 0
		}
		if next = min(next, p.ends); len(p.jobs) > 0 {
			q.append(p, from)
		}
		p, from = after, 0
	}
	return next
}

// sift does it for one piece, of which the jobs before from are gone.
func (p *piece) sift(from int, by uint32, take func(job), most *int) {
	kept := p.jobs[:0]
	p.ends = never
	for i := from; i < len(p.jobs); i++ {
		if ends := p.jobs[i].ends(); ends > by {
			kept, p.ends = append(kept, p.jobs[i]), min(p.ends, ends)
			continue
		}
		take(p.jobs[i])
		*most--
	}
	clear(p.jobs[len(kept):])
	p.jobs = kept
}

// append adds a piece without its first jobs; only the first piece of all may have such.
func (q *jobs) append(p *piece, from int) {
	if q.tail == nil {
		q.head, q.from = p, from
	} else {
		q.tail.next = p
	}
	q.tail, p.next = p, nil
	q.n += len(p.jobs) - from
}
