package connections

import (
	"context"
	"log/slog"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
)

// A Bus takes events that rialto puts itself. Package ingest has it.
type Bus interface {
	AnnounceAs(ctx context.Context, source string, scope rialto.Scope, detailType string, detail any, resources ...string) error
}

// News tells on the default bus what becomes of connections and API destinations, as AWS does (EventBridge user guide, "Amazon EventBridge
// connection events"). A nil News tells nobody. What cannot be told is logged: the change that it is about has been made.
type News struct {
	bus     Bus
	catalog *catalog.Catalog
	clock   rialto.Clock
	log     *slog.Logger
}

// NewNews makes News that go to a bus.
func NewNews(bus Bus, c *catalog.Catalog, clock rialto.Clock, log *slog.Logger) *News {
	return &News{bus, c, clock, log}
}

// What becomes of a connection.
const (
	Creating       = "Connection Creation Started"
	Updating       = "Connection Update Started"
	Deleting       = "Connection Deletion Started"
	Authorizes     = "Connection Authorization Started"
	authorized     = "Connection Authorized"
	Deauthorizing  = "Connection Deauthorization Started"
	deauthorized   = "Connection Deauthorized"
	activated      = "API Destination Activated"
	deactivated    = "API Destination Deactivated"
	sourceOfEvents = "aws.events"
)

// timeOfNews is how the events write their time (recorded on AWS).
const timeOfNews = "2006-01-02 15:04:05 -0700 MST"

// Started tells that an operation on a connection has begun.
func (n *News) Started(ctx context.Context, s rialto.Scope, c *catalog.Connection, what ...string) {
	if n == nil {
		return
	}
	for _, w := range what {
		n.tell(ctx, s, w, map[string]any{"ConnectionName": c.Name}, nil, c.ARN(s))
	}
}

// Settled tells the state that a connection has come to, if that is one to stay, and which API destinations have changed theirs by it.
func (n *News) Settled(ctx context.Context, s rialto.Scope, c *catalog.Connection) {
	if n == nil {
		return
	}
	switch c.State {
	case catalog.Authorized:
		n.tell(ctx, s, authorized, map[string]any{"ConnectionName": c.Name}, c.StateReason, c.ARN(s))
	case catalog.Deauthorized:
		n.tell(ctx, s, deauthorized, map[string]any{"ConnectionName": c.Name}, c.StateReason, c.ARN(s))
	default:
		return
	}
	n.Destinations(ctx, s, c, c.State == catalog.Authorized)
}

// Destinations tells that the API destinations of a connection have become active, or are not any more.
func (n *News) Destinations(ctx context.Context, s rialto.Scope, c *catalog.Connection, active bool) {
	if n == nil {
		return
	}
	for _, e := range n.catalog.Destinations.List(catalog.ScopeKey(s), "", 0) {
		if e.Value.ConnectionARN == c.ARN(s) {
			n.Destination(ctx, s, e.Value, active)
		}
	}
}

// Destination tells that an API destination has become active, or is not any more.
func (n *News) Destination(ctx context.Context, s rialto.Scope, d *catalog.Destination, active bool) {
	if n == nil {
		return
	}
	what := activated
	if !active {
		what = deactivated
	}
	n.tell(ctx, s, what, map[string]any{"ApiDestinationName": d.Name}, nil, d.ARN(s))
}

func (n *News) tell(ctx context.Context, s rialto.Scope, what string, detail map[string]any, reason *string, arn string) {
	detail["Timestamp"] = n.clock.Now().UTC().Truncate(time.Second).Format(timeOfNews)
	if reason != nil {
		detail["StateReason"] = *reason
	}
	if err := n.bus.AnnounceAs(context.WithoutCancel(ctx), sourceOfEvents, s, what, detail, arn); err != nil {
		n.log.Warn("change of a resource not announced", "arn", arn, "change", what, "err", err)
	}
}
