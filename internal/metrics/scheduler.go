package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/target"
)

// schedules counts for each group of schedules what AWS does in the namespace AWS/Scheduler of CloudWatch, under the same names in Prometheus's
// spelling (Scheduler user guide, "Monitoring EventBridge Scheduler with Amazon CloudWatch").
type schedules map[string]*prometheus.CounterVec

// Names in CloudWatch, and those here.
const (
	groupAttempts  = "aws_scheduler_invocation_attempt_count_total"                           // InvocationAttemptCount
	groupErrors    = "aws_scheduler_target_error_count_total"                                 // TargetErrorCount
	groupThrottled = "aws_scheduler_target_error_throttled_count_total"                       // TargetErrorThrottledCount
	groupDropped   = "aws_scheduler_invocation_dropped_count_total"                           // InvocationDroppedCount
	groupSent      = "aws_scheduler_invocations_sent_to_dead_letter_count_total"              // InvocationsSentToDeadLetterCount
	groupNotSent   = "aws_scheduler_invocations_failed_to_be_sent_to_dead_letter_count_total" // InvocationsFailedToBeSentToDeadLetterCount
	maxGroups      = 500                                                                      // whose names become labels
)

func newSchedules(r *prometheus.Registry) schedules {
	s := make(schedules)
	for name, help := range map[string]string{
		groupAttempts:  "InvocationAttemptCount: attempts to invoke a target.",
		groupErrors:    "TargetErrorCount: attempts that a target has answered with an error.",
		groupThrottled: "TargetErrorThrottledCount: of these, those in which it was called too often.",
		groupDropped:   "InvocationDroppedCount: occurrences that failed for good and have no dead-letter queue.",
		groupSent:      "InvocationsSentToDeadLetterCount: dead letters that the queue of the schedule took.",
		groupNotSent:   "InvocationsFailedToBeSentToDeadLetterCount: dead letters that it did not take.",
	} {
		s[name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"account", "region", "schedule_group"})
		r.MustRegister(s[name])
	}
	return s
}

type groupSeries struct{ attempts, errors, throttled, dropped, sent, notSent prometheus.Counter }

func (m *Metrics) group(group rialto.ARN) *groupSeries {
	return m.groups.get(group, func(group rialto.ARN, others bool) *groupSeries {
		labels := []string{string(group.Account), string(group.Region), strings.TrimPrefix(group.Resource, "schedule-group/")}
		if others {
			labels = []string{other, other, other}
		}
		c := func(name string) prometheus.Counter { return m.schedules[name].WithLabelValues(labels...) }
		return &groupSeries{c(groupAttempts), c(groupErrors), c(groupThrottled), c(groupDropped), c(groupSent), c(groupNotSent)}
	})
}

// attempted counts an attempt to invoke a target, or to bring a letter to the queue.
func (s *groupSeries) attempted(a *deliver.Attempted) {
	failed := a.Verdict.Action == deliver.DeadLetter
	switch {
	case a.Letter && failed:
		s.notSent.Inc()
		return
	case a.Letter && a.Verdict.Action == deliver.Done:
		s.sent.Inc()
		return
	case a.Letter:
		return
	}
	if a.Made() {
		s.attempts.Inc()
	}
	if a.Err != nil {
		s.errors.Inc()
	}
	if a.Verdict.Code == target.CodeThrottling {
		s.throttled.Inc()
	}
	if failed && a.For.DeadLetter == "" {
		s.dropped.Inc()
	}
}
