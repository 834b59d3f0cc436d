package filter_test

import (
	"encoding/json"
	"io"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/topic/filter"
	"github.com/rialto-events/rialto/pattern/syntax"
)

// A reference matches messages in the most obvious way: it decodes them, lists their values, and tries all choices of them.
type reference struct {
	scope        filter.Scope
	alternatives []syntax.Alternative
}

func readReference(t testing.TB, policy string, scope filter.Scope) *reference {
	t.Helper()
	if strings.ReplaceAll(policy, " ", "") == "{}" {
		return &reference{scope: scope}
	}
	p, err := syntax.ParseUpTo(len(policy), []byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	return &reference{scope, p.Alternatives}
}

// A value is one of a message, with the element that it lies in of each array around it.
type value struct {
	it any // nil, bool, string or json.Number
	in map[*any]int
}

func (r *reference) match(n *notification.Notification) bool {
	if r.alternatives == nil {
		return true
	}
	values := make(map[string][]value)
	if r.scope == filter.MessageBody {
		object, ok := decode(n.Message).(map[string]any)
		if !ok {
			return false
		}
		list(values, "", object, nil)
	} else {
		for name, a := range n.Attributes {
			if !a.IsBinary() {
				list(values, name, attribute(a), nil)
			}
		}
	}
	return slices.ContainsFunc(r.alternatives, func(a syntax.Alternative) bool { return choose(values, a, nil, nil) })
}

// decode reads JSON, or returns what no case asks for.
func decode(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return struct{}{}
	}
	if _, err := d.Token(); err != io.EOF {
		return struct{}{}
	}
	return v
}

// attribute is what a body would have in its place.
func attribute(a notification.Attribute) any {
	switch {
	case a.Type == "String.Array":
		if array, ok := decode(a.String).([]any); ok {
			return array
		}
	case strings.HasPrefix(a.Type, "Number"):
		if v, ok := new(big.Float).SetString(strings.TrimSpace(a.String)); ok {
			return json.Number(v.Text('f', 30))
		}
	}
	return a.String
}

// list lists the values of a message by their paths.
func list(values map[string][]value, path string, v any, in map[*any]int) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if path != "" {
				key = path + "." + key
			}
			list(values, key, member, in)
		}
	case []any:
		array := new(any)
		for i, element := range v {
			within := map[*any]int{array: i}
			for a, k := range in {
				within[a] = k
			}
			list(values, path, element, within)
		}
	default:
		values[path] = append(values[path], value{v, in})
	}
}

// choose reports whether there is a value for each field such that no two lie in different elements of an array. For an absence there must
// be none in the elements that the others have chosen, at the end.
func choose(values map[string][]value, fields syntax.Alternative, chosen []value, absent []string) bool {
	if len(fields) == 0 {
		for _, path := range absent {
			if slices.ContainsFunc(values[path], func(v value) bool { return fits(v, chosen) }) {
				return false
			}
		}
		return true
	}
	f := fields[0]
	for _, v := range values[f.Path] {
		if fits(v, chosen) && slices.ContainsFunc(f.Tests, func(t syntax.Test) bool { return holds(t, v.it) }) &&
			choose(values, fields[1:], append(slices.Clone(chosen), v), absent) {
			return true
		}
	}
	return slices.ContainsFunc(f.Tests, func(t syntax.Test) bool { return t.Op == syntax.Absent }) &&
		choose(values, fields[1:], chosen, append(slices.Clone(absent), f.Path))
}

func fits(v value, chosen []value) bool {
	for _, c := range chosen {
		for array, i := range v.in {
			if k, ok := c.in[array]; ok && k != i {
				return false
			}
		}
	}
	return true
}

func holds(t syntax.Test, v any) bool {
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch t.Op {
	case syntax.Exists:
		return true
	case syntax.EqualNull:
		return v == nil
	case syntax.EqualTrue:
		return v == true
	case syntax.EqualFalse:
		return v == false
	case syntax.AnythingBut:
		return !slices.ContainsFunc(t.Not, func(not syntax.Test) bool { return holds(not, v) })
	case syntax.EqualNumber:
		return isNumber && fiveDecimals(string(number)).Cmp(fiveDecimals(t.Text)) == 0
	case syntax.Numeric:
		return isNumber && within(fiveDecimals(string(number)), t.Range)
	case syntax.Equal:
		return isText && text == t.Text
	case syntax.Prefix:
		return isText && strings.HasPrefix(text, t.Text)
	case syntax.Suffix:
		return isText && strings.HasSuffix(text, t.Text)
	case syntax.EqualFold:
		return isText && syntax.FoldEqual(text, t.Text)
	case syntax.PrefixFold:
		return isText && syntax.FoldPrefix(text, t.Text)
	case syntax.SuffixFold:
		return isText && syntax.FoldSuffix(text, t.Text)
	case syntax.Wildcard:
		return isText && like(text, t.Parts)
	case syntax.CIDR:
		addr, v6, ok := syntax.ParseAddr(text)
		return isText && ok && t.Net.Contains(addr, v6)
	}
	return false
}

// like tries all ways in which text may be made of the parts with anything between them.
func like(text string, parts []string) bool {
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	for i := range len(rest) + 1 {
		if like(rest[i:], parts[1:]) {
			return true
		}
	}
	return false
}

var billion = big.NewRat(1e9, 1)

// fiveDecimals is the number to five decimals, the nearer and if there is none the even one; beyond a billion it is as it is.
func fiveDecimals(text string) *big.Rat {
	f, _ := new(big.Float).SetPrec(53).SetString(text)
	v, _ := f.Rat(nil)
	if new(big.Rat).Abs(v).Cmp(billion) > 0 {
		return v
	}
	scaled := new(big.Rat).Mul(v, big.NewRat(1e5, 1))
	whole, rest := new(big.Int).DivMod(scaled.Num(), scaled.Denom(), new(big.Int))
	half := new(big.Int).Lsh(rest, 1).Cmp(scaled.Denom())
	if half > 0 || half == 0 && whole.Bit(0) == 1 {
		whole.Add(whole, big.NewInt(1))
	}
	return new(big.Rat).SetFrac(whole, big.NewInt(1e5))
}

func within(v *big.Rat, r syntax.Range) bool {
	if new(big.Rat).Abs(v).Cmp(billion) > 0 {
		return false
	}
	above, below := true, true
	if !math.IsInf(r.Low, 0) {
		c := v.Cmp(fiveDecimals(big.NewFloat(r.Low).Text('g', 30)))
		above = c > 0 || c == 0 && !r.LowOpen
	}
	if !math.IsInf(r.High, 0) {
		c := v.Cmp(fiveDecimals(big.NewFloat(r.High).Text('g', 30)))
		below = c < 0 || c == 0 && !r.HighOpen
	}
	return above && below
}
