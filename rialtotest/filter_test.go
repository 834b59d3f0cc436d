package rialtotest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

	"github.com/rialto-events/rialto/internal/topic/filter"
	"github.com/rialto-events/rialto/rialtotest"
)

// TestFilters has subscribers of one topic want different messages, by attributes and by what the message says.
func TestFilters(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	topic := srv.Topic(t, "orders")
	all, paid, dear := srv.Queue(t, "all"), srv.Queue(t, "paid"), srv.Queue(t, "dear")
	topic.Subscribe(t, all)
	filterBy(t, srv, topic.Subscribe(t, paid), "FilterPolicy", `{"event": ["paid"], "total": [{"numeric": [">", 0]}]}`)
	byBody := topic.Subscribe(t, dear)
	filterBy(t, srv, byBody, "FilterPolicyScope", "MessageBody")
	filterBy(t, srv, byBody, "FilterPolicy", `{"order": {"total": [{"numeric": [">=", 100]}]}}`)

	publish := func(body, event, total string) {
		t.Helper()
		_, err := srv.SNS().Publish(t.Context(), &sns.PublishInput{TopicArn: &topic.ARN, Message: &body, MessageAttributes: map[string]types.MessageAttributeValue{
			"event": {DataType: aws.String("String"), StringValue: &event}, "total": {DataType: aws.String("Number"), StringValue: &total},
		}})
		if err != nil {
			t.Fatal(err)
		}
		all.Want(t, body)
	}
	everything := func() {
		t.Helper()
		publish(`{"order": {"total": 99.99}}`, "placed", "99.99")
		publish(`{"order": {"total": 100}}`, "paid", "100")
		publish(`{"order": {"total": "100"}}`, "paid", "0")
		publish(`total: 100`, "paid", "1")
		dear.Want(t, `{"order": {"total": 100}}`)
		paid.Want(t, `{"order": {"total": 100}}`)
		paid.Want(t, `total: 100`)
	}
	everything()
	srv.Restart(t)
	everything()

	// What changes counts from the next message on.
	filterBy(t, srv, byBody, "FilterPolicy", "{}")
	publish("hello", "greeted", "0")
	dear.Want(t, "hello")
	filterBy(t, srv, byBody, "FilterPolicy", "")
	publish("hello again", "greeted", "0")
	dear.Want(t, "hello again")
	for _, q := range []*rialtotest.Queue{all, paid, dear} {
		q.WantNothing(t)
	}
}

func filterBy(t testing.TB, srv *rialtotest.Server, subscription, name, value string) {
	t.Helper()
	_, err := srv.SNS().SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &subscription, AttributeName: &name, AttributeValue: &value})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFiltersRefused looks at what a caller is told, and at how many filters a topic can have.
func TestFiltersRefused(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	topic := srv.Topic(t, "orders")
	subscribe := func(queue string, attributes map[string]string) (string, error) {
		out, err := srv.SNS().Subscribe(t.Context(), &sns.SubscribeInput{
			TopicArn: &topic.ARN, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:us-east-1:000000000000:" + queue), Attributes: attributes, ReturnSubscriptionArn: true,
		})
		if err != nil {
			return "", err
		}
		return *out.SubscriptionArn, nil
	}
	want := func(err error, code, message string) {
		t.Helper()
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != message {
			t.Errorf("got  %v\nwant %s: %s", err, code, message)
		}
	}
	q := srv.Queue(t, "q").Name
	_, err := subscribe(q, map[string]string{"FilterPolicy": `{"a":["b"]`, "FilterPolicyScope": "MessageBody"})
	want(err, "InvalidParameter", "Invalid parameter: Attributes Reason: FilterPolicy: failed to parse JSON. Unexpected end-of-input: expected close marker for Object (start marker at "+
		`[Source: (String)"{"a":["b"]"; line: 1, column: 1])`+"\n at "+`[Source: (String)"{"a":["b"]"; line: 1, column: 11]`)
	_, err = subscribe(q, map[string]string{"FilterPolicyScope": "Everything"})
	want(err, "InvalidParameter", "Invalid parameter: Attributes Reason: FilterPolicyScope: Invalid value [Everything]. Please use either MessageBody or MessageAttributes")
	arn, err := subscribe(q, nil)
	if err != nil {
		t.Fatal(err)
	}
	set := func(arn, value string) error {
		_, err := srv.SNS().SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: aws.String("FilterPolicy"), AttributeValue: &value})
		return err
	}
	want(set(arn, `{"a":{"b":["c"]}}`), "InvalidParameter", "Invalid parameter: Filter policy scope MessageAttributes does not support nested filter policy")
	want(set(arn, `{"a":[{"prefix":1}]}`), "InvalidParameter", "Invalid parameter: FilterPolicy: prefix match pattern must be a string\n at "+
		`[Source: (String)"{"a":[{"prefix":1}]}"; line: 1, column: 18]`)

	for i := range filter.MaxPerTopic {
		name := srv.Queue(t, fmt.Sprintf("q%d", i)).Name
		if arn, err = subscribe(name, map[string]string{"FilterPolicy": `{"a":["b"]}`}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = subscribe(q+"-more", map[string]string{"FilterPolicy": `{"a":["b"]}`})
	want(err, "FilterPolicyLimitExceeded", "Filter policy limit exceeded: the subscriptions of a topic may have 200 filter policies")
	if err := set(arn, `{"a":["c"]}`); err != nil {
		t.Errorf("a filter cannot be changed: %v", err)
	}
}
