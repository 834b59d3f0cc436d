package syntax_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto/pattern/syntax"
)

func parse(t *testing.T, pattern string) *syntax.Pattern {
	t.Helper()
	p, err := syntax.Parse([]byte(pattern))
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	return p
}

func TestParseTests(t *testing.T) {
	net := func(first, last byte) (n syntax.Net) {
		copy(n.First[12:], []byte{10, 0, 0, first})
		copy(n.Last[12:], []byte{10, 0, 0, last})
		return n
	}
	inf := math.Inf(1)
	for items, want := range map[string]syntax.Test{
		`"a\u00e9"`:                             {Op: syntax.Equal, Text: "aé"},
		`{"exactly":"a"}`:                       {Op: syntax.Equal, Text: "a"},
		`1.50`:                                  {Op: syntax.EqualNumber, Text: "1.50", Number: 1.5, Comparable: true},
		`9007199254740993`:                      {Op: syntax.EqualNumber, Text: "9007199254740993", Number: 1 << 53},
		`null`:                                  {Op: syntax.EqualNull},
		`true`:                                  {Op: syntax.EqualTrue},
		`false`:                                 {Op: syntax.EqualFalse},
		`{"exists":true}`:                       {Op: syntax.Exists},
		`{"exists":false}`:                      {Op: syntax.Absent},
		`{"prefix":"a"}`:                        {Op: syntax.Prefix, Text: "a"},
		`{"suffix":"a"}`:                        {Op: syntax.Suffix, Text: "a"},
		`{"wildcard":"a\\**\\\\"}`:              {Op: syntax.Wildcard, Text: `a\**\\`, Parts: []string{"a*", `\`}},
		`{"wildcard":"*"}`:                      {Op: syntax.Wildcard, Text: "*", Parts: []string{"", ""}},
		`{"wildcard":""}`:                       {Op: syntax.Wildcard, Parts: []string{""}},
		`{"equals-ignore-case":"A"}`:            {Op: syntax.EqualFold, Text: "A"},
		`{"prefix":{"equals-ignore-case":"A"}}`: {Op: syntax.PrefixFold, Text: "A"},
		`{"suffix":{"equals-ignore-case":"A"}}`: {Op: syntax.SuffixFold, Text: "A"},
		`{"numeric":["=",5]}`:                   {Op: syntax.Numeric, Range: syntax.Range{Low: 5, High: 5}},
		`{"numeric":["<",5]}`:                   {Op: syntax.Numeric, Range: syntax.Range{Low: -inf, High: 5, HighOpen: true}},
		`{"numeric":["<=",5]}`:                  {Op: syntax.Numeric, Range: syntax.Range{Low: -inf, High: 5}},
		`{"numeric":[">",5]}`:                   {Op: syntax.Numeric, Range: syntax.Range{Low: 5, High: inf, LowOpen: true}},
		`{"numeric":[">=",5]}`:                  {Op: syntax.Numeric, Range: syntax.Range{Low: 5, High: inf}},
		`{"numeric":[">=",5,"<",6]}`:            {Op: syntax.Numeric, Range: syntax.Range{Low: 5, High: 6, HighOpen: true}},
		`{"cidr":"10.0.0.9/29"}`:                {Op: syntax.CIDR, Text: "10.0.0.9/29", Net: net(8, 15)},
		`{"anything-but":["a","b"]}`: {Op: syntax.AnythingBut, Not: []syntax.Test{
			{Op: syntax.Equal, Text: "a"}, {Op: syntax.Equal, Text: "b"}}},
		`{"anything-but":1}`: {Op: syntax.AnythingBut, Not: []syntax.Test{
			{Op: syntax.EqualNumber, Text: "1", Number: 1, Comparable: true}}},
		`{"anything-but":{"wildcard":["a*"]}}`: {Op: syntax.AnythingBut, Not: []syntax.Test{
			{Op: syntax.Wildcard, Text: "a*", Parts: []string{"a", ""}}}},
		`{"anything-but":{"prefix":"a"}}`: {Op: syntax.AnythingBut, Not: []syntax.Test{{Op: syntax.Prefix, Text: "a"}}},
		`{"anything-but":{"equals-ignore-case":"a"}}`: {Op: syntax.AnythingBut, Not: []syntax.Test{
			{Op: syntax.EqualFold, Text: "a"}}},
	} {
		p := parse(t, `{"v":[`+items+`]}`)
		if diff := cmp.Diff([]syntax.Alternative{{{Path: "v", Tests: []syntax.Test{want}}}}, p.Alternatives); diff != "" {
			t.Errorf("%s (-want +got):\n%s", items, diff)
		}
	}
}

// paths writes alternatives as the paths of their fields.
func paths(p *syntax.Pattern) string {
	var all []string
	for _, a := range p.Alternatives {
		var one []string
		for _, f := range a {
			one = append(one, f.Path)
		}
		all = append(all, strings.Join(one, " "))
	}
	return strings.Join(all, " | ")
}

func TestParseAlternatives(t *testing.T) {
	for pattern, want := range map[string]string{
		`{"b":[1],"a":{"y":[1],"x":[1]}}`:                                     "a.x a.y b",
		`{"a":[1],"a":[2]}`:                                                   "a",
		`{"a":{"b":[1]},"a.b":[2]}`:                                           "a.b",
		`{"$or":[{"a":[1]},{"b":[1],"c":[1]}],"z":[1]}`:                       "a z | b c z",
		`{"x":{"$or":[{"a":[1]},{"b":[1]}]},"$or":[{"c":[1]},{"d":[1]}]}`:     "c x.a | c x.b | d x.a | d x.b",
		`{"$or":[{"a":[1]},{"b":[1],"$or":[{"c":[1]},{"d":[1]},{"e":[1]}]}]}`: "a | b c | b d | b e",
		`{"a":[1],"$or":[{"a":[2]},{"b":[1]}]}`:                               "a | a b",
		`{"":[1]}`:                                                            "",
		`{"a":{"":[1]},"":{"":[1]}}`:                                          ". a.",
	} {
		if got := paths(parse(t, pattern)); got != want {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}

func TestAlternativesDoNotShare(t *testing.T) {
	p := parse(t, `{"$or":[{"b":[1]},{"b":[2]}],"a":[0],"c":[0],"d":[0]}`)
	if got := paths(p); got != "a b c d | a b c d" {
		t.Fatal(got)
	}
	if x, y := p.Alternatives[0][1].Tests[0].Text, p.Alternatives[1][1].Tests[0].Text; x != "1" || y != "2" {
		t.Errorf("b is %s and %s", x, y)
	}
}

func reason(t *testing.T, pattern string) string {
	t.Helper()
	_, err := syntax.Parse([]byte(pattern))
	e, ok := errors.AsType[*syntax.Error](err)
	if !ok {
		t.Fatalf("%.100q: %v", pattern, err)
	}
	return e.Error()
}

func wantReason(t *testing.T, pattern, want string) {
	t.Helper()
	if got := reason(t, pattern); got != "Event pattern is not valid. Reason: "+want {
		t.Errorf("pattern %q\ngot  %s\nwant Event pattern is not valid. Reason: %s", pattern, got, want)
	}
}

func TestErrorsOnOtherLines(t *testing.T) {
	wantReason(t, "{\n \"a\":\r\n [1],\r \"b\": 2}",
		"\"b\" must be an object or an array\n at [Source: (String)\"{\n \"a\":\r\n [1],\r \"b\": 2}\"; line: 4, column: 8]")
	wantReason(t, "\n\n{\n", "Unexpected end-of-input: expected close marker for Object (start marker at "+
		"[Source: (String)\"\n\n{\n\"; line: 3, column: 1])\n at [Source: (String)\"\n\n{\n\"; line: 4, column: 1]")
}

func TestErrorsShowControlCharacters(t *testing.T) {
	wantReason(t, "{\"a\":[\"x\ty\"]}", "Illegal unquoted character ((CTRL-CHAR, code 9)): has to be escaped using backslash "+
		"to be included in string value\n at [Source: (String)\"{\"a\":[\"x\\u0009y\"]}\"; line: 1, column: 9]")
	wantReason(t, "{\x1f}", `Illegal character ((CTRL-CHAR, code 31)): only regular white space (\r, \n, \t) is allowed between tokens`+
		"\n at [Source: (String)\"{\\u001F}\"; line: 1, column: 2]")
	wantReason(t, "{\"a\nb\":1}", "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash "+
		"to be included in name\n at [Source: (String)\"{\"a\nb\":1}\"; line: 1, column: 4]")
}

// Columns and the length of the excerpt count UTF-16 code units, of which an emoji has two.
func TestErrorsCountAsJava(t *testing.T) {
	wantReason(t, `{"😀é":1}`, "\"😀é\" must be an object or an array\n at [Source: (String)\"{\"😀é\":1}\"; line: 1, column: 9]")
	long := `{"a":["` + strings.Repeat("é", 492) + "😀" + `x"]} x`
	_, err := syntax.Parse([]byte(long))
	quoted := long[:strings.Index(long, "😀")]
	if want := "[Source: (String)\"" + quoted + "\"[truncated 7 chars]; line: 1, column: 508]"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestInvalidUTF8(t *testing.T) {
	for pattern, column := range map[string]int{"{\"a\xff\":[1]}": 4, "\xc3": 1, "{\"a\":[\"é\xe2\x82\"]}": 9} {
		_, err := syntax.Parse([]byte(pattern))
		if e, ok := errors.AsType[*syntax.Error](err); !ok || !strings.HasPrefix(e.Reason, "Invalid UTF-8") || e.Column != column {
			t.Errorf("%q: got %v", pattern, err)
		}
	}
	parse(t, "{\"\ufffd\":[\"\ufffd\"]}")
}

func TestLimits(t *testing.T) {
	const levels = 1000
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "[1]" + strings.Repeat("}", n) }
	parse(t, deep(levels-1))
	for _, pattern := range []string{deep(levels), deep(100_000)[:syntax.MaxSize], strings.Repeat("[", syntax.MaxSize),
		`{"a":` + strings.Repeat("[", syntax.MaxSize-5), `{"$or":` + strings.Repeat(`[{"$or":`, 8000)} {
		reason(t, pattern) // it is enough that it ends
	}
	if got := reason(t, deep(levels)); !strings.Contains(got, "Document nesting depth (1001) exceeds the maximum allowed (1000") {
		t.Error(got)
	}
	for _, pattern := range []string{deep(100_000), strings.Repeat("{", 1<<24)} {
		if got := reason(t, pattern); !strings.Contains(got, "more than 65536") {
			t.Error(got)
		}
	}
	if p := parse(t, `{"a":["`+strings.Repeat("x", syntax.MaxSize-10)+`"]}`); len(p.Text) != syntax.MaxSize {
		t.Errorf("%d bytes", len(p.Text))
	}
}

// What is small can ask for much: all of this must end, in memory and in time.
func TestHostilePatterns(t *testing.T) {
	or := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Repeat("\"x\":{", i%2) + `"$or":[{"a":[1]},{"b":[1]}]` + strings.Repeat("}", i%2) + ",")
		}
		return "{" + b.String() + `"z":[1]}`
	}
	manyFields := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`"` + strings.Repeat("f", i%50) + string(rune('a'+i%26)) + `":[1],`)
		}
		return b.String()
	}
	manyWildcards := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%d":[{"wildcard":"*ab%d*ac%d*ad*x"}],`, i, i, i)
		}
		return b.String()
	}
	for name, pattern := range map[string]string{
		"a million alternatives":      or(20),
		"more than an int counts":     or(200),
		"1,000 long alternatives":     `{` + manyFields(1500) + or(9)[1:],
		"numbers with huge exponents": `{"a":[1e999999999999999999999,1e-99999999999999999999,-0e99999999999999999999]}`,
		"a number of many digits":     `{"a":[` + strings.Repeat("9", 60_000) + `,0.` + strings.Repeat("0", 5000) + `1]}`,
		"stars everywhere":            `{"a":[{"wildcard":"` + strings.Repeat("*a", 30_000) + `"}]}`,
		"a long word after a star":    `{"a":[{"wildcard":"*` + strings.Repeat("abcdefghij", 6000) + `"}]}`,
		"words that grow into each other": `{"a":[{"wildcard":"*` + strings.Repeat("ab", 99) + `*` + strings.Repeat("ba", 99) +
			`"},{"wildcard":"*` + strings.Repeat("c", 4) + strings.Repeat("d", 4000) + `"}]}`,
		"many wildcards": `{` + manyWildcards(1000) + `"z":[1]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := syntax.Parse([]byte(pattern)); err == nil && len(p.Alternatives) > syntax.MaxAlternatives {
				t.Errorf("%d alternatives", len(p.Alternatives))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range readCases(f) {
		f.Add([]byte(c.Pattern))
	}
	f.Fuzz(func(t *testing.T, pattern []byte) {
		p, err := syntax.Parse(pattern)
		if err != nil {
			if e, ok := errors.AsType[*syntax.Error](err); !ok || e.Reason == "" || p != nil {
				t.Fatalf("%q: %v", pattern, err)
			}
			return
		}
		if !json.Valid(pattern) {
			t.Errorf("%q is no JSON but was accepted", pattern)
		}
		if p.Text != string(pattern) || len(p.Alternatives) == 0 || len(p.Alternatives) > syntax.MaxAlternatives {
			t.Errorf("%q: %d alternatives of %q", pattern, len(p.Alternatives), p.Text)
		}
		for _, a := range p.Alternatives {
			if !slices.IsSortedFunc(a, func(x, y syntax.Field) int { return strings.Compare(x.Path, y.Path) }) {
				t.Errorf("%q: fields are not sorted", pattern)
			}
			for i, f := range a {
				if len(f.Tests) == 0 || i > 0 && a[i-1].Path == f.Path {
					t.Errorf("%q: field %q has no tests or comes twice", pattern, f.Path)
				}
			}
		}
		// Blanks make no difference.
		var compact, indented bytes.Buffer
		if json.Compact(&compact, pattern) != nil || json.Indent(&indented, pattern, "", " ") != nil || indented.Len() > syntax.MaxSize {
			return
		}
		for _, text := range [][]byte{compact.Bytes(), indented.Bytes()} {
			q, err := syntax.Parse(text)
			if err != nil {
				t.Fatalf("%q was accepted, but %q is not: %v", pattern, text, err)
			}
			if diff := cmp.Diff(p.Alternatives, q.Alternatives); diff != "" {
				t.Errorf("%q and %q differ:\n%s", pattern, text, diff)
			}
		}
	})
}

// TestCheckJSON asks for the message of texts that are no JSON; what they would mean does not count.
func TestCheckJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": "b", "c": [{}, 1.5e3, null]}`: "",
		`[]`:                                 "",
		`{"a": hello}`:                       "Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
		`{"a": 1`:                            `Unexpected end-of-input: expected close marker for Object (start marker at [Source: (String)"{"a": 1"; line: 1, column: 1])`,
		`{"a": "\x"}`:                        `Unrecognized character escape 'x' (code 120)`,
		"{\"a\": \"\xff\"}":                  "Invalid UTF-8 start byte 0xff",
	} {
		err := syntax.CheckJSON([]byte(text))
		e, ok := errors.AsType[*syntax.Error](err)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (!ok || e.Reason != want):
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
