package pattern

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rialto-events/rialto/pattern/internal/slow"
	"github.com/rialto-events/rialto/pattern/syntax"
)

// An Explanation says why an event matches a pattern or does not. It is made for people: String has it in words, and JSON for
// a console.
type Explanation struct {
	Match        bool                     `json:"match"`
	Alternatives []AlternativeExplanation `json:"alternatives"`      // as many as $or makes; one without it
	Omitted      int                      `json:"omitted,omitempty"` // alternatives that are not listed
}

// An AlternativeExplanation is about one way to match the pattern.
type AlternativeExplanation struct {
	Match    bool               `json:"match"`
	Fields   []FieldExplanation `json:"fields"`
	Conflict string             `json:"conflict,omitempty"` // why the fields do not go together though each holds
}

// A FieldExplanation is about one field of an alternative.
type FieldExplanation struct {
	Path    string            `json:"path"`              // such as detail.order.id
	Match   bool              `json:"match"`             // some test holds
	Values  []json.RawMessage `json:"values"`            // that the event has there, long ones cut; empty if the field is absent
	Omitted int               `json:"omitted,omitempty"` // values that are not listed
	Tests   []TestExplanation `json:"tests"`
	Reason  string            `json:"reason"` // in words
}

// A TestExplanation is about one item of a field's array.
type TestExplanation struct {
	Operator string `json:"operator"` // such as prefix; equals for plain values
	Wanted   string `json:"wanted"`   // in words
	Match    bool   `json:"match"`
}

// How much an explanation says at most.
const (
	maxExplained = 32 // alternatives
	maxValues    = 5  // of a field
	maxValueText = 80 // characters of a value
)

// Explain tells why an event matches the pattern or does not. The event must be a JSON object.
func Explain(p *Pattern, event []byte) (*Explanation, error) {
	read, err := slow.Read(p, event)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	x := &Explanation{}
	for i, a := range p.Alternatives {
		found, err := read.Find(a)
		if err != nil {
			return nil, fmt.Errorf("explain: %w", err)
		}
		x.Match = x.Match || found != nil
		if i < maxExplained {
			explained, err := explainAlternative(read, a, found != nil)
			if err != nil {
				return nil, fmt.Errorf("explain: %w", err)
			}
			x.Alternatives = append(x.Alternatives, explained)
		} else {
			x.Omitted++
		}
	}
	return x, nil
}

func explainAlternative(e *slow.Event, a syntax.Alternative, match bool) (AlternativeExplanation, error) {
	x := AlternativeExplanation{Match: match}
	each := true
	for _, f := range a {
		field := explainField(e, f)
		each = each && field.Match
		x.Fields = append(x.Fields, field)
	}
	if each && !match {
		var err error
		x.Conflict, err = explainConflict(e, a)
		return x, err
	}
	return x, nil
}

func explainField(e *slow.Event, f syntax.Field) FieldExplanation {
	x := FieldExplanation{Path: f.Path, Values: []json.RawMessage{}}
	leaves := e.At(f)
	for i, l := range leaves {
		if i == maxValues {
			x.Omitted = len(leaves) - i
			break
		}
		x.Values = append(x.Values, shown(l.Value))
	}
	var wanted []string
	for _, t := range f.Tests {
		test := TestExplanation{Operator: operators[t.Op], Wanted: describe(t)}
		if t.Op == syntax.Absent {
			test.Match = mayBeAbsent(leaves)
		}
		for _, l := range leaves {
			test.Match = test.Match || slow.Holds(t, l.Value)
		}
		x.Match = x.Match || test.Match
		wanted = append(wanted, test.Wanted)
		x.Tests = append(x.Tests, test)
	}
	verdict := "but the pattern wants "
	if x.Match {
		verdict = "as the pattern wants: "
	}
	x.Reason = fmt.Sprintf("%s is %s, %s%s", pathText(f.Path), valuesText(&x), verdict, strings.Join(wanted, " or "))
	return x
}

// mayBeAbsent reports whether a field of these leaves can count as absent: if it has none, or if all lie in arrays, so that it
// depends on the elements that the other fields choose.
func mayBeAbsent(leaves []slow.Leaf) bool {
	for _, l := range leaves {
		if l.In == nil {
			return false
		}
	}
	return true
}

// explainConflict says which fields do not go together, where each holds by itself.
func explainConflict(e *slow.Event, a syntax.Alternative) (string, error) {
	for i, f := range a {
		alone, err := e.Find(syntax.Alternative{f})
		if err != nil {
			return "", err
		}
		if alone == nil { // can only be one that asks for absence
			continue
		}
		for _, g := range a[i+1:] {
			pair, err := e.Find(syntax.Alternative{f, g})
			if err != nil {
				return "", err
			}
			if pair == nil && !slow.MayMiss(g) {
				return fmt.Sprintf("%s and %s each hold, but not in the same element%s", pathText(f.Path), pathText(g.Path), sharedArray(e, f, g)), nil
			}
		}
	}
	var absent []string
	for _, f := range a {
		if slow.MayMiss(f) && len(e.At(f)) > 0 {
			absent = append(absent, pathText(f.Path))
		}
	}
	if absent != nil {
		return fmt.Sprintf("%s should be absent, but is there wherever the other fields hold", strings.Join(absent, " or ")), nil
	}
	return "the fields each hold, but not all of them in the same array elements", nil
}

