package pattern

import (
	"bytes"
	"strconv"

	"github.com/rialto-events/rialto/pattern/syntax"
)

// A leaf is a value of an event, neither object nor array, at a path that some pattern asks for.
type leaf struct {
	text    []byte // of a string the characters, of a number what is written
	in      int32  // the innermost array element it lies in, an index of Scratch.elements, or outside
	next    int32  // the next leaf of the same field, or 0
	kind    leafKind
	numeral numeralState
	number  float64 // if numeral says so
}

const outside = -1 // of all arrays

type leafKind uint8

const (
	aString leafKind = iota
	aNumber
	aNull
	aTrue
	aFalse
)

// A numeralState says what is known of the value of a number.
type numeralState uint8

const (
	unread       numeralState = iota
	comparable                // the number field has it
	incomparable              // it is none that float64 can hold, and compares only as text
)

// value returns the number that a leaf is, if it is one that can be compared. See syntax.Number.
func (l *leaf) value() (v float64, ok bool) {
	if l.kind != aNumber {
		return 0, false
	}
	if l.numeral == unread {
		if l.number, ok = parseNumber(l.text); ok {
			l.numeral = comparable
		} else {
			l.numeral = incomparable
		}
	}
	return l.number, l.numeral == comparable
}

// parseNumber does what syntax.ParseEventNumber does, without allocating.
func parseNumber(text []byte) (v float64, ok bool) {
	if v, ok := smallInteger(text); ok {
		return v, true
	}
	if v, ok := smallDecimal(text); ok {
		return v, true
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if isInteger(text) {
		var buf [24]byte
		return v, err == nil && string(strconv.AppendFloat(buf[:0], v, 'f', -1, 64)) == string(text)
	}
	return v, err == nil
}

func isInteger(text []byte) bool { return !bytes.ContainsAny(text, ".eE") }

// smallInteger reads integers of up to 15 digits.
func smallInteger(text []byte) (v float64, ok bool) {
	digits, negative := bytes.CutPrefix(text, minus)
	if len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return float64(n), true
}

var minus = []byte{'-'}

// smallDecimal reads decimals of up to 15 digits: the digits and the power of ten are exact as floats, so that their quotient
// is rounded once, as it should be.
func smallDecimal(text []byte) (v float64, ok bool) {
	digits, negative := bytes.CutPrefix(text, minus)
	if len(digits) == 0 || len(digits) > 16 {
		return 0, false
	}
	n, point := int64(0), -1
	for i, c := range digits {
		switch {
		case c == '.' && point < 0:
			point = i
		case c < '0' || c > '9':
			return 0, false
		default:
			n = 10*n + int64(c-'0')
		}
	}
	if point < 0 {
		return 0, false
	}
	v = float64(n) / powersOfTen[len(digits)-1-point]
	if negative {
		v = -v
	}
	return v, true
}

var powersOfTen = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// holds reports whether a test holds for a leaf.
func (t *test) holds(l *leaf) bool {
	switch t.op {
	case syntax.Equal:
		return l.kind == aString && string(l.text) == t.text
	case syntax.Exists:
		return true
	case syntax.Absent:
		return false
	case syntax.EqualNull:
		return l.kind == aNull
	case syntax.EqualTrue:
		return l.kind == aTrue
	case syntax.EqualFalse:
		return l.kind == aFalse
	case syntax.AnythingBut:
		for i := range t.more.not {
			if t.more.not[i].holds(l) {
				return false
			}
		}
		return true
	case syntax.EqualNumber:
		if t.more != nil { // incomparable
			return l.kind == aNumber && string(l.text) == t.text && isInteger(l.text)
		}
		v, ok := l.value()
		return ok && v == t.number
	case syntax.Numeric:
		v, ok := l.value()
		return ok && t.more.within.Contains(v)
	}
	return l.kind == aString && t.holdsForString(l.text)
}

func (t *test) holdsForString(s []byte) bool {
	switch t.op {
	case syntax.Prefix:
		return len(s) >= len(t.text) && string(s[:len(t.text)]) == t.text
	case syntax.Suffix:
		return len(s) >= len(t.text) && string(s[len(s)-len(t.text):]) == t.text
	case syntax.EqualFold:
		n, ok := t.more.fold.prefix(s)
		return ok && n == len(s)
	case syntax.PrefixFold:
		_, ok := t.more.fold.prefix(s)
		return ok
	case syntax.SuffixFold:
		return t.more.fold.suffix(s)
	case syntax.Wildcard:
		return wildcard(t.more.parts, s)
	case syntax.CIDR:
		addr, v6, ok := syntax.ParseAddr(s)
		return ok && t.more.net.Contains(addr, v6)
	}
	return false
}

// wildcard reports whether s is made of the parts with anything between them. Taking each part where it first occurs
// leaves the most for those that follow.
func wildcard(parts [][]byte, s []byte) bool {
	last := len(parts) - 1
	if last == 0 {
		return bytes.Equal(s, parts[0])
	}
	if len(s) < len(parts[0])+len(parts[last]) || !bytes.HasPrefix(s, parts[0]) || !bytes.HasSuffix(s, parts[last]) {
		return false
	}
	s = s[len(parts[0]) : len(s)-len(parts[last])]
	for _, part := range parts[1:last] {
		i := bytes.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}
