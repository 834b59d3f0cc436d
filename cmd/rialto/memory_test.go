package main

import "testing"

func TestGarbagePercent(t *testing.T) {
	for _, c := range []struct {
		name string
		live uint64
		want int
	}{
		{"nothing was collected yet", 0, 100},
		{"an idle server", 20 << 20, 100},
		{"as much as there is room for", roomForGarbage, 100},
		{"a million deliveries that wait", 170 << 20, 55},
		{"twice the room", 2 * roomForGarbage, 50},
		{"ten million", 1700 << 20, leastGarbage},
		{"more than any machine has", 1 << 60, leastGarbage},
	} {
		if got := garbagePercent(c.live); got != c.want {
			t.Errorf("%s: %d %%, want %d %%", c.name, got, c.want)
		}
	}
}
