// Package catalogtest gives a test a catalog of its own.
package catalogtest

import (
	"context"
	"testing"

	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/journal"
)

// Start runs an empty catalog in memory until the test ends.
func Start(t testing.TB) *catalog.Catalog {
	t.Helper()
	return StartOn(t, journal.NewSim(1, journal.SimFaults{}))
}

// StartOn runs the catalog of a simulated journal until the test ends, as one of its nodes.
func StartOn(t testing.TB, sim *journal.Sim) *catalog.Catalog {
	t.Helper()
	kv, err := sim.Open().KV(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), kv, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the catalog stopped with: %v", err)
		}
	})
	return c
}
