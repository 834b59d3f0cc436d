package sqsapi_test

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/aws/sqsapi"
	"github.com/rialto-events/rialto/internal/journal"
)

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: new("String"), StringValue: &s}
}

// receive returns up to ten messages with everything that can be asked for.
func (s *server) receive(t testing.TB, url *string) []types.Message {
	t.Helper()
	out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"All"},
	})
	must(t, err)
	return out.Messages
}

func TestAMessageComesAsItWasSent(t *testing.T) {
	s := start(t)
	url := s.create(t, "orders", nil)
	before := time.Now().UnixMilli()
	attributes := map[string]types.MessageAttributeValue{
		"text":   text("grüß Gott"),
		"count":  {DataType: new("Number.int"), StringValue: new("42")},
		"bytes":  {DataType: new("Binary"), BinaryValue: []byte{0, 1, 255}},
		"a.b-c_": text("x"),
	}
	sent, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: url, MessageBody: new("{\"id\": 1}\n😀"), MessageAttributes: attributes, MessageGroupId: new("tenant-1"),
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: new("String"), StringValue: new("Root=1-5759e988-bd862e3fe1be46a994272793")},
		},
	})
	must(t, err)
	got := s.receive(t, url)
	if len(got) != 1 {
		t.Fatalf("received %d messages", len(got))
	}
	m := got[0]
	if *m.Body != "{\"id\": 1}\n😀" || *m.MessageId != *sent.MessageId || *m.MD5OfBody != *sent.MD5OfMessageBody || *m.MD5OfMessageAttributes != *sent.MD5OfMessageAttributes {
		t.Errorf("sent as %+v, received %+v", sent, m)
	}
	for name, want := range attributes {
		a := m.MessageAttributes[name]
		if *a.DataType != *want.DataType || awssdk.ToString(a.StringValue) != awssdk.ToString(want.StringValue) || !slices.Equal(a.BinaryValue, want.BinaryValue) {
			t.Errorf("attribute %s came as %+v", name, a)
		}
	}
	for _, name := range []string{"SentTimestamp", "ApproximateFirstReceiveTimestamp"} {
		if ms, err := strconv.ParseInt(m.Attributes[name], 10, 64); err != nil || ms < before || ms > time.Now().UnixMilli() {
			t.Errorf("%s is %q", name, m.Attributes[name])
		}
		delete(m.Attributes, name)
	}
	want := map[string]string{
		"SenderId": "000000000000", "ApproximateReceiveCount": "1", "MessageGroupId": "tenant-1", "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793",
	}
	if !maps.Equal(m.Attributes, want) {
		t.Errorf("system attributes are %v, want %v", m.Attributes, want)
	}
}

// The digests are those of spec/sqs-sns.md, A3.1.
func TestDigests(t *testing.T) {
	s := start(t)
	url := s.create(t, "orders", nil)
	for _, tc := range []struct {
		attributes map[string]types.MessageAttributeValue
		want       string
	}{
		{map[string]types.MessageAttributeValue{"MyAttribute": text("foobar")}, "adb59cd4678ea5a855436b949cd07ab6"},
		{map[string]types.MessageAttributeValue{"Foo": text("Bar")}, "ae7155c6026991b6d54b11589678bf9c"},
		{map[string]types.MessageAttributeValue{"b": text("x"), "a": {DataType: new("Number"), StringValue: new("1")}}, "e5e42f7f96f253b33263b68e9bd6530c"},
	} {
		out, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: new("foobar"), MessageAttributes: tc.attributes})
		must(t, err)
		if *out.MD5OfMessageBody != "3858f62230ac3c915f300c664312c63f" || *out.MD5OfMessageAttributes != tc.want {
			t.Errorf("digests are %s and %s, want one of %s", *out.MD5OfMessageBody, *out.MD5OfMessageAttributes, tc.want)
		}
	}
}

