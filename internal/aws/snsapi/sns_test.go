package snsapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/topic"
	"github.com/rialto-events/rialto/target"
)

const (
	topicARN = "arn:aws:sns:us-east-1:000000000000:orders"
	queueARN = "arn:aws:sqs:us-east-1:000000000000:billing"
)

func TestTopicAttributes(t *testing.T) {
	s := start(t, topic.Options{})
	arn := s.create(t, "orders", map[string]string{"DisplayName": "Orders", "SignatureVersion": "2"})
	if *arn != topicARN {
		t.Errorf("the topic is %s", *arn)
	}
	for _, set := range [][2]string{{"SignatureVersion", ""}, {"KmsMasterKeyId", "alias/aws/sns"}, {"SQSSuccessFeedbackSampleRate", "5"}} {
		_, err := s.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: arn, AttributeName: &set[0], AttributeValue: &set[1]})
		must(t, err)
	}
	s.subscribe(t, arn, "sqs", queueARN, nil)
	s.subscribe(t, arn, "http", "http://localhost:1/", nil)
	got, err := s.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: arn})
	must(t, err)
	want := map[string]string{
		"TopicArn": topicARN, "Owner": "000000000000", "DisplayName": "Orders", "KmsMasterKeyId": "alias/aws/sns", "SQSSuccessFeedbackSampleRate": "5",
		"SubscriptionsConfirmed": "1", "SubscriptionsPending": "1", "SubscriptionsDeleted": "0",
		"EffectiveDeliveryPolicy": `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,` +
			`"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,` +
			`"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`,
		"Policy": `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},` +
			`"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe",` +
			`"SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":"` + topicARN + `","Condition":{"StringEquals":{"AWS:SourceOwner":"000000000000"}}}]}`,
	}
	if diff := cmp.Diff(want, got.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	fifo := s.create(t, "orders.fifo", map[string]string{"FifoTopic": "true"})
	got, err = s.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: fifo})
	must(t, err)
	if a := got.Attributes; a["FifoTopic"] != "true" || a["ContentBasedDeduplication"] != "false" {
		t.Errorf("a FIFO topic has %v", a)
	}
	_, err = s.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: fifo, AttributeName: awssdk.String("ArchivePolicy"), AttributeValue: awssdk.String("{}")})
	must(t, err) // no archive is what there is
	again, err := s.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: fifo})
	must(t, err)
	if diff := cmp.Diff(got.Attributes, again.Attributes); diff != "" {
		t.Errorf("a policy that asks for no archive changes attributes:\n%s", diff)
	}
}

// TestIdempotence makes topics and subscriptions again: those that are the same are the same, and others are refused.
func TestIdempotence(t *testing.T) {
	s := start(t, topic.Options{})
	tags := []types.Tag{{Key: awssdk.String("a"), Value: awssdk.String("1")}, {Key: awssdk.String("b"), Value: awssdk.String("2")}}
	create := func(attributes map[string]string, tags ...types.Tag) string {
		_, err := s.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: awssdk.String("orders"), Attributes: attributes, Tags: tags})
		return refused(err)
	}
	for _, tc := range []struct{ name, got, want string }{
		{"new", create(map[string]string{"DisplayName": "x"}, tags...), ""},
		{"the same", create(map[string]string{"DisplayName": "x"}, tags[1], tags[0]), ""},
		{"without a word", create(nil), ""},
		{"another name", create(map[string]string{"DisplayName": "y"}), "InvalidParameter: Invalid parameter: Attributes Reason: Topic already exists with different attributes"},
		{"another attribute", create(map[string]string{"SignatureVersion": "2"}), "InvalidParameter: Invalid parameter: Attributes Reason: Topic already exists with different attributes"},
		{"fewer tags", create(nil, tags[0]), "InvalidParameter: Invalid parameter: Tags Reason: Topic already exists with different tags"},
	} {
		if tc.got != tc.want {
			t.Errorf("a topic, %s: got %q, want %q", tc.name, tc.got, tc.want)
		}
	}
	arn := topicARN
	first := s.subscribe(t, &arn, "sqs", queueARN, map[string]string{"RawMessageDelivery": "true"})
	for _, same := range []map[string]string{nil, {"RawMessageDelivery": "true"}} {
		if again := s.subscribe(t, &arn, "sqs", queueARN, same); *again != *first {
			t.Errorf("%v: subscribed again, %s became %s", same, *first, *again)
		}
	}
	_, err := s.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: &arn, Protocol: awssdk.String("sqs"), Endpoint: awssdk.String(queueARN),
		Attributes: map[string]string{"RawMessageDelivery": "false"}})
	if got := refused(err); got != "InvalidParameter: Invalid parameter: Attributes Reason: Subscription already exists with different attributes" {
		t.Errorf("otherwise subscribed again: %s", got)
	}
	for range 2 {
		_, err := s.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: first})
		must(t, err)
	}
	for range 2 {
		_, err := s.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: &arn})
		must(t, err)
	}
}

