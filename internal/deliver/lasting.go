package deliver

import (
	"maps"
	"math"
	"slices"

	"github.com/rialto-events/rialto/internal/record"
)

// What the machine remembers so that a destination is treated after a restart as before it, and deliveries end when their event does.

// A pulse counts the deliveries to a target that arrived in the newest second in which any did, and in the second before that one. It
// says how much a destination takes: a backlog that was drained at some rate when the process died goes on at that rate.
type pulse struct {
	second uint32 // since 1970
	now    uint32
	before uint32
}

// beat counts one that arrived at a time in microseconds.
func (p *pulse) beat(at int64) {
	second := uint32(at / 1_000_000)
	switch {
	case second == p.second:
	case second == p.second+1:
		p.before, p.now = p.now, 0
	default:
		p.before, p.now = 0, 0
	}
	p.second = second
	p.now++
}

// rate is how many a second arrived lately, seen from a time in microseconds.
func (p *pulse) rate(at int64) int {
	if at/1_000_000 > int64(p.second)+1 {
		return 0
	}
	return int(max(p.before, p.now))
}

// A waiter is what a start finds: deliveries to a target wait, and so many a second arrived there before the end.
type waiter struct {
	def  *definition
	rate int
}

// waiters are the targets that deliveries wait for.
func (m *Machine) waiters() (list []waiter) {
	for _, at := range m.targets.All() {
		if def := *at; def.deliveries > 0 {
			list = append(list, waiter{def, def.pulse.rate(m.last)})
		}
	}
	return list
}

// live notes when an event ends, in microseconds. Most have no end, so it is not in the event.
func (m *Machine) live(slot uint32, until int64) {
	if m.mortal == nil {
		m.mortal = make(map[uint32]uint32)
	}
	m.mortal[slot] = uint32(min(max(1, (until+999_999)/1_000_000), math.MaxUint32))
}

// dies forgets when an event ends.
func (m *Machine) dies(slot uint32) {
	if delete(m.mortal, slot); len(m.mortal) == 0 {
		m.mortal = nil
	}
}

func (m *Machine) appendLasting(dst []byte) []byte {
	dst = record.AppendInt(dst, m.last)
	for _, at := range m.targets.All() {
		p := (*at).pulse
		dst = record.AppendUint(dst, uint64(p.second))
		dst = record.AppendUint(dst, uint64(p.now))
		dst = record.AppendUint(dst, uint64(p.before))
	}
	dst = record.AppendUint(dst, uint64(len(m.mortal)))
	var slots, times series
	for _, slot := range slices.Sorted(maps.Keys(m.mortal)) {
		dst = slots.append(dst, int64(slot))
		dst = times.append(dst, int64(m.mortal[slot]))
	}
	return dst
}

func (m *Machine) readLasting(r *record.Reader, _ byte) error {
	m.last = min(max(0, r.Int()), latest)
	number := func() uint32 { return uint32(min(r.Uint(), math.MaxUint32)) }
	for _, at := range m.targets.All() {
		(*at).pulse = pulse{second: number(), now: number(), before: number()}
	}
	var slots, times series
	for range r.Count() {
		slot, until := slots.slot(r), times.read(r)
		if _, double := m.mortal[slot]; double || !m.events.InUse(slot) || until < 1 || until > math.MaxUint32 {
			return errSnapshot
		}
		m.live(slot, until*1_000_000)
	}
	return r.Err()
}
