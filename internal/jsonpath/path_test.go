package jsonpath_test

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/jsonpath"
)

// A findCase is a line of testdata/find.txt.
type findCase struct{ event, path, want string }

func findCases(t testing.TB) (cases []findCase) {
	t.Helper()
	var event string
	for _, line := range lines(t, "testdata/find.txt") {
		if e, ok := strings.CutPrefix(line, "event"); ok {
			event = strings.TrimPrefix(e, " ")
			continue
		}
		path, want, ok := strings.Cut(line, " => ")
		if !ok {
			t.Fatalf("testdata/find.txt: %q has no arrow", line)
		}
		cases = append(cases, findCase{event, path, want})
	}
	return cases
}

func lines(t testing.TB, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	return slices.DeleteFunc(all, func(line string) bool { return line == "" || line[0] == '#' })
}

func TestFind(t *testing.T) {
	for _, c := range findCases(t) {
		p, err := jsonpath.Parse(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if got := found(p, c.event); got != c.want {
			t.Errorf("%s in %s: got %s, want %s", c.path, c.event, got, c.want)
		}
		if p.String() != c.path {
			t.Errorf("%s became %s", c.path, p)
		}
	}
}

func found(p jsonpath.Path, event string) string {
	if v, ok := p.Find([]byte(event)); ok {
		return string(v)
	}
	return "nothing"
}

func TestRefusedPaths(t *testing.T) {
	for _, path := range append(lines(t, "testdata/parse.txt"), "") {
		if _, err := jsonpath.Parse(path); err == nil {
			t.Errorf("path %q was accepted", path)
		}
	}
}

func TestTheZeroPathIsTheWholeEvent(t *testing.T) {
	var p jsonpath.Path
	if got := found(p, `{"a":1}`); got != `{"a":1}` || p.String() != "$" {
		t.Errorf("%s found %s", p, got)
	}
}

func TestDeepNestingCostsNoStack(t *testing.T) {
	deep := strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)
	p, err := jsonpath.Parse("$.b")
	if err != nil {
		t.Fatal(err)
	}
	if got := found(p, `{"a":`+deep+`,"b":1}`); got != "1" {
		t.Errorf("got %s beside a deep neighbour, want 1", got)
	}
}

func TestAppendText(t *testing.T) {
	for value, want := range map[string]string{
		`"a\"b\\c\/d"`:   `a"b\c/d`,
		`"\b\f\n\r\t"`:   "\b\f\n\r\t",
		`"\u00e9\u4E2d"`: "é中",
		`"\ud83d\ude00"`: "😀",
		`"\ud83dx"`:      "\uFFFDx",
		`"\ud83d\u0041"`: "\uFFFDA",
		`"\ude00"`:       "\uFFFD",
		`"é😀"`:           "é😀",
		`""`:             "",
		`42.50`:          "42.50",
		`null`:           "null",
		`{"a":"b"}`:      `{"a":"b"}`,
	} {
		if got := string(jsonpath.AppendText(nil, []byte(value))); got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	cases := findCases(b)
	p, err := jsonpath.Parse("$.detail.items[1].name")
	if err != nil {
		b.Fatal(err)
	}
	event := []byte(cases[0].event)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := p.Find(event); !ok {
			b.Fatal("not found")
		}
	}
}

// FuzzFind compares Find with the obvious way, which decodes. Of what is no JSON it only asks that Find returns.
func FuzzFind(f *testing.F) {
	for _, c := range findCases(f) {
		f.Add(c.event, c.path)
	}
	f.Fuzz(func(t *testing.T, event, path string) {
		p, err := jsonpath.Parse(path)
		if err != nil {
			return
		}
		got := found(p, event)
		if !json.Valid([]byte(event)) {
			return
		}
		want := "nothing"
		if v, ok := slowly(json.RawMessage(strings.TrimSpace(event)), path[1:]); ok {
			want = v
		}
		if got != want {
			t.Errorf("%s in %s: got %s, want %s", path, event, got, want)
		}
	})
}

// slowly follows the rest of a path by decoding one level after the other.
func slowly(v json.RawMessage, rest string) (string, bool) {
	if strings.Contains(rest, "[*]") {
		first, _, _ := strings.Cut(rest, "[*]")
		list, ok := slowStep(v, first)
		if !ok || list[0] != '[' {
			return "", false
		}
		return "[" + strings.Join(slowAll(v, rest), ",") + "]", true
	}
	found, ok := slowStep(v, rest)
	return string(found), ok
}

func slowAll(v json.RawMessage, rest string) (values []string) {
	first, after, every := strings.Cut(rest, "[*]")
	v, ok := slowStep(v, first)
	if !ok {
		return nil
	}
	if !every {
		return []string{string(v)}
	}
	var list []json.RawMessage
	if v[0] != '[' || json.Unmarshal(v, &list) != nil {
		return nil
	}
	for _, e := range list {
		values = append(values, slowAll(e, after)...)
	}
	return values
}

func slowStep(v json.RawMessage, rest string) (json.RawMessage, bool) {
	for rest != "" {
		var one string
		one, rest = cutStep(rest)
		if name, ok := strings.CutPrefix(one, "."); ok {
			var object map[string]json.RawMessage
			if v[0] != '{' || json.Unmarshal(v, &object) != nil || object[name] == nil {
				return nil, false
			}
			v = object[name]
			continue
		}
		var list []json.RawMessage
		index, err := strconv.Atoi(one[1 : len(one)-1])
		if err != nil || v[0] != '[' || json.Unmarshal(v, &list) != nil || index >= len(list) {
			return nil, false
		}
		v = list[index]
	}
	return v, true
}

func cutStep(path string) (one, rest string) {
	if n := strings.IndexAny(path[1:], ".["); n >= 0 {
		return path[:n+1], path[n+1:]
	}
	return path, ""
}

func TestMembers(t *testing.T) {
	for object, want := range map[string]string{
		` {"a":1, "b\"" : {"c":2},"a":[3]} `: `a=1 b\"={"c":2} a=[3]`,
		`{}`:                                 ``,
		`[1]`:                                ``,
		``:                                   ``,
		`{"a":1,"b"`:                         `a=1`,
		`{"a":1 "b":2}`:                      `a=1`,
	} {
		var got []string
		for name, value := range jsonpath.Members([]byte(object)) {
			got = append(got, string(name)+"="+string(value))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: got %s, want %s", object, got, want)
		}
	}
}
