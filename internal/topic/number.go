package topic

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// A number is the place of a message in a FIFO topic. It is given when the message goes into the log, by the time of the shard, so that
// those of a topic grow in the order of the log, over restarts as well, and nothing has to be remembered for that.
type number int64

// numbers are those of one topic.
type numbers struct{ last atomic.Int64 }

// next is the number of a message that goes into the log at a time. Only the owner of the topic's shard asks.
func (n *numbers) next(now time.Time) number {
	is := max(n.last.Load()+1, now.UnixNano())
	n.last.Store(is)
	return number(is)
}

// firstSequence is below the first sequence number of AWS, which has twenty digits (recorded on AWS).
const firstSequence = 10_000_000_000_000_000_000

const sequenceDigits = 20

// sequence is the number as publishers and subscribers see it.
func (n number) sequence() string { return strconv.FormatUint(firstSequence+uint64(n), 10) }

// id makes up a message id from which the number can be read again: a UUID of version 8, in which 63 bits are the number.
//
//	 0        5 6    7 8               15
//	┌──────────┬─┬────┬──┬───┬───────────┐
//	│ 48 bits  │8│ 12 │10│ 3 │ 59 random │
//	└──────────┴─┴────┴──┴───┴───────────┘
func (n number) id() string {
	var u uuid.UUID
	_, _ = rand.Read(u[8:]) // never fails
	binary.BigEndian.PutUint64(u[:], uint64(n)>>15<<16|8<<12|uint64(n)>>3&0xfff)
	u[8] = 0b10<<6 | byte(n)&7<<3 | u[8]&7
	return u.String()
}

// numberOf reads the number in a message id; ok is false if it has none.
func numberOf(id string) (n number, ok bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 8 {
		return 0, false
	}
	head := binary.BigEndian.Uint64(u[:])
	return number(head>>16<<15 | head&0xfff<<3 | uint64(u[8]>>3&7)), true
}
