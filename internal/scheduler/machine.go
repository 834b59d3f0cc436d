package scheduler

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// Kinds 0x50 to 0x5f belong to schedules.
const (
	kindFirst shard.Kind = 0x50
	kindLast  shard.Kind = 0x5f

	kindPut    shard.Kind = 0x50 // a definition, and when it is due first
	kindDelete shard.Kind = 0x51
	kindFire   shard.Kind = 0x52 // occurrences whose events are in this very frame, and when each is due next

	kindRelease shard.Kind = 0x53 // schedules that are held no more
	kindSweep   shard.Kind = 0x54 // schedules to be deleted if they are over
)

const snapshotVersion = 2

// What a command may answer instead of a revision.
var (
	errThere   = errors.New("there is a schedule of that key")
	errAbsent  = errors.New("there is no schedule of that key")
	errChanged = errors.New("the schedule is another by now")
	errUnknown = errors.New("the command is unknown")
	errKey     = errors.New("the key is empty, too long, or there twice")
)

// Revisions that a put or delete may ask for instead of one that it has seen.
const (
	revisionNone uint64 = 0         // there must be none
	revisionAny  uint64 = 1<<63 - 1 // whatever there is
)

// A Due says when a schedule fires next.
type Due struct {
	Time time.Time // of the occurrence, to the second; zero is never
	At   time.Time // when it is to fire, which may be later; never before Time
	Held bool      // it is not to fire until it is released
	Over bool      // it never fires again, and is to be deleted when what it has caused has ended
}

// How a Due begins in the log.
const (
	dueNever = 0
	dueAtSec = 1
	dueHeld  = 2
	dueOver  = 3
)

func appendDue(dst []byte, d Due) []byte {
	switch {
	case d.Over:
		return record.AppendUint(dst, dueOver)
	case d.Time.IsZero():
		return record.AppendUint(dst, dueNever)
	case d.Held:
		dst = record.AppendUint(dst, dueHeld)
	default:
		dst = record.AppendUint(dst, dueAtSec)
	}
	dst = record.AppendInt(dst, d.Time.Unix())
	return record.AppendUint(dst, uint64(d.At.Unix()-d.Time.Unix()))
}

func readDue(r *record.Reader) (d Due) {
	switch r.Uint() {
	case dueOver:
		return Due{Over: true}
	case dueHeld:
		d.Held = true
	case dueAtSec:
	default:
		return Due{}
	}
	d.Time = time.Unix(r.Int(), 0).UTC()
	d.At = d.Time.Add(time.Duration(r.Uint()&(1<<32-1)) * time.Second)
	return d
}

// An entry is a schedule as the machine has it: all but its definition, which stays in the log. It has no pointers.
type entry struct {
	key      span
	chain    uint32    // see store.byHash
	ref      shard.Ref // of the definition
	revision uint64    // of the definition; no two of a machine have the same, whatever their keys
	due      int64     // Unix second of the next occurrence, if there is one
	fired    int64     // Unix second of the last one that has fired, 0 if none has
	late     uint32    // seconds after the next one at which it is to fire
	index    int32     // in its second of the agenda; -1 if it is not due
	held     bool      // it has a next occurrence, and is not due
	over     bool      // it has none, and is to be deleted
}

func (e *entry) at() int64 { return e.due + int64(e.late) }

func (e *entry) next() Due {
	if e.index < 0 && !e.held {
		return Due{Over: e.over}
	}
	t := time.Unix(e.due, 0).UTC()
	return Due{Time: t, At: t.Add(time.Duration(e.late) * time.Second), Held: e.held}
}

// set takes over when the next occurrence is.
func (e *entry) set(d Due) {
	e.held, e.over = d.Held, d.Over
	e.due, e.late = 0, 0
	if !d.Time.IsZero() {
		e.due, e.late = d.Time.Unix(), uint32(d.At.Unix()-d.Time.Unix())
	}
}

