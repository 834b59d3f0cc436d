package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/child"
)

// BenchmarkProcess measures the binary: from its start until it says that it is ready, in a new data directory and in
// one that is there, and the memory that it holds when it has nothing to do.
func BenchmarkProcess(b *testing.B) {
	binary, err := child.Build(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	p := process(b, binary, b.N)
	b.ReportMetric(milliseconds(quantile(p.first, 0.5)), "first-ready-ms")
	b.ReportMetric(milliseconds(quantile(p.again, 0.5)), "ready-ms")
	b.ReportMetric(float64(p.resident)/1e6, "idle-MB")
	b.ReportMetric(0, "ns/op") // of a start and a stop, and a wait
}

type lives struct {
	first, again []time.Duration
	resident     int64 // bytes, the median; 0 where it is not known
}

// process starts and stops the binary n times.
func process(tb testing.TB, binary string, n int) lives {
	tb.Helper()
	var l lives
	var resident []int64
	for i := range n {
		data := filepath.Join(tb.TempDir(), fmt.Sprint(i))
		for _, ready := range []*[]time.Duration{&l.first, &l.again} {
			address, err := child.FreeAddress()
			if err != nil {
				tb.Fatal(err)
			}
			p, err := child.Start(tb.Context(), binary, data, address, io.Discard)
			if err != nil {
				tb.Fatal(err)
			}
			*ready = append(*ready, p.Took)
			now, _ := memory(tb, p.PID())
			resident = append(resident, now)
			if err := p.Stop(); err != nil {
				tb.Fatalf("stop the server: %v", err)
			}
		}
	}
	slices.Sort(resident)
	l.resident = resident[len(resident)/2]
	return l
}

// memory is the resident memory of a process in bytes, as Linux tells it, and the most that it ever was.
func memory(tb testing.TB, pid int) (now, most int64) {
	tb.Helper()
	if runtime.GOOS != "linux" {
		return 0, 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kB int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kB); n == 1 {
			most = kB << 10
		}
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kB); n == 1 {
			now = kB << 10
		}
	}
	if now == 0 || most == 0 {
		tb.Fatal("the system does not say how much memory the server holds")
	}
	return now, most
}
