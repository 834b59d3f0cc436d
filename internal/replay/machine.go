package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// Kinds 0x40 to 0x4f belong to replays.
const (
	kindFirst shard.Kind = 0x40
	kindLast  shard.Kind = 0x4f

	kindStart    shard.Kind = 0x40 // a replay begins
	kindProgress shard.Kind = 0x41 // the events of this frame were put; committed together with them
	kindControl  shard.Kind = 0x42 // somebody wants it otherwise
	kindEnd      shard.Kind = 0x43 // it ends
)

// What a kindControl asks for.
const (
	controlPause byte = iota
	controlResume
	controlCancel
	controlSpeed
)

const snapshotVersion = 1

// What a command may answer instead of the replay.
var (
	errOver    = errors.New("the replay has ended")
	errUnknown = errors.New("the command is unknown")
)

// A Machine has the replays that go to the buses of one shard. A command answers with the *Replay as it is then, which does not change any
// more, or with an error; and it emits the same.
type Machine struct {
	replays map[string]*Replay // by key; a value is replaced, never changed
	expires time.Time          // when the first record is too old; zero if none has ended
}

var _ shard.Machine = (*Machine)(nil)

func newMachine() *Machine { return &Machine{replays: make(map[string]*Replay)} }

// A gone is the key of a replay whose record is too old. It is an effect.
type gone string

// Name is that of the machine in snapshots.
func (m *Machine) Name() string { return "replay" }

// Kinds is the range of the machine's commands.
func (m *Machine) Kinds() (first, last shard.Kind) { return kindFirst, kindLast }

// Apply carries out a command.
func (m *Machine) Apply(tx *shard.Tx, kind shard.Kind, body []byte) any {
	if !m.expires.IsZero() && !tx.Now().Before(m.expires) {
		m.forget(tx)
	}
	is, err := m.next(kind, body, tx.Now())
	if err != nil {
		return err
	}
	is.Revision++
	m.replays[is.key()] = is
	tx.Emit(is)
	if !is.State.Active() {
		m.forget(tx)
	}
	return is
}

// next is a replay after a command.
func (m *Machine) next(kind shard.Kind, body []byte, now time.Time) (*Replay, error) {
	if kind == kindStart {
		return m.start(body)
	}
	r := record.NewReader(body)
	was, ok := m.replays[r.String()]
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !ok || !was.State.Active() {
		return nil, errOver
	}
	is := *was
	switch kind {
	case kindProgress:
		is.progress(readProgress(r), now)
	case kindControl:
		if err := is.control(r.Byte(), r.Bytes()); err != nil {
			return nil, err
		}
	case kindEnd:
		is.end(State(r.String()), r.String(), now)
	default:
		return nil, errUnknown
	}
	return &is, r.Err()
}

func (m *Machine) start(body []byte) (*Replay, error) {
	is := new(Replay)
	if err := json.Unmarshal(body, is); err != nil {
		return nil, err
	}
	if _, ok := m.replays[is.key()]; ok {
		return nil, errExists(is.Name)
	}
	is.State = Starting
	return is, nil
}

func errExists(name string) error {
	return rialto.Errorf(rialto.Exists, "Replay %s already exists.", name)
}

// progress is a step of a replay: what was read since the last, and how far that is.
type progress struct {
	position             history.Position
	last                 time.Time
	read, put, delivered int64
	damage               string // what was found to be damaged
	done                 bool   // that was all
}

func (p *progress) command(key string) []byte {
	b := record.AppendString(nil, key)
	b = record.AppendBytes(b, p.position.Append(nil))
	b = record.AppendTime(b, p.last)
	b = record.AppendInt(b, p.read)
	b = record.AppendInt(b, p.put)
	b = record.AppendInt(b, p.delivered)
	b = record.AppendString(b, p.damage)
	if p.done {
		return append(b, 1)
	}
	return append(b, 0)
}

func readProgress(r *record.Reader) (p progress) {
	p.position, _ = history.ParsePosition(r.Bytes())
	p.last = r.Time()
	p.read, p.put, p.delivered = r.Int(), r.Int(), r.Int()
	p.damage, p.done = r.String(), r.Byte() == 1
	return p
}

