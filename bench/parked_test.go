package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/child"
	"github.com/rialto-events/rialto/bench/wire"
)

// BenchmarkParked measures the binary with deliveries that are parked behind an open circuit: its memory, and how long it takes to be
// ready again after kill -9. Run it with -benchtime 1000000x for the figures of the budget.
func BenchmarkParked(b *testing.B) {
	binary, err := child.Build(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	p := parked(b, binary, b.N)
	b.ReportMetric(float64(p.before)/1e6, "parked-MB")
	b.ReportMetric(float64(p.after)/1e6, "recovered-MB")
	b.ReportMetric(milliseconds(p.ready), "ready-ms")
	b.ReportMetric(0, "ns/op") // the calls are not what is measured
}

type backlog struct {
	before, after int64         // resident bytes: while they are parked, and the most since the recovery began
	ready         time.Duration // of the recovery
}

// parked has n deliveries parked, kills the server and starts it again.
func parked(tb testing.TB, binary string, n int) backlog {
	tb.Helper()
	data := filepath.Join(tb.TempDir(), "data")
	address, err := child.FreeAddress()
	if err != nil {
		tb.Fatal(err)
	}
	p, err := child.Start(tb.Context(), binary, data, address, io.Discard)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { p.Kill() }()
	arn := shut(tb, address)
	fill(tb, address, n)
	var l backlog
	wantParked(tb, address, arn, n)
	l.before, _ = memory(tb, p.PID())
	p.Kill()
	if p, err = child.Start(tb.Context(), binary, data, address, io.Discard); err != nil {
		tb.Fatal(err)
	}
	l.ready = p.Took
	wantParked(tb, address, arn, n)
	_, l.after = memory(tb, p.PID())
	return l
}

// shut makes a rule whose destination's circuit is forced open, and returns the ARN of the destination.
func shut(tb testing.TB, address string) string {
	tb.Helper()
	type object = map[string]any
	client := wire.New("http://"+address, 1)
	defer client.Close()
	var connection struct{ ConnectionArn string }
	var d struct{ ApiDestinationArn string }
	for _, call := range []struct {
		operation string
		in        func() object
		out       any
	}{
		{"AWSEvents.CreateConnection", func() object {
			return object{"Name": "shut", "AuthorizationType": "API_KEY",
				"AuthParameters": object{"ApiKeyAuthParameters": object{"ApiKeyName": "X-Api-Key", "ApiKeyValue": "secret"}}}
		}, &connection},
		{"AWSEvents.CreateApiDestination", func() object {
			return object{"Name": "shut", "ConnectionArn": connection.ConnectionArn, "HttpMethod": "POST", "InvocationEndpoint": "http://127.0.0.1:9/"}
		}, &d},
		{"AWSEvents.PutRule", func() object { return object{"Name": "all", "EventPattern": `{"source":["shop"]}`} }, nil},
		{"AWSEvents.PutTargets", func() object {
			return object{"Rule": "all", "Targets": []object{{"Id": "shut", "Arn": d.ApiDestinationArn, "RoleArn": "arn:aws:iam::000000000000:role/parked"}}}
		}, nil},
	} {
		if err := client.Call(tb.Context(), call.operation, call.in(), call.out); err != nil {
			tb.Fatalf("%s: %v", call.operation, err)
		}
	}
	own(tb, http.MethodPut, address, "circuits/"+url.PathEscape(d.ApiDestinationArn), `{"mode":"open","reason":"to be measured"}`)
	return d.ApiDestinationArn
}

// own calls the server's own API and returns the answer.
func own(tb testing.TB, method, address, path, body string) string {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, "http://"+address+"/_rialto/v1/"+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		tb.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	return string(answer)
}

// fill puts n events, ten in a call.
func fill(tb testing.TB, address string, n int) {
	tb.Helper()
	const callers, atOnce = 16, 10
	client := wire.New("http://"+address, callers)
	defer client.Close()
	entry := order("shop", 0)
	entry = strings.TrimSuffix(strings.TrimPrefix(entry, `{"Entries":[`), `]}`)
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	ctx, stop := context.WithCancelCause(tb.Context())
	defer stop(nil)
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				count := min(left.Add(-atOnce)+atOnce, atOnce)
				if count <= 0 {
					return
				}
				body := `{"Entries":[` + strings.Repeat(entry+",", int(count)-1) + entry + `]}`
				if _, err := client.Post(ctx, "AWSEvents.PutEvents", []byte(body)); err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		tb.Fatal(err)
	}
}

// wantParked fails unless as many deliveries wait for a destination.
func wantParked(tb testing.TB, address, arn string, n int) {
	tb.Helper()
	answer := own(tb, http.MethodGet, address, "circuits", "")
	if want := fmt.Sprintf(`"parked":%d`, n); !strings.Contains(answer, want) || !strings.Contains(answer, arn) {
		tb.Fatalf("the circuits are %s, want %s for %s", answer, want, arn)
	}
}
