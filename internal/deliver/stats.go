package deliver

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
)

// Stats is what a destination has behind it, since the start, and before it.
type Stats struct {
	Scope    rialto.Scope // of the rules
	ARN      string       // a target, or a dead-letter queue
	Waiting  int          // deliveries that have not ended and are not being attempted
	InFlight int          // attempts in progress
	Settled  uint64       // deliveries that have arrived
	Failed   uint64       // attempts
	Dead     uint64       // deliveries that have failed for good and went to a dead-letter queue
	Dropped  uint64       // deliveries that have failed for good and went nowhere
}

// Stats returns the figures of every destination that is in use or was lately, sorted by scope and ARN.
func (d *Deliverer) Stats(ctx context.Context) ([]Stats, error) {
	left := make(map[place]int)
	for _, h := range d.hosts {
		counts := make(map[place]int)
		if err := h.shard.View(ctx, func() { h.machine.count(counts) }); err != nil {
			return nil, fmt.Errorf("count deliveries of %s: %w", h.shard.Name(), err)
		}
		for at, n := range counts {
			left[at] += n
		}
	}
	d.mu.Lock()
	destinations := slices.Collect(maps.Values(d.destinations))
	d.mu.Unlock()
	list := make([]Stats, 0, len(destinations))
	for _, dest := range destinations {
		inFlight := dest.inFlight()
		list = append(list, Stats{
			Scope: dest.scope, ARN: dest.arn, InFlight: inFlight, Waiting: max(0, left[dest.place]-inFlight),
			Settled: dest.settled.Load(), Failed: dest.failed.Load(), Dead: dest.dead.Load(), Dropped: dest.dropped.Load(),
		})
	}
	slices.SortFunc(list, func(a, b Stats) int {
		return cmp.Or(cmp.Compare(a.Scope.Account, b.Scope.Account), cmp.Compare(a.Scope.Region, b.Scope.Region), cmp.Compare(a.ARN, b.ARN))
	})
	return list, nil
}

// count adds the deliveries that have not ended, by where they are to go.
func (m *Machine) count(counts map[place]int) {
	for _, at := range m.targets.all() {
		def := *at
		if n := def.deliveries - def.letters; n > 0 {
			counts[place{def.Rule.Scope(), def.ARN}] += n
		}
		if def.letters > 0 {
			counts[place{def.Rule.Scope(), def.DeadLetter}] += def.letters
		}
	}
}

// WaitingEvents returns the ids of the events that have a delivery which has not ended, sorted. It reads every one of them from
// the log, so it is for tests and for looking into a small backlog.
func (d *Deliverer) WaitingEvents(ctx context.Context) ([]string, error) {
	var ids []string
	for _, h := range d.hosts {
		of, err := h.waitingEvents(ctx)
		if err != nil {
			return nil, fmt.Errorf("list what waits in %s: %w", h.shard.Name(), err)
		}
		ids = append(ids, of...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (h *host) waitingEvents(ctx context.Context) ([]string, error) {
	type waiting struct {
		slot uint32
		event
	}
	var list []waiting
	err := h.shard.View(ctx, func() {
		for slot, e := range h.machine.events.all() {
			list = append(list, waiting{slot, *e})
		}
	})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, w := range list {
		payload, err := h.read(ctx, w.ref, func(m *Machine) (shard.Ref, bool) {
			if !m.events.inUse(w.slot) || m.events.get(w.slot).key != w.key {
				return shard.Ref{}, false
			}
			return m.events.get(w.slot).ref, true
		})
		if err == errEnded {
			continue
		}
		if err != nil {
			return nil, err
		}
		e, err := readEvent(payload)
		if err != nil {
			return nil, err
		}
		ids = append(ids, e.EventID)
	}
	return ids, nil
}
