// Package syntax reads event patterns: JSON text in, a checked [Pattern] out, or an [Error] in AWS's words.
//
// It knows the whole language (operators, $or, duplicate keys, the limits on complexity) and nothing of matching:
// package pattern compiles what this package returns. Start with [Parse].
package syntax

// A Pattern is a checked event pattern in disjunctive normal form: an event matches if any alternative holds.
//
// A pattern without $or has one alternative. $or multiplies them, up to [MaxAlternatives].
type Pattern struct {
	Text         string // the pattern as it was given
	Alternatives []Alternative
}

// An Alternative holds when every one of its fields holds, on leaves that never take two different elements of the
// same array. Fields are sorted by path, and each path appears once.
type Alternative []Field

// A Field holds for a leaf at Path if any of the tests does.
type Field struct {
	Path  string // keys joined with '.', such as "detail.order.id"; {"a.b":…} and {"a":{"b":…}} are the same path
	Tests []Test // never empty
}

// An Op is what a [Test] asks of a leaf.
type Op uint8

const (
	Equal       Op = iota // the string Text
	EqualNumber           // the number: Number if Comparable, else the very text Text
	EqualNull             // the literal null
	EqualTrue             // the literal true
	EqualFalse            // the literal false
	Exists                // any leaf, null included
	Absent                // no leaf (exists: false)
	Prefix                // a string that begins with Text, bytewise
	Suffix                // a string that ends with Text, bytewise
	PrefixFold            // a string that begins with Text, whatever the case
	SuffixFold            // a string that ends with Text, whatever the case
	EqualFold             // the string Text, whatever the case
	Wildcard              // a string made of Parts with anything between them
	Numeric               // a number within Range
	CIDR                  // an IP address within Net
	AnythingBut           // a leaf that none of Not holds for; Not has Equal, EqualNumber, Prefix, Suffix, EqualFold or Wildcard tests
)

// A Test is one item of a field's array.
type Test struct {
	Op         Op
	Text       string   // the operand as the bytes to compare; for EqualNumber the literal as written
	Number     float64  // EqualNumber, when Comparable
	Comparable bool     // the decimal survives a round trip through float64, so numbers are compared by value
	Parts      []string // Wildcard: the literal runs between stars, unescaped; "a*b" is ["a","b"], "*" is ["",""]
	Range      Range    // Numeric
	Net        Net      // CIDR
	Not        []Test   // AnythingBut
}

// A Range is a set of numbers from Low to High; an end that is open leaves its own value out. Ends are ±Inf if not given.
type Range struct {
	Low, High         float64
	LowOpen, HighOpen bool
}

// A Net is a block of IP addresses, first to last. An IPv4 block holds no IPv6 address, nor the reverse.
type Net struct {
	First, Last [16]byte // IPv4 addresses occupy the last four bytes
	V6          bool
}

// MaxAlternatives bounds the product of the lengths of a pattern's $or arrays (EventBridge user guide, "OR matching").
const MaxAlternatives = 1000
