package queue

import (
	"errors"
	"slices"
	"time"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// What a command may answer instead of a result.
var (
	errGone     = errors.New("the queue is not there")
	errUnknown  = errors.New("the command is unknown")
	errInFlight = errors.New("too many messages are in flight")
	errPurging  = errors.New("the queue was purged a moment ago")
	errNotThere = errors.New("the message is not there")
	errTooLong  = errors.New("the message would be invisible for too long")
)

// Commands begin with the queue's ID. docs/formats.md has the layouts; results are nil where nothing else is said.

func openCommand(id ID, retention int) []byte {
	return record.AppendUint(record.AppendUint(nil, uint64(id)), uint64(retention))
}

// idCommand is the body of a command that says nothing but which queue.
func idCommand(id ID) []byte { return record.AppendUint(nil, uint64(id)) }

// A parcel is a message that is sent to a standard queue.
type parcel struct {
	payload []byte
	delay   int    // seconds
	group   uint64 // hash of its group, or 0
}

// groupHash is the hash of a group of a standard queue, or 0 if there is none.
func groupHash(name string) uint64 {
	if name == "" {
		return 0
	}
	return hashGroup(name)
}

// sendCommand makes a send to a standard queue: its kind and its body.
func sendCommand(id ID, retention int, list []parcel) (shard.Kind, []byte) {
	kind, size := kindSend, 32
	for i := range list {
		size += len(list[i].payload) + 24
		if list[i].group != 0 {
			kind = kindSendGroups
		}
	}
	b := record.AppendUint(make([]byte, 0, size), uint64(id))
	b = record.AppendUint(b, uint64(retention))
	b = record.AppendUint(b, uint64(len(list)))
	for i := range list {
		b = record.AppendUint(b, uint64(list[i].delay))
		if kind == kindSendGroups {
			b = record.AppendUint(b, list[i].group)
		}
		b = record.AppendBytes(b, list[i].payload)
	}
	return kind, b
}

// receiveCommand makes the body of a receive; the timeout is in seconds. The result is a []received.
func receiveCommand(id ID, retention, n, timeout int, to redrive) []byte {
	b := record.AppendUint(nil, uint64(id))
	b = record.AppendUint(b, uint64(retention))
	b = record.AppendUint(b, uint64(n))
	b = record.AppendUint(b, uint64(timeout))
	return appendRedrive(b, to)
}

// A received message, as the machine knows it.
type received struct {
	slot     uint32
	key      uint64
	ref      shard.Ref
	receives uint32
	sent     time.Time
	first    time.Time // when it was received first
	source   string    // ARN of the queue that it came from, or ""
}

func appendRedrive(b []byte, d redrive) []byte {
	b = record.AppendUint(b, uint64(d.max))
	if d.max == 0 {
		return b
	}
	b = record.AppendUint(b, uint64(d.to))
	local := uint64(0)
	if d.local {
		local = 1
	}
	b = record.AppendUint(b, local)
	return record.AppendString(b, d.source)
}

func readRedrive(r *record.Reader) redrive {
	d := redrive{max: uint32(r.Uint())}
	if d.max == 0 {
		return d
	}
	d.to = ID(r.Uint())
	d.local = r.Uint() == 1
	d.source = r.String()
	return d
}

// handlesCommand makes the body of a command about messages, such as a delete.
func handlesCommand(id ID, handles []Place) []byte {
	b := record.AppendUint(record.AppendUint(nil, uint64(id)), uint64(len(handles)))
	for _, h := range handles {
		b = appendHandle(b, h.slot, h.key)
	}
	return b
}

// A Place is where the machine finds a message, if it is still there.
type Place struct {
	slot uint32
	key  uint64
}

func appendHandle(b []byte, slot uint32, key uint64) []byte {
	return record.AppendUint(record.AppendUint(b, uint64(slot)), key)
}

// hideCommand makes the body of a change of visibility; timeouts are seconds from now. The result is an []error, one for
// each message.
func hideCommand(id ID, handles []Place, timeouts []int) []byte {
	b := record.AppendUint(record.AppendUint(nil, uint64(id)), uint64(len(handles)))
	for i, h := range handles {
		b = appendHandle(b, h.slot, h.key)
		b = record.AppendUint(b, uint64(timeouts[i]))
	}
	return b
}

// touchCommand makes the body of a command that lets time do its work. The result is the queue's [Counts].
func touchCommand(id ID, retention int) []byte { return openCommand(id, retention) }

// Counts says how many messages a queue has. A message on its way to a dead-letter queue counts nowhere.
type Counts struct {
	Visible  int // can be received
	InFlight int // received, and neither deleted nor visible again; or leaving by a redrive
	Delayed  int // not visible yet
}

// A move is the effect that asks for a message to be brought to a queue on another shard.
type move struct {
	from, to ID
	source   string // ARN of the queue that it comes from
	slot     uint32
	key      uint64
	group    uint64 // hash of its group; 0 if it has none
	ref      shard.Ref
	sent     int64 // microseconds
	first    uint32
	last     uint32
	receives uint32
}

// acceptCommand makes a command that takes over messages of one source: its kind and its body.
func acceptCommand(id ID, retention int, moves []move, payloads [][]byte) (shard.Kind, []byte) {
	kind := kindAccept
	if slices.ContainsFunc(moves, func(m move) bool { return m.group != 0 }) {
		kind = kindAcceptGroups
	}
	b := record.AppendUint(record.AppendUint(nil, uint64(id)), uint64(retention))
	b = record.AppendString(b, moves[0].source)
	b = record.AppendUint(b, uint64(len(moves)))
	for i, m := range moves {
		b = record.AppendInt(b, m.sent)
		b = record.AppendUint(b, uint64(m.first))
		b = record.AppendUint(b, uint64(m.last))
		b = record.AppendUint(b, uint64(m.receives))
		if kind == kindAcceptGroups {
			b = record.AppendUint(b, m.group)
		}
		b = record.AppendBytes(b, payloads[i])
	}
	return kind, b
}

// maxSeconds bounds what a command may say about time, so that sums of microseconds stay in range whatever the log holds.
const maxSeconds = 100 * 365 * 24 * 3600

// seconds converts to microseconds.
func seconds(n uint64) int64 { return int64(min(n, maxSeconds)) * 1_000_000 }

func millis(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

func microTime(us int64) time.Time { return time.UnixMicro(us).UTC() }

// since is the number of milliseconds between two times as clocks show them, which is not always their difference.
func since(from, to int64) uint32 {
	return uint32(min(max(to/1000-from/1000, 0), 1<<32-1))
}
