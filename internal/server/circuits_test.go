package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto/internal/server"
)

// A circuit is what the API says of one.
type circuit struct {
	ARN, State, Reason, By string
	Forced                 bool
	Parked                 int
}

// setCircuit decides about the circuit of a destination, and returns the status and the answer.
func setCircuit(t *testing.T, base, arn, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, base+"/_rialto/v1/circuits/"+arn, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(answer)
}

// TestCircuits opens the circuit of a queue by hand, over a restart, and hears of it on the default bus.
func TestCircuits(t *testing.T) {
	dir := t.TempDir()
	base, stop := start(t, server.Config{DataDir: dir})
	q, eb := queues(base, "us-east-1", "test"), events(base, "us-east-1", "test", "test")
	made := make(map[string]string) // URLs by name
	for name, pattern := range map[string]string{
		"billing": `{"source":["shop"]}`, "operations": `{"source":["rialto"],"detail-type":[{"prefix":"Destination Circuit "}]}`,
	} {
		out, err := q.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		made[name] = *out.QueueUrl
		if _, err := eb.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern}); err != nil {
			t.Fatal(err)
		}
		_, err = eb.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &name, Targets: []types.Target{
			{Id: aws.String("q"), Arn: aws.String("arn:aws:sqs:us-east-1:000000000000:" + name)},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	billing := "arn:aws:sqs:us-east-1:000000000000:billing"
	status, answer := setCircuit(t, base, url.PathEscape(billing), `{"mode":"open","reason":"migration"}`)
	if status != http.StatusOK || !strings.Contains(answer, `"state":"open","forced":true`) || !strings.Contains(answer, `"reason":"migration"`) {
		t.Errorf("the answer is %d %s", status, answer)
	}
	wantNews(t, q, made["operations"], "Destination Circuit Opened", "closed", "migration", 0)
	if _, err := eb.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")}); err != nil {
		t.Fatal(err)
	}
	stop()
	base, _ = start(t, server.Config{DataDir: dir})
	q = queues(base, "us-east-1", "test")
	var list struct{ Circuits []circuit }
	for end := time.Now().Add(10 * time.Second); ; { // what has waited is handed out a moment after the start
		getJSON(t, base+"/_rialto/v1/circuits", &list)
		if i := find(list.Circuits, billing); i >= 0 && list.Circuits[i].Parked == 1 {
			if c := list.Circuits[i]; c.State != "open" || !c.Forced || c.Reason != "migration" || !strings.Contains(c.By, "000000000000") {
				t.Errorf("after a restart the circuit is %+v", c)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after a restart the circuits are %+v", list.Circuits)
		}
	}
	var stats struct {
		Destinations []struct {
			ARN, Circuit            string
			Waiting, Parked, Window int
		}
	}
	getJSON(t, base+"/_rialto/v1/destinations", &stats)
	for _, d := range stats.Destinations {
		if d.ARN == billing && (d.Circuit != "open" || d.Parked != 1 || d.Waiting != 1 || d.Window != 64) {
			t.Errorf("the destination is %+v", d)
		}
	}
	if status, answer := setCircuit(t, base, billing, `{"mode":"auto"}`); status != http.StatusOK || !strings.Contains(answer, `"forced":false`) {
		t.Errorf("the answer is %d %s", status, answer)
	}
	receiveOne(t, q, strings.Replace(made["billing"], hostOf(made["billing"]), strings.TrimPrefix(base, "http://"), 1))
	operations := strings.Replace(made["operations"], hostOf(made["operations"]), strings.TrimPrefix(base, "http://"), 1)
	wantNews(t, q, operations, "Destination Circuit Half-Opened", "open", "It decides by itself again.", 1)
}

func hostOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Host
}

func find(list []circuit, arn string) int {
	for i, c := range list {
		if c.ARN == arn {
			return i
		}
	}
	return -1
}

