package tracecontext_test

import (
	"os"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/tracecontext"
)

const cases = "testdata/headers.txt"

// A headerCase is a line of the cases: a word, and what stands before and after its arrow.
type headerCase struct{ word, from, to string }

func headerCases(t testing.TB) (list []headerCase) {
	t.Helper()
	text, err := os.ReadFile(cases)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		arrow := "=>"
		if word == "both" {
			arrow = "<=>"
		}
		from, to, ok := strings.Cut(rest, arrow)
		if !ok {
			t.Fatalf("%s: %q has no arrow", cases, line)
		}
		list = append(list, headerCase{word, strings.ReplaceAll(strings.TrimSpace(from), `\n`, "\n"), strings.TrimSpace(to)})
	}
	return list
}

func fresh() string { return "fresh" }

// fromW3C reads what the cases write as PARENT | STATE.
func fromW3C(both string) string {
	parent, state, _ := strings.Cut(both, " | ")
	return tracecontext.FromW3C(parent, state)
}

func toW3C(header string) string {
	parent, state := tracecontext.W3C(header)
	if state == "" {
		return parent
	}
	return parent + " | " + state
}

func TestHeaders(t *testing.T) {
	for _, c := range headerCases(t) {
		var got string
		switch c.word {
		case "xray":
			got = tracecontext.Normal(c.from, fresh)
		case "w3c":
			got = fromW3C(c.from)
		case "to":
			got = toW3C(c.from)
		case "both":
			if got := toW3C(c.to); got != c.from {
				t.Errorf("%s\nbecame %q, want %q", c.to, got, c.from)
			}
			got = fromW3C(c.from)
		default:
			t.Fatalf("%s: what is %q?", cases, c.word)
		}
		if got != c.to {
			t.Errorf("%s %q\nbecame %q, want %q", c.word, c.from, got, c.to)
		}
	}
}

func TestLimits(t *testing.T) {
	const root, parent = "Root=1-5759e988-bd862e3fe1be46a994272793", "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
	if got := tracecontext.Normal(root+";a="+strings.Repeat("x", 500), fresh); got != "" {
		t.Errorf("a header that is too long became %q", got)
	}
	long := "a=" + strings.Repeat(";", 510)
	if _, state := tracecontext.W3C(tracecontext.FromW3C(parent, long)); state != long {
		t.Errorf("the longest tracestate became %q", state)
	}
	if _, state := tracecontext.W3C(tracecontext.FromW3C(parent, long+";")); state != "" {
		t.Errorf("a tracestate that is too long became %q", state)
	}
}

// FuzzThereAndBack goes from each form to the other and back: a trace may lose what is not valid on its first way, and nothing later.
func FuzzThereAndBack(f *testing.F) {
	for _, c := range headerCases(f) {
		first, second, _ := strings.Cut(c.from, " | ")
		f.Add(first, second)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		header := tracecontext.FromW3C(a, b)
		parent, state := tracecontext.W3C(header)
		if again := tracecontext.FromW3C(parent, state); again != header {
			t.Errorf("%q and %q became %q, and that %q", a, b, header, again)
		}
		if header != "" && strings.HasPrefix(a, "00") && !strings.HasPrefix(strings.TrimSpace(a), parent[:53]) {
			t.Errorf("%q became %q", a, parent)
		}
		if strings.ContainsAny(header, "\r\n") {
			t.Errorf("%q breaks the line", header)
		}
		normal := tracecontext.Normal(a, fresh)
		if again := tracecontext.Normal(normal, fresh); again != normal && normal != "" && !strings.Contains(normal, "fresh") {
			t.Errorf("%q became %q, and that %q", a, normal, again)
		}
		if strings.ContainsAny(normal, "\r\n") {
			t.Errorf("%q breaks the line", normal)
		}
		parent, state = tracecontext.W3C(normal)
		if p, s := tracecontext.W3C(tracecontext.FromW3C(parent, state)); p != parent || s != state {
			t.Errorf("%q became %q and %q, and those %q and %q", normal, parent, state, p, s)
		}
	})
}
