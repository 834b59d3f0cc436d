package queue

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// Kinds 0x20 to 0x3f belong to queues.
const (
	kindFirst shard.Kind = 0x20
	kindLast  shard.Kind = 0x3f

	kindOpen    shard.Kind = 0x20 // a new queue
	kindDrop    shard.Kind = 0x21 // the queue with all its messages
	kindSend    shard.Kind = 0x22 // messages
	kindReceive shard.Kind = 0x23 // hide up to n visible messages from others
	kindDelete  shard.Kind = 0x24 // messages, by handle
	kindHide    shard.Kind = 0x25 // change when messages become visible, by handle
	kindPurge   shard.Kind = 0x26 // all messages of a queue
	kindTouch   shard.Kind = 0x27 // nothing but what time does
	kindAccept  shard.Kind = 0x28 // messages that come from a queue on another shard
	kindMoved   shard.Kind = 0x29 // messages that arrived at a queue on another shard
	kindStay    shard.Kind = 0x2a // messages that cannot move
	kindBegin   shard.Kind = 0x2b // a redrive, see redrive.go
	kindMark    shard.Kind = 0x2c // messages that a redrive is to bring back
	kindClaim   shard.Kind = 0x2d // hide messages that are about to leave
	kindDecide  shard.Kind = 0x2e // messages that have left, or stay
	kindControl shard.Kind = 0x2f // pause, resume or cancel a redrive, or change its rate

	// Of FIFO queues, see fifo.go, as is kindDelayFIFO. Every other kind but the first of these six is good for them, too.
	kindOpenFIFO    shard.Kind = 0x30
	kindSendFIFO    shard.Kind = 0x31
	kindReceiveFIFO shard.Kind = 0x32
	kindDeleteFIFO  shard.Kind = 0x33
	kindHideFIFO    shard.Kind = 0x34
	kindAcceptFIFO  shard.Kind = 0x35

	kindSendGroups   shard.Kind = 0x36 // messages of groups of a standard queue
	kindAcceptGroups shard.Kind = 0x37 // such messages that come from a queue on another shard
	kindClear        shard.Kind = 0x38 // give back what messages had that are gone, see debris.go
	kindDelayFIFO    shard.Kind = 0x39 // change how long messages of a FIFO queue wait after they were sent
)

const (
	maxInFlight   = 120_000    // messages received and not deleted, per queue (SQS developer guide, "Message quotas")
	maxReceive    = 10         // messages in one receive (SQS API, ReceiveMessage)
	maxVisibility = 43_200     // seconds that a message may be hidden from its receive on (SQS API, ChangeMessageVisibility)
	movesAtOnce   = 100        // messages that one receive moves to the dead-letter queue before it leaves the rest to the next
	purgeInterval = 60_000_000 // microseconds between two purges of a queue (SQS API, PurgeQueue)
)

// An ID names one life of a queue: a queue that is deleted and made again has another.
type ID uint64

// A wake says that up to n messages of a queue can be received, or, if it comes by timer, that time has made some visible.
type wake struct {
	queue ID
	n     int
}

const everybody = math.MaxInt

// A queue is the messages of one queue. Each stands in one structure of either axis:
//
//	byDue   visible (list) · waiting (heap: delayed, in flight) · moving (list) · leaving (list)
//	byAge   ages (list)    · late (heap: what came from other queues and is older than the newest in the list)
//
// In a FIFO queue it stands in its group, too, and the order of the visible list means nothing.
//
// One that is leaving by a redrive does not age: whether it has left already is known to others.
type queue struct {
	id        ID
	serial    uint32 // of its opening, within the machine
	retention int64  // microseconds, as the last command said
	purged    int64  // when, in microseconds; 0 is never
	visible   list
	waiting   heap
	moving    list
	leaving   list
	ages      list
	late      heap
	inFlight  int            // in waiting
	sources   []string       // ARNs of the queues that messages came from
	redrive   redrive        // of the last receive; moving messages go there
	tasks     []*redriveTask // oldest first; only the last may not have ended
	turns     *turns         // of a standard queue that has groups, see fair.go; nil in others: then visible is what can be received
	groups    *groups        // of a FIFO queue; nil in others
	once      once           // of a FIFO queue
	attempts  attempts       // of a FIFO queue
	armed     int64          // a timer will fire at that time; not part of the state that survives
}