// wantNews receives an event about the circuit of the queue billing, and deletes it.
func wantNews(t *testing.T, q *sqs.Client, queueURL, detailType, previous, reason string, parked int) {
	t.Helper()
	m := receiveOne(t, q, queueURL)
	var e struct {
		Source     string
		DetailType string `json:"detail-type"`
		Detail     struct {
			Metadata struct{ ID, Version, Domain, Service, Type string }
			Data     struct {
				ARN, State, Previous, Reason string
				Forced                       bool
				Parked                       int
				Since                        time.Time
			}
		}
	}
	if err := json.Unmarshal([]byte(*m.Body), &e); err != nil {
		t.Fatal(err)
	}
	d, meta := e.Detail.Data, e.Detail.Metadata
	if e.Source != "rialto" || e.DetailType != detailType || meta.ID == "" || meta.Version != "1" || meta.Domain != "rialto" || meta.Type != "operational" ||
		!strings.HasSuffix(d.ARN, ":billing") || d.Previous != previous || d.Reason != reason || d.Parked != parked || d.Since.IsZero() {
		t.Errorf("the event is %s", *m.Body)
	}
	if _, err := q.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &queueURL, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
}

func TestCircuitsRefuse(t *testing.T) {
	base, _ := start(t, server.Config{})
	for _, tc := range []struct{ name, arn, body, says string }{
		{"no ARN", "billing", `{"mode":"open"}`, "is not the ARN of a destination"},
		{"no mode", "arn:aws:sqs:us-east-1:000000000000:billing", `{"mode":"ajar"}`, `\"ajar\" is no mode of a circuit: it is open, closed or auto`},
		{"a mode elsewhere", "arn:aws:sqs:us-east-1:000000000000:billing", `{"state":"open"}`, "is not the JSON"},
		{"a long ARN", "arn:aws:sqs:us-east-1:000000000000:" + strings.Repeat("b", 500), `{"mode":"open","force":true}`, "The ARN has 535 bytes. Circuits can"},
		{"a long reason", "arn:aws:sqs:us-east-1:000000000000:billing", `{"mode":"open","reason":"` + strings.Repeat("x", 257) + `"}`, "more than 256"},
	} {
		if status, answer := setCircuit(t, base, tc.arn, tc.body); status != http.StatusBadRequest || !strings.Contains(answer, tc.says) {
			t.Errorf("%s: got %d %s, want %q", tc.name, status, answer, tc.says)
		}
	}
}

// TestCircuitsOfNothing refuses to decide about what nothing goes to, unless somebody insists.
func TestCircuitsOfNothing(t *testing.T) {
	base, _ := start(t, server.Config{})
	eb := events(base, "us-east-1", "test", "test")
	arn := func(name string) string { return "arn:aws:sqs:us-east-1:000000000000:" + name }
	if _, err := eb.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("paid"), EventPattern: aws.String(`{"source":["shop"]}`)}); err != nil {
		t.Fatal(err)
	}
	_, err := eb.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("paid"), Targets: []types.Target{
		{Id: aws.String("q"), Arn: aws.String(arn("billing")), DeadLetterConfig: &types.DeadLetterConfig{Arn: aws.String(arn("dead"))}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, body string
		want       int
	}{
		{"billing", `{"mode":"open"}`, http.StatusOK},
		{"dead", `{"mode":"closed"}`, http.StatusOK},
		{"biling", `{"mode":"open"}`, http.StatusNotFound},
		{"biling", `{"mode":"closed"}`, http.StatusNotFound},
		{"biling", `{"mode":"auto"}`, http.StatusOK},
		{"biling", `{"mode":"open","force":true}`, http.StatusOK},
		{"biling", `{"mode":"closed"}`, http.StatusOK}, // somebody has decided about it
		{strings.Repeat("b", 400), `{"mode":"open","force":true}`, http.StatusOK},
	} {
		if status, answer := setCircuit(t, base, arn(tc.name), tc.body); status != tc.want {
			t.Errorf("%s of %s: got %d %s, want %d", tc.body, tc.name, status, answer, tc.want)
		}
	}
}
