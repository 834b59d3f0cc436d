package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/child"
	"github.com/rialto-events/rialto/bench/wire"
	"github.com/rialto-events/rialto/target/targettest/hostile"
)

// BenchmarkWall measures what destinations that misbehave in every way that package hostile knows cost a hundred good ones: the p99 from
// PutEvents to the arrival, without and with them, and the memory of the binary. Each of the bad must end as its rule says.
func BenchmarkWall(b *testing.B) {
	binary, err := child.Build(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	w := wall(b, binary, 100, b.N)
	b.ReportMetric(milliseconds(w.alone.p50), "alone-p50-ms")
	b.ReportMetric(milliseconds(w.alone.p99), "alone-p99-ms")
	b.ReportMetric(milliseconds(w.beside.p50), "beside-p50-ms")
	b.ReportMetric(milliseconds(w.beside.p99), "beside-p99-ms")
	b.ReportMetric(float64(w.beside.p99)/float64(w.alone.p99), "ratio")
	b.ReportMetric(float64(w.memory)/1e6, "MB")
	b.ReportMetric(0, "ns/op") // the pace is set
}

const (
	badEvery   = 4 // as many events for the good ones are followed by one for the next of the bad: 50 a second
	badRetries = 1
	wallRounds = 10
	badPatient = 90 * time.Second // without one of the bad having ended: those that never answer get them one by one, two attempts of five seconds each
)

type wallFigures struct {
	alone, beside figures
	memory        int64 // the most resident bytes that the server had
}

// wall puts n events for the good ones at a steady pace, alone and beside the bad ones in turns. The figures are those of all rounds of a sort
// together: a stall of the disk, of which there are some in a minute, hits either.
func wall(tb testing.TB, binary string, good, n int) wallFigures {
	tb.Helper()
	address, err := child.FreeAddress()
	if err != nil {
		tb.Fatal(err)
	}
	p, err := child.Start(tb.Context(), binary, filepath.Join(tb.TempDir(), "data"), address, io.Discard)
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Kill()
	var current atomic.Pointer[race]
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			current.Load().arrived(body)
		}
	}))
	defer endpoint.Close()
	client := wire.New(p.URL, 128)
	defer client.Close()
	s := site{tb, client}
	s.prepare()
	for i := range good {
		name := fmt.Sprintf("good-%d", i)
		s.target(name, endpoint.URL+"/"+name, nil)
	}
	kinds := hostile.Kinds()
	for i, k := range kinds {
		h := k.Start()
		defer h.Close()
		s.target(fmt.Sprintf("bad-%d", i), h.URL, map[string]any{
			"RetryPolicy":      map[string]any{"MaximumRetryAttempts": badRetries},
			"DeadLetterConfig": map[string]any{"Arn": "arn:aws:sqs:us-east-1:000000000000:dead"},
		})
	}
	put := make([]int, len(kinds)) // events for each of the bad
	bad := func(n int) (source string, ok bool) {
		if n%badEvery > 0 {
			return "", false
		}
		k := n / badEvery % len(kinds)
		put[k]++
		return fmt.Sprintf("bad-%d", k), true
	}

	var w wallFigures
	alone := func(int) (string, bool) { return "", false }
	current.Store(newRace(2 * good))
	current.Load().paced(tb, client, good, alone) // the first event of each is slower: it makes connections
	var without, with []time.Duration
	start := time.Now()
	for range wallRounds {
		for _, turn := range []struct {
			bad  func(int) (string, bool)
			took *[]time.Duration
		}{{alone, &without}, {bad, &with}} {
			r := newRace(n)
			current.Store(r)
			r.paced(tb, client, good, turn.bad)
			*turn.took = append(*turn.took, r.took...)
		}
	}
	w.alone, w.beside = figuresOf(without, time.Since(start)), figuresOf(with, time.Since(start))
	_, w.memory = memory(tb, p.PID())
	s.wantEnds(p.URL, kinds, put)
	return w
}

// A site defines things on a server.
type site struct {
	testing.TB
	client *wire.Client
}

func (s site) call(operation string, in map[string]any, out any) {
	s.Helper()
	if err := s.client.Call(s.Context(), operation, in, out); err != nil {
		s.Fatalf("%s: %v", operation, err)
	}
}

const siteConnection = "site"

