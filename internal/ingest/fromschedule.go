package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/target"
)

// PutFromSchedule puts the event of a schedule whose target is a bus: its input is the detail, and the schedule stands among the resources.
// The event has the id of the occurrence, so that who gets it twice, because an attempt was made twice, can know it again. Errors are of
// the type [*target.Error].
func (in *Ingester) PutFromSchedule(ctx context.Context, m *target.Message, to rialto.ARN, source, detailType string) error {
	bus, err := ParseBus(to.Scope(), to.String())
	if err != nil {
		return notPut(target.CodeInvalidParameter, "ValidationException", fmt.Sprintf("%s is not the ARN of an event bus.", to))
	}
	schedule := m.Definition.Rule
	if bus.Scope.Account != schedule.Account && !in.routes.Allows(bus, puttingFor(schedule, source, detailType)) {
		return notPut(target.CodeNoPermissions, "AccessDeniedException", fmt.Sprintf("User: arn:aws:iam::%s:root is not authorized to perform: events:PutEvents on resource: %s", schedule.Account, to))
	}
	now := in.clock.Now()
	event, err := eventOf(m, bus, source, detailType, now)
	if err != nil {
		return notPut(target.CodeInvalidParameter, "MalformedDetail", "Detail is malformed.")
	}
	in.taps.show(bus, event)
	accepted := []deliver.Accepted{{EventID: m.EventID, Event: event, Bus: bus.ARN(), Accepted: now, Trace: m.Trace}}
	if err := in.route(bus, &accepted[0], time.Time{}); err != nil {
		return &target.Error{Code: target.CodeInternal, Message: "The event could not be matched on the bus.", Cause: err}
	}
	if len(accepted[0].Targets) > 0 {
		err = in.deliver.Accept(ctx, accepted)
	}
	if err != nil {
		return &target.Error{
			Code: target.CodeInternal, Message: "The event could not be stored on the bus.", Permanent: errors.Is(err, shard.ErrTooLarge), Cause: err,
		}
	}
	in.observe(accepted)
	return nil
}

// eventOf is the event that a schedule puts.
func eventOf(m *target.Message, bus route.Bus, source, detailType string, now time.Time) ([]byte, error) {
	detail := strings.TrimLeft(string(m.Payload), " \t\r\n")
	if !strings.HasPrefix(detail, "{") {
		return nil, errors.New("the detail is not an object")
	}
	schedule := textAt(firstResource, m.Event)
	if schedule == "" {
		schedule = m.Definition.Rule.String()
	}
	env := envelope{
		id: m.EventID, detailType: detailType, source: source, resources: []string{schedule},
		account: m.Definition.Rule.Account, region: bus.Scope.Region, time: now,
	}
	b, err := pattern.AppendCompact(env.appendHead(nil), []byte(detail))
	return append(b, '}'), err
}

// firstResource is where the event of an occurrence names its schedule; the definition is of all schedules of a group.
var firstResource = known("$.resources[0]")

// puttingFor is the access to a bus that a schedule of another account needs.
func puttingFor(schedule rialto.ARN, source, detailType string) route.Access {
	return route.Access{Account: schedule.Account, Action: putEvents, Context: map[string]string{
		route.KeySource: source, route.KeyDetailType: detailType, route.KeySourceAccount: string(schedule.Account),
	}}
}

// notPut is the error of an event that will never be put.
func notPut(code, own, message string) error {
	return &target.Error{Code: code, Message: message, Permanent: true, Service: &target.ServiceError{Code: own, Message: message}}
}
