package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/wire"
	"github.com/rialto-events/rialto/rialtotest"
)

// BenchmarkIsolation measures what a destination that does not answer costs a hundred others: the p99 from PutEvents to
// the arrival at one of the good, without and with it.
func BenchmarkIsolation(b *testing.B) {
	alone, beside := isolation(b, 100, b.N)
	b.ReportMetric(milliseconds(alone.p50), "alone-p50-ms")
	b.ReportMetric(milliseconds(alone.p99), "alone-p99-ms")
	b.ReportMetric(milliseconds(beside.p50), "beside-p50-ms")
	b.ReportMetric(milliseconds(beside.p99), "beside-p99-ms")
	b.ReportMetric(float64(beside.p99)/float64(alone.p99), "ratio")
	b.ReportMetric(0, "ns/op") // the pace is set
}

const (
	pace   = 5 * time.Millisecond // between two events for the good: 200 a second
	badOne = 4                    // as many of these are followed by one for the bad: 50 a second
)

// isolation puts n events for the good ones at a steady pace, once without the bad one and once with it.
func isolation(tb testing.TB, good, n int) (alone, beside figures) {
	srv := rialtotest.Start(tb)
	var current atomic.Pointer[race]
	release := make(chan struct{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
		case r.URL.Path == "/bad":
			select {
			case <-r.Context().Done():
			case <-release:
			}
		default:
			current.Load().arrived(body)
		}
	}))
	defer endpoint.Close()
	defer close(release)
	for i := range good {
		name := fmt.Sprintf("good-%d", i)
		srv.PutRule(tb, name, `{"source": ["`+name+`"]}`, destination(tb, srv, name, endpoint.URL+"/"+name))
	}
	srv.PutRule(tb, "bad", `{"source": ["bad"]}`, destination(tb, srv, "bad", endpoint.URL+"/bad"))
	client := wire.New(srv.URL, 64)
	defer client.Close()

	nobody := func(int) (string, bool) { return "", false }
	current.Store(newRace(2 * good))
	current.Load().paced(tb, client, good, nobody) // the first event of each is slower: it makes connections
	current.Store(newRace(n))
	alone = current.Load().paced(tb, client, good, nobody)
	current.Store(newRace(n))
	beside = current.Load().paced(tb, client, good, func(n int) (string, bool) { return "bad", n%badOne == 0 })
	return alone, beside
}

// paced puts an event for each of the good ones in turn, however long the last ones take, and one for whom bad names after it.
func (r *race) paced(tb testing.TB, client *wire.Client, good int, bad func(n int) (source string, ok bool)) figures {
	tb.Helper()
	failed := make(chan error, 1)
	put := func(source string, n int) {
		if _, err := client.Post(tb.Context(), "AWSEvents.PutEvents", []byte(order(source, n))); err != nil {
			select {
			case failed <- err:
			default: // one is enough
			}
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	start := time.Now()
	for n := range r.put {
		<-tick.C
		wg.Go(func() {
			r.mu.Lock()
			r.put[n] = time.Now()
			r.mu.Unlock()
			put(fmt.Sprintf("good-%d", n%good), n)
		})
		if source, ok := bad(n); ok {
			wg.Go(func() { put(source, n) })
		}
	}
	for range r.put {
		r.wait(tb, failed)
	}
	return figuresOf(r.took, time.Since(start))
}
