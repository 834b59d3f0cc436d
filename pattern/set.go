package pattern

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rialto-events/rialto/pattern/syntax"
)

// A Set is a set of patterns that is matched as a whole. The zero value is empty and ready to use. Any number of goroutines
// may match while others add and remove, which they do one at a time.
type Set struct {
	index atomic.Pointer[index] // what readers see; nil as long as nothing was added

	mu    sync.Mutex
	rules map[ID]*rule
	dead  []*rule // removed, but still filed
}

// An index leads from the values of an event to patterns. It grows in place, under the eyes of the readers, and is replaced
// when it has too many paths that no pattern names any more.
type index struct {
	root    node
	always  hits          // conjunctions that no leaf leads to, since they ask for absence alone
	version atomic.Uint64 // of the set; see rule
	tidied  atomic.Uint64 // how often what is dead was dropped

	// For the writer.
	clauses map[string]*clause // those that conjunctions can share, by their key
	serial  uint64             // the last that was given out
	fields  int
	paths   map[string]*path
}

// A path counts the clauses on a field.
type path struct {
	name    string
	field   *field
	clauses int // of all conjunctions together
}

// A rule is a pattern in the set. Readers that see a version of the set from added on and before removed see the rule.
//
// What matching reads of a rule with one alternative lies together in memory, in two cache lines: of many rules, those that an
// event leads to are in none of the processor's caches.
type rule struct {
	entry   entry // the first place where the rule is filed, if no other was there before
	added   uint64
	removed atomic.Uint64
	id      ID
	several bool // alternatives
	only    conj // the alternative if there is one; of it, several need the serial alone
	conjs   []*conj
	pattern *Pattern
}

func (r *rule) alive() bool { return r.removed.Load() == never }

const never = math.MaxUint64

// A conj is an alternative of a pattern: clauses that must hold together. It is filed by its first clause.
type conj struct {
	rule    *rule
	several bool  // ways may lead here from one value
	check   uint8 // from which clause on they must be looked at when a value led here: 0 or 1
	serial  uint64
	clauses []*clause // first that by which it is filed
	filed   []filing
}

// A clause is the tests of a field, any of which must hold.
type clause struct {
	path    *path
	field   *field
	serial  uint64
	mayMiss bool // one test is for absence
	tests   []test
	key     string // if it may be shared
	users   int    // conjunctions that share it
}

// Add puts a pattern into the set. If there is one of that id, it is replaced: every Match sees the one or the other.
func (s *Set) Add(id ID, p *Pattern) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules == nil {
		s.rules = make(map[ID]*rule)
		s.index.Store(newIndex())
	}
	x := s.index.Load()
	version := x.version.Load() + 1
	s.remove(id, version)
	s.rules[id] = x.add(id, p, version)
	x.version.Store(version)
	s.tidy()
}

// Remove takes a pattern out of the set, if it is there.
func (s *Set) Remove(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules[id] == nil {
		return
	}
	x := s.index.Load()
	version := x.version.Load() + 1
	s.remove(id, version)
	x.version.Store(version)
	s.tidy()
}

// Len returns how many patterns there are.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rules)
}

func (s *Set) remove(id ID, version uint64) {
	if r := s.rules[id]; r != nil {
		r.removed.Store(version)
		s.dead = append(s.dead, r)
		delete(s.rules, id)
	}
}

// Tidying pays when a part of the set is dead; these are the sizes from which on it is done at all.
const (
	minDead      = 64
	minDeadPaths = 1024
)

// tidy drops what is dead, once there is so much that this costs little for each.
func (s *Set) tidy() {
	if len(s.dead) < minDead+len(s.rules)/4 {
		return
	}
	x := s.index.Load()
	x.tidied.Add(1)
	x.drop(s.dead)
	s.dead = nil
	if x.fields-len(x.paths) > minDeadPaths+len(x.paths) {
		s.rebuild()
	}
}

// rebuild makes an index anew, without the fields that have died.
func (s *Set) rebuild() {
	x := newIndex()
	for id, r := range s.rules {
		s.rules[id] = x.add(id, r.pattern, 1)
	}
	x.version.Store(1)
	s.index.Store(x)
}

func newIndex() *index {
	return &index{clauses: make(map[string]*clause), paths: make(map[string]*path)}
}

