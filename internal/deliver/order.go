package deliver

import "github.com/rialto-events/rialto/internal/slab"

// A group is deliveries that are attempted one after another, in the order in which they were accepted. Only the head is handed
// out; the others are held until it has ended, or has failed for good and is on its way to the dead-letter queue as a letter.
//
//	group        head ──┐                 ┌── tail
//	                    ▼                 ▼
//	deliveries        ready ─next─► held ─next─► held
//	               or waiting
//
// A delivery that is held has never been attempted: it is not due at a time, and no alarm rings for it.
type group struct {
	hash uint64
	head uint32 // slots of deliveries
	tail uint32
}

// orders are the groups of a machine. A group is there as long as it has a delivery.
type orders struct {
	groups slab.Slab[group]
	byHash map[uint64]uint32
	most   int // groups that byHash had since it was made
	held   int // deliveries that are not the head of their group
}

// mapWorth is how many entries a map must have had to be given back when it is empty: a map never shrinks.
const mapWorth = 1024

// join adds a delivery to the end of a group, which begins with it if nobody else is there.
func (m *Machine) join(slot uint32, d *delivery, hash uint64) {
	o := &m.orders
	at, ok := o.byHash[hash]
	if ok {
		g := o.groups.Get(at)
		m.deliveries.Get(g.tail).next = slot + 1
		g.tail, d.group = slot, at+1
		m.hold(d, +1)
		return
	}
	if o.byHash == nil {
		o.byHash = make(map[uint64]uint32)
	}
	at, g := o.groups.Add()
	*g, d.group = group{hash: hash, head: slot, tail: slot}, at+1
	o.byHash[hash] = at
	o.most = max(o.most, len(o.byHash))
}

// hold counts a delivery that waits for another from now on, or does no more.
func (m *Machine) hold(d *delivery, by int) {
	m.orders.held += by
	(*m.targets.Get(d.target)).held += by
}

// turn reports whether a delivery waits for no other.
func (m *Machine) turn(slot uint32, d *delivery) bool {
	return d.group == 0 || m.orders.groups.Get(d.group-1).head == slot
}

// leave takes a delivery out of its group, and returns whose turn it is because of that.
func (m *Machine) leave(slot uint32, d *delivery) (next uint32, ok bool) {
	if d.group == 0 {
		return 0, false
	}
	o, g := &m.orders, m.orders.groups.Get(d.group-1)
	switch {
	case g.head == slot && d.next == 0:
		delete(o.byHash, g.hash)
		o.groups.Free(d.group - 1)
		if len(o.byHash) == 0 && o.most >= mapWorth {
			o.byHash, o.most = nil, 0
		}
	case g.head == slot:
		g.head = d.next - 1
		m.hold(m.deliveries.Get(g.head), -1)
		next, ok = g.head, true
	default:
		// Somebody has ended one that is held. The way to it is long, but hardly anybody ever goes it.
		before := g.head
		for m.deliveries.Get(before).next != slot+1 {
			before = m.deliveries.Get(before).next - 1
		}
		m.deliveries.Get(before).next = d.next
		if d.next == 0 {
			g.tail = before
		}
		m.hold(d, -1)
	}
	d.group, d.next = 0, 0
	return next, ok
}

// pass takes a delivery out of its group, and adds the next one to those that are handed out.
func (a *apply) pass(attempts ready, slot uint32, d *delivery) ready {
	before := a.orders.held
	if next, ok := a.leave(slot, d); ok {
		at := a.handOut(next, a.deliveries.Get(next))
		at.held = true
		attempts = append(attempts, at)
	}
	if before > 0 && a.orders.held == 0 {
		a.tx.Emit(held(0))
	}
	return attempts
}
