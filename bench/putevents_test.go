package bench

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/wire"
	"github.com/rialto-events/rialto/rialtotest"
)

// BenchmarkPutEvents measures durable PutEvents, one event a call: each matches a rule and is on disk before its answer. Its target
// is a bus that has no rules, which costs a delivery and its outcome in the log, but no second event.
//
// In turns with it, and so on the same machine in the same mood, it measures what bounds it from both sides: the same requests
// against a handler that reads them and answers, which is what the HTTP stack and the callers cost; and one append and one fsync
// of such an event at a time, which is what the disk allows who syncs each event by itself.
func BenchmarkPutEvents(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			c := compare(b, callers, b.N)
			middle(c.put).report(b)
			b.ReportMetric(middle(c.noOp).perSecond, "no-op/s")
			b.ReportMetric(middle(c.sync).perSecond, "fsync/s")
			b.ReportMetric(ratio(c.put, c.noOp), "x-no-op")
			b.ReportMetric(ratio(c.put, c.sync), "x-fsync")
			b.ReportMetric(float64(middle(c.put).cpu)/float64(time.Microsecond), "cpu-µs")
			b.ReportMetric(float64(middle(c.noOp).cpu)/float64(time.Microsecond), "no-op-cpu-µs")
		})
	}
}

const (
	turns   = 5   // in which each of the three is measured
	appends = 200 // at most, in one turn
)

// A comparison holds the figures of each turn.
type comparison struct{ put, noOp, sync []figures }

// ratio is the median of a's rates over b's.
func ratio(a, b []figures) float64 {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, a[i].perSecond/b[i].perSecond)
	}
	return median(ratios)
}

// middle is the turn of the median rate.
func middle(list []figures) figures {
	sorted := slices.SortedFunc(slices.Values(list), func(a, b figures) int { return cmp.Compare(a.perSecond, b.perSecond) })
	return sorted[len(sorted)/2]
}

func compare(tb testing.TB, callers, n int) comparison {
	srv := rialtotest.Start(tb)
	srv.PutRule(tb, "all", `{"source": ["shop"]}`, srv.Bus(tb, "empty"))
	put := newCallers(tb, strings.TrimPrefix(srv.URL, "http://"), callers)
	noOp := newCallers(tb, startNoOp(tb), callers)
	log, err := os.Create(filepath.Join(tb.TempDir(), "log"))
	if err != nil {
		tb.Fatal(err)
	}
	defer log.Close()
	each := (n + turns - 1) / turns
	var c comparison
	for range turns {
		c.put = append(c.put, put.call(tb, each))
		c.noOp = append(c.noOp, noOp.call(tb, each))
		c.sync = append(c.sync, appendSync(tb, log, min(each, appends)))
	}
	return c
}

// startNoOp starts a server that reads requests and answers.
func startNoOp(tb testing.TB) (address string) {
	tb.Helper()
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
	tb.Cleanup(func() {
		srv.Close()
		<-done
	})
	return l.Addr().String()
}

// Callers put an event again and again, each over a connection of its own that is kept.
type callers struct {
	request []byte
	conns   []*wire.Conn
}

func newCallers(tb testing.TB, address string, n int) *callers {
	tb.Helper()
	c := &callers{request: wire.Prepare(address, "AWSEvents.PutEvents", []byte(order("shop", 1)))}
	for range n {
		conn, err := wire.Dial(address)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { conn.Close() })
		c.conns = append(c.conns, conn)
		if err := call(conn, c.request); err != nil { // the first call of a connection is not measured
			tb.Fatal(err)
		}
	}
	return c
}

func (c *callers) call(tb testing.TB, n int) figures {
	tb.Helper()
	return together(tb, len(c.conns), n, func(caller int) error { return call(c.conns[caller], c.request) })
}

func call(c *wire.Conn, request []byte) error {
	status, body, err := c.Do(request)
	if err == nil && (status != http.StatusOK || !strings.Contains(string(body), `"EventId"`)) {
		err = fmt.Errorf("the answer is %d %s", status, body)
	}
	return err
}

func appendSync(tb testing.TB, log *os.File, n int) figures {
	tb.Helper()
	event := []byte(order("shop", 1))
	return together(tb, 1, n, func(int) error {
		if _, err := log.Write(event); err != nil {
			return err
		}
		return log.Sync()
	})
}
