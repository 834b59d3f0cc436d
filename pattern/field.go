package pattern

import (
	"encoding/binary"
	"math"
	"sync/atomic"

	"github.com/rialto-events/rialto/pattern/syntax"
)

// A field is a path that patterns name, with the conjunctions that are found by their test of it: a value leads to those
// whose test it satisfies, and to few others.
type field struct {
	id   int           // dense, for the scratch
	uses atomic.Uint32 // which of the following are in use, as bits of useAny and so on

	any                    hits // Exists, AnythingBut
	null, yes, no          hits
	strings                hits // a string, whatever it is
	exact, folded          dict
	prefix, suffix         affixes
	foldPrefix, foldSuffix affixes
	grams                  grams
	nets                   affixes // by address bits, see netKey
	numbers, texts         dict    // by the bits of the float64; by what is written
	ranges                 ranges
}

const (
	useAny = 1 << iota
	useLiterals
	useStrings
	useExact
	useFolded
	usePrefix
	useSuffix
	useFoldPrefix
	useFoldSuffix
	useGrams
	useNets
	useNumbers
	useTexts
	useRanges

	useNumeric = useNumbers | useRanges
	useFolds   = useFolded | useFoldPrefix | useFoldSuffix
)

// A place is where a test can be filed in a field.
type place struct {
	use    uint32
	text   string       // the key, if the place is in a dict
	hits   *hits        // if it is none of the dicts and ranges
	within syntax.Range // if it is the ranges
	doubt  bool         // values that lead here need not satisfy the test
	base   int          // how undesirable the place is when nothing is filed there
}

// Undesirable places. The unit is a conjunction that is tried in vain.
const (
	likely = 1 << 10 // a literal, of which there are few
	sure   = 1 << 16 // nearly any value leads there
)

// options lists the ways to file a test: for each a list of places, where it must be filed in all.
func (f *field) options(t *test) [][]place {
	one := func(p place) [][]place { return [][]place{{p}} }
	switch t.op {
	case syntax.Equal:
		return one(place{use: useExact, text: t.text})
	case syntax.EqualNumber:
		if t.more != nil {
			return one(place{use: useTexts, text: t.text})
		}
		return one(place{use: useNumbers, text: numberKey(t.number)})
	case syntax.EqualNull:
		return one(place{use: useLiterals, hits: &f.null, base: likely})
	case syntax.EqualTrue:
		return one(place{use: useLiterals, hits: &f.yes, base: likely})
	case syntax.EqualFalse:
		return one(place{use: useLiterals, hits: &f.no, base: likely})
	case syntax.Exists:
		return one(place{use: useAny, hits: &f.any, base: sure})
	case syntax.AnythingBut:
		return one(place{use: useAny, hits: &f.any, base: sure, doubt: true})
	case syntax.Prefix:
		return one(f.affix(usePrefix, t.text))
	case syntax.Suffix:
		return one(f.affix(useSuffix, t.text))
	case syntax.EqualFold, syntax.PrefixFold, syntax.SuffixFold:
		return [][]place{f.foldPlaces(t)}
	case syntax.Wildcard:
		return f.wildcardOptions(t)
	case syntax.Numeric:
		return one(place{use: useRanges, within: t.more.within, base: 64})
	case syntax.CIDR:
		return one(place{use: useNets, text: blockKey(&t.more.net), base: 8})
	}
	return nil
}

// affix is the place of a prefix, suffix or gram. The shorter the text, the more values have it.
func (f *field) affix(use uint32, text string) place {
	if text == "" {
		return place{use: useStrings, hits: &f.strings, base: sure}
	}
	return place{use: use, text: text, base: max(0, 32-8*len(text))}
}

// foldPlaces files text of ASCII in lower case. Of other text, the ASCII at the end that counts is filed, or, if there is
// none, the ways to write the outermost character.
func (f *field) foldPlaces(t *test) []place {
	fold := &t.more.fold
	if fold.variants == nil {
		switch t.op {
		case syntax.EqualFold:
			return []place{{use: useFolded, text: fold.lower}}
		case syntax.PrefixFold:
			return []place{f.affix(useFoldPrefix, fold.lower)}
		default:
			return []place{f.affix(useFoldSuffix, fold.lower)}
		}
	}
	folded, plain, outermost := uint32(useFoldPrefix), uint32(usePrefix), fold.variants[0]
	text := t.text[:leadingASCII(t.text)]
	if t.op == syntax.SuffixFold {
		folded, plain, outermost = useFoldSuffix, useSuffix, fold.variants[len(fold.variants)-1]
		text = t.text[len(t.text)-trailingASCII(t.text):]
	}
	if text != "" {
		p := f.affix(folded, lowerText(text))
		p.doubt = true
		return []place{p}
	}
	var all []place
	for _, v := range outermost {
		p := f.affix(plain, v)
		p.doubt = true
		all = append(all, p)
	}
	return all
}