// A redrive says what becomes of messages that were received too often.
type redrive struct {
	max    uint32 // receives; 0 is no limit
	to     ID     // the dead-letter queue
	local  bool   // it is on this shard
	source string // ARN of this queue
}

// A Machine holds the messages of all queues of one shard.
type Machine struct {
	queues     map[ID]*queue
	messages   slab
	debris     []debris
	nextKey    uint64
	nextSerial uint32
	nextTask   uint32

	spill func(b []byte) []byte // of a view: takes what there is of a snapshot; see freeze.go
}

var _ shard.Machine = (*Machine)(nil)

// NewMachine makes a Machine without queues.
func NewMachine() *Machine { return &Machine{queues: make(map[ID]*queue)} }

// Name is that of the machine in snapshots.
func (m *Machine) Name() string { return "queue" }

// Kinds is the range of the machine's commands.
func (m *Machine) Kinds() (first, last shard.Kind) { return kindFirst, kindLast }

// Apply carries out a command. The result is what command.go says for its kind, or an error.
func (m *Machine) Apply(tx *shard.Tx, kind shard.Kind, body []byte) any {
	a := &apply{Machine: m, tx: tx, now: tx.Now().UnixMicro(), body: body, r: record.NewReader(body)}
	id := ID(a.r.Uint())
	if kind == kindClear {
		return a.clearAway(int(min(a.r.Uint(), clearAtOnce)))
	}
	if kind == kindOpen || kind == kindOpenFIFO {
		return a.open(id, kind == kindOpenFIFO)
	}
	q, ok := m.queues[id]
	if !ok {
		return errGone
	}
	result := a.command(kind, q)
	if err := a.r.Err(); err != nil {
		result = err
	}
	a.arm(q)
	a.wakeGroups(q)
	return result
}

// An apply is the application of one command.
type apply struct {
	*Machine
	tx   *shard.Tx
	now  int64 // microseconds
	body []byte
	r    *record.Reader
}

func (a *apply) command(kind shard.Kind, q *queue) any {
	switch kind {
	case kindDrop:
		a.clear(q)
		q.leaving.each(&a.messages, a.drop)
		delete(a.queues, q.id)
		a.tx.Emit(wake{q.id, everybody})
		return nil
	case kindSend, kindSendGroups:
		return a.send(q, kind == kindSendGroups)
	case kindReceive:
		return a.receive(q)
	case kindDelete:
		return a.delete(q)
	case kindHide:
		return a.hide(q)
	case kindPurge:
		return a.purge(q)
	case kindTouch:
		q.retention = seconds(a.r.Uint())
		a.wake(q, a.advance(q))
		return q.counts()
	case kindAccept, kindAcceptGroups:
		return a.accept(q, kind == kindAcceptGroups)
	case kindMoved:
		return a.moved(q, true)
	case kindStay:
		return a.moved(q, false)
	case kindBegin:
		return a.begin(q)
	case kindMark:
		return a.mark(q)
	case kindClaim:
		return a.claim(q)
	case kindDecide:
		return a.decide(q)
	case kindControl:
		return a.control(q)
	}
	if q.groups != nil {
		return a.fifo(kind, q)
	}
	return errUnknown
}

func (a *apply) open(id ID, fifo bool) any {
	retention := seconds(a.r.Uint())
	if err := a.r.Err(); err != nil {
		return err
	}
	if _, ok := a.queues[id]; !ok {
		q := newQueue(id, a.nextSerial, retention)
		if fifo {
			q.groups = newGroups()
		}
		a.queues[id] = q
		a.nextSerial++
	}
	return nil
}

func newQueue(id ID, serial uint32, retention int64) *queue {
	return &queue{
		id: id, serial: serial, retention: retention,
		visible: newList(byDue), moving: newList(byDue), leaving: newList(byDue), waiting: heap{by: byDue},
		ages: newList(byAge), late: heap{by: byAge},
	}
}

// advance does what time has done since the last command: it drops what is too old and shows what is due. It returns how many
// messages became visible.
func (a *apply) advance(q *queue) (shown int) {
	for {
		slot := q.oldest(&a.messages)
		if slot == none || a.messages.get(slot).at[byAge]+q.retention > a.now {
			break
		}
		a.unmark(q, a.messages.get(slot), skippedOld)
		a.remove(q, slot)
	}
	for len(q.waiting.slots) > 0 {
		slot := q.waiting.slots[0]
		if a.messages.get(slot).at[byDue] > a.now {
			break
		}
		q.unlink(&a.messages, slot)
		q.show(&a.messages, slot)
		shown++
	}
	return shown
}