func TestSubscriptionAttributes(t *testing.T) {
	s := start(t, topic.Options{})
	arn := s.create(t, "orders", nil)
	sub := s.subscribe(t, arn, "sqs", queueARN, map[string]string{"FilterPolicy": `{"kind":["paid"]}`, "RawMessageDelivery": "TRUE"})
	set := func(name, value string) string {
		_, err := s.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: sub, AttributeName: &name, AttributeValue: &value})
		return refused(err)
	}
	dead := `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead"}`
	if got := set("RedrivePolicy", dead); got != "" {
		t.Fatal(got)
	}
	got, err := s.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: sub})
	must(t, err)
	want := map[string]string{
		"SubscriptionArn": *sub, "TopicArn": topicARN, "Protocol": "sqs", "Endpoint": queueARN, "Owner": "000000000000", "PendingConfirmation": "false",
		"ConfirmationWasAuthenticated": "true", "RawMessageDelivery": "true", "SubscriptionPrincipal": "arn:aws:iam::000000000000:root",
		"FilterPolicy": `{"kind":["paid"]}`, "FilterPolicyScope": "MessageAttributes", "RedrivePolicy": dead,
	}
	if diff := cmp.Diff(want, got.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if _, err := s.Publish(t.Context(), &sns.PublishInput{TopicArn: arn, Message: awssdk.String("x")}); err != nil || s.book.count() != 0 {
		t.Errorf("a message without the attribute was let through the filter, or refused: %v", err)
	}
	paid := map[string]types.MessageAttributeValue{"kind": {DataType: awssdk.String("String"), StringValue: awssdk.String("paid")}}
	_, err = s.Publish(t.Context(), &sns.PublishInput{TopicArn: arn, Message: awssdk.String("x"), MessageAttributes: paid})
	must(t, err)
	_, e := s.book.last(t)
	if d := e.Targets[0].Definition; d.DeadLetter != "arn:aws:sqs:us-east-1:000000000000:dead" || !d.Subscription.Raw ||
		d.Retry.MaxAttempts != target.ManagedRetry().MaxAttempts || d.Rule.String() != *sub {
		t.Errorf("it goes to %+v, %+v", d, d.Subscription)
	}
	if got := set("RedrivePolicy", ""); got != "" {
		t.Error(got)
	}
	_, err = s.Publish(t.Context(), &sns.PublishInput{TopicArn: arn, Message: awssdk.String("x"), MessageAttributes: paid})
	must(t, err)
	if _, e := s.book.last(t); e.Targets[0].DeadLetter != "" {
		t.Errorf("the dead-letter queue is still %s", e.Targets[0].DeadLetter)
	}
}

