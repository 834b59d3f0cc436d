package transform_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

var ingested = time.Date(2026, 3, 1, 10, 0, 5, 408_000_000, time.UTC)

func TestAdmission(t *testing.T) {
	for _, file := range []string{"admission.txt", "rendering.txt"} {
		for _, c := range readCases(t, file) {
			err := transform.Check("t", c.input, c.inputPath, c.transform)
			got := ""
			if err != nil {
				got = err.Error()
			}
			want := ""
			if c.outcome == "refuse" {
				want = c.want
			}
			if got != want {
				t.Errorf("%s\n got: %s\nwant: %s", c.at, got, want)
			}
			if err != nil && rialto.KindOf(err) != rialto.Invalid {
				t.Errorf("%s: the error is of kind %v", c.at, rialto.KindOf(err))
			}
		}
	}
}

func TestRendering(t *testing.T) {
	for _, c := range readCases(t, "rendering.txt") {
		payload, outcome := apply(t, c.definition(), c.event)
		if outcome != c.outcome || payload != c.want {
			t.Errorf("%s\n got: %s %s\nwant: %s %s", c.at, outcome, payload, c.outcome, c.want)
		}
	}
}

// apply shapes an event, in the words of the cases.
func apply(t *testing.T, def *target.Definition, event string) (payload, outcome string) {
	t.Helper()
	tr, err := transform.Compile(def)
	if err != nil {
		t.Fatal(err)
	}
	b, err := tr.Apply([]byte(event), ingested)
	if err == nil {
		return string(b), "give"
	}
	if errors.Is(err, transform.ErrEmpty) {
		return string(b), "nothing"
	}
	e, ok := errors.AsType[*target.Error](err)
	if !ok || e.Code != target.CodeInvalidJSON || e.Message != "Invalid input for target." || !e.Permanent {
		t.Errorf("rendering ended with %#v", err)
	}
	return string(b), "dead"
}

func TestCompileRefusesPathsThatWereNeverAdmitted(t *testing.T) {
	path := "$..x"
	for _, def := range []*target.Definition{
		{ID: "t", InputPath: &path},
		{ID: "t", Transformer: &target.Transformer{Template: "<v>", Paths: map[string]string{"v": path}}},
	} {
		if _, err := transform.Compile(def); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("compiled a definition with the path %s: %v", path, err)
		}
	}
}

func TestDynamicValues(t *testing.T) {
	const event = `{"id":"e-1","detail":{"s":"a \"b\" é","n":1.50,"z":null,"o":{"k":["v"]},"l":[{"k":1},{"k":2}]}}`
	for value, want := range map[string]string{
		"$.id":            "e-1",
		"$.detail.s":      `a "b" é`,
		"$.detail.n":      "1.50",
		"$.detail.o":      `{"k":["v"]}`,
		"$.detail.l[*].k": "[1,2]",
		"$.detail.l[1].k": "2",
		"$.detail.z":      "",
		"$.detail.none":   "",
		"$":               "$",
		"$.":              "$.",
		"$.detail.s!":     "$.detail.s!",
		" $.id":           " $.id",
		"order $.id":      "order $.id",
		"":                "",
	} {
		if got := transform.Value(value, []byte(event)); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

// FuzzCheck compares the reader of JSON with encoding/json, which takes the same values.
func FuzzCheck(f *testing.F) {
	for _, c := range readCases(f, "admission.txt") {
		if c.input != nil {
			f.Add(*c.input)
		}
	}
	f.Add(`{"a":[1.5e+3,-0,true,false,null,"\u00e9\/"],"b":{}}`)
	f.Add(`[[],{},"",[{}]]`)
	f.Fuzz(func(t *testing.T, input string) {
		err := transform.Check("t", &input, nil, nil)
		if valid := json.Valid([]byte(input)) || input == ""; valid != (err == nil) && strings.Count(input, "[")+strings.Count(input, "{") < 9000 {
			t.Errorf("%q is JSON: %t; the check says %v", input, valid, err)
		}
	})
}

// FuzzObjectTemplate feeds hostile events to hostile templates. What goes out is JSON or the error; and an object template that
// was admitted, with values that are not put in quotes, always gives JSON.
func FuzzObjectTemplate(f *testing.F) {
	for _, c := range readCases(f, "rendering.txt") {
		if c.transform != nil {
			f.Add(c.transform.Template, c.event, "$.detail.quoted", "o")
		}
	}
	f.Add(`{"a":<v>,"b":<w>,"c":"<w>"}`, `{"x":"a\\\"\u0000}{"}`, "$.x", `","evil":"`)
	f.Add(`{"a":"<w>"}`, `{"a"`, "$.a", `\`)
	f.Fuzz(func(t *testing.T, template, event, path, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			return
		}
		tr := &target.Transformer{Template: template, Paths: map[string]string{"v": path, "w": "$.text"}}
		if transform.Check("t", nil, nil, tr) != nil {
			return
		}
		compiled, err := transform.Compile(&target.Definition{Transformer: tr})
		if err != nil {
			t.Fatalf("admitted, but: %v", err)
		}
		compiled.Apply([]byte(event), ingested) // whatever comes of a damaged event, as long as it comes
		hostile := `{"text":` + string(quoted) + `,"in":` + validOr(event, "1") + `}`
		payload, err := compiled.Apply([]byte(hostile), ingested)
		if !strings.HasPrefix(strings.TrimLeft(template, " \t\r\n"), "{") {
			return
		}
		if err == nil && !json.Valid(payload) {
			t.Errorf("template %s\nevent %s\ngave %s", template, hostile, payload)
		}
		if err != nil && !strings.Contains(template, "<v>") {
			t.Errorf("template %s\nevent %s\ngave %s: strings never break an object template", template, hostile, payload)
		}
	})
}

func validOr(event, other string) string {
	if json.Valid([]byte(event)) {
		return event
	}
	return other
}

func BenchmarkRender(b *testing.B) {
	cases := readCases(b, "rendering.txt")
	tr, err := transform.Compile(&target.Definition{Transformer: &target.Transformer{
		Template: `{"ref":"orders/<id>","total":<t>}`,
		Paths:    map[string]string{"id": "$.detail.orderId", "t": "$.detail.total"},
	}})
	if err != nil {
		b.Fatal(err)
	}
	event := []byte(cases[0].event)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tr.Apply(event, ingested); err != nil {
			b.Fatal(err)
		}
	}
}
