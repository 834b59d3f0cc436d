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
	dst = record.AppendUint(dst, uint64(m.events.n))
	for slot, e := range m.events.all() {
		dst = record.AppendUint(dst, uint64(slot))
		dst = record.AppendUint(dst, e.key)
		dst = shard.AppendRef(dst, e.ref)
	}
	dst = record.AppendUint(dst, uint64(m.deliveries.n))
	for slot, d := range m.deliveries.all() {
		dst = record.AppendUint(dst, uint64(slot))
		dst = record.AppendUint(dst, uint64(d.event))
		dst = record.AppendUint(dst, uint64(d.target))
		dst = record.AppendInt(dst, d.due)
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
	for _, read := range []func(*record.Reader) error{m.readDefinition, m.readEvent, m.readDelivery} {
		for range r.Count() {
			if err := read(r); err != nil {
				return err
			}
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

func (m *Machine) readDefinition(r *record.Reader) error {
	slot, used := uint32(r.Uint()), r.Int()
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
	return nil
}

func (m *Machine) readEvent(r *record.Reader) error {
	slot, key, ref := uint32(r.Uint()), r.Uint(), shard.ReadRef(r)
	e, ok := m.events.claim(slot)
	if !ok || key >= m.nextKey {
		return errSnapshot
	}
	*e = event{ref: ref, key: key}
	return nil
}

func (m *Machine) readDelivery(r *record.Reader) error {
	slot := uint32(r.Uint())
	read := delivery{
		event: uint32(r.Uint()), target: uint32(r.Uint()), due: r.Int(), made: uint16(r.Uint()), code: r.Byte(), dead: r.Byte() == 1,
	}
	if !m.events.inUse(read.event) || !m.targets.inUse(read.target) || int(read.code) > len(m.codes) ||
		read.due < 0 || read.due > latest {
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
	return nil
}
