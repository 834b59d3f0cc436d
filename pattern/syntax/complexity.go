package syntax

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// AWS refuses patterns whose wildcards could keep too many states of its matcher alive at once, for some text an event
// might hold. The matcher reads a wildcard as an opening quote, bytes, stars and a closing quote, and has a state after
// each:
//
//	            ╭─any─╮                   "*ab" has five states. After "xaaa" two are active: the star,
//	   "     *  ▼     │   a      b     "  which stays so for good, and a. From the state before a star
//	──────▶Ⓠ─────▶(*)─┴─────▶Ⓐ─────▶Ⓑ─────▶  the byte after it is taken too: "ab" is read without
//	       ╰──────────a──────▲            passing through the star.
//
// The wildcards of a field make one machine; those that begin alike share their states up to the first star. A state
// counts once for each test it belongs to. Measured is the worst set of states that can be active, counting also the
// stars that its states are just about to enter.

// maxComplexity is the most that AWS accepts (recorded; the boundary is not documented).
const maxComplexity = 10

// Limits on the work of measuring. What exceeds them counts as too complex.
const (
	maxSets  = 1 << 18   // sets of active states in all machines together
	maxNodes = maxFields // nodes of the trie of fields
)

// tooComplex reports whether AWS would refuse the alternatives of a pattern for their wildcards.
//
// AWS keeps the alternatives in a trie over their sorted fields: where two agree in some test of a field, their next
// fields meet in the same machine. Nodes that are only reached by an absence are not measured.
func tooComplex(alternatives []Alternative) bool {
	if !slices.ContainsFunc(alternatives, hasWildcard) {
		return false
	}
	t := &trie{keys: make(map[*Test]string), measured: make(map[string]bool)}
	root := t.node()
	for _, a := range alternatives {
		if !t.add(root, a) {
			return true
		}
	}
	return t.tooComplex(root, make(map[*node]bool))
}

func hasWildcard(a Alternative) bool {
	return slices.ContainsFunc(a, func(f Field) bool {
		return slices.ContainsFunc(f.Tests, func(t Test) bool { return wildcardsOf(t) != nil })
	})
}

// wildcardsOf returns the wildcards in a test; those of a negated list are one test.
func wildcardsOf(t Test) []Test {
	switch {
	case t.Op == Wildcard:
		return []Test{t}
	case t.Op == AnythingBut && t.Not[0].Op == Wildcard:
		return t.Not
	default:
		return nil
	}
}

// A trie has a node for each way in which the fields so far can hold.
type trie struct {
	nodes    int
	keys     map[*Test]string // what the tests are; alternatives share them
	sets     int              // looked at so far
	measured map[string]bool  // machines, by their tests, that are simple enough
}

type node struct {
	machines map[string]*machine // by the path of the next field
}

// A machine has the tests of a field, and where each leads.
type machine struct {
	tests []Test
	next  []*node
	index map[string]int // of a test, by its key
}

func (t *trie) node() *node {
	t.nodes++
	return &node{}
}

func (t *trie) key(test *Test) string {
	k, ok := t.keys[test]
	if !ok {
		k = fmt.Sprint(*test)
		t.keys[test] = k
	}
	return k
}

// add puts an alternative into the trie. It reports false if the trie has grown too large.
func (t *trie) add(root *node, a Alternative) bool {
	level := map[*node]bool{root: true}
	for _, f := range a {
		next := make(map[*node]bool)
		for n := range level {
			t.extend(n, f, next)
		}
		level = next
		if t.nodes > maxNodes {
			return false
		}
	}
	return true
}

// extend puts a field below a node and adds the nodes it leads to. Tests that are there already lead where they led; the
// others lead to where the one before them does, or to a new node.
func (t *trie) extend(n *node, f Field, next map[*node]bool) {
	m := n.machines[f.Path]
	if m == nil {
		m = &machine{index: make(map[string]int)}
		if n.machines == nil {
			n.machines = make(map[string]*machine)
		}
		n.machines[f.Path] = m
	}
	var last *node
	for i := range f.Tests {
		key := t.key(&f.Tests[i])
		at, ok := m.index[key]
		if !ok {
			if last == nil {
				last = t.node()
			}
			at = len(m.tests)
			m.tests, m.next, m.index[key] = append(m.tests, f.Tests[i]), append(m.next, last), at
		}
		last = m.next[at]
		next[last] = true
	}
}

// tooComplex measures the machines below a node.
func (t *trie) tooComplex(n *node, seen map[*node]bool) bool {
	if seen[n] {
		return false
	}
	seen[n] = true
	for _, m := range n.machines {
		if t.measure(m) > maxComplexity {
			return true
		}
		for i, test := range m.tests {
			if test.Op != Absent && t.tooComplex(m.next[i], seen) {
				return true
			}
		}
	}
	return false
}

