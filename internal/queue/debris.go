package queue

import (
	"context"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// Ten million messages are purged at once: nobody finds them any more. To give back their slots and their payloads takes a second, in which
// nobody else would be served; so it is done bit by bit, by commands of its own.

// clearAtOnce is how many messages one command removes when a queue is emptied: a few milliseconds.
const clearAtOnce = 10_000

// Debris is messages that are gone and still have slots.
type debris struct {
	ages list
	late []uint32
}

// clearing is the effect that says that there is debris.
type clearing struct{}

// clearCommand makes the body of a command that clears up to n messages away. The result is how many are left.
func clearCommand(n int) []byte { return record.AppendUint(idCommand(0), uint64(n)) }

// abandon makes debris of the messages of a queue, except for those that are leaving.
func (a *apply) abandon(q *queue) {
	a.debris = append(a.debris, debris{q.ages, q.late.slots})
	a.tx.Emit(clearing{})
}

// clearAway clears up to n messages away and returns how many are left.
func (a *apply) clearAway(n int) (left int) {
	for ; n > 0 && len(a.debris) > 0; n-- {
		d := &a.debris[0]
		switch k := len(d.late); {
		case d.ages.n > 0:
			slot := d.ages.head
			d.ages.remove(&a.messages, slot)
			a.drop(slot)
		case k > 0:
			a.drop(d.late[k-1])
			d.late = d.late[:k-1]
		}
		if d.n() == 0 {
			a.debris = a.debris[1:]
		}
	}
	if len(a.debris) == 0 {
		a.debris = nil
	}
	for _, d := range a.debris {
		left += d.n()
	}
	return left
}

func (d *debris) n() int { return d.ages.n + len(d.late) }

// appendDebris appends what there is of it to a snapshot.
func (m *Machine) appendDebris(b []byte) []byte {
	b = record.AppendUint(b, uint64(len(m.debris)))
	for _, d := range m.debris {
		b = record.AppendUint(b, uint64(d.ages.n))
		d.ages.each(&m.messages, func(slot uint32) { b = m.appendRemains(b, slot) })
		b = record.AppendUint(b, uint64(len(d.late)))
		for _, slot := range d.late {
			b = m.appendRemains(b, slot)
		}
	}
	return b
}

// appendRemains appends what matters of a message that is gone.
func (m *Machine) appendRemains(b []byte, slot uint32) []byte {
	msg := m.messages.get(slot)
	return m.spilled(record.AppendUint(shard.AppendRef(record.AppendUint(b, uint64(slot)), msg.ref), msg.key))
}

func (m *Machine) readDebris(r *record.Reader) error {
	for range r.Count() {
		d := debris{ages: newList(byAge)}
		for range r.Count() {
			slot, err := m.readRemains(r)
			if err != nil {
				return err
			}
			d.ages.push(&m.messages, slot)
		}
		for range r.Count() {
			slot, err := m.readRemains(r)
			if err != nil {
				return err
			}
			d.late = append(d.late, slot)
		}
		m.debris = append(m.debris, d)
	}
	return r.Err()
}

func (m *Machine) readRemains(r *record.Reader) (uint32, error) {
	slot, ref, key := uint32(r.Uint()), shard.ReadRef(r), r.Uint()
	if err := r.Err(); err != nil {
		return 0, err
	}
	msg, ok := m.messages.claim(slot)
	if !ok {
		return 0, errSnapshot
	}
	*msg = message{ref: ref, key: key, queue: nobody}
	return slot, nil
}

// nobody is the serial of no queue.
const nobody = ^uint32(0)

// clearUp clears debris of a shard away until ctx ends. What is left then is cleared away by the next process.
func (s *Service) clearUp(ctx context.Context, h *host) {
	for {
		select {
		case <-h.littered:
		case <-ctx.Done():
			return
		}
		for left := 1; left > 0; {
			result, err := h.do(ctx, kindClear, clearCommand(clearAtOnce))
			if err == nil {
				left = result.(int)
				continue
			}
			if ctx.Err() != nil {
				return
			}
			s.log.Warn("purged messages not cleared away, trying again", "err", err)
			if s.pause(ctx, maxPause) != nil {
				return
			}
		}
	}
}
