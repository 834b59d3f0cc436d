package kafka_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/kafka"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

var rule = rialto.Scope{Account: "000000000000", Region: "us-east-1"}.RuleARN("shop", "paid")

func definition(resource string) *target.Definition {
	return &target.Definition{ARN: "arn:rialto:kafka:::" + resource, Rule: rule, ID: "k"}
}

func startCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// produced is all that a topic has.
func produced(t *testing.T, c *kfake.Cluster, topic string, opts ...kgo.Opt) (all []*kgo.Record) {
	t.Helper()
	want := 0
	for _, p := range c.PartitionInfos(topic) {
		want += int(p.HighWatermark)
	}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(topic)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for len(all) < want {
		f := client.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Records()...)
	}
	return all
}

func open(t *testing.T, clusters map[string]kafka.Cluster) *kafka.Sender {
	t.Helper()
	s, err := kafka.New(clusters, kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// silent accepts connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// answering makes a cluster answer every record with an error, or never.
func answering(t *testing.T, code int16) *kfake.Cluster {
	c := startCluster(t, kfake.SeedTopics(1, "orders"))
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	return c
}

func TestSender(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		c := startCluster(t, kfake.SeedTopics(3, "works"))
		clusters := map[string]kafka.Cluster{
			"default": {Brokers: c.ListenAddrs()},
			"silent":  {Brokers: []string{silent(t)}},
			"none":    {Brokers: []string{"127.0.0.1:1"}},
		}
		down := definition("none/works")
		down.Timeout = 300 * time.Millisecond
		faults := map[targettest.Fault]targettest.Misbehaved{
			targettest.Hangs: {definition("silent/works")},
			targettest.Down:  {down},
			targettest.Gone: {definition("elsewhere/works"), definition("none-such-topic"), definition("no topic"), definition("default/.."),
				{ARN: "arn:aws:sqs:us-east-1:000000000000:works"}},
		}
		for name, e := range map[string]*kerr.Error{
			"denied": kerr.TopicAuthorizationFailed, "large": kerr.MessageTooLarge, "invalid": kerr.InvalidRecord, "policy": kerr.PolicyViolation,
		} {
			clusters[name] = kafka.Cluster{Brokers: answering(t, e.Code).ListenAddrs()}
			fault := targettest.Gone
			if name == "policy" { // which somebody may change
				fault = targettest.Down
			}
			faults[fault] = append(faults[fault], definition(name+"/orders"))
		}
		return targettest.Subject{
			Sender: open(t, clusters),
			Works:  definition("works"),
			Received: func() (got [][]byte) {
				for _, r := range produced(t, c, "works") {
					got = append(got, r.Value)
				}
				return got
			},
			Faults: faults,
		}
	})
}