// last is when the schedule fired last, zero if it never did.
func (e *entry) last() time.Time {
	if e.fired == 0 {
		return time.Time{}
	}
	return time.Unix(e.fired, 0).UTC()
}

// A changed is the effect that something is due earlier than anything was.
type changed struct{}

// A Machine knows the schedules of one shard, and which is due next. One at rest costs its places in some lists, and no time.
type Machine struct {
	entries *store
	agenda  agenda
	last    uint64 // revision that was given away last
}

var _ shard.Freezer = (*Machine)(nil)

func newMachine() *Machine { return &Machine{entries: newStore()} }

// Name is that of the machine in snapshots.
func (m *Machine) Name() string { return "scheduler" }

// Kinds is the range of the machine's commands.
func (m *Machine) Kinds() (first, last shard.Kind) { return kindFirst, kindLast }

// Apply carries out a command. A put answers with the revision, and all others with nil, or with an error if nothing was changed.
func (m *Machine) Apply(tx *shard.Tx, kind shard.Kind, body []byte) any {
	r := record.NewReader(body)
	var answer any
	var err error
	switch kind {
	case kindPut:
		answer, err = m.put(tx, r, len(body))
	case kindDelete:
		err = m.remove(tx, r)
	case kindFire:
		m.fire(tx, r)
	case kindRelease:
		m.release(tx, r)
	case kindSweep:
		m.sweep(tx, r)
	default:
		return errUnknown
	}
	if err = errors.Join(err, r.Err()); err != nil {
		return err
	}
	return answer
}

// putCommand stores a definition. The revision is the one that must be there.
func putCommand(key string, revision uint64, due Due, definition []byte) []byte {
	b := record.AppendString(nil, key)
	b = record.AppendUint(b, revision)
	return append(appendDue(b, due), definition...)
}

func (m *Machine) put(tx *shard.Tx, r *record.Reader, size int) (any, error) {
	key, revision, due := r.Bytes(), r.Uint(), readDue(r)
	if r.Err() != nil {
		return nil, nil
	}
	if len(key) == 0 || len(key) > maxKey {
		return nil, errKey
	}
	slot, err := m.find(key, revision)
	if err != nil {
		return nil, err
	}
	if slot == none {
		slot = m.entries.insert(key)
	} else {
		tx.Release(m.entries.Peek(slot).ref)
	}
	e := m.entries.Get(slot)
	e.ref = tx.Ref(size-r.Len(), size)
	tx.Retain(e.ref)
	m.last++
	e.revision = m.last
	m.plan(tx, slot, due)
	return m.last, nil
}

// find is the slot of a key, none if there is none, or an error if that is not what was asked for.
func (m *Machine) find(key []byte, revision uint64) (uint32, error) {
	slot := m.entries.find(key)
	switch {
	case revision == revisionAny:
	case slot == none && revision != revisionNone:
		return none, errAbsent
	case slot != none && revision == revisionNone:
		return none, errThere
	case slot != none && m.entries.Peek(slot).revision != revision:
		return none, errChanged
	}
	return slot, nil
}

// plan moves an entry to where it belongs in the agenda.
func (m *Machine) plan(tx *shard.Tx, slot uint32, due Due) {
	m.agenda.remove(m.entries, slot)
	m.entries.Get(slot).set(due)
	if !due.Time.IsZero() && !due.Held && m.agenda.add(m.entries, slot) {
		tx.Emit(changed{})
	}
}

func deleteCommand(key string, revision uint64) []byte {
	return record.AppendUint(record.AppendString(nil, key), revision)
}

func (m *Machine) remove(tx *shard.Tx, r *record.Reader) error {
	key, revision := r.Bytes(), r.Uint()
	if r.Err() != nil {
		return nil
	}
	slot, err := m.find(key, revision)
	if err != nil {
		return err
	}
	if slot == none {
		return errAbsent
	}
	m.forget(tx, slot)
	return nil
}

