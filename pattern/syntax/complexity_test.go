package syntax

import (
	"strings"
	"testing"
)

func TestWorstSet(t *testing.T) {
	for _, c := range []struct {
		wildcards string // separated by blanks
		want      int
	}{
		{"abc", 1},
		{"*", 2},
		{"*.png", 2},
		{"dir/*.png", 2},
		{"*/lib/*", 4},
		{"arn:aws:events:us-east-1:*:event-bus/*", 3},
		{"/Users/*/dir/dir/dir/dir/dir/doc.txt", 7},
		{"*a*a*a*a*a", 10},
		{"*a*a*a*a*a*a", 12},
		{"*:*:*:*:*:event-bus/*", 11},
		{"*aaaaaaaaa", 10},
		{"*aaaaaaaaaa", 11},
		{"a b c", 3},
		{"abc* abd*", 2}, // share ab
		{"*a *b", 4},     // share the star
	} {
		var tests []Test
		for w := range strings.FieldsSeq(c.wildcards) {
			test, err := wildcard(w)
			if err != nil {
				t.Fatal(err)
			}
			tests = append(tests, test)
		}
		if got, _ := newAutomaton(tests).worst(100, maxSets); got != c.want {
			t.Errorf("%s: got %d, want %d", c.wildcards, got, c.want)
		}
	}
}

// The wildcards of different alternatives meet in one machine if the fields before them can be the same.
func TestComplexityOfAlternatives(t *testing.T) {
	const ten, one = `[{"wildcard":"*aaaaaaaaa"}]`, `[{"wildcard":"*b"}]` // together 11
	for _, c := range []struct {
		name, pattern string
		refused       bool
	}{
		{"same field", `{"$or":[{"v":` + ten + `},{"v":` + one + `}]}`, true},
		{"different fields", `{"$or":[{"v":` + ten + `},{"w":` + one + `}]}`, false},
		{"after the same field", `{"a":[1],"$or":[{"v":` + ten + `},{"v":` + one + `}]}`, true},
		{"after different values", `{"$or":[{"a":[1],"v":` + ten + `},{"a":[2],"v":` + one + `}]}`, false},
		{"after values that overlap", `{"$or":[{"a":[1,2],"v":` + ten + `},{"a":[2,3],"v":` + one + `}]}`, true},
		{"after an absence", `{"$or":[{"a":[{"exists":false}],"v":` + ten + `},{"a":[{"exists":false}],"v":` + one + `}]}`, false},
	} {
		if _, err := Parse([]byte(c.pattern)); (err != nil) != c.refused {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
