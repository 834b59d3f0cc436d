package deliver

import (
	"context"
	"fmt"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// An Along is a command of another machine that is committed in the very frame of events that it tells of, so that neither is ever there
// without the other.
type Along struct {
	Home string // whose shard it is for, as in [Accepted]; the events go there, too
	Kind shard.Kind
	Body []byte
}

// Home is the number of the shard on which the events of a home are, from 0.
func (d *Deliverer) Home(name string) int {
	home := d.home(name)
	for i, h := range d.hosts {
		if h == home {
			return i
		}
	}
	return 0
}

// AcceptAlong takes all events, or none, in one frame with the command, and returns what that was answered. There may be no event. It waits
// while the log does not answer: unless ctx or the shard ends first, the outcome is known. The error is [shard.ErrTooLarge], and nothing is
// accepted, if all of it does not fit into a frame.
func (d *Deliverer) AcceptAlong(ctx context.Context, along Along, events []Accepted) (any, error) {
	h := d.home(along.Home)
	list, size := make([]proposed, len(events)), len(along.Body)
	for i := range events {
		e := &events[i]
		e.Home, e.Err, e.DuplicateOf = along.Home, nil, ""
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("accept event %s: %w", e.EventID, err)
		}
		list[i].Accepted = e
		list[i].kind, list[i].body = acceptCommand(e)
		size += len(list[i].body)
	}
	outcomes, at := ride{from: h.outcomes}, 0
	h.accepting.Add(1)
	defer h.accepting.Add(-1)
	answers, err := h.shard.Insist(ctx, func(b *shard.Batch) {
		// A definition that is there may be forgotten earlier in this frame, and the events could not be refused without the command.
		// So all come along; those that are there already change nothing.
		n, defined := 0, make(map[target.Key]bool)
		for i := range list {
			for _, t := range list[i].Targets {
				if !defined[t.Key] {
					defined[t.Key] = true
					b.Add(kindDefine, t.JSON)
					n++
				}
			}
			list[i].add(b, h.shard.Now())
			list[i].at = n
			n++
		}
		b.Add(along.Kind, along.Body)
		if at = n; h.shard.Fits(size + rideRoom) {
			outcomes.board(b)
		}
	})
	outcomes.end(err)
	if err != nil {
		return nil, err
	}
	for i := range list {
		switch r := answers[list[i].at].(type) {
		case duplicate:
			list[i].DuplicateOf = string(r)
		case error:
			list[i].Err = fmt.Errorf("accept event %s: %w", list[i].EventID, r)
			return nil, list[i].Err
		}
	}
	return answers[at], nil
}

// Lag is how far the slowest of some targets is behind: how many deliveries wait for it that it could have got. Those that its circuit keeps do
// not count, nor those that wait for their next attempt.
func (d *Deliverer) Lag(targets []*target.Sealed) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	lag := 0
	for _, t := range targets {
		if dest, ok := d.destinations[place{t.Rule.Scope(), t.ARN}]; ok {
			lag = max(lag, dest.lag(laneKey{t.Rule, t.ID}))
		}
	}
	return lag
}

func (d *destination) lag(key laneKey) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l, ok := d.lanes[key]; ok && !l.held {
		return l.n()
	}
	return 0
}

// Held is how many deliveries to one of these targets, whichever has the most, wait on the shard of a home for an earlier one, by their order.
func (d *Deliverer) Held(ctx context.Context, home string, targets []*target.Sealed) (most int, err error) {
	h := d.home(home)
	err = h.shard.View(ctx, func() {
		for _, t := range targets {
			if def, ok := h.machine.byKey[t.Key]; ok {
				most = max(most, def.held)
			}
		}
	})
	return most, err
}
