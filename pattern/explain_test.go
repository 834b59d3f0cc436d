package pattern_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/pattern/internal/cases"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct{ name, pattern, event, want string }{
		{"a match", `{"source":["shop"]}`, `{"source":"shop"}`, `
The event matches.
  source is "shop", as the pattern wants: "shop"
`},
		{"the fields that fail", `{"source":["shop"],"detail":{"state":["paid",{"prefix":"part"}],"total":[{"numeric":[">",100,"<=",200]}]}}`,
			`{"source":"shop","detail":{"state":"open","total":99.5}}`, `
The event does not match.
  detail.state is "open", but the pattern wants "paid" or a text that begins with "part"
  detail.total is 99.5, but the pattern wants a number > 100 and <= 200
`},
		{"absent", `{"detail":{"a":[{"exists":true}],"b":[{"exists":false}]}}`, `{"detail":{"b":null}}`, `
The event does not match.
  detail.a is absent, but the pattern wants any value
  detail.b is null, but the pattern wants no value
`},
		{"operators", `{"a":[{"anything-but":["x","y"]}],"b":[{"equals-ignore-case":"Q"},{"suffix":{"equals-ignore-case":"Z"}},{"wildcard":"*.png"}],
			"c":[{"cidr":"10.0.0.0/8"}],"d":[1,true,null],"e":[{"anything-but":{"suffix":"x"}}],"f":[{"numeric":["=",3]},{"numeric":["<",2]}]}`,
			`{"a":"x","b":"r","c":"11.0.0.1","d":"1","e":"ax","f":[3.5,2]}`, `
The event does not match.
  a is "x", but the pattern wants anything but "x" or "y"
  b is "r", but the pattern wants "Q" in any case or a text that ends with "Z" in any case or a text like "*.png"
  c is "11.0.0.1", but the pattern wants an IP address in 10.0.0.0/8
  d is "1", but the pattern wants 1 or true or null
  e is "ax", but the pattern wants anything but a text that ends with "x"
  f is 3.5, 2, but the pattern wants a number = 3 or a number < 2
`},
		{"alternatives", `{"$or":[{"a":[1]},{"b":[2]}]}`, `{"a":3}`, `
The event does not match.
Alternative 1 of 2:
  a is 3, but the pattern wants 1
Alternative 2 of 2:
  b is absent, but the pattern wants 2
`},
		{"the alternative that matches", `{"$or":[{"a":[1]},{"b":[2]}]}`, `{"b":2}`, `
The event matches.
Alternative 2 of 2:
  b is 2, as the pattern wants: 2
`},
		{"different elements", `{"items":{"sku":["A"],"qty":[2]}}`, `{"items":[{"sku":"A","qty":1},{"sku":"B","qty":2}]}`, `
The event does not match.
  items.qty and items.sku each hold, but not in the same element of the array items
`},
		{"present where it should be absent", `{"v":{"a":[1],"b":[{"exists":false}]}}`, `{"v":[{"a":1,"b":0},{"a":1,"b":2}]}`, `
The event does not match.
  v.b should be absent, but is there wherever the other fields hold
`},
		{"long values", `{"a":["x"]}`, `{"a":["` + strings.Repeat("é", 100) + `",1,2,3,4,5,6]}`, `
The event does not match.
  a is "` + strings.Repeat("é", 80) + `…", 1, 2, 3, 4, 2 more, but the pattern wants "x"
`},
	} {
		x, err := pattern.Explain(parse(t, c.pattern), []byte(c.event))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := "\n" + x.String(); got != c.want {
			t.Errorf("%s: got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestExplainAgrees explains all cases: what it says is what is, and there is a reason for it.
func TestExplainAgrees(t *testing.T) {
	all, err := cases.Read(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(p *pattern.Pattern, event string, want bool) {
		x, err := pattern.Explain(p, []byte(event))
		if err != nil {
			t.Errorf("pattern %s, event %s: %v", p.Text, event, err)
			return
		}
		if x.Match != want {
			t.Errorf("pattern %s, event %s: explained as %v", p.Text, event, x.Match)
		}
		for _, a := range x.Alternatives {
			reasons := 0
			for _, f := range a.Fields {
				if !f.Match {
					reasons++
				}
			}
			if a.Match != (reasons == 0 && a.Conflict == "") {
				t.Errorf("pattern %s, event %s: %d fields fail and the conflict is %q, but match is %v", p.Text, event, reasons, a.Conflict, a.Match)
			}
		}
		if _, err := json.Marshal(x); err != nil {
			t.Error(err)
		}
	}
	for _, c := range all {
		if c.Invalid {
			continue
		}
		p := parse(t, c.Pattern)
		for _, event := range c.Match {
			check(p, event, true)
		}
		for _, event := range c.NoMatch {
			check(p, event, false)
		}
	}
}

func TestExplainRefusesWhatIsNoEvent(t *testing.T) {
	for _, event := range []string{"", "[]", "{", `"a"`} {
		if _, err := pattern.Explain(parse(t, `{"a":[1]}`), []byte(event)); err == nil {
			t.Errorf("event %q was explained", event)
		}
	}
}
