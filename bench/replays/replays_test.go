package main

import (
	"strings"
	"testing"
	"time"
)

// TestStory keeps the program from rotting; make replays is the real thing.
func TestStory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	var out strings.Builder
	if err := run(t.Context(), config{events: 3000, rate: 200, within: 1, kills: 2}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "each event of each window was put once, in order") {
		t.Errorf("the program said:\n%s", out.String())
	}
}

// TestWhatIsNoticed plays the server to the witness: what is missing, put twice, out of order or of another window must show.
func TestWhatIsNoticed(t *testing.T) {
	at := time.Now()
	for _, c := range []struct {
		name    string
		came    []arrival
		repeats int
		err     string // part of it; "" is none
	}{
		{"all", []arrival{{2, "a", at}, {0, "b", at}, {1, "c", at}}, 0, ""},
		{"delivered twice after a kill", []arrival{{2, "a", at}, {0, "b", at}, {2, "a", at}, {0, "b", at}, {1, "c", at}}, 2, ""},
		{"put twice", []arrival{{2, "a", at}, {2, "b", at}}, 0, "put twice"},
		{"out of order", []arrival{{0, "a", at}}, 0, "where 2 was due"},
		{"missing", []arrival{{2, "a", at}, {0, "b", at}}, 0, "2 of 3"},
		{"too much", []arrival{{2, "a", at}, {0, "b", at}, {1, "c", at}, {3, "d", at}}, 0, "not of the window"},
	} {
		y, err := account(c.came, []int{2, 0, 1})
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || y.repeats != c.repeats {
			t.Errorf("%s: %+v, %v", c.name, y, err)
		}
	}
	if got := rate([]arrival{{at: at}, {at: at.Add(time.Second)}, {at: at.Add(4 * time.Second)}}); got != 0.5 {
		t.Errorf("three events in four seconds come at a rate of %g", got)
	}
}
