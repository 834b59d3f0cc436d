package deliver

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/slab"
	"github.com/rialto-events/rialto/target"
)

// Version 1 did not know when events were accepted, groups and keys that are remembered, and version 2 not when events end and how much
// a target takes.
const snapshotVersion = 3

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
	if n := s.read(r); n >= 0 && n < slab.MaxSlots {
		return uint32(n)
	}
	return slab.MaxSlots
}

// Snapshot appends the state: the definitions, the events and the deliveries, each with its slot; the groups, and the keys that are
// remembered; and what else lasts. docs/formats.md has the layout.
func (m *Machine) Snapshot(dst []byte) []byte {
	dst = append(dst, snapshotVersion)
	dst = record.AppendUint(dst, m.nextKey)
	dst = record.AppendUint(dst, uint64(len(m.codes)))
	for _, code := range m.codes {
		dst = record.AppendString(dst, code)
	}
	dst = record.AppendUint(dst, uint64(m.targets.Len()))
	for slot, def := range m.targets.All() {
		dst = record.AppendUint(dst, uint64(slot))
		dst = record.AppendInt(dst, (*def).used)
		dst = record.AppendBytes(dst, (*def).JSON)
	}
	dst = slices.Grow(dst, m.deliveries.Len()*bytesPerDelivery)
	dst = m.appendEvents(dst)
	dst = m.appendDeliveries(dst)
	dst = m.appendGroups(dst)
	dst = m.once.append(dst)
	return m.appendLasting(dst)
}

func (m *Machine) appendEvents(dst []byte) []byte {
	var slots, keys, seqs, times series
	dst = record.AppendUint(dst, uint64(m.events.Len()))
	for slot, e := range m.events.All() {
		dst = slots.append(dst, int64(slot))
		dst = keys.append(dst, int64(e.key))
		dst = seqs.append(dst, int64(e.ref.Seq))
		dst = record.AppendUint(dst, uint64(e.ref.Off))
		dst = record.AppendUint(dst, uint64(e.ref.Len))
		dst = times.append(dst, int64(e.from))
	}
	return dst
}