// TestDeliveryPolicy: that of a subscription stands above that of its topic, unless the topic forbids it.
func TestDeliveryPolicy(t *testing.T) {
	s := start(t, topic.Options{})
	arn := s.create(t, "orders", map[string]string{"DeliveryPolicy": `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":2,"numRetries":7},` +
		`"defaultRequestPolicy":{"headerContentType":"application/json"}}}`})
	sub := s.subscribe(t, arn, "http", "http://localhost:1/hook", map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":1},"throttlePolicy":{"maxReceivesPerSecond":5}}`})
	n, e := s.book.last(t) // the question to the endpoint
	if n.Kind != notification.SubscriptionConfirmation || len(n.Token) != 288 {
		t.Fatalf("the endpoint is asked by %+v", n)
	}
	if d := e.Targets[0]; d.Retry.MaxAttempts != 1 || d.Rate != 5 || d.Subscription.ContentType != "application/json" {
		t.Errorf("it goes to %+v, %+v", d.Definition, d.Subscription)
	}
	got, err := s.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: sub})
	must(t, err)
	want := `{"healthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":1,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,` +
		`"backoffFunction":"linear"},"sicklyRetryPolicy":null,"throttlePolicy":{"maxReceivesPerSecond":5},"requestPolicy":{"headerContentType":"application/json"},"guaranteed":false}`
	if diff := cmp.Diff(want, got.Attributes["EffectiveDeliveryPolicy"]); diff != "" {
		t.Errorf("effective (-want +got):\n%s", diff)
	}
	_, err = s.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: arn, AttributeName: awssdk.String("DeliveryPolicy"),
		AttributeValue: awssdk.String(`{"http":{"disableSubscriptionOverrides":true}}`)})
	must(t, err)
	s.subscribe(t, arn, "http", "http://localhost:1/hook", nil) // asked again
	if _, e := s.book.last(t); e.Targets[0].Retry.MaxAttempts != 3 || e.Targets[0].Rate != 0 {
		t.Errorf("though overrides are disabled, it goes to %+v", e.Targets[0].Definition)
	}
}

// TestConfirm follows the links in messages, as people do who cannot sign.
func TestConfirm(t *testing.T) {
	s := start(t, topic.Options{})
	arn := s.create(t, "orders", nil)
	get := func(query url.Values) string {
		t.Helper()
		resp, err := http.Get(s.url + "/?" + query.Encode())
		must(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		return fmt.Sprint(resp.StatusCode, " ", string(b))
	}
	attribute := func(sub *string, name string) string {
		t.Helper()
		got, err := s.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: sub})
		if err != nil {
			return refused(err)
		}
		return got.Attributes[name]
	}
	out, err := s.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: arn, Protocol: awssdk.String("http"), Endpoint: awssdk.String("http://localhost:1/")})
	must(t, err)
	if *out.SubscriptionArn != "pending confirmation" {
		t.Errorf("Subscribe answers %s", *out.SubscriptionArn)
	}
	list, err := s.ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{})
	must(t, err)
	if len(list.Subscriptions) != 1 || *list.Subscriptions[0].SubscriptionArn != "PendingConfirmation" {
		t.Errorf("listed: %+v", list.Subscriptions)
	}
	first, _ := s.book.last(t)
	sub := s.subscribe(t, arn, "http", "http://localhost:1/", nil)
	second, _ := s.book.last(t)
	confirm := func(token string) string {
		return get(url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {*arn}, "Token": {token}})
	}
	if got := confirm(first.Token); !strings.Contains(got, "Invalid token") {
		t.Errorf("the token of the first question, after a second: %s", got)
	}
	must(t, publish(t, s, arn))
	if n, _ := s.book.last(t); n.Kind == notification.Published {
		t.Error("a pending subscription is delivered to")
	}
	for range 2 {
		if got := confirm(second.Token); !strings.HasPrefix(got, "200") || !strings.Contains(got, "<SubscriptionArn>"+*sub+"</SubscriptionArn>") {
			t.Errorf("confirmed: %s", got)
		}
	}
	if got := attribute(sub, "PendingConfirmation") + attribute(sub, "ConfirmationWasAuthenticated"); got != "falsefalse" {
		t.Errorf("pending and authenticated: %s", got)
	}
	must(t, publish(t, s, arn))
	if n, _ := s.book.last(t); n.Kind != notification.Published {
		t.Error("a confirmed subscription is not delivered to")
	}
	if got := get(url.Values{"Action": {"Unsubscribe"}, "SubscriptionArn": {*sub}}); !strings.HasPrefix(got, "200") {
		t.Errorf("unsubscribed: %s", got)
	}
	if got := attribute(sub, "Owner"); got != "NotFound: Subscription does not exist" {
		t.Errorf("after the end: %s", got)
	}
	n, _ := s.book.last(t)
	if n.Kind != notification.UnsubscribeConfirmation {
		t.Fatalf("the endpoint is told %+v", n)
	}
	// Whoever has signed can lock it.
	_, err = s.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: arn, Token: &n.Token, AuthenticateOnUnsubscribe: awssdk.String("true")})
	must(t, err)
	if got := attribute(sub, "ConfirmationWasAuthenticated"); got != "true" {
		t.Errorf("restored by somebody who signed: %s", got)
	}
	if got := get(url.Values{"Action": {"Unsubscribe"}, "SubscriptionArn": {*sub}}); !strings.HasPrefix(got, "403") {
		t.Errorf("unsubscribed without a signature, though it is locked: %s", got)
	}
	_, err = s.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: sub})
	must(t, err)
}

