package history

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/rialto-events/rialto/internal/record"
)

// A segmentInfo is what a ledger says of a segment. It does not change.
type segmentInfo struct {
	name     string // among the blobs, after the archive's ID and a slash: 16 hexadecimal digits
	stored   int64  // bytes of the blob
	raw      int64  // bytes of its blocks before they were compressed
	time     span   // of the events
	accepted span
	cells    []cell // in the order of the hours
}

// total is how many events a segment has that are not too old.
func (s *segmentInfo) total(oldest int64) (t Total) {
	for _, c := range s.cells {
		if c.hour >= oldest {
			t = t.plus(c.Total)
		}
	}
	return t
}

// over reports whether all events of a segment are too old.
func (s *segmentInfo) over(oldest int64) bool { return hourOf(s.accepted.last) < oldest }

func (t Total) plus(u Total) Total { return Total{t.Events + u.Events, t.Bytes + u.Bytes} }

// A ledger says what is in an archive, and what was. It does not change: whoever changes the archive makes the next one.
type ledger struct {
	serial   uint64        // grows by one with each change, so that no two ledgers of an archive are equal
	imported uint64        // events that did not come from a shard
	marks    []uint64      // by shard: the greatest key that was ever sealed, plus 1; 0 for none
	segments []segmentInfo // oldest first, as they were sealed
}

// sealed reports whether an event of a shard is, or was, in a segment.
func (l *ledger) sealed(shard uint32, key uint64) bool {
	return int(shard) < len(l.marks) && key < l.marks[shard]
}

// edge is before whatever comes next. A position's key is that of the delivery, plus 1, as marks are.
func (l *ledger) edge() *Edge { return &Edge{slices.Clone(l.marks), l.imported} }

// with is the next ledger, with more segments and other marks.
func (l *ledger) with(more []segmentInfo, marks []uint64) *ledger {
	return &ledger{serial: l.serial + 1, imported: l.imported, marks: marks, segments: slices.Concat(l.segments, more)}
}

// replacing is the next ledger, in which one segment stands in the place of others that follow one another. It is nil if they do not, any more.
func (l *ledger) replacing(old []segmentInfo, by *segmentInfo) *ledger {
	at := slices.IndexFunc(l.segments, func(s segmentInfo) bool { return s.name == old[0].name })
	if at < 0 || at+len(old) > len(l.segments) {
		return nil
	}
	for i := range old {
		if l.segments[at+i].name != old[i].name {
			return nil
		}
	}
	var in []segmentInfo
	if by != nil {
		in = []segmentInfo{*by}
	}
	return &ledger{
		serial: l.serial + 1, imported: l.imported, marks: l.marks, segments: slices.Concat(l.segments[:at], in, l.segments[at+len(old):]),
	}
}

// without is the next ledger, without some segments; it has those that are left out, too.
func (l *ledger) without(drop func(*segmentInfo) bool) (next *ledger, dropped []segmentInfo) {
	next = &ledger{serial: l.serial + 1, imported: l.imported, marks: l.marks}
	for i := range l.segments {
		if drop(&l.segments[i]) {
			dropped = append(dropped, l.segments[i])
			continue
		}
		next.segments = append(next.segments, l.segments[i])
	}
	return next, dropped
}

// names is those of the segments that another ledger does not have.
func (l *ledger) names(except *ledger) (names []string) {
	there := make(map[string]bool, len(except.segments))
	for i := range except.segments {
		there[except.segments[i].name] = true
	}
	for i := range l.segments {
		if name := l.segments[i].name; !there[name] {
			names = append(names, name)
		}
	}
	return names
}

func (l *ledger) has(name string) bool {
	return slices.ContainsFunc(l.segments, func(s segmentInfo) bool { return s.name == name })
}

func (l *ledger) total(oldest int64) (t Total) {
	for i := range l.segments {
		t = t.plus(l.segments[i].total(oldest))
	}
	return t
}

const ledgerVersion = 1

func (l *ledger) append(dst []byte) []byte {
	dst = append(dst, ledgerVersion)
	dst = record.AppendUint(dst, l.serial)
	dst = record.AppendUint(dst, l.imported)
	dst = record.AppendUint(dst, uint64(len(l.marks)))
	for _, m := range l.marks {
		dst = record.AppendUint(dst, m)
	}
	dst = record.AppendUint(dst, uint64(len(l.segments)))
	for i := range l.segments {
		s := &l.segments[i]
		name, _ := hex.DecodeString(s.name)
		dst = record.AppendBytes(dst, name)
		dst = record.AppendUint(dst, uint64(s.stored))
		dst = record.AppendUint(dst, uint64(s.raw))
		dst = appendSpan(dst, s.time)
		dst = appendSpan(dst, s.accepted)
		dst = appendCells(dst, s.cells)
	}
	return dst
}

func parseLedger(b []byte) (*ledger, error) {
	r := record.NewReader(b)
	if v := r.Byte(); r.Err() == nil && v != ledgerVersion {
		return nil, fmt.Errorf("the ledger has version %d, and this program reads %d", v, ledgerVersion)
	}
	l := &ledger{serial: r.Uint(), imported: r.Uint()}
	for range r.Count() {
		l.marks = append(l.marks, r.Uint())
	}
	for range r.Count() {
		s := segmentInfo{name: hex.EncodeToString(r.Bytes())}
		s.stored, s.raw = int64(r.Uint()), int64(r.Uint())
		s.time, s.accepted = readSpan(r), readSpan(r)
		s.cells = readCells(r)
		if r.Err() != nil {
			break
		}
		l.segments = append(l.segments, s)
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("the ledger: %w", err)
	}
	if r.Len() > 0 {
		return nil, errors.New("the ledger has more bytes than it should")
	}
	return l, nil
}
