// Package circuits lets people look at the circuits of destinations, decide about them, and hear of their changes.
//
// What somebody decided is in the catalog, so it counts on every node and after every start; package deliver obeys. Each change of
// a circuit, by itself or by hand, becomes an event on the default bus of the account and region whose rules use the destination:
//
//	deliver ─► CircuitChanged ─► a bounded queue ─► Run ─► the bus ─► rules, like any other event
//
// An event about a circuit may go to a destination whose own circuit opens because of it, and so on: each circuit changes at most a few
// times a minute, so that ends by itself. Nobody waits for the bus but Run; when the queue is full, changes are logged instead.
// Start with [New].
package circuits

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
)

const (
	maxForced      = 10_000          // circuits of one account and region that are decided by hand; each is held in memory
	maxReason      = 256             // bytes
	maxARN         = 440             // bytes; what the catalog's keys have room for beside account and region
	queued         = 4096            // changes that wait to be told
	announceTries  = 5               // before an event about a change is given up
	announcePause  = time.Second     // between two of them
	finishTimeout  = 2 * time.Second // that an orderly end takes to tell the rest
	schema, domain = "1", "rialto"   // of the events
)

// A Deliverer has the circuits. *[deliver.Deliverer] is one.
type Deliverer interface {
	Force(scope rialto.Scope, arn string, mode deliver.CircuitMode, since time.Time, reason string)
	Circuits(ctx context.Context) ([]deliver.Circuit, error)
}

// A Bus takes rialto's own events. Package ingest has it.
type Bus interface {
	Announce(ctx context.Context, scope rialto.Scope, detailType string, detail any) error
}

// Options tunes a Service. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
}

// A Service looks after circuits.
type Service struct {
	opts    Options
	changes chan deliver.Circuit
	untold  atomic.Int64 // of these
	catalog *catalog.Catalog
	deliver Deliverer
	bus     Bus
}

// New makes a Service. It can be an observer of deliveries from now on; everything else needs [Service.Attach].
func New(opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	return &Service{opts: opts, changes: make(chan deliver.Circuit, queued)}
}

// Attach says who has the decisions and the circuits, and who takes the events. It is called once, before deliveries begin, and lets
// what was decided count from the first of them.
func (s *Service) Attach(c *catalog.Catalog, d Deliverer, b Bus) {
	s.AnnounceTo(b)
	s.catalog, s.deliver = c, d
	c.Circuits.Follow(func(key string, _, is *catalog.Circuit) {
		scope, arn := catalog.SplitKey(key)
		if is == nil {
			d.Force(scope, arn, deliver.CircuitAutomatic, s.opts.Clock.Now(), "It decides by itself again.")
			return
		}
		mode, err := deliver.ParseCircuitMode(is.Mode)
		if err != nil {
			s.opts.Logger.Error("circuit not forced", "target", arn, "err", err)
			return
		}
		d.Force(scope, arn, mode, is.Since, is.Reason)
	})
}

// AnnounceTo says who takes the events. It is called once, before Run; [Service.Attach] does.
func (s *Service) AnnounceTo(b Bus) { s.bus = b }

// List returns the circuits of an account and region, sorted by ARN.
func (s *Service) List(ctx context.Context, scope rialto.Scope) ([]deliver.Circuit, error) {
	all, err := s.deliver.Circuits(ctx)
	return slices.DeleteFunc(all, func(c deliver.Circuit) bool { return c.Scope != scope }), err
}

// Decision returns what was decided about a circuit by hand, or nil.
func (s *Service) Decision(scope rialto.Scope, arn string) *catalog.Circuit {
	return s.catalog.Circuits.Get(catalog.NameKey(scope, arn))
}

// A Decision is what somebody decides about a circuit.
type Decision struct {
	Mode   deliver.CircuitMode
	By     string // ARN of who does
	Reason string // for people
	Force  bool   // also if nothing goes to the destination yet
}

// Set decides about the circuit of a destination, and returns it. A destination that nothing names is refused, since it is most likely
// misspelt, and everything would go on as before.
func (s *Service) Set(ctx context.Context, scope rialto.Scope, arn string, d Decision) (deliver.Circuit, error) {
	switch _, err := rialto.ParseARN(arn); {
	case err != nil:
		return deliver.Circuit{}, rialto.Errorf(rialto.Invalid, "%q is not the ARN of a destination.", arn)
	case len(arn) > maxARN:
		return deliver.Circuit{}, rialto.Errorf(rialto.Invalid, "The ARN has %d bytes. Circuits can be decided about where it has up to %d.", len(arn), maxARN)
	case len(d.Reason) > maxReason:
		return deliver.Circuit{}, rialto.Errorf(rialto.Invalid, "The reason has %d bytes, more than %d.", len(d.Reason), maxReason)
	}
	if d.Mode != deliver.CircuitAutomatic && !d.Force {
		if err := s.mustBeUsed(ctx, scope, arn); err != nil {
			return deliver.Circuit{}, err
		}
	}
	key := catalog.NameKey(scope, arn)
	_, err := s.catalog.Circuits.Edit(ctx, key, func(was *catalog.Circuit) (*catalog.Circuit, error) {
		switch {
		case d.Mode == deliver.CircuitAutomatic:
			return nil, nil
		case was == nil && s.catalog.Circuits.Count(catalog.ScopeKey(scope)) >= maxForced:
			return nil, rialto.Errorf(rialto.Exceeded, "%d circuits are decided by hand already. Let some of them decide by themselves again.", maxForced)
		}
		is := &catalog.Circuit{ARN: arn, Mode: d.Mode.String(), Since: s.opts.Clock.Now(), By: d.By, Reason: d.Reason}
		if was != nil && was.Mode == is.Mode {
			is.Since = was.Since
		}
		return is, nil
	})
	if err != nil {
		return deliver.Circuit{}, err
	}
	list, err := s.List(ctx, scope)
	if i := slices.IndexFunc(list, func(c deliver.Circuit) bool { return c.ARN == arn }); i >= 0 {
		return list[i], err
	}
	return deliver.Circuit{Scope: scope, ARN: arn, Since: s.opts.Clock.Now()}, err // nothing goes there at present
}

