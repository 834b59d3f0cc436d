package filter

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/pattern/syntax"
)

// Numbers are compared to five decimals, from -10⁹ to 10⁹ (SNS developer guide, "Filter policy constraints"). Package pattern compares
// numbers as they are: so those of policies and those of messages are rounded before it sees them. A number beyond the limits is in no
// range, and equals itself alone.
const (
	decimals  = 5
	maxNumber = 1e9
)

func comparable(v float64) bool { return math.Abs(v) <= maxNumber }

// rounded returns the number to five decimals.
func rounded(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'f', decimals, 64), 64) // reads what was just written
	return r
}

// round rounds the numbers of a policy.
func round(p *pattern.Pattern) error {
	for _, a := range p.Alternatives {
		for i := range a {
			tests := append([]syntax.Test(nil), a[i].Tests...) // alternatives share them
			for k := range tests {
				if err := roundTest(&tests[k]); err != nil {
					return err
				}
			}
			a[i].Tests = tests
		}
	}
	return nil
}

func roundTest(t *syntax.Test) error {
	switch t.Op {
	case syntax.EqualNumber:
		roundEqual(t)
	case syntax.AnythingBut:
		t.Not = append([]syntax.Test(nil), t.Not...)
		for i := range t.Not {
			if t.Not[i].Op == syntax.EqualNumber {
				roundEqual(&t.Not[i])
			}
		}
	case syntax.Numeric:
		return roundRange(&t.Range)
	}
	return nil
}

func roundEqual(t *syntax.Test) {
	if v, err := strconv.ParseFloat(t.Text, 64); err == nil && comparable(v) {
		t.Number, t.Comparable = rounded(v), true
	}
}

func roundRange(r *syntax.Range) error {
	for _, end := range []*float64{&r.Low, &r.High} {
		switch {
		case math.IsInf(*end, 0):
			*end = math.Copysign(maxNumber, *end)
		case !comparable(*end):
			return refusal("Value must be between -1.0E9 and 1.0E9, inclusive")
		}
	}
	r.Low, r.High = rounded(r.Low), rounded(r.High)
	if r.Low == r.High && (r.LowOpen || r.HighOpen) {
		return refusal("Bottom must be less than top")
	}
	return nil
}

// appendRounded appends JSON, which is compact, with its numbers rounded.
func appendRounded(dst, text []byte) []byte {
	from := 0 // what is before it was appended
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			i = endOfString(text, i+1)
		case c == '-' || '0' <= c && c <= '9':
			end := endOfNumber(text, i)
			if needsRounding(text[i:end]) {
				dst = append(dst, text[from:i]...)
				dst = appendNumber(dst, text[i:end])
				from = end
			}
			i = end
		default:
			i++
		}
	}
	return append(dst, text[from:]...)
}

// endOfString returns the position behind the quote that closes the string whose text begins at i.
func endOfString(text []byte, i int) int {
	for {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return len(text)
		}
		i += n + 1
		escapes := 0
		for text[i-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}

func endOfNumber(text []byte, i int) int {
	for i < len(text) && inNumber(text[i]) {
		i++
	}
	return i
}

func inNumber(c byte) bool { return '0' <= c && c <= '9' || strings.IndexByte("+-.eE", c) >= 0 }

// needsRounding reports whether a number may have more decimals than are compared.
func needsRounding(number []byte) bool {
	point := bytes.IndexByte(number, '.')
	return point >= 0 && len(number)-point-1 > decimals || bytes.ContainsAny(number, "eE")
}

// appendNumber appends a number in JSON, rounded if it is one that is compared, and as it is written if not.
func appendNumber(dst, number []byte) []byte {
	v, err := strconv.ParseFloat(string(number), 64)
	if err != nil || !comparable(v) {
		return append(dst, number...)
	}
	return strconv.AppendFloat(dst, v, 'f', decimals, 64)
}
