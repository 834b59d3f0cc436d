package queue

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// Versions of snapshots: the second one has redrives and what they have marked, the third one FIFO queues, the fourth one groups of standard
// queues and debris.
const (
	firstSnapshot   = 1
	redriveSnapshot = 2
	fifoSnapshot    = 3
	snapshotVersion = 4
)

var errSnapshot = errors.New("it contradicts itself")

// Snapshot appends the state: the queues by ID, of each the messages in the order of the age axis and then its other orders as
// slots.
func (m *Machine) Snapshot(dst []byte) []byte {
	dst = append(dst, snapshotVersion)
	dst = record.AppendUint(dst, m.nextKey)
	dst = record.AppendUint(dst, uint64(m.nextSerial))
	dst = record.AppendUint(dst, uint64(m.nextTask))
	dst = record.AppendUint(dst, uint64(len(m.queues)))
	for _, q := range m.sorted() {
		dst = m.appendQueue(dst, q)
	}
	return m.appendDebris(dst)
}

func (m *Machine) appendQueue(b []byte, q *queue) []byte {
	b = record.AppendUint(b, uint64(q.id))
	b = record.AppendUint(b, uint64(q.serial))
	b = record.AppendInt(b, q.retention)
	b = record.AppendInt(b, q.purged)
	b = appendRedrive(b, q.redrive)
	b = record.AppendUint(b, uint64(len(q.sources)))
	for _, arn := range q.sources {
		b = record.AppendString(b, arn)
	}
	b = record.AppendUint(b, uint64(q.ages.n))
	q.ages.each(&m.messages, func(slot uint32) { b = m.appendMessage(b, slot) })
	b = record.AppendUint(b, uint64(len(q.late.slots)))
	for _, slot := range q.late.slots {
		b = m.appendMessage(b, slot)
	}
	for _, l := range []list{q.visible, q.moving} {
		b = record.AppendUint(b, uint64(l.n))
		l.each(&m.messages, func(slot uint32) { b = m.spilled(record.AppendUint(b, uint64(slot))) })
	}
	b = record.AppendUint(b, uint64(len(q.waiting.slots)))
	for _, slot := range q.waiting.slots {
		b = m.spilled(record.AppendUint(b, uint64(slot)))
	}
	b = record.AppendUint(b, uint64(q.leaving.n))
	q.leaving.each(&m.messages, func(slot uint32) { b = m.appendMessage(b, slot) })
	b = record.AppendUint(b, uint64(len(q.tasks)))
	for _, t := range q.tasks {
		b = appendTask(b, t)
	}
	if q.groups != nil {
		return m.appendFIFO(append(b, isFIFO), q)
	}
	if q.turns != nil {
		return m.appendTurns(append(b, isFair), q)
	}
	return append(b, isPlain)
}

// What a queue has beside what every queue has.
const (
	isPlain = 0
	isFIFO  = 1
	isFair  = 2 // groups of a standard queue
)

// appendFIFO appends what a FIFO queue has: its groups, the open ones first as they are in the line and then the others by
// their hash, each with its messages as slots; what it was sent within the window; and receives with an id.
func (m *Machine) appendFIFO(b []byte, q *queue) []byte {
	var open, closed []*group
	for number := q.groups.first; number != none; number = q.groups.all[number].next {
		open = append(open, &q.groups.all[number])
	}
	for i := range q.groups.all {
		if g := &q.groups.all[i]; g.n > 0 && !g.open {
			closed = append(closed, g)
		}
	}
	slices.SortFunc(closed, func(a, b *group) int { return cmp.Compare(a.hash, b.hash) })
	b = record.AppendUint(b, uint64(len(open)+len(closed)))
	for _, g := range slices.Concat(open, closed) {
		b = m.appendGroup(b, g)
	}
	b = record.AppendUint(b, uint64(q.once.len()))
	for _, e := range q.once.entries[q.once.from:] {
		b = append(append(b, e.key[:]...), e.id[:]...)
		b = m.spilled(record.AppendInt(record.AppendUint(b, e.number), e.until))
	}
	b = record.AppendUint(b, uint64(len(q.attempts.order)))
	for _, t := range q.attempts.order {
		b = record.AppendInt(record.AppendInt(append(b, t.key[:]...), t.until), t.due)
		b = record.AppendUint(b, uint64(len(t.places)))
		for _, p := range t.places {
			b = appendReceipt(b, p)
		}
	}
	return b
}

