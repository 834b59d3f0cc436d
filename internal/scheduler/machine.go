package scheduler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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
)

const snapshotVersion = 2

// What a command may answer instead of a revision.
var (
	errThere   = errors.New("there is a schedule of that key")
	errAbsent  = errors.New("there is no schedule of that key")
	errChanged = errors.New("the schedule is another by now")
	errUnknown = errors.New("the command is unknown")
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

// An entry is a schedule as the machine has it: all but its definition, which stays in the log.
type entry struct {
	key      string
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

// A Machine knows the schedules of one shard, and which is due next. One at rest costs its place in two lists, and no time.
type Machine struct {
	entries map[string]*entry
	agenda  agenda
	names   names
	last    uint64 // revision that was given away last
}

var _ shard.Machine = (*Machine)(nil)

func newMachine() *Machine { return &Machine{entries: make(map[string]*entry)} }

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
	key, revision, due := r.String(), r.Uint(), readDue(r)
	if r.Err() != nil {
		return nil, nil
	}
	e, err := m.find(key, revision)
	if err != nil {
		return nil, err
	}
	if e == nil {
		e = &entry{key: key, index: -1}
		m.entries[key] = e
		m.names.add(key)
	} else {
		tx.Release(e.ref)
	}
	e.ref = tx.Ref(size-r.Len(), size)
	tx.Retain(e.ref)
	m.last++
	e.revision = m.last
	m.plan(tx, e, due)
	return e.revision, nil
}

// find is the entry of a key, nil if there is none, or an error if that is not what was asked for.
func (m *Machine) find(key string, revision uint64) (*entry, error) {
	e := m.entries[key]
	switch {
	case revision == revisionAny:
	case e == nil && revision != revisionNone:
		return nil, errAbsent
	case e != nil && revision == revisionNone:
		return nil, errThere
	case e != nil && e.revision != revision:
		return nil, errChanged
	}
	return e, nil
}

// plan moves an entry to where it belongs in the agenda.
func (m *Machine) plan(tx *shard.Tx, e *entry, due Due) {
	m.agenda.remove(e)
	if e.set(due); !due.Time.IsZero() && !due.Held && m.agenda.add(e) {
		tx.Emit(changed{})
	}
}

func deleteCommand(key string, revision uint64) []byte {
	return record.AppendUint(record.AppendString(nil, key), revision)
}

func (m *Machine) remove(tx *shard.Tx, r *record.Reader) error {
	key, revision := r.String(), r.Uint()
	if r.Err() != nil {
		return nil
	}
	e, err := m.find(key, revision)
	if err != nil {
		return err
	}
	if e == nil {
		return errAbsent
	}
	m.plan(tx, e, Due{})
	tx.Release(e.ref)
	delete(m.entries, key)
	m.names.remove()
	return nil
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
		key, revision, due, next := r.String(), r.Uint(), r.Int(), readDue(r)
		if r.Err() != nil {
			return
		}
		if e := m.entries[key]; e != nil && e.revision == revision && e.due == due && e.index >= 0 {
			if !next.Held {
				e.fired = due
			}
			m.plan(tx, e, next)
		}
	}
}

func releaseCommand(keys []string) []byte {
	b := record.AppendUint(nil, uint64(len(keys)))
	for _, key := range keys {
		b = record.AppendString(b, key)
	}
	return b
}

// release makes schedules due that are held. Others are left as they are.
func (m *Machine) release(tx *shard.Tx, r *record.Reader) {
	for range r.Count() {
		key := r.String()
		if r.Err() != nil {
			return
		}
		if e := m.entries[key]; e != nil && e.held {
			due := e.next()
			due.Held = false
			m.plan(tx, e, due)
		}
	}
}

// A ready schedule is one that is to fire.
type ready struct {
	key      string
	ref      shard.Ref
	revision uint64
	due      time.Time
}

// A position is one in the agenda: a Unix second, and how many of its schedules come before.
type position struct {
	at    int64
	index int
}

// earliest is before everything that is due; nothing is as late as never.
var earliest, never = position{at: math.MinInt64}, position{at: math.MaxInt64}

func (p position) time() time.Time { return time.Unix(p.at, 0).UTC() }

// due lists schedules from a position on that are to fire by a time, the earliest second first and no more than most, and says where those after
// them are. It is for the owner of the shard.
func (m *Machine) due(from position, to time.Time, most int) (list []ready, next position) {
	for s := range m.agenda.inOrder() {
		if s.at < from.at {
			continue
		}
		next = position{at: s.at}
		if s.at == from.at {
			next.index = min(from.index, len(s.entries))
		}
		n := min(most-len(list), len(s.entries)-next.index)
		if s.at > to.Unix() || n == 0 && len(list) == most {
			return list, next
		}
		list = slices.Grow(list, n)
		for _, e := range s.entries[next.index : next.index+n] {
			list = append(list, ready{e.key, e.ref, e.revision, time.Unix(e.due, 0).UTC()})
		}
		if next.index += n; next.index < len(s.entries) {
			return list, next
		}
	}
	return list, never
}

