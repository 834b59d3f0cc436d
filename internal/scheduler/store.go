package scheduler

import (
	"bytes"
	"hash/maphash"
	"iter"
	"slices"

	"github.com/tidwall/btree"

	"github.com/rialto-events/rialto/internal/slab"
)

// none is no slot.
const none = ^uint32(0)

// A store has entries in slots, and finds them by their keys. It has next to nothing for the garbage collector to look into, since there may be
// millions.
type store struct {
	slab.Slab[entry]
	keys   keys
	byHash map[uint64]uint32 // the first of the slots whose keys have a hash; the others follow by entry.chain
	seed   maphash.Seed
	order  *btree.BTreeG[uint32] // slots by key
	sought []byte                // the key of none, for those who look for a place in the order
}

func newStore() *store {
	s := &store{byHash: make(map[uint64]uint32), seed: maphash.MakeSeed()}
	s.order = btree.NewBTreeGOptions(func(a, b uint32) bool {
		return bytes.Compare(s.keyOf(a), s.keyOf(b)) < 0
	}, btree.Options{NoLocks: true, Degree: 64})
	return s
}

// keyOf is the key of the entry in a slot. It is valid until the next change.
func (s *store) keyOf(slot uint32) []byte {
	if slot == none {
		return s.sought
	}
	return s.keys.get(s.Peek(slot).key)
}

// find returns the slot of a key, or none.
func (s *store) find(key []byte) uint32 {
	slot, ok := s.byHash[maphash.Bytes(s.seed, key)]
	for ok && slot != none && !bytes.Equal(s.keyOf(slot), key) {
		slot = s.Peek(slot).chain
	}
	if !ok {
		return none
	}
	return slot
}

// at returns the entry of a key, nil if there is none. It must not be changed.
func (s *store) at(key string) *entry {
	slot := s.find([]byte(key))
	if slot == none {
		return nil
	}
	return s.Peek(slot)
}

// insert makes an entry for a key that is not there.
func (s *store) insert(key []byte) uint32 {
	slot := s.put(key)
	s.order.Set(slot)
	return slot
}

// put is insert without a place in the order.
func (s *store) put(key []byte) uint32 {
	slot, e := s.Add()
	e.key, e.chain, e.index = s.keys.add(key), none, -1
	hash := maphash.Bytes(s.seed, key)
	if first, ok := s.byHash[hash]; ok {
		e.chain = first
	}
	s.byHash[hash] = slot
	return slot
}

// remove forgets the entry in a slot.
func (s *store) remove(slot uint32) {
	s.order.Delete(slot)
	e := s.Peek(slot)
	s.unchain(maphash.Bytes(s.seed, s.keys.get(e.key)), slot, e.chain)
	s.keys.remove(e.key)
	s.Free(slot)
	if s.keys.sparse() {
		s.pack()
	}
}

func (s *store) unchain(hash uint64, slot, next uint32) {
	first := s.byHash[hash]
	switch {
	case first != slot:
		for s.Peek(first).chain != slot {
			first = s.Peek(first).chain
		}
		s.Get(first).chain = next
	case next == none:
		delete(s.byHash, hash)
	default:
		s.byHash[hash] = next
	}
}

// pack writes all keys anew.
func (s *store) pack() {
	var packed keys
	for slot, e := range s.All() {
		s.Get(slot).key = packed.add(s.keys.get(e.key))
	}
	s.keys = packed
}

// from yields slots in the order of their keys, from a key on. Nothing may change meanwhile.
func (s *store) from(key []byte) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		s.sought = key
		s.order.Ascend(none, yield)
	}
}

// freeze returns a store as it is now, of which only the entries, their keys and their order are to be used: until thaw, this one changes copies.
func (s *store) freeze() *store {
	return &store{Slab: *s.Freeze(), keys: keys{chunks: slices.Clone(s.keys.chunks)}, order: s.order.Copy()}
}
