package history

import (
	"cmp"
	"errors"
	"time"

	"github.com/rialto-events/rialto/internal/record"
)

// A Position is the place of an event in an archive: its time first, and then what no other event has. It says nothing of segments, so
// it outlives them. The zero value is before all events.
type Position struct {
	Time     int64  // of the event, in microseconds since 1970
	Accepted int64  // when it was accepted, likewise
	Shard    uint32 // on which it was accepted
	Key      uint64 // unique within the shard, plus 1
}

// PositionAt is before all events of a time, and after all earlier ones.
func PositionAt(t time.Time) Position { return Position{Time: t.UnixMicro()} }

// Compare orders positions as [Service.Read] does.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Time, q.Time), cmp.Compare(p.Accepted, q.Accepted), cmp.Compare(p.Shard, q.Shard), cmp.Compare(p.Key, q.Key))
}

// CompareAccepted orders positions as [Service.ReadAccepted] does.
func (p Position) CompareAccepted(q Position) int {
	return cmp.Or(cmp.Compare(p.Accepted, q.Accepted), cmp.Compare(p.Shard, q.Shard), cmp.Compare(p.Key, q.Key))
}

// Append appends an encoding of the position: at most 35 bytes, that [ParsePosition] reads.
func (p Position) Append(dst []byte) []byte {
	dst = record.AppendInt(dst, p.Time)
	dst = record.AppendInt(dst, p.Accepted)
	dst = record.AppendUint(dst, uint64(p.Shard))
	return record.AppendUint(dst, p.Key)
}

// ParsePosition reads what [Position.Append] wrote.
func ParsePosition(b []byte) (Position, error) {
	r := record.NewReader(b)
	p := Position{Time: r.Int(), Accepted: r.Int(), Shard: uint32(r.Uint()), Key: r.Uint()}
	if err := r.Err(); err != nil {
		return Position{}, err
	}
	if r.Len() > 0 {
		return Position{}, errors.New("a position has more bytes than it should")
	}
	return p, nil
}
