package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

const (
	defineSize  = 128 << 10       // bytes of definitions in one proposal, unless one has more
	rideRoom    = 2 * outcomeSize // bytes that must be left in a proposal for outcomes to come along
	acceptTries = 3               // of events whose definitions were forgotten in the same frame
)

// An Accepted is an event with the targets that it goes to.
type Accepted struct {
	EventID  string
	Event    []byte     // compact JSON, as targets receive it
	Bus      rialto.ARN // the bus on which the rules matched
	Accepted time.Time
	Trace    string // normalised X-Ray trace header, or empty
	Hops     target.Hops
	Targets  []*target.Sealed // at least one

	Orders  []uint64  // for each target, a hash of what its deliveries are ordered by, 0 for none; nil if none is ordered
	Expires time.Time // no attempt is made after it; zero is never
	Home    string    // events of one home are on one shard, which order and dedupe need; "" is any shard
	Dedupe  Dedupe    // the zero value accepts the event in any case

	DuplicateOf string // set by Accept: the event was accepted before, under this id, and is not accepted again
}

// A Dedupe makes one event of several that have the same key, within a time after the first. It needs a home.
type Dedupe struct {
	Key    [16]byte // a hash of the bus and what tells its events apart
	Window time.Duration
}

// Accept takes events, each with its targets. When it returns nil they are in the log. When it returns an error none is, unless
// the error says that this is not known, or they were too many for one frame. The error is [shard.ErrTooLarge] if one alone does
// not fit into a frame.
func (d *Deliverer) Accept(ctx context.Context, events []Accepted) error {
	h := d.idlest()
	h.accepting.Add(1)
	defer h.accepting.Add(-1)
	list := make([]proposed, len(events))
	for i := range events {
		if len(events[i].Targets) == 0 || len(events[i].Event) == 0 {
			return fmt.Errorf("accept event %s: it has no content or no target", events[i].EventID)
		}
		list[i] = proposed{Accepted: &events[i], body: acceptCommand(&events[i])}
		if !h.shard.Fits(len(list[i].body)) {
			return fmt.Errorf("accept event %s: %w", events[i].EventID, shard.ErrTooLarge) // before any other is taken
		}
	}
	return h.acceptAll(ctx, list)
}

// idlest is the shard with the least to do. Of equal ones it is the first, so that a lone caller's events, and the outcomes of
// those before, share frames.
func (d *Deliverer) idlest() *host {
	least, work := d.hosts[0], int64(-1)
	for _, h := range d.hosts {
		if n := h.accepting.Load() + int64(h.shard.Queued()); work < 0 || n < work {
			least, work = h, n
		}
	}
	return least
}

// A proposed event is one with the body of its command.
type proposed struct {
	*Accepted
	body []byte
	at   int // index of its command among those of the proposal
}

// acceptAll takes events in one frame, or in as few as they need.
func (h *host) acceptAll(ctx context.Context, list []proposed) error {
	if len(list) == 0 {
		return nil
	}
	err := h.accept(ctx, list)
	if !errors.Is(err, shard.ErrTooLarge) || len(list) == 1 {
		return err
	}
	half := len(list) / 2
	if err := h.acceptAll(ctx, list[:half]); err != nil {
		return err
	}
	return h.acceptAll(ctx, list[half:])
}

// accept takes events in one frame.
func (h *host) accept(ctx context.Context, list []proposed) error {
	for range acceptTries {
		results, err := h.propose(ctx, list)
		if errors.Is(err, shard.ErrTooLarge) {
			// Many large definitions on their first use do not fit into one frame with the events.
			if err = h.define(ctx, list); err == nil {
				results, err = h.propose(ctx, list)
			}
		}
		if err != nil {
			return err
		}
		// A definition may have been forgotten in the very frame that was to use it. Then it is not there the next time, and
		// comes along.
		var refused []proposed
		for _, p := range list {
			switch err, _ := results[p.at].(error); {
			case errors.Is(err, errUndefined):
				refused = append(refused, p)
			case err != nil:
				return fmt.Errorf("accept event %s: %w", p.EventID, err)
			}
		}
		if list = refused; len(list) == 0 {
			return nil
		}
	}
	return fmt.Errorf("accept event %s: %w", list[0].EventID, errUndefined)
}

// propose gets events into the log, with the definitions that are not there yet and the outcomes that wait.
func (h *host) propose(ctx context.Context, list []proposed) ([]any, error) {
	along := ride{from: h.outcomes}
	at, size := make([]int, len(list)), 0
	for _, p := range list {
		size += len(p.body)
	}
	results, err := h.shard.Propose(ctx, func(b *shard.Batch) {
		n := 0
		for i, p := range list {
			for _, t := range p.Targets {
				if h.defines(b, t) {
					n++
				}
			}
			b.Add(kindAccept, p.body)
			at[i] = n
			n++
		}
		if h.shard.Fits(size + rideRoom) {
			along.board(b)
		}
	})
	along.end(err)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].at = at[i]
	}
	return results, nil
}

// defines adds a target's definition to a frame, unless it is in the log already or comes along in this frame.
func (h *host) defines(b *shard.Batch, t *target.Sealed) bool {
	if _, ok := h.machine.byKey[t.Key]; ok || !b.First("deliver:"+string(t.Key[:])) {
		return false
	}
	b.Add(kindDefine, t.JSON)
	return true
}

// define gets the definitions that events use into the log, in as many frames as it takes. Those that are not used in the end are
// forgotten some time.
func (h *host) define(ctx context.Context, list []proposed) error {
	var targets []*target.Sealed
	for _, p := range list {
		targets = append(targets, p.Targets...)
	}
	for len(targets) > 0 {
		n, size := 0, 0
		for ; n < len(targets) && (n == 0 || size+len(targets[n].JSON) <= defineSize); n++ {
			size += len(targets[n].JSON)
		}
		some := targets[:n]
		_, err := h.shard.Propose(ctx, func(b *shard.Batch) {
			for _, t := range some {
				h.defines(b, t)
			}
		})
		if err != nil {
			return err
		}
		targets = targets[n:]
	}
	return nil
}
