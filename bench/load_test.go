package bench

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Figures are what a load came to.
type figures struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // that each took of this process: the server and its callers
}

func (f figures) report(b *testing.B) {
	b.ReportMetric(f.perSecond, "events/s")
	b.ReportMetric(milliseconds(f.p50), "p50-ms")
	b.ReportMetric(milliseconds(f.p99), "p99-ms")
	b.ReportMetric(0, "ns/op") // says nothing here: many operations run at once
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// figuresOf sums up how long each operation took, and all of them together.
func figuresOf(took []time.Duration, all time.Duration) figures {
	return figures{perSecond: float64(len(took)) / all.Seconds(), p50: quantile(took, 0.50), p99: quantile(took, 0.99)}
}

func quantile(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// together has that many callers do n things, each caller the next one as soon as its last is done.
func together(tb testing.TB, callers, n int, do func(caller int) error) figures {
	tb.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	start, computed := time.Now(), cpuTime()
	for caller := range callers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				began := time.Now()
				if err := do(caller); err != nil {
					once.Do(func() { failed = err })
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	if failed != nil {
		tb.Fatal(failed)
	}
	f := figuresOf(took, time.Since(start))
	f.cpu = (cpuTime() - computed) / time.Duration(n)
	return f
}

// order is an event of about 1 KiB, as a shop might put it, in the JSON of PutEvents. Its number is at $.detail.n.
func order(source string, n int) string {
	var items strings.Builder
	for i := range 8 {
		if i > 0 {
			items.WriteByte(',')
		}
		fmt.Fprintf(&items, `{\"sku\":\"SKU-%05d\",\"name\":\"an item of some length\",\"quantity\":%d,\"price\":%d.95}`, 17*i, i+1, 10*i)
	}
	return fmt.Sprintf(`{"Entries":[{"Source":"%s","DetailType":"OrderPlaced","Detail":"{\"n\":%d,\"metadata\":{\"domain\":\"orders\",`+
		`\"version\":3},\"customer\":{\"id\":\"c-104711\",\"country\":\"IT\",\"segment\":\"b2c\"},\"items\":[%s],\"total\":366.40}"}]}`, source, n, items.String())
}
