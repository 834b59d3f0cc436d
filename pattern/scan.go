package pattern

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// This file reads events: it collects the leaves at the paths that patterns name and skips the rest. It relies on the
// event being JSON. From what is none it reads something, or returns an error; it never does worse.

var (
	errEvent   = errors.New("the event is not a JSON object")
	errNesting = errors.New("the event nests objects and arrays too deeply")
)

// maxOpen is how many objects and arrays may lie in one another where patterns look: a detail, which [AppendCompact] has
// checked, and what is around it.
const maxOpen = MaxNesting + 8

// read collects the leaves of an event.
func (s *Scratch) read(root *node, event []byte) error {
	s.event, s.err = event, nil
	s.open, s.incomplete, s.arrays, s.tries = s.open[:0], 0, 0, 0
	i := skipBlanks(event, 0)
	if i == len(event) || event[i] != '{' {
		return errEvent
	}
	i = s.object(root, i+1)
	if s.err == nil && i != stop && skipBlanks(event, i) != len(event) {
		return errEvent
	}
	return s.err
}

// stop is what methods return instead of a position when reading cannot go on, for which s.err says why, or need not.
const stop = -1

func (s *Scratch) fail(err error) int {
	s.err = err
	return stop
}

// object reads the members of an object that is at a node, from behind its brace, and returns the position behind its end.
func (s *Scratch) object(n *node, i int) int {
	if len(s.open)+s.arrays == maxOpen {
		return s.fail(errNesting)
	}
	b := s.event
	if i = skipBlanks(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	s.open = append(s.open, n)
	s.incomplete++
	// The kids that have not come yet, a bit for each. A key with dots may clear the bit of another: this only decides when it
	// is worth asking whether nothing follows.
	missing := 1<<min(len(n.kids.list.load()), 64) - uint64(1)
	filter, deep := n.kids.filter.Load(), n.kids.deep.Load()
	for {
		if i >= len(b) || b[i] != '"' {
			return s.fail(errEvent)
		}
		start, plain := i+1, true
		end := start
		k, short := shortKey(b, start)
		if short {
			end += k.n
		} else {
			if end, plain = stringEnd(b, start); end == stop {
				return s.fail(errEvent)
			}
			k = keyAt(b, start, end)
		}
		var kid *node
		if plain && filter&k.filterBit() != 0 {
			kid = n.kids.find(k, b[start:end])
		}
		if kid == nil && (!plain || deep && (!short || bytesEqual(k.first, '.') != 0)) {
			kid = s.disguisedKid(n, b[start:end], plain)
		}
		if i = end + 1; i < len(b) && b[i] != ':' {
			i = skipBlanks(b, i)
		}
		if i >= len(b) || b[i] != ':' {
			return s.fail(errEvent)
		}
		i = skipBlanks(b, i+1)
		if kid == nil {
			if i = skipValue(b, i); i == stop {
				return s.fail(errEvent)
			}
		} else {
			if missing != 0 {
				if missing &^= 1 << (kid.index & 63); missing == 0 {
					s.incomplete--
				}
			}
			if i = s.value(kid, i); i == stop || s.incomplete == 0 && s.nothingFollows(i) {
				return stop
			}
		}
		if i = skipBlanks(b, i); i >= len(b) {
			return s.fail(errEvent)
		}
		switch b[i] {
		case ',':
			i = skipBlanks(b, i+1)
		case '}':
			s.open = s.open[:len(s.open)-1]
			if missing != 0 {
				s.incomplete--
			}
			return i + 1
		default:
			return s.fail(errEvent)
		}
	}
}

// shortKey makes the key of a name that ends within eight bytes from start and has no escapes.
func shortKey(b []byte, start int) (k key, ok bool) {
	if start+8 > len(b) {
		return key{}, false
	}
	w := binary.LittleEndian.Uint64(b[start:])
	found := bytesEqual(w, '"')
	below := found&-found - 1 // the bits below the quote's highest
	if found == 0 || bytesEqual(w, '\\')&below != 0 {
		return key{}, false
	}
	return key{first: w & (below >> 7), n: bits.TrailingZeros64(found) / 8}, true
}

// disguisedKid returns the node that a key leads to, or nil, if the key has escapes or may have dots.
func (s *Scratch) disguisedKid(n *node, name []byte, plain bool) *node {
	if !plain {
		name = s.unescape(name)
		if kid := n.kids.find(makeKey(name), name); kid != nil {
			return kid
		}
	}
	if n.kids.deep.Load() && bytes.IndexByte(name, '.') >= 0 {
		return n.dotted(name)
	}
	return nil
}

// maxLooks bounds how often an event's rest is searched in vain.
const maxLooks = 4

// nothingFollows reports whether no leaf comes behind position i, where all open objects have had all their members that
// patterns name. Only duplicates of these could come.
func (s *Scratch) nothingFollows(i int) bool {
	if s.arrays > 0 || s.tries == maxLooks {
		return false
	}
	s.tries++
	rest := s.event[i:]
	if hasUnicodeEscape(rest) {
		return false
	}
	for k := len(s.open) - 1; k >= 0; k-- {
		list := s.open[k].kids.list.load()
		if len(list) > maxNeedles {
			return false
		}
		for _, kid := range list {
			if !kid.needle.absent(rest) {
				return false
			}
		}
	}
	return true
}

// maxNeedles is how many names are searched for at most in each open object; for more, reading on is faster.
const maxNeedles = 6

// value reads the value at a node and returns the position behind it.
func (s *Scratch) value(n *node, i int) int {
	b := s.event
	if i >= len(b) {
		return s.fail(errEvent)
	}
	switch b[i] {
	case '{':
		if n.kids.filter.Load() != 0 {
			return s.object(n, i+1)
		}
	case '[':
		return s.array(n, i+1)
	case '"':
		end, plain := stringEnd(b, i+1)
		if end == stop {
			return s.fail(errEvent)
		}
		if f := n.field.Load(); f != nil {
			text := b[i+1 : end]
			if !plain {
				text = s.unescape(text)
			}
			s.addLeaf(f, aString, text)
		}
		return end + 1
	default:
		end := scalarEnd(b, i)
		if f := n.field.Load(); f != nil && end > i {
			s.addLeaf(f, scalarKind(b[i]), b[i:end])
		}
		i = end
		return i
	}
	if i = skipValue(b, i); i == stop {
		return s.fail(errEvent)
	}
	return i
}

func scalarKind(c byte) leafKind {
	switch c {
	case 'n':
		return aNull
	case 't':
		return aTrue
	case 'f':
		return aFalse
	}
	return aNumber
}

// array reads an array at a node, from behind its bracket.
func (s *Scratch) array(n *node, i int) int {
	if len(s.open)+s.arrays == maxOpen {
		return s.fail(errNesting)
	}
	b := s.event
	if i = skipBlanks(b, i); i < len(b) && b[i] == ']' {
		return i + 1
	}
	outer, number := s.in, s.arrayCount
	s.arrayCount++
	s.arrays++
	for {
		s.in = int32(len(s.elements))
		s.elements = append(s.elements, element{number, outer, int32(s.arrays)})
		if i = s.value(n, i); i == stop {
			return stop
		}
		if i = skipBlanks(b, i); i >= len(b) {
			return s.fail(errEvent)
		}
		switch b[i] {
		case ',':
			i = skipBlanks(b, i+1)
		case ']':
			s.in = outer
			s.arrays--
			return i + 1
		default:
			return s.fail(errEvent)
		}
	}
}

// addLeaf files a leaf under its field.
func (s *Scratch) addLeaf(f *field, kind leafKind, text []byte) {
	for f.id >= len(s.fields) {
		s.fields = append(s.fields, fieldState{})
	}
	state := &s.fields[f.id]
	if state.epoch != s.epoch {
		*state = fieldState{epoch: s.epoch}
		s.touched = append(s.touched, f)
	}
	at := int32(len(s.leaves))
	s.leaves = append(s.leaves, leaf{text: text, kind: kind, in: s.in})
	if state.n == 0 {
		state.first = at
	} else {
		s.leaves[state.last].next = at
	}
	state.last = at
	state.n++
	if s.in != outside {
		state.inArray = true
	}
}

func skipBlanks(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' {
		i++
	}
	return i
}