// add files a pattern.
func (x *index) add(id ID, p *Pattern, version uint64) *rule {
	r := &rule{id: id, added: version, several: len(p.Alternatives) > 1, pattern: p}
	r.removed.Store(never)
	if !r.several {
		r.conjs = []*conj{&r.only}
	} else {
		r.only.serial = x.next()
		for range p.Alternatives {
			r.conjs = append(r.conjs, new(conj))
		}
	}
	for i, a := range p.Alternatives {
		x.file(r.conjs[i], r, a)
	}
	return r
}

func (x *index) next() uint64 {
	x.serial++
	return x.serial
}

// file makes a conjunction of an alternative and files it by the field whose values seem to lead there the most rarely.
func (x *index) file(c *conj, r *rule, a syntax.Alternative) {
	*c = conj{rule: r, serial: x.next(), clauses: make([]*clause, len(a))}
	var best []place
	least := math.MaxInt
	for i, f := range a {
		cl := &clause{path: x.path(f.Path), tests: compileAll(f.Tests), mayMiss: asksForAbsence(f)}
		cl.path.clauses++
		cl.field = cl.path.field
		c.clauses[i] = cl
		if cl.mayMiss {
			continue
		}
		places, cost := cl.places()
		if isEnvelope(f.Path) {
			cost = 4*cost + 4
		}
		if cost < least {
			best, least = places, cost
			c.clauses[0], c.clauses[i] = cl, c.clauses[0]
		}
	}
	c.several = len(best) > 1
	doubt := best == nil
	for _, p := range best {
		doubt = doubt || p.doubt
		c.several = c.several || p.use == useGrams
	}
	if !doubt {
		c.check = 1
	}
	for i := int(c.check); i < len(c.clauses); i++ {
		c.clauses[i] = x.share(c.clauses[i])
	}
	for _, p := range best {
		c.filed = append(c.filed, c.clauses[0].field.file(p, c))
	}
	if best == nil {
		x.always.add(c)
		c.filed = []filing{&x.always}
	}
}

func asksForAbsence(f syntax.Field) bool {
	return slices.ContainsFunc(f.Tests, func(t syntax.Test) bool { return t.Op == syntax.Absent })
}

// isEnvelope reports whether a path is one of those that all events have; few values of these occur, each often.
func isEnvelope(path string) bool {
	for i := range len(path) {
		if path[i] == '.' {
			return false
		}
	}
	return true
}

// places returns the places to file a clause by, all of which are needed, and what they cost.
func (cl *clause) places() (all []place, cost int) {
	for i := range cl.tests {
		var cheapest []place
		least := math.MaxInt
		for _, option := range cl.field.options(&cl.tests[i]) {
			sum := 0
			for _, p := range option {
				sum += cl.field.cost(p)
			}
			if sum < least {
				cheapest, least = option, sum
			}
		}
		all = append(all, cheapest...)
		cost += least
	}
	return all, cost
}

// path returns the path of that name, which it makes if need be.
func (x *index) path(name string) *path {
	if p := x.paths[name]; p != nil {
		return p
	}
	n := x.root.at(name)
	f := n.field.Load()
	if f == nil {
		f = &field{id: x.fields}
		x.fields++
		n.field.Store(f)
	}
	p := &path{name: name, field: f}
	x.paths[name] = p
	return p
}

// share returns the clause that asks the same as cl.
func (x *index) share(cl *clause) *clause {
	key := append([]byte(nil), byte(cl.field.id), byte(cl.field.id>>8), byte(cl.field.id>>16), byte(cl.field.id>>24))
	for i := range cl.tests {
		key = cl.tests[i].appendKey(key)
	}
	if known := x.clauses[string(key)]; known != nil {
		known.users++
		return known
	}
	cl.serial, cl.key, cl.users = x.next(), string(key), 1
	x.clauses[cl.key] = cl
	return cl
}

// drop takes the traces of removed rules out of the index.
func (x *index) drop(dead []*rule) {
	filed := make(map[filing]bool)
	for _, r := range dead {
		for _, c := range r.conjs {
			for _, f := range c.filed {
				filed[f] = true
			}
			for _, cl := range c.clauses {
				if cl.users--; cl.users == 0 {
					delete(x.clauses, cl.key)
				}
				if cl.path.clauses--; cl.path.clauses == 0 {
					delete(x.paths, cl.path.name)
				}
			}
		}
	}
	for f := range filed {
		f.tidy()
	}
}
