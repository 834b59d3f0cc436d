package rialtotest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// A Topic is an SNS topic that a test publishes on, or that is the target of a rule.
type Topic struct {
	Name string
	ARN  string

	server *Server
}

// SNS is a client for topics.
func (s *Server) SNS() *sns.Client { return sns.NewFromConfig(s.AWS()) }

// Topic makes a topic; one whose name ends with .fifo keeps an order, and knows messages again by their content. If it is there already, it
// is the same topic.
func (s *Server) Topic(t testing.TB, name string) *Topic {
	t.Helper()
	in := &sns.CreateTopicInput{Name: aws.String(name)}
	if len(name) > 5 && name[len(name)-5:] == ".fifo" {
		in.Attributes = map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"}
	}
	made, err := s.SNS().CreateTopic(t.Context(), in)
	if err != nil {
		t.Fatalf("make the topic %s: %v", name, err)
	}
	return &Topic{Name: name, ARN: aws.ToString(made.TopicArn), server: s}
}

// Subscribe subscribes a queue, which receives messages as they were published, without an envelope. It returns the ARN of the subscription.
func (p *Topic) Subscribe(t testing.TB, q *Queue) string {
	t.Helper()
	made, err := p.server.SNS().Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: aws.String(p.ARN), Protocol: aws.String("sqs"), Endpoint: aws.String(q.ARN), Attributes: map[string]string{"RawMessageDelivery": "true"},
	})
	if err != nil {
		t.Fatalf("subscribe the queue %s to the topic %s: %v", q.Name, p.Name, err)
	}
	return aws.ToString(made.SubscriptionArn)
}

// Publish publishes a message and returns its id.
func (p *Topic) Publish(t testing.TB, message string) string {
	t.Helper()
	out, err := p.server.SNS().Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(p.ARN), Message: aws.String(message)})
	if err != nil {
		t.Fatalf("publish on the topic %s: %v", p.Name, err)
	}
	return aws.ToString(out.MessageId)
}