// In a word of eight bytes, the highest bit of each that a test holds for; there may be more such bits above a true one.
const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

func bytesEqual(w uint64, c byte) uint64 {
	w ^= lows * uint64(c)
	return (w - lows) &^ w & highs
}

// stringEnd returns the position of the quote that ends a string, and whether the string is without escapes.
func stringEnd(b []byte, i int) (end int, plain bool) {
	for plain = true; ; {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			if found := bytesEqual(w, '"') | bytesEqual(w, '\\'); found != 0 {
				i += bits.TrailingZeros64(found) / 8
				break
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' {
			i++
		}
		switch {
		case i >= len(b):
			return stop, false
		case b[i] == '"':
			return i, plain
		}
		plain = false
		i += 2
	}
}

// scalarEnd returns the position behind a number or a literal.
func scalarEnd(b []byte, i int) int {
	for i < len(b) && !endsScalar[b[i]] {
		i++
	}
	return i
}

var endsScalar = [256]bool{
	' ': true, '\t': true, '\n': true, '\r': true, ',': true, ']': true, '}': true, ':': true, '"': true, '{': true, '[': true,
}

// skipValue returns the position behind a value, or stop.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return stop
	}
	switch b[i] {
	case '"':
		end, _ := stringEnd(b, i+1)
		if end == stop {
			return stop
		}
		return end + 1
	case '{', '[':
		return skipNested(b, i+1)
	default:
		return scalarEnd(b, i)
	}
}

