package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// Forward brings events that were delivered on one bus to another, and returns an error of type [*target.Error], or nil, for each.
//
// Within a region an event stays what it is; another region gives it a new id and a new time. An event may go from bus to bus
// once within a region and once across regions, in either order. A bus that is not there swallows it (all recorded on AWS).
func (in *Ingester) Forward(ctx context.Context, ms []*target.Message, to rialto.ARN) []error {
	errs := make([]error, len(ms))
	accepted, of := make([]deliver.Accepted, 0, len(ms)), make([]int, 0, len(ms))
	var unwanted []deliver.Accepted
	for i, m := range ms {
		var e deliver.Accepted
		switch e, errs[i] = in.forwarded(m, to); {
		case errs[i] != nil:
		case len(e.Targets) > 0:
			accepted, of = append(accepted, e), append(of, i)
		default:
			unwanted = append(unwanted, e)
		}
	}
	in.observe(unwanted)
	if len(accepted) == 0 {
		return errs
	}
	err := in.deliver.Accept(ctx, accepted)
	if errors.Is(err, shard.ErrTooLarge) && len(accepted) > 1 { // one of them does not fit, and none was accepted
		for _, i := range of {
			errs[i] = in.Forward(ctx, ms[i:i+1], to)[0]
		}
		return errs
	}
	failed := slices.ContainsFunc(accepted, func(e deliver.Accepted) bool { return e.Err != nil })
	for j, i := range of {
		if is := accepted[j].Err; is != nil || err != nil && !failed {
			is = cmp.Or(is, err)
			// One that does not fit into the log, with the targets that it has there, never will.
			errs[i] = &target.Error{
				Code: target.CodeInternal, Message: "The event could not be stored on the bus.", Permanent: errors.Is(is, shard.ErrTooLarge), Cause: is,
			}
		}
	}
	if err == nil || failed {
		in.observe(accepted)
	}
	return errs
}

// forwarded is an event as another bus accepts it.
func (in *Ingester) forwarded(m *target.Message, to rialto.ARN) (deliver.Accepted, error) {
	none := deliver.Accepted{}
	bus, err := ParseBus(to.Scope(), to.String())
	if err != nil {
		return none, &target.Error{Code: target.CodeInvalidParameter, Message: fmt.Sprintf("%s is not the ARN of an event bus.", to), Permanent: true}
	}
	if bus.Scope.Account != m.Bus.Account && !in.routes.Allows(bus, forwarding(m)) {
		return none, &target.Error{Code: target.CodeNoPermissions, Message: "Lack of permissions to invoke cross account target.", Permanent: true}
	}
	hops, event, id, now := m.Hops, m.Event, m.EventID, in.clock.Now()
	if m.Bus.Region == to.Region {
		hops.SameRegion++
	} else {
		hops.CrossRegion++
		id = newID()
		event = restamped(event, id, now.AppendFormat(nil, timeLayout))
	}
	switch {
	case hops.SameRegion > maxHops:
		return none, onlyOnce(target.CodeSecondBusHop, m.EventID)
	case hops.CrossRegion > maxHops:
		return none, onlyOnce(target.CodeSecondRegionHop, m.EventID)
	}
	in.taps.show(bus, event)
	e := deliver.Accepted{EventID: id, Event: event, Bus: bus.ARN(), Accepted: now, Trace: m.Trace, Hops: hops}
	if err := in.route(bus, &e, time.Time{}); err != nil {
		return none, &target.Error{Code: target.CodeInternal, Message: "The event could not be matched on the bus.", Cause: err}
	}
	return e, nil
}

// forwarding is the access to a bus that a rule of another account needs.
func forwarding(m *target.Message) route.Access {
	return route.Access{Account: m.Bus.Account, Action: putEvents, Context: map[string]string{
		route.KeySource: textAt(source, m.Event), route.KeyDetailType: textAt(detailType, m.Event), route.KeyBusInvocation: "true",
		route.KeySourceARN: m.Definition.Rule.String(), route.KeySourceAccount: string(m.Bus.Account),
	}}
}

var source, detailType = known("$.source"), known("$.detail-type")

// known parses a path that stands in the program.
func known(path string) jsonpath.Path {
	p, err := jsonpath.Parse(path)
	if err != nil {
		panic(err)
	}
	return p
}

// textAt is the string to which a path leads in an event.
func textAt(p jsonpath.Path, event []byte) string {
	value, _ := p.Find(event)
	return string(jsonpath.AppendText(nil, value))
}

// maxHops is how often an event may go from bus to bus, within a region and across regions each (recorded on AWS).
const maxHops = 1

func onlyOnce(code, id string) error {
	return &target.Error{Code: code, Permanent: true, Message: fmt.Sprintf("Event ingestion rejected for event %s because an event can be "+
		"sent to an event bus target only once. This event was previously delivered to an event bus target.", id)}
}

// restamped returns an event of [envelope]'s making with another id and time. What is looked for cannot stand in a string
// before it: its quotes would be escaped there.
func restamped(event []byte, id string, now []byte) []byte {
	for _, m := range []struct {
		before string
		value  []byte
	}{{`"id":"`, []byte(id)}, {`,"time":"`, now}} {
		head, rest, ok := bytes.Cut(event, []byte(m.before))
		_, tail, closed := bytes.Cut(rest, []byte{'"'})
		if !ok || !closed {
			continue
		}
		event = bytes.Join([][]byte{head, []byte(m.before), m.value, {'"'}, tail}, nil)
	}
	return event
}