// oldest is the message that was sent first, or none.
func (q *queue) oldest(s *slab) uint32 {
	oldest := q.ages.head
	if len(q.late.slots) > 0 {
		if late := q.late.slots[0]; oldest == none || s.get(late).at[byAge] < s.get(oldest).at[byAge] {
			oldest = late
		}
	}
	return oldest
}

// wake tells those who wait that there are n more visible messages. In a FIFO queue it is groups that count, see wakeGroups.
func (a *apply) wake(q *queue, n int) {
	if n > 0 && q.groups == nil {
		a.tx.Emit(wake{q.id, n})
	}
}

// arm makes sure that a timer fires no later than the next waiting message becomes visible.
func (a *apply) arm(q *queue) {
	if len(q.waiting.slots) == 0 {
		return
	}
	next := a.messages.get(q.waiting.slots[0]).at[byDue]
	if q.armed > a.now && q.armed <= next {
		return
	}
	q.armed = next
	a.tx.EmitAt(microTime(next), wake{q.id, 1})
}

// add puts a message into the queue, and into a group if it has some, except for its place on the axis byDue.
func (a *apply) add(q *queue, ref shard.Ref, sent int64, group uint64) (uint32, *message) {
	slot, m := a.messages.add()
	m.ref, m.key, m.queue = ref, a.nextKey, q.serial
	a.nextKey++
	m.at[byAge] = sent
	q.age(&a.messages, slot)
	q.join(&a.messages, slot, group)
	return slot, m
}

// join gives a message its place in a group.
func (q *queue) join(s *slab, slot uint32, group uint64) {
	if q.groups != nil {
		q.groups.join(s, slot, group)
		return
	}
	q.joinTurns(s, slot, group)
}

// part takes a message out of its group.
func (q *queue) part(s *slab, slot uint32) {
	if q.groups != nil {
		q.groups.part(s, slot)
		return
	}
	q.partTurns(s, slot)
}

// age gives a message its place on the axis byAge.
func (q *queue) age(s *slab, slot uint32) {
	m := s.get(slot)
	if q.ages.tail == none || m.at[byAge] >= s.get(q.ages.tail).at[byAge] {
		q.ages.push(s, slot)
		return
	}
	m.late = true
	q.late.push(s, slot)
}

// show makes a message visible that has no place on the axis byDue.
func (q *queue) show(s *slab, slot uint32) {
	s.get(slot).state = visible
	q.push(s, slot)
	q.entered(s, slot)
}

// wait lets a message that has no place on the axis byDue wait until a time.
func (q *queue) wait(s *slab, slot uint32, as state, due int64) {
	m := s.get(slot)
	m.state, m.at[byDue] = as, due
	if as == inFlight {
		q.inFlight++
	}
	q.waiting.push(s, slot)
	q.entered(s, slot)
}

// hold puts a message that has no place on the axis byDue into one of the lists of what nobody can receive.
func (q *queue) hold(s *slab, slot uint32, as state, in *list) {
	s.get(slot).state = as
	in.push(s, slot)
	q.entered(s, slot)
}

// unlink takes a message's place on the axis byDue away.
func (q *queue) unlink(s *slab, slot uint32) {
	q.left(s, slot)
	switch s.get(slot).state {
	case visible:
		q.pull(s, slot)
	case inFlight:
		q.inFlight--
		q.waiting.remove(s, slot)
	case delayed:
		q.waiting.remove(s, slot)
	case moving:
		q.moving.remove(s, slot)
	case leaving:
		q.leaving.remove(s, slot)
	}
}

// take takes a message out of the queue; its slot and its payload stay.
func (q *queue) take(s *slab, slot uint32) {
	q.unlink(s, slot)
	q.unage(s, slot)
	q.part(s, slot)
	q.tidy()
}

// unage takes a message's place on the axis byAge away.
func (q *queue) unage(s *slab, slot uint32) {
	if m := s.get(slot); m.late {
		q.late.remove(s, slot)
		m.late = false
		return
	}
	q.ages.remove(s, slot)
}

