package filter_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/topic/filter"
)

// FuzzMatch compares tables with the reference, on policies and messages made of the same few words, so that they match often. What is
// made follows from the data.
func FuzzMatch(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(randomBytes(seed, 300))
	}
	f.Fuzz(checkGenerated)
}

// TestGenerated is the fuzz test with a fixed choice of data.
func TestGenerated(t *testing.T) {
	for seed := range uint64(1500) {
		checkGenerated(t, randomBytes(seed, 400))
	}
}

func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func checkGenerated(t *testing.T, data []byte) {
	g := &generator{data: data}
	var policies []*filter.Policy
	var references []*reference
	var texts []string
	for range 1 + g.n(6) {
		scope := pick(g, filter.MessageAttributes, filter.MessageBody)
		text := "{" + g.members(scope, 2) + "}"
		p, err := filter.Parse([]byte(text), scope)
		if err != nil {
			if !strings.Contains(err.Error(), "complex") && !strings.Contains(err.Error(), "5 keys") {
				t.Fatalf("policy %s: %v", text, err)
			}
			continue
		}
		policies, references = append(policies, p), append(references, readReference(t, text, scope))
		texts = append(texts, text)
	}
	table := filter.NewTable(policies)
	for range 4 {
		n := g.message()
		found := make(map[int]bool)
		for _, i := range table.Match(n) {
			found[i] = true
		}
		for i, r := range references {
			if want := r.match(n); found[i] != want {
				t.Errorf("policy %s of %s: got %t\nmessage    %s\nattributes %v", texts[i], r.scope, found[i], n.Message, n.Attributes)
			}
		}
	}
}

// A generator makes policies and messages as data tells it; when that is used up, the simplest.
type generator struct{ data []byte }

// n returns a number below m.
func (g *generator) n(m int) int {
	if len(g.data) == 0 {
		return 0
	}
	c := g.data[0]
	g.data = g.data[1:]
	return int(c) % m
}

func pick[T any](g *generator, list ...T) T { return list[g.n(len(list))] }

func (g *generator) name() string { return pick(g, "a", "b", "c", "a", "a.b") }

