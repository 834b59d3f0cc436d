package deliver

import (
	"iter"
	"math/bits"
)

// A slab keeps small values in numbered slots. A new one gets the lowest free slot, so that the slots in use, and nothing else,
// decide which comes next: two machines that have the same values in the same slots go on in the same way. The values have no
// addresses to follow, so a million of them are no work for the garbage collector.
//
//	blocks  1…         a bit for every word of words that is all ones
//	words   1011…      a bit for every word of used that is all ones
//	used    1111 0110  a bit for every slot in use
type slab[T any] struct {
	pages  []*page[T] // nil where all slots are free
	counts []int32    // slots in use in each page
	used   []uint64
	words  []uint64
	blocks []uint64
	spare  *page[T] // an empty page, so that a slab which grows and shrinks by one value is cheap
	n      int      // slots in use
}

const (
	pageSize = 1024
	maxSlots = 1 << 26 // no snapshot has a higher slot; a damaged one cannot make its reader reserve more
)

// A page of values of 32 bytes is as large as one of the sizes that memory comes in. A count in it would make it a quarter larger.
type page[T any] [pageSize]T

// get returns the value in a slot that is in use.
func (s *slab[T]) get(slot uint32) *T { return &s.pages[slot/pageSize][slot%pageSize] }

func (s *slab[T]) inUse(slot uint32) bool {
	i := int(slot / 64)
	return i < len(s.used) && s.used[i]&(1<<(slot%64)) != 0
}

// add takes the lowest free slot. The value in it is zero.
func (s *slab[T]) add() (uint32, *T) {
	slot := s.lowestFree()
	return slot, s.use(slot)
}

func (s *slab[T]) lowestFree() uint32 {
	block := uint32(len(s.blocks) * 64)
	for i, w := range s.blocks {
		if ^w != 0 {
			block = uint32(i*64 + bits.TrailingZeros64(^w))
			break
		}
	}
	s.grow(block * 64 * 64)
	word := block*64 + uint32(bits.TrailingZeros64(^s.words[block]))
	s.grow(word * 64)
	return word*64 + uint32(bits.TrailingZeros64(^s.used[word]))
}

// claim takes a particular slot, for a snapshot that is being read. It fails if the slot is in use.
func (s *slab[T]) claim(slot uint32) (*T, bool) {
	if slot >= maxSlots || s.inUse(slot) {
		return nil, false
	}
	return s.use(slot), true
}

func (s *slab[T]) use(slot uint32) *T {
	s.grow(slot)
	p := s.pages[slot/pageSize]
	if p == nil {
		p, s.spare = s.spare, nil
		if p == nil {
			p = new(page[T])
		}
		s.pages[slot/pageSize] = p
	}
	s.counts[slot/pageSize]++
	s.n++
	word := slot / 64
	s.used[word] |= 1 << (slot % 64)
	if ^s.used[word] == 0 {
		s.words[word/64] |= 1 << (word % 64)
		if ^s.words[word/64] == 0 {
			s.blocks[word/64/64] |= 1 << (word / 64 % 64)
		}
	}
	return &p[slot%pageSize]
}

// free gives a slot back.
func (s *slab[T]) free(slot uint32) {
	i, word := slot/pageSize, slot/64
	p := s.pages[i]
	var zero T
	p[slot%pageSize] = zero
	s.used[word] &^= 1 << (slot % 64)
	s.words[word/64] &^= 1 << (word % 64)
	s.blocks[word/64/64] &^= 1 << (word / 64 % 64)
	s.n--
	if s.counts[i]--; s.counts[i] == 0 {
		s.pages[i] = nil
		s.spare = p
	}
}

// grow makes sure that the tables have a place for a slot.
func (s *slab[T]) grow(slot uint32) {
	s.pages = extend(s.pages, int(slot/pageSize)+1)
	s.counts = extend(s.counts, int(slot/pageSize)+1)
	s.used = extend(s.used, int(slot/64)+1)
	s.words = extend(s.words, int(slot/64/64)+1)
	s.blocks = extend(s.blocks, int(slot/64/64/64)+1)
}

func extend[E any](list []E, n int) []E {
	if n <= len(list) {
		return list
	}
	return append(list, make([]E, n-len(list))...)
}

// all yields the slots in use, lowest first.
func (s *slab[T]) all() iter.Seq2[uint32, *T] {
	return func(yield func(uint32, *T) bool) {
		for i, word := range s.used {
			for ; word != 0; word &= word - 1 {
				slot := uint32(i*64 + bits.TrailingZeros64(word))
				if !yield(slot, s.get(slot)) {
					return
				}
			}
		}
	}
}