// tidy forgets where messages came from when there are none.
func (q *queue) tidy() {
	if q.len() == 0 && q.leaving.n == 0 {
		q.sources = nil
	}
}

func (a *apply) remove(q *queue, slot uint32) {
	q.take(&a.messages, slot)
	a.tx.Release(a.messages.get(slot).ref)
	a.messages.free(slot)
}

// clear removes all messages but those that are leaving. If they are many, what they had is given back bit by bit.
func (a *apply) clear(q *queue) {
	empty := newQueue(q.id, q.serial, q.retention)
	if q.len() > clearAtOnce {
		empty.serial = a.nextSerial // no handle finds those that are gone
		a.nextSerial++
	}
	empty.purged, empty.redrive, empty.tasks = q.purged, q.redrive, q.tasks
	empty.leaving, empty.sources = q.leaving, q.sources
	empty.leaving.each(&a.messages, func(slot uint32) { a.messages.get(slot).queue = empty.serial })
	empty.tidy()
	if q.groups != nil {
		empty.groups, empty.once = q.without(&a.messages), q.once
	} else {
		empty.leaving.each(&a.messages, func(slot uint32) {
			group := q.turnOf(&a.messages, slot)
			a.messages.member(slot).group = ungrouped
			empty.joinTurns(&a.messages, slot, group)
		})
	}
	if q.len() > clearAtOnce {
		a.abandon(q)
	} else {
		q.ages.each(&a.messages, a.drop)
		for _, slot := range q.late.slots {
			a.drop(slot)
		}
	}
	*q = *empty
}

// drop forgets a message that has no place any more.
func (a *apply) drop(slot uint32) {
	a.tx.Release(a.messages.get(slot).ref)
	a.messages.free(slot)
}

// find returns the message of a handle, if it is still there.
func (a *apply) find(q *queue, slot uint32, key uint64) (*message, bool) {
	m, ok := a.messages.find(slot, key)
	return m, ok && m.queue == q.serial
}

func (a *apply) send(q *queue, groups bool) any {
	q.retention = seconds(a.r.Uint())
	shown := a.advance(q)
	for range a.r.Count() {
		delay, group := seconds(a.r.Uint()), a.group(groups)
		ref, ok := a.payload()
		if !ok {
			break
		}
		slot, _ := a.add(q, ref, a.now, group)
		if delay > 0 {
			q.wait(&a.messages, slot, delayed, a.now+delay)
			continue
		}
		q.show(&a.messages, slot)
		shown++
	}
	a.wake(q, shown)
	return nil
}

// group takes the hash of a group off the command, if it has some.
func (a *apply) group(groups bool) uint64 {
	if !groups {
		return 0
	}
	return a.r.Uint()
}

// payload takes a payload off the command and retains it.
func (a *apply) payload() (shard.Ref, bool) {
	b := a.r.Bytes()
	if a.r.Err() != nil {
		return shard.Ref{}, false
	}
	end := len(a.body) - a.r.Len()
	ref := a.tx.Ref(end-len(b), end)
	a.tx.Retain(ref)
	return ref, true
}

func (a *apply) receive(q *queue) any {
	q.retention = seconds(a.r.Uint())
	n, timeout := int(min(a.r.Uint(), maxReceive)), seconds(a.r.Uint())
	q.redrive = readRedrive(a.r)
	if a.r.Err() != nil {
		return nil
	}
	shown := a.advance(q)
	if q.inFlight >= maxInFlight {
		return errInFlight
	}
	n = min(n, maxInFlight-q.inFlight)
	if q.groups != nil {
		return a.receiveGroups(q, n, timeout)
	}
	var got []received
	var again []uint32 // received with a timeout of 0: visible again after this
	moves := 0
	for len(got) < n && moves < movesAtOnce {
		slot := q.head()
		if slot == none {
			break
		}
		m := a.messages.get(slot)
		if a.exhausted(q, m) {
			a.moveAway(q, slot)
			moves++
			continue
		}
		a.unmark(q, m, skippedReceived)
		m.received(a.now)
		q.passTurn()
		q.pull(&a.messages, slot)
		if timeout > 0 {
			q.wait(&a.messages, slot, inFlight, a.now+timeout)
		} else {
			again = append(again, slot)
		}
		got = append(got, q.received(slot, m))
	}
	for _, slot := range again {
		q.show(&a.messages, slot)
	}
	shown += len(again)
	if len(got) == 0 {
		shown++ // what stands behind the messages that were moved
	}
	a.wake(q, min(shown, q.shown()))
	return got
}