func (m *Machine) forget(tx *shard.Tx, slot uint32) {
	m.agenda.remove(m.entries, slot)
	tx.Release(m.entries.Peek(slot).ref)
	m.entries.remove(slot)
}

// sweep forgets schedules that are over. Others are left as they are.
func (m *Machine) sweep(tx *shard.Tx, r *record.Reader) {
	for range r.Count() {
		key := r.Bytes()
		if r.Err() != nil {
			return
		}
		if slot := m.entries.find(key); slot != none && m.entries.Peek(slot).over {
			m.forget(tx, slot)
		}
	}
}

// A firing is one occurrence.
type firing struct {
	key      string
	revision uint64
	due      time.Time
	next     Due
}

func fireCommand(list []firing) []byte {
	b := record.AppendUint(nil, uint64(len(list)))
	for _, f := range list {
		b = record.AppendString(b, f.key)
		b = record.AppendUint(b, f.revision)
		b = record.AppendInt(b, f.due.Unix())
		b = appendDue(b, f.next)
	}
	return b
}

// fire moves schedules on. One that was changed or taken away since its events were made is left as it is.
func (m *Machine) fire(tx *shard.Tx, r *record.Reader) {
	for range r.Count() {
		key, revision, due, next := r.Bytes(), r.Uint(), r.Int(), readDue(r)
		if r.Err() != nil {
			return
		}
		slot := m.entries.find(key)
		if slot == none {
			continue
		}
		if e := m.entries.Get(slot); e.revision == revision && e.due == due && e.index >= 0 {
			if !next.Held {
				e.fired = due
			}
			m.plan(tx, slot, next)
		}
	}
}

// keysCommand is the body of a release or a sweep.
func keysCommand(keys []string) []byte {
	b := record.AppendUint(nil, uint64(len(keys)))
	for _, key := range keys {
		b = record.AppendString(b, key)
	}
	return b
}

// release makes schedules due that are held. Others are left as they are.
func (m *Machine) release(tx *shard.Tx, r *record.Reader) {
	for range r.Count() {
		key := r.Bytes()
		if r.Err() != nil {
			return
		}
		if slot := m.entries.find(key); slot != none && m.entries.Peek(slot).held {
			due := m.entries.Peek(slot).next()
			due.Held = false
			m.plan(tx, slot, due)
		}
	}
}

// due calls found with the slots of schedules that are to fire by a time, the earliest second first and no more than most, and says in which second
// the next one after them is; zero if there is none. It is for the owner of the shard.
func (m *Machine) due(to time.Time, most int, found func(slot uint32)) (next time.Time) {
	for s := range m.agenda.inOrder() {
		if s.at > to.Unix() {
			return s.time()
		}
		n := min(most, len(s.slots))
		for _, slot := range s.slots[:n] {
			found(slot)
		}
		if most -= n; n < len(s.slots) {
			return s.time()
		}
	}
	return time.Time{}
}

// Snapshot appends the schedules, sorted by key.
func (m *Machine) Snapshot(dst []byte) []byte {
	return appendState(dst, m.last, m.entries, func(b []byte) []byte { return b })
}

// appendState appends the state to a snapshot. It is shown what there is of that after each entry, and goes on with what it gets back.
func appendState(dst []byte, last uint64, entries *store, spill func([]byte) []byte) []byte {
	dst = record.AppendUint(dst, snapshotVersion)
	dst = record.AppendUint(dst, last)
	dst = record.AppendUint(dst, uint64(entries.Len()))
	entries.order.Scan(func(slot uint32) bool {
		e := entries.Peek(slot)
		dst = record.AppendBytes(dst, entries.keyOf(slot))
		dst = shard.AppendRef(dst, e.ref)
		dst = record.AppendUint(dst, e.revision)
		dst = appendDue(dst, e.next())
		dst = record.AppendInt(dst, e.fired)
		dst = spill(dst)
		return true
	})
	return dst
}

// Restore takes the schedules of a snapshot.
func (m *Machine) Restore(snapshot []byte) error {
	if snapshot == nil {
		*m = *newMachine()
		return nil
	}
	return m.RestoreParts(record.NewReader(snapshot))
}

