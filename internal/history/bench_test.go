package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

// benchService is a Service on the real journal, and where that has its data.
func benchService(b *testing.B) (s *Service, log *fakeLog, dir string) {
	b.Helper()
	dir = b.TempDir()
	j, err := journal.OpenEmbedded(b.Context(), dir, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close(context.WithoutCancel(b.Context())) })
	kv, err := j.KV(b.Context(), "history")
	if err != nil {
		b.Fatal(err)
	}
	blobs, err := j.Blob(b.Context(), "history")
	if err != nil {
		b.Fatal(err)
	}
	clock := &fakeClock{now: testStart}
	s, err = Open(b.Context(), kv, blobs, openCatalog(b, testArchive("kept", 0)), Options{Clock: clock})
	if err != nil {
		b.Fatal(err)
	}
	log = newFakeLog(1)
	s.Attach(log)
	return s, log, dir
}

// fill accepts events of some 450 bytes, 2,000 a second by their times, a tenth of them late, and seals them.
func fill(b *testing.B, s *Service, log *fakeLog, n int) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	def := &target.Definition{ARN: testArchive("kept", 0).StoreARN(testScope)}
	for i := range n {
		now := testStart.Add(time.Duration(i) * 500 * time.Microsecond)
		at := now
		if i%10 == 0 {
			at = at.Add(-time.Duration(random.IntN(60)) * time.Second)
		}
		e := &deliver.Accepted{Accepted: now, Event: fmt.Appendf(nil, `{"version":"0","id":"018f3a6e-%04x-7000-8000-%012x","detail-type":"OrderPlaced",`+
			`"source":"shop.checkout","account":"000000000000","time":%q,"region":"eu-west-1","resources":[],"detail":{"order":%d,"customer":"c-%06d",`+
			`"total":%d.%02d,"currency":"EUR","items":[{"sku":"A-%05d","quantity":%d},{"sku":"B-%05d","quantity":1}],"address":{"city":"Lisboa","zip":"%04d"}}}`,
			i&0xffff, random.Uint64()&(1<<48-1), at.Format(time.RFC3339), i, random.IntN(100000), random.IntN(500), random.IntN(100),
			random.IntN(1000), random.IntN(9), random.IntN(1000), random.IntN(9999))}
		s.Retain(def, []deliver.Retained{log.accept(0, e)})
		if i%5_000 == 4_999 || i == n-1 {
			b.StartTimer()
			if err := s.Flush(b.Context(), "kept-id"); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			log.commit()
		}
	}
}

func diskOf(b *testing.B, dir string) (bytes int64) {
	b.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}

// BenchmarkSeal seals events on the real journal and says what they take there. With -benchtime=1000000x it is a million.
func BenchmarkSeal(b *testing.B) {
	s, log, dir := benchService(b)
	b.ResetTimer()
	b.StopTimer()
	fill(b, s, log, b.N)
	total, err := s.Count(b.Context(), "kept-id")
	if err != nil || total.Events != int64(b.N) {
		b.Fatalf("%d events are counted, %v", total.Events, err)
	}
	b.ReportMetric(float64(total.Bytes)/float64(b.N), "json-B/op")
	b.ReportMetric(float64(diskOf(b, dir))/float64(b.N), "disk-B/op")
	began := time.Now()
	if err := s.stores["kept-id"].merge(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "merged/s")
	b.ReportMetric(float64(len(s.stores["kept-id"].current().segments)), "segments")
}

// BenchmarkRead reads events by time.
func BenchmarkRead(b *testing.B) {
	s, log, _ := benchService(b)
	b.StopTimer()
	fill(b, s, log, b.N)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	b.StartTimer()
	n := 0
	var most uint64
	for _, err := range s.Read(b.Context(), "kept-id", Window{}, Position{}) {
		if err != nil {
			b.Fatal(err)
		}
		if n++; n%100_000 == 0 {
			b.StopTimer()
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapInuse-min(after.HeapInuse, before.HeapInuse))
			b.StartTimer()
		}
	}
	if n != b.N {
		b.Fatalf("%d events are read instead of %d", n, b.N)
	}
	b.ReportMetric(float64(most>>20), "MiB")
}

// BenchmarkSealOne seals a segment of one event: what a quiet archive costs.
func BenchmarkSealOne(b *testing.B) {
	s, log, _ := benchService(b)
	b.ResetTimer()
	b.StopTimer()
	for range b.N {
		fill(b, s, log, 1)
	}
}