func TestOnlyWhatIsAskedForIsShown(t *testing.T) {
	s := start(t)
	url := s.create(t, "orders", map[string]string{"VisibilityTimeout": "0"})
	_, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: new("x"), MessageAttributes: map[string]types.MessageAttributeValue{
		"foo": text("1"), "foo.one": text("2"), "foo.two": text("3"), "bar": text("4"),
	}})
	must(t, err)
	for _, tc := range []struct {
		asked, want []string
	}{
		{nil, nil},
		{[]string{"All"}, []string{"bar", "foo", "foo.one", "foo.two"}},
		{[]string{".*"}, []string{"bar", "foo", "foo.one", "foo.two"}},
		{[]string{"bar", "none"}, []string{"bar"}},
		{[]string{"foo.*"}, []string{"foo", "foo.one", "foo.two"}},
		{[]string{"foo.o.*", "bar"}, []string{"bar", "foo.one"}},
	} {
		out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: tc.asked})
		must(t, err)
		m := out.Messages[0]
		if got := slices.Sorted(maps.Keys(m.MessageAttributes)); !slices.Equal(got, tc.want) {
			t.Errorf("asked for %q, got %q, want %q", tc.asked, got, tc.want)
		}
		if (m.MD5OfMessageAttributes == nil) != (tc.want == nil) || m.Attributes != nil {
			t.Errorf("asked for %q, got the digest %v and the system attributes %v", tc.asked, m.MD5OfMessageAttributes, m.Attributes)
		}
	}
	out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"SenderId"}})
	must(t, err)
	if got := out.Messages[0].Attributes; !maps.Equal(got, map[string]string{"SenderId": "000000000000"}) {
		t.Errorf("asked for SenderId by the old name, got %v", got)
	}
}

func TestBatches(t *testing.T) {
	s := start(t)
	url := s.create(t, "orders", nil)
	var entries []types.SendMessageBatchRequestEntry
	for i := range 10 {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: new(fmt.Sprint(i)), MessageBody: new(fmt.Sprint("body ", i))})
	}
	entries[3].MessageBody = new("\x00")
	sent, err := s.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries})
	must(t, err)
	if len(sent.Successful) != 9 || len(sent.Failed) != 1 || *sent.Failed[0].Id != "3" || *sent.Failed[0].Code != "InvalidMessageContents" {
		t.Errorf("sent %+v, failed %+v", sent.Successful, sent.Failed)
	}
	got := s.receive(t, url)
	if len(got) != 9 || *got[0].Body != "body 0" || *got[8].Body != "body 9" {
		t.Fatalf("received %d messages", len(got))
	}
	var changes []types.ChangeMessageVisibilityBatchRequestEntry
	var deletes []types.DeleteMessageBatchRequestEntry
	for i, m := range got {
		id := new(fmt.Sprint(i))
		if i < 5 {
			deletes = append(deletes, types.DeleteMessageBatchRequestEntry{Id: id, ReceiptHandle: m.ReceiptHandle})
			continue
		}
		changes = append(changes, types.ChangeMessageVisibilityBatchRequestEntry{Id: id, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
	}
	for range 2 { // deleting again is no error
		deleted, err := s.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: deletes})
		must(t, err)
		if len(deleted.Successful) != 5 || len(deleted.Failed) != 0 {
			t.Errorf("deleted %+v, failed %+v", deleted.Successful, deleted.Failed)
		}
	}
	changes = append(changes, types.ChangeMessageVisibilityBatchRequestEntry{Id: new("gone"), ReceiptHandle: deletes[0].ReceiptHandle, VisibilityTimeout: 5})
	changed, err := s.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: changes})
	must(t, err)
	want := "Value " + *deletes[0].ReceiptHandle + " for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change."
	if len(changed.Successful) != 4 || len(changed.Failed) != 1 || *changed.Failed[0].Code != "InvalidParameterValue" || *changed.Failed[0].Message != want {
		t.Errorf("changed %+v, failed %+v", changed.Successful, changed.Failed)
	}
	if got := s.receive(t, url); len(got) != 4 || got[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("received %d messages again", len(got))
	}

	half := strings.Repeat("x", 600_000)
	_, err = s.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
		{Id: new("a"), MessageBody: &half}, {Id: new("b"), MessageBody: &half},
	}})
	if want := "Batch requests cannot be longer than 1048576 bytes. You have sent 1200000 bytes."; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a batch that is too long got %v", err)
	}
	s.send(t, url, strings.Repeat("x", 1<<20))
}

// Handles of another queue, and those that are cut short, are refused.
func TestForeignHandles(t *testing.T) {
	s := start(t)
	url, other := s.create(t, "orders", nil), s.create(t, "other", nil)
	s.send(t, url, "x")
	handle := *s.receive(t, url)[0].ReceiptHandle
	for _, h := range []string{handle, handle[:len(handle)-4], "AQ==", "!"} {
		_, err := s.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: other, ReceiptHandle: &h})
		if err == nil || !strings.Contains(err.Error(), "ReceiptHandleIsInvalid: The input receipt handle is invalid.") {
			t.Errorf("handle %q got %v", h, err)
		}
	}
}

// attributes returns all attributes of a queue but the times, which must be sensible.
func (s *server) attributes(t *testing.T, url *string) map[string]string {
	t.Helper()
	out, err := s.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}})
	must(t, err)
	for _, name := range []string{"CreatedTimestamp", "LastModifiedTimestamp"} {
		if n, err := strconv.ParseInt(out.Attributes[name], 10, 64); err != nil || time.Since(time.Unix(n, 0)) > time.Minute {
			t.Errorf("%s is %q", name, out.Attributes[name])
		}
		delete(out.Attributes, name)
	}
	return out.Attributes
}

