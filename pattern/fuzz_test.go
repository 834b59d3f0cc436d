package pattern_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/pattern"
)

// FuzzMatch compares Match with the obvious matcher, on patterns and events made of the same few words, so that they match
// often. What is made follows from the data.
func FuzzMatch(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(randomBytes(seed, 600))
	}
	f.Fuzz(checkGenerated)
}

// TestGenerated is the fuzz test with a fixed choice of data.
func TestGenerated(t *testing.T) {
	for seed := range uint64(1500) {
		checkGenerated(t, randomBytes(seed, 900))
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
	g.arrays = g.n(3) // how much there are of them
	var set pattern.Set
	var patterns []*pattern.Pattern
	for i := range 1 + g.n(12) {
		text := g.pattern()
		p, err := pattern.Parse([]byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), "complex") && !strings.Contains(err.Error(), "over 1000") {
				t.Fatalf("pattern %s: %v", text, err)
			}
			patterns = append(patterns, nil)
			continue
		}
		patterns = append(patterns, p)
		set.Add(pattern.ID(i), p)
	}
	var scratch pattern.Scratch
	for range 6 {
		event := g.event()
		compare(t, &set, patterns, []byte(event), &scratch)
		// What ingest makes of an event matches the same.
		compact, err := pattern.AppendCompact(nil, []byte(event))
		if err != nil {
			t.Fatalf("event %s: %v", event, err)
		}
		compare(t, &set, patterns, compact, &scratch)
		if i := g.n(len(patterns)); g.n(3) == 0 && patterns[i] != nil {
			set.Remove(pattern.ID(i))
			patterns[i] = nil
		}
	}
}

// A generator makes patterns and events as data tells it; when that is used up, the simplest.
type generator struct {
	data   []byte
	arrays int
}

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

func (g *generator) name() string {
	return pick(g, "a", "b", "c", "d", "a", "b", "c", "a.b", "b.c", "", "identifier", "resource-identifier-long", "é")
}

func (g *generator) word() string {
	return pick(g, "a", "ab", "abc", "b", "abcabc", "AbC", "", "ca", "ß", "SS", "straße", "STRASSE", "x*y", `q"\`, "é", "10.0.0.7", "10.1.2.3",
		"2001:db8::1", "300", "abababab", "cabab", "aXbXc", "Éa", "tail/é", "k", "K", "ı")
}

func (g *generator) number() string {
	return pick(g, "0", "1", "2", "-1", "1.0", "1e0", "10", "2.5", "0.1", "-0", "0.30000000000000004", "1e100", "9007199254740993",
		"9007199254740992", "3.0e2", "300", "123456789012345678", "1.7976931348623157e308", "-122.41600944012424", "5e-324", "1000000000000000000000")
}

func quoted(s string) string { return strconv.Quote(s) }

func (g *generator) pattern() string {
	return "{" + g.members(2, false) + "}"
}

// members makes fields of a pattern, with $or perhaps.
func (g *generator) members(depth int, inOr bool) string {
	var list []string
	for range 1 + g.n(4) {
		switch {
		case depth > 0 && g.n(3) == 0:
			list = append(list, quoted(g.name())+":{"+g.members(depth-1, inOr)+"}")
		case depth > 0 && g.n(6) == 0:
			list = append(list, `"$or":[{`+g.members(depth-1, true)+"},{"+g.members(depth-1, true)+"}]")
		default:
			list = append(list, quoted(g.name())+":["+g.tests()+"]")
		}
	}
	return strings.Join(list, ",")
}

func (g *generator) tests() string {
	list := []string{g.test()}
	for g.n(3) == 0 && len(list) < 4 {
		list = append(list, g.test())
	}
	return strings.Join(list, ",")
}

func (g *generator) test() string {
	word := func() string { return quoted(g.word()) }
	full := func() string { return quoted("a" + g.word()) }
	switch g.n(17) {
	case 0, 1:
		return word()
	case 2:
		return g.number()
	case 3:
		return pick(g, "null", "true", "false")
	case 4, 5:
		return `{"exists":` + pick(g, "true", "false") + "}"
	case 6:
		return `{"prefix":` + word() + "}"
	case 7:
		return `{"suffix":` + word() + "}"
	case 8:
		return `{"` + pick(g, "prefix", "suffix") + `":{"equals-ignore-case":` + word() + "}}"
	case 9:
		return `{"equals-ignore-case":` + word() + "}"
	case 10, 11:
		return `{"wildcard":` + g.wildcard() + "}"
	case 12:
		low := g.n(4) - 1
		return fmt.Sprintf(`{"numeric":[%q,%d,%q,%d]}`, pick(g, ">", ">="), low, pick(g, "<", "<="), low+1+g.n(300))
	case 13:
		return fmt.Sprintf(`{"numeric":[%q,%s]}`, pick(g, "=", "<", "<=", ">", ">="), pick(g, "0", "1", "2.5", "-1", "1e100", "300"))
	case 14:
		return `{"cidr":` + pick(g, `"10.0.0.0/24"`, `"10.0.0.0/8"`, `"0.0.0.0/0"`, `"2001:db8::/32"`, `"::/0"`, `"10.1.2.0/31"`) + "}"
	case 15:
		return `{"anything-but":` + pick(g, word(), "["+word()+","+word()+"]", pick(g, "1", "[0,1]", "300")) + "}"
	default:
		op := pick(g, "prefix", "suffix", "equals-ignore-case", "wildcard")
		operand := full()
		if op == "wildcard" {
			operand = g.wildcard()
		}
		return `{"anything-but":{"` + op + `":` + operand + "}}"
	}
}

func (g *generator) wildcard() string {
	var b strings.Builder
	for range 1 + g.n(3) {
		b.WriteString(pick(g, "a", "b", "ab", "abc", "c", "", "é", `\*`, `\\`))
		b.WriteString(pick(g, "*", "*", ""))
	}
	s := b.String()
	for strings.Contains(s, "**") {
		s = strings.ReplaceAll(s, "**", "*")
	}
	s = strings.ReplaceAll(s, `\*`, `\*x`) // a star behind an escaped one would be two to the replacement above
	return quoted(s)
}

func (g *generator) event() string {
	var b bytes.Buffer
	g.object(&b, 3)
	return b.String()
}

func (g *generator) blank() string { return pick(g, "", "", "", "", "", " ", "\n\t") }

func (g *generator) object(b *bytes.Buffer, depth int) {
	b.WriteString("{" + g.blank())
	for i := range g.n(5) {
		if i > 0 {
			b.WriteString("," + g.blank())
		}
		b.WriteString(g.string(g.name()) + g.blank() + ":" + g.blank())
		g.value(b, depth-1)
		b.WriteString(g.blank())
	}
	b.WriteString("}")
}

func (g *generator) value(b *bytes.Buffer, depth int) {
	switch k := g.n(8 + 4*g.arrays); {
	case k < 3 || depth <= 0 && k >= 6:
		b.WriteString(g.string(g.word()))
	case k < 4:
		b.WriteString(g.number())
	case k < 5:
		b.WriteString(pick(g, "null", "true", "false"))
	case k < 7:
		g.object(b, depth)
	default:
		b.WriteString("[" + g.blank())
		for i := range g.n(5) {
			if i > 0 {
				b.WriteString("," + g.blank())
			}
			g.value(b, depth-g.n(2))
		}
		b.WriteString("]")
	}
}

// string writes a string in one of the ways there are.
func (g *generator) string(s string) string {
	if g.n(8) != 0 {
		return quoted(s)
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case g.n(2) == 0:
			fmt.Fprintf(&b, pick(g, `\u%04x`, `\u%04X`), r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}