func publish(t *testing.T, s *server, arn *string) error {
	_, err := s.Publish(t.Context(), &sns.PublishInput{TopicArn: arn, Message: awssdk.String("x")})
	return err
}

// TestPages lists more topics and subscriptions than a page has.
func TestPages(t *testing.T) {
	s := start(t, topic.Options{})
	for i := range 101 {
		s.create(t, fmt.Sprintf("t%03d", i), nil)
	}
	arn := "arn:aws:sns:us-east-1:000000000000:t050"
	for i := range 205 {
		s.subscribe(t, &arn, "sqs", fmt.Sprintf("arn:aws:sqs:us-east-1:000000000000:q%03d", i), nil)
	}
	var pages []int
	for p := sns.NewListTopicsPaginator(s.Client, &sns.ListTopicsInput{}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		must(t, err)
		pages = append(pages, len(out.Topics))
	}
	for p := sns.NewListSubscriptionsByTopicPaginator(s.Client, &sns.ListSubscriptionsByTopicInput{TopicArn: &arn}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		must(t, err)
		pages = append(pages, len(out.Subscriptions))
	}
	seen := make(map[string]bool)
	for p := sns.NewListSubscriptionsPaginator(s.Client, &sns.ListSubscriptionsInput{}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		must(t, err)
		pages = append(pages, len(out.Subscriptions))
		for _, u := range out.Subscriptions {
			seen[*u.SubscriptionArn] = true
		}
	}
	if got := fmt.Sprint(pages); got != "[100 1 100 100 5 100 100 5]" || len(seen) != 205 {
		t.Errorf("the pages have %s, and %d different subscriptions", got, len(seen))
	}
}

