package main

import (
	"strings"
	"testing"
	"time"
)

// TestGauges shows replays at moments of their lives.
func TestGauges(t *testing.T) {
	full, half := strings.Repeat("█", 30), strings.Repeat("█", 15)+strings.Repeat("░", 15)
	for _, c := range []struct {
		done, total, lately int64
		state               string
		runs                bool
		want                string
	}{
		{0, 0, 0, "starting", false, full + " 0 of 0, starting"},
		{500, 1000, 100, "running", true, half + " 500 of 1000, 50 a second, 10s to go"},
		{500, 1000, 0, "running", true, half + " 500 of 1000"},
		{500, 1000, 0, "paused", false, half + " 500 of 1000, paused"},
		{1200, 1000, 100, "running", true, full + " 1200 of 1000, 50 a second, 0s to go"},
	} {
		if got := gaugeOf(c.done, c.total, c.lately, 2*time.Second, c.state, c.runs); got != c.want {
			t.Errorf("%d of %d, %s:\n got %s\nwant %s", c.done, c.total, c.state, got, c.want)
		}
	}
}
