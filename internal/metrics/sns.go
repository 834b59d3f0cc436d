package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
)

// sns counts for each topic what AWS does in the namespace AWS/SNS of CloudWatch, under the same names in Prometheus's spelling (SNS
// developer guide, "Monitoring Amazon SNS topics using CloudWatch").
type sns map[string]*prometheus.CounterVec

// Names in CloudWatch, and those here.
const (
	topicPublished   = "aws_sns_number_of_messages_published_total"                     // NumberOfMessagesPublished
	topicDelivered   = "aws_sns_number_of_notifications_delivered_total"                // NumberOfNotificationsDelivered
	topicFailed      = "aws_sns_number_of_notifications_failed_total"                   // NumberOfNotificationsFailed
	topicRedriven    = "aws_sns_number_of_notifications_redriven_to_dlq_total"          // NumberOfNotificationsRedrivenToDlq
	topicNotRedriven = "aws_sns_number_of_notifications_failed_to_redrive_to_dlq_total" // NumberOfNotificationsFailedToRedriveToDlq
	maxTopics        = 500                                                              // whose names become labels
)

func newSNS(r *prometheus.Registry) sns {
	s := make(sns)
	for name, help := range map[string]string{
		topicPublished:   "NumberOfMessagesPublished: messages that were accepted by the topic.",
		topicDelivered:   "NumberOfNotificationsDelivered: deliveries to subscribers that went well.",
		topicFailed:      "NumberOfNotificationsFailed: deliveries to subscribers that failed for good.",
		topicRedriven:    "NumberOfNotificationsRedrivenToDlq: dead letters that the queue of the subscription took.",
		topicNotRedriven: "NumberOfNotificationsFailedToRedriveToDlq: dead letters that it did not take.",
	} {
		s[name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"account", "region", "topic_name"})
		r.MustRegister(s[name])
	}
	return s
}

type topicSeries struct{ published, delivered, failed, redriven, notRedriven prometheus.Counter }

func (m *Metrics) topic(topic rialto.ARN) *topicSeries {
	return m.topics.get(topic, func(topic rialto.ARN, others bool) *topicSeries {
		labels := []string{string(topic.Account), string(topic.Region), topic.Resource}
		if others {
			labels = []string{other, other, other}
		}
		c := func(name string) prometheus.Counter { return m.sns[name].WithLabelValues(labels...) }
		return &topicSeries{c(topicPublished), c(topicDelivered), c(topicFailed), c(topicRedriven), c(topicNotRedriven)}
	})
}

// attempted counts an attempt to notify a subscriber, or to bring its letter to a queue.
func (s *topicSeries) attempted(a *deliver.Attempted) {
	good, bad := s.delivered, s.failed
	if a.Letter {
		good, bad = s.redriven, s.notRedriven
	}
	switch a.Verdict.Action {
	case deliver.Done:
		good.Inc()
	case deliver.DeadLetter:
		bad.Inc()
	}
}