// measure returns the complexity of a machine, or some value above the maximum.
func (t *trie) measure(m *machine) int {
	wild := slices.DeleteFunc(slices.Clone(m.tests), func(t Test) bool { return wildcardsOf(t) == nil })
	if len(wild) == 0 {
		return 0
	}
	id := fmt.Sprint(wild)
	if t.measured[id] {
		return 0
	}
	t.measured[id] = true
	worst, sets := newAutomaton(wild).worst(maxComplexity, maxSets-t.sets)
	t.sets += sets
	return worst
}

// An automaton has the states of the wildcards of a machine. The first is the one after the opening quote.
type automaton []state

type state struct {
	star   bool   // stays active whatever follows
	bytes  []step // the states after a byte
	toStar int    // the star state that any byte leads to, or 0
	weight int    // how many tests it belongs to
	owner  int    // the last of them
}

type step struct {
	b  byte
	to int
}

func newAutomaton(tests []Test) automaton {
	m := automaton{{owner: -1}}
	for i, t := range tests {
		for _, w := range wildcardsOf(t) {
			m.add(w, i)
		}
	}
	return m
}

// add adds the states of a wildcard that belongs to the test with the number owner.
func (m *automaton) add(w Test, owner int) {
	at, shared := 0, true
	m.own(at, owner)
	for i, part := range w.Parts {
		if i > 0 {
			at = m.star(at, shared)
			m.own(at, owner)
			shared = false
		}
		if i == len(w.Parts)-1 {
			part += `"`
		}
		for k := range len(part) {
			at = m.byte(at, part[k], shared)
			m.own(at, owner)
		}
	}
}

func (m automaton) own(at, owner int) {
	if s := &m[at]; s.weight == 0 || s.owner != owner {
		s.weight, s.owner = s.weight+1, owner
	}
}

// byte returns the state after a byte; if shared, one that exists will do.
func (m *automaton) byte(at int, b byte, shared bool) int {
	if shared {
		for _, s := range (*m)[at].bytes {
			if s.b == b {
				return s.to
			}
		}
	}
	*m = append(*m, state{owner: -1})
	(*m)[at].bytes = append((*m)[at].bytes, step{b, len(*m) - 1})
	return len(*m) - 1
}

// star returns the star state after another state. A state that is not shared has none yet.
func (m *automaton) star(at int, shared bool) int {
	if to := (*m)[at].toStar; to != 0 && shared {
		return to
	}
	*m = append(*m, state{owner: -1, star: true})
	(*m)[at].toStar = len(*m) - 1
	return len(*m) - 1
}

// worst visits all sets of states that can be active together. It returns the greatest weight, or some weight above the
// limit if there is one or if there are too many sets, and how many sets it has visited.
func (m automaton) worst(limit, maxSets int) (most, sets int) {
	seen := make(map[string]bool)
	for queue := [][]int{{0}}; len(queue) > 0; queue = queue[1:] {
		set := queue[0]
		sets++
		if sets > maxSets {
			return limit + 1, sets
		}
		if most = max(most, m.weight(set)); most > limit {
			return most, sets
		}
		for b := range m.next(set) {
			to := m.after(set, b)
			if k := key(to); !seen[k] {
				seen[k] = true
				queue = append(queue, to)
			}
		}
	}
	return most, sets
}

func (m automaton) weight(set []int) int {
	sum := 0
	for _, at := range set {
		sum += m[at].weight
		if to := m[at].toStar; to != 0 && !slices.Contains(set, to) {
			sum += m[to].weight
		}
	}
	return sum
}

// anyOther is a byte that no state of a set asks for.
const anyOther = -1

// next returns the bytes that make a difference to a set.
func (m automaton) next(set []int) map[int]bool {
	bytes := map[int]bool{anyOther: true}
	for _, at := range set {
		for _, from := range [...]int{at, m[at].toStar} {
			if from == 0 && at != 0 {
				continue
			}
			for _, s := range m[from].bytes {
				bytes[int(s.b)] = true
			}
		}
	}
	return bytes
}

// after returns the set that a byte leads to, sorted.
func (m automaton) after(set []int, b int) []int {
	var to []int
	take := func(from int) {
		for _, s := range m[from].bytes {
			if int(s.b) == b {
				to = append(to, s.to)
			}
		}
	}
	for _, at := range set {
		if m[at].star {
			to = append(to, at)
		}
		take(at)
		if star := m[at].toStar; star != 0 {
			to = append(to, star)
			take(star)
		}
	}
	slices.Sort(to)
	return slices.Compact(to)
}

func key(set []int) string {
	var b []byte
	for _, at := range set {
		b = binary.AppendUvarint(b, uint64(at))
	}
	return string(b)
}