// wildcardOptions are what the value must begin with, end with, or contain.
func (f *field) wildcardOptions(t *test) [][]place {
	parts := t.more.parts
	last := len(parts) - 1
	var options [][]place
	add := func(p place) {
		p.doubt = true
		options = append(options, []place{p})
	}
	if len(parts[0]) > 0 {
		add(f.affix(usePrefix, string(parts[0])))
	}
	if len(parts[last]) > 0 {
		add(f.affix(useSuffix, string(parts[last])))
	}
	for _, part := range parts[1:last] {
		n := min(len(part), maxGram)
		for _, gram := range [...][]byte{part[:n], part[len(part)-n:]} {
			p := f.affix(useGrams, string(gram))
			p.base += 16 // takes longer to look up
			add(p)
		}
	}
	if options == nil { // the wildcard is *
		add(place{use: useStrings, hits: &f.strings, base: sure})
	}
	return options
}

// cost says how undesirable a place is, by what is filed there already.
func (f *field) cost(p place) int {
	switch p.use {
	case useRanges:
		s := f.ranges.load()
		n := len(s.tail)
		for _, r := range s.runs {
			n += len(r.items)
		}
		return p.base + n/16
	default:
		if p.hits != nil {
			return p.base + p.hits.len()
		}
		return p.base + f.dict(p.use).load(p.text)
	}
}

func (f *field) dict(use uint32) *dict {
	switch use {
	case useExact:
		return &f.exact
	case useFolded:
		return &f.folded
	case useNumbers:
		return &f.numbers
	case useTexts:
		return &f.texts
	default:
		return &f.affixes(use).dict
	}
}

func (f *field) affixes(use uint32) *affixes {
	switch use {
	case usePrefix:
		return &f.prefix
	case useSuffix:
		return &f.suffix
	case useFoldPrefix:
		return &f.foldPrefix
	case useFoldSuffix:
		return &f.foldSuffix
	case useGrams:
		return &f.grams.affixes
	case useNets:
		return &f.nets
	}
	return nil
}

// A filing is where a conjunction was filed.
type filing interface{ tidy() }

// file files a conjunction in a place.
func (f *field) file(p place, c *conj) filing {
	defer func() { f.uses.Store(f.uses.Load() | p.use) }()
	if p.use == useRanges {
		f.ranges.add(p.within, c)
		return &f.ranges
	}
	h := p.hits
	if h == nil {
		h = &f.entry(p, &c.rule.entry).hits
	}
	h.add(c)
	return h
}

// entry returns the entry of a place in a dict, which it makes if need be, of room if that is free.
func (f *field) entry(p place, room *entry) *entry {
	if p.use == useGrams {
		f.grams.expect(p.text)
	}
	if a := f.affixes(p.use); a != nil {
		return a.at(p.text, room)
	}
	return f.dict(p.use).at(p.text, room)
}

// find tries the conjunctions that a leaf leads to.
func (f *field) find(s *Scratch, l *leaf) {
	uses := f.uses.Load()
	if uses&useAny != 0 {
		s.tryAll(&f.any)
	}
	switch l.kind {
	case aString:
		f.findString(s, l, uses)
	case aNumber:
		f.findNumber(s, l, uses)
	case aNull:
		s.tryAll(&f.null)
	case aTrue:
		s.tryAll(&f.yes)
	case aFalse:
		s.tryAll(&f.no)
	}
}

func (f *field) findString(s *Scratch, l *leaf, uses uint32) {
	if uses&useExact != 0 {
		s.tryEntry(f.exact.find(l.text))
	}
	if uses&^(useExact|useAny|useLiterals|useNumeric|useTexts) == 0 {
		return
	}
	if uses&useStrings != 0 {
		s.tryAll(&f.strings)
	}
	if uses&usePrefix != 0 {
		f.prefix.findPrefixes(s, l.text)
	}
	if uses&useSuffix != 0 {
		f.suffix.findSuffixes(s, l.text)
	}
	if uses&useFolds != 0 {
		f.findFolded(s, l.text, uses)
	}
	if uses&useGrams != 0 {
		f.grams.find(s, l.text)
	}
	if uses&useNets != 0 {
		f.findNets(s, l.text)
	}
}

