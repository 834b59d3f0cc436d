// Package slow matches events against patterns in the most obvious way: it decodes the event, lists its leaves, and tries
// them against every field.
//
// It is what package pattern is tested against, and what tells people why an event did not match. It promises to be
// right, and not to be exponential on events that people send; it is many times slower than package pattern. Start with
// [Match].
package slow

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rialto-events/rialto/pattern/syntax"
)

// Match reports whether the event matches the pattern. The event must be a JSON object.
func Match(p *syntax.Pattern, event []byte) (bool, error) {
	e, err := Read(p, event)
	if err != nil {
		return false, err
	}
	for _, a := range p.Alternatives {
		if found, err := e.Find(a); found != nil || err != nil {
			return found != nil, err
		}
	}
	return false, nil
}

// An Event has the leaves of an event that a pattern asks for, by path.
type Event struct {
	leaves map[string][]Leaf
	fields map[*syntax.Test]candidates // found out before; alternatives share their tests
	steps  int
}

// Read takes an event apart. The event must be a JSON object.
func Read(p *syntax.Pattern, event []byte) (*Event, error) {
	e := &Event{leaves: make(map[string][]Leaf), fields: make(map[*syntax.Test]candidates)}
	longest := 0
	for _, a := range p.Alternatives {
		for _, f := range a {
			e.leaves[f.Path] = nil
			longest = max(longest, len(f.Path))
		}
	}
	all, err := leaves(event, func(path []byte) bool {
		if len(path) > longest {
			return false
		}
		_, ok := e.leaves[string(path)]
		return ok
	})
	for _, l := range all {
		e.leaves[l.Path] = append(e.leaves[l.Path], l)
	}
	return e, err
}

// At returns the leaves at the path of a field.
func (e *Event) At(f syntax.Field) []Leaf { return e.leaves[f.Path] }

// Holding returns the leaves that a field's tests hold for.
func (e *Event) Holding(f syntax.Field) []Leaf { return e.candidates(f).chosen }

// MayMiss reports whether a field asks for absence, among other things perhaps.
func MayMiss(f syntax.Field) bool {
	return slices.ContainsFunc(f.Tests, func(t syntax.Test) bool { return t.Op == syntax.Absent })
}

// candidates are the leaves that come into question for a field.
type candidates struct {
	all     []Leaf // at its path
	chosen  []Leaf // those that a test holds for
	mayMiss bool   // none will also do
}

func (e *Event) candidates(f syntax.Field) candidates {
	if c, ok := e.fields[&f.Tests[0]]; ok {
		return c
	}
	c := candidates{all: e.leaves[f.Path], mayMiss: MayMiss(f)}
	for _, l := range c.all {
		if slices.ContainsFunc(f.Tests, func(t syntax.Test) bool { return Holds(t, l.Value) }) {
			c.chosen = append(c.chosen, l)
		}
	}
	e.fields[&f.Tests[0]] = c
	return c
}

// maxSteps is how many leaves are tried for all the alternatives of a pattern together: more than any event that is not
// made for it needs, and done in a second or so.
const maxSteps = 1 << 24

// ErrTooManySteps says that an event has too many array elements to be matched in this way.
var ErrTooManySteps = errors.New("the arrays of the event allow too many combinations to try them all")

// Find looks for a leaf for each field of an alternative such that no two of them lie in different elements of one array.
// It returns them in the order of the fields, or nil if there are none.
//
// A field that asks for absence needs no leaf: nil stands for it. Instead there must be none at its path in the elements
// where the leaves of the other fields lie, which is none at all if no other field settles the elements.
func (e *Event) Find(a syntax.Alternative) ([]*Leaf, error) {
	s := &search{event: e, elements: make(map[int]int), tried: make(map[string]bool)}
	for _, f := range a {
		c := e.candidates(f)
		if len(c.chosen) == 0 && !c.mayMiss {
			return nil, nil
		}
		s.fields = append(s.fields, c)
	}
	s.findArrays()
	found := s.from(0)
	switch {
	case e.steps > maxSteps:
		return nil, ErrTooManySteps
	case !found:
		return nil, nil
	}
	return s.picked, nil
}

// A search looks for leaves that fit together, field by field.
type search struct {
	event    *Event
	fields   []candidates
	picked   []*Leaf         // so far; nil where a field was taken to be absent
	elements map[int]int     // the element of each array in which the picked leaves lie
	arrays   []map[int]bool  // by field: the arrays that matter from it on
	tried    map[string]bool // states that led nowhere
}

// from reports whether the fields from the i-th on can be satisfied together with what was picked before.
func (s *search) from(i int) bool {
	if i == len(s.fields) {
		return s.absencesHold()
	}
	state := s.state(i)
	if s.tried[state] {
		return false
	}
	for k := range s.fields[i].chosen {
		if s.event.steps++; s.event.steps > maxSteps {
			return false
		}
		l := &s.fields[i].chosen[k]
		if !s.fits(*l) {
			continue
		}
		settled := s.settle(*l)
		s.picked = append(s.picked, l)
		if s.from(i + 1) {
			return true
		}
		s.picked = s.picked[:i]
		for _, array := range settled {
			delete(s.elements, array)
		}
	}
	if s.fields[i].mayMiss {
		s.picked = append(s.picked, nil)
		if s.from(i + 1) {
			return true
		}
		s.picked = s.picked[:i]
	}
	s.tried[state] = true
	return false
}

// fits reports whether a leaf lies in no other element of an array than the picked ones do.
func (s *search) fits(l Leaf) bool {
	for e := l.In; e != nil; e = e.Outer {
		if index, ok := s.elements[e.Array]; ok && index != e.Index {
			return false
		}
	}
	return true
}

// settle notes the elements in which a leaf lies and returns the arrays that were not settled before.
func (s *search) settle(l Leaf) (arrays []int) {
	for e := l.In; e != nil; e = e.Outer {
		if _, ok := s.elements[e.Array]; !ok {
			s.elements[e.Array] = e.Index
			arrays = append(arrays, e.Array)
		}
	}
	return arrays
}

func (s *search) absencesHold() bool {
	for i, l := range s.picked {
		if l == nil && slices.ContainsFunc(s.fields[i].all, s.fits) {
			return false
		}
	}
	return true
}

// findArrays lists for each field the arrays in which it and those after it have leaves, and those in which a field before
// it, once taken to be absent, must have none.
func (s *search) findArrays() {
	s.arrays = make([]map[int]bool, len(s.fields)+1)
	for i := range s.arrays {
		s.arrays[i] = make(map[int]bool)
		for k, f := range s.fields {
			if k < i && !f.mayMiss {
				continue
			}
			for _, l := range f.all {
				for e := l.In; e != nil; e = e.Outer {
					s.arrays[i][e.Array] = true
				}
			}
		}
	}
}

// state describes all that the future of the search depends on. Two ways to the same state have the same future, so only
// one is followed; without this, independent arrays would multiply.
func (s *search) state(i int) string {
	var absent []int
	for k, l := range s.picked {
		if l == nil {
			absent = append(absent, k)
		}
	}
	var settled []string
	for array, index := range s.elements {
		if s.arrays[i][array] {
			settled = append(settled, fmt.Sprintf("%d:%d", array, index))
		}
	}
	slices.Sort(settled)
	return fmt.Sprint(i, absent, settled)
}
