// Package ingest accepts events: it checks and stamps them, asks which targets they go to, and has them committed.
//
// [Ingester.Put] is PutEvents; [Ingester.Forward] brings an event from one bus to another; [Ingester.Announce] tells of rialto
// itself. All return only after every
// event that has a target is in a shard's log together with the list of its targets: what they answered survives the process,
// and no later change of a rule touches it. An event that no rule wants is answered and forgotten. [Ingester.Tap] lets somebody
// look on.
package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/pattern"
)

const (
	// maxRequestBytes is what the entries of one PutEvents must stay below (EventBridge user guide, "PutEvents entry size").
	maxRequestBytes = 1 << 20
	timeBytes       = 14 // that an entry's Time counts for (same page)
)

// Options tunes an Ingester. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
	Room   func() error // says why nothing new can be stored at present; nil is never

	Observer Observer // nil is nobody
}

// An Observer is told of every event that is accepted, also if no rule wants it, if it is [deliver.Accepted.Expired], or if it is the duplicate of one
// that was accepted before. It is called by those who accept events,
// several at a time: it must be quick and never block, and must not change what it gets.
type Observer interface {
	Accepted(e *deliver.Accepted)
}

// A Deliverer commits events with their targets. *[deliver.Deliverer] is one.
type Deliverer interface {
	Accept(ctx context.Context, events []deliver.Accepted) error
}

// An Ingester accepts events.
type Ingester struct {
	routes  *route.Router
	deliver Deliverer
	clock   rialto.Clock
	taps    taps
	room    func() error
	logger  *slog.Logger
	unread  unread

	observer Observer
}

