package slow_test

import (
	"os"
	"testing"

	"github.com/rialto-events/rialto/pattern/internal/cases"
	"github.com/rialto-events/rialto/pattern/internal/slow"
	"github.com/rialto-events/rialto/pattern/syntax"
)

func TestCases(t *testing.T) {
	all, err := cases.Read(os.DirFS("../../testdata"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Invalid {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			p, err := syntax.Parse([]byte(c.Pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, event := range c.Match {
				check(t, p, event, true)
				check(t, p, cases.Envelope(event), true)
			}
			for _, event := range c.NoMatch {
				check(t, p, event, false)
			}
		})
	}
}

func check(t *testing.T, p *syntax.Pattern, event string, want bool) {
	t.Helper()
	got, err := slow.Match(p, []byte(event))
	if err != nil {
		t.Errorf("event %s: %v", event, err)
	}
	if got != want {
		t.Errorf("pattern %s, event %s: got %v", p.Text, event, got)
	}
}