func (f *field) findFolded(s *Scratch, text []byte, uses uint32) {
	lower := append(s.lower[:0], text...)
	for i, c := range lower {
		lower[i] = lowerASCII(c)
	}
	s.lower = lower
	if uses&useFolded != 0 {
		s.tryEntry(f.folded.find(lower))
	}
	if uses&useFoldPrefix != 0 {
		f.foldPrefix.findPrefixes(s, lower)
	}
	if uses&useFoldSuffix != 0 {
		f.foldSuffix.findSuffixes(s, lower)
	}
}

func (a *affixes) findPrefixes(s *Scratch, text []byte) {
	for _, n := range a.loadLengths() {
		if n > len(text) {
			return
		}
		s.tryEntry(a.dict.find(text[:n]))
	}
}

func (a *affixes) findSuffixes(s *Scratch, text []byte) {
	for _, n := range a.loadLengths() {
		if n > len(text) {
			return
		}
		s.tryEntry(a.dict.find(text[len(text)-n:]))
	}
}

func (f *field) findNumber(s *Scratch, l *leaf, uses uint32) {
	if uses&useTexts != 0 && isInteger(l.text) {
		s.tryEntry(f.texts.find(l.text))
	}
	if uses&useNumeric == 0 {
		return
	}
	v, ok := l.value()
	if !ok {
		return
	}
	if uses&useNumbers != 0 {
		var key [8]byte
		binary.LittleEndian.PutUint64(key[:], numberBits(v))
		s.tryEntry(f.numbers.find(key[:]))
	}
	if uses&useRanges != 0 {
		f.ranges.find(s, v)
	}
}

// numberBits makes the two zeros one.
func numberBits(v float64) uint64 { return math.Float64bits(v + 0) }

func numberKey(v float64) string {
	return string(binary.LittleEndian.AppendUint64(nil, numberBits(v)))
}

// A netKey is the family of an address, the number of its first bits that count, and these; other bits are zero. Its length
// says all that the lookup must know: how many bits to keep, and of which family.
//
// Keys are padded to a length of 32 and more: 32 and the bits of IPv4, 96 and those of IPv6.
func appendNetKey(b []byte, addr *[16]byte, bits int, v6 bool) []byte {
	first := addr[12:]
	length := netLengthV4 + bits
	if v6 {
		first, length = addr[:], netLengthV6+bits
	}
	b = append(b, first...)
	for i := range first {
		keep := min(8, max(0, bits-8*i))
		b[len(b)-len(first)+i] &= ^byte(0xff >> keep)
	}
	for len(b) < length {
		b = append(b, 0)
	}
	return b
}

const (
	netLengthV4 = 32
	netLengthV6 = 96
	netLengths  = netLengthV6 + 128
)

// blockKey is the key of a block, whose ends differ in those bits that do not count.
func blockKey(n *syntax.Net) string {
	bits := 0
	for bits < 128 && (n.First[bits/8]^n.Last[bits/8])<<(bits%8)&0x80 == 0 {
		bits++
	}
	if !n.V6 {
		bits -= 96
	}
	return string(appendNetKey(nil, &n.First, bits, n.V6))
}

func (f *field) findNets(s *Scratch, text []byte) {
	addr, v6, ok := syntax.ParseAddr(text)
	if !ok {
		return
	}
	var key [netLengths]byte
	for _, length := range f.nets.loadLengths() {
		if v6 == (length >= netLengthV6) {
			bits := length - netLengthV4
			if v6 {
				bits = length - netLengthV6
			}
			s.tryEntry(f.nets.dict.find(appendNetKey(key[:0], &addr, bits, v6)))
		}
	}
}

func leadingASCII(s string) int {
	n := 0
	for n < len(s) && isASCII(s[n:n+1]) {
		n++
	}
	return n
}

func trailingASCII(s string) int {
	n := 0
	for n < len(s) && isASCII(s[len(s)-n-1:len(s)-n]) {
		n++
	}
	return n
}

func lowerText(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lowerASCII(c)
	}
	return string(b)
}