// appendTurns appends the groups of a standard queue: their hashes in order, for each message in the order in which it was written which of them
// it has, counted from 1, or 0, and then the line: for each group in it which one it is, and what can be received of it as slots.
func (m *Machine) appendTurns(b []byte, q *queue) []byte {
	numbers := make([]uint32, 0, len(q.turns.all))
	for number := range q.turns.all {
		if q.turns.all[number].n > 0 {
			numbers = append(numbers, uint32(number))
		}
	}
	slices.SortFunc(numbers, func(x, y uint32) int { return cmp.Compare(q.turns.all[x].hash, q.turns.all[y].hash) })
	b = record.AppendUint(b, uint64(len(numbers)))
	index := make([]uint64, len(q.turns.all)) // by number
	for i, number := range numbers {
		index[number] = uint64(i + 1)
		b = record.AppendUint(b, q.turns.all[number].hash)
	}
	q.each(&m.messages, func(slot uint32) { b = m.spilled(record.AppendUint(b, index[m.messages.group(slot)])) })
	for number := q.turns.first; number != none; number = q.turns.all[number].next {
		in := &q.turns.all[number]
		b = record.AppendUint(record.AppendUint(b, index[number]+1), uint64(in.visible.n))
		in.visible.each(&m.messages, func(slot uint32) { b = m.spilled(record.AppendUint(b, uint64(slot))) })
	}
	return append(b, 0)
}

// each calls f for every message of a queue, in the order in which a snapshot has them.
func (q *queue) each(s *slab, f func(slot uint32)) {
	q.ages.each(s, f)
	for _, slot := range q.late.slots {
		f(slot)
	}
	q.leaving.each(s, f)
}

// readTurns reads what appendTurns wrote.
func (m *Machine) readTurns(r *record.Reader, q *queue) error {
	if q.visible.n > 0 {
		return errSnapshot
	}
	q.turns = newTurns(q.visible)
	numbers := []uint32{ungrouped}
	for range r.Count() {
		hash := r.Uint()
		if _, twice := q.turns.byHash[hash]; twice {
			return cmp.Or(r.Err(), errSnapshot)
		}
		numbers = append(numbers, q.turns.group(hash))
	}
	bad := false
	q.each(&m.messages, func(slot uint32) {
		i := r.Uint()
		if bad = bad || i >= uint64(len(numbers)); bad || i == 0 {
			return
		}
		m.messages.member(slot).group = numbers[i]
		q.turns.all[numbers[i]].n++
	})
	for _, number := range numbers[1:] {
		bad = bad || q.turns.all[number].n == 0
	}
	if bad || len(numbers) == 1 {
		return cmp.Or(r.Err(), errSnapshot)
	}
	for i := r.Uint(); i != 0 && r.Err() == nil; i = r.Uint() {
		n := r.Count()
		if i > uint64(len(numbers)) || n == 0 || q.turns.all[numbers[i-1]].visible.n > 0 {
			return cmp.Or(r.Err(), errSnapshot)
		}
		for range n {
			slot, ok := m.placeless(r, q)
			if !ok || m.messages.get(slot).state != visible || m.messages.group(slot) != numbers[i-1] {
				return cmp.Or(r.Err(), errSnapshot)
			}
			q.push(&m.messages, slot)
		}
	}
	return r.Err()
}

