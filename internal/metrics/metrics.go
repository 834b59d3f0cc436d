package metrics

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/target"
)

// How many names of users' resources become labels; those that come later share one.
const (
	maxBuses = 500
	maxRules = 2_000
	other    = "other"
)

// Buckets of the histograms, in seconds.
var (
	latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400}
	attemptBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	appendBuckets  = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}
)

// Metrics counts. It is an Observer of packages ingest and deliver.
type Metrics struct {
	registry *prometheus.Registry

	ingested, unmatched, late, duplicates *prometheus.CounterVec // by bus
	matches                               *prometheus.CounterVec // by rule
	attempts                              *prometheus.CounterVec // by kind of target and outcome
	latency, took                         *prometheus.HistogramVec
	letters                               *prometheus.CounterVec
	circuits                              *prometheus.CounterVec
	frames, bytes                         *prometheus.CounterVec
	appends                               *prometheus.HistogramVec
	aws                                   aws
	sns                                   sns
	schedules                             schedules

	buses   series[rialto.ARN, busSeries]
	rules   series[rialto.ARN, ruleSeries]
	topics  series[rialto.ARN, topicSeries]
	groups  series[rialto.ARN, groupSeries] // of schedules
	targets sync.Map                        // kind of target → *targetSeries

	accounts sync.Map // rialto.AccountID → http.Handler of those who have keys
}

// New makes Metrics. The version is that of the program.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	bus := []string{"account", "region", "bus"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.ingested = counter("rialto_events_ingested_total", "Events that were accepted on a bus.", bus...)
	m.unmatched = counter("rialto_events_unmatched_total", "Events that were accepted on a bus, and that no rule wanted.", bus...)
	m.late = counter("rialto_events_expired_total", "Events that were accepted on a bus after their time to live, and went nowhere.", bus...)
	m.duplicates = counter("rialto_events_duplicate_total", "Events that were not accepted again.", bus...)
	m.matches = counter("rialto_rule_matches_total", "Events that a rule matched.", append(bus, "rule")...)
	m.attempts = counter("rialto_delivery_attempts_total", "Attempts to deliver an event, by how they ended.", "target_type", "outcome")
	m.latency = histogram("rialto_delivery_latency_seconds", "From the acceptance of an event until a target had it.", latencyBuckets, "target_type")
	m.took = histogram("rialto_delivery_attempt_seconds", "How long attempts took.", attemptBuckets, "target_type")
	m.letters = counter("rialto_dlq_messages_total", "Dead letters, by whether the queue took them in the end.", "outcome")
	m.circuits = counter("rialto_circuit_changes_total", "Changes of circuits, by the state that they came to.", "state")
	m.frames = counter("rialto_shard_frames_total", "Frames that were written to the log of a shard.", "shard")
	m.bytes = counter("rialto_shard_bytes_total", "Bytes that were written to the log of a shard.", "shard")
	m.appends = histogram("rialto_shard_append_seconds", "How long it took until a frame was on disk, or on a quorum.", appendBuckets, "shard")
	m.aws, m.sns, m.schedules = newAWS(m.registry), newSNS(m.registry), newSchedules(m.registry)
	m.buses.max, m.rules.max, m.topics.max, m.groups.max = maxBuses, maxRules, maxTopics, maxGroups

	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rialto_build_info", Help: "The version that runs.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers those who may read all metrics.
func (m *Metrics) Handler() http.Handler { return handler(m.registry) }

// HandlerOf answers those who may read what is of one account, and what is of none in particular.
func (m *Metrics) HandlerOf(account rialto.AccountID) http.Handler {
	h, ok := m.accounts.Load(account)
	if !ok {
		h, _ = m.accounts.LoadOrStore(account, handler(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			families, err := m.registry.Gather()
			return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
				f.Metric = slices.DeleteFunc(f.Metric, func(x *dto.Metric) bool { return isOfOthers(x, account) })
				return len(f.Metric) == 0
			}), err
		})))
	}
	return h.(http.Handler)
}

