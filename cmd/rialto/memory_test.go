package main

import "testing"

func TestGarbagePercent(t *testing.T) {
	for _, c := range []struct {
		name       string
		live, made uint64
		want       int
	}{
		{"nothing was collected yet", 0, 0, 100},
		{"an idle server", 20 << 20, 0, 100},
		{"a small one with something to do", 20 << 20, 30 << 20, 150},
		{"a small one with much to do", 20 << 20, 500 << 20, mostGarbage},
		{"a larger one with much to do", 48 << 20, 500 << 20, 200},
		{"as much as there is room for", roomForGarbage, 0, 100},
		{"as much as that, with much to do", roomForGarbage, 500 << 20, 100},
		{"a million deliveries that wait", 170 << 20, 0, 56},
		{"a million deliveries that come", 170 << 20, 500 << 20, 56},
		{"twice the room", 2 * roomForGarbage, 0, 50},
		{"ten million", 1700 << 20, 0, leastGarbage},
		{"more than any machine has", 1 << 60, 0, leastGarbage},
	} {
		if got := garbagePercent(c.live, c.made); got != c.want {
			t.Errorf("%s: %d %%, want %d %%", c.name, got, c.want)
		}
	}
}
