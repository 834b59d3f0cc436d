// Package shardtest runs the machines of a shard where failures are cheap.
//
// [Start] runs a real shard over a log in memory, for tests of what stands on a machine. [Simulate] drives machines through
// thousands of short lives full of crashes, lost acknowledgements, changes of owner and clocks that jump, over the same code
// that runs in production, and checks after each life that the next one knows all that the last one knew.
package shardtest

import (
	"context"
	"testing"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
)

// Start runs a shard over a new log in memory until the test ends.
func Start(t testing.TB, opts shard.Options, machines ...shard.Hosted) *shard.Shard {
	t.Helper()
	return StartOn(t, journal.NewSim(1, journal.SimFaults{}), opts, machines...)
}

// StartOn runs a shard over the log "test" of a simulated journal until the test ends. A test that wants to restart one
// stops it with a context of its own instead: see [shard.Open] and [shard.Shard.Run].
func StartOn(t testing.TB, sim *journal.Sim, opts shard.Options, machines ...shard.Hosted) *shard.Shard {
	t.Helper()
	log, blob := openTest(t, sim.Open())
	s, err := shard.Open(context.Background(), log, blob, machines, opts)
	if err != nil {
		t.Fatalf("open the shard: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the shard stopped with: %v", err)
		}
	})
	return s
}

func openTest(t testing.TB, j journal.Journal) (journal.Log, journal.Blob) {
	t.Helper()
	log, err := j.Log(context.Background(), "test")
	if err != nil {
		t.Fatalf("open the log: %v", err)
	}
	blob, err := j.Blob(context.Background(), "snapshots")
	if err != nil {
		t.Fatalf("open the snapshots: %v", err)
	}
	return log, blob
}