func (g *generator) word() string {
	return strconv.Quote(pick(g, "a", "ab", "abc", "A", "", "7", `q"\`, "é", "10.0.0.7"))
}

func (g *generator) number() string {
	return pick(g, "0", "1", "1.0", "1e0", "-1", "2.5", "0.1", "0.100001", "0.1000049", "0.015625", "1.2e-7", "-0.000001", "1000000000", "1000000000.5", "1700000000000", "3e2", "300")
}

// operand is a number that the operator numeric takes.
func (g *generator) operand() string {
	return pick(g, "0", "1", "2.5", "-1", "0.1", "0.10001", "0.1000049", "0.015625", "1000000000", "-99e7", "300")
}

func (g *generator) members(scope filter.Scope, depth int) string {
	var list []string
	for range 1 + g.n(3) {
		switch {
		case depth > 0 && scope == filter.MessageBody && g.n(3) == 0:
			list = append(list, strconv.Quote(g.name())+":{"+g.members(scope, depth-1)+"}")
		case depth > 0 && g.n(5) == 0:
			list = append(list, `"$or":[{`+g.members(scope, depth-1)+"},{"+g.members(scope, depth-1)+"}]")
		default:
			tests := []string{g.test()}
			for g.n(3) == 0 && len(tests) < 4 {
				tests = append(tests, g.test())
			}
			list = append(list, strconv.Quote(g.name())+":["+strings.Join(tests, ",")+"]")
		}
	}
	return strings.Join(list, ",")
}

func (g *generator) test() string {
	switch g.n(12) {
	case 0, 1:
		return g.word()
	case 2:
		return g.number()
	case 3:
		return pick(g, "null", "true", "false")
	case 4, 5:
		return `{"exists":` + pick(g, "true", "false") + "}"
	case 6:
		return `{"` + pick(g, "prefix", "suffix", "equals-ignore-case") + `":` + g.word() + "}"
	case 7:
		return `{"wildcard":"` + pick(g, "a*", "*b*", "*", "a*c", "*.7") + `"}`
	case 8:
		return fmt.Sprintf(`{"numeric":[%q,%s]}`, pick(g, "=", "<", "<=", ">="), g.operand())
	case 9:
		return fmt.Sprintf(`{"numeric":[%q,%s,%q,%d]}`, pick(g, ">", ">="), pick(g, "-1", "0", "0.1000049"), pick(g, "<", "<="), 1+g.n(300))
	case 10:
		return `{"anything-but":` + pick(g, g.word(), "["+g.word()+","+g.word()+"]", g.number(), `{"prefix":"a"}`, `{"suffix":"b"}`) + "}"
	default:
		return `{"cidr":` + pick(g, `"10.0.0.0/24"`, `"10.0.0.0/31"`) + "}"
	}
}

func (g *generator) message() *notification.Notification {
	n := &notification.Notification{Message: g.value(3), Attributes: make(map[string]notification.Attribute)}
	if g.n(4) > 0 {
		n.Message = g.object(3)
	}
	for range g.n(4) {
		var a notification.Attribute
		switch a.Type = pick(g, "String", "Number", "String.Array", "Number.x", "Binary", "String.x"); {
		case a.IsBinary():
			a.Binary = []byte("a")
		case a.Type == "String.Array":
			a.String = pick(g, g.array(2), g.array(1), "[", `"a"`, "7")
		case a.Type == "Number" || a.Type == "Number.x":
			a.String = pick(g, g.number(), g.number(), ".5", "+1", "a", "")
		default:
			a.String, _ = strconv.Unquote(g.word())
		}
		n.Attributes[g.name()] = a
	}
	return n
}

func (g *generator) object(depth int) string {
	var list []string
	used := make(map[string]bool) // the reference, which decodes, sees the last of duplicates alone
	for range g.n(4) {
		name := g.name()
		if !used[name] {
			list = append(list, pick(g, "", " ")+strconv.Quote(name)+":"+pick(g, "", " \n")+g.value(depth-1))
		}
		used[name] = true
	}
	return "{" + strings.Join(list, ",") + "}"
}

func (g *generator) array(depth int) string {
	var list []string
	for range g.n(4) {
		list = append(list, g.value(depth-1))
	}
	return "[" + strings.Join(list, pick(g, ",", " , ")) + "]"
}

func (g *generator) value(depth int) string {
	switch k := g.n(9); {
	case k < 3 || depth <= 0 && k > 5:
		return g.word()
	case k < 5:
		return g.number()
	case k == 5:
		return pick(g, "null", "true", "false")
	case k < 8:
		return g.object(depth)
	default:
		return g.array(depth)
	}
}

// FuzzParse asks that whatever is accepted can be matched, and that what is refused is told of in one way.
func FuzzParse(f *testing.F) {
	for _, c := range readCases(f) {
		f.Add(c.policy, `{"a": ["b", 1.123456789e2]}`)
	}
	f.Fuzz(func(t *testing.T, policy, body string) {
		n := &notification.Notification{Message: body, Attributes: map[string]notification.Attribute{
			"a": {Type: "String.Array", String: body}, "b": {Type: "Number", String: body}, "c": {Type: "String", String: body},
		}}
		for _, scope := range []filter.Scope{filter.MessageAttributes, filter.MessageBody} {
			p, err := filter.Parse([]byte(policy), scope)
			if err != nil {
				if !strings.HasPrefix(err.Error(), "FilterPolicy: ") && !strings.HasPrefix(err.Error(), "Filter policy scope ") {
					t.Errorf("policy %q is refused with %q", policy, err)
				}
				continue
			}
			p.Match(n)
		}
	})
}
