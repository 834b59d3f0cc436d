package deliver

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// What a command may answer instead of a result.
var (
	errUndefined = errors.New("a target's definition is not there")
	errEmpty     = errors.New("the command says nothing")
	errUnknown   = errors.New("the command is unknown")
)

// A duplicate answers a command that accepts an event: it was accepted before, under this id.
type duplicate string

// Commands, as docs/formats.md lays them out. Those that tell of several deliveries go on to the end of the body.

// What an event may ask for beside being delivered; flags of kindAcceptTerms.
const (
	termOrder  = 1 << 0 // each target has a hash of what its deliveries are ordered by
	termDedupe = 1 << 1 // the event has a key, which is remembered for a while
	termsKnown = termOrder | termDedupe
)

// acceptCommand makes the command that takes an event and the keys of its targets. Most events ask for nothing more, and theirs is
// the short one.
func acceptCommand(e *Accepted) (shard.Kind, []byte) {
	b := make([]byte, 0, len(e.Event)+len(e.Targets)*27+len(e.Trace)+224)
	terms := byte(0)
	if e.ordered() {
		terms |= termOrder
	}
	if e.Dedupe.Window > 0 {
		terms |= termDedupe
	}
	kind := kindAccept
	if terms != 0 || !e.Expires.IsZero() {
		kind = kindAcceptTerms
		b = append(b, terms)
	}
	if terms&termDedupe != 0 {
		b = record.AppendBytes(b, e.Dedupe.Key[:])
		b = record.AppendUint(b, uint64(max(1, e.Dedupe.Window.Microseconds())))
	}
	b = record.AppendUint(b, uint64(len(e.Targets)))
	for i, t := range e.Targets {
		b = record.AppendBytes(b, t.Key[:])
		if terms&termOrder != 0 {
			b = record.AppendUint(b, e.Orders[i])
		}
	}
	return kind, appendEvent(b, e)
}

// The payload of an event with a time to live, or of one that came back from a dead-letter queue, begins with a mark and a version.
// One without begins with the length of the event's id, which is below the mark.
const (
	payloadMark    = 0x80
	payloadMortal  = 2               // it has a time to live
	payloadRedrive = 3               // it came back, and may have a time to live
	maxEventID     = payloadMark - 1 // bytes
)

// appendEvent appends what stays in the log of an event until its last delivery has ended: a payload in the sense of package
// shard.
func appendEvent(b []byte, e *Accepted) []byte {
	switch {
	case e.Redrives > 0:
		b = append(b, payloadMark, payloadRedrive)
		b = record.AppendTime(b, e.Expires)
		b = record.AppendUint(b, uint64(e.Redrives))
		b = record.AppendTime(b, e.Redriven)
	case !e.Expires.IsZero():
		b = append(b, payloadMark, payloadMortal)
		b = record.AppendTime(b, e.Expires)
	}
	b = record.AppendString(b, e.EventID)
	b = record.AppendString(b, e.Bus.String())
	b = record.AppendTime(b, e.Accepted)
	b = record.AppendString(b, e.Trace)
	b = append(b, e.Hops.SameRegion, e.Hops.CrossRegion)
	return append(b, e.Event...)
}

// readEvent reads what appendEvent wrote; it has no targets.
func readEvent(payload []byte) (*Accepted, error) {
	r := record.NewReader(payload)
	e := new(Accepted)
	if err := readHead(r, payload, e); err != nil {
		return nil, err
	}
	bus := r.String()
	e.Accepted, e.Trace = r.Time(), r.String()
	e.Hops = target.Hops{SameRegion: r.Byte(), CrossRegion: r.Byte()}
	if err := r.Err(); err != nil {
		return nil, err
	}
	e.Event = r.Rest()
	var err error
	e.Bus, err = rialto.ParseARN(bus)
	return e, err
}

// readHead reads a payload as far as the event's id.
func readHead(r *record.Reader, payload []byte, e *Accepted) error {
	if len(payload) > 0 && payload[0] >= payloadMark {
		mark, version := r.Byte(), r.Byte()
		if mark != payloadMark || version != payloadMortal && version != payloadRedrive {
			return fmt.Errorf("the event has version %d, and this program reads %d", version, payloadRedrive)
		}
		if e.Expires = r.Time(); version == payloadRedrive {
			e.Redrives, e.Redriven = int(min(r.Uint(), maxRedrives)), r.Time()
		}
	}
	e.EventID = r.String()
	return r.Err()
}

// maxRedrives is as far as they are counted for one event.
const maxRedrives = 1 << 20

// A handle names a delivery: its slot, and the key of its event, which no other event ever has. A handle of a delivery that has
// ended fits no other one.
type handle struct {
	slot uint32
	key  uint64
}

func appendHandle(b []byte, h handle) []byte {
	return record.AppendUint(record.AppendUint(b, uint64(h.slot)), h.key)
}

func readHandle(r *record.Reader) handle { return handle{uint32(r.Uint()), r.Uint()} }

// A postponed delivery is to be attempted again.
type postponed struct {
	handle
	letter bool      // what failed is an attempt to bring its dead letter
	made   int       // attempts so far, of this sort
	until  time.Time // when it is attempted again
	code   string    // why it failed
}

func appendPostponed(b []byte, p postponed) []byte {
	b = appendHandle(b, p.handle)
	b = append(b, bit(p.letter))
	b = record.AppendUint(b, uint64(p.made))
	b = record.AppendTime(b, p.until)
	return record.AppendString(b, p.code)
}

func readPostponed(r *record.Reader) postponed {
	return postponed{handle: readHandle(r), letter: r.Byte() == 1, made: int(min(r.Uint(), maxMade)), until: r.Time(), code: r.String()}
}

// A letter is why a delivery has failed for good. It stays in the log until the dead-letter queue has it.
type letter struct {
	code      string
	message   string
	exhausted string
	retries   int
}

func appendDead(b []byte, h handle, l letter) []byte {
	return record.AppendBytes(appendHandle(b, h), appendLetter(nil, l))
}

func appendLetter(b []byte, l letter) []byte {
	b = record.AppendString(b, l.code)
	b = record.AppendString(b, l.message)
	b = record.AppendString(b, l.exhausted)
	return record.AppendUint(b, uint64(l.retries))
}

func readLetter(payload []byte) (letter, error) {
	r := record.NewReader(payload)
	l := letter{code: r.String(), message: r.String(), exhausted: r.String(), retries: int(min(r.Uint(), maxMade))}
	return l, r.Err()
}

// forgetCommand makes the body of a command that forgets definitions which nobody uses.
func forgetCommand(keys []target.Key) []byte {
	var b []byte
	for _, k := range keys {
		b = record.AppendBytes(b, k[:])
	}
	return b
}

func readKey(r *record.Reader) (target.Key, bool) {
	b := r.Bytes()
	if len(b) != len(target.Key{}) {
		return target.Key{}, false
	}
	return target.Key(b), true
}

// Payloads that are carried forward are named by what they are, a slot, and the key of their event.
const (
	carriesEvent  = 0 // the slot is that of the event
	carriesLetter = 1 // the slot is that of the delivery
)

func appendCarryKey(b []byte, sort byte, slot uint32, key uint64) []byte {
	return appendHandle(append(b, sort), handle{slot, key})
}

// cut shortens a text to so many bytes, between two characters.
func cut(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func microTime(us int64) time.Time { return time.UnixMicro(us).UTC() }

// payloadRef is the place of the last n bytes that were read of a command's body.
func payloadRef(tx *shard.Tx, body []byte, r *record.Reader, n int) shard.Ref {
	end := len(body) - r.Len()
	return tx.Ref(end-n, end)
}
