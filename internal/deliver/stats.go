package deliver

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
)

// Stats is what a destination has behind it, since the start, and before it.
type Stats struct {
	Scope    rialto.Scope // of the rules
	ARN      string       // a target, or a dead-letter queue
	Waiting  int          // deliveries that have not ended and are not being attempted
	InFlight int          // attempts in progress
	Parked   int          // of those that wait, that the circuit keeps
	Settled  uint64       // deliveries that have arrived
	Failed   uint64       // attempts
	Dead     uint64       // deliveries that have failed for good and went to a dead-letter queue
	Dropped  uint64       // deliveries that have failed for good and went nowhere
	Expired  uint64       // deliveries that were not made because their event has lived long enough
	Circuit  CircuitState
	Window   int // attempts that may be in progress at once, at present
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
		list = append(list, dest.stats(left[dest.place]))
	}
	slices.SortFunc(list, func(a, b Stats) int {
		return cmp.Or(cmp.Compare(a.Scope.Account, b.Scope.Account), cmp.Compare(a.Scope.Region, b.Scope.Region), cmp.Compare(a.ARN, b.ARN))
	})
	return list, nil
}

// Keys is how many keys of events the machines remember, and how many they forgot before their time since the start, to make room for
// others.
func (d *Deliverer) Keys(ctx context.Context) (remembered int, early uint64, err error) {
	for _, h := range d.hosts {
		err := h.shard.View(ctx, func() {
			remembered += len(h.machine.once.forget)
			early += h.machine.once.early
		})
		if err != nil {
			return 0, 0, fmt.Errorf("count keys of %s: %w", h.shard.Name(), err)
		}
	}
	return remembered, early, nil
}

// stats are the figures of a destination to which so many deliveries have not ended.
func (d *destination) stats(left int) Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Stats{
		Scope: d.scope, ARN: d.arn, Waiting: max(0, left-d.carried), InFlight: d.attempts, Parked: d.parked(),
		Settled: d.settled.Load(), Failed: d.failed.Load(), Dead: d.dead.Load(), Dropped: d.dropped.Load(), Expired: d.expired.Load(),
		Circuit: d.circuit.state, Window: d.window.size(),
	}
}

// count adds the deliveries that have not ended, by where they are to go.
func (m *Machine) count(counts map[place]int) {
	for _, at := range m.targets.All() {
		def := *at
		if n := def.deliveries - def.letters; n > 0 {
			counts[place{def.Rule.Scope(), def.ARN}] += n
		}
		if def.letters > 0 {
			counts[place{def.Rule.Scope(), def.DeadLetter}] += def.letters
		}
	}
}

// A Waiting is a delivery that has not ended.
type Waiting struct {
	EventID    string
	Rule       rialto.ARN
	TargetID   string
	Target     string    // ARN of the target
	DeadLetter bool      // it has failed for good, and the dead-letter queue does not have it yet
	Attempts   int       // that failed; if it has failed for good, of the letter
	Next       time.Time // when it is attempted again; a time in the past, or none, means as soon as the destination has room
	Code       string    // why the last attempt failed, if one did
	Behind     string    // id of the event whose delivery must end first, by their order; only [Deliverer.Pending] knows it
}

// Backlog returns deliveries that have not ended, in no particular order, but no more than limit. It reads their events from the
// log.
func (d *Deliverer) Backlog(ctx context.Context, limit int) ([]Waiting, error) {
	list := make([]Waiting, 0)
	for _, h := range d.hosts {
		of, err := h.backlog(ctx, limit-len(list))
		if err != nil {
			return nil, fmt.Errorf("list what waits in %s: %w", h.shard.Name(), err)
		}
		list = append(list, of...)
	}
	return list, nil
}

func (h *host) backlog(ctx context.Context, limit int) ([]Waiting, error) {
	var list []Waiting
	var events []keptEvent
	err := h.shard.View(ctx, func() {
		for _, d := range h.machine.deliveries.All() {
			if len(list) >= limit {
				return
			}
			list = append(list, h.machine.waiting(d))
			events = append(events, keptEvent{d.event, *h.machine.events.Get(d.event)})
		}
	})
	if err != nil {
		return nil, err
	}
	n := 0
	for i, w := range list {
		w.EventID, err = h.eventID(ctx, events[i])
		switch {
		case err == errEnded:
			continue
		case err != nil:
			return nil, err
		}
		list[n] = w
		n++
	}
	return list[:n], nil
}

// waiting says of a delivery what the machine knows.
func (m *Machine) waiting(d *delivery) Waiting {
	def := *m.targets.Get(d.target)
	w := Waiting{Rule: def.Rule, TargetID: def.ID, Target: def.ARN, DeadLetter: d.dead, Attempts: int(d.made)}
	if d.due > 0 {
		w.Next = microTime(d.due)
	}
	if d.code > 0 {
		w.Code = m.codes[d.code-1]
	}
	return w
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
	var events []keptEvent
	err := h.shard.View(ctx, func() {
		for slot, e := range h.machine.events.All() {
			events = append(events, keptEvent{slot, *e})
		}
	})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range events {
		id, err := h.eventID(ctx, e)
		if err == errEnded {
			continue
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// A keptEvent is an event as it was at some moment.
type keptEvent struct {
	slot uint32
	event
}

// eventID reads the id of an event from the log.
func (h *host) eventID(ctx context.Context, e keptEvent) (string, error) {
	read, err := h.readKept(ctx, e)
	if err != nil {
		return "", err
	}
	return read.EventID, nil
}
