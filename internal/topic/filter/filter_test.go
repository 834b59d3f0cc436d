package filter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/topic/filter"
)

// A testCase is a policy of testdata and what is expected of it.
type testCase struct {
	name    string // file and line
	scope   filter.Scope
	policy  string
	match   []string // messages: of bodies the text, of attributes an object of types and values
	noMatch []string
	refused bool
	reason  string // the first line
}

// readCases reads the files of testdata, whose lines are a word and its operand. A scope holds up to the next.
func readCases(t testing.TB) (all []testCase) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scope := filter.Scope("")
		for i, line := range strings.Split(string(text), "\n") {
			last := &testCase{}
			if len(all) > 0 {
				last = &all[len(all)-1]
			}
			word, operand := line, ""
			if len(line) > 9 {
				word, operand = strings.TrimSpace(line[:9]), line[9:]
			}
			at := fmt.Sprintf("%s:%d", filepath.Base(file), i+1)
			switch {
			case line == "" || line[0] == '#':
			case word == "scope":
				scope = filter.Scope(operand)
			case word == "policy", word == "refused":
				all = append(all, testCase{name: at, scope: scope, policy: operand, refused: word == "refused"})
			case word == "match":
				last.match = append(last.match, operand)
			case word == "no match":
				last.noMatch = append(last.noMatch, operand)
			case word == "reason":
				last.reason = operand
			default:
				t.Fatalf("%s: what is %q?", at, line)
			}
		}
	}
	return all
}

// message makes a notification of the operand of a case.
func message(t testing.TB, scope filter.Scope, text string) *notification.Notification {
	t.Helper()
	if scope == filter.MessageBody {
		return &notification.Notification{Message: text}
	}
	var typed map[string][2]string
	if err := json.Unmarshal([]byte(text), &typed); err != nil {
		t.Fatalf("attributes %s: %v", text, err)
	}
	n := &notification.Notification{Message: "hello", Attributes: make(map[string]notification.Attribute)}
	for name, v := range typed {
		a := notification.Attribute{Type: v[0], String: v[1]}
		if a.IsBinary() {
			a.String, a.Binary = "", []byte(v[1])
		}
		n.Attributes[name] = a
	}
	return n
}

func TestCases(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(c.name, func(t *testing.T) {
			p, err := filter.Parse([]byte(c.policy), c.scope)
			if c.refused {
				if err == nil {
					t.Fatalf("policy %s was accepted", c.policy)
				}
				if first, _, _ := strings.Cut(err.Error(), "\n"); first != c.reason {
					t.Errorf("got  %s\nwant %s", first, c.reason)
				}
				return
			}
			if err != nil {
				t.Fatalf("policy %s: %v", c.policy, err)
			}
			r := readReference(t, c.policy, c.scope)
			for want, messages := range map[bool][]string{true: c.match, false: c.noMatch} {
				for _, m := range messages {
					n := message(t, c.scope, m)
					if got := p.Match(n); got != want {
						t.Errorf("policy %s, message %s: got %t", c.policy, m, got)
					}
					if got := r.match(n); got != want {
						t.Errorf("policy %s, message %s: the slow matcher says %t", c.policy, m, got)
					}
				}
			}
		})
	}
}

// TestPlaces compares the place that AWS names with what was recorded.
func TestPlaces(t *testing.T) {
	for policy, want := range map[string]string{
		`{"key":[["value"]]}`:                `line: 1, column: 10]`,
		`{"key":[{"wrong-operator":true}]}`:  `line: 1, column: 31]`,
		`{"key":[{"suffix":100}]}`:           `line: 1, column: 22]`,
		`{"key":[{"numeric":["operator"]}]}`: `line: 1, column: 32]`,
		`{"key_a":"value_one"}`:              `line: 1, column: 11]`,
	} {
		_, err := filter.Parse([]byte(policy), filter.MessageAttributes)
		if place := "\n at [Source: (String)\"" + policy + "\"; " + want; err == nil || !strings.HasSuffix(err.Error(), place) {
			t.Errorf("policy %s\ngot  %v\nwant …%s", policy, err, place)
		}
	}
}

