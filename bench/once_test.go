package bench

import (
	"testing"

	"github.com/rialto-events/rialto/bench/child"
)

// TestMeasurementsRun runs every measurement of the whole server once, with few events, so that none can rot. Its figures say nothing.
func TestMeasurementsRun(t *testing.T) {
	for name, f := range map[string]func(t *testing.T) figures{
		"PutEvents":   func(t *testing.T) figures { return middle(compare(t, 4, 40).put) },
		"to a queue":  func(t *testing.T) figures { return toQueue(t, 4, 20) },
		"to HTTP":     func(t *testing.T) figures { return toEndpoint(t, 4, 20) },
		"in order":    func(t *testing.T) figures { return ordered(t, 8, 48).beside },
		"one is dead": func(t *testing.T) figures { _, beside := isolation(t, 3, 20); return beside },
	} {
		t.Run(name, func(t *testing.T) {
			if got := f(t); got.perSecond <= 0 || got.p50 <= 0 || got.p99 < got.p50 {
				t.Errorf("the figures are %+v", got)
			}
		})
	}
	t.Run("month", func(t *testing.T) { minutes(t, 60) })
	t.Run("queues", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts other systems")
		}
		c := compareQueues(t, 3, 9)
		for _, name := range c.names {
			if sent, taken := middle(c.sent[name]), middle(c.taken[name]); sent.perSecond <= 0 || taken.perSecond <= 0 {
				t.Errorf("the figures of %s are %+v and %+v", name, sent, taken)
			}
		}
	})
	t.Run("waiting", func(t *testing.T) {
		if testing.Short() {
			t.Skip("builds the binary")
		}
		binary, err := child.Build(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if s := waiting(t, binary, 25); s.disk <= 0 || s.ready <= 0 || s.received.perSecond <= 0 {
			t.Errorf("the figures are %+v", s)
		}
	})
	t.Run("process", func(t *testing.T) {
		if testing.Short() {
			t.Skip("builds the binary")
		}
		binary, err := child.Build(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if l := process(t, binary, 1); len(l.first) != 1 || len(l.again) != 1 {
			t.Errorf("the lives are %+v", l)
		}
	})
}
