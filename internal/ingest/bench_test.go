package ingest_test

import (
	"context"
	"testing"

	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
)

type acceptsAll struct{}

func (acceptsAll) Accept(context.Context, []deliver.Accepted) error { return nil }

// BenchmarkPut is what an event costs until it is handed to a shard, on a bus that asks for nothing and on one that asks for all.
func BenchmarkPut(b *testing.B) {
	c := catalogtest.Start(b)
	pattern := `{"source":["shop"]}`
	rule := catalog.Rule{Name: "all", Pattern: &pattern, Enabled: true, Targets: []catalog.Target{{ID: "q", ARN: "arn:aws:sqs:eu-west-1:111122223333:q"}}}
	tagged := rule
	tagged.Tags = []catalog.Tag{{Key: "rialto:order-by", Value: "detail.order"}}
	rule.Bus, tagged.Bus = "plain", "tagged"
	for _, r := range []*catalog.Rule{&rule, &tagged} {
		if _, err := c.Rules.Edit(b.Context(), catalog.RuleKey(caller.Scope, r.Bus, r.Name), func(*catalog.Rule) (*catalog.Rule, error) { return r, nil }); err != nil {
			b.Fatal(err)
		}
	}
	bus := &catalog.Bus{Name: "tagged", Tags: []catalog.Tag{{Key: "rialto:dedupe-by", Value: "detail.order"}, {Key: "rialto:ttl-from", Value: "detail.ttl"}}}
	if _, err := c.Buses.Edit(b.Context(), catalog.BusKey(caller.Scope, "tagged"), func(*catalog.Bus) (*catalog.Bus, error) { return bus, nil }); err != nil {
		b.Fatal(err)
	}
	in := ingest.New(route.New(c, route.Options{}), acceptsAll{}, ingest.Options{})
	for _, bus := range []string{"plain", "tagged"} {
		b.Run(bus, func(b *testing.B) {
			b.ReportAllocs()
			e := entry("shop", "paid", `{"order":"o-1","total":42.50,"ttl":"30s"}`)
			e.Bus = &bus
			for b.Loop() {
				if _, err := in.Put(b.Context(), caller, []ingest.Entry{e}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
