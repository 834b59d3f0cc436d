package ingest

import (
	"fmt"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/route"
)

// Scheduled prepares the event that the schedule of a rule makes at a time. It is an event on the bus like any other, whose targets are those of
// the rules that match it, and once those of the rule itself (recorded on AWS). There may be none.
func (in *Ingester) Scheduled(bus route.Bus, rule rialto.RuleName, at time.Time) (deliver.Accepted, error) {
	env := envelope{
		id: newID(), detailType: "Scheduled Event", source: "aws.events", account: bus.Scope.Account, region: bus.Scope.Region, time: at,
		resources: []string{bus.Scope.RuleARN(bus.Name, rule).String()},
	}
	e := deliver.Accepted{EventID: env.id, Event: append(env.appendHead(nil), "{}}"...), Bus: bus.ARN(), Accepted: in.clock.Now()}
	plan, err := in.routes.Scheduled(bus, rule, e.Event)
	if err != nil {
		return deliver.Accepted{}, fmt.Errorf("match event %s: %w", e.EventID, err)
	}
	e.Targets, e.Orders = plan.Targets, orders(plan.Orders, e.Event)
	return e, nil
}