func (m *Machine) appendDeliveries(dst []byte) []byte {
	var slots, events, times series
	dst = record.AppendUint(dst, uint64(m.deliveries.Len()))
	for slot, d := range m.deliveries.All() {
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

// appendGroups writes each group as the slots of its deliveries, in their order. The slot of the group itself shows nowhere, so the
// groups come in the order of the slots of their heads.
func (m *Machine) appendGroups(dst []byte) []byte {
	var slots series
	dst = record.AppendUint(dst, uint64(m.orders.groups.Len()))
	if m.orders.groups.Len() == 0 {
		return dst
	}
	for slot, d := range m.deliveries.All() {
		if d.group == 0 || !m.turn(slot, d) {
			continue
		}
		n := 1
		for behind := d.next; behind != 0; behind = m.deliveries.Get(behind - 1).next {
			n++
		}
		dst = record.AppendUint(dst, m.orders.groups.Get(d.group-1).hash)
		dst = record.AppendUint(dst, uint64(n))
		dst = slots.append(dst, int64(slot))
		for behind := d.next; behind != 0; behind = m.deliveries.Get(behind - 1).next {
			dst = slots.append(dst, int64(behind-1))
		}
	}
	return dst
}

// What an entry of a snapshot's list of keys is.
const (
	onceOld   = 0 // another one has the same key, and counts
	onceUUID  = 1 // 16 bytes of an id follow
	onceNamed = 2 // an id follows that is no UUID
)

// append writes the keys in the order of the heap.
func (o *once) append(dst []byte) []byte {
	var times series
	dst = record.AppendUint(dst, uint64(len(o.forget)))
	for _, slot := range o.forget {
		e := o.entries.Get(slot)
		dst = record.AppendBytes(dst, e.key[:])
		dst = times.append(dst, e.until)
		switch {
		case e.old:
			dst = append(dst, onceOld)
		case e.named:
			dst = record.AppendString(append(dst, onceNamed), o.names[slot])
		default:
			dst = record.AppendBytes(append(dst, onceUUID), e.id[:])
		}
	}
	return dst
}

// Restore reads a snapshot of this version, or of an older one.
func (m *Machine) Restore(snapshot []byte) error {
	*m = *newMachine()
	if snapshot == nil {
		return nil
	}
	r := record.NewReader(snapshot)
	version := r.Byte()
	if version < 1 || version > snapshotVersion {
		return fmt.Errorf("its version is %d, and this program reads 1 to %d", version, snapshotVersion)
	}
	m.nextKey = r.Uint()
	for range r.Count() {
		m.codes = append(m.codes, r.String())
	}
	parts := []func(*record.Reader, byte) error{m.readDefinitions, m.readEvents, m.readDeliveries}
	if version >= 2 {
		parts = append(parts, m.readGroups, m.once.read)
	}
	if version >= 3 {
		parts = append(parts, m.readLasting)
	}
	for _, read := range parts {
		if err := read(r, version); err != nil {
			return err
		}
	}
	return r.Err()
}

func (m *Machine) readDefinitions(r *record.Reader, _ byte) error {
	for range r.Count() {
		slot, used := uint32(min(r.Uint(), slab.MaxSlots)), r.Int()
		sealed, err := target.Unseal(slices.Clone(r.Bytes()))
		if err != nil {
			return err
		}
		at, ok := m.targets.Claim(slot)
		if _, double := m.byKey[sealed.Key]; double || !ok {
			return errSnapshot
		}
		def := &definition{Sealed: sealed, slot: slot, used: used}
		*at, m.byKey[sealed.Key] = def, def
	}
	return r.Err()
}

func (m *Machine) readEvents(r *record.Reader, version byte) error {
	var slots, keys, seqs, times series
	for range r.Count() {
		slot, key := slots.slot(r), uint64(keys.read(r))
		ref := shard.Ref{Seq: uint64(seqs.read(r)), Off: uint32(r.Uint()), Len: uint32(r.Uint())}
		e, ok := m.events.Claim(slot)
		if !ok || key >= m.nextKey {
			return errSnapshot
		}
		*e = event{ref: ref, key: key}
		if version < 2 {
			continue
		}
		from := times.read(r)
		if from < 0 || from > math.MaxUint32 {
			return errSnapshot
		}
		e.from = uint32(from)
	}
	return r.Err()
}

func (m *Machine) readDeliveries(r *record.Reader, _ byte) error {
	var slots, events, times series
	for range r.Count() {
		slot := slots.slot(r)
		read := delivery{
			event: events.slot(r), due: times.read(r), target: uint32(min(r.Uint(), slab.MaxSlots)), made: uint32(min(r.Uint(), maxMade)),
			code: r.Byte(), dead: r.Byte() == 1,
		}
		if !m.events.InUse(read.event) || !m.targets.InUse(read.target) || int(read.code) > len(m.codes) || read.due < 0 || read.due > latest {
			return errSnapshot
		}
		d, ok := m.deliveries.Claim(slot)
		if !ok {
			return errSnapshot
		}
		*d = read
		def := *m.targets.Get(read.target)
		def.deliveries++
		m.events.Get(read.event).left++
		if read.dead {
			def.letters++
			m.letters[slot] = shard.ReadRef(r)
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	for _, e := range m.events.All() {
		if e.left == 0 {
			return errSnapshot
		}
	}
	return nil
}

func (m *Machine) readGroups(r *record.Reader, _ byte) error {
	var slots series
	lowest, groups := int64(-1), r.Count()
	m.orders.byHash = make(map[uint64]uint32, min(groups, m.deliveries.Len()))
	for range groups {
		hash, n := r.Uint(), r.Count()
		if _, double := m.orders.byHash[hash]; double || n == 0 || hash == 0 {
			return cmp.Or(r.Err(), errSnapshot)
		}
		for i := range n {
			slot := slots.slot(r)
			if !m.deliveries.InUse(slot) {
				return errSnapshot
			}
			d := m.deliveries.Get(slot)
			if d.group != 0 || d.dead || i > 0 && (d.due != 0 || d.made != 0 || d.code != 0) || i == 0 && int64(slot) <= lowest {
				return errSnapshot
			}
			if i == 0 {
				lowest = int64(slot)
			}
			m.join(slot, d, hash)
		}
	}
	return r.Err()
}

func (o *once) read(r *record.Reader, _ byte) error {
	var times series
	var old []uint32
	keys := r.Count()
	if keys > maxRemembered {
		return errSnapshot
	}
	*o = once{byKey: make(map[onceKey]uint32, keys), names: make(map[uint32]string)}
	for range keys {
		key, ok := readKey(r)
		e, name := remembered{key: onceKey(key), until: times.read(r)}, ""
		switch r.Byte() {
		case onceOld:
			e.old = true
		case onceNamed:
			e.named, name = true, r.String()
		case onceUUID:
			id, whole := readKey(r)
			e.id, ok = uuid.UUID(id), ok && whole
		default:
			ok = false
		}
		if _, double := o.byKey[e.key]; !ok || double && !e.old || e.until < 0 || e.until > latest {
			return cmp.Or(r.Err(), errSnapshot)
		}
		o.insert(e, name)
		at := len(o.forget) - 1
		if at > 0 && o.until((at-1)/2) > e.until {
			return errSnapshot
		}
		if e.old {
			old = append(old, o.forget[at])
		}
	}
	for _, slot := range old {
		e := o.entries.Get(slot)
		if at, ok := o.byKey[e.key]; !ok || o.entries.Get(at).until <= e.until {
			return errSnapshot
		}
	}
	return r.Err()
}
