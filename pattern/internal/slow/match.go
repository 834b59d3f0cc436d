// Package slow matches events against patterns in the most obvious way: it decodes the event, lists its leaves, and tries
// them against every field.
//
// It is what package pattern is tested against, and what explains to people why an event did not match. It promises to be
// right, and not to be exponential on events that people send; it is many times slower than package pattern. Start with
// [Match].
package slow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rialto-events/rialto/pattern/syntax"
)

// Match reports whether the event matches the pattern. The event must be a JSON object.
func Match(p *syntax.Pattern, event []byte) (bool, error) {
	leaves, err := LeavesOf(p, event)
	if err != nil {
		return false, err
	}
	at := ByPath(leaves)
	for _, a := range p.Alternatives {
		if MatchAlternative(a, at) {
			return true, nil
		}
	}
	return false, nil
}

// MatchAlternative reports whether the leaves of an event, sorted by path, match an alternative: whether there is a leaf for each field,
// such that no two of them lie in different elements of one array.
//
// A field that asks for absence needs no leaf. Instead there must be none at its path in the elements where the leaves of
// the other fields lie, which is none at all if no other field settles the elements.
func MatchAlternative(a syntax.Alternative, leaves map[string][]Leaf) bool {
	s := &search{elements: make(map[int]int), tried: make(map[string]bool)}
	for _, f := range a {
		c := candidates(f, leaves[f.Path])
		if len(c.chosen) == 0 && !c.mayMiss {
			return false
		}
		s.fields = append(s.fields, c)
	}
	s.findArrays()
	return s.from(0)
}

// A search looks for leaves that fit together, field by field.
type search struct {
	fields   []field
	elements map[int]int     // the element of each array that is settled by the leaves chosen so far
	absent   []int           // the fields that were taken to be absent
	arrays   []map[int]bool  // by field: the arrays that matter from it on
	tried    map[string]bool // states that led nowhere
}

// A field has the leaves of an event that come into question for a field of a pattern.
type field struct {
	chosen  []Leaf // those that a test holds for
	all     []Leaf // all at its path
	mayMiss bool   // it has a test for absence
}

func candidates(f syntax.Field, leaves []Leaf) field {
	c := field{all: leaves}
	for _, l := range leaves {
		if Holds(f, l) {
			c.chosen = append(c.chosen, l)
		}
	}
	for _, t := range f.Tests {
		c.mayMiss = c.mayMiss || t.Op == syntax.Absent
	}
	return c
}

// from reports whether the fields from the i-th on can be satisfied together with what was chosen before.
func (s *search) from(i int) bool {
	if i == len(s.fields) {
		return s.absencesHold()
	}
	state := s.state(i)
	if s.tried[state] {
		return false
	}
	f := s.fields[i]
	for _, l := range f.chosen {
		if !s.fits(l) {
			continue
		}
		settled := s.settle(l)
		if s.from(i + 1) {
			return true
		}
		for _, array := range settled {
			delete(s.elements, array)
		}
	}
	if f.mayMiss {
		s.absent = append(s.absent, i)
		if s.from(i + 1) {
			return true
		}
		s.absent = s.absent[:len(s.absent)-1]
	}
	s.tried[state] = true
	return false
}

// fits reports whether a leaf lies in no other element of an array than those settled.
func (s *search) fits(l Leaf) bool {
	for e := l.In; e != nil; e = e.Outer {
		if index, ok := s.elements[e.Array]; ok && index != e.Index {
			return false
		}
	}
	return true
}

// settle notes the elements in which a chosen leaf lies and returns the arrays that were not settled before.
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
	for _, i := range s.absent {
		for _, l := range s.fields[i].all {
			if s.fits(l) {
				return false
			}
		}
	}
	return true
}

// findArrays lists for each field the arrays in which it and those after it have leaves, and those in which a field before
// it, once taken to be absent, must have none.
func (s *search) findArrays() {
	s.arrays = make([]map[int]bool, len(s.fields)+1)
	for i := len(s.fields); i >= 0; i-- {
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
	var settled []string
	for array, index := range s.elements {
		if s.arrays[i][array] {
			settled = append(settled, fmt.Sprintf("%d:%d", array, index))
		}
	}
	slices.Sort(settled)
	return fmt.Sprint(i, s.absent, settled)
}

// Holds reports whether any of a field's tests holds for a leaf.
func Holds(f syntax.Field, l Leaf) bool {
	for _, t := range f.Tests {
		if holds(t, l.Value) {
			return true
		}
	}
	return false
}

// holds reports whether a test holds for the value of a leaf.
func holds(t syntax.Test, value any) bool {
	switch t.Op {
	case syntax.Exists:
		return true
	case syntax.Absent:
		return false
	case syntax.EqualNull:
		return value == nil
	case syntax.EqualTrue:
		return value == true
	case syntax.EqualFalse:
		return value == false
	case syntax.AnythingBut:
		for _, not := range t.Not {
			if holds(not, value) {
				return false
			}
		}
		return true
	}
	switch v := value.(type) {
	case string:
		return holdsForString(t, v)
	case json.Number:
		return holdsForNumber(t, v.String())
	default:
		return false
	}
}

func holdsForString(t syntax.Test, s string) bool {
	switch t.Op {
	case syntax.Equal:
		return s == t.Text
	case syntax.Prefix:
		return strings.HasPrefix(s, t.Text)
	case syntax.Suffix:
		return strings.HasSuffix(s, t.Text)
	case syntax.EqualFold:
		return syntax.FoldEqual(s, t.Text)
	case syntax.PrefixFold:
		return syntax.FoldPrefix(s, t.Text)
	case syntax.SuffixFold:
		return syntax.FoldSuffix(s, t.Text)
	case syntax.Wildcard:
		return wildcard(t.Parts, s)
	case syntax.CIDR:
		addr, v6, ok := syntax.ParseAddr(s)
		return ok && t.Net.Contains(addr, v6)
	default:
		return false
	}
}

// wildcard reports whether s is made of the parts with anything between them. Taking each part where it first occurs
// leaves the most for those that follow.
func wildcard(parts []string, s string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
	s, ok := strings.CutPrefix(s, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		if !ok {
			return false
		}
		_, s, ok = strings.Cut(s, part)
	}
	return ok && strings.HasSuffix(s, parts[len(parts)-1])
}

func holdsForNumber(t syntax.Test, text string) bool {
	n := syntax.ParseEventNumber(text)
	switch t.Op {
	case syntax.EqualNumber:
		if t.Comparable {
			return n.Comparable && n.Value == t.Number
		}
		return !n.Comparable && text == t.Text && !strings.ContainsAny(text, ".eE")
	case syntax.Numeric:
		return n.Comparable && t.Range.Contains(n.Value)
	default:
		return false
	}
}