func TestLimits(t *testing.T) {
	values := func(n, length int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("%q", fmt.Sprintf("%0*d", length, i))
		}
		return `[` + strings.Join(list, ",") + `]`
	}
	for name, c := range map[string]struct{ policy, reason string }{
		"150 values":             {`{"a":` + values(150, 4) + `}`, ""},
		"151 values":             {`{"a":` + values(151, 4) + `}`, "FilterPolicy: Filter policy is too complex"},
		"5100 combinations":      {`{"a":` + values(100, 4) + `,"b":` + values(51, 4) + `}`, "FilterPolicy: Filter policy is too complex"},
		"nearly 256 KB":          {`{"a":` + values(100, 2600) + `}`, ""},
		"more than 256 KB":       {`{"a":` + values(150, 2600) + `}`, "FilterPolicy: Filter policy can not have more than 262144 bytes"},
		"more than 256 KB alone": {`{"a":["` + strings.Repeat("x", 256<<10) + `"]}`, "FilterPolicy: Filter policy can not have more than 262144 bytes"},
	} {
		_, err := filter.Parse([]byte(c.policy), filter.MessageAttributes)
		if got := fmt.Sprint(err); c.reason != "" && got != c.reason || c.reason == "" && err != nil {
			t.Errorf("%s: got %.200s, want %q", name, got, c.reason)
		}
	}
}

func TestParseScope(t *testing.T) {
	for text, want := range map[string]filter.Scope{"": filter.MessageAttributes, "MessageAttributes": filter.MessageAttributes, "MessageBody": filter.MessageBody} {
		if got, err := filter.ParseScope(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	const want = "FilterPolicyScope: Invalid value [messagebody]. Please use either MessageBody or MessageAttributes"
	if _, err := filter.ParseScope("messagebody"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestTable asks a table of all the policies of testdata the same as each of them alone.
func TestTable(t *testing.T) {
	var policies []*filter.Policy
	var messages []*notification.Notification
	for _, c := range readCases(t) {
		for _, m := range append(c.match, c.noMatch...) {
			messages = append(messages, message(t, c.scope, m))
		}
		if c.refused {
			continue
		}
		p, err := filter.Parse([]byte(c.policy), c.scope)
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p, nil)
	}
	table := filter.NewTable(policies)
	for _, n := range messages {
		var want []int
		for i, p := range policies {
			if p == nil || p.Match(n) {
				want = append(want, i)
			}
		}
		if got := table.Match(n); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("message %q with %v: got %v, want %v", n.Message, n.Attributes, got, want)
		}
	}
}

// TestNoFilters is of a topic without filters, as most are.
func TestNoFilters(t *testing.T) {
	table := filter.NewTable(make([]*filter.Policy, 3))
	n := &notification.Notification{Message: "hello"}
	if got := table.Match(n); fmt.Sprint(got) != "[0 1 2]" {
		t.Errorf("got %v", got)
	}
	if allocations := testing.AllocsPerRun(10, func() { table.Match(n) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkTable(b *testing.B) {
	for _, scope := range []filter.Scope{filter.MessageAttributes, filter.MessageBody} {
		b.Run(string(scope), func(b *testing.B) {
			var policies []*filter.Policy
			for i := range filter.MaxPerTopic {
				text := fmt.Sprintf(`{"store":["store-%d","store-%d"],"price":[{"numeric":[">=",%d]}]}`, i, i+1, i)
				p, err := filter.Parse([]byte(text), scope)
				if err != nil {
					b.Fatal(err)
				}
				policies = append(policies, p)
			}
			table := filter.NewTable(policies)
			n := &notification.Notification{
				Message: `{"order":{"id":"0123456789abcdef","lines":[{"sku":"a","n":1},{"sku":"b","n":2}]},"store":"store-77","price":99.95,"customer":"c-1"}`,
				Attributes: map[string]notification.Attribute{
					"store": {Type: "String", String: "store-77"}, "price": {Type: "Number", String: "99.95"}, "customer": {Type: "String", String: "c-1"},
				},
			}
			if got := table.Match(n); len(got) != 2 {
				b.Fatalf("got %v", got)
			}
			b.ReportAllocs()
			for b.Loop() {
				table.Match(n)
			}
		})
	}
}
