package pattern

import "errors"

// This file decides whether the leaves of an event that satisfy the clauses of a conjunction go together: whether there is a
// choice of one leaf for each clause such that no two lie in different elements of one array, and such that the clauses for
// absence find no leaf in the elements chosen.
//
// It walks through the leaves in the order of the event, which is also that of the tree of arrays and their elements:
//
//	{"items": [{"sku": "A", "tags": ["x", "y"]}, {"sku": "B"}]}
//
//	event ── array items ─┬─ element 0 ─┬─ leaf sku A
//	                      │             └─ array tags ─┬─ element 0 ── leaf x
//	                      │                            └─ element 1 ── leaf y
//	                      └─ element 1 ─── leaf sku B
//
// For the event and each element it finds the choices that can be made within: those of the leaves directly there, times
// those of each array, which are the choices of any of its elements, or none in it. Choices that are no better than others
// are dropped, and mostly there are one or two left, so that the time is that of reading the leaves. One can think of
// conjunctions and events for which it is not; then the work is bounded.

// errTooHard says that the bound was met.
var errTooHard = errors.New("the arrays of the event allow too many combinations to try them all")

// maxSteps is how many choices are compared in all for an event, apart from comparisons with one or two; about a tenth of a
// second.
const maxSteps = 1 << 24

// A choice is a way to choose leaves, as far as it matters for the rest. Bits stand for clauses.
type choice struct {
	served uint64 // clauses for which a leaf is chosen
	marred uint64 // clauses for absence that find a leaf
}

// maxClauses is the number of bits.
const maxClauses = 64

// A fitter is the state of a decision.
type fitter struct {
	clauses []fitting
	absence bool     // some clause asks for it, and there are leaves
	trail   []int32  // the elements that the leaf in hand lies in, from the outermost
	at      int      // the clause of the leaf in hand, or -1 after the last leaf
	levels  []*level // by depth
	steps   int      // of all decisions for the event, up to maxSteps
	leaves  int      // looked at in all these decisions
}

// A fitting is a clause and its next leaf.
type fitting struct {
	clause *clause
	next   int32 // 0 if there is no more
	holds  bool  // for that leaf
}

// A level is what is found out about the elements at some depth.
type level struct {
	choices []choice // in the element in hand
	inArray []choice // in the elements so far of the array in hand
	product []choice
}

// fits reports whether there are leaves for all clauses of a conjunction that go together.
func (s *Scratch) fits(c *conj) bool {
	f := &s.fit
	f.clauses, f.absence = f.clauses[:0], false
	for _, cl := range c.clauses {
		if state := s.state(cl.field); state != nil && state.inArray {
			f.clauses = append(f.clauses, fitting{clause: cl, next: state.first})
			f.absence = f.absence || cl.mayMiss
		}
	}
	if len(f.clauses) < 2 && !f.absence {
		return true
	}
	if len(f.clauses) > maxClauses {
		s.err = errTooHard
		return false
	}
	for i := range f.clauses {
		s.settleNext(&f.clauses[i])
	}
	f.at = -1
	s.advance()
	return s.anySolves(s.choices(outside, 0))
}

// settleNext passes over leaves that do not matter.
func (s *Scratch) settleNext(f *fitting) {
	for ; f.next != 0; s.fit.leaves++ {
		if f.holds = f.clause.holds(&s.leaves[f.next]); f.holds || f.clause.mayMiss {
			return
		}
		f.next = s.leaves[f.next].next
	}
}

// advance goes to the next leaf in the order of the event.
func (s *Scratch) advance() {
	f := &s.fit
	if f.at >= 0 {
		done := &f.clauses[f.at]
		done.next = s.leaves[done.next].next
		s.settleNext(done)
	}
	f.at = -1
	for i := range f.clauses {
		if next := f.clauses[i].next; next != 0 && (f.at < 0 || next < f.clauses[f.at].next) {
			f.at = i
		}
	}
	if f.at < 0 {
		f.trail = f.trail[:0]
		return
	}
	in := s.leaves[f.clauses[f.at].next].in
	if in == outside {
		f.trail = f.trail[:0]
		return
	}
	depth := int(s.elements[in].depth)
	for len(f.trail) < depth {
		f.trail = append(f.trail, outside)
	}
	f.trail = f.trail[:depth]
	for i := depth - 1; i >= 0 && f.trail[i] != in; i-- {
		f.trail[i] = in
		in = s.elements[in].outer
	}
}

