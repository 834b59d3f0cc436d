package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rialto-events/rialto/internal/server"
	"github.com/rialto-events/rialto/internal/targets/kafka"
	"github.com/rialto-events/rialto/internal/targets/lambda"
)

// One event reaches a function, a log file and a topic, in whose ARNs there is nothing but names that the operator gave.
func TestKindsThatAreConfigured(t *testing.T) {
	invoked := make(chan string, 10)
	function := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		invoked <- string(b)
	}))
	t.Cleanup(function.Close)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	logs := t.TempDir()
	url, _ := start(t, server.Config{
		LogDir:    logs,
		Functions: map[string]lambda.Function{"billing": {URL: function.URL}},
		Kafka:     map[string]kafka.Cluster{"edge": {Brokers: cluster.ListenAddrs()}},
	})
	api := eventbridge.New(eventbridge.Options{
		BaseEndpoint: aws.String(url), Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if _, err := api.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["shop"]}`)}); err != nil {
		t.Fatal(err)
	}
	var targets []types.Target
	for id, arn := range map[string]string{
		"f": "arn:aws:lambda:us-east-1:000000000000:function:billing", "l": "arn:aws:logs:us-east-1:000000000000:log-group:orders", "k": "arn:rialto:kafka:::edge/orders",
	} {
		targets = append(targets, types.Target{Id: aws.String(id), Arn: aws.String(arn)})
	}
	if _, err := api.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: targets}); err != nil {
		t.Fatal(err)
	}
	put, err := api.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("shop"), DetailType: aws.String("paid"), Detail: aws.String(`{"total":42.5}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	id := *put.Entries[0].EventId

	if got := <-invoked; !strings.Contains(got, id) {
		t.Errorf("the function got %s", got)
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumer.Close)
	if got := consumer.PollFetches(t.Context()).Records(); len(got) != 1 || string(got[0].Key) != id {
		t.Errorf("the topic has %v", got)
	}
	var line struct{ EventID string }
	if err := json.Unmarshal(awaitLine(t, filepath.Join(logs, "000000000000", "us-east-1", "orders.jsonl")), &line); err != nil || line.EventID != id {
		t.Errorf("the log file has %+v, %v", line, err)
	}
}

// awaitLine waits for the first line of a file.
func awaitLine(t *testing.T, path string) []byte {
	t.Helper()
	giveUp := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(b), "\n") {
			return b
		}
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("there is no line in %s", path)
		}
	}
}