// New makes an Ingester that routes by routes and commits through d.
func New(routes *route.Router, d Deliverer, opts Options) *Ingester {
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	if opts.Room == nil {
		opts.Room = func() error { return nil }
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Ingester{
		routes: routes, deliver: d, clock: opts.Clock, room: opts.Room, logger: opts.Logger, observer: opts.Observer,
		unread: unread{logger: opts.Logger},
	}
}

// A Caller is who puts events.
type Caller struct {
	Scope       rialto.Scope
	Principal   string // ARN, for messages
	TraceHeader string // X-Amzn-Trace-Id of the request
	TraceParent string // traceparent of the request, for entries to which neither header of X-Ray gives a trace
	TraceState  string // tracestate of the request
}

// An Entry is one event to put, as PutEvents got it. Absent members are nil.
type Entry struct {
	Source      *string
	DetailType  *string
	Detail      *string
	Resources   []string
	Bus         *string // a name or an ARN
	Time        *time.Time
	TraceHeader *string
}

// A Result is what became of an entry: an event id, or an error code with its message.
type Result struct {
	EventID string
	Code    string
	Message string
}

// Put accepts up to ten entries. The results have the order of the entries. An error says that none was accepted.
func (in *Ingester) Put(ctx context.Context, caller Caller, entries []Entry) ([]Result, error) {
	return in.put(ctx, caller, entries, reservedSource)
}

// put is Put for callers who may use every source that refused does not report.
func (in *Ingester) put(ctx context.Context, caller Caller, entries []Entry, refused func(source string) bool) ([]Result, error) {
	if size(entries) >= maxRequestBytes {
		return nil, errSize
	}
	buses := make([]route.Bus, len(entries))
	for i := range entries {
		bus, err := in.busOf(caller, &entries[i])
		if err != nil {
			return nil, err // one denied entry fails the request (recorded on AWS)
		}
		buses[i] = bus
	}
	now := in.clock.Now()
	results := make([]Result, len(entries))
	var accepted, unwanted []deliver.Accepted
	for i := range entries {
		e := &entries[i]
		if results[i] = check(e, refused); results[i].Code != "" {
			continue
		}
		made := now
		if e.Time != nil {
			made = *e.Time
		}
		event, id, err := stamp(caller, e, made)
		if err != nil {
			results[i] = Result{Code: "MalformedDetail", Message: "Detail is malformed."}
			continue
		}
		results[i].EventID = id
		in.taps.show(buses[i], event)
		one := deliver.Accepted{EventID: id, Event: event, Bus: buses[i].ARN(), Accepted: now, Trace: in.traceOf(e, &caller)}
		if err := in.route(buses[i], &one, made); err != nil {
			return nil, err
		}
		switch {
		case len(one.Targets) > 0:
			accepted = append(accepted, one)
		case in.observer != nil:
			unwanted = append(unwanted, one) // also when the bus is not there: accepted and dropped (recorded on AWS)
		}
	}
	if len(accepted) == 0 {
		in.observe(unwanted)
		return results, nil
	}
	if err := in.room(); err != nil {
		return nil, err
	}
	err := in.outcome(in.deliver.Accept(ctx, accepted), accepted, results)
	switch {
	case errors.Is(err, shard.ErrTooLarge):
		return nil, errSize // control characters, of which one byte becomes six in JSON
	case err != nil:
		return nil, fmt.Errorf("accept %d events: %w", len(accepted), err)
	}
	in.observe(accepted)
	in.observe(unwanted)
	return results, nil
}

// observe tells the observer of events that were accepted.
func (in *Ingester) observe(events []deliver.Accepted) {
	if in.observer == nil {
		return
	}
	for i := range events {
		if events[i].Err == nil {
			in.observer.Accepted(&events[i])
		}
	}
}

var errSize = rialto.Errorf(rialto.Invalid, "Total size of the entries in the request is over the limit.")

// size is what the entries count for, in bytes.
func size(entries []Entry) int {
	n := 0
	for i := range entries {
		e := &entries[i]
		n += len(deref(e.Source)) + len(deref(e.DetailType)) + len(deref(e.Detail))
		for _, r := range e.Resources {
			n += len(r)
		}
		if e.Time != nil {
			n += timeBytes
		}
	}
	return n
}

// check finds what makes one entry unacceptable, in AWS's words (recorded on AWS).
func check(e *Entry, refused func(source string) bool) Result {
	for _, p := range []struct {
		name  string
		value *string
	}{{"Source", e.Source}, {"DetailType", e.DetailType}, {"Detail", e.Detail}} {
		if deref(p.value) == "" {
			return Result{Code: "InvalidArgument", Message: fmt.Sprintf("Parameter %s is not valid. Reason: %s is a required argument.", p.name, p.name)}
		}
	}
	if refused(*e.Source) {
		return Result{Code: "NotAuthorizedForSourceException", Message: "Not authorized for the source."}
	}
	return Result{}
}

// reservedSource reports whether events of a source are AWS's own.
func reservedSource(source string) bool { return strings.HasPrefix(source, "aws.") }

// anySource refuses none.
func anySource(string) bool { return false }

// stamp makes the event of an entry.
func stamp(caller Caller, e *Entry, made time.Time) (event []byte, id string, err error) {
	detail := strings.TrimLeft(*e.Detail, " \t\r\n")
	if !strings.HasPrefix(detail, "{") {
		return nil, "", errors.New("the detail is not an object")
	}
	env := envelope{
		id: newID(), detailType: *e.DetailType, source: *e.Source, resources: e.Resources,
		account: caller.Scope.Account, region: caller.Scope.Region, time: made,
	}
	// 200 bytes are what the fixed members of an envelope need.
	n := 200 + len(env.detailType) + len(env.source) + len(detail)
	for _, r := range e.Resources {
		n += len(r) + 3
	}
	b, err := pattern.AppendCompact(env.appendHead(make([]byte, 0, n)), []byte(detail))
	if err != nil {
		return nil, "", err
	}
	return append(b, '}'), env.id, nil
}

// putEvents is the action that a policy allows to those who put events and to the rules that forward them.
const putEvents = "events:PutEvents"

// busOf finds the bus that an entry names.
func (in *Ingester) busOf(caller Caller, e *Entry) (route.Bus, error) {
	bus, err := ParseBus(caller.Scope, deref(e.Bus))
	if err != nil || bus.Scope.Account == caller.Scope.Account {
		return bus, err
	}
	access := route.Access{Account: caller.Scope.Account, Action: putEvents, Context: map[string]string{
		route.KeySource: deref(e.Source), route.KeyDetailType: deref(e.DetailType), route.KeyBusInvocation: "false",
		route.KeySourceARN: "", route.KeySourceAccount: "",
	}}
	if !in.routes.Allows(bus, access) {
		return route.Bus{}, rialto.Errorf(rialto.Denied,
			"User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
			caller.Principal, putEvents, bus.ARN(), putEvents)
	}
	return bus, nil
}

// ParseBus reads the name or ARN of a bus as a caller in the scope means it; "" is the default bus.
func ParseBus(scope rialto.Scope, s string) (route.Bus, error) {
	if s == "" {
		return route.Bus{Scope: scope, Name: rialto.DefaultBus}, nil
	}
	if !strings.HasPrefix(s, "arn:") {
		return route.Bus{Scope: scope, Name: rialto.BusName(s)}, nil
	}
	arn, err := rialto.ParseARN(s)
	name, ok := strings.CutPrefix(arn.Resource, "event-bus/")
	if err != nil || arn.Service != "events" || !ok {
		return route.Bus{}, rialto.Errorf(rialto.Invalid, "Parameter EventBusName is not valid. Reason: %s is neither the name nor the ARN of an event bus.", s)
	}
	return route.Bus{Scope: arn.Scope(), Name: rialto.BusName(name)}, nil
}

// newID is a lower-case UUID that begins with the time, so that ids of neighbouring events are neighbours.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// newRoot makes the root of an X-Ray trace.
func (in *Ingester) newRoot() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("1-%08x-%s", uint32(in.clock.Now().Unix()), hex.EncodeToString(b[:]))
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
