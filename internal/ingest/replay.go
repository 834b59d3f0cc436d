package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/target"
)

// Again prepares an event that was accepted before to come again, on a bus, as part of a replay: with a new id and the replay's name, and
// with the targets that it has now. Archives are never among them, whatever the pattern of their rules. It has no time to live and is no duplicate
// of what it repeats, since its old time is what was asked for; its hops count anew and its trace is over. The orders are those of the rules.
func (in *Ingester) Again(bus route.Bus, replay string, event []byte) (deliver.Accepted, error) {
	id := newID()
	again, err := replayed(event, id, replay)
	if err != nil {
		return deliver.Accepted{}, err
	}
	plan, err := in.routes.Plan(bus, again)
	if err != nil {
		return deliver.Accepted{}, fmt.Errorf("match event %s: %w", id, err)
	}
	e := deliver.Accepted{EventID: id, Event: again, Bus: bus.ARN(), Accepted: in.clock.Now()}
	e.Targets, e.Orders = plan.Targets, orders(plan.Orders, again)
	e.Keep(func(t *target.Sealed) bool {
		_, archive := catalog.StoreID(t.ARN)
		return !archive
	})
	return e, nil
}

// Expires is when an event that [Ingester.Again] prepared is of no use any more, by the bus's rialto:ttl-from as it is now and the event's own
// time; zero is never.
func (in *Ingester) Expires(bus route.Bus, e *deliver.Accepted) time.Time {
	plan, err := in.routes.Plan(bus, e.Event)
	if err != nil || plan.Bus == nil || plan.Bus.TTLFrom == nil {
		return time.Time{}
	}
	return in.expiry(*plan.Bus.TTLFrom, bus, e, time.Time{})
}

// Committed tells those who look on of events that [Ingester.Again] or [Ingester.Scheduled] prepared and that are committed.
func (in *Ingester) Committed(bus route.Bus, events []deliver.Accepted) {
	for i := range events {
		in.taps.show(bus, events[i].Event)
	}
	in.observe(events)
}

// Room says why nothing new can be stored at present; nil is that it can.
func (in *Ingester) Room() error { return in.room() }

var errEnvelope = errors.New("the event has no envelope of EventBridge's form")

// Where an event of [envelope]'s making has its parts. None of them can stand in a string before it: its quotes would be escaped there.
var (
	idMember        = []byte(`"id":"`)
	resourcesMember = []byte(`,"resources":[`)
	replayMember    = []byte(`,"replay-name":"`)
)

// replayed returns an event of [envelope]'s making with another id and the name of a replay, which stands between its region and its resources
// (recorded on AWS).
func replayed(event []byte, id, name string) ([]byte, error) {
	before, rest, ok := bytes.Cut(event, idMember)
	_, middle, closed := bytes.Cut(rest, []byte{'"'})
	at := bytes.Index(middle, resourcesMember)
	if !ok || !closed || at < 0 {
		return nil, errEnvelope
	}
	head, tail := middle[:at], middle[at:]
	if was := bytes.Index(head, replayMember); was >= 0 { // an archive that keeps replays has them
		head = head[:was]
	}
	return slices.Concat(before, idMember, []byte(id), []byte{'"'}, head, replayMember, []byte(name), []byte{'"'}, tail), nil
}

// Canonical is an event as it would be if it had been accepted: compact JSON with the members of an envelope in their order, and no others. It must
// have what every event has.
func Canonical(event []byte) ([]byte, error) {
	var is struct {
		ID         string          `json:"id"`
		DetailType string          `json:"detail-type"`
		Source     string          `json:"source"`
		Account    string          `json:"account"`
		Time       time.Time       `json:"time"`
		Region     string          `json:"region"`
		Replay     string          `json:"replay-name"`
		Resources  []string        `json:"resources"`
		Detail     json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(event, &is); err != nil {
		return nil, rialto.Errorf(rialto.Invalid, "This is no event: %v.", err)
	}
	switch {
	case is.ID == "" || len(is.ID) > maxEventID || is.Source == "" || is.DetailType == "" || is.Time.IsZero():
		return nil, rialto.Errorf(rialto.Invalid, "An event needs an id of up to %d bytes, a source, a detail-type and a time.", maxEventID)
	case len(is.Detail) == 0 || is.Detail[0] != '{':
		return nil, rialto.Errorf(rialto.Invalid, "The detail of an event is an object.")
	}
	id, err := json.Marshal(is.ID)
	if err != nil || len(id) != len(is.ID)+2 {
		return nil, rialto.Errorf(rialto.Invalid, "The id of an event has no characters that JSON must escape.")
	}
	env := envelope{
		id: is.ID, detailType: is.DetailType, source: is.Source, resources: is.Resources, replay: is.Replay,
		account: rialto.AccountID(is.Account), region: rialto.Region(is.Region), time: is.Time,
	}
	b, err := pattern.AppendCompact(env.appendHead(nil), is.Detail)
	if err != nil {
		return nil, rialto.Errorf(rialto.Invalid, "The detail of an event is JSON: %v.", err)
	}
	return append(b, '}'), nil
}

// maxEventID bounds the ids of events that come from elsewhere: package deliver takes no longer ones.
const maxEventID = 127
