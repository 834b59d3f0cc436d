package main

import (
	"testing"
	"time"
)

func TestBars(t *testing.T) {
	for _, tc := range []struct {
		name    string
		is      redriveState
		decided int
		in      time.Duration
		want    string
	}{
		{"selecting", redriveState{Status: "selecting", Selected: 40}, 0, 0, "selecting, 40 so far"},
		{"just begun", redriveState{Status: "running", Selected: 300, Left: 300}, 0, time.Second, "░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0 of 300"},
		{"half way", redriveState{Status: "running", Selected: 300, Moved: 140, Failed: 4, Skipped: 6, Left: 150}, 50, 2 * time.Second,
			"███████████████░░░░░░░░░░░░░░░ 150 of 300 (10 not moved), 25 a second, 6s to go"},
		{"paused", redriveState{Status: "paused", Selected: 3, Moved: 1, Left: 2}, 1, time.Second,
			"██████████░░░░░░░░░░░░░░░░░░░░ 1 of 3, paused"},
		{"nothing to do", redriveState{Status: "running"}, 0, 0, "██████████████████████████████ 0 of 0"},
	} {
		if got := barOf(&tc.is, tc.decided, tc.in); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
