package shard

import (
	"time"

	"github.com/rialto-events/rialto/internal/record"
)

// A Kind tells commands apart. Every machine owns a range of kinds; docs/formats.md lists them all.
type Kind uint8

// A Command is one entry of a frame.
type Command struct {
	Kind Kind
	Body []byte
}

// A Machine is state that is derived from a log, and from nothing else: whoever applies the same commands at the same
// times arrives at the same state. All its methods are called by one goroutine at a time, the owner's.
//
// Apply must be pure: no I/O, no clock but [Tx.Now], no randomness, no iteration over a Go map whose order shows. What the
// world should do because of a command, it hands to [Tx.Emit] or [Tx.EmitAt] as an effect; the machine's [Handler] carries
// effects out after the command is committed. Effects are at least once: after a crash, Resume emits again whatever is
// not known to be done.
type Machine interface {
	// Name appears in snapshots and errors, such as "deliver".
	Name() string
	// Kinds is the range of commands that the machine owns, both ends included.
	Kinds() (first, last Kind)
	// Apply changes the state as the command says and returns what its proposer is to be told. The body is valid only
	// during the call. A command that makes no sense in the present state is answered by its result, never by a panic:
	// it is in the log and will be applied at every recovery.
	Apply(tx *Tx, kind Kind, body []byte) any
	// Snapshot appends the whole state to dst, beginning with a version of its own. Equal states give equal bytes.
	Snapshot(dst []byte) []byte
	// Restore replaces the state by that of a snapshot; nil stands for the state before the first command.
	Restore(snapshot []byte) error
	// Resume emits the effects of everything that waits: called once after recovery, before the first new command.
	Resume(tx *Tx)
	// Live calls yield for every payload in a frame before the given sequence number that the state refers to, until
	// yield returns false. The key is the machine's own name for the payload; it is valid only during the call.
	Live(before uint64, yield func(key []byte, ref Ref) bool)
	// Carried says that the payload of that key now also stands at ref, in a younger frame. If the state still refers to
	// the payload, it takes the new place (Release the old ref, Retain the new one); otherwise it does nothing.
	Carried(tx *Tx, key []byte, ref Ref)
}

// A Handler carries out the effects of one machine. It is called by the owner's goroutine, in the order of the log, and must
// not block: it puts work into queues of its own.
type Handler func(effects []any)

// A Ref is the place of a payload in the log: len bytes at an offset within the frame's payload at a sequence number.
type Ref struct {
	Seq uint64
	Off uint32
	Len uint32
}

// AppendRef appends r to a snapshot.
func AppendRef(dst []byte, r Ref) []byte {
	dst = record.AppendUint(dst, r.Seq)
	dst = record.AppendUint(dst, uint64(r.Off))
	return record.AppendUint(dst, uint64(r.Len))
}

// ReadRef takes a Ref off a snapshot.
func ReadRef(r *record.Reader) Ref {
	return Ref{Seq: r.Uint(), Off: uint32(r.Uint()), Len: uint32(r.Uint())}
}

// A Tx is what a machine sees while a command is applied.
type Tx struct {
	now     time.Time
	seq     uint64
	bodyOff uint32 // where the body of the present command begins in the frame's payload
	live    *liveTable
	effects []any
	timers  []timer
	muted   bool // recovery: effects were carried out long ago, or Resume will emit them
}

// Now is the time of the frame: what every machine takes for the present. It never goes back within a shard.
func (tx *Tx) Now() time.Time { return tx.now }

// Seq is the sequence number of the frame.
func (tx *Tx) Seq() uint64 { return tx.seq }

// Ref is the place of body[lo:hi] of the command being applied.
func (tx *Tx) Ref(lo, hi int) Ref {
	return Ref{Seq: tx.seq, Off: tx.bodyOff + uint32(lo), Len: uint32(hi - lo)}
}

// Retain says that the state refers to a payload, so that its frame must be kept or the payload carried forward.
func (tx *Tx) Retain(r Ref) { tx.live.add(r, 1) }

// Release takes back one Retain.
func (tx *Tx) Release(r Ref) { tx.live.add(r, -1) }

// Emit hands an effect to the machine's handler, once the command is committed.
func (tx *Tx) Emit(effect any) {
	if !tx.muted {
		tx.effects = append(tx.effects, effect)
	}
}

// EmitAt hands an effect to the machine's handler at a later time, or at once if that has passed. It cannot be taken back:
// the handler checks whether the effect still makes sense. It does not survive a restart; Resume emits it again.
func (tx *Tx) EmitAt(at time.Time, effect any) {
	if tx.muted {
		return
	}
	if !at.After(tx.now) {
		tx.effects = append(tx.effects, effect)
		return
	}
	tx.timers = append(tx.timers, timer{at: at, effect: effect})
}