func TestAttributesAreEchoed(t *testing.T) {
	s := start(t)
	url := s.create(t, "orders", nil)
	want := map[string]string{
		"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesDelayed": "0", "ApproximateNumberOfMessagesNotVisible": "0",
		"DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600", "QueueArn": "arn:aws:sqs:eu-west-1:000000000000:orders",
		"ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true", "VisibilityTimeout": "30",
	}
	if got := s.attributes(t, url); !maps.Equal(got, want) {
		t.Errorf("attributes are %v, want %v", got, want)
	}
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}}`
	for _, step := range []struct{ set, want map[string]string }{
		{
			map[string]string{"DelaySeconds": "5", "MaximumMessageSize": "262144", "Policy": policy},
			map[string]string{"DelaySeconds": "5", "MaximumMessageSize": "262144", "Policy": policy},
		},
		{ // KMS turns the queue's own encryption off; the usual period is not shown
			map[string]string{"KmsMasterKeyId": "alias/aws/sqs", "KmsDataKeyReusePeriodSeconds": "300", "DelaySeconds": "0"},
			map[string]string{"KmsMasterKeyId": "alias/aws/sqs", "SqsManagedSseEnabled": "false", "DelaySeconds": "0"},
		},
		{map[string]string{"KmsMasterKeyId": "", "SqsManagedSseEnabled": "true", "Policy": ""}, map[string]string{"SqsManagedSseEnabled": "true"}},
		{map[string]string{"SqsManagedSseEnabled": "false"}, map[string]string{"SqsManagedSseEnabled": "false"}},
	} {
		_, err := s.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: step.set})
		must(t, err)
		maps.Copy(want, step.want)
		for name, value := range step.set {
			if value == "" {
				delete(want, name)
			}
		}
		if got := s.attributes(t, url); !maps.Equal(got, want) {
			t.Errorf("after %v the attributes are %v, want %v", step.set, got, want)
		}
	}
	s.send(t, url, "a", "b", "c")
	_, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: new("late"), DelaySeconds: 60})
	must(t, err)
	_, err = s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url})
	must(t, err)
	want["ApproximateNumberOfMessages"], want["ApproximateNumberOfMessagesNotVisible"], want["ApproximateNumberOfMessagesDelayed"] = "2", "1", "1"
	if got := s.attributes(t, url); !maps.Equal(got, want) {
		t.Errorf("with messages the attributes are %v, want %v", got, want)
	}
}

func TestListsComeInPages(t *testing.T) {
	s := start(t)
	dead := s.create(t, "dead", nil)
	policy := `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dead","maxReceiveCount":3}`
	for i := range 25 {
		s.create(t, fmt.Sprintf("q%02d", i), map[string]string{"RedrivePolicy": policy})
	}
	var listed, sources int
	for p := sqs.NewListQueuesPaginator(s.Client, &sqs.ListQueuesInput{QueueNamePrefix: new("q"), MaxResults: new(int32(10))}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		must(t, err)
		for _, url := range out.QueueUrls {
			if want := fmt.Sprintf("%s/000000000000/q%02d", s.url, listed); url != want {
				t.Errorf("listed %s, want %s", url, want)
			}
			listed++
		}
	}
	for p := sqs.NewListDeadLetterSourceQueuesPaginator(s.Client, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead, MaxResults: new(int32(7))}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		must(t, err)
		sources += len(out.QueueUrls)
	}
	if listed != 25 || sources != 25 {
		t.Errorf("listed %d queues and %d sources, want 25", listed, sources)
	}
}

func TestAccountsAreApart(t *testing.T) {
	s := start(t)
	s.create(t, "orders", nil)
	other := client(s.url, "111122223333")
	out, err := other.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	must(t, err)
	if len(out.QueueUrls) != 0 {
		t.Errorf("another account sees %q", out.QueueUrls)
	}
	created, err := other.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("orders")})
	must(t, err)
	if want := s.url + "/111122223333/orders"; *created.QueueUrl != want {
		t.Errorf("the URL is %s, want %s", *created.QueueUrl, want)
	}

	// Who knows the URL may use the queue, unless callers are kept to their own.
	s.send(t, created.QueueUrl, "from another account")
	strict := httptest.NewServer(aws.NewHandler(aws.Options{}, sqsapi.New(s.queues, sqsapi.Options{OwnQueuesOnly: true}).Service()))
	defer strict.Close()
	kept := client(strict.URL, "000000000000")
	arn := new("arn:aws:sqs:eu-west-1:111122223333:orders")
	for name, call := range map[string]func() error{
		"SendMessage": func() error {
			_, err := kept.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: created.QueueUrl, MessageBody: new("x")})
			return err
		},
		"ReceiveMessage": func() error {
			_, err := kept.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: new("/111122223333/none")})
			return err
		},
		"GetQueueUrl": func() error {
			_, err := kept.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: new("orders"), QueueOwnerAWSAccountId: new("111122223333")})
			return err
		},
		"ListMessageMoveTasks": func() error {
			_, err := kept.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: arn})
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("%s of another account's queue got %v", name, err)
		}
	}
	must(t, func() error {
		_, err := client(strict.URL, "111122223333").SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: created.QueueUrl, MessageBody: new("x")})
		return err
	}())
}