func TestTagsAndPermissions(t *testing.T) {
	s := start(t, topic.Options{})
	arn := s.create(t, "orders", nil)
	tag := func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} }
	_, err := s.TagResource(t.Context(), &sns.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{tag("a", "1"), tag("b", "2")}})
	must(t, err)
	_, err = s.TagResource(t.Context(), &sns.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{tag("b", ""), tag("c", "3")}})
	must(t, err)
	_, err = s.UntagResource(t.Context(), &sns.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a", "x"}})
	must(t, err)
	tags, err := s.ListTagsForResource(t.Context(), &sns.ListTagsForResourceInput{ResourceArn: arn})
	must(t, err)
	var got []string
	for _, tag := range tags.Tags {
		got = append(got, *tag.Key+"="+*tag.Value)
	}
	if s := strings.Join(got, " "); s != "b= c=3" {
		t.Errorf("the tags are %s", s)
	}
	add := &sns.AddPermissionInput{TopicArn: arn, Label: awssdk.String("p"), AWSAccountId: []string{"111122223333"}, ActionName: []string{"Publish"}}
	_, err = s.AddPermission(t.Context(), add)
	must(t, err)
	if _, err := s.AddPermission(t.Context(), add); refused(err) != "InvalidParameter: Invalid parameter: Statement already exists" {
		t.Errorf("the same label again: %v", err)
	}
	attributes, err := s.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: arn})
	must(t, err)
	want := `{"Sid":"p","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"SNS:Publish","Resource":"` + topicARN + `"}]}`
	if p := attributes.Attributes["Policy"]; !strings.HasSuffix(p, want) || !strings.Contains(p, "__default_statement_ID") {
		t.Errorf("the policy is %s", p)
	}
	_, err = s.RemovePermission(t.Context(), &sns.RemovePermissionInput{TopicArn: arn, Label: awssdk.String("p")})
	must(t, err)
	policy := `{"Name":"x","Version":"2021-06-01","Statement":[]}`
	_, err = s.PutDataProtectionPolicy(t.Context(), &sns.PutDataProtectionPolicyInput{ResourceArn: arn, DataProtectionPolicy: &policy})
	must(t, err)
	if kept, err := s.GetDataProtectionPolicy(t.Context(), &sns.GetDataProtectionPolicyInput{ResourceArn: arn}); err != nil || *kept.DataProtectionPolicy != policy {
		t.Errorf("the data-protection policy is %v, %v", kept, err)
	}
}

// TestAccounts: where policies are enforced, other accounts do what the policy of the topic lets them do.
func TestAccounts(t *testing.T) {
	s := start(t, topic.Options{Policies: true})
	arn := s.create(t, "orders", nil)
	other := client(s.url, "111122223333")
	denied := "AuthorizationError: User: arn:aws:iam::111122223333:root is not authorized to perform: SNS:Publish on resource: " + topicARN +
		" because no resource-based policy allows the SNS:Publish action"
	if _, err := other.Publish(t.Context(), &sns.PublishInput{TopicArn: arn, Message: awssdk.String("x")}); refused(err) != denied {
		t.Errorf("a stranger: %v", err)
	}
	_, err := s.AddPermission(t.Context(), &sns.AddPermissionInput{TopicArn: arn, Label: awssdk.String("p"), AWSAccountId: []string{"111122223333"}, ActionName: []string{"Publish"}})
	must(t, err)
	_, err = other.Publish(t.Context(), &sns.PublishInput{TopicArn: arn, Message: awssdk.String("x")})
	must(t, err)
	if _, err := other.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: arn}); !strings.HasPrefix(refused(err), "AuthorizationError") {
		t.Errorf("a publisher deletes the topic: %v", err)
	}
	// The queue of another account has to confirm.
	s.subscribe(t, arn, "sqs", "arn:aws:sqs:us-east-1:111122223333:theirs", nil)
	if n, e := s.book.last(t); n.Kind != notification.SubscriptionConfirmation || e.Targets[0].ARN != "arn:aws:sqs:us-east-1:111122223333:theirs" {
		t.Errorf("the queue of another account is told %+v", n)
	}
}

