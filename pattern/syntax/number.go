package syntax

import (
	"math"
	"strconv"
	"strings"
)

// A Number is a number of a pattern or an event, as patterns compare them.
type Number struct {
	Value float64
	// Comparable says that Value is the very number written: the decimal equals the shortest text of its float64.
	// So 300, 300.0 and 3e2 are the same number, and 1e100 is one; but 9007199254740993 and 1.0000000000000001 would
	// come out as others, and are not compared by value.
	Comparable bool
}

// ParseNumber reads a number of a pattern. The text must be a JSON number.
func ParseNumber(text string) Number {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return Number{Value: v}
	}
	return Number{Value: v, Comparable: sameDecimal(text, strconv.FormatFloat(v, 'e', -1, 64))}
}

// ParseEventNumber reads a number of an event. AWS passes events through a JSON reader that keeps integers as they are
// but makes a float64 of anything with a fraction or an exponent; what comes out of that is always comparable, unless it
// is infinite. The text must be a JSON number.
func ParseEventNumber(text string) Number {
	if !strings.ContainsAny(text, ".eE") {
		return ParseNumber(text)
	}
	v, _ := strconv.ParseFloat(text, 64)
	return Number{Value: v, Comparable: !math.IsInf(v, 0)}
}

func equalNumber(text string) Test {
	n := ParseNumber(text)
	return Test{Op: EqualNumber, Text: text, Number: n.Value, Comparable: n.Comparable}
}

type errIncomparable string

func (e errIncomparable) Error() string { return "Cannot compare number : " + string(e) }

// sameDecimal reports whether two JSON numbers are the same decimal.
func sameDecimal(a, b string) bool { return decimalOf(a) == decimalOf(b) }

// A decimal is 0.digits × 10^exponent without needless zeros; zero is the zero value.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

func decimalOf(text string) decimal {
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa := text
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		d.exponent, _ = strconv.Atoi(text[i+1:]) // out of range saturates, and then ParseFloat gave 0 or an error
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	d.exponent += len(whole) - (len(whole) + len(fraction) - len(digits))
	d.digits = strings.TrimRight(digits, "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}

// Contains reports whether the range contains v.
func (r Range) Contains(v float64) bool {
	return (v > r.Low || v == r.Low && !r.LowOpen) && (v < r.High || v == r.High && !r.HighOpen)
}
