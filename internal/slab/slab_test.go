package slab_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/rialto-events/rialto/internal/slab"
)

// TestSlab compares a slab with a map, and its choice of slots with the obvious one.
func TestSlab(t *testing.T) {
	var s slab.Slab[uint32]
	in := make(map[uint32]bool)
	x := uint32(7)
	for range 200_000 {
		x = x*1664525 + 1013904223
		slot := (x >> 8) % 9000
		if in[slot] {
			s.Free(slot)
			delete(in, slot)
			continue
		}
		got, v := s.Add()
		if in[got] || *v != 0 {
			t.Fatalf("slot %d was given twice, or not emptied: %d", got, *v)
		}
		for lower := range min(got, 50) { // a look at some of the lower ones
			if !in[lower] {
				t.Fatalf("slot %d was given, while %d is free", got, lower)
			}
		}
		*v, in[got] = got+1, true
	}
	for range 300_000 { // beyond what one block of the upper table covers
		got, v := s.Add()
		*v, in[got] = got+1, true
	}
	n := 0
	for slot, v := range s.All() {
		if !in[slot] || *v != slot+1 {
			t.Fatalf("slot %d has %d", slot, *v)
		}
		n++
	}
	if n != len(in) || s.Len() != n {
		t.Errorf("%d slots are in use, %d are counted, want %d", n, s.Len(), len(in))
	}
}

// TestFreeze changes a slab while there are views of it, of which each stays as it was.
func TestFreeze(t *testing.T) {
	var s slab.Slab[uint32]
	contents := func(s *slab.Slab[uint32]) map[uint32]uint32 {
		in := make(map[uint32]uint32)
		for slot, v := range s.All() {
			in[slot] = *v
		}
		return in
	}
	r := rand.New(rand.NewPCG(1, 1))
	in := make(map[uint32]uint32)
	change := func(times int) {
		for range times {
			switch slot := r.Uint32N(5000); {
			case r.IntN(3) == 0:
				got, v := s.Add()
				*v = r.Uint32()
				in[got] = *v
			case s.InUse(slot) && r.IntN(2) == 0:
				s.Free(slot)
				delete(in, slot)
			case s.InUse(slot):
				v := s.Get(slot)
				*v = r.Uint32()
				in[slot] = *v
			}
		}
	}
	type frozen struct {
		view *slab.Slab[uint32]
		want map[uint32]uint32
	}
	var views []frozen
	for range 100 {
		change(500)
		if !maps.Equal(contents(&s), in) || s.Len() != len(in) {
			t.Fatal("the slab is not what was put into it")
		}
		if r.IntN(2) == 0 {
			views = append(views, frozen{s.Freeze(), maps.Clone(in)})
		}
		for _, v := range views {
			if !maps.Equal(contents(v.view), v.want) || v.view.Len() != len(v.want) {
				t.Fatal("a view has changed")
			}
		}
		if len(views) > 3 {
			views = views[1:]
			s.Thaw()
		}
	}
}
