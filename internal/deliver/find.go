package deliver

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rialto-events/rialto/internal/shard"
)

// A Pending is an event that has a delivery which has not ended.
type Pending struct {
	Event   *Accepted // without its targets
	Waiting []Waiting
}

// How many events are read from a log to find one.
const (
	findAll    = 1024 // if there are no more, each is
	findAround = 256  // on each side of where the event should be
)

// Pending returns what waits of an event, on each bus that it waits on. Events stand in the log in about the order of their ids, so
// it reads a few hundred at most. An event that came to a bus long after it got its id, from another bus, may not be found if more
// wait.
func (d *Deliverer) Pending(ctx context.Context, eventID string) ([]Pending, error) {
	var all []Pending
	for _, h := range d.hosts {
		of, err := h.pending(ctx, eventID)
		if err != nil {
			return nil, fmt.Errorf("look for event %s in %s: %w", eventID, h.shard.Name(), err)
		}
		all = append(all, of...)
	}
	return all, nil
}

func (h *host) pending(ctx context.Context, id string) ([]Pending, error) {
	events, err := h.inOrder(ctx)
	if err != nil {
		return nil, err
	}
	if len(events) > findAll {
		at, err := h.searchEvent(ctx, events, id)
		if err != nil {
			return nil, err
		}
		events = events[max(0, at-findAround):min(len(events), at+findAround)]
	}
	var found []Pending
	for _, e := range events {
		read, err := h.readKept(ctx, e)
		if err == errEnded || err == nil && read.EventID != id {
			continue
		}
		if err != nil {
			return nil, err
		}
		p := Pending{Event: read}
		err = h.shard.View(ctx, func() { p.Waiting = h.machine.waitingFor(e) })
		if err != nil {
			return nil, err
		}
		for i := range p.Waiting {
			p.Waiting[i].EventID = id
		}
		if len(p.Waiting) > 0 {
			found = append(found, p)
		}
	}
	return found, nil
}

// inOrder returns the events that wait, in the order in which they were accepted.
func (h *host) inOrder(ctx context.Context) ([]keptEvent, error) {
	var events []keptEvent
	err := h.shard.View(ctx, func() {
		for slot, e := range h.machine.events.all() {
			events = append(events, keptEvent{slot, *e})
		}
	})
	slices.SortFunc(events, func(a, b keptEvent) int { return cmp.Compare(a.key, b.key) })
	return events, err
}

// searchEvent finds the place where an id should be among events in their order.
func (h *host) searchEvent(ctx context.Context, events []keptEvent, id string) (int, error) {
	low, high := 0, len(events)
	for low < high {
		mid := (low + high) / 2
		read, err := h.readKept(ctx, events[mid])
		switch {
		case err == errEnded:
			events = slices.Delete(events, mid, mid+1)
			high--
		case err != nil:
			return 0, err
		case strings.Compare(read.EventID, id) < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	return min(low, len(events)), nil
}

// readKept reads an event from the log.
func (h *host) readKept(ctx context.Context, e keptEvent) (*Accepted, error) {
	payload, err := h.read(ctx, e.ref, func(m *Machine) (shard.Ref, bool) {
		if !m.events.inUse(e.slot) || m.events.get(e.slot).key != e.key {
			return shard.Ref{}, false
		}
		return m.events.get(e.slot).ref, true
	})
	if err != nil {
		return nil, err
	}
	return readEvent(payload)
}

// waitingFor returns the deliveries of an event.
func (m *Machine) waitingFor(e keptEvent) []Waiting {
	if !m.events.inUse(e.slot) || m.events.get(e.slot).key != e.key {
		return nil
	}
	var list []Waiting
	for _, d := range m.deliveries.all() {
		if d.event == e.slot {
			list = append(list, m.waiting(d))
		}
	}
	return list
}
