package queue

import "math"

// A FIFO queue keeps the messages of a group in the order in which they came, and gives out nothing of a group while anything of it
// is on its way:
//
//	line    ┌─► group "a" ─► group "b"                      open: whoever receives takes from the first of the line
//	        │     m1 m4 m5     m2
//	closed  └─  group "c": m3 (in flight) m6 m7             comes to the end of the line when m3 is deleted or visible again
//
// A message stays in its place for as long as it is in the queue, whatever its state; so one that comes back is where it was, and the
// later ones wait behind it. A group is open if nothing of it is in flight, moving or leaving, and its first message is visible.
// Groups take turns: one that was received from is at the end of the line when it opens again. A group without messages is forgotten.
//
// Groups are known by a hash of their names. Two that share one would be one group: in order still, and no faster than one.
type groups struct {
	all         []group // by number; those in free are not in use
	free        []uint32
	byHash      map[uint64]uint32
	first, last uint32 // of the line
	opened      int    // groups that have joined the line since anybody was woken for them
}

type group struct {
	hash       uint64
	head, tail uint32 // messages, in the order of their keys
	n          uint32
	busy       uint32 // messages that are in flight, moving or leaving
	prev, next uint32 // neighbours in the line
	open       bool   // it is in the line
}

// A member says where a message stands in its group. In a standard queue it only says in which group, see fair.go.
type member struct{ prev, next, group uint32 }

func newGroups() *groups { return &groups{byHash: make(map[uint64]uint32), first: none, last: none} }

// busyState reports whether a message in that state keeps its group closed.
func busyState(st state) bool { return st == inFlight || st == moving || st == leaving }

// join gives a message its place in a group. Its key says where; as a rule that is the end.
func (g *groups) join(s *slab, slot uint32, hash uint64) {
	number, ok := g.byHash[hash]
	if !ok {
		number = g.make(hash)
	}
	in := &g.all[number]
	key := s.get(slot).key
	after := in.tail
	for after != none && s.get(after).key > key {
		after = s.member(after).prev
	}
	m := member{prev: after, next: in.head, group: number}
	if after != none {
		m.next = s.member(after).next
		s.member(after).next = slot
	} else {
		in.head = slot
	}
	if m.next != none {
		s.member(m.next).prev = slot
	} else {
		in.tail = slot
	}
	*s.member(slot) = m
	in.n++
}

func (g *groups) make(hash uint64) uint32 {
	number := uint32(len(g.all))
	if n := len(g.free); n > 0 {
		number, g.free = g.free[n-1], g.free[:n-1]
	} else {
		g.all = append(g.all, group{})
	}
	g.all[number] = group{hash: hash, head: none, tail: none, prev: none, next: none}
	g.byHash[hash] = number
	return number
}

// part takes a message out of its group. It has no state any more that would keep the group closed.
func (g *groups) part(s *slab, slot uint32) {
	m := *s.member(slot)
	*s.member(slot) = member{}
	in := &g.all[m.group]
	if m.prev == none {
		in.head = m.next
	} else {
		s.member(m.prev).next = m.next
	}
	if m.next == none {
		in.tail = m.prev
	} else {
		s.member(m.next).prev = m.prev
	}
	if in.n--; in.n > 0 {
		g.settle(s, m.group)
		return
	}
	g.close(m.group)
	delete(g.byHash, in.hash)
	g.free = append(g.free, m.group)
	if len(g.byHash) == 0 {
		*g = groups{byHash: make(map[uint64]uint32), first: none, last: none, opened: g.opened} // its tables were made for many
	}
}

// settle puts a group into the line, or takes it out, as its messages have it.
func (g *groups) settle(s *slab, number uint32) {
	in := &g.all[number]
	switch open := in.busy == 0 && s.get(in.head).state == visible; {
	case open && !in.open:
		in.open, in.prev, in.next = true, g.last, none
		if g.last == none {
			g.first = number
		} else {
			g.all[g.last].next = number
		}
		g.last = number
		g.opened++
	case !open:
		g.close(number)
	}
}

func (g *groups) close(number uint32) {
	in := &g.all[number]
	if !in.open {
		return
	}
	if in.prev == none {
		g.first = in.next
	} else {
		g.all[in.prev].next = in.next
	}
	if in.next == none {
		g.last = in.prev
	} else {
		g.all[in.next].prev = in.prev
	}
	in.open, in.prev, in.next = false, none, none
}

// hashOf is the hash of the group of a message.
func (g *groups) hashOf(s *slab, slot uint32) uint64 { return g.all[s.member(slot).group].hash }

// entered and left say that a message has a state, and has it no longer.
func (q *queue) entered(s *slab, slot uint32) {
	if q.groups == nil {
		return
	}
	number := s.member(slot).group
	if busyState(s.get(slot).state) {
		q.groups.all[number].busy++
	}
	q.groups.settle(s, number)
}

func (q *queue) left(s *slab, slot uint32) {
	if q.groups != nil && busyState(s.get(slot).state) {
		q.groups.all[s.member(slot).group].busy--
	}
}

// groupOf is the hash of a message's group; a message of a standard queue may have none, 0.
func (q *queue) groupOf(s *slab, slot uint32) uint64 {
	if q.groups == nil {
		return q.turnOf(s, slot)
	}
	return q.groups.hashOf(s, slot)
}

// receiveGroups hides up to n messages and returns them: as many as there are of the first group in the line, then of the next.
func (a *apply) receiveGroups(q *queue, n int, timeout int64) []received {
	var got []received
	for moves := 0; len(got) < n && moves < movesAtOnce && q.groups.first != none; {
		a.receiveGroup(q, &got, n, &moves, timeout)
	}
	if timeout == 0 {
		for _, r := range got {
			q.unlink(&a.messages, r.slot)
			q.show(&a.messages, r.slot)
		}
	}
	if len(got) == 0 && q.groups.first != none {
		q.groups.opened++ // what stands behind the messages that were moved
	}
	return got
}

// receiveGroup takes from the first group of the line. A message that was received too often moves on when it is the first of its group:
// the dead letters of a group keep their order.
func (a *apply) receiveGroup(q *queue, got *[]received, n int, moves *int, timeout int64) {
	taken, held := false, false
	for slot := q.groups.all[q.groups.first].head; slot != none && len(*got) < n && *moves < movesAtOnce; {
		m, next := a.messages.get(slot), a.messages.member(slot).next
		dead := a.exhausted(q, m)
		if m.state != visible || dead && taken || !dead && held {
			return
		}
		if dead {
			a.moveAway(q, slot)
			*moves++
			held = !q.redrive.local
		} else {
			a.unmark(q, m, skippedReceived)
			m.received(a.now)
			q.unlink(&a.messages, slot)
			q.wait(&a.messages, slot, inFlight, a.now+timeout)
			*got = append(*got, q.received(slot, m))
			taken = true
		}
		slot = next
	}
}

// wakeGroups wakes as many as there are groups that have opened.
func (a *apply) wakeGroups(q *queue) {
	if q.groups == nil || q.groups.opened == 0 {
		return
	}
	a.tx.Emit(wake{q.id, min(q.groups.opened, math.MaxInt32)})
	q.groups.opened = 0
}