func isOfOthers(m *dto.Metric, account rialto.AccountID) bool {
	return slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool {
		return l.GetName() == "account" && l.GetValue() != string(account) && l.GetValue() != other
	})
}

func handler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// series are those of the first max keys that came; later ones share that of the zero key.
type series[K comparable, S any] struct {
	max   int64
	n     atomic.Int64
	byKey sync.Map // K → *S
	mu    sync.Mutex
}

// get returns the series of a key, and makes it if it is a new one.
func (s *series[K, S]) get(key K, make func(key K, others bool) *S) *S {
	if v, ok := s.byKey.Load(key); ok {
		return v.(*S)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.byKey.Load(key); ok {
		return v.(*S)
	}
	var none K
	if s.n.Load() < s.max {
		s.n.Add(1)
		v := make(key, false)
		s.byKey.Store(key, v)
		return v
	}
	if v, ok := s.byKey.Load(none); ok {
		return v.(*S)
	}
	v := make(none, true)
	s.byKey.Store(none, v)
	return v
}

type busSeries struct{ ingested, unmatched, late, duplicates prometheus.Counter }

func (m *Metrics) bus(bus rialto.ARN) *busSeries {
	return m.buses.get(bus, func(bus rialto.ARN, others bool) *busSeries {
		labels := []string{string(bus.Account), string(bus.Region), busName(bus)}
		if others {
			labels = []string{other, other, other}
		}
		return &busSeries{
			ingested: m.ingested.WithLabelValues(labels...), unmatched: m.unmatched.WithLabelValues(labels...),
			late: m.late.WithLabelValues(labels...), duplicates: m.duplicates.WithLabelValues(labels...),
		}
	})
}

type ruleSeries struct {
	matches prometheus.Counter
	aws     awsSeries
}

func (m *Metrics) rule(rule rialto.ARN) *ruleSeries {
	return m.rules.get(rule, func(rule rialto.ARN, others bool) *ruleSeries {
		bus, name := ruleName(rule)
		labels := []string{string(rule.Account), string(rule.Region), bus, name}
		if others {
			labels = []string{other, other, other, other}
		}
		return &ruleSeries{m.matches.WithLabelValues(labels...), m.aws.of(labels)}
	})
}

// Outcomes of attempts.
const (
	delivered = "delivered"
	retried   = "retry"
	dead      = "dead"
	expired   = "expired" // no attempt was made any more
)

type targetSeries struct {
	outcomes      map[string]prometheus.Counter
	latency, took prometheus.Observer
}

func (m *Metrics) target(kind string) *targetSeries {
	if v, ok := m.targets.Load(kind); ok {
		return v.(*targetSeries)
	}
	s := &targetSeries{make(map[string]prometheus.Counter), m.latency.WithLabelValues(kind), m.took.WithLabelValues(kind)}
	for _, outcome := range []string{delivered, retried, dead, expired} {
		s.outcomes[outcome] = m.attempts.WithLabelValues(kind, outcome)
	}
	v, _ := m.targets.LoadOrStore(kind, s)
	return v.(*targetSeries)
}

// Accepted counts an event, or a message of a topic.
func (m *Metrics) Accepted(e *deliver.Accepted) {
	switch e.Bus.Service {
	case "sns":
		m.topic(e.Bus).published.Inc()
		return
	case "scheduler":
		return // the attempts are counted
	}
	b := m.bus(e.Bus)
	if e.DuplicateOf != "" {
		b.duplicates.Inc()
		return
	}
	b.ingested.Inc()
	switch {
	case e.Expired():
		b.late.Inc()
	case len(e.Targets) == 0:
		b.unmatched.Inc()
	}
	for i, t := range e.Targets {
		if i > 0 && t.Rule == e.Targets[i-1].Rule {
			continue // another target of the same rule
		}
		r := m.rule(t.Rule)
		r.matches.Inc()
		r.aws.matched()
	}
}

// Attempted counts an attempt.
func (m *Metrics) Attempted(a *deliver.Attempted) {
	if a.Letter {
		m.letter(a)
		return
	}
	t, outcome := m.target(KindOf(a.For)), dead
	switch {
	case a.Err == nil && a.Verdict.Action == deliver.Done:
		outcome = delivered
		if from := since(a.Message); !from.IsZero() {
			t.latency.Observe(a.Began.Add(a.Took).Sub(from).Seconds())
		}
	case a.Verdict.Action == deliver.Expired:
		t.outcomes[expired].Inc()
		return
	case !a.Made():
		t.outcomes[expired].Inc()
		m.origin(a, (*awsSeries).failedFor)
		return
	case a.Verdict.Action == deliver.Again:
		outcome = retried
	}
	t.outcomes[outcome].Inc()
	t.took.Observe(a.Took.Seconds())
	m.origin(a, (*awsSeries).attempted)
}

// origin counts for whom the attempt was: a subscription's topic, a group of schedules, or a rule, which has more to count.
func (m *Metrics) origin(a *deliver.Attempted, count func(*awsSeries, *deliver.Attempted)) {
	if s := a.For.Subscription; s != nil {
		m.topic(s.Topic).attempted(a)
		return
	}
	if a.For.Schedule != nil {
		m.group(a.For.Rule).attempted(a)
		return
	}
	count(&m.rule(a.For.Rule).aws, a)
}

// since is when an event was accepted, or brought back from a dead-letter queue.
func since(m *target.Message) time.Time {
	if !m.Redriven.IsZero() {
		return m.Redriven
	}
	return m.Accepted
}

func (m *Metrics) letter(a *deliver.Attempted) {
	switch a.Verdict.Action {
	case deliver.Done:
		m.letters.WithLabelValues("sent").Inc()
	case deliver.DeadLetter:
		m.letters.WithLabelValues("failed").Inc()
	}
	m.origin(a, (*awsSeries).letter)
}

// CircuitChanged counts the change of a circuit.
func (m *Metrics) CircuitChanged(c *deliver.Circuit) {
	m.circuits.WithLabelValues(c.State.String()).Inc()
}

var _ deliver.Observer = (*Metrics)(nil)

// Appended returns what the shard of a name is to tell of its frames.
func (m *Metrics) Appended(shard string) func(bytes int, took time.Duration) {
	frames, written, appends := m.frames.WithLabelValues(shard), m.bytes.WithLabelValues(shard), m.appends.WithLabelValues(shard)
	return func(bytes int, took time.Duration) {
		frames.Inc()
		written.Add(float64(bytes))
		appends.Observe(took.Seconds())
	}
}

// kinds are the kinds of targets that have a name of their own, by the service of their ARNs.
var kinds = map[string]string{
	"sqs": "queue", "sns": "topic", "lambda": "lambda", "kinesis": "kinesis", "firehose": "firehose", "states": "states", "logs": "logs",
	"nats": "nats", "kafka": "kafka",
}

// KindOf is the kind of a target, as a label.
func KindOf(d *target.Definition) string {
	arn, err := rialto.ParseARN(d.ARN)
	switch {
	case err != nil:
		return other
	case arn.Service == "events" && strings.HasPrefix(arn.Resource, "event-bus/"):
		return "bus"
	case arn.Service == "events" && strings.HasPrefix(arn.Resource, "api-destination/"):
		return "http"
	case arn.Service == "sns" && strings.Contains(arn.Resource, ":"): // a subscription: only a web server has no ARN of its own
		return "http"
	}
	if kind, ok := kinds[arn.Service]; ok {
		return kind
	}
	return other
}

func busName(bus rialto.ARN) string { return strings.TrimPrefix(bus.Resource, "event-bus/") }

// ruleName parts the name of a rule from that of its bus.
func ruleName(rule rialto.ARN) (bus, name string) {
	path := strings.TrimPrefix(rule.Resource, "rule/")
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return string(rialto.DefaultBus), path
}