// TestPublish publishes everything that a message can have, and then on a FIFO topic.
func TestPublish(t *testing.T) {
	s := start(t, topic.Options{})
	arn := s.create(t, "orders", nil)
	s.subscribe(t, arn, "sqs", queueARN, nil)
	out, err := s.Publish(t.Context(), &sns.PublishInput{
		TargetArn: arn, Message: awssdk.String(`{"default":"d","sqs":"q","http":1}`), MessageStructure: awssdk.String("json"), Subject: awssdk.String("news"),
		MessageGroupId: awssdk.String("g"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"s": {DataType: awssdk.String("String.x"), StringValue: awssdk.String("v")}, "b": {DataType: awssdk.String("Binary"), BinaryValue: []byte{0, 255}},
		},
	})
	must(t, err)
	n, e := s.book.last(t)
	if out.SequenceNumber != nil || *out.MessageId != n.ID || e.EventID != n.ID || e.Home != "" || e.Orders != nil {
		t.Errorf("answered %+v, committed %+v", out, e)
	}
	want := &notification.Notification{
		Kind: notification.Published, ID: n.ID, Topic: n.Topic, Subject: "news", Message: "d", ByProtocol: map[target.Protocol]string{"sqs": "q"}, Group: "g",
		Attributes: map[string]notification.Attribute{"s": {Type: "String.x", String: "v"}, "b": {Type: "Binary", Binary: []byte{0, 255}}}, Published: n.Published,
	}
	if diff := cmp.Diff(want, n); diff != "" {
		t.Errorf("the message (-want +got):\n%s", diff)
	}

	fifo := s.create(t, "orders.fifo", map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	publish := func(message, group string, dedupe *string) (id, sequence string) {
		t.Helper()
		out, err := s.Publish(t.Context(), &sns.PublishInput{TopicArn: fifo, Message: &message, MessageGroupId: &group, MessageDeduplicationId: dedupe})
		must(t, err)
		return *out.MessageId, *out.SequenceNumber
	}
	id1, seq1 := publish("Test", "a", nil)
	id2, seq2 := publish("other", "a", awssdk.String("532eaabd9574880dbf76b9b8cc00832c20a6ec113d682299550d7a6e0f345e25"))
	if id1 != id2 || seq1 != seq2 {
		t.Errorf("the SHA-256 of the message names another one: %s %s, %s %s", id1, seq1, id2, seq2)
	}
	if id3, seq3 := publish("Test", "b", awssdk.String("x")); id3 == id1 || seq3 <= seq1 || len(seq3) != 20 {
		t.Errorf("after %s comes %s", seq1, seq3)
	}
	_, err = s.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: fifo, AttributeName: awssdk.String("FifoThroughputScope"), AttributeValue: awssdk.String("MessageGroup")})
	must(t, err)
	id4, _ := publish("y", "a", awssdk.String("x"))
	id5, _ := publish("y", "b", awssdk.String("x"))
	if id4 == id5 {
		t.Error("messages of two groups are one, though only those of a group are compared")
	}
	s.subscribe(t, fifo, "sqs", queueARN+".fifo", nil)
	id6, seq6 := publish("z", "a", nil)
	n, e = s.book.last(t)
	if n.ID != id6 || n.Sequence != seq6 || n.Group != "a" || len(n.Dedupe) != 64 || e.Home == "" || e.Orders[0] == 0 {
		t.Errorf("answered %s %s, committed %+v: %+v", id6, seq6, e, n)
	}
}

func TestBatch(t *testing.T) {
	s := start(t, topic.Options{})
	arn := s.create(t, "orders", nil)
	s.subscribe(t, arn, "sqs", queueARN, nil)
	entry := func(id, message string) types.PublishBatchRequestEntry {
		return types.PublishBatchRequestEntry{Id: &id, Message: &message}
	}
	out, err := s.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: arn, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
		entry("a", "1"), entry("b", ""), entry("c", "3"),
	}})
	must(t, err)
	if len(out.Successful) != 2 || *out.Successful[1].Id != "c" || len(out.Failed) != 1 || *out.Failed[0].Id != "b" || !out.Failed[0].SenderFault ||
		*out.Failed[0].Code+" "+*out.Failed[0].Message != "InvalidParameter Invalid parameter: Empty message" {
		t.Errorf("answered %+v, %+v", out.Successful, out.Failed)
	}
	if s.book.count() != 2 {
		t.Errorf("%d messages were committed", s.book.count())
	}
}
