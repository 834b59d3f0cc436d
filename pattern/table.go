package pattern

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
)

// The structures of this file are appended to by one writer while any number of readers read them. A reader sees a moment
// of each, and never less than what was there when it loaded the version of the set.

// A vector is a slice that grows. Its elements are not changed once they are in, unless by atomic operations.
type vector[T any] struct{ p atomic.Pointer[[]T] }

func (v *vector[T]) load() []T {
	if p := v.p.Load(); p != nil {
		return *p
	}
	return nil
}

// push writes beyond the end of what readers have loaded, or to a copy.
func (v *vector[T]) push(x T) {
	s := append(v.load(), x)
	v.p.Store(&s)
}

// hits are the conjunctions that are filed in one place. Most places have one.
type hits struct {
	one  atomic.Pointer[conj]
	more vector[*conj]
}

func (h *hits) add(c *conj) {
	if h.one.Load() == nil {
		h.one.Store(c)
	} else {
		h.more.push(c)
	}
}

func (h *hits) empty() bool { return h.one.Load() == nil }

// len is how many there are, dead ones too.
func (h *hits) len() int {
	if h.empty() {
		return 0
	}
	return 1 + len(h.more.load())
}

// tidy drops what is dead.
func (h *hits) tidy() {
	alive := make([]*conj, 0, h.len())
	if c := h.one.Load(); c != nil && c.rule.alive() {
		alive = append(alive, c)
	}
	for _, c := range h.more.load() {
		if c.rule.alive() {
			alive = append(alive, c)
		}
	}
	switch len(alive) {
	case 0:
		h.one.Store(nil)
		h.more.p.Store(nil)
	case 1:
		h.one.Store(alive[0])
		h.more.p.Store(nil)
	default:
		rest := alive[1:]
		h.one.Store(alive[0])
		h.more.p.Store(&rest)
	}
}

var seed = maphash.MakeSeed()

func hashText(b []byte) uint64 { return maphash.Bytes(seed, b) }

// A dict finds what is filed under a text.
type dict struct {
	slots atomic.Pointer[[]slot] // open addressing, a power of two, at most half full
	n     int                    // slots in use, for the writer
}

type slot struct {
	hash  atomic.Uint64
	entry atomic.Pointer[entry] // stored after the hash
}

// An entry is a text of a dict and what is filed there.
type entry struct {
	text string
	hits hits
}

// find returns the entry of a text, or nil.
func (d *dict) find(text []byte) *entry {
	p := d.slots.Load()
	if p == nil {
		return nil
	}
	hash := hashText(text)
	slots := *p
	mask := uint64(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := slots[i].entry.Load()
		if e == nil || slots[i].hash.Load() == hash && e.text == string(text) {
			return e
		}
	}
}

// at returns the entry of a text, which it makes if need be. Only the writer may call it.
func (d *dict) at(text string) *entry {
	if e := d.find([]byte(text)); e != nil {
		return e
	}
	e := &entry{text: text}
	if p := d.slots.Load(); p == nil || 2*(d.n+1) > len(*p) {
		d.grow()
	}
	insert(*d.slots.Load(), hashText([]byte(text)), e)
	d.n++
	return e
}

// grow makes room for twice the entries that are in use; those under which nothing is filed any more are dropped.
func (d *dict) grow() {
	var old []slot
	if p := d.slots.Load(); p != nil {
		old = *p
	}
	d.n = 0
	for i := range old {
		if e := old[i].entry.Load(); e != nil && !e.hits.empty() {
			d.n++
		}
	}
	size := 4
	for size < 4*d.n {
		size *= 2
	}
	bigger := make([]slot, size)
	for i := range old {
		if e := old[i].entry.Load(); e != nil && !e.hits.empty() {
			insert(bigger, old[i].hash.Load(), e)
		}
	}
	d.slots.Store(&bigger)
}

func insert(slots []slot, hash uint64, e *entry) {
	mask := uint64(len(slots) - 1)
	i := hash & mask
	for slots[i].entry.Load() != nil {
		i = (i + 1) & mask
	}
	slots[i].hash.Store(hash)
	slots[i].entry.Store(e)
}

// load is how much is filed under a text.
func (d *dict) load(text string) int {
	if e := d.find([]byte(text)); e != nil {
		return e.hits.len()
	}
	return 0
}

// affixes finds all texts that a value begins with, or ends with, or contains; that is up to the caller. It knows which
// lengths there are, so that each can be looked up. Few lengths are in use at a time, since people write prefixes of a kind.
type affixes struct {
	lengths atomic.Pointer[[]int] // ascending; replaced, never changed
	dict    dict
}

func (a *affixes) loadLengths() []int {
	if p := a.lengths.Load(); p != nil {
		return *p
	}
	return nil
}

func (a *affixes) at(text string) *entry {
	lengths := a.loadLengths()
	if i, found := slices.BinarySearch(lengths, len(text)); !found {
		lengths = slices.Insert(slices.Clone(lengths), i, len(text))
		a.lengths.Store(&lengths)
	}
	return a.dict.at(text)
}
