package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAFew keeps the program from rotting; make schedules is the real thing.
func TestAFew(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	for name, c := range map[string]config{
		"undisturbed": {schedules: 300, within: 2 * time.Second, lead: 5 * time.Second, callers: 4},
		"killed":      {schedules: 300, within: 3 * time.Second, lead: 5 * time.Second, callers: 4, kills: 2, seed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(t.Context(), c, &out)
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if !strings.Contains(out.String(), "all have fired") {
				t.Errorf("the program said:\n%s", out.String())
			}
		})
	}
}

// TestDefectsAreNoticed plays the server to the ledger.
func TestDefectsAreNoticed(t *testing.T) {
	first := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	l := newLedger(5, first, 2*time.Second)
	took := func(id string, n int, after time.Duration) {
		l.took(id, n, l.due(n).Format(time.RFC3339), first.Add(after))
	}
	took("a", 0, 100*time.Millisecond)
	took("a", 0, 100*time.Millisecond) // received again
	took("b", 1, 900*time.Millisecond) // due at second 1
	took("c", 2, 300*time.Millisecond)
	took("d", 2, 400*time.Millisecond)
	took("e", 9, 0)
	l.took("f", 3, "2030-01-01T00:00:00Z", first.Add(2*time.Second))
	l.lost()
	want := []string{
		"schedule 1 fired 100ms too early",
		"schedule 2 fired 2 times",
		"schedule 9 fired, which nobody made",
		"schedule 3 says that it was planned for 2030-01-01T00:00:00Z, and it was for 2030-01-01T00:00:01Z",
		"schedule 4, due at 2030-01-01T00:00:00Z, did not fire",
	}
	if !slices.Equal(l.wrong, want) || l.fired() != 4 || l.quantile(1) != time.Second {
		t.Errorf("%d have fired, at most %s late, wrong is\n%s\nwant\n%s", l.fired(), l.quantile(1), strings.Join(l.wrong, "\n"), strings.Join(want, "\n"))
	}
}