func (m *Machine) appendGroup(b []byte, g *group) []byte {
	b = record.AppendUint(record.AppendUint(b, g.hash), uint64(g.n))
	for slot := g.head; slot != none; slot = m.messages.member(slot).next {
		b = m.spilled(record.AppendUint(b, uint64(slot)))
	}
	return b
}

func (m *Machine) appendMessage(b []byte, slot uint32) []byte {
	msg := m.messages.get(slot)
	b = record.AppendUint(b, uint64(slot))
	b = shard.AppendRef(b, msg.ref)
	b = record.AppendUint(b, msg.key)
	b = record.AppendInt(b, msg.at[byAge])
	b = record.AppendInt(b, msg.at[byDue])
	b = record.AppendUint(b, uint64(msg.receives))
	b = record.AppendUint(b, uint64(msg.first))
	b = record.AppendUint(b, uint64(msg.last))
	b = record.AppendUint(b, uint64(msg.source))
	b = append(b, byte(msg.state))
	b = record.AppendUint(b, uint64(msg.mark))
	return m.spilled(b)
}

// Restore reads a snapshot.
func (m *Machine) Restore(snapshot []byte) error {
	*m = *NewMachine()
	if snapshot == nil {
		return nil
	}
	return m.restore(record.NewReader(snapshot))
}

func (m *Machine) restore(r *record.Reader) error {
	v := r.Byte()
	if v < firstSnapshot || v > snapshotVersion {
		return fmt.Errorf("its version is %d, and this program reads %d", v, snapshotVersion)
	}
	m.nextKey, m.nextSerial = r.Uint(), uint32(r.Uint())
	if v > firstSnapshot {
		m.nextTask = uint32(r.Uint())
	}
	for range r.Count() {
		if err := m.readQueue(r, v); err != nil {
			return err
		}
	}
	if v > fifoSnapshot {
		if err := m.readDebris(r); err != nil {
			return err
		}
	}
	return r.Err()
}

func (m *Machine) readQueue(r *record.Reader, version byte) error {
	q := newQueue(ID(r.Uint()), uint32(r.Uint()), 0)
	q.retention, q.purged = r.Int(), r.Int()
	q.redrive = readRedrive(r)
	for range r.Count() {
		q.sources = append(q.sources, r.String())
	}
	for range r.Count() {
		slot, err := m.readMessage(r, q, version)
		if err != nil {
			return err
		}
		q.ages.push(&m.messages, slot)
	}
	for range r.Count() {
		slot, err := m.readMessage(r, q, version)
		if err != nil {
			return err
		}
		m.messages.get(slot).late = true
		q.late.slots = append(q.late.slots, slot)
		q.late.place(&m.messages, len(q.late.slots)-1, slot)
	}
	for _, l := range []*list{&q.visible, &q.moving} {
		for range r.Count() {
			slot, ok := m.placeless(r, q)
			if !ok {
				return errSnapshot
			}
			l.push(&m.messages, slot)
		}
	}
	for range r.Count() {
		slot, ok := m.placeless(r, q)
		if !ok {
			return errSnapshot
		}
		q.waiting.slots = append(q.waiting.slots, slot)
		q.waiting.place(&m.messages, len(q.waiting.slots)-1, slot)
		if m.messages.get(slot).state == inFlight {
			q.inFlight++
		}
	}
	if version > firstSnapshot {
		if err := m.readLeaving(r, q, version); err != nil {
			return err
		}
	}
	if version > redriveSnapshot {
		if err := m.readBeside(r, q); err != nil {
			return err
		}
	}
	if q.shown()+q.moving.n+len(q.waiting.slots) != q.len() || m.queues[q.id] != nil {
		return errSnapshot
	}
	m.queues[q.id] = q
	return r.Err()
}

// readLeaving reads the messages that leave, and the redrives by which they do.
func (m *Machine) readLeaving(r *record.Reader, q *queue, version byte) error {
	for range r.Count() {
		slot, err := m.readMessage(r, q, version)
		if err != nil {
			return err
		}
		q.leaving.push(&m.messages, slot)
	}
	for range r.Count() {
		t, err := readTask(r)
		if err != nil {
			return err
		}
		q.tasks = append(q.tasks, t)
	}
	return nil
}

