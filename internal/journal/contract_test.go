package journal_test

import (
	"context"
	"testing"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/journal/journaltest"
)

func TestSimKeepsTheContract(t *testing.T) {
	journaltest.Run(t, func(*testing.T) func(*testing.T) journal.Journal {
		sim := journal.NewSim(1, journal.SimFaults{})
		return func(*testing.T) journal.Journal { return sim.Open() }
	})
}

func TestEmbeddedKeepsTheContract(t *testing.T) {
	for name, opts := range map[string]journal.Options{"strict": {}, "relaxed": {Relaxed: true}} {
		t.Run(name, func(t *testing.T) {
			journaltest.Run(t, func(t *testing.T) func(*testing.T) journal.Journal {
				dir := t.TempDir()
				return func(t *testing.T) journal.Journal {
					j, err := journal.OpenEmbedded(context.Background(), dir, opts)
					if err != nil {
						t.Fatalf("open the journal: %v", err)
					}
					return j
				}
			})
		})
	}
}
