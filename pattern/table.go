package pattern

import (
	"hash/maphash"
	"math/bits"
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
	if one := h.one.Load(); one == nil || one == nobody {
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

// nobody stands in the first place of hits when what was there is dead, since a reader could see what is moved there twice.
var nobody = &conj{rule: new(rule)}

// tidy drops what is dead.
func (h *hits) tidy() {
	dead := func(c *conj) bool { return !c.rule.alive() }
	more := slices.DeleteFunc(slices.Clone(h.more.load()), dead)
	if one := h.one.Load(); one != nil && dead(one) {
		if one = nobody; len(more) == 0 {
			one = nil
		}
		h.one.Store(one)
	}
	if len(more) == 0 {
		h.more.p.Store(nil)
	} else {
		h.more.p.Store(&more)
	}
}

var seed = maphash.MakeSeed()

func hashText(b []byte) uint64 { return maphash.Bytes(seed, b) }

// A dict finds what is filed under a text.
type dict struct {
	table atomic.Pointer[table]
	n     int // slots in use, for the writer
}

// A table has slots, a power of two, at most three quarters full; a text is in the first free one from where its hash says.
// In front is a filter with four bits for each slot, one of which is set for each text: most values of events are in no table,
// and the filter of even a large one stays near the processor.
type table struct {
	slots  []slot
	filter []atomic.Uint64
}

const (
	minSlots      = 16
	slotsInAWord  = 64 / 4 // of the filter
	filterRotated = 32     // so that other bits of the hash choose
)

type slot struct {
	hash  atomic.Uint64
	entry atomic.Pointer[entry] // stored after the hash
}

// An entry is a text of a dict and what is filed there. The key spares a look at short texts, which lie elsewhere in memory.
type entry struct {
	key  key
	hits hits
	text string
	used bool
}

func (e *entry) is(k key, text []byte) bool {
	return e.key == k && (k.n <= 16 || e.text == string(text))
}

func newTable(slots int) *table {
	return &table{make([]slot, slots), make([]atomic.Uint64, slots/slotsInAWord)}
}

// filterBit returns the place of a hash in the filter.
func (t *table) filterBit(hash uint64) (word *atomic.Uint64, bit uint64) {
	h := bits.RotateLeft64(hash, filterRotated)
	return &t.filter[h>>6&uint64(len(t.filter)-1)], 1 << (h & 63)
}

// find returns the entry of a text, or nil.
func (d *dict) find(text []byte) *entry {
	t := d.table.Load()
	if t == nil {
		return nil
	}
	hash := hashText(text)
	if word, bit := t.filterBit(hash); word.Load()&bit == 0 {
		return nil
	}
	mask, k := uint64(len(t.slots)-1), makeKey(text)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := t.slots[i].entry.Load()
		if e == nil || t.slots[i].hash.Load() == hash && e.is(k, text) {
			return e
		}
	}
}

// at returns the entry of a text, which it makes if need be, of room if that is free. Only the writer may call it.
func (d *dict) at(text string, room *entry) *entry {
	if e := d.find([]byte(text)); e != nil {
		return e
	}
	e := room
	if e.used {
		e = new(entry)
	}
	e.key, e.text, e.used = makeKey([]byte(text)), text, true
	if t := d.table.Load(); t == nil || 4*(d.n+1) > 3*len(t.slots) {
		d.grow()
	}
	d.table.Load().insert(hashText([]byte(text)), e)
	d.n++
	return e
}

// grow makes room for at least half as many entries more than are in use. Those under which nothing is filed any more go.
func (d *dict) grow() {
	var old []slot
	if t := d.table.Load(); t != nil {
		old = t.slots
	}
	d.n = 0
	for i := range old {
		if e := old[i].entry.Load(); e != nil && !e.hits.empty() {
			d.n++
		}
	}
	size := minSlots
	for size < 2*d.n {
		size *= 2
	}
	bigger := newTable(size)
	for i := range old {
		if e := old[i].entry.Load(); e != nil && !e.hits.empty() {
			bigger.insert(old[i].hash.Load(), e)
		}
	}
	d.table.Store(bigger)
}

func (t *table) insert(hash uint64, e *entry) {
	mask := uint64(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i].entry.Load() != nil {
		i = (i + 1) & mask
	}
	t.slots[i].hash.Store(hash)
	t.slots[i].entry.Store(e)
	word, bit := t.filterBit(hash)
	word.Store(word.Load() | bit)
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

func (a *affixes) at(text string, room *entry) *entry {
	lengths := a.loadLengths()
	if i, found := slices.BinarySearch(lengths, len(text)); !found {
		lengths = slices.Insert(slices.Clone(lengths), i, len(text))
		a.lengths.Store(&lengths)
	}
	return a.dict.at(text, room)
}