// mustBeUsed refuses a destination to which nothing goes: no rule and no subscription says so, nothing waits, and nobody has decided about
// it before.
func (s *Service) mustBeUsed(ctx context.Context, scope rialto.Scope, arn string) error {
	for _, e := range s.catalog.Rules.List(catalog.ScopeKey(scope), "", 0) {
		if slices.ContainsFunc(e.Value.Targets, func(t catalog.Target) bool {
			return t.ARN == arn || t.DeadLetter != nil && t.DeadLetter.ARN != nil && *t.DeadLetter.ARN == arn
		}) {
			return nil
		}
	}
	for _, e := range s.catalog.Subscribers.List(catalog.ScopeKey(scope), "", 0) {
		u := e.Value
		if u.Endpoint == arn || u.ARN(scope).String() == arn || strings.Contains(u.Attributes["RedrivePolicy"], `"`+arn+`"`) {
			return nil
		}
	}
	list, err := s.List(ctx, scope)
	if err != nil || slices.ContainsFunc(list, func(c deliver.Circuit) bool { return c.ARN == arn }) {
		return err
	}
	return rialto.Errorf(rialto.NotFound, "No rule or subscription of account %s in %s has %s as a target or dead-letter queue, and nothing waits for it. "+
		"Look whether the ARN is right, or force the decision (--force) if the rule is yet to come.", scope.Account, scope.Region, arn)
}

// Accepted is of no interest here.
func (s *Service) Accepted(*deliver.Accepted) {}

// Attempted is of no interest here.
func (s *Service) Attempted(*deliver.Attempted) {}

// CircuitChanged takes note of a change. It never waits.
func (s *Service) CircuitChanged(c *deliver.Circuit) {
	s.untold.Add(1)
	select {
	case s.changes <- *c:
	default:
		s.untold.Add(-1)
		s.opts.Logger.Warn("change of a circuit not announced: too many at once", "target", c.ARN, "state", c.State.String())
	}
}

// Run tells the bus of changes until ctx ends, and then, for a while, of those that it knows of. The bus must still work then.
func (s *Service) Run(ctx context.Context) error {
	for {
		select {
		case c := <-s.changes:
			if !s.announce(ctx, &c) {
				s.finish(context.WithoutCancel(ctx), &c)
				return nil
			}
			s.untold.Add(-1)
		case <-ctx.Done():
			s.finish(context.WithoutCancel(ctx), nil)
			return nil
		}
	}
}

// Due says how many changes the bus has not heard of, for whoever moves a virtual clock.
func (s *Service) Due(context.Context) (next time.Time, inHand int, err error) {
	return time.Time{}, int(s.untold.Load()), nil
}

// finish tells the rest, beginning with one that was not told in time, if that is not nil.
func (s *Service) finish(ctx context.Context, c *deliver.Circuit) {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	for {
		if c != nil && !s.announce(ctx, c) {
			s.opts.Logger.Warn("changes of circuits not announced: the end came first", "count", len(s.changes)+1)
			return
		}
		select {
		case next := <-s.changes:
			c = &next
		default:
			return
		}
	}
}

// announce puts one event. A bus that takes nothing at present is asked again, a few times. It reports false if ctx ended before the bus
// has taken it, or has refused it.
func (s *Service) announce(ctx context.Context, c *deliver.Circuit) bool {
	detailType, detail := s.event(c)
	for try := 1; ; try++ {
		err := s.bus.Announce(ctx, c.Scope, detailType, detail)
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case try == announceTries || rialto.KindOf(err) != rialto.Unavailable:
			s.opts.Logger.Warn("change of a circuit not announced", "target", c.ARN, "state", c.State.String(), "err", err)
			return true
		case !s.pause(ctx):
			return false
		}
	}
}

func (s *Service) pause(ctx context.Context) bool {
	t := rialto.Real(s.opts.Clock).NewTimer(announcePause)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// A detail is that of an event about a circuit.
type detail struct {
	Metadata metadata `json:"metadata"`
	Data     data     `json:"data"`
}

type metadata struct {
	ID      string `json:"id"` // one for each change
	Version string `json:"version"`
	Domain  string `json:"domain"`
	Service string `json:"service"`
	Type    string `json:"type"`
}

type data struct {
	ARN      string    `json:"arn"` // of the destination
	State    string    `json:"state"`
	Previous string    `json:"previous"`
	Forced   bool      `json:"forced"`
	Reason   string    `json:"reason"`
	Parked   int       `json:"parked"` // deliveries that are kept
	Since    time.Time `json:"since"`
}

var detailTypes = map[deliver.CircuitState]string{
	deliver.CircuitClosed:   "Destination Circuit Closed",
	deliver.CircuitOpen:     "Destination Circuit Opened",
	deliver.CircuitHalfOpen: "Destination Circuit Half-Opened",
}

func (s *Service) event(c *deliver.Circuit) (detailType string, d detail) {
	id, err := uuid.NewV7()
	if err != nil {
		panic(fmt.Sprintf("circuits: the system gives no random numbers: %v", err))
	}
	return detailTypes[c.State], detail{
		metadata{id.String(), schema, domain, "deliver", "operational"},
		data{c.ARN, c.State.String(), c.Previous.String(), c.Forced, c.Reason, c.Parked, c.Since.UTC()},
	}
}