// sharedArray names the innermost array in which both fields have leaves.
func sharedArray(e *slow.Event, f, g syntax.Field) string {
	arrays := make(map[int]bool)
	for _, l := range e.At(f) {
		for in := l.In; in != nil; in = in.Outer {
			arrays[in.Array] = true
		}
	}
	for _, l := range e.At(g) {
		for in := l.In; in != nil; in = in.Outer {
			if arrays[in.Array] {
				return " of the array " + pathText(l.Path[:in.PathLen])
			}
		}
	}
	return " of an array"
}

// operators are the names of operators as patterns write them.
var operators = map[syntax.Op]string{
	syntax.Equal: "equals", syntax.EqualNumber: "equals", syntax.EqualNull: "equals", syntax.EqualTrue: "equals",
	syntax.EqualFalse: "equals", syntax.Exists: "exists", syntax.Absent: "exists", syntax.Prefix: "prefix", syntax.Suffix: "suffix",
	syntax.PrefixFold: "prefix", syntax.SuffixFold: "suffix", syntax.EqualFold: "equals-ignore-case", syntax.Wildcard: "wildcard",
	syntax.Numeric: "numeric", syntax.CIDR: "cidr", syntax.AnythingBut: "anything-but",
}

// describe says what a test wants.
func describe(t syntax.Test) string {
	switch t.Op {
	case syntax.Equal:
		return quoted(t.Text)
	case syntax.EqualNumber:
		return t.Text
	case syntax.EqualNull:
		return "null"
	case syntax.EqualTrue:
		return "true"
	case syntax.EqualFalse:
		return "false"
	case syntax.Exists:
		return "any value"
	case syntax.Absent:
		return "no value"
	case syntax.Prefix:
		return "a text that begins with " + quoted(t.Text)
	case syntax.PrefixFold:
		return "a text that begins with " + quoted(t.Text) + " in any case"
	case syntax.Suffix:
		return "a text that ends with " + quoted(t.Text)
	case syntax.SuffixFold:
		return "a text that ends with " + quoted(t.Text) + " in any case"
	case syntax.EqualFold:
		return quoted(t.Text) + " in any case"
	case syntax.Wildcard:
		return "a text like " + quoted(t.Text)
	case syntax.Numeric:
		return "a number " + rangeText(t.Range)
	case syntax.CIDR:
		return "an IP address in " + t.Text
	default: // AnythingBut
		var not []string
		for _, n := range t.Not {
			not = append(not, describe(n))
		}
		return "anything but " + strings.Join(not, " or ")
	}
}

func rangeText(r syntax.Range) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	low, high := ">= "+number(r.Low), "<= "+number(r.High)
	if r.LowOpen {
		low = "> " + number(r.Low)
	}
	if r.HighOpen {
		high = "< " + number(r.High)
	}
	switch {
	case r.Low == r.High:
		return "= " + number(r.Low)
	case r.Low < -math.MaxFloat64:
		return high
	case r.High > math.MaxFloat64:
		return low
	}
	return low + " and " + high
}

// valuesText says what a field is in the event.
func valuesText(x *FieldExplanation) string {
	if len(x.Values) == 0 {
		return "absent"
	}
	var texts []string
	for _, v := range x.Values {
		texts = append(texts, string(v))
	}
	if x.Omitted > 0 {
		texts = append(texts, fmt.Sprintf("%d more", x.Omitted))
	}
	return strings.Join(texts, ", ")
}

// pathText names a path, even one that is empty.
func pathText(path string) string {
	if path == "" {
		return `""`
	}
	return path
}

// shown writes a value as JSON, cut if it is long.
func shown(v any) json.RawMessage {
	if s, ok := v.(string); ok {
		return json.RawMessage(quoted(s))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null") // cannot happen: a leaf is a scalar
	}
	return b
}

// quoted writes a text as JSON, cut if it is long.
func quoted(s string) string {
	if n := utf8.RuneCountInString(s); n > maxValueText {
		s = string([]rune(s)[:maxValueText]) + "…"
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can be encoded, and a builder written to
	return strings.TrimSuffix(b.String(), "\n")
}

// String tells the explanation in words, a line for each field that matters.
func (x *Explanation) String() string {
	var b strings.Builder
	if x.Match {
		b.WriteString("The event matches.\n")
	} else {
		b.WriteString("The event does not match.\n")
	}
	several := len(x.Alternatives)+x.Omitted > 1
	for i := range x.Alternatives {
		a := &x.Alternatives[i]
		if x.Match && !a.Match {
			continue
		}
		if several {
			fmt.Fprintf(&b, "Alternative %d of %d:\n", i+1, len(x.Alternatives)+x.Omitted)
		}
		for _, f := range a.Fields {
			if f.Match == a.Match {
				b.WriteString("  " + f.Reason + "\n")
			}
		}
		if a.Conflict != "" {
			b.WriteString("  " + a.Conflict + "\n")
		}
	}
	if x.Omitted > 0 {
		fmt.Fprintf(&b, "%d more alternatives are not listed.\n", x.Omitted)
	}
	return b.String()
}
