package queue

import (
	"cmp"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// What a command for messages of a FIFO queue may answer instead of a result.
var (
	errExpired = errors.New("the message was received again, or may be")
	errVisible = errors.New("the message is not in flight")
	errCrowded = errors.New("too many messages were sent within the time in which duplicates are recognised")
)

// A posting is a message that is sent to a FIFO queue.
type posting struct {
	id      uuid.UUID // of the message
	group   uint64    // hash of its group
	key     onceKey   // of its deduplication id
	payload []byte
}

// A posted is what a FIFO queue answers for it.
type posted struct {
	id     uuid.UUID // of the message that was sent with that key
	number uint64    // key of that message
}

func openFIFOCommand(id ID, retention int) []byte { return openCommand(id, retention) }

// A scope says among which messages a deduplication id names one.
type scope byte

const (
	wholeQueue scope = iota
	eachGroup
)

// sendFIFOCommand makes the body of a send. The result is a []posted.
func sendFIFOCommand(id ID, retention, delay int, by scope, list []posting) []byte {
	size := 32
	for i := range list {
		size += len(list[i].payload) + 64
	}
	b := record.AppendUint(make([]byte, 0, size), uint64(id))
	b = record.AppendUint(b, uint64(retention))
	b = record.AppendUint(b, uint64(delay))
	b = append(b, byte(by))
	b = record.AppendUint(b, uint64(len(list)))
	for i := range list {
		b = append(b, list[i].id[:]...)
		b = record.AppendUint(b, list[i].group)
		b = append(b, list[i].key[:]...)
		b = record.AppendBytes(b, list[i].payload)
	}
	return b
}

// receiveFIFOCommand makes the body of a receive that can be made again. The result is a []received.
func receiveFIFOCommand(id ID, retention, n, timeout int, to redrive, attempt onceKey) []byte {
	b := append(record.AppendUint(nil, uint64(id)), attempt[:]...)
	b = record.AppendUint(b, uint64(retention))
	b = record.AppendUint(b, uint64(n))
	b = record.AppendUint(b, uint64(timeout))
	return appendRedrive(b, to)
}

// delayFIFOCommand makes the body of a change of a queue's delay, which is in seconds.
func delayFIFOCommand(id ID, retention, delay int) []byte {
	return record.AppendUint(openCommand(id, retention), uint64(delay))
}

// A receipt names one receive of one message.
type receipt struct {
	Place
	receives uint32
}

// deleteFIFOCommand makes the body of a delete. The result is an []error, one for each message.
func deleteFIFOCommand(id ID, receipts []receipt) []byte {
	b := record.AppendUint(record.AppendUint(nil, uint64(id)), uint64(len(receipts)))
	for _, h := range receipts {
		b = appendReceipt(b, h)
	}
	return b
}

// hideFIFOCommand makes the body of a change of visibility. The result is an []error, one for each message.
func hideFIFOCommand(id ID, receipts []receipt, timeouts []int) []byte {
	b := record.AppendUint(record.AppendUint(nil, uint64(id)), uint64(len(receipts)))
	for i, h := range receipts {
		b = record.AppendUint(appendReceipt(b, h), uint64(timeouts[i]))
	}
	return b
}

func appendReceipt(b []byte, h receipt) []byte {
	return record.AppendUint(appendHandle(b, h.slot, h.key), uint64(h.receives))
}

func readReceipt(r *record.Reader) receipt {
	return receipt{Place{uint32(r.Uint()), r.Uint()}, uint32(r.Uint())}
}

// acceptFIFOCommand makes the body of a command that takes over messages of one source.
func acceptFIFOCommand(id ID, retention int, moves []move, payloads [][]byte) []byte {
	b := record.AppendUint(record.AppendUint(nil, uint64(id)), uint64(retention))
	b = record.AppendString(b, moves[0].source)
	b = record.AppendUint(b, uint64(len(moves)))
	for i, m := range moves {
		key := moveKey(m.from, m.key)
		b = record.AppendUint(append(b, key[:]...), m.group)
		b = record.AppendUint(b, uint64(m.receives))
		b = record.AppendBytes(b, payloads[i])
	}
	return b
}

// fifo carries out a command for a FIFO queue.
func (a *apply) fifo(kind shard.Kind, q *queue) any {
	switch kind {
	case kindSendFIFO:
		return a.sendFIFO(q)
	case kindReceiveFIFO:
		return a.receiveFIFO(q)
	case kindDeleteFIFO:
		return a.deleteFIFO(q)
	case kindHideFIFO:
		return a.hideFIFO(q)
	case kindAcceptFIFO:
		return a.acceptFIFO(q)
	case kindDelayFIFO:
		return a.delayFIFO(q)
	}
	return errUnknown
}

func (a *apply) onceKey() (key onceKey) {
	for i := range key {
		key[i] = a.r.Byte()
	}
	return key
}

// sendFIFO takes messages. One that was sent before is not taken again, whatever has become of it, and answered as it was then. The
// key of the whole queue and that of the group are both looked up: a scope that was changed leaves what was sent before as it is.
func (a *apply) sendFIFO(q *queue) any {
	q.retention = seconds(a.r.Uint())
	delay, by := seconds(a.r.Uint()), scope(a.r.Byte())
	a.advance(q)
	n := a.r.Count()
	q.once.expire(a.now, n+forgetSteps)
	if q.once.len()+n > maxRemembered {
		return errCrowded
	}
	results := make([]posted, 0, min(n, maxReceive))
	for range n {
		id, group, key := uuid.UUID(a.onceKey()), a.r.Uint(), a.onceKey()
		was, duplicate := q.once.find(key, a.now)
		if !duplicate {
			was, duplicate = q.once.find(key.within(group), a.now)
		}
		if duplicate {
			results = append(results, posted{was.id, was.number})
			a.r.Bytes()
			continue
		}
		ref, ok := a.payload()
		if !ok {
			break
		}
		slot, m := a.add(q, ref, a.now, group)
		if by == eachGroup {
			key = key.within(group)
		}
		q.once.add(remembered{key, id, m.key, a.now + dedupeWindow})
		results = append(results, posted{id, m.key})
		if delay > 0 {
			q.wait(&a.messages, slot, delayed, a.now+delay)
		} else {
			q.show(&a.messages, slot)
		}
	}
	return results
}

// receiveFIFO receives, or, if the same was received under that id and nothing has happened to it, returns it again, hidden for as long
// as if it were received now.
func (a *apply) receiveFIFO(q *queue) any {
	key := a.onceKey()
	rest := *a.r
	rest.Uint() // the retention
	rest.Uint() // how many
	timeout := seconds(rest.Uint())
	if rest.Err() != nil {
		return nil
	}
	a.advance(q)
	q.attempts.expire(a.now)
	if is, ok := q.attempts.byKey[key]; ok && a.untouched(q, is) {
		return a.again(q, is, timeout)
	}
	result := a.receive(q)
	got, ok := result.([]received)
	if !ok || len(got) == 0 || timeout == 0 {
		return result
	}
	is := &attempt{key: key, until: a.now + dedupeWindow, due: a.now + timeout}
	for _, r := range got {
		is.places = append(is.places, receipt{Place{r.slot, r.key}, r.receives})
	}
	q.attempts.add(is)
	return result
}

// untouched reports whether all messages of a receive are in flight by it.
func (a *apply) untouched(q *queue, is *attempt) bool {
	for _, p := range is.places {
		m, ok := a.find(q, p.slot, p.key)
		if !ok || m.state != inFlight || m.receives != p.receives || m.at[byDue] != is.due {
			return false
		}
	}
	return true
}

// again returns the messages of a receive once more.
func (a *apply) again(q *queue, is *attempt, timeout int64) []received {
	var got []received
	is.due = a.now + timeout
	for _, p := range is.places {
		got = append(got, q.received(p.slot, a.messages.get(p.slot)))
		a.hideFor(q, p.slot, timeout)
	}
	return got
}

// inHand returns the message of a receipt if it is in flight by that receive.
func (a *apply) inHand(q *queue, h receipt) (*message, error) {
	m, ok := a.find(q, h.slot, h.key)
	switch {
	case !ok || m.state == moving || m.state == leaving:
		return nil, errNotThere
	case m.receives != h.receives:
		return nil, errExpired
	case m.state != inFlight:
		return nil, errVisible
	}
	return m, nil
}

func (a *apply) deleteFIFO(q *queue) any {
	a.advance(q)
	var results []error
	for range a.r.Count() {
		h := readReceipt(a.r)
		if a.r.Err() != nil {
			break
		}
		m, err := a.inHand(q, h)
		if results = append(results, err); err == nil {
			a.unmark(q, m, skippedDeleted)
			a.remove(q, h.slot)
		}
	}
	return results
}

func (a *apply) hideFIFO(q *queue) any {
	a.advance(q)
	var results []error
	for range a.r.Count() {
		h, timeout := readReceipt(a.r), seconds(a.r.Uint())
		if a.r.Err() != nil {
			break
		}
		m, err := a.inHand(q, h)
		if err == nil && m.hiddenTooLong(a.now, timeout) {
			err = errTooLong
		}
		if results = append(results, err); err == nil {
			a.hideFor(q, h.slot, timeout)
		}
	}
	return results
}

// acceptFIFO takes messages that come from another shard, behind all others of their groups. One that has come already is left out.
func (a *apply) acceptFIFO(q *queue) any {
	q.retention = seconds(a.r.Uint())
	source := a.r.String()
	a.advance(q)
	n := a.r.Count()
	q.once.expire(a.now, n+forgetSteps)
	for range n {
		key, group, receives := a.onceKey(), a.r.Uint(), a.r.Uint()
		if _, there := q.once.find(key, a.now); there {
			a.r.Bytes()
			continue
		}
		ref, ok := a.payload()
		if !ok {
			break
		}
		slot, m := a.add(q, ref, a.now, group)
		m.receives, m.source = uint32(receives), q.sourceIndex(source)
		q.once.add(remembered{key: key, number: m.key, until: a.now + dedupeWindow})
		q.show(&a.messages, slot)
	}
	return nil
}

// delayFIFO changes how long messages wait. In a FIFO queue this counts for those that are there, too (SQS developer guide, "Amazon SQS delay
// queues"): what nobody has received yet can be received as long after it was sent as if the delay had been this one then, be it sooner or
// later. All stay in their places, so that the later ones of a group wait for the first.
func (a *apply) delayFIFO(q *queue) any {
	q.retention = seconds(a.r.Uint())
	delay := seconds(a.r.Uint())
	if a.r.Err() != nil {
		return nil
	}
	a.advance(q)
	for _, slot := range a.unreceived(q, delay) {
		due := a.messages.get(slot).at[byAge] + delay
		q.unlink(&a.messages, slot)
		if due > a.now {
			q.wait(&a.messages, slot, delayed, due)
		} else {
			q.show(&a.messages, slot)
		}
	}
	return nil
}

// unreceived finds, in the order in which they came, the messages for which a change of the delay makes a difference: those that wait, and
// those that nobody has received and that were sent a shorter while ago than the new delay.
func (a *apply) unreceived(q *queue, delay int64) (slots []uint32) {
	early := func(slot uint32) bool {
		m := a.messages.get(slot)
		return m.state == visible && m.receives == 0 && m.at[byAge]+delay > a.now
	}
	for _, slot := range q.waiting.slots {
		if a.messages.get(slot).state == delayed {
			slots = append(slots, slot)
		}
	}
	for slot := q.ages.tail; slot != none && a.messages.get(slot).at[byAge]+delay > a.now; slot = a.messages.get(slot).link[byAge].prev {
		if early(slot) {
			slots = append(slots, slot)
		}
	}
	for _, slot := range q.late.slots {
		if early(slot) {
			slots = append(slots, slot)
		}
	}
	slices.SortFunc(slots, func(x, y uint32) int { return cmp.Compare(a.messages.get(x).key, a.messages.get(y).key) })
	return slots
}

// without is the groups of a queue from which everything goes but what is leaving.
func (q *queue) without(s *slab) *groups {
	g := newGroups()
	type kept struct {
		slot uint32
		hash uint64
	}
	var list []kept
	q.leaving.each(s, func(slot uint32) { list = append(list, kept{slot, q.groups.hashOf(s, slot)}) })
	for _, k := range list {
		g.join(s, k.slot, k.hash)
		g.all[s.member(k.slot).group].busy++
	}
	return g
}