// exhausted reports whether a message was received so often that it goes to the dead-letter queue instead.
func (a *apply) exhausted(q *queue, m *message) bool {
	if q.redrive.max == 0 || m.receives < q.redrive.max {
		return false
	}
	_, here := a.queues[q.redrive.to]
	return here || !q.redrive.local // a dead-letter queue that was deleted just now takes nothing
}

// moveAway brings a visible message to the dead-letter queue, or on its way there.
func (a *apply) moveAway(q *queue, slot uint32) {
	m := a.messages.get(slot)
	a.unmark(q, m, skippedMoved)
	if !q.redrive.local {
		q.unlink(&a.messages, slot)
		q.hold(&a.messages, slot, moving, &q.moving)
		a.tx.Emit(q.move(slot, m, q.groupOf(&a.messages, slot)))
		return
	}
	to, group := a.queues[q.redrive.to], q.groupOf(&a.messages, slot)
	q.take(&a.messages, slot)
	m.key, m.queue = a.nextKey, to.serial // no handle of the old queue fits
	a.nextKey++
	m.source = to.sourceIndex(q.redrive.source)
	if to.groups != nil {
		m.renew(a.now)
	}
	to.join(&a.messages, slot, group)
	to.age(&a.messages, slot)
	to.show(&a.messages, slot)
	a.wake(to, 1)
	a.wakeGroups(to)
}

// sourceIndex is what a message's field source holds for a queue's ARN.
func (q *queue) sourceIndex(arn string) uint16 {
	i := slices.Index(q.sources, arn)
	if i < 0 && len(q.sources) < math.MaxUint16-1 {
		i = len(q.sources)
		q.sources = append(q.sources, arn)
	}
	return uint16(i + 1) // without a source if there are too many
}

func (q *queue) sourceOf(m *message) string {
	if m.source == 0 {
		return ""
	}
	return q.sources[m.source-1]
}

func (a *apply) delete(q *queue) any {
	for range a.r.Count() {
		slot, key := uint32(a.r.Uint()), a.r.Uint()
		if a.r.Err() != nil {
			break
		}
		m, ok := a.find(q, slot, key)
		switch {
		case !ok:
		case m.state == leaving:
			m.mark = doomed
		default:
			a.unmark(q, m, skippedDeleted)
			a.remove(q, slot)
		}
	}
	return nil
}

func (a *apply) hide(q *queue) any {
	shown := a.advance(q)
	var results []error
	for range a.r.Count() {
		slot, key, timeout := uint32(a.r.Uint()), a.r.Uint(), seconds(a.r.Uint())
		if a.r.Err() != nil {
			break
		}
		m, ok := a.find(q, slot, key)
		switch {
		case !ok || m.state == moving || m.state == leaving:
			results = append(results, errNotThere)
			continue
		case m.hiddenTooLong(a.now, timeout):
			results = append(results, errTooLong)
			continue
		}
		results = append(results, nil)
		if a.hideFor(q, slot, timeout) {
			shown++
		}
	}
	a.wake(q, shown)
	return results
}

// hideFor hides a message from now on, or shows it. It reports whether it is visible now and was not before.
func (a *apply) hideFor(q *queue, slot uint32, timeout int64) (shown bool) {
	wasVisible := a.messages.get(slot).state == visible
	q.unlink(&a.messages, slot)
	if timeout > 0 {
		q.wait(&a.messages, slot, inFlight, a.now+timeout)
		return false
	}
	q.show(&a.messages, slot)
	return !wasVisible
}

func (a *apply) purge(q *queue) any {
	if q.purged != 0 && a.now < q.purged+purgeInterval {
		return errPurging
	}
	a.forsake(q, skippedPurged)
	q.leaving.each(&a.messages, func(slot uint32) { a.messages.get(slot).mark = doomed })
	a.clear(q)
	q.purged = a.now
	return nil
}