func TestWhatIsProduced(t *testing.T) {
	c := startCluster(t, kfake.SeedTopics(8, "orders"))
	sender := open(t, map[string]kafka.Cluster{"edge": {Brokers: c.ListenAddrs()}})
	const event = `{"version":"0","id":"e-1","detail-type":"Zahlung für Ä","source":"shop","account":"000000000000",` +
		`"time":"2026-03-01T10:00:05Z","region":"us-east-1","resources":[],"detail":{"order":"o-17","total":42.50}}`
	for _, tc := range []struct {
		name    string
		format  target.Format
		orderBy string
		key     string
		headers map[string]string
		value   string
	}{
		{"as it is", "", "", "e-1", map[string]string{
			"rialto-event-id": "e-1", "rialto-rule": rule.String(), "source": "shop", "detail-type": "Zahlung für Ä",
			"X-Amzn-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
			"traceparent":     "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
		}, event},
		{"ordered", "", "$.detail.order", "o-17", nil, event},
		{"ordered by a number", "", "$.detail.total", "42.50", nil, event},
		{"ordered by nothing", "", "$.detail.customer", "e-1", nil, event},
		{"binary", target.CloudEventsBinary, "", "e-1", map[string]string{
			"ce_specversion": "1.0", "ce_id": "e-1", "ce_source": "shop", "ce_type": "Zahlung für Ä", "content-type": "application/json",
		}, `{"order":"o-17","total":42.50}`},
		{"structured", target.CloudEventsStructured, "", "e-1", map[string]string{
			"content-type": "application/cloudevents+json; charset=utf-8",
		}, `{"specversion":"1.0"`},
	} {
		d := definition("edge/orders")
		d.Format, d.OrderBy = tc.format, tc.orderBy
		m := &target.Message{Definition: d, EventID: "e-1", Event: []byte(event), Payload: []byte(event),
			Trace: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}
		before := len(produced(t, c, "orders"))
		if err := sender.Send(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		var got *kgo.Record
		for _, r := range produced(t, c, "orders") {
			if m.Answer.Head == fmt.Sprintf(`{"partition":%d,"offset":%d}`, r.Partition, r.Offset) {
				got = r
			}
		}
		if got == nil || len(produced(t, c, "orders")) != before+1 {
			t.Errorf("%s: the answer is %s, and no record is there", tc.name, m.Answer.Head)
			continue
		}
		if string(got.Key) != tc.key || !strings.HasPrefix(string(got.Value), tc.value) {
			t.Errorf("%s: got %s: %s", tc.name, got.Key, got.Value)
		}
		headers := map[string]string{}
		for _, h := range got.Headers {
			headers[h.Key] = string(h.Value)
		}
		for name, want := range tc.headers {
			if headers[name] != want {
				t.Errorf("%s: the header %s is %q, want %q", tc.name, name, headers[name], want)
			}
		}
	}
}

// Records of one key stay in one partition, in the order of the batch.
func TestOrderOfABatch(t *testing.T) {
	c := startCluster(t, kfake.SeedTopics(8, "orders"))
	d := definition("orders")
	d.OrderBy = "$.detail.order"
	var ms []*target.Message
	for i := range 200 {
		event := fmt.Appendf(nil, `{"detail":{"order":"o-%d","n":%d}}`, i%7, i)
		ms = append(ms, &target.Message{Definition: d, EventID: fmt.Sprint(i), Event: event, Payload: fmt.Append(nil, i)})
	}
	for i, err := range open(t, map[string]kafka.Cluster{"default": {Brokers: c.ListenAddrs()}}).SendBatch(t.Context(), ms) {
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	last, partition := map[string]int{}, map[string]int32{}
	for _, r := range produced(t, c, "orders") {
		var n int
		fmt.Sscan(string(r.Value), &n)
		k := string(r.Key)
		if before, ok := last[k]; ok && (n < before || partition[k] != r.Partition) {
			t.Errorf("%s: %d came after %d, in partition %d after %d", k, n, before, r.Partition, partition[k])
		}
		last[k], partition[k] = n, r.Partition
	}
	if len(last) != 7 {
		t.Errorf("there are records of %d keys, want 7", len(last))
	}
}

func TestLogin(t *testing.T) {
	c := startCluster(t, kfake.SeedTopics(1, "orders"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "rialto", "secret"), kfake.Superuser("PLAIN", "rialto", "secret"))
	wrong := kafka.Cluster{Brokers: c.ListenAddrs(), SASL: &kafka.SASL{Mechanism: "PLAIN", User: "rialto", Password: "guess"}}
	s := open(t, map[string]kafka.Cluster{
		"scram": {Brokers: c.ListenAddrs(), SASL: &kafka.SASL{Mechanism: "scram-sha-256", User: "rialto", Password: "secret"}},
		"plain": {Brokers: c.ListenAddrs(), SASL: &kafka.SASL{Mechanism: "PLAIN", User: "rialto", Password: "secret"}},
		"wrong": wrong,
	})
	for _, name := range []string{"scram", "plain"} {
		if err := s.Send(t.Context(), &target.Message{Definition: definition(name + "/orders"), EventID: "e"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := definition("wrong/orders")
	d.Timeout = 500 * time.Millisecond
	err := s.Send(t.Context(), &target.Message{Definition: d, EventID: "e"})
	if err == nil || target.Permanent(err) || strings.Contains(err.Error(), "guess") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cluster kafka.Cluster
		want    string
	}{
		{"a/b", kafka.Cluster{Brokers: []string{"x:1"}}, "a cluster has a name such as default or edge"},
		{"edge", kafka.Cluster{}, "name at least one of its brokers"},
		{"edge", kafka.Cluster{Brokers: []string{"localhost"}}, `"localhost" is no broker`},
		{"edge", kafka.Cluster{Brokers: []string{"x:1"}, SASL: &kafka.SASL{Mechanism: "GSSAPI"}}, `not "GSSAPI"`},
		{"edge", kafka.Cluster{Brokers: []string{"x:1"}, CA: "ca.pem"}, "need tls: true"},
		{"edge", kafka.Cluster{Brokers: []string{"x:1"}, TLS: true, CA: "/none.pem"}, "no such file"},
	} {
		_, err := kafka.New(map[string]kafka.Cluster{tc.name: tc.cluster}, kafka.Options{})
		if rialto.KindOf(err) != rialto.Invalid || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want %s", tc.cluster, err, tc.want)
		}
	}
}
