package shard

import (
	"encoding/binary"
	"errors"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

const (
	softFrame   = 256 << 10 // bytes of commands after which a frame takes no further proposal
	maxProposal = 3 << 20   // bytes of commands in one proposal
	carryRoom   = 128       // bytes by which a payload that is carried may need more than when it was proposed
)

// ErrTooLarge says that a proposal's commands do not fit into one frame.
var ErrTooLarge error = rialto.Errorf(rialto.Invalid, "This is more than can be stored at once.")

// A frameLimit says how large a frame may become, in bytes of commands. A frame that has not reached soft has room for any one
// proposal, so that nobody's is refused because of another's.
type frameLimit struct {
	soft     int // after which it takes no further proposal
	proposal int // in one proposal
}

// frameLimitOf is what fits into records of a size, which a cluster may have set much lower than we would.
func frameLimitOf(maxRecord int) frameLimit {
	most := maxRecord - journal.FrameOverhead
	soft := min(softFrame, most/4)
	return frameLimit{soft, min(maxProposal, most-soft-carryRoom)}
}

// A Batch is the part of a frame that one proposal builds. It is valid only during the call that gets it.
type Batch struct {
	payload  []byte // the commands of the whole frame so far: kind, length, body
	commands int
	seen     map[string]struct{}
	order    []string // the keys of seen, oldest first, so that a proposal can be taken out again
}

// maxCommandHead is how many bytes a command has at most beside its body.
const maxCommandHead = 1 + binary.MaxVarintLen64

// Add appends a command to the frame; it copies the body.
func (b *Batch) Add(kind Kind, body []byte) {
	b.payload = append(b.payload, byte(kind))
	b.payload = binary.AppendUvarint(b.payload, uint64(len(body)))
	b.payload = append(b.payload, body...)
	b.commands++
}

// First reports whether key is asked about for the first time in this frame. It lets proposals that share a frame agree
// on who brings along what all of them need once.
func (b *Batch) First(key string) bool {
	if _, ok := b.seen[key]; ok {
		return false
	}
	if b.seen == nil {
		b.seen = make(map[string]struct{})
	}
	b.seen[key] = struct{}{}
	b.order = append(b.order, key)
	return true
}

// add lets one proposal build its commands. One that turns out larger than limit leaves no trace.
func (b *Batch) add(build func(*Batch), limit int) (commands int, err error) {
	size, before, keys := len(b.payload), b.commands, len(b.order)
	build(b)
	if len(b.payload)-size > limit {
		b.payload, b.commands = b.payload[:size], before
		for _, k := range b.order[keys:] {
			delete(b.seen, k)
		}
		b.order = b.order[:keys]
		return 0, ErrTooLarge
	}
	return b.commands - before, nil
}

// eachCommand calls f for every command of a frame's payload; off is where the body begins. It stops at the first error.
func eachCommand(payload []byte, f func(kind Kind, body []byte, off uint32) error) error {
	for at := 0; at < len(payload); {
		kind := Kind(payload[at])
		n, size := binary.Uvarint(payload[at+1:])
		start := at + 1 + size
		if size <= 0 || n > uint64(len(payload)-start) {
			return errors.New("a command is cut short")
		}
		end := start + int(n)
		if err := f(kind, payload[start:end:end], uint32(start)); err != nil {
			return err
		}
		at = end
	}
	return nil
}
