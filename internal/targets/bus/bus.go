// Package bus delivers events to event buses: a bus may be the target of a rule on another one.
//
// The event is accepted on the other bus as it is, with its id and its time, and goes on from there; what AWS says about
// crossing regions and about the number of hops is up to the [Forwarder]. A schedule has no event: it puts one of its own. Start with [New].
package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// A Forwarder accepts an event on another bus. Its errors are of type [*target.Error].
type Forwarder interface {
	Forward(ctx context.Context, m *target.Message, to rialto.ARN) error
	// PutFromSchedule puts an event whose detail is the payload.
	PutFromSchedule(ctx context.Context, m *target.Message, to rialto.ARN, source, detailType string) error
}

// A Sender delivers to event buses of this server.
type Sender struct{ to Forwarder }

var _ target.Local = (*Sender)(nil)

// New makes a Sender.
func New(to Forwarder) *Sender { return &Sender{to} }

// Local is always so.
func (s *Sender) Local(*target.Definition) bool { return true }

// Send forwards the event, or puts the one of a schedule.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	to, err := rialto.ParseARN(m.Definition.ARN)
	if err != nil {
		return &target.Error{Code: target.CodeInvalidParameter, Message: fmt.Sprintf("%s is not the ARN of an event bus.", m.Definition.ARN), Permanent: true}
	}
	block, ok := m.Definition.Parameters["EventBridgeParameters"]
	if !ok {
		return s.to.Forward(ctx, m, to)
	}
	var p struct{ DetailType, Source string }
	if err := json.Unmarshal(block, &p); err != nil {
		return &target.Error{Code: target.CodeInvalidParameter, Message: "The EventBridgeParameters of the target cannot be read.", Permanent: true, Cause: err}
	}
	return s.to.PutFromSchedule(ctx, m, to, p.Source, p.DetailType)
}
