package route_test

import (
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/route"
)

// BenchmarkMatch is what finding the targets of an event costs, where it goes to those of one rule and to those of two.
func BenchmarkMatch(b *testing.B) {
	c := catalogtest.Start(b)
	put(b, c, "one", "all", true, `{"source":["shop"]}`, "a", "b")
	put(b, c, "two", "all", true, `{"source":["shop"]}`, "a", "b")
	put(b, c, "two", "paid", true, `{"detail-type":["paid"]}`, "c")
	r := route.New(c, route.Options{})
	event := []byte(`{"version":"0","id":"1","detail-type":"paid","source":"shop","account":"1","detail":{"order":"o-1","total":42.50}}`)
	for _, name := range []rialto.BusName{"one", "two"} {
		b.Run(string(name), func(b *testing.B) {
			b.ReportAllocs()
			bus := route.Bus{Scope: scope, Name: name}
			for b.Loop() {
				if _, err := r.Match(bus, event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
