// Package slab keeps values in numbered slots. Start with [Slab].
package slab

import (
	"iter"
	"math/bits"
	"slices"
)

// A Slab keeps small values in numbered slots. A new one gets the lowest free slot, so that the slots in use, and nothing else,
// decide which comes next: two machines that have the same values in the same slots go on in the same way. The values should have no
// addresses to follow, so that a million of them are no work for the garbage collector. The zero value is empty and ready to use.
//
//	blocks  1…         a bit for every word of words that is all ones
//	words   1011…      a bit for every word of used that is all ones
//	used    1111 0110  a bit for every slot in use
type Slab[T any] struct {
	pages  []*page[T] // nil where all slots are free
	counts []int32    // slots in use in each page
	used   []uint64
	words  []uint64
	blocks []uint64
	spare  *page[T] // an empty page, so that a slab which grows and shrinks by one value is cheap
	n      int      // slots in use

	views  int    // that are in use, see Freeze
	shared []bool // while there are any: pages that they may have, too
}

const pageSize = 1024

// MaxSlots is above every slot: a snapshot that is damaged cannot make its reader reserve more.
const MaxSlots = 1 << 26

// A page of values of 32 bytes is as large as one of the sizes that memory comes in. A count in it would make it a quarter larger.
type page[T any] [pageSize]T

// Len is how many slots are in use.
func (s *Slab[T]) Len() int { return s.n }

// Get returns the value in a slot that is in use, which may be changed.
func (s *Slab[T]) Get(slot uint32) *T { return &s.own(slot / pageSize)[slot%pageSize] }

// Peek returns the value in a slot that is in use, which must not be changed.
func (s *Slab[T]) Peek(slot uint32) *T { return &s.pages[slot/pageSize][slot%pageSize] }

// own returns a page that no view has.
func (s *Slab[T]) own(i uint32) *page[T] {
	p := s.pages[i]
	if s.views > 0 && p != nil && int(i) < len(s.shared) && s.shared[i] {
		is := *p
		p = &is
		s.pages[i], s.shared[i] = p, false
	}
	return p
}

// Freeze returns a slab with the same values, which is not to be changed, but may be read by another goroutine. Until Thaw this one changes copies.
func (s *Slab[T]) Freeze() *Slab[T] {
	s.views++
	s.shared = slices.Repeat([]bool{true}, len(s.pages))
	return &Slab[T]{pages: slices.Clone(s.pages), used: slices.Clone(s.used), n: s.n}
}

// Thaw ends the use of what Freeze has returned.
func (s *Slab[T]) Thaw() {
	if s.views--; s.views == 0 {
		s.shared = nil
	}
}

// InUse reports whether a slot is in use.
func (s *Slab[T]) InUse(slot uint32) bool {
	i := int(slot / 64)
	return i < len(s.used) && s.used[i]&(1<<(slot%64)) != 0
}

// Add takes the lowest free slot. The value in it is zero.
func (s *Slab[T]) Add() (uint32, *T) {
	slot := s.lowestFree()
	return slot, s.use(slot)
}

func (s *Slab[T]) lowestFree() uint32 {
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

// Claim takes a particular slot, for a snapshot that is being read. It fails if the slot is in use.
func (s *Slab[T]) Claim(slot uint32) (*T, bool) {
	if slot >= MaxSlots || s.InUse(slot) {
		return nil, false
	}
	return s.use(slot), true
}

func (s *Slab[T]) use(slot uint32) *T {
	s.grow(slot)
	p := s.own(slot / pageSize)
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

// Free gives a slot back.
func (s *Slab[T]) Free(slot uint32) {
	i, word := slot/pageSize, slot/64
	p := s.own(i)
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
func (s *Slab[T]) grow(slot uint32) {
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

// All yields the slots in use, lowest first. The values must not be changed.
func (s *Slab[T]) All() iter.Seq2[uint32, *T] {
	return func(yield func(uint32, *T) bool) {
		for i, word := range s.used {
			for ; word != 0; word &= word - 1 {
				slot := uint32(i*64 + bits.TrailingZeros64(word))
				if !yield(slot, s.Peek(slot)) {
					return
				}
			}
		}
	}
}