func (r *Replay) progress(p progress, now time.Time) {
	if r.State == Starting {
		r.State = Running
	}
	if p.read > 0 {
		r.Position, r.Last, r.Moved = p.position, p.last, now
	}
	r.Read, r.Put, r.Delivered = r.Read+p.read, r.Put+p.put, r.Delivered+p.delivered
	if r.Damage == "" {
		r.Damage = p.damage
	}
	switch {
	case !p.done:
	case r.Damage != "":
		r.end(Failed, r.Damage, now)
	default:
		r.end(Completed, "", now)
	}
}

func controlCommand(key string, what byte, speed Speed) []byte {
	b := append(record.AppendString(nil, key), what)
	text, _ := json.Marshal(speed) // numbers alone
	return record.AppendBytes(b, text)
}

func (r *Replay) control(what byte, speed []byte) error {
	switch {
	case r.State == Cancelling:
		return errOver
	case what == controlPause:
		r.Paused = true
	case what == controlResume:
		r.Paused = false
	case what == controlCancel:
		r.State, r.Paused = Cancelling, false
	case what == controlSpeed:
		r.Speed = Speed{}
		return json.Unmarshal(speed, &r.Speed)
	default:
		return errUnknown
	}
	return nil
}

func endCommand(key string, state State, reason string) []byte {
	return record.AppendString(record.AppendString(record.AppendString(nil, key), string(state)), reason)
}

func (r *Replay) end(state State, reason string, now time.Time) {
	r.State, r.Reason, r.Ended, r.Paused = state, reason, now, false
}

// forget forgets records that are too old, and the oldest of a scope that has too many.
func (m *Machine) forget(tx *shard.Tx) {
	ended := make(map[rialto.Scope][]*Replay)
	for _, key := range slices.Sorted(maps.Keys(m.replays)) {
		if r := m.replays[key]; !r.State.Active() {
			ended[r.Scope] = append(ended[r.Scope], r)
		}
	}
	for _, list := range ended {
		slices.SortStableFunc(list, func(a, b *Replay) int { return b.Ended.Compare(a.Ended) })
		for i, r := range list {
			if i >= mostRecords || r.expired(tx.Now()) {
				delete(m.replays, r.key())
				tx.Emit(gone(r.key())) // the order does not show
			}
		}
	}
	m.schedule()
}

// schedule finds out when the next record is too old.
func (m *Machine) schedule() {
	m.expires = time.Time{}
	for _, r := range m.replays {
		if at := r.Ended.Add(keep); !r.State.Active() && (m.expires.IsZero() || at.Before(m.expires)) {
			m.expires = at
		}
	}
}

// Snapshot appends the replays as JSON, sorted by key. They are few.
func (m *Machine) Snapshot(dst []byte) []byte {
	dst = record.AppendUint(dst, snapshotVersion)
	dst = record.AppendUint(dst, uint64(len(m.replays)))
	for _, key := range slices.Sorted(maps.Keys(m.replays)) {
		text, _ := json.Marshal(m.replays[key]) // strings, numbers and times alone
		dst = record.AppendBytes(dst, text)
	}
	return dst
}

// Restore takes the replays of a snapshot.
func (m *Machine) Restore(snapshot []byte) error {
	m.replays = make(map[string]*Replay)
	defer m.schedule()
	if snapshot == nil {
		return nil
	}
	r := record.NewReader(snapshot)
	if v := r.Uint(); r.Err() == nil && v != snapshotVersion {
		return fmt.Errorf("the snapshot has version %d, and this program reads %d", v, snapshotVersion)
	}
	for range r.Count() {
		is := new(Replay)
		if err := json.Unmarshal(r.Bytes(), is); err != nil {
			return errors.Join(r.Err(), err)
		}
		m.replays[is.key()] = is
	}
	return r.Err()
}

// Resume emits every replay.
func (m *Machine) Resume(tx *shard.Tx) {
	for _, key := range slices.Sorted(maps.Keys(m.replays)) {
		tx.Emit(m.replays[key])
	}
}

// Live yields nothing: replays are in memory as a whole.
func (m *Machine) Live(uint64, func(key []byte, ref shard.Ref) bool) {}

// Carried does nothing, since nothing is carried.
func (m *Machine) Carried(*shard.Tx, []byte, shard.Ref) {}
