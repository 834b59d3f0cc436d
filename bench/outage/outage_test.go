package main

import (
	"strings"
	"testing"
	"time"
)

// TestStory keeps the program from rotting; make outage is the real thing.
func TestStory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	var out strings.Builder
	if err := run(t.Context(), config{parked: 300, kill: true}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "nothing is lost and nothing is left") {
		t.Errorf("the program said:\n%s", out.String())
	}
}

// TestWhatIsNoticed plays the server to the destination: what is missing, late, repeated or too much must show.
func TestWhatIsNoticed(t *testing.T) {
	d := newDestination(6)
	defer d.server.Close()
	now := time.Now()
	for _, n := range []int{0, 4, 1, 1, 2} {
		d.take(n, now)
	}
	d.die()
	if status := d.take(3, now); status != 503 {
		t.Errorf("the dead destination answered %d", status)
	}
	d.recover()
	for range 2 * weakest {
		d.take(5, d.back)
	}
	got := d.tally(1, 5)
	if len(got.missing) != 1 || got.missing[0] != 3 || got.duplicates != 1+weakest-1 || got.refused != weakest || got.falls != 0 {
		t.Errorf("tally is %+v", got)
	}
	if len(got.late) != 3 || got.late[0] != 0 || got.late[1] != 2 || got.late[2] != 3 {
		t.Errorf("late by %v, want 0, 2 and 3", got.late)
	}
	d.take(5, d.back)
	if got := d.tally(1, 5); got.falls != 1 {
		t.Errorf("given twice what it bears and one more, it fell %d times", got.falls)
	}
}
