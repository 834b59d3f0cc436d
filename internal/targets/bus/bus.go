// Package bus delivers events to event buses: a bus may be the target of a rule on another one.
//
// The event is accepted on the other bus as it is, with its id and its time, and goes on from there; what AWS says about
// crossing regions and about the number of hops is up to the [Forwarder]. A schedule has no event: it puts one of its own. Start with [New].
package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// A Forwarder accepts events on another bus. Its errors are of type [*target.Error].
type Forwarder interface {
	// Forward returns an error, or nil, for each.
	Forward(ctx context.Context, ms []*target.Message, to rialto.ARN) []error
	// PutFromSchedule puts an event whose detail is the payload.
	PutFromSchedule(ctx context.Context, m *target.Message, to rialto.ARN, source, detailType string) error
}

// A Sender delivers to event buses of this server.
type Sender struct{ to Forwarder }

var (
	_ target.Local = (*Sender)(nil)
	_ target.Eager = (*Sender)(nil)
)

// New makes a Sender.
func New(to Forwarder) *Sender { return &Sender{to} }

// Local is always so.
func (s *Sender) Local(*target.Definition) bool { return true }

// What goes into the log at once: as much as spares writing, and little enough that others need not wait for it.
const (
	mostMessages = 256
	mostBytes    = 256 << 10
)

// Most bounds a batch.
func (s *Sender) Most(*target.Definition) (messages, bytes int) { return mostMessages, mostBytes }

// Eager is so for what is forwarded: to accept several at once costs the log little more than one.
func (s *Sender) Eager(d *target.Definition) bool { return d.Parameters[own] == nil }

// own is the parameter block of a schedule, which puts an event of its own.
const own = "EventBridgeParameters"

// Send forwards the event, or puts the one of a schedule.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	return s.SendBatch(ctx, []*target.Message{m})[0]
}

// SendBatch forwards events in one write, or puts those of a schedule one by one.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	if len(ms) == 0 {
		return nil
	}
	def := ms[0].Definition
	to, err := rialto.ParseARN(def.ARN)
	block, isOwn := def.Parameters[own]
	var p struct{ DetailType, Source string }
	switch {
	case err != nil:
		err = &target.Error{Code: target.CodeInvalidParameter, Message: fmt.Sprintf("%s is not the ARN of an event bus.", def.ARN), Permanent: true}
	case !isOwn:
		return s.to.Forward(ctx, ms, to)
	default:
		if err = json.Unmarshal(block, &p); err != nil {
			err = &target.Error{Code: target.CodeInvalidParameter, Message: "The EventBridgeParameters of the target cannot be read.", Permanent: true, Cause: err}
		}
	}
	errs := slices.Repeat([]error{err}, len(ms))
	for i, m := range ms {
		if err == nil {
			errs[i] = s.to.PutFromSchedule(ctx, m, to, p.Source, p.DetailType)
		}
	}
	return errs
}
