package console

import (
	"context"
	"net/http"

	"github.com/rialto-events/rialto/internal/deliver"
)

// Counter knows what is on its way, and how it went.
type Counter interface {
	Stats(ctx context.Context) ([]deliver.Stats, error)
}

// Destinations is the part that tells what is on its way to each destination.
func Destinations(c Counter) Part {
	return Part{{"GET", "/_rialto/v1/destinations", func(w http.ResponseWriter, r *Request) error { return stats(w, r, c) }}}
}

// A destination is what the API says of one.
type destination struct {
	ARN      string `json:"arn"`
	Waiting  int    `json:"waiting"`  // deliveries that have not ended and are not being attempted
	InFlight int    `json:"inFlight"` // attempts in progress
	Settled  uint64 `json:"settled"`  // deliveries that arrived, since the start
	Failed   uint64 `json:"failed"`   // attempts, since the start
	Dead     uint64 `json:"dead"`     // deliveries that went to a dead-letter queue, since the start
	Dropped  uint64 `json:"dropped"`  // deliveries that went nowhere, since the start
	Expired  uint64 `json:"expired"`  // deliveries that were not made because their event had lived long enough, since the start
	Parked   int    `json:"parked"`   // of those that wait, that the circuit keeps
	Circuit  string `json:"circuit"`  // closed, open or half-open
	Window   int    `json:"window"`   // attempts that may be in progress at once, at present
}

func destinationOf(d deliver.Stats) destination {
	return destination{d.ARN, d.Waiting, d.InFlight, d.Settled, d.Failed, d.Dead, d.Dropped, d.Expired, d.Parked, d.Circuit.String(), d.Window}
}

// stats answers with the destinations of the caller's account and region.
func stats(w http.ResponseWriter, r *Request, c Counter) error {
	all, err := c.Stats(r.Context())
	if err != nil {
		return err
	}
	list := []destination{}
	for _, d := range all {
		if d.Scope == r.Scope {
			list = append(list, destinationOf(d))
		}
	}
	return Answer(w, map[string]any{"destinations": list})
}
