package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/target"
)

var scope = rialto.Scope{Account: "000000000000", Region: "us-east-1"}

// accepted is when the events of these tests were accepted.
var accepted = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

func sealed(t testing.TB, rule rialto.RuleName, arn string) *target.Sealed {
	t.Helper()
	s, err := target.Seal(&target.Definition{Rule: scope.RuleARN("orders", rule), RuleName: rule, ID: "t", ARN: arn, DeadLetter: "arn:aws:sqs:us-east-1:000000000000:dead"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// everything has something happen to each of the metrics.
func everything(t *testing.T) *Metrics {
	t.Helper()
	m := New("1.2.3")
	kv, err := journal.NewSim(1, journal.SimFaults{}).Open().KV(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), kv, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-running })
	if _, err := c.Queues.Edit(t.Context(), catalog.NameKey(scope, "q"), func(*catalog.Queue) (*catalog.Queue, error) { return &catalog.Queue{Name: "q"}, nil }); err != nil {
		t.Fatal(err)
	}
	hook := sealed(t, "paid", "arn:aws:events:us-east-1:000000000000:api-destination/hook/1")
	m.Ask(Sources{
		Catalog: c,
		Stats: func(context.Context) ([]deliver.Stats, error) {
			return []deliver.Stats{{Scope: scope, ARN: hook.ARN, Waiting: 5, InFlight: 2}, {Scope: scope, ARN: hook.ARN + "2", Waiting: 1}}, nil
		},
		Circuits: func(context.Context) ([]deliver.Circuit, error) {
			return []deliver.Circuit{{State: deliver.CircuitOpen, Parked: 7}}, nil
		},
		Queue: func(_ context.Context, at queue.Address) (queue.Counts, error) {
			return queue.Counts{Visible: 3, Delayed: 1}, nil
		},
		Queued: func() map[string]int { return map[string]int{"shard-0": 4} }, LeftOut: func() uint64 { return 9 },
		Keys:     func(context.Context) (int, uint64, error) { return 12, 3, nil },
		Archives: func() Archives { return Archives{Waiting: 2, Stored: 3, Damaged: 1} },
		Writable: func() error { return nil }, Room: func() error { return errors.New("none is left") },
	})
	m.Appended("shard-0")(1000, 2*time.Millisecond)
	m.CircuitChanged(&deliver.Circuit{State: deliver.CircuitOpen})
	bus := scope.BusARN("orders")
	m.Accepted(&deliver.Accepted{EventID: "late", Bus: bus, Accepted: accepted, Expires: accepted})
	m.Accepted(&deliver.Accepted{Bus: bus})
	m.Accepted(&deliver.Accepted{Bus: bus, Targets: []*target.Sealed{hook}, DuplicateOf: "x"})
	m.Accepted(&deliver.Accepted{Bus: bus, Targets: []*target.Sealed{hook, sealed(t, "paid", "arn:aws:sqs:us-east-1:000000000000:q")}})
	attempt := func(number int, letter bool, err error, v deliver.Verdict) {
		m.Attempted(&deliver.Attempted{
			Message: &target.Message{Bus: bus, Accepted: accepted, Attempt: number}, For: hook.Definition, Letter: letter,
			Began: accepted.Add(time.Second), Took: 500 * time.Millisecond, Err: err, Verdict: v,
		})
	}
	attempt(1, false, errors.New("not now"), deliver.Verdict{Action: deliver.Again, Code: target.CodeThrottling})
	attempt(2, false, nil, deliver.Verdict{Action: deliver.Done})
	attempt(1, false, errors.New("never"), deliver.Verdict{Action: deliver.DeadLetter})
	attempt(1, false, nil, deliver.Verdict{Action: deliver.Expired})
	attempt(3, false, nil, deliver.Verdict{Action: deliver.DeadLetter, Code: target.CodeUnknown}) // too old, behind an open circuit
	attempt(1, true, nil, deliver.Verdict{Action: deliver.Done})
	attempt(13, true, errors.New("never"), deliver.Verdict{Action: deliver.DeadLetter})
	notify(m)
	return m
}

// notify has something happen to each metric of a topic.
func notify(m *Metrics) {
	topic, arn := scope.ARN("sns", "news"), scope.ARN("sns", "news:1")
	d := (&target.Subscription{Topic: topic, ARN: arn, Protocol: target.ProtocolHTTPS}).Definition()
	m.Accepted(&deliver.Accepted{Bus: topic, Targets: []*target.Sealed{{Definition: d}}})
	for _, a := range []deliver.Attempted{
		{Err: errors.New("not now"), Verdict: deliver.Verdict{Action: deliver.Again}},
		{Verdict: deliver.Verdict{Action: deliver.Done}},
		{Err: errors.New("never"), Verdict: deliver.Verdict{Action: deliver.DeadLetter}},
		{Verdict: deliver.Verdict{Action: deliver.DeadLetter}}, // too old, behind an open circuit
		{Letter: true, Verdict: deliver.Verdict{Action: deliver.Done}},
		{Letter: true, Err: errors.New("never"), Verdict: deliver.Verdict{Action: deliver.DeadLetter}},
	} {
		a.For, a.Message, a.Began = d, &target.Message{Bus: topic, Attempt: 1}, accepted
		m.Attempted(&a)
	}
}

func read(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("the answer is %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestWhatIsCounted(t *testing.T) {
	got := read(t, everything(t))
	const rule = `{account="000000000000",event_bus_name="orders",region="us-east-1",rule_name="paid"} `
	const topic = `{account="000000000000",region="us-east-1",topic_name="news"} `
	for _, want := range []string{
		`rialto_events_ingested_total{account="000000000000",bus="orders",region="us-east-1"} 3`,
		`rialto_events_expired_total{account="000000000000",bus="orders",region="us-east-1"} 1`,
		`rialto_events_unmatched_total{account="000000000000",bus="orders",region="us-east-1"} 1`,
		`rialto_events_duplicate_total{account="000000000000",bus="orders",region="us-east-1"} 1`,
		`rialto_rule_matches_total{account="000000000000",bus="orders",region="us-east-1",rule="paid"} 1`,
		`rialto_delivery_attempts_total{outcome="delivered",target_type="http"} 2`,
		`rialto_delivery_attempts_total{outcome="retry",target_type="http"} 2`,
		`rialto_delivery_attempts_total{outcome="dead",target_type="http"} 2`,
		`rialto_delivery_attempts_total{outcome="expired",target_type="http"} 3`,
		`rialto_delivery_latency_seconds_sum{target_type="http"} 1.5`,
		`rialto_delivery_pending{target_type="http"} 8`,
		`rialto_dlq_messages_total{outcome="sent"} 2`, `rialto_dlq_messages_total{outcome="failed"} 2`,
		`rialto_circuits{state="open"} 1`, `rialto_delivery_parked 7`, `rialto_circuit_changes_total{state="open"} 1`,
		`rialto_queue_messages{account="000000000000",queue="q",region="us-east-1",state="visible"} 3`,
		`rialto_shard_bytes_total{shard="shard-0"} 1000`, `rialto_shard_queued{shard="shard-0"} 4`, `rialto_dedupe_keys 12`, `rialto_dedupe_forgotten_total 3`,
		`rialto_journal_writable 1`, `rialto_journal_room 0`, `rialto_explain_left_out_total 9`, `rialto_build_info{version="1.2.3"} 1`,
		`aws_events_matched_events_total` + rule + `1`, `aws_events_invocations_total` + rule + `3`, `aws_events_invocation_attempts_total` + rule + `3`,
		`aws_events_successful_invocation_attempts_total` + rule + `1`, `aws_events_retry_invocation_attempts_total` + rule + `1`,
		`aws_events_failed_invocations_total` + rule + `2`, `aws_events_throttled_rules_total` + rule + `1`,
		`aws_events_invocations_sent_to_dlq_total` + rule + `1`, `aws_events_invocations_failed_to_be_sent_to_dlq_total` + rule + `1`,
		`aws_events_ingestion_to_invocation_start_latency_ms_sum` + rule + `2000`, `aws_events_ingestion_to_invocation_success_latency_ms_sum` + rule + `1500`,
		`aws_sns_number_of_messages_published_total` + topic + `1`, `aws_sns_number_of_notifications_delivered_total` + topic + `1`,
		`aws_sns_number_of_notifications_failed_total` + topic + `2`, `aws_sns_number_of_notifications_redriven_to_dlq_total` + topic + `1`,
		`aws_sns_number_of_notifications_failed_to_redrive_to_dlq_total` + topic + `1`,
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			name, _, _ := strings.Cut(want, "{")
			t.Errorf("missing %s; there is\n%s", want, strings.Join(regexp.MustCompile(`(?m)^`+name+`.*$`).FindAllString(got, -1), "\n"))
		}
	}
}

// TestNamesAreDocumented compares the metrics with docs/metrics.md.
func TestNamesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, served []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)`").FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
	}
	families, err := everything(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			served = append(served, name)
		}
	}
	slices.Sort(documented)
	if diff := cmp.Diff(documented, served); diff != "" {
		t.Errorf("docs/metrics.md and the metrics differ (-documented +served):\n%s", diff)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	m := New("")
	for i := range 3 * maxRules {
		rule := target.Definition{Rule: scope.RuleARN("orders", rialto.RuleName(fmt.Sprint("r", i)))}
		m.Accepted(&deliver.Accepted{Bus: scope.BusARN(rialto.BusName(fmt.Sprint("b", i))), Targets: []*target.Sealed{{Definition: &rule}}})
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"rialto_events_ingested_total": maxBuses + 1, "rialto_rule_matches_total": maxRules + 1, "aws_events_matched_events_total": maxRules + 1}
	for _, f := range families {
		if n, ok := want[f.GetName()]; ok {
			if len(f.GetMetric()) != n {
				t.Errorf("%s has %d series, want %d", f.GetName(), len(f.GetMetric()), n)
			}
			delete(want, f.GetName())
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if !strings.Contains(read(t, m), `rialto_rule_matches_total{account="other",bus="other",region="other",rule="other"} 4000`) {
		t.Error("what is beyond the limit is not counted under other")
	}
}

// BenchmarkObserve is what counting costs an event with one delivery.
func BenchmarkObserve(b *testing.B) {
	m := New("")
	hook := sealed(b, "paid", "arn:aws:sqs:us-east-1:000000000000:q")
	e := &deliver.Accepted{Bus: scope.BusARN("orders"), Targets: []*target.Sealed{hook}}
	a := &deliver.Attempted{Message: &target.Message{Bus: e.Bus, Accepted: accepted, Attempt: 1}, For: hook.Definition, Began: accepted, Took: time.Millisecond}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Accepted(e)
			m.Attempted(a)
		}
	})
}