// Snapshot appends the schedules, sorted by key.
func (m *Machine) Snapshot(dst []byte) []byte {
	dst = record.AppendUint(dst, snapshotVersion)
	dst = record.AppendUint(dst, m.last)
	dst = record.AppendUint(dst, uint64(len(m.entries)))
	for _, key := range m.names.all(m.has) {
		e := m.entries[key]
		dst = record.AppendString(dst, key)
		dst = shard.AppendRef(dst, e.ref)
		dst = record.AppendUint(dst, e.revision)
		dst = appendDue(dst, e.next())
		dst = record.AppendInt(dst, e.fired)
	}
	return dst
}

func (m *Machine) has(key string) bool { return m.entries[key] != nil }

// Restore takes the schedules of a snapshot.
func (m *Machine) Restore(snapshot []byte) error {
	*m = *newMachine()
	if snapshot == nil {
		return nil
	}
	r := record.NewReader(snapshot)
	if v := r.Uint(); r.Err() == nil && v != snapshotVersion {
		return fmt.Errorf("the snapshot has version %d, and this program reads %d", v, snapshotVersion)
	}
	m.last = r.Uint()
	n := r.Count()
	m.entries = make(map[string]*entry, n)
	for range n {
		e := &entry{key: r.String(), ref: shard.ReadRef(r), revision: r.Uint(), index: -1}
		due := readDue(r)
		e.fired = r.Int()
		if e.set(due); !due.Time.IsZero() && !due.Held {
			m.agenda.add(e)
		}
		if err := r.Err(); err != nil {
			return err
		}
		m.entries[e.key] = e
		m.names.add(e.key)
	}
	return r.Err()
}

// pick lists keys with a prefix of the schedules that are wanted, in order: those after a key, no more than most.
func (m *Machine) pick(prefix, after string, most int, wanted func(*entry) bool) (list []string) {
	keys := m.names.all(m.has)
	from, found := slices.BinarySearch(keys, max(prefix, after))
	if found && after >= prefix && after != "" {
		from++
	}
	for ; from < len(keys) && len(list) < most && strings.HasPrefix(keys[from], prefix); from++ {
		if wanted == nil || wanted(m.entries[keys[from]]) {
			list = append(list, keys[from])
		}
	}
	return list
}

// Resume says that something may be due.
func (m *Machine) Resume(tx *shard.Tx) { tx.Emit(changed{}) }

// Live yields the definitions in old frames.
func (m *Machine) Live(before uint64, yield func(key []byte, ref shard.Ref) bool) {
	var buf []byte
	for _, key := range m.names.all(m.has) {
		if e := m.entries[key]; e.ref.Seq < before {
			buf = record.AppendUint(record.AppendString(buf[:0], key), e.revision)
			if !yield(buf, e.ref) {
				return
			}
		}
	}
}

// Carried moves the reference to a definition, if it is still the one.
func (m *Machine) Carried(tx *shard.Tx, key []byte, ref shard.Ref) {
	r := record.NewReader(key)
	e, revision := m.entries[r.String()], r.Uint()
	if r.Err() != nil || e == nil || e.revision != revision {
		return
	}
	tx.Retain(ref)
	tx.Release(e.ref)
	e.ref = ref
}

// names has keys in order. New ones are sorted in when somebody looks, and those that are gone are thrown out when they are many.
type names struct {
	sorted []string
	fresh  []string
	gone   int // how many of them are gone, at most
}

func (n *names) add(key string) { n.fresh = append(n.fresh, key) }
func (n *names) remove()        { n.gone++ }

// all lists the keys that are there. The list is valid until the next change.
func (n *names) all(there func(string) bool) []string {
	if len(n.fresh) == 0 && n.gone == 0 {
		return n.sorted
	}
	slices.Sort(n.fresh)
	merged := make([]string, 0, len(n.sorted)+len(n.fresh)-min(n.gone, len(n.sorted)))
	for a, b := n.sorted, n.fresh; len(a) > 0 || len(b) > 0; {
		var key string
		if len(b) == 0 || len(a) > 0 && a[0] <= b[0] {
			key, a = a[0], a[1:]
		} else {
			key, b = b[0], b[1:]
		}
		if there(key) && (len(merged) == 0 || merged[len(merged)-1] != key) { // one may have been deleted and made again
			merged = append(merged, key)
		}
	}
	n.sorted, n.fresh, n.gone = merged, nil, 0
	return merged
}
