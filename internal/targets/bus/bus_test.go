package bus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/bus"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

var scope = rialto.Scope{Account: "111122223333", Region: "eu-west-1"}

func definition(name rialto.BusName) *target.Definition {
	return &target.Definition{ARN: scope.BusARN(name).String()}
}

// buses stands for ingest: some of its buses do not answer, or cannot.
type buses struct {
	mu  sync.Mutex
	got [][]byte
}

func (b *buses) Forward(ctx context.Context, ms []*target.Message, to rialto.ARN) (errs []error) {
	for _, m := range ms {
		errs = append(errs, b.forward(ctx, m, to))
	}
	return errs
}

func (b *buses) forward(ctx context.Context, m *target.Message, to rialto.ARN) error {
	switch to.Resource {
	case "event-bus/hangs":
		<-ctx.Done()
	case "event-bus/down":
		return &target.Error{Code: target.CodeInternal, Message: "The event could not be stored on the bus."}
	case "event-bus/gone":
		return &target.Error{Code: target.CodeSecondBusHop, Message: "Event ingestion rejected.", Permanent: true}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, bytes.Clone(m.Event))
	return nil
}

func (b *buses) PutFromSchedule(ctx context.Context, m *target.Message, to rialto.ARN, source, detailType string) error {
	put := *m
	put.Event = []byte(source + " " + detailType + " " + string(m.Payload))
	return b.forward(ctx, &put, to)
}

// TestSchedules put an event of their own, of which their parameters say what it is.
func TestSchedules(t *testing.T) {
	to := new(buses)
	d := definition("works")
	d.Parameters = map[string]json.RawMessage{"EventBridgeParameters": json.RawMessage(`{"DetailType":"nightly","Source":"shop"}`)}
	if err := bus.New(to).Send(t.Context(), &target.Message{Definition: d, Payload: []byte(`{"a":1}`)}); err != nil || string(to.got[0]) != `shop nightly {"a":1}` {
		t.Errorf("put %s, %v", to.got, err)
	}
	d.Parameters["EventBridgeParameters"] = json.RawMessage(`[]`)
	if err := bus.New(to).Send(t.Context(), &target.Message{Definition: d}); !target.Permanent(err) {
		t.Errorf("parameters that cannot be read: %v", err)
	}
}

func (b *buses) received() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

func TestSender(t *testing.T) {
	targettest.Run(t, func(*testing.T) targettest.Subject {
		to := new(buses)
		return targettest.Subject{
			Sender:   bus.New(to),
			Works:    definition("works"),
			Received: to.received,
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: {definition("hangs")},
				targettest.Down:  {definition("down")},
				targettest.Gone:  {definition("gone"), {ARN: "no ARN"}},
			},
			Prepare: func(m *target.Message) { m.Event = m.Payload }, // what a bus gets is the event: nothing can shape it
		}
	})
}
