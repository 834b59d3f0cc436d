package pattern

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"sync/atomic"
)

// A node is a place in events that patterns know of: the end of a path, or on the way to one. The keys of a path, cut at
// its dots, lead from the root to its node:
//
//	detail.item.id   detail.item.sku   account
//
//	(root) ─┬─ detail ─── item ─┬─ id   field
//	        └─ account          └─ sku  field
//	           field
type node struct {
	name   string
	key    key
	index  int // among the kids of its parent, in the order of their coming
	needle needle
	field  atomic.Pointer[field] // nil if no path ends here
	kids   kids
}

// kids are the nodes below a node. One writer adds to them while others read.
type kids struct {
	slots  atomic.Pointer[[]atomic.Pointer[node]] // open addressing, a power of two, at most half full
	list   vector[*node]                          // in the order of their coming
	filter atomic.Uint64                          // a bit for each name, see filterBit
	deep   atomic.Bool                            // some kid has kids, so that a key with dots in it may lead there
}

// A key is what two names are compared by before their bytes are: the length and the first and last eight bytes. Up to
// sixteen bytes it is the whole name.
type key struct {
	first, last uint64
	n           int
}

func makeKey(name []byte) key {
	if len(name) >= 8 {
		return key{binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[len(name)-8:]), len(name)}
	}
	var b [8]byte
	copy(b[:], name)
	return key{binary.LittleEndian.Uint64(b[:]), 0, len(name)}
}

// keyAt makes the key of text[start:end]. It reads short names in one go too, where the text is long enough.
func keyAt(text []byte, start, end int) key {
	n := end - start
	if n < 8 && start+8 <= len(text) {
		return key{binary.LittleEndian.Uint64(text[start:]) & (1<<(8*n) - 1), 0, n}
	}
	return makeKey(text[start:end])
}

// hash spreads keys over the slots of kids. Long names are hashed as a whole, so that many that differ only in the middle
// do not share a slot.
func (k key) hash(name []byte) uint64 {
	if k.n > 16 {
		return hashText(name)
	}
	hi, lo := bits.Mul64(k.first^0x9e3779b97f4a7c15, bits.RotateLeft64(k.last, 17)^uint64(k.n)^0xd6e8feb86659fd93)
	return hi ^ lo
}

// filterBit is the bit of a name in the filter of kids; most names that no pattern knows miss there.
func (k key) filterBit() uint64 { return 1 << ((k.first + 7*uint64(k.n)) & 63) }

// find returns the node that a name leads to, or nil. Dots in the name mean nothing to it.
func (s *kids) find(k key, name []byte) *node {
	if s.filter.Load()&k.filterBit() == 0 {
		return nil
	}
	slots := *s.slots.Load()
	mask := uint64(len(slots) - 1)
	for i := k.hash(name) & mask; ; i = (i + 1) & mask {
		kid := slots[i].Load()
		if kid == nil || kid.key == k && (k.n <= 16 || kid.name == string(name)) {
			return kid
		}
	}
}

// dotted returns the node that a key with dots in it leads to: the same as that of its parts, one in the other.
func (n *node) dotted(name []byte) *node {
	for {
		part, rest, more := bytes.Cut(name, dot)
		if n = n.kids.find(makeKey(part), part); n == nil || !more {
			return n
		}
		name = rest
	}
}

var dot = []byte{'.'}

// at returns the node of a path, which it makes if need be. Only the writer may call it.
func (n *node) at(path string) *node {
	for {
		name, rest, more := strings.Cut(path, ".")
		if more {
			n.kids.deep.Store(true)
		}
		n = n.kids.at(name)
		if !more {
			return n
		}
		path = rest
	}
}

func (s *kids) at(name string) *node {
	k := makeKey([]byte(name))
	if kid := s.find(k, []byte(name)); kid != nil {
		return kid
	}
	kid := &node{name: name, key: k, index: len(s.list.load()), needle: makeNeedle(name)}
	if p := s.slots.Load(); p == nil || 2*(kid.index+1) > len(*p) {
		s.grow()
	}
	s.insert(*s.slots.Load(), kid)
	s.list.push(kid)
	s.filter.Store(s.filter.Load() | k.filterBit())
	return kid
}

func (s *kids) grow() {
	list := s.list.load()
	bigger := make([]atomic.Pointer[node], max(4, 4*len(list)))
	for _, kid := range list {
		s.insert(bigger, kid)
	}
	s.slots.Store(&bigger)
}

func (s *kids) insert(slots []atomic.Pointer[node], kid *node) {
	mask := uint64(len(slots) - 1)
	i := kid.key.hash([]byte(kid.name)) & mask
	for slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	slots[i].Store(kid)
}
