package bench

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/wire"
	"github.com/rialto-events/rialto/rialtotest"
)

// callers that put events at the same time, one event a call
var callers = []int{1, 64, 256}

// BenchmarkPutEvents measures durable PutEvents: each event matches a rule and is on disk before its answer. The target is a bus that
// has no rules, which costs a delivery and its outcome in the log, but no second event.
func BenchmarkPutEvents(b *testing.B) {
	for _, n := range callers {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) { putEvents(b, n, b.N).report(b) })
	}
}

// BenchmarkNoOp measures the same requests against a handler that reads them and answers: what the HTTP stack and the callers cost.
func BenchmarkNoOp(b *testing.B) {
	for _, n := range callers {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) { noOp(b, n, b.N).report(b) })
	}
}

// BenchmarkAppendSync measures what the disk allows who syncs each event by itself: one append and one fsync at a time.
func BenchmarkAppendSync(b *testing.B) { appendSync(b, b.N).report(b) }

func putEvents(tb testing.TB, callers, n int) figures {
	srv := rialtotest.Start(tb)
	srv.PutRule(tb, "all", `{"source": ["shop"]}`, srv.Bus(tb, "empty"))
	address := strings.TrimPrefix(srv.URL, "http://")
	return callEach(tb, address, callers, n)
}

func noOp(tb testing.TB, callers, n int) figures {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	answer := []byte(`{"FailedEntryCount":0,"Entries":[{"EventId":"01981f0e-3d52-7a4c-b7aa-0e9d3b1c2f10"}]}`)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // the caller sends all of it
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write(answer) // the caller notices
	})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	defer func() {
		srv.Close()
		<-done
	}()
	return callEach(tb, l.Addr().String(), callers, n)
}

// callEach calls PutEvents n times over connections that are kept.
func callEach(tb testing.TB, address string, callers, n int) figures {
	tb.Helper()
	request := wire.Prepare(address, "AWSEvents.PutEvents", []byte(order("shop", 1)))
	conns := make([]*wire.Conn, callers)
	for i := range conns {
		c, err := wire.Dial(address)
		if err != nil {
			tb.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
		if err := call(c, request); err != nil { // the first call of a connection is not measured
			tb.Fatal(err)
		}
	}
	if b, ok := tb.(*testing.B); ok {
		b.ResetTimer()
	}
	return together(tb, callers, n, func(caller int) error { return call(conns[caller], request) })
}

func call(c *wire.Conn, request []byte) error {
	status, body, err := c.Do(request)
	if err == nil && (status != http.StatusOK || !strings.Contains(string(body), `"EventId"`)) {
		err = fmt.Errorf("the answer is %d %s", status, body)
	}
	return err
}

func appendSync(tb testing.TB, n int) figures {
	f, err := os.Create(filepath.Join(tb.TempDir(), "log"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	event := []byte(order("shop", 1))
	took := make([]time.Duration, n)
	start := time.Now()
	for i := range took {
		began := time.Now()
		if _, err := f.Write(event); err != nil {
			tb.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			tb.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	return figuresOf(took, time.Since(start))
}
