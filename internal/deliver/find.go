package deliver

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
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
		if events, err = h.around(ctx, events, id); err != nil {
			return nil, err
		}
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
		var heads []keptEvent
		err = h.shard.View(ctx, func() { p.Waiting, heads = h.machine.waitingFor(e) })
		if err != nil {
			return nil, err
		}
		for i := range p.Waiting {
			p.Waiting[i].EventID = id
			if heads[i].ref.Len == 0 {
				continue
			}
			switch head, err := h.readKept(ctx, heads[i]); {
			case err == nil:
				p.Waiting[i].Behind = head.EventID
			case err != errEnded:
				return nil, err
			}
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
		for slot, e := range h.machine.events.All() {
			events = append(events, keptEvent{slot, *e})
		}
	})
	slices.SortFunc(events, func(a, b keptEvent) int { return cmp.Compare(a.key, b.key) })
	return events, err
}

// around returns the events, of those in their order, among which one with an id should be.
func (h *host) around(ctx context.Context, events []keptEvent, id string) ([]keptEvent, error) {
	low, high := 0, len(events)
	for low < high {
		mid := (low + high) / 2
		read, err := h.readKept(ctx, events[mid])
		switch {
		case err == errEnded:
			events = slices.Delete(events, mid, mid+1)
			high--
		case err != nil:
			return nil, err
		case strings.Compare(read.EventID, id) < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	return events[max(0, low-findAround):min(len(events), low+findAround)], nil
}

// readKept reads an event from the log.
func (h *host) readKept(ctx context.Context, e keptEvent) (*Accepted, error) {
	payload, err := h.read(ctx, e.ref, func(m *Machine) (shard.Ref, bool) {
		if !m.events.InUse(e.slot) || m.events.Get(e.slot).key != e.key {
			return shard.Ref{}, false
		}
		return m.events.Get(e.slot).ref, true
	})
	if err != nil {
		return nil, err
	}
	return readEvent(payload)
}

// waitingFor returns the deliveries of an event, and for each that is held by its order the event that it waits for.
func (m *Machine) waitingFor(e keptEvent) (list []Waiting, heads []keptEvent) {
	if !m.events.InUse(e.slot) || m.events.Get(e.slot).key != e.key {
		return nil, nil
	}
	for slot, d := range m.deliveries.All() {
		if d.event != e.slot {
			continue
		}
		var head keptEvent
		if !m.turn(slot, d) {
			head.slot = m.deliveries.Get(m.orders.groups.Get(d.group - 1).head).event
			head.event = *m.events.Get(head.slot)
		}
		list, heads = append(list, m.waiting(d)), append(heads, head)
	}
	return list, heads
}

// Unended calls found with each event that has a delivery which has not ended, by a definition that is wanted. It reads them all, so it takes
// its time if they are many.
func (d *Deliverer) Unended(ctx context.Context, wanted func(*target.Definition) bool, found func(event []byte)) error {
	for _, h := range d.hosts {
		var events []keptEvent
		if err := h.shard.View(ctx, func() {
			seen := make(map[uint32]bool)
			for _, d := range h.machine.deliveries.All() {
				if def := *h.machine.targets.Get(d.target); !seen[d.event] && wanted(def.Definition) {
					seen[d.event] = true
					events = append(events, keptEvent{d.event, *h.machine.events.Get(d.event)})
				}
			}
		}); err != nil {
			return err
		}
		for _, e := range events {
			read, err := h.readKept(ctx, e)
			switch {
			case err == errEnded:
			case err != nil:
				return fmt.Errorf("read event %d of %s: %w", e.key, h.shard.Name(), err)
			default:
				found(read.Event)
			}
		}
	}
	return nil
}
