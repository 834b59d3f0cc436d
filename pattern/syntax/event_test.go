package syntax_test

import (
	"os"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/pattern/internal/cases"
	"github.com/rialto-events/rialto/pattern/syntax"
)

// The events of this file have a verdict of their own: a line is an event and what is said of it, if anything.
func TestCheckEvent(t *testing.T) {
	text, err := os.ReadFile("testdata/events.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		n++
		event, want, _ := strings.Cut(line, " => ")
		got := ""
		if err := syntax.CheckEvent([]byte(event)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", event, got, want)
		}
	}
	if n == 0 {
		t.Error("no events")
	}
}

func TestEnvelopeIsEnough(t *testing.T) {
	for _, event := range []string{"{}", `{"detail":{"id":1}}`, ` { "source" : "s" } `} {
		if err := syntax.CheckEvent([]byte(cases.Envelope(event))); err != nil {
			t.Errorf("%s: %v", cases.Envelope(event), err)
		}
	}
}
