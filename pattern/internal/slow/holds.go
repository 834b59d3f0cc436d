package slow

import (
	"encoding/json"
	"strings"

	"github.com/rialto-events/rialto/pattern/syntax"
)

// Holds reports whether a test holds for the value of a leaf.
func Holds(t syntax.Test, value any) bool {
	switch t.Op {
	case syntax.Exists:
		return true
	case syntax.Absent:
		return false
	case syntax.EqualNull:
		return value == nil
	case syntax.EqualTrue:
		return value == true
	case syntax.EqualFalse:
		return value == false
	case syntax.AnythingBut:
		for _, not := range t.Not {
			if Holds(not, value) {
				return false
			}
		}
		return true
	}
	switch v := value.(type) {
	case string:
		return holdsForString(t, v)
	case json.Number:
		return holdsForNumber(t, v.String())
	default:
		return false
	}
}

func holdsForString(t syntax.Test, s string) bool {
	switch t.Op {
	case syntax.Equal:
		return s == t.Text
	case syntax.Prefix:
		return strings.HasPrefix(s, t.Text)
	case syntax.Suffix:
		return strings.HasSuffix(s, t.Text)
	case syntax.EqualFold:
		return syntax.FoldEqual(s, t.Text)
	case syntax.PrefixFold:
		return syntax.FoldPrefix(s, t.Text)
	case syntax.SuffixFold:
		return syntax.FoldSuffix(s, t.Text)
	case syntax.Wildcard:
		return wildcard(t.Parts, s)
	case syntax.CIDR:
		addr, v6, ok := syntax.ParseAddr(s)
		return ok && t.Net.Contains(addr, v6)
	default:
		return false
	}
}

// wildcard reports whether s is made of the parts with anything between them. Taking each part where it first occurs
// leaves the most for those that follow.
func wildcard(parts []string, s string) bool {
	last := len(parts) - 1
	if last == 0 {
		return s == parts[0]
	}
	s, ok := strings.CutPrefix(s, parts[0])
	for _, part := range parts[1:last] {
		if !ok {
			return false
		}
		_, s, ok = strings.Cut(s, part)
	}
	return ok && strings.HasSuffix(s, parts[last])
}

func holdsForNumber(t syntax.Test, text string) bool {
	n := syntax.ParseEventNumber(text)
	switch t.Op {
	case syntax.EqualNumber:
		if t.Comparable {
			return n.Comparable && n.Value == t.Number
		}
		isInteger := !strings.ContainsAny(text, ".eE")
		return isInteger && text == t.Text
	case syntax.Numeric:
		return n.Comparable && t.Range.Contains(n.Value)
	default:
		return false
	}
}
