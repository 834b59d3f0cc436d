package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/target"
)

// aws counts for each rule what AWS does in the namespace AWS/Events of CloudWatch, under the same names in Prometheus's spelling
// (EventBridge user guide, "Monitoring Amazon EventBridge").
type aws struct {
	counters  map[string]*prometheus.CounterVec
	latencies map[string]*prometheus.SummaryVec
}

// Names in CloudWatch, and those here.
const (
	matchedEvents   = "aws_events_matched_events_total"                        // MatchedEvents
	triggeredRules  = "aws_events_triggered_rules_total"                       // TriggeredRules
	invocations     = "aws_events_invocations_total"                           // Invocations
	tries           = "aws_events_invocation_attempts_total"                   // InvocationAttempts
	successes       = "aws_events_successful_invocation_attempts_total"        // SuccessfulInvocationAttempts
	retries         = "aws_events_retry_invocation_attempts_total"             // RetryInvocationAttempts
	failures        = "aws_events_failed_invocations_total"                    // FailedInvocations
	sentToDLQ       = "aws_events_invocations_sent_to_dlq_total"               // InvocationsSentToDlq
	notSentToDLQ    = "aws_events_invocations_failed_to_be_sent_to_dlq_total"  // InvocationsFailedToBeSentToDlq
	throttledRules  = "aws_events_throttled_rules_total"                       // ThrottledRules
	startLatency    = "aws_events_ingestion_to_invocation_start_latency_ms"    // IngestionToInvocationStartLatency
	completeLatency = "aws_events_ingestion_to_invocation_complete_latency_ms" // IngestionToInvocationCompleteLatency
	successLatency  = "aws_events_ingestion_to_invocation_success_latency_ms"  // IngestionToInvocationSuccessLatency
)

func newAWS(r *prometheus.Registry) aws {
	a := aws{make(map[string]*prometheus.CounterVec), make(map[string]*prometheus.SummaryVec)}
	labels := []string{"account", "region", "event_bus_name", "rule_name"}
	for name, help := range map[string]string{
		matchedEvents:  "MatchedEvents: events that the rule matched.",
		triggeredRules: "TriggeredRules: how often the rule ran.",
		invocations:    "Invocations: deliveries to targets of the rule that ended, well or for good; retries are not counted.",
		tries:          "InvocationAttempts: attempts to deliver to targets of the rule.",
		successes:      "SuccessfulInvocationAttempts: attempts that went well.",
		retries:        "RetryInvocationAttempts: attempts after the first.",
		failures:       "FailedInvocations: deliveries that failed for good.",
		sentToDLQ:      "InvocationsSentToDlq: dead letters that the queue took.",
		notSentToDLQ:   "InvocationsFailedToBeSentToDlq: dead letters that the queue did not take.",
		throttledRules: "ThrottledRules: attempts that the target put off because there were too many.",
	} {
		a.counters[name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(a.counters[name])
	}
	for name, help := range map[string]string{
		startLatency:    "IngestionToInvocationStartLatency: from acceptance to the first attempt, in milliseconds.",
		completeLatency: "IngestionToInvocationCompleteLatency: from acceptance to the end of the first attempt, in milliseconds.",
		successLatency:  "IngestionToInvocationSuccessLatency: from acceptance until the target had the event, in milliseconds.",
	} {
		a.latencies[name] = prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: help}, labels)
		r.MustRegister(a.latencies[name])
	}
	return a
}

// awsSeries are those of one rule.
type awsSeries struct {
	matchedEvents, triggeredRules, invocations, tries, successes, retries, failures, sentToDLQ, notSentToDLQ, throttledRules prometheus.Counter
	startLatency, completeLatency, successLatency                                                                            prometheus.Observer
}

func (a *aws) of(labels []string) awsSeries {
	c := func(name string) prometheus.Counter { return a.counters[name].WithLabelValues(labels...) }
	l := func(name string) prometheus.Observer { return a.latencies[name].WithLabelValues(labels...) }
	return awsSeries{
		c(matchedEvents), c(triggeredRules), c(invocations), c(tries), c(successes), c(retries), c(failures), c(sentToDLQ), c(notSentToDLQ),
		c(throttledRules), l(startLatency), l(completeLatency), l(successLatency),
	}
}

func (s *awsSeries) matched() {
	s.matchedEvents.Inc()
	s.triggeredRules.Inc()
}

func (s *awsSeries) attempted(a *deliver.Attempted) {
	s.tries.Inc()
	from := since(a.Message)
	millis := func(t time.Time) float64 { return float64(t.Sub(from)) / float64(time.Millisecond) }
	known := !from.IsZero()
	ended := a.Began.Add(a.Took)
	switch {
	case a.Message.Attempt > 1:
		s.retries.Inc()
	case known:
		s.startLatency.Observe(millis(a.Began))
		s.completeLatency.Observe(millis(ended))
	}
	switch a.Verdict.Action {
	case deliver.Done:
		s.invocations.Inc()
		s.successes.Inc()
		if known {
			s.successLatency.Observe(millis(ended))
		}
	case deliver.Again:
		if a.Verdict.Code == target.CodeThrottling {
			s.throttledRules.Inc()
		}
	case deliver.DeadLetter:
		s.failed()
	}
}

// failedFor is failed, of an attempt that was not made.
func (s *awsSeries) failedFor(*deliver.Attempted) { s.failed() }

// failed counts a delivery that has failed for good.
func (s *awsSeries) failed() {
	s.invocations.Inc()
	s.failures.Inc()
}

func (s *awsSeries) letter(a *deliver.Attempted) {
	switch a.Verdict.Action {
	case deliver.Done:
		s.sentToDLQ.Inc()
	case deliver.DeadLetter:
		s.notSentToDLQ.Inc()
	}
}
