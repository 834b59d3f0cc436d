package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/target"
)

const (
	maxQueues = 500             // whose depth is told
	patience  = 5 * time.Second // with the owners of shards
)

// Sources are asked each time that somebody reads.
type Sources struct {
	Catalog  *catalog.Catalog
	Stats    func(context.Context) ([]deliver.Stats, error)
	Circuits func(context.Context) ([]deliver.Circuit, error)
	Queue    func(context.Context, queue.Address) (queue.Counts, error)
	Queued   func() map[string]int // proposals that wait, by shard
	Writable func() error          // why the journal takes no writes
	Room     func() error          // why the journal takes nothing new
	LeftOut  func() uint64         // what happened to events, and is not kept
	Archives func() Archives
	Keys     func(context.Context) (remembered int, early uint64, err error) // of events that are accepted once
}

// Archives are the figures of all archives.
type Archives struct {
	Waiting int   // events that are not sealed
	Stored  int64 // bytes of segments
	Damaged int64 // segments and blocks that were found damaged, since the start
}

// Ask has the sources asked.
func (m *Metrics) Ask(s Sources) { m.registry.MustRegister(&scrape{s}) }

// A scrape asks the sources.
type scrape struct{ Sources }

var (
	pendingDesc  = describe("rialto_delivery_pending", "Deliveries that have not ended.", "target_type")
	inFlightDesc = describe("rialto_delivery_in_flight", "Attempts in progress.", "target_type")
	circuitsDesc = describe("rialto_circuits", "Destinations, by the state of their circuit.", "state")
	parkedDesc   = describe("rialto_delivery_parked", "Deliveries that are kept until a circuit closes.")
	queueDesc    = describe("rialto_queue_messages", "Messages in a queue.", "account", "region", "queue", "state")
	queuedDesc   = describe("rialto_shard_queued", "Proposals that wait for a frame.", "shard")
	writableDesc = describe("rialto_journal_writable", "1 if the journal takes writes.")
	roomDesc     = describe("rialto_journal_room", "1 if there is room for new events and messages.")
	unsealedDesc = describe("rialto_archive_unsealed", "Events for archives that are in the log of a shard and not in a segment yet.")
	storedDesc   = describe("rialto_archive_stored_bytes", "Bytes of the segments of archives.")
	damagedDesc  = describe("rialto_archive_damaged_total", "Segments and blocks of archives that were found damaged, and are not served.")
	keysDesc     = describe("rialto_dedupe_keys", "Keys by which events are known again.")
	earlyDesc    = describe("rialto_dedupe_forgotten_total", "Keys that were forgotten before their time, because a shard had too many.")
	leftOutDesc  = describe("rialto_explain_left_out_total", "What happened to events and is not kept across a restart, because too much came or the log did not take it.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe tells what Collect can tell.
func (s *scrape) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		pendingDesc, inFlightDesc, circuitsDesc, parkedDesc, queueDesc, queuedDesc, writableDesc, roomDesc, leftOutDesc, unsealedDesc,
		storedDesc, damagedDesc, keysDesc, earlyDesc,
	} {
		ch <- d
	}
}

// Collect asks the sources. One that does not answer is left out.
func (s *scrape) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tell := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s.deliveries(ctx, tell)
	s.circuits(ctx, tell)
	s.queues(ctx, tell)
	for shard, n := range s.Queued() {
		tell(queuedDesc, float64(n), shard)
	}
	tell(writableDesc, good(s.Writable()))
	tell(roomDesc, good(s.Room()))
	ch <- prometheus.MustNewConstMetric(leftOutDesc, prometheus.CounterValue, float64(s.LeftOut()))
	if remembered, early, err := s.Keys(ctx); err == nil {
		tell(keysDesc, float64(remembered))
		ch <- prometheus.MustNewConstMetric(earlyDesc, prometheus.CounterValue, float64(early))
	}
	archives := s.Archives()
	tell(unsealedDesc, float64(archives.Waiting))
	tell(storedDesc, float64(archives.Stored))
	ch <- prometheus.MustNewConstMetric(damagedDesc, prometheus.CounterValue, float64(archives.Damaged))
}

type teller func(d *prometheus.Desc, value float64, labels ...string)

func (s *scrape) deliveries(ctx context.Context, tell teller) {
	stats, err := s.Stats(ctx)
	if err != nil {
		return
	}
	pending, inFlight := make(map[string]int), make(map[string]int)
	for _, d := range stats {
		kind := KindOf(&target.Definition{ARN: d.ARN})
		pending[kind] += d.Waiting + d.InFlight
		inFlight[kind] += d.InFlight
	}
	for kind, n := range pending {
		tell(pendingDesc, float64(n), kind)
		tell(inFlightDesc, float64(inFlight[kind]), kind)
	}
}

func (s *scrape) circuits(ctx context.Context, tell teller) {
	circuits, err := s.Circuits(ctx)
	if err != nil {
		return
	}
	states, parked := map[deliver.CircuitState]int{deliver.CircuitClosed: 0, deliver.CircuitOpen: 0, deliver.CircuitHalfOpen: 0}, 0
	for _, c := range circuits {
		states[c.State]++
		parked += c.Parked
	}
	for state, n := range states {
		tell(circuitsDesc, float64(n), state.String())
	}
	tell(parkedDesc, float64(parked))
}

func (s *scrape) queues(ctx context.Context, tell teller) {
	for _, e := range s.Catalog.Queues.List("", "", maxQueues) {
		scope, _ := catalog.SplitKey(e.Key)
		counts, err := s.Queue(ctx, queue.Address{Scope: scope, Name: e.Value.Name})
		if err != nil {
			continue // it is gone, or its shard does not answer
		}
		for state, n := range map[string]int{"visible": counts.Visible, "in-flight": counts.InFlight, "delayed": counts.Delayed} {
			tell(queueDesc, float64(n), string(scope.Account), string(scope.Region), string(e.Value.Name), state)
		}
	}
}

func good(problem error) float64 {
	if problem == nil {
		return 1
	}
	return 0
}
