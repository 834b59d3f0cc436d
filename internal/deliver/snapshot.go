package deliver

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

const snapshotVersion = 1

var errSnapshot = errors.New("it contradicts itself")

// bytesPerDelivery is about what a snapshot needs for a delivery and its event.
const bytesPerDelivery = 24

// A series is written as the differences between its numbers: slots and keys grow by one as a rule, and the shard stands still
// while a million of them are written.
type series int64

func (s *series) append(dst []byte, n int64) []byte {
	dst = record.AppendInt(dst, n-int64(*s))
	*s = series(n)
	return dst
}

func (s *series) read(r *record.Reader) int64 {
	*s += series(r.Int())
	return int64(*s)
}

// slot reads a slot; one that cannot be has no value in a slab.
func (s *series) slot(r *record.Reader) uint32 {
	if n := s.read(r); n >= 0 && n < maxSlots {
		return uint32(n)
	}
	return maxSlots
}

// Snapshot appends the state: the definitions, the events and the deliveries, each with its slot. docs/formats.md has the layout.
func (m *Machine) Snapshot(dst []byte) []byte {
	dst = append(dst, snapshotVersion)
	dst = record.AppendUint(dst, m.nextKey)
	dst = record.AppendUint(dst, uint64(len(m.codes)))
	for _, code := range m.codes {
		dst = record.AppendString(dst, code)
	}
	dst = record.AppendUint(dst, uint64(m.targets.n))
	for slot, def := range m.targets.all() {
		dst = record.AppendUint(dst, uint64(slot))
		dst = record.AppendInt(dst, (*def).used)
		dst = record.AppendBytes(dst, (*def).JSON)
	}
	dst = slices.Grow(dst, m.deliveries.n*bytesPerDelivery)
	dst = m.appendEvents(dst)
	return m.appendDeliveries(dst)
}

func (m *Machine) appendEvents(dst []byte) []byte {
	var slots, keys, seqs series
	dst = record.AppendUint(dst, uint64(m.events.n))
	for slot, e := range m.events.all() {
		dst = slots.append(dst, int64(slot))
		dst = keys.append(dst, int64(e.key))
		dst = seqs.append(dst, int64(e.ref.Seq))
		dst = record.AppendUint(dst, uint64(e.ref.Off))
		dst = record.AppendUint(dst, uint64(e.ref.Len))
	}
	return dst
}

func (m *Machine) appendDeliveries(dst []byte) []byte {
	var slots, events, times series
	dst = record.AppendUint(dst, uint64(m.deliveries.n))
	for slot, d := range m.deliveries.all() {
		dst = slots.append(dst, int64(slot))
		dst = events.append(dst, int64(d.event))
		dst = times.append(dst, d.due)
		dst = record.AppendUint(dst, uint64(d.target))
		dst = record.AppendUint(dst, uint64(d.made))
		dst = append(dst, d.code, bit(d.dead))
		if d.dead {
			dst = shard.AppendRef(dst, m.letters[slot])
		}
	}
	return dst
}

// Restore reads a snapshot.
func (m *Machine) Restore(snapshot []byte) error {
	*m = *newMachine()
	if snapshot == nil {
		return nil
	}
	r := record.NewReader(snapshot)
	if v := r.Byte(); v != snapshotVersion {
		return fmt.Errorf("its version is %d, and this program reads %d", v, snapshotVersion)
	}
	m.nextKey = r.Uint()
	for range r.Count() {
		m.codes = append(m.codes, r.String())
	}
	for _, read := range []func(*record.Reader) error{m.readDefinitions, m.readEvents, m.readDeliveries} {
		if err := read(r); err != nil {
			return err
		}
	}
	return r.Err()
}

func (m *Machine) readDefinitions(r *record.Reader) error {
	for range r.Count() {
		slot, used := uint32(min(r.Uint(), maxSlots)), r.Int()
		sealed, err := target.Unseal(slices.Clone(r.Bytes()))
		if err != nil {
			return err
		}
		at, ok := m.targets.claim(slot)
		if _, double := m.byKey[sealed.Key]; double || !ok {
			return errSnapshot
		}
		def := &definition{Sealed: sealed, slot: slot, used: used}
		*at, m.byKey[sealed.Key] = def, def
	}
	return r.Err()
}

func (m *Machine) readEvents(r *record.Reader) error {
	var slots, keys, seqs series
	for range r.Count() {
		slot, key := slots.slot(r), uint64(keys.read(r))
		ref := shard.Ref{Seq: uint64(seqs.read(r)), Off: uint32(r.Uint()), Len: uint32(r.Uint())}
		e, ok := m.events.claim(slot)
		if !ok || key >= m.nextKey {
			return errSnapshot
		}
		*e = event{ref: ref, key: key}
	}
	return r.Err()
}

func (m *Machine) readDeliveries(r *record.Reader) error {
	var slots, events, times series
	for range r.Count() {
		slot := slots.slot(r)
		read := delivery{
			event: events.slot(r), due: times.read(r), target: uint32(min(r.Uint(), maxSlots)), made: uint16(min(r.Uint(), maxMade)),
			code: r.Byte(), dead: r.Byte() == 1,
		}
		if !m.events.inUse(read.event) || !m.targets.inUse(read.target) || int(read.code) > len(m.codes) || read.due < 0 || read.due > latest {
			return errSnapshot
		}
		d, ok := m.deliveries.claim(slot)
		if !ok {
			return errSnapshot
		}
		*d = read
		def := *m.targets.get(read.target)
		def.deliveries++
		m.events.get(read.event).left++
		if read.dead {
			def.letters++
			m.letters[slot] = shard.ReadRef(r)
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	for _, e := range m.events.all() {
		if e.left == 0 {
			return errSnapshot
		}
	}
	return nil
}
