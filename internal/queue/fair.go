package queue

import "slices"

// What can be received from a standard queue stands in a list, or, once a message with a group has come, in a list for each group:
//
//	line ──► group "a": m1 m2 m5 …      a receive takes the first message of the first group,
//	         no group:  m3              and the group goes to the end of the line
//	         group "b": m4
//
// So a group that has a million messages waiting is in nobody's way (SQS developer guide, "Amazon SQS fair queues"): another one waits for as
// many receives as there are groups, and not for that million. Messages without a group have their turns together, as if they were one group.
// Unlike in a FIFO queue nothing is closed and nothing keeps its order.
//
// A queue without groups pays nothing for this. A message in a queue with some costs 12 bytes more, see chunk.

// turns are the groups of a standard queue that has some.
type turns struct {
	all         []turn // by number; the first one is of the messages without a group
	byHash      map[uint64]uint32
	free        []uint32 // numbers that no group has
	first, last uint32   // of the line; or none
	visible     int      // messages, of all groups
}

// A turn is one group.
type turn struct {
	hash       uint64
	visible    list
	n          int    // messages, whatever their state; those without a group are not counted
	prev, next uint32 // neighbours in the line
}

const ungrouped uint32 = 0 // number of the messages without a group

// newTurns begins with messages that have no group.
func newTurns(visible list) *turns {
	t := &turns{byHash: make(map[uint64]uint32), first: none, last: none, visible: visible.n}
	t.all = append(t.all, turn{visible: visible, prev: none, next: none})
	if visible.n > 0 {
		t.enter(ungrouped)
	}
	return t
}

// enter puts a group at the end of the line.
func (t *turns) enter(number uint32) {
	in := &t.all[number]
	in.prev, in.next = t.last, none
	if t.last == none {
		t.first = number
	} else {
		t.all[t.last].next = number
	}
	t.last = number
}

// leave takes a group out of the line.
func (t *turns) leave(number uint32) {
	in := &t.all[number]
	if in.prev == none {
		t.first = in.next
	} else {
		t.all[in.prev].next = in.next
	}
	if in.next == none {
		t.last = in.prev
	} else {
		t.all[in.next].prev = in.prev
	}
	in.prev, in.next = none, none
}

// pass ends the turn of the group that is first in the line.
func (t *turns) pass() {
	if number := t.first; number != t.last {
		t.leave(number)
		t.enter(number)
	}
}

// group is the number of a group, which is made if it is not there.
func (t *turns) group(hash uint64) uint32 {
	if number, ok := t.byHash[hash]; ok {
		return number
	}
	number := uint32(len(t.all))
	if n := len(t.free); n > 0 {
		number, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.all = append(t.all, turn{})
	}
	t.all[number] = turn{hash: hash, visible: newList(byDue), prev: none, next: none}
	t.byHash[hash] = number
	return number
}

// joinTurns gives a message its group, before it has a place on the axis byDue. Without one, 0, nothing is to be done.
func (q *queue) joinTurns(s *slab, slot uint32, hash uint64) {
	if hash == 0 {
		return
	}
	if q.turns == nil {
		q.turns = newTurns(q.visible)
		q.visible = newList(byDue)
	}
	number := q.turns.group(hash)
	q.turns.all[number].n++
	s.member(slot).group = number
}

// partTurns takes a message out of its group. It has no place on the axis byDue any more.
func (q *queue) partTurns(s *slab, slot uint32) {
	number := s.group(slot)
	if q.turns == nil || number == ungrouped {
		return
	}
	s.member(slot).group = ungrouped
	in := &q.turns.all[number]
	if in.n--; in.n > 0 {
		return
	}
	delete(q.turns.byHash, in.hash)
	q.turns.free = append(q.turns.free, number)
	if len(q.turns.byHash) == 0 {
		q.visible, q.turns = q.turns.all[ungrouped].visible, nil
	}
}

// push makes a message one that can be received.
func (q *queue) push(s *slab, slot uint32) {
	if q.turns == nil {
		q.visible.push(s, slot)
		return
	}
	number := s.group(slot)
	l := &q.turns.all[number].visible
	l.push(s, slot)
	q.turns.visible++
	if l.n == 1 {
		q.turns.enter(number)
	}
}

// pull makes it one that cannot.
func (q *queue) pull(s *slab, slot uint32) {
	if q.turns == nil {
		q.visible.remove(s, slot)
		return
	}
	number := s.group(slot)
	l := &q.turns.all[number].visible
	l.remove(s, slot)
	q.turns.visible--
	if l.n == 0 {
		q.turns.leave(number)
	}
}

// head is the message that is received next, or none.
func (q *queue) head() uint32 {
	if q.turns == nil {
		return q.visible.head
	}
	if q.turns.first == none {
		return none
	}
	return q.turns.all[q.turns.first].visible.head
}

// passTurn is called when the head is received, before it is hidden: then it is the turn of the next group.
func (q *queue) passTurn() {
	if q.turns != nil {
		q.turns.pass()
	}
}

// shown is how many messages can be received.
func (q *queue) shown() int {
	if q.turns == nil {
		return q.visible.n
	}
	return q.turns.visible
}

// turnOf is the hash of a message's group, or 0.
func (q *queue) turnOf(s *slab, slot uint32) uint64 {
	if q.turns == nil {
		return 0
	}
	return q.turns.all[s.group(slot)].hash
}

// freeze copies what a snapshot asks for.
func (t *turns) freeze() *turns {
	if t == nil {
		return nil
	}
	f := *t
	f.all, f.byHash, f.free = slices.Clone(t.all), nil, nil
	return &f
}
