package pattern_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/pattern/internal/cases"
	"github.com/rialto-events/rialto/pattern/internal/slow"
)

func TestCases(t *testing.T) {
	all, err := cases.Read(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	var scratch pattern.Scratch
	for _, c := range all {
		if c.Invalid {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			p := parse(t, c.Pattern)
			var set pattern.Set
			set.Add(7, p)
			check := func(event string, want bool) {
				t.Helper()
				ids, err := set.Match([]byte(event), &scratch)
				if err != nil {
					t.Errorf("event %s: %v", event, err)
				}
				if got := len(ids) > 0; got != want {
					t.Errorf("pattern %s, event %s: got %v", c.Pattern, event, got)
				}
			}
			for _, event := range c.Match {
				check(event, true)
				check(cases.Envelope(event), true)
			}
			for _, event := range c.NoMatch {
				check(event, false)
			}
		})
	}
}

// TestCasesTogether puts the patterns of all cases into one set.
func TestCasesTogether(t *testing.T) {
	all, err := cases.Read(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	var set pattern.Set
	var patterns []*pattern.Pattern
	var events []string
	for _, c := range all {
		if c.Invalid {
			continue
		}
		p := parse(t, c.Pattern)
		set.Add(pattern.ID(len(patterns)), p)
		patterns = append(patterns, p)
		events = append(append(events, c.Match...), c.NoMatch...)
	}
	var scratch pattern.Scratch
	for _, event := range events {
		compare(t, &set, patterns, []byte(event), &scratch)
	}
}

func parse(t testing.TB, text string) *pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse([]byte(text))
	if err != nil {
		t.Fatalf("pattern %s: %v", text, err)
	}
	return p
}

// compare matches an event against a set, in which patterns are under their indexes, and against each pattern slowly.
func compare(t *testing.T, set *pattern.Set, patterns []*pattern.Pattern, event []byte, scratch *pattern.Scratch) {
	t.Helper()
	got, err := set.Match(event, scratch)
	if err != nil {
		t.Fatalf("event %s: %v", event, err)
	}
	slices.Sort(got)
	var want []pattern.ID
	for i, p := range patterns {
		if p == nil {
			continue
		}
		match, err := slow.Match(p, event)
		if err != nil {
			t.Fatalf("pattern %s, event %s: %v", p.Text, event, err)
		}
		if match {
			want = append(want, pattern.ID(i))
		}
	}
	if !slices.Equal(got, want) {
		var texts string
		for i, p := range patterns {
			if id := pattern.ID(i); slices.Contains(got, id) != slices.Contains(want, id) {
				texts += fmt.Sprintf("\n%d: %s", i, p.Text)
			}
		}
		t.Fatalf("event %s: got %v, want %v; they differ in%s", event, got, want, texts)
	}
}
