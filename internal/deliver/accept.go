package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
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
	Targets  []*target.Sealed // at least one, unless the event is only to be known again

	Orders  []uint64  // for each target, a hash of what its deliveries are ordered by, 0 for none; nil if none is ordered
	Expires time.Time // no attempt is made after it; zero is never
	Home    string    // events of one home are on one shard, which order and dedupe need; "" is any shard
	Dedupe  Dedupe    // the zero value accepts the event in any case

	Redrives int       // how often it came back from a dead-letter queue, this time among them
	Redriven time.Time // when it did; its age counts from then

	// Stamp is called just before the event goes into a frame, with the time of its shard, and may change EventID and Event, but not
	// how long they are. Events of one home are stamped in the order in which they are in the log. It must be quick, and may be called
	// again if the frame came to nothing. nil does nothing.
	Stamp func(now time.Time)

	DuplicateOf string // set by Accept: the event was accepted before, under this id, and is not accepted again
	Err         error  // set by Accept: why the event is not accepted, as far as is known; nil if it is
}

// Expired reports whether the event had ended when it arrived. Such a one is accepted and goes nowhere.
func (e *Accepted) Expired() bool { return !e.Expires.IsZero() && !e.Expires.After(e.Accepted) }

func (e *Accepted) ordered() bool {
	return slices.ContainsFunc(e.Orders, func(hash uint64) bool { return hash != 0 })
}

// check finds what no caller may ask for.
func (e *Accepted) check() error {
	switch {
	case len(e.Targets) == 0 && e.Dedupe.Window == 0 || len(e.Event) == 0:
		return errors.New("it has no content or no target")
	case len(e.EventID) > maxEventID:
		return fmt.Errorf("its id is longer than %d bytes", maxEventID)
	case len(e.Orders) > 0 && len(e.Orders) != len(e.Targets):
		return fmt.Errorf("it has %d targets, and %d of them an order", len(e.Targets), len(e.Orders))
	case e.Home == "" && (e.Dedupe.Window > 0 || e.ordered()):
		return errors.New("it is ordered or deduped, and has no home")
	}
	return nil
}

// A Dedupe makes one event of several that have the same key, within a time after the first. It needs a home.
type Dedupe struct {
	Key    [16]byte // a hash of the bus and what tells its events apart
	Window time.Duration
}

// Accept takes events, each with its targets. When it returns nil they are in the log, except for those of which DuplicateOf says
// that an earlier one is. When it returns an error, Err says of each event whether the error is its own: events with several homes,
// or too many for one frame, may be accepted in part. One with an Err is not in the log, unless that error says that this is not
// known. The error is [shard.ErrTooLarge], and nothing is accepted, if one event alone does not fit into a frame.
//
// Events of one home get into the log in the order of the list.
func (d *Deliverer) Accept(ctx context.Context, events []Accepted) error {
	list := make([]*proposed, len(events))
	for i := range events {
		e := &events[i]
		e.Err, e.DuplicateOf = nil, ""
		err := e.check()
		if err == nil {
			p := &proposed{Accepted: e}
			p.kind, p.body = acceptCommand(e)
			if list[i] = p; !d.hosts[0].shard.Fits(len(p.body)) {
				err = shard.ErrTooLarge
			}
		}
		if err != nil { // before any other is taken
			err = fmt.Errorf("accept event %s: %w", e.EventID, err)
			for i := range events {
				events[i].Err = err
			}
			return err
		}
	}
	parts := d.split(list)
	if len(parts) == 1 {
		return parts[0].host.take(ctx, list)
	}
	errs := make([]error, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() { errs[i] = p.host.take(ctx, p.list) })
	}
	all.Wait()
	return cmp.Or(errs...)
}

// A part is events for one shard.
type part struct {
	host *host
	list []*proposed
}

// split finds a shard for each event, and keeps together what may share a frame: events without a home go where others go.
func (d *Deliverer) split(list []*proposed) []part {
	var parts []part
	for _, p := range list {
		if p.Home == "" {
			continue
		}
		h := d.home(p.Home)
		if !slices.ContainsFunc(parts, func(p part) bool { return p.host == h }) {
			parts = append(parts, part{host: h})
		}
	}
	if len(parts) == 0 {
		parts = append(parts, part{host: d.idlest()})
	}
	for _, p := range list {
		at := 0
		if p.Home != "" {
			h := d.home(p.Home)
			at = slices.IndexFunc(parts, func(p part) bool { return p.host == h })
		}
		parts[at].list = append(parts[at].list, p)
	}
	return parts
}

// home is the shard of a home. It is the same after every start: the number of shards never changes.
func (d *Deliverer) home(name string) *host {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return d.hosts[hash.Sum64()%uint64(len(d.hosts))]
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

// A proposed event is one with its command.
type proposed struct {
	*Accepted
	kind shard.Kind
	body []byte
	at   int  // index of its command among those of the proposal
	done bool // it is in the log, or an earlier one is
}

// add adds the command to a frame of a shard.
func (p *proposed) add(b *shard.Batch, now time.Time) {
	if p.Stamp != nil {
		p.Stamp(now)
		p.kind, p.body = acceptCommand(p.Accepted)
	}
	b.Add(p.kind, p.body)
}

// take takes events, and tells those that are not taken why.
func (h *host) take(ctx context.Context, list []*proposed) error {
	h.accepting.Add(1)
	defer h.accepting.Add(-1)
	err := h.acceptAll(ctx, list)
	for _, p := range list {
		if !p.done {
			p.Err = err
		}
	}
	return err
}

// acceptAll takes events in one frame, or in as few as they need.
func (h *host) acceptAll(ctx context.Context, list []*proposed) error {
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
func (h *host) accept(ctx context.Context, list []*proposed) error {
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
		var refused []*proposed
		var wrong error
		for _, p := range list {
			switch r := results[p.at].(type) {
			case nil:
				p.done = true
			case duplicate:
				p.done, p.DuplicateOf = true, string(r)
			case error:
				if errors.Is(r, errUndefined) {
					refused = append(refused, p)
					continue
				}
				wrong = fmt.Errorf("accept event %s: %w", p.EventID, r)
			}
		}
		if list = refused; wrong != nil || len(list) == 0 {
			return wrong
		}
	}
	return fmt.Errorf("accept event %s: %w", list[0].EventID, errUndefined)
}

// propose gets events into the log, with the definitions that are not there yet and the outcomes that wait.
func (h *host) propose(ctx context.Context, list []*proposed) ([]any, error) {
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
			p.add(b, h.shard.Now())
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
func (h *host) define(ctx context.Context, list []*proposed) error {
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

// Keep leaves of the targets those that are wanted. The lists of targets and orders may be another's: they are copied.
func (e *Accepted) Keep(wanted func(*target.Sealed) bool) {
	if !slices.ContainsFunc(e.Targets, func(t *target.Sealed) bool { return !wanted(t) }) {
		return
	}
	var targets []*target.Sealed
	var orders []uint64
	for i, t := range e.Targets {
		if !wanted(t) {
			continue
		}
		targets = append(targets, t)
		if e.Orders != nil {
			orders = append(orders, e.Orders[i])
		}
	}
	e.Targets, e.Orders = targets, orders
}
