package pattern

// A Scratch is the working memory of a match. The zero value is ready to use, with any set; who matches often keeps one per
// goroutine.
type Scratch struct {
	ids   []ID
	epoch uint32 // counts matches, so that nothing must be cleared between two

	// Reading.
	event      []byte
	err        error
	text       []byte  // strings that had escapes
	open       []*node // the objects being read, from the outermost
	incomplete int     // how many of these lack members that patterns name
	arrays     int     // how many arrays are being read
	tries      int     // how often the end was looked for
	in         int32   // the element being read, or outside
	arrayCount int32
	elements   []element
	leaves     []leaf // from 1 on
	fields     []fieldState
	touched    []*field // that have leaves

	// Matching.
	version uint64
	again   bool   // the field in hand has several leaves, which may lead to the same conjunction
	lower   []byte // the value in hand, in lower case
	tried   serials
	memo    []verdict
	fit     fitter
}

// An element is a place in an array of an event.
type element struct {
	array int32 // numbers the arrays of an event
	outer int32 // the element that the array lies in, or outside
	depth int32 // how many elements it lies in, itself included
}

// A fieldState lists the leaves of a field.
type fieldState struct {
	epoch       uint32 // if this is that of the scratch, there are some
	n           int32
	first, last int32
	inArray     bool // some of them
}

// A verdict is what was found out about a clause.
type verdict struct {
	serial uint64 // of the clause
	epoch  uint32
	holds  bool
}

const memoSize = 1024 // verdicts; those of clauses that meet in a place displace each other

// Match returns the ids of the patterns that match an event, each once, in any order. They are valid until the next Match
// with the same scratch.
//
// The event must be a JSON object, such as [AppendCompact] has let pass, though it may have blanks; whether it is JSON in all
// its parts is not checked again. Errors say that it is none, or so contrived that matching it would take forever.
func (s *Set) Match(event []byte, scratch *Scratch) ([]ID, error) {
	for {
		x := s.index.Load()
		if x == nil {
			x = emptyIndex
		}
		tidied := x.tidied.Load()
		if err := scratch.match(x, event); err != nil {
			return nil, err
		}
		// Dropping what is dead may have taken something away that was still alive in the version that was matched.
		if x.tidied.Load() == tidied {
			return scratch.ids, nil
		}
	}
}

var emptyIndex = newIndex()

func (s *Scratch) match(x *index, event []byte) error {
	s.start()
	s.version = x.version.Load()
	if err := s.read(&x.root, event); err != nil {
		return err
	}
	s.again = false
	s.tryAll(&x.always)
	for _, f := range s.touched {
		state := &s.fields[f.id]
		s.again = state.n > 1
		for i := state.first; i != 0; i = s.leaves[i].next {
			f.find(s, &s.leaves[i])
		}
	}
	return s.err
}

// start forgets the last match.
func (s *Scratch) start() {
	if s.epoch++; s.epoch == 0 || s.memo == nil {
		*s = Scratch{epoch: 1, memo: make([]verdict, memoSize), leaves: make([]leaf, 1, 16)}
	}
	s.ids, s.text, s.elements, s.leaves, s.touched = s.ids[:0], s.text[:0], s.elements[:0], s.leaves[:1], s.touched[:0]
	s.in, s.arrayCount = outside, 0
	s.tried.clear()
	s.fit.steps, s.fit.leaves = 0, 0
}

func (s *Scratch) tryEntry(e *entry) {
	if e != nil {
		s.tryAll(&e.hits)
	}
}

func (s *Scratch) tryAll(h *hits) {
	c := h.one.Load()
	if c == nil {
		return
	}
	s.try(c)
	for _, c := range h.more.load() {
		s.try(c)
	}
}

// try looks at a conjunction that a value led to.
func (s *Scratch) try(c *conj) {
	r := c.rule
	if s.version < r.added || s.version >= r.removed.Load() {
		return
	}
	if (s.again || c.several) && !s.tried.add(c.serial) {
		return
	}
	for _, cl := range c.clauses[c.check:] {
		if !s.holds(cl) {
			return
		}
	}
	if s.arrayCount > 0 && !s.fits(c) {
		return
	}
	if r.several && !s.tried.add(r.only.serial) {
		return
	}
	s.ids = append(s.ids, r.id)
}

// holds reports whether a clause holds for some leaf, or for their absence; or whether it may, in case that depends on the
// array elements which the other clauses choose.
func (s *Scratch) holds(cl *clause) bool {
	state := s.state(cl.field)
	if state == nil {
		return cl.mayMiss
	}
	if state.n == 1 && len(cl.tests) == 1 && cl.tests[0].more == nil {
		return cl.tests[0].holds(&s.leaves[state.first]) || cl.mayMiss && state.inArray
	}
	v := &s.memo[cl.serial%memoSize]
	if v.serial != cl.serial || v.epoch != s.epoch {
		*v = verdict{cl.serial, s.epoch, s.anyHolds(cl, state)}
	}
	return v.holds || cl.mayMiss && state.inArray
}

// state returns the leaves of a field, or nil if there are none.
func (s *Scratch) state(f *field) *fieldState {
	if f.id >= len(s.fields) || s.fields[f.id].epoch != s.epoch {
		return nil
	}
	return &s.fields[f.id]
}

func (s *Scratch) anyHolds(cl *clause, state *fieldState) bool {
	for i := state.first; i != 0; i = s.leaves[i].next {
		if cl.holds(&s.leaves[i]) {
			return true
		}
	}
	return false
}

// holds reports whether any test holds for a leaf.
func (cl *clause) holds(l *leaf) bool {
	for i := range cl.tests {
		if cl.tests[i].holds(l) {
			return true
		}
	}
	return false
}

// serials is a set of serial numbers that is cleared at no cost.
type serials struct {
	slots []serialSlot // open addressing, a power of two, at most half full
	n     int
	epoch uint32
}

type serialSlot struct {
	serial uint64
	epoch  uint32
}

func (s *serials) clear() {
	s.n = 0
	if s.epoch++; s.epoch == 0 {
		*s = serials{epoch: 1}
	}
}

// add reports whether the number was not in the set.
func (s *serials) add(serial uint64) bool {
	if 2*(s.n+1) > len(s.slots) {
		old := s.slots
		s.slots, s.n = make([]serialSlot, max(64, 4*s.n)), 0
		for _, slot := range old {
			if slot.epoch == s.epoch {
				s.add(slot.serial)
			}
		}
	}
	mask := uint64(len(s.slots) - 1)
	for i := serial * 0x9e3779b97f4a7c15 >> 32 & mask; ; i = (i + 1) & mask {
		switch slot := &s.slots[i]; {
		case slot.epoch != s.epoch:
			*slot = serialSlot{serial, s.epoch}
			s.n++
			return true
		case slot.serial == serial:
			return false
		}
	}
}