// skipNested returns the position behind the bracket that closes the one before i.
func skipNested(b []byte, i int) int {
	for depth := 1; i < len(b); {
		switch marks[b[i]] {
		case none:
			i++
		case quote:
			if i, _ = stringEnd(b, i+1); i == stop {
				return stop
			}
			i++
		case opens:
			depth++
			i++
		case closes:
			i++
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return stop
}

// marks are the bytes that matter when nested values are skipped.
var marks = [256]uint8{'"': quote, '{': opens, '[': opens, '}': closes, ']': closes}

const (
	none = iota
	quote
	opens
	closes
)

// unescape decodes the text of a string, as encoding/json does: what is no character becomes U+FFFD.
func (s *Scratch) unescape(text []byte) []byte {
	start := len(s.text)
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c != '\\':
			s.text = append(s.text, c)
			i++
			continue
		case i+1 == len(text):
			return s.text[start:]
		}
		i += 2
		switch c = text[i-1]; c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, n := unicodeEscape(text[i:])
			s.text = utf8.AppendRune(s.text, r)
			i += n
			continue
		}
		s.text = append(s.text, c)
	}
	return s.text[start:]
}

// unicodeEscape decodes what comes behind \u, and the second half of a surrogate pair.
func unicodeEscape(text []byte) (r rune, n int) {
	r = hexRune(text)
	if !utf16.IsSurrogate(r) {
		return r, min(4, len(text))
	}
	if len(text) >= 10 && text[4] == '\\' && text[5] == 'u' {
		if pair := utf16.DecodeRune(r, hexRune(text[6:])); pair != utf8.RuneError {
			return pair, 10
		}
	}
	return utf8.RuneError, min(4, len(text))
}

func hexRune(text []byte) rune {
	r := rune(0)
	for i := range min(4, len(text)) {
		c := text[i]
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c&^0x20 - 'A' + 10
		}
		r = r<<4 | rune(c&15)
	}
	return r
}
