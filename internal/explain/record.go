package explain

import (
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/target"
)

// What a record holds at most.
const (
	maxPassages = 8        // buses that one event has crossed; by its hops it can be on three
	maxEvent    = 64 << 10 // bytes of an event; of a larger one only the size is kept
	maxPayload  = 4 << 10  // bytes of what a target received
	maxAnswer   = target.MaxAnswer
	maxMessage  = 1 << 10 // bytes of an error's message
	firstTries  = 4       // attempts of a delivery that are kept from its beginning
	lastTries   = 16      // and from its end
)

// A record is what is known of one event. The lock of its shelf guards it.
type record struct {
	id       string
	passages []passage // oldest first
	one      [1]passage

	in         *list
	prev, next *record // in the list
	size       int     // bytes that it counts for in the list
	at         time.Time
	stored     bool // the log has what came before the attempts that are written one by one
	partial    bool // what came first was forgotten
}

// A passage is an event on one bus.
type passage struct {
	bus         rialto.ARN
	accepted    time.Time
	trace       string
	hops        target.Hops
	expires     time.Time
	duplicateOf string
	duplicates  int    // that were put later and not accepted
	event       []byte // nil if it is not kept
	size        int    // of the event
	deliveries  []delivery
}

// A delivery is that of an event to one target.
type delivery struct {
	def     *target.Definition
	shaped  bool   // the payload is not the event
	payload []byte // its beginning
	bytes   int    // of the payload; 0 until the first attempt
	tries   []try
	state   State
	next    time.Time // of the next attempt, if the state is Waiting or Dying
}

// A try is an attempt, or the decision that none is made.
type try struct {
	number    int
	redrive   int  // how often the event had come back from a dead-letter queue; numbers begin anew with each
	letter    bool // it was the dead letter that was sent
	batch     int
	began     time.Time
	took      time.Duration
	status    int
	head      string
	failed    bool
	action    deliver.Action
	code      string
	message   string
	exhausted string
	at        time.Time // of the next attempt
}

// A State is where an event, or one of its deliveries, is.
type State string

// The states. Those of a delivery are Waiting to Expired; an event has that of the delivery that is furthest from its goal.
const (
	Waiting   State = "waiting"   // for its first or for another attempt
	Dying     State = "dying"     // it has failed for good, and waits for the dead-letter queue to take it
	Dropped   State = "dropped"   // it has failed for good, and nobody has it
	Dead      State = "dead"      // it has failed for good, and the dead-letter queue has it
	Delivered State = "delivered" // the target has taken it
	Expired   State = "expired"   // it had lived long enough, by the rialto:ttl-from of its bus
	Unmatched State = "unmatched" // no rule wanted it
	Duplicate State = "duplicate" // it was accepted before under another id
)

// worst orders the states of deliveries: what needs a look comes first.
var worst = []State{Dropped, Dying, Waiting, Dead, Expired, Delivered, Duplicate, Unmatched}

// What the parts of a record count for besides their bytes: their size and what the allocator and the index add.
const (
	recordBytes   = 512
	deliveryBytes = 192
	tryBytes      = 240
)

// measure is what a record counts for.
func (r *record) measure() int {
	n := recordBytes + len(r.id)
	for i := range r.passages {
		p := &r.passages[i]
		n += cap(p.event) + len(p.trace)
		for j := range p.deliveries {
			d := &p.deliveries[j]
			n += deliveryBytes + cap(d.payload)
			for k := range d.tries {
				n += tryBytes + len(d.tries[k].head) + len(d.tries[k].message)
			}
		}
	}
	return n
}

// late reports whether the event had expired when it came: then no rule was asked.
func (p *passage) late() bool { return !p.expires.IsZero() && !p.expires.After(p.accepted) }

// passage finds the event on a bus, or adds it if there is room.
func (r *record) passage(bus rialto.ARN) (p *passage, fresh bool) {
	for i := range r.passages {
		if r.passages[i].bus == bus {
			return &r.passages[i], false
		}
	}
	if len(r.passages) == maxPassages {
		return nil, false
	}
	r.passages = append(r.passages, passage{bus: bus})
	return &r.passages[len(r.passages)-1], true
}

// delivery finds the delivery to a target, or adds it.
func (p *passage) delivery(def *target.Definition) *delivery {
	for i := range p.deliveries {
		if p.deliveries[i].def == def {
			return &p.deliveries[i]
		}
	}
	for i := range p.deliveries {
		if d := p.deliveries[i].def; d.ID == def.ID && d.Rule == def.Rule {
			return &p.deliveries[i]
		}
	}
	p.deliveries = append(p.deliveries, delivery{def: def, state: firstState(def)})
	return &p.deliveries[len(p.deliveries)-1]
}

// add notes an attempt, and what it means for the delivery. One that is noted already changes nothing.
func (d *delivery) add(t try) {
	if n := len(d.tries); n > 0 && d.tries[n-1].sameAs(&t) {
		return
	}
	if len(d.tries) == firstTries+lastTries {
		copy(d.tries[firstTries:], d.tries[firstTries+1:])
		d.tries[len(d.tries)-1] = t
	} else {
		d.tries = append(d.tries, t)
	}
	d.state, d.next = t.outcome(d.def), t.at
}

// firstState is that of a delivery of which nothing is known but that its event was accepted. An archive has it from that moment on.
func firstState(def *target.Definition) State {
	if strings.HasPrefix(string(def.RuleName), catalog.ArchiveRulePrefix) {
		if _, ok := catalog.StoreID(def.ARN); ok {
			return Delivered
		}
	}
	return Waiting
}

// omitted is how many attempts are not kept.
func (d *delivery) omitted() int {
	var made, letters int
	for i := range d.tries {
		if t := &d.tries[i]; t.letter {
			letters = max(letters, t.number)
		} else {
			made = max(made, t.number)
		}
	}
	return max(0, made+letters-len(d.tries))
}

func (t *try) sameAs(o *try) bool {
	return t.number == o.number && t.letter == o.letter && t.began.UnixMicro() == o.began.UnixMicro()
}

// notable reports whether a try is worth a day's memory.
func (t *try) notable() bool { return t.failed || t.action == deliver.Expired }

// outcome is the state of a delivery after a try.
func (t *try) outcome(def *target.Definition) State {
	switch {
	case t.action == deliver.Expired:
		return Expired
	case t.action == deliver.Done && t.letter:
		return Dead
	case t.action == deliver.Done:
		return Delivered
	case t.action == deliver.Again && t.letter:
		return Dying
	case t.action == deliver.Again:
		return Waiting
	case !t.letter && def.DeadLetter != "":
		return Dying
	}
	return Dropped
}

// state is that of the whole event.
func (r *record) state() State {
	rank := len(worst) - 1
	for i := range r.passages {
		p := &r.passages[i]
		switch {
		case p.duplicateOf != "":
			rank = min(rank, rankOf(Duplicate))
		case p.late():
			rank = min(rank, rankOf(Expired))
		}
		for j := range p.deliveries {
			rank = min(rank, rankOf(p.deliveries[j].state))
		}
	}
	return worst[rank]
}

func rankOf(s State) int {
	for i, w := range worst {
		if w == s {
			return i
		}
	}
	return len(worst) - 1
}

// failed reports whether the event is one that people ask for: an attempt has failed, whatever came after, or was not made any more.
func (r *record) failed() bool {
	for i := range r.passages {
		for j := range r.passages[i].deliveries {
			d := &r.passages[i].deliveries[j]
			for k := range d.tries {
				if d.tries[k].notable() {
					return true
				}
			}
		}
	}
	return false
}