func TestLongPollOverHTTP(t *testing.T) {
	s := start(t)
	url := s.create(t, "orders", nil)
	got := make(chan string)
	go func() {
		out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 1 {
			t.Errorf("received %v, %v", out, err)
			close(got)
			return
		}
		got <- *out.Messages[0].Body
	}()
	s.send(t, url, "x")
	if body := <-got; body != "x" {
		t.Errorf("received %q", body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := s.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
		ended <- err
	}()
	cancel()
	if err := <-ended; err == nil {
		t.Error("a receive whose caller went away had a result")
	}

	// A server that ends gives those who wait an empty answer.
	caller := &aws.Request{Scope: rialto.Scope{Account: "000000000000", Region: "eu-west-1"}}
	out, err := sqsapi.New(s.queues, sqsapi.Options{}).ReceiveMessage(aws.WithCaller(ctx, caller), &sqsapi.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: new(int32(20))})
	if err != nil || out.Messages != nil {
		t.Errorf("at the end a receive got %v, %v", out, err)
	}
}

// What was sent, hidden and counted before an orderly stop or a crash is so afterwards.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	open := func() journal.Journal {
		j, err := journal.OpenEmbedded(t.Context(), dir, journal.Options{})
		must(t, err)
		return j
	}
	j := open()
	clock := newClock()
	s := startOn(t, j, clock)
	url := s.create(t, "orders", map[string]string{"VisibilityTimeout": "60"})
	s.send(t, url, "hidden", "visible")
	first, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url})
	must(t, err)
	handle := first.Messages[0].ReceiptHandle
	s.stop()
	must(t, j.Close(context.Background()))

	j = open()
	defer func() { must(t, j.Close(context.Background())) }()
	s = startOn(t, j, clock)
	defer s.stop()
	url, _ = awssdk.String(s.url+"/000000000000/orders"), url
	if got := s.receive(t, url); len(got) != 1 || *got[0].Body != "visible" {
		t.Fatalf("after a restart %d messages were received", len(got))
	}
	clock.forward(time.Minute)
	got := s.receive(t, url)
	if len(got) != 2 || *got[0].Body != "hidden" || got[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("after the timeout %d messages were received", len(got))
	}
	_, err = s.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: handle}) // of before the restart
	must(t, err)
	clock.forward(time.Minute)
	if got := s.receive(t, url); len(got) != 1 || *got[0].Body != "visible" {
		t.Errorf("after the delete %d messages were received", len(got))
	}
}

func TestDeadLettersComeBack(t *testing.T) {
	s := start(t)
	dead := s.create(t, "dead", nil)
	const arn = "arn:aws:sqs:eu-west-1:000000000000:"
	url := s.create(t, "orders", map[string]string{
		"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `dead","maxReceiveCount":1}`,
	})
	s.send(t, url, "poison")
	s.receive(t, url)
	if got := s.receive(t, url); len(got) != 0 {
		t.Fatalf("received %d messages once too often", len(got))
	}
	out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: dead, WaitTimeSeconds: 20, VisibilityTimeout: 1, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	must(t, err)
	if a := out.Messages[0].Attributes; a["DeadLetterQueueSourceArn"] != arn+"orders" || a["ApproximateReceiveCount"] != "2" {
		t.Errorf("the dead letter has %v", a)
	}
	_, err = s.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: dead, ReceiptHandle: out.Messages[0].ReceiptHandle})
	must(t, err)
	_, err = s.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: new(arn + "dead")})
	must(t, err)
	out, err = s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
	must(t, err)
	if len(out.Messages) != 1 || *out.Messages[0].Body != "poison" {
		t.Errorf("%d messages came back", len(out.Messages))
	}
	tasks, err := s.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: new(arn + "dead")})
	must(t, err)
	if len(tasks.Results) != 1 || *tasks.Results[0].ApproximateNumberOfMessagesToMove != 1 {
		t.Errorf("the tasks are %+v", tasks.Results)
	}
}

var _ rialto.Clock = (*clock)(nil)
