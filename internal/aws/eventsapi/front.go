package eventsapi

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/connections"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
)

// An Ingester accepts events. Package ingest has it.
type Ingester interface {
	Put(ctx context.Context, caller ingest.Caller, entries []ingest.Entry) ([]ingest.Result, error)
}

// A Sealer keeps secrets. What was sealed opens only with the same context, which is the ARN of a connection. Package vault has it.
type Sealer interface {
	Seal(plain, context []byte) []byte
	Open(sealed, context []byte) ([]byte, error)
}

// An Authorizer says whether somebody of another account may do something on a bus. Package route has it.
type Authorizer interface {
	Allows(bus route.Bus, a route.Access) bool
}

// Options tunes a [Front]. The zero value is ready to use.
type Options struct {
	Clock     rialto.Clock // nil is the system's
	Limits    Limits       // what is zero is as in DefaultLimits
	Policies  Authorizer   // nil allows everybody everything
	PlainHTTP bool         // endpoints of API destinations and of OAuth may be http://, which AWS refuses

	Archives Archives // what archives have; nil keeps nothing
	Replays  Replays  // carries out replays; nil refuses them

	Connections *connections.News // is told what becomes of connections and API destinations; nil tells nobody
}

// A Front serves EventBridge.
type Front struct {
	catalog *catalog.Catalog
	events  Ingester
	vault   Sealer
	clock   rialto.Clock
	limits  Limits
	rights  Authorizer
	plain   bool
	news    *connections.News

	archives Archives
	replays  Replays

	wildcards wildcards
	control   control
}

// New makes a Front over the catalog. Events go to in, and secrets are sealed by vault.
func New(cat *catalog.Catalog, in Ingester, vault Sealer, opts Options) *Front {
	f := &Front{
		catalog: cat, events: in, vault: vault, clock: opts.Clock,
		limits: opts.Limits.orDefault(), rights: opts.Policies, plain: opts.PlainHTTP, news: opts.Connections,
		archives: opts.Archives, replays: opts.Replays,
	}
	if f.archives == nil {
		f.archives = noArchives{}
	}
	if f.replays == nil {
		f.replays = noReplays{}
	}
	if f.clock == nil {
		f.clock = rialto.SystemClock
	}
	f.wildcards.follow(cat.Rules)
	return f
}

// Service is the API.
func (f *Front) Service() *aws.Service {
	return aws.NewService(&model,
		// buses.go
		aws.Op(f.CreateEventBus),
		aws.Op(f.DescribeEventBus),
		aws.Op(f.UpdateEventBus),
		aws.Op(f.DeleteEventBus),
		aws.Op(f.ListEventBuses),

		// permissions.go
		aws.Op(f.PutPermission),
		aws.Op(f.RemovePermission),

		// rules.go
		aws.Op(f.PutRule),
		aws.Op(f.DescribeRule),
		aws.Op(f.EnableRule),
		aws.Op(f.DisableRule),
		aws.Op(f.DeleteRule),
		aws.Op(f.ListRules),
		aws.Op(f.ListRuleNamesByTarget),

		// targets.go, with admission.go
		aws.Op(f.PutTargets),
		aws.Op(f.RemoveTargets),
		aws.Op(f.ListTargetsByRule),

		// tags.go
		aws.Op(f.TagResource),
		aws.Op(f.UntagResource),
		aws.Op(f.ListTagsForResource),

		// patterns.go
		aws.Op(f.TestEventPattern),

		// events.go
		aws.Op(f.PutEvents),

		// connections.go, with secrets.go
		aws.Op(f.CreateConnection),
		aws.Op(f.DescribeConnection),
		aws.Op(f.UpdateConnection),
		aws.Op(f.DeauthorizeConnection),
		aws.Op(f.DeleteConnection),
		aws.Op(f.ListConnections),

		// destinations.go
		aws.Op(f.CreateApiDestination),
		aws.Op(f.DescribeApiDestination),
		aws.Op(f.UpdateApiDestination),
		aws.Op(f.DeleteApiDestination),
		aws.Op(f.ListApiDestinations),

		// archives.go
		aws.Op(f.CreateArchive),
		aws.Op(f.DescribeArchive),
		aws.Op(f.UpdateArchive),
		aws.Op(f.DeleteArchive),
		aws.Op(f.ListArchives),

		// replays.go
		aws.Op(f.StartReplay),
		aws.Op(f.DescribeReplay),
		aws.Op(f.CancelReplay),
		aws.Op(f.ListReplays),

		// absent.go
		aws.Op(f.ListEndpoints),
		aws.Op(f.ListEventSources),
		aws.Op(f.ListPartnerEventSources),
	)
}

// control lets one call at a time change what a scope has.
//
// What the catalog promises of one resource is not enough here: a rule may only be put on a bus that is there and a bus only be
// deleted when it has no rules, a limit counts all rules of a bus, and so on. These are statements about several resources that
// are looked at first and changed then. Calls that only read, and the events, pass by. Scopes share a fixed number of locks, as
// anybody can make up accounts. The locks are of this process: nodes of a cluster are kept apart by the catalog alone.
type control struct {
	locks [64]sync.Mutex
}

var scopeSeed = maphash.MakeSeed()

// lock begins a change of a scope. The caller ends it with the function that it gets.
func (c *control) lock(s rialto.Scope) (unlock func()) {
	l := &c.locks[maphash.Comparable(scopeSeed, s)%uint64(len(c.locks))]
	l.Lock()
	return l.Unlock
}