// accept takes messages that come from another shard, as they were there.
func (a *apply) accept(q *queue, groups bool) any {
	q.retention = seconds(a.r.Uint())
	source := a.r.String()
	shown := a.advance(q)
	for range a.r.Count() {
		sent, first, last, receives := a.r.Int(), a.r.Uint(), a.r.Uint(), a.r.Uint()
		group := a.group(groups)
		ref, ok := a.payload()
		if !ok {
			break
		}
		slot, m := a.add(q, ref, sent, group)
		m.first, m.last, m.receives = uint32(first), uint32(last), uint32(receives)
		m.source = q.sourceIndex(source)
		q.show(&a.messages, slot)
		shown++
	}
	a.wake(q, shown)
	return nil
}

// moved ends the way of messages to another shard: they are there, or cannot get there.
func (a *apply) moved(q *queue, there bool) any {
	for range a.r.Count() {
		slot, key := uint32(a.r.Uint()), a.r.Uint()
		m, ok := a.find(q, slot, key)
		if !ok || m.state != moving {
			continue // deleted or too old meanwhile, or this is said twice
		}
		if there {
			a.remove(q, slot)
			continue
		}
		q.unlink(&a.messages, slot)
		q.show(&a.messages, slot)
		a.wake(q, 1)
	}
	return nil
}

// received is what a receive tells of a message.
func (q *queue) received(slot uint32, m *message) received {
	return received{
		slot: slot, key: m.key, ref: m.ref, receives: m.receives,
		sent: microTime(m.at[byAge]), first: microTime(m.at[byAge]).Add(millis(m.first)), source: q.sourceOf(m),
	}
}

func (q *queue) move(slot uint32, m *message, group uint64) move {
	return move{
		from: q.id, to: q.redrive.to, source: q.redrive.source, slot: slot, key: m.key, ref: m.ref, group: group,
		sent: m.at[byAge], first: m.first, last: m.last, receives: m.receives,
	}
}

func (q *queue) len() int { return q.ages.n + len(q.late.slots) }

func (q *queue) counts() Counts {
	return Counts{Visible: q.shown(), InFlight: q.inFlight + q.leaving.n, Delayed: len(q.waiting.slots) - q.inFlight}
}

// idle reports whether time has done nothing since the last command: nothing is due or too old.
func (m *Machine) idle(q *queue, retention, now int64) bool {
	if len(q.waiting.slots) > 0 && m.messages.get(q.waiting.slots[0]).at[byDue] <= now {
		return false
	}
	slot := q.oldest(&m.messages)
	return slot == none || m.messages.get(slot).at[byAge]+retention > now
}

// worthReceiving reports whether a receive could do anything. Somebody who waits for messages needs the timer that a command
// sets, too, if the last one has fired for a message that was deleted meanwhile.
func (m *Machine) worthReceiving(q *queue, now int64, waits bool) bool {
	if q.groups != nil && q.groups.first != none || q.groups == nil && q.shown() > 0 {
		return true
	}
	if len(q.waiting.slots) == 0 {
		return false
	}
	return m.messages.get(q.waiting.slots[0]).at[byDue] <= now || waits && q.armed <= now
}

// Resume sends moving messages on their way again and sets the timers.
func (m *Machine) Resume(tx *shard.Tx) {
	a := &apply{Machine: m, tx: tx, now: tx.Now().UnixMicro()}
	for _, q := range m.sorted() {
		q.moving.each(&m.messages, func(slot uint32) {
			tx.Emit(q.move(slot, m.messages.get(slot), q.groupOf(&m.messages, slot)))
		})
		q.armed = 0
		a.arm(q)
	}
	if len(m.debris) > 0 {
		tx.Emit(clearing{})
	}
}

func (m *Machine) sorted() []*queue {
	return slices.SortedFunc(maps.Values(m.queues), func(a, b *queue) int { return cmp.Compare(a.id, b.id) })
}

// Live yields the payloads of messages.
func (m *Machine) Live(before uint64, yield func(key []byte, ref shard.Ref) bool) {
	var key []byte
	m.messages.each(func(slot uint32, msg *message) bool {
		if msg.ref.Seq >= before {
			return true
		}
		key = appendHandle(key[:0], slot, msg.key)
		return yield(key, msg.ref)
	})
}

// Carried takes the new place of a message's payload.
func (m *Machine) Carried(tx *shard.Tx, key []byte, ref shard.Ref) {
	r := record.NewReader(key)
	slot, k := uint32(r.Uint()), r.Uint()
	msg, ok := m.messages.find(slot, k)
	if !ok || r.Err() != nil {
		return
	}
	tx.Retain(ref)
	tx.Release(msg.ref)
	msg.ref = ref
}