// readBeside reads what a queue has beside what every queue has.
func (m *Machine) readBeside(r *record.Reader, q *queue) error {
	switch r.Byte() {
	case isPlain:
		return r.Err()
	case isFIFO:
		return m.readFIFO(r, q)
	case isFair:
		return m.readTurns(r, q)
	}
	return cmp.Or(r.Err(), errSnapshot)
}

// readFIFO reads what appendFIFO wrote. Which groups are open follows from their messages.
func (m *Machine) readFIFO(r *record.Reader, q *queue) error {
	q.groups = newGroups()
	members := 0
	for range r.Count() {
		hash, n := r.Uint(), r.Count()
		if _, twice := q.groups.byHash[hash]; twice || n == 0 {
			return cmp.Or(r.Err(), errSnapshot)
		}
		if err := m.readGroup(r, q, hash, n); err != nil {
			return err
		}
		members += n
	}
	if r.Err() == nil && members != q.len()+q.leaving.n {
		return errSnapshot
	}
	for range r.Count() {
		var e remembered
		readArray(r, (*[16]byte)(&e.key))
		readArray(r, (*[16]byte)(&e.id))
		e.number, e.until = r.Uint(), r.Int()
		q.once.add(e)
	}
	for range r.Count() {
		t := new(attempt)
		readArray(r, (*[16]byte)(&t.key))
		t.until, t.due = r.Int(), r.Int()
		for range r.Count() {
			t.places = append(t.places, readReceipt(r))
		}
		q.attempts.add(t)
	}
	return r.Err()
}

func (m *Machine) readGroup(r *record.Reader, q *queue, hash uint64, n int) error {
	number := q.groups.make(hash)
	for last := uint64(0); n > 0; n-- {
		slot, ok := m.placeless(r, q)
		if !ok {
			return cmp.Or(r.Err(), errSnapshot)
		}
		msg := m.messages.get(slot)
		if g := &q.groups.all[number]; g.n > 0 && msg.key <= last {
			return errSnapshot // also if a message stands in it twice
		}
		last = msg.key
		q.groups.join(&m.messages, slot, hash)
		if busyState(msg.state) {
			q.groups.all[number].busy++
		}
	}
	q.groups.settle(&m.messages, number)
	q.groups.opened = 0 // Resume wakes nobody: no one waits yet
	return nil
}

func readArray(r *record.Reader, to *[16]byte) {
	for i := range to {
		to[i] = r.Byte()
	}
}

func (m *Machine) readMessage(r *record.Reader, q *queue, version byte) (uint32, error) {
	slot, ref := uint32(r.Uint()), shard.ReadRef(r)
	key, sent, due := r.Uint(), r.Int(), r.Int()
	receives, first, last := uint32(r.Uint()), uint32(r.Uint()), uint32(r.Uint())
	source, st, mark := uint16(r.Uint()), state(r.Byte()), unmarked
	if version > firstSnapshot {
		mark = uint32(r.Uint())
	}
	if err := r.Err(); err != nil {
		return 0, err
	}
	msg, ok := m.messages.claim(slot)
	if !ok || int(source) > len(q.sources) || st > leaving {
		return 0, errSnapshot
	}
	*msg = message{
		ref: ref, key: key, at: [2]int64{byDue: due, byAge: sent}, receives: receives, first: first, last: last,
		queue: q.serial, source: source, state: st, mark: mark,
	}
	return slot, nil
}

// placeless reads the slot of a message that was read before, for a place on the axis byDue.
func (m *Machine) placeless(r *record.Reader, q *queue) (uint32, bool) {
	slot := uint32(r.Uint())
	if r.Err() != nil || !m.messages.inUse(slot) {
		return 0, false
	}
	return slot, m.messages.get(slot).queue == q.serial
}
