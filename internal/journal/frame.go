package journal

import (
	"time"
)

// A Hash identifies a record and everything that stands before it in its log.
type Hash [16]byte

// A Frame is one record of a log. Its encoding ends with the hash of all that stands before, and carries the hash of the
// frame before it, so that a flipped bit, a gap, a reuse or a foreign frame is found by reading.
type Frame struct {
	Shard   string // the log it belongs to, at most 48 bytes
	Seq     uint64 // its sequence number in the log
	Epoch   uint64 // of the owner that wrote it; never falls within a log
	Prev    Hash   // of the record before; zero for sequence number 1
	Time    time.Time
	Payload []byte
}

// FrameOverhead is how many bytes a frame has at most beyond its payload.
const FrameOverhead = 128

// Append appends the encoded frame to dst. Its hash is [HashOf] the result's new part.
func (f *Frame) Append(dst []byte) []byte { return nil }

// HashOf is the hash of a record: what Prev must be in the next. It does not check the record.
func HashOf(record []byte) Hash { return Hash{} }

// DecodeFrame checks and decodes a record. The payload points into record.
func DecodeFrame(record []byte) (Frame, error) { return Frame{}, nil }

// ParseFrame decodes a record without computing its hash. It is for records that a [Log] handed out, which has checked them.
func ParseFrame(record []byte) (Frame, error) { return Frame{}, nil }
