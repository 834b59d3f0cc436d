package deliver

import (
	"context"
	"fmt"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// releaseCommand makes the body of a command that forgets keys of events.
func releaseCommand(keys [][16]byte) []byte {
	var b []byte
	for _, k := range keys {
		b = record.AppendBytes(b, k[:])
	}
	return b
}

// Release forgets the keys of events of one home before the time that their [Dedupe] asks for. Whoever knows that nobody will accept
// them again keeps the memory small in this way.
func (d *Deliverer) Release(ctx context.Context, home string, keys [][16]byte) error {
	_, err := d.home(home).shard.Propose(ctx, func(b *shard.Batch) { b.Add(kindRelease, releaseCommand(keys)) })
	return err
}

// Remembers reports for each key whether an event was accepted under it, as far as that is still known. Events whose Accept has not
// returned may not be known yet.
func (d *Deliverer) Remembers(ctx context.Context, keys [][16]byte) ([]bool, error) {
	known := make([]bool, len(keys))
	for _, h := range d.hosts {
		found := make([]bool, len(keys))
		err := h.shard.View(ctx, func() {
			now := h.shard.Now().UnixMicro()
			for i, k := range keys {
				_, found[i] = h.machine.once.find(k, now)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("look for events in %s: %w", h.shard.Name(), err)
		}
		for i := range known {
			known[i] = known[i] || found[i]
		}
	}
	return known, nil
}