// choices returns the choices within an element, whose depth is given, or within the event. It goes on to the first leaf
// that is not in there.
func (s *Scratch) choices(in int32, depth int) []choice {
	f := &s.fit
	for len(f.levels) <= depth {
		f.levels = append(f.levels, new(level))
	}
	l := f.levels[depth]
	l.choices = append(l.choices[:0], choice{})
	for f.at >= 0 && s.err == nil && (depth == 0 || len(f.trail) >= depth && f.trail[depth-1] == in) {
		if len(f.trail) == depth {
			s.chooseLeaf(l)
			s.advance()
		} else {
			s.chooseInArray(l, depth)
		}
	}
	return l.choices
}

// chooseLeaf adds a leaf that lies directly in the element in hand.
func (s *Scratch) chooseLeaf(l *level) {
	f := &s.fit
	bit := uint64(1) << f.at
	if f.clauses[f.at].clause.mayMiss {
		for i := range l.choices {
			l.choices[i].marred |= bit
		}
	}
	if !f.clauses[f.at].holds {
		return
	}
	if !f.absence {
		for i := range l.choices {
			l.choices[i].served |= bit
		}
		return
	}
	l.product = append(l.product[:0], l.choices...)
	for _, c := range l.choices {
		l.product = s.include(l.product, choice{c.served | bit, c.marred})
	}
	l.choices, l.product = l.product, l.choices
}

// chooseInArray multiplies the choices in the element in hand with those in an array, which the leaf in hand is in.
func (s *Scratch) chooseInArray(l *level, depth int) {
	f := &s.fit
	array := s.elements[f.trail[depth]].array
	none := choice{} // chosen in the array
	l.inArray = l.inArray[:0]
	for f.at >= 0 && s.err == nil && len(f.trail) > depth && s.elements[f.trail[depth]].array == array {
		for _, c := range s.choices(f.trail[depth], depth+1) {
			none.marred |= c.marred // the choice of nothing, which is always one, has all that can be marred
			if c.served != 0 {
				l.inArray = s.include(l.inArray, c)
			}
		}
	}
	l.inArray = s.include(l.inArray, none)
	l.product = l.product[:0]
	for _, c := range l.choices {
		for _, d := range l.inArray {
			// Without absence nothing is lost if two leaves are chosen for a clause. With it, both would bind elements.
			if !f.absence || c.served&d.served == 0 {
				l.product = s.include(l.product, choice{c.served | d.served, c.marred | d.marred})
			}
		}
	}
	l.choices, l.product = l.product, l.choices
}

// include adds a choice unless there is one that is as good, and drops those that it is better than.
func (s *Scratch) include(choices []choice, c choice) []choice {
	f := &s.fit
	if len(choices) > 2 {
		if f.steps += len(choices); f.steps > maxSteps {
			s.err = errTooHard
			return choices
		}
	}
	kept := choices[:0]
	for i, d := range choices {
		if f.asGood(d, c) {
			return append(kept, choices[i:]...)
		}
		if !f.asGood(c, d) {
			kept = append(kept, d)
		}
	}
	return append(kept, c)
}

// asGood reports whether a is as good as b in every respect. With absence, serving more clauses is no advantage by itself: a
// leaf of theirs in another array might be the better choice.
func (f *fitter) asGood(a, b choice) bool {
	if f.absence {
		return a.served == b.served && a.marred&^b.marred == 0
	}
	return b.served&^a.served == 0
}

// anySolves reports whether one of the choices is one for all clauses.
func (s *Scratch) anySolves(choices []choice) bool {
	if s.err != nil {
		return false
	}
next:
	for _, c := range choices {
		for i := range s.fit.clauses {
			served, marred := c.served>>i&1 != 0, c.marred>>i&1 != 0
			if !served && (marred || !s.fit.clauses[i].clause.mayMiss) {
				continue next
			}
		}
		return true
	}
	return false
}
