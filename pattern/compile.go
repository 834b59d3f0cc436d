package pattern

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/rialto-events/rialto/pattern/syntax"
)

// A test is a syntax.Test made small and ready to run. Most are of a string, so that what only others need is apart.
type test struct {
	op     syntax.Op
	text   string
	number float64
	more   *operand // nil for Equal, comparable EqualNumber, Prefix, Suffix, and what has no operand
}

// An operand is that of the less frequent operators.
type operand struct {
	parts  [][]byte     // Wildcard
	within syntax.Range // Numeric
	net    syntax.Net   // CIDR
	fold   foldText     // EqualFold, PrefixFold, SuffixFold
	not    []test       // AnythingBut
}

// compile makes a test of its syntax. What can be said with a simpler operator is.
func compile(t syntax.Test) test {
	c := test{op: t.Op, text: t.Text}
	switch t.Op {
	case syntax.EqualNumber:
		if c.number = t.Number; !t.Comparable {
			c.more = new(operand)
		}
	case syntax.Numeric:
		if t.Range.Low == t.Range.High {
			return test{op: syntax.EqualNumber, number: t.Range.Low}
		}
		c.more = &operand{within: t.Range}
	case syntax.Wildcard:
		if len(t.Parts) == 1 {
			return test{op: syntax.Equal, text: t.Parts[0]}
		}
		c.more = new(operand)
		for _, p := range t.Parts {
			c.more.parts = append(c.more.parts, []byte(p))
		}
	case syntax.CIDR:
		c.more = &operand{net: t.Net}
	case syntax.EqualFold, syntax.PrefixFold, syntax.SuffixFold:
		c.more = &operand{fold: makeFoldText(t.Text)}
	case syntax.AnythingBut:
		c.more = new(operand)
		for _, not := range t.Not {
			c.more.not = append(c.more.not, compile(not))
		}
	}
	return c
}

func compileAll(tests []syntax.Test) []test {
	compiled := make([]test, len(tests))
	for i, t := range tests {
		compiled[i] = compile(t)
	}
	return compiled
}

// appendKey appends what tells a test from all others.
func (t *test) appendKey(b []byte) []byte {
	b = append(b, byte(t.op))
	b = binary.AppendUvarint(b, uint64(len(t.text)))
	b = append(b, t.text...)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(t.number))
	if t.more == nil {
		return b
	}
	b = append(b, 1)
	switch t.op {
	case syntax.Numeric:
		r := &t.more.within
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.Low))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.High))
		b = append(b, bit(r.LowOpen), bit(r.HighOpen))
	case syntax.AnythingBut:
		b = binary.AppendUvarint(b, uint64(len(t.more.not)))
		for i := range t.more.not {
			b = t.more.not[i].appendKey(b)
		}
	}
	return b // the others are told by their text
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// A foldText is the text of an operator that ignores the case. See syntax.FoldVariants for what that means.
type foldText struct {
	lower    string     // of a text of ASCII alone, which only ASCII can match
	variants [][]string // of any other text: the ways to write each of its characters
}

func makeFoldText(text string) foldText {
	if isASCII(text) {
		return foldText{lower: strings.ToLower(text)}
	}
	var f foldText
	for _, r := range text {
		f.variants = append(f.variants, syntax.FoldVariants(r))
	}
	return f
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// prefix returns how many bytes of s the text takes up at its beginning, if it is there.
func (f *foldText) prefix(s []byte) (n int, ok bool) {
	if f.variants == nil {
		return len(f.lower), len(s) >= len(f.lower) && equalLower(s[:len(f.lower)], f.lower)
	}
next:
	for _, variants := range f.variants {
		for _, v := range variants {
			if len(s)-n >= len(v) && string(s[n:n+len(v)]) == v {
				n += len(v)
				continue next
			}
		}
		return 0, false
	}
	return n, true
}

// suffix reports whether s ends with the text.
func (f *foldText) suffix(s []byte) bool {
	if f.variants == nil {
		return len(s) >= len(f.lower) && equalLower(s[len(s)-len(f.lower):], f.lower)
	}
next:
	for i := len(f.variants) - 1; i >= 0; i-- {
		for _, v := range f.variants[i] {
			if len(s) >= len(v) && string(s[len(s)-len(v):]) == v {
				s = s[:len(s)-len(v)]
				continue next
			}
		}
		return false
	}
	return true
}

// equalLower reports whether s is the lower-case ASCII text of the same length, but for the case.
func equalLower(s []byte, lower string) bool {
	for i, c := range s {
		if lowerASCII(c) != lower[i] {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