// prepare makes a queue for dead letters, and a connection.
func (s site) prepare() {
	s.Helper()
	s.call("AmazonSQS.CreateQueue", map[string]any{"QueueName": "dead"}, nil)
	s.call("AWSEvents.CreateConnection", map[string]any{"Name": siteConnection, "AuthorizationType": "API_KEY",
		"AuthParameters": map[string]any{"ApiKeyAuthParameters": map[string]any{"ApiKeyName": "X-Api-Key", "ApiKeyValue": "secret"}}}, nil)
}

// target makes a destination for a URL, and a rule that brings it the events whose source is its name.
func (s site) target(name, url string, more map[string]any) {
	s.Helper()
	var c struct{ ConnectionArn string }
	s.call("AWSEvents.DescribeConnection", map[string]any{"Name": siteConnection}, &c)
	var d struct{ ApiDestinationArn string }
	s.call("AWSEvents.CreateApiDestination", map[string]any{"Name": name, "ConnectionArn": c.ConnectionArn, "HttpMethod": "POST",
		"InvocationEndpoint": url, "InvocationRateLimitPerSecond": rate}, &d)
	target := map[string]any{"Id": name, "Arn": d.ApiDestinationArn, "RoleArn": "arn:aws:iam::000000000000:role/site"}
	for k, v := range more {
		target[k] = v
	}
	s.call("AWSEvents.PutRule", map[string]any{"Name": name, "EventPattern": `{"source":["` + name + `"]}`}, nil)
	s.call("AWSEvents.PutTargets", map[string]any{"Rule": name, "Targets": []any{target}}, nil)
}

// wantEnds waits until every event for the bad ones has ended, and fails unless it was as its kind and its rule say: taken, or a dead
// letter, after as many attempts as it may have had.
func (s site) wantEnds(url string, kinds []hostile.Kind, put []int) {
	s.Helper()
	wanted := 0
	for i, k := range kinds {
		if k.End != hostile.Taken {
			wanted += put[i]
		}
	}
	dead := make([]int, len(kinds))
	last := time.Now()
	for got := 0; got < wanted; {
		n := s.deadLetters(s.Context(), url, kinds, dead)
		got += n
		if n > 0 {
			last = time.Now()
		} else if time.Since(last) > badPatient {
			s.Fatalf("%d of %d events for the bad ones have ended: %v of %v", got, wanted, dead, put)
		}
	}
	for i, k := range kinds {
		if want := put[i]; k.End != hostile.Taken && dead[i] != want {
			s.Errorf("%s: %d dead letters of %d events", k.Name, dead[i], want)
		}
		if k.End == hostile.Taken && dead[i] > 0 {
			s.Errorf("%s: %d dead letters, although the destination takes events", k.Name, dead[i])
		}
	}
}

// deadLetters takes some dead letters and counts them by the kind of destination that they were for.
func (s site) deadLetters(ctx context.Context, url string, kinds []hostile.Kind, dead []int) (n int) {
	s.Helper()
	queue := url + "/000000000000/dead"
	var got struct {
		Messages []struct {
			Body, ReceiptHandle string
			MessageAttributes   map[string]struct{ StringValue string }
		}
	}
	err := s.client.Call(ctx, "AmazonSQS.ReceiveMessage", map[string]any{
		"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, "MessageAttributeNames": []string{"All"}}, &got)
	if err != nil {
		return 0
	}
	for _, m := range got.Messages {
		var event struct{ Source string }
		if err := json.Unmarshal([]byte(m.Body), &event); err != nil {
			s.Fatal(err)
		}
		var i int
		if _, err := fmt.Sscanf(event.Source, "bad-%d", &i); err != nil {
			s.Fatalf("a dead letter of %q", event.Source)
		}
		dead[i]++
		retries := m.MessageAttributes["RETRY_ATTEMPTS"].StringValue
		exhausted := m.MessageAttributes["EXHAUSTED_RETRY_CONDITION"].StringValue
		switch kind := kinds[i]; {
		case kind.End == hostile.Permanent && exhausted != "",
			kind.End == hostile.TryAgain && exhausted == "",
			exhausted == "MaximumRetryAttempts" && retries != fmt.Sprint(badRetries):
			s.Errorf("%s: ended by %q after %q retries, with %s: %s", kind.Name, exhausted, retries,
				m.MessageAttributes["ERROR_CODE"].StringValue, m.MessageAttributes["ERROR_MESSAGE"].StringValue)
		}
		s.call("AmazonSQS.DeleteMessage", map[string]any{"QueueUrl": queue, "ReceiptHandle": m.ReceiptHandle}, nil)
	}
	return len(got.Messages)
}
