package pattern

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestLongArraysAreLinear counts what is done for events with one long array, for which trying all pairs of elements would
// take forever.
func TestLongArraysAreLinear(t *testing.T) {
	list := func(n int, format string) string {
		texts := make([]string, n)
		for i := range texts {
			texts[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(texts, ",")
	}
	both := `{"d":{"a":[{"exists":true}],"b":[{"exists":true}]}}`
	for _, c := range []struct {
		name, pattern string
		match         bool
		event         func(n int) string
	}{
		{"strings and a scalar", `{"d":{"tags":[{"exists":true}],"type":[{"exists":true}]}}`, true,
			func(n int) string { return `{"d":{"tags":[` + list(n, `"t%d"`) + `],"type":"G"}}` }},
		{"objects with both", both, true, func(n int) string { return `{"d":[` + list(n, `{"a":%d,"b":1}`) + `]}` }},
		{"objects with one or the other", both, false, func(n int) string { return `{"d":[` + list(n, `{"a":%d},{"b":1}`) + `]}` }},
		{"the last has both", both, true, func(n int) string { return `{"d":[` + list(n, `{"a":%d},{"b":1}`) + `,{"a":1,"b":1}]}` }},
		{"nested", `{"a":{"b":{"x":[{"exists":true}],"y":[{"exists":true}]}}}`, true,
			func(n int) string {
				return `{"a":[` + list(n, `{"b":[`+strings.Repeat(`{"x":1,"y":1},`, 9)+`{"x":%d}]}`) + `]}`
			}},
		{"two arrays and a scalar", `{"tags":[{"exists":true}],"cats":[{"exists":true}],"v":["1"]}`, true,
			func(n int) string {
				return `{"tags":[` + list(n, `"t%d"`) + `],"cats":[` + list(n, `"c%d"`) + `],"v":"1"}`
			}},
		{"absence", `{"d":{"a":[1],"b":[{"exists":false}]}}`, false,
			func(n int) string { return `{"d":[` + list(n, `{"a":1,"b":%d}`) + `]}` }},
		{"two arrays and absence", `{"d":{"a":[1],"b":[{"exists":false}]},"e":{"c":[1]}}`, false,
			func(n int) string {
				return `{"d":[` + list(n, `{"a":1,"b":%d}`) + `],"e":[` + list(n, `{"c":1,"i":%d}`) + `]}`
			}},
		{"eight fields", `{"d":{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1],"g":[1],"h":[1]}}`, false,
			func(n int) string {
				return `{"d":[` + list(n, `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1},{"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":%d}`) + `]}`
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse([]byte(c.pattern))
			if err != nil {
				t.Fatal(err)
			}
			var set Set
			set.Add(1, p)
			work := func(n int) int {
				var s Scratch
				ids, err := set.Match([]byte(c.event(n)), &s)
				if err != nil || len(ids) > 0 != c.match {
					t.Fatalf("%d elements: got %v, %v", n, ids, err)
				}
				return len(s.elements) + len(s.leaves) + s.fit.leaves + s.fit.steps
			}
			if once, twice := work(1000), work(2000); twice > 2*once+100 {
				t.Errorf("1000 elements take %d steps, 2000 take %d", once, twice)
			}
		})
	}
}

// TestContrivedArraysAreRefused has an event whose arrays, made by duplicate keys, allow far too many combinations.
func TestContrivedArraysAreRefused(t *testing.T) {
	var fields, arrays []string
	for i := range 24 {
		fields = append(fields, fmt.Sprintf(`"f%d":[1]`, i))
	}
	for i := range 24 {
		var elements []string
		for k := range 24 {
			elements = append(elements, fmt.Sprintf(`{"f%d":1,"f%d":1}`, k, (k*7+i)%23))
		}
		arrays = append(arrays, `"d":[`+strings.Join(elements, ",")+`]`)
	}
	p, err := Parse([]byte(`{"d":{` + strings.Join(fields, ",") + `,"never":[{"exists":false}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	var set Set
	set.Add(1, p)
	event := `{` + strings.Join(arrays, ",") + `,"d":[{"never":1},{"never":2}]}`
	if ids, err := set.Match([]byte(event), new(Scratch)); !errors.Is(err, errTooHard) {
		t.Errorf("got %v, %v", ids, err)
	}
}
