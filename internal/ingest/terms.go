package ingest

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/tuning"
)

// route finds where an event goes, and on which terms. It was made at a time; if that is zero, the event says when. An event that
// has ended before it arrives goes nowhere.
func (in *Ingester) route(bus route.Bus, e *deliver.Accepted, made time.Time) error {
	plan, err := in.routes.Plan(bus, e.Event)
	if err != nil {
		return fmt.Errorf("match event %s: %w", e.EventID, err)
	}
	if plan.Bus != nil && plan.Bus.TTLFrom != nil {
		e.Expires = in.expiry(*plan.Bus.TTLFrom, bus, e, made)
	}
	if e.Targets = plan.Targets; e.Expired() {
		e.Targets = nil
	}
	if len(e.Targets) == 0 {
		return nil
	}
	if plan.Home {
		e.Home = e.Bus.String()
	}
	if plan.Bus != nil && plan.Bus.DedupeBy != nil {
		e.Dedupe = dedupe(plan.Bus, e)
	}
	e.Orders = orders(plan.Orders, e.Event)
	return nil
}

// orders are the orders of deliveries as the log has them: hashes of what tells one sequence from another, 0 for an event that has no
// value there and is therefore delivered on its own.
func orders(plan []*route.Order, event []byte) []uint64 {
	if plan == nil {
		return nil
	}
	hashes := make([]uint64, len(plan))
	var value []byte
	var path string // of the value; many rules of a bus have the same
	for i, o := range plan {
		if o == nil {
			continue
		}
		if o.Path.String() != path {
			path = o.Path.String()
			value, _ = o.Path.Find(event)
		}
		hashes[i] = o.Hash(value)
	}
	return hashes
}

// dedupe is what an event is known by on its bus. One without the value is never known.
func dedupe(bus *tuning.Bus, e *deliver.Accepted) deliver.Dedupe {
	value, _ := bus.DedupeBy.Find(e.Event)
	sum, ok := tuning.Hash([]byte(e.Bus.String()+"\x00"), value)
	if !ok {
		return deliver.Dedupe{}
	}
	return deliver.Dedupe{Key: [16]byte(sum[:]), Window: bus.DedupeWindow}
}

// expiry is when an event ends by the value at a path, or zero if it does not. What cannot be read is no limit: the producer learns
// nothing from an error that the owner of the bus could prevent.
func (in *Ingester) expiry(path jsonpath.Path, bus route.Bus, e *deliver.Accepted, made time.Time) time.Time {
	value, ok := path.Find(e.Event)
	if !ok || string(value) == "null" {
		return time.Time{}
	}
	if made.IsZero() {
		made = timeOf(e)
	}
	end, ok := tuning.Expiry(value, made)
	if !ok {
		in.unread.note(bus, e.EventID, e.Accepted)
		return time.Time{}
	}
	return end
}

var eventTime = known("$.time")

// timeOf is the time that an event says it has.
func timeOf(e *deliver.Accepted) time.Time {
	t, err := time.Parse(time.RFC3339, textAt(eventTime, e.Event))
	if err != nil {
		return e.Accepted
	}
	return t
}

// unreadPause is between two lines of the log about times to live that cannot be read.
const unreadPause = time.Minute

// unread counts times to live that cannot be read, and writes about them once in a while.
type unread struct {
	logger *slog.Logger

	mu    sync.Mutex
	count int
	next  time.Time // line of the log
}

func (u *unread) note(bus route.Bus, event string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count++
	if now.Before(u.next) {
		return
	}
	u.next = now.Add(unreadPause)
	u.logger.Warn("time to live cannot be read", "bus", bus.ARN(), "event", event, "count", u.count)
}

// outcome puts into the results of entries what became of the events that were handed over to be accepted. An error is for all of
// them; where some were accepted, the others say so each for itself.
func (in *Ingester) outcome(err error, events []deliver.Accepted, results []Result) error {
	failed := 0
	for i := range events {
		if events[i].Err != nil {
			failed++
		}
	}
	if err != nil && (failed == 0 || failed == len(events)) {
		return err
	}
	for i := range events {
		e := &events[i]
		if e.Err == nil && e.DuplicateOf == "" {
			continue
		}
		at := slices.IndexFunc(results, func(r Result) bool { return r.EventID == e.EventID })
		if results[at].EventID = e.DuplicateOf; e.Err != nil {
			in.logger.Error("event not accepted", "bus", e.Bus, "event", e.EventID, "err", e.Err)
			results[at] = internalFailure
		}
	}
	return nil
}

// internalFailure is an entry that is worth being put again (EventBridge API reference, "PutEvents").
var internalFailure = Result{Code: "InternalFailure", Message: "Internal Service Failure"}
