package queue

import (
	"maps"
	"math"
	"slices"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

var _ shard.Freezer = (*Machine)(nil)

// spillAt is how many bytes of a snapshot are made before they are handed on.
const spillAt = 1 << 20

// Freeze returns the state as it is now. Messages are not copied, and that is nearly all of it: the view has the same chunks of the slab,
// and the machine copies a chunk when it first touches it.
func (m *Machine) Freeze() shard.Frozen {
	v := *m
	v.queues = maps.Clone(m.queues)
	for id, q := range v.queues {
		v.queues[id] = q.freeze()
	}
	v.messages, v.debris = m.messages.freeze(), slices.Clone(m.debris)
	return &frozen{view: v, of: m}
}

// freeze copies all of a queue that changes in place.
func (q *queue) freeze() *queue {
	f := *q
	f.waiting.slots, f.late.slots = slices.Clone(q.waiting.slots), slices.Clone(q.late.slots)
	f.tasks = slices.Clone(q.tasks)
	for i, t := range f.tasks {
		f.tasks[i] = t.freeze()
	}
	f.turns = q.turns.freeze()
	if q.groups != nil {
		f.groups = &groups{all: slices.Clone(q.groups.all), first: q.groups.first} // a snapshot asks for no more
	}
	f.once = once{entries: q.once.entries, from: q.once.from} // entries are only added
	f.attempts = q.attempts.freeze()
	return &f
}

func (t *attempts) freeze() (f attempts) {
	for _, is := range t.order {
		f.order = append(f.order, &attempt{key: is.key, until: is.until, due: is.due, places: is.places})
	}
	return f
}

func (t *redriveTask) freeze() *redriveTask {
	f := *t
	f.failed, f.skipped = slices.Clone(t.failed), slices.Clone(t.skipped)
	return &f
}

// A frozen is a machine as it was at one moment. Nothing changes it.
type frozen struct {
	view Machine
	of   *Machine
}

func (f *frozen) Write(yield func(part []byte) error) error {
	var failed error
	f.view.spill = func(b []byte) []byte {
		if failed == nil {
			failed = yield(b)
		}
		return b[:0]
	}
	if rest := f.view.Snapshot(nil); failed == nil {
		failed = yield(rest)
	}
	return failed
}

func (f *frozen) Live(before uint64, yield func(key []byte, ref shard.Ref) bool) {
	f.view.Live(before, yield)
}

func (f *frozen) Thaw() { f.of.messages.thaw() }

// spilled hands on what there is of a snapshot, if that is much and somebody takes it, and returns what there is then.
func (m *Machine) spilled(b []byte) []byte {
	if m.spill == nil || len(b) < spillAt {
		return b
	}
	return m.spill(b)
}

// RestoreParts reads a snapshot that is too large to be in memory at once.
func (m *Machine) RestoreParts(r *record.Reader) error {
	*m = *NewMachine()
	return m.restore(r)
}

// freeze returns a slab with the same messages, which is not to be changed. Until thaw, this one changes copies.
func (s *slab) freeze() slab {
	f := slab{chunks: slices.Clone(s.chunks), n: s.n}
	s.views++
	s.shared = make([]uint64, len(s.room))
	for i := range s.shared {
		s.shared[i] = math.MaxUint64
	}
	return f
}

// thaw ends the use of what freeze returned.
func (s *slab) thaw() {
	if s.views--; s.views == 0 {
		s.shared = nil
	}
}

// own returns a chunk that may be changed, or nil if that chunk is not there.
func (s *slab) own(i uint32) *chunk {
	if c := s.chunks[i]; s.shared == nil || c == nil || int(i/64) >= len(s.shared) || s.shared[i/64]&(1<<(i%64)) == 0 {
		return c
	}
	return s.copy(i)
}

func (s *slab) copy(i uint32) *chunk {
	c := *s.chunks[i]
	if c.members != nil {
		members := *c.members
		c.members = &members
	}
	s.chunks[i] = &c
	s.shared[i/64] &^= 1 << (i % 64)
	return &c
}