// RestoreParts takes the schedules of a snapshot.
func (m *Machine) RestoreParts(r *record.Reader) error {
	*m = *newMachine()
	if v := r.Uint(); r.Err() == nil && v != snapshotVersion {
		return fmt.Errorf("the snapshot has version %d, and this program reads %d", v, snapshotVersion)
	}
	m.last = r.Uint()
	for range r.Count() {
		key := r.Bytes()
		if len(key) == 0 || len(key) > maxKey || m.entries.find(key) != none {
			return cmp.Or(r.Err(), errKey)
		}
		slot := m.entries.put(key)
		e := m.entries.Get(slot)
		e.ref, e.revision = shard.ReadRef(r), r.Uint()
		due := readDue(r)
		e.fired = r.Int()
		if err := r.Err(); err != nil {
			return err
		}
		m.entries.order.Load(slot) // it has the greatest key so far
		if e.set(due); !due.Time.IsZero() && !due.Held {
			m.agenda.add(m.entries, slot)
		}
	}
	return r.Err()
}

// pick lists keys with a prefix of the schedules that are wanted, in order: those after a key, no more than most.
func (m *Machine) pick(prefix, after string, most int, wanted func(*entry) bool) (list []string) {
	for slot := range m.entries.from([]byte(max(prefix, after))) {
		key := m.entries.keyOf(slot)
		if len(list) == most || !bytes.HasPrefix(key, []byte(prefix)) {
			break
		}
		if string(key) > after && (wanted == nil || wanted(m.entries.Peek(slot))) {
			list = append(list, string(key))
		}
	}
	return list
}

// Resume says that something may be due.
func (m *Machine) Resume(tx *shard.Tx) { tx.Emit(changed{}) }

// Live yields the definitions in old frames.
func (m *Machine) Live(before uint64, yield func(key []byte, ref shard.Ref) bool) {
	live(m.entries, before, yield)
}

func live(entries *store, before uint64, yield func(key []byte, ref shard.Ref) bool) {
	var buf []byte
	for slot, e := range entries.All() {
		if e.ref.Seq < before {
			buf = record.AppendUint(record.AppendBytes(buf[:0], entries.keyOf(slot)), e.revision)
			if !yield(buf, e.ref) {
				return
			}
		}
	}
}

// Carried moves the reference to a definition, if it is still the one.
func (m *Machine) Carried(tx *shard.Tx, key []byte, ref shard.Ref) {
	r := record.NewReader(key)
	slot, revision := m.entries.find(r.Bytes()), r.Uint()
	if r.Err() != nil || slot == none || m.entries.Peek(slot).revision != revision {
		return
	}
	e := m.entries.Get(slot)
	tx.Retain(ref)
	tx.Release(e.ref)
	e.ref = ref
}

// spillAt is how many bytes of a snapshot are made before they are handed on.
const spillAt = 1 << 20

// A frozen is a machine as it was at one moment. Nothing changes it.
type frozen struct {
	of      *store
	entries *store
	last    uint64
}

// Freeze returns the state as it is now.
func (m *Machine) Freeze() shard.Frozen {
	return &frozen{of: m.entries, entries: m.entries.freeze(), last: m.last}
}

// Write hands on what [Machine.Snapshot] would have appended.
func (f *frozen) Write(yield func(part []byte) error) error {
	var failed error
	rest := appendState(nil, f.last, f.entries, func(b []byte) []byte {
		if len(b) < spillAt || failed != nil {
			return b
		}
		failed = yield(b)
		return b[:0]
	})
	if failed != nil {
		return failed
	}
	return yield(rest)
}

// Live is that of [Machine].
func (f *frozen) Live(before uint64, yield func(key []byte, ref shard.Ref) bool) {
	live(f.entries, before, yield)
}

// Thaw ends the use of the state.
func (f *frozen) Thaw() { f.of.Thaw() }
