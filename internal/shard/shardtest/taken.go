package shardtest

import (
	"maps"
	"slices"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// A Taken is a machine that stands for deliveries in a simulation: beside the machine that is simulated, it notes what it has taken by each name, in
// order.
type Taken struct{ by map[string][]int64 }

var _ shard.Machine = (*Taken)(nil)

// KindTake is the kind of the command that [Take] makes.
const KindTake shard.Kind = 0x70

// NewTaken makes a Taken that has taken nothing.
func NewTaken() *Taken { return &Taken{make(map[string][]int64)} }

// Take is the body of a command by which a number is taken by a name.
func Take(name string, n int64) []byte { return record.AppendInt(record.AppendString(nil, name), n) }

// By is what was taken by a name, in order.
func (m *Taken) By(name string) []int64 { return m.by[name] }

// Name is that of the machine in snapshots.
func (m *Taken) Name() string { return "taken" }

// Kinds is the range of the machine's commands.
func (m *Taken) Kinds() (first, last shard.Kind) { return KindTake, KindTake }

// Apply notes a number.
func (m *Taken) Apply(_ *shard.Tx, _ shard.Kind, body []byte) any {
	r := record.NewReader(body)
	name := r.String()
	m.by[name] = append(m.by[name], r.Int())
	return nil
}

// Snapshot appends what was taken.
func (m *Taken) Snapshot(dst []byte) []byte {
	for _, name := range slices.Sorted(maps.Keys(m.by)) {
		dst = record.AppendUint(record.AppendString(dst, name), uint64(len(m.by[name])))
		for _, n := range m.by[name] {
			dst = record.AppendInt(dst, n)
		}
	}
	return dst
}

// Restore takes over what was taken.
func (m *Taken) Restore(snapshot []byte) error {
	m.by = make(map[string][]int64)
	r := record.NewReader(snapshot)
	for r.Len() > 0 {
		name := r.String()
		for range r.Count() {
			m.by[name] = append(m.by[name], r.Int())
		}
	}
	return r.Err()
}

// Resume has nothing to do.
func (m *Taken) Resume(*shard.Tx) {}

// Live yields nothing: no old frame is needed.
func (m *Taken) Live(uint64, func(key []byte, ref shard.Ref) bool) {}

// Carried is never called.
func (m *Taken) Carried(*shard.Tx, []byte, shard.Ref) {}
