package scheduler

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestStore compares a store with a map while keys come and go, and views of it with what it was.
func TestStore(t *testing.T) {
	for _, keys := range []int{10, 5_000} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			s, in := newStore(), make(map[string]int64)
			r := rand.New(rand.NewPCG(1, 1))
			contents := func(s *store) (list []string) {
				s.order.Scan(func(slot uint32) bool {
					list = append(list, fmt.Sprintf("%s %d", s.keyOf(slot), s.Peek(slot).due))
					return true
				})
				return list
			}
			wanted := func() (list []string) {
				for _, key := range slices.Sorted(maps.Keys(in)) {
					list = append(list, fmt.Sprintf("%s %d", key, in[key]))
				}
				return list
			}
			type view struct {
				is   *store
				want []string
			}
			var views []view
			for round := range 40 {
				for range 1000 {
					key := fmt.Sprintf("schedule|home/%0200d", r.IntN(keys))
					slot := s.find([]byte(key))
					if _, there := in[key]; there != (slot != none) {
						t.Fatalf("%s is found at %d, and it is %t that it is there", key, slot, there)
					}
					switch {
					case slot == none:
						slot = s.insert([]byte(key))
						fallthrough
					case r.IntN(2) == 0:
						in[key] = r.Int64()
						s.Get(slot).due = in[key]
					default:
						s.remove(slot)
						delete(in, key)
					}
				}
				if got, want := contents(s), wanted(); !slices.Equal(got, want) {
					t.Fatalf("round %d: the store has %d entries, and should have %d", round, len(got), len(want))
				}
				views = append(views, view{s.freeze(), wanted()})
				for _, v := range views {
					if !slices.Equal(contents(v.is), v.want) {
						t.Fatalf("round %d: a view has changed", round)
					}
				}
				if len(views) > 3 {
					views = views[1:]
					s.Thaw()
				}
			}
			if s.keys.dead > s.keys.live+keySlack {
				t.Errorf("%d bytes of keys are dead, and %d alive", s.keys.dead, s.keys.live)
			}
		})
	}
}

// TestHashesThatAreTheSame has keys share a hash, which is too rare to wait for.
func TestHashesThatAreTheSame(t *testing.T) {
	s := newStore()
	var slots []uint32
	for i := range 3 {
		slots = append(slots, s.insert(fmt.Appendf(nil, "key %d", i)))
	}
	clear(s.byHash)
	const hash = 7
	for i, slot := range slots {
		s.Get(slot).chain = none
		if i > 0 {
			s.Get(slot).chain = slots[i-1]
		}
		s.byHash[hash] = slot
	}
	s.unchain(hash, slots[1], s.Peek(slots[1]).chain)
	if s.Peek(slots[2]).chain != slots[0] || s.byHash[hash] != slots[2] {
		t.Error("the one in the middle was not taken out alone")
	}
	s.unchain(hash, slots[2], s.Peek(slots[2]).chain)
	if s.byHash[hash] != slots[0] {
		t.Error("the first was not taken out alone")
	}
	s.unchain(hash, slots[0], s.Peek(slots[0]).chain)
	if len(s.byHash) != 0 {
		t.Error("the last was not taken out")
	}
}
