package syntax

import (
	"strings"
	"testing"
	"unicode"
)

func TestFold(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"abC", "ABc", true},
		{"ß", "ß", true},
		{"ß", "SS", true},
		{"ß", "ss", false},
		{"ß", "Ss", false},
		{"Straße", "STRASSE", true},
		{"ﬀ", "FF", true},
		{"\u0130", "i", false},
		{"\u0130", "i\u0307", true},
		{"\u0130", "\u0130", true},
		{"\u0390", "\u0399\u0308\u0301", true},
		{"\u1fd3", "\u0399\u0308\u0301", true},
		{"K", "\u212a", false}, // the Kelvin sign
		{"S", "\u017f", false},
		{"ǅ", "ǅ", true},
		{"😀", "😀", true},
		{"😀", "??", false},
		{"𐐀", "𐐨", true},
		{"", "", true},
		{"", "a", false},
	} {
		if got := FoldEqual(c.s, c.pattern); got != c.want {
			t.Errorf("pattern %q, string %q: got %v", c.pattern, c.s, got)
		}
		if c.s == "a" {
			continue
		}
		if got := FoldPrefix(c.s+"abc", c.pattern); got != c.want {
			t.Errorf("prefix %q, string %q: got %v", c.pattern, c.s+"abc", got)
		}
		if got := FoldSuffix("abc"+c.s, c.pattern); got != c.want {
			t.Errorf("suffix %q, string %q: got %v", c.pattern, "abc"+c.s, got)
		}
	}
}

// TestFoldVariantsAreDistinct holds what lets matchers be greedy.
func TestFoldVariantsAreDistinct(t *testing.T) {
	if len(longUpper) != 102 {
		t.Errorf("%d characters have a long upper case, want the 102 of Unicode", len(longUpper))
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		v := FoldVariants(r)
		if len(v) == 1 {
			continue
		}
		for i, a := range v {
			for j, b := range v {
				if i != j && (strings.HasPrefix(a, b) || strings.HasSuffix(a, b)) {
					t.Errorf("%U: %q and %q", r, a, b)
				}
			}
		}
	}
}
