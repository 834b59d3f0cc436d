package bench

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/child"
	"github.com/rialto-events/rialto/bench/wire"
)

// BenchmarkWaiting measures the binary with messages that wait in a queue: its memory and its disk, how long anybody had to wait while the
// state was written, how quick a receive is, how long the server takes to be ready again after kill -9, and how long it takes to purge
// them all. Run it with -benchtime 10000000x for the figures of the budget.
func BenchmarkWaiting(b *testing.B) {
	binary, err := child.Build(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	w := waiting(b, binary, b.N)
	b.ReportMetric(w.filled.perSecond*atOnce, "sent/s")
	b.ReportMetric(milliseconds(w.filled.p99), "send-p99-ms")
	b.ReportMetric(milliseconds(w.longest), "send-longest-ms")
	b.ReportMetric(float64(w.resident)/1e6, "waiting-MB")
	b.ReportMetric(float64(w.most)/1e6, "most-MB")
	b.ReportMetric(float64(w.recovered)/1e6, "recovered-MB")
	b.ReportMetric(float64(w.disk)/1e6, "disk-MB")
	b.ReportMetric(float64(w.disk)/float64(w.payload), "x-payload")
	b.ReportMetric(milliseconds(w.received.p50), "receive-p50-ms")
	b.ReportMetric(milliseconds(w.received.p99), "receive-p99-ms")
	b.ReportMetric(milliseconds(w.ready), "ready-ms")
	b.ReportMetric(milliseconds(w.purged), "purge-ms")
	b.ReportMetric(float64(w.diskAfter)/1e6, "disk-purged-MB")
	b.ReportMetric(milliseconds(w.shrunk), "purged-disk-ms")
	b.ReportMetric(0, "ns/op") // the calls are not what is measured
}

const (
	atOnce      = 10 // messages in a batch
	messageBody = 100
	receives    = 200
)

// A standing is what a queue full of messages came to.
type standing struct {
	filled    figures       // of batches
	longest   time.Duration // that a batch took
	received  figures
	resident  int64         // bytes of memory when all wait
	most      int64         // that there ever were until then
	recovered int64         // after the restart, and after a receive
	payload   int64         // bytes that live in the log
	disk      int64         // bytes of the data directory
	diskAfter int64         // some time after all were purged
	shrunk    time.Duration // how long that was
	ready     time.Duration
	purged    time.Duration
}

// waiting has n messages wait, kills the server, starts it again and purges them.
func waiting(tb testing.TB, binary string, n int) standing {
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
	client := wire.New(p.URL, 16)
	defer client.Close()
	url := makeQueue(tb, client, "waiting")
	var s standing
	s.filled, s.longest = fillQueue(tb, client, url, n)
	wantMessages(tb, client, url, n, 0)
	s.received = receiveSome(tb, client, url, min(receives, n))
	s.resident, s.most = memory(tb, p.PID())
	s.payload = int64(n) * (messageBody + 32)
	s.disk = diskUse(tb, data)
	p.Kill()
	if p, err = child.Start(tb.Context(), binary, data, address, io.Discard); err != nil {
		tb.Fatal(err)
	}
	s.ready = p.Took
	hidden := min(receives, n)
	wantMessages(tb, client, url, n-hidden, hidden)
	s.recovered, _ = memory(tb, p.PID())
	began := time.Now()
	if err := client.Call(tb.Context(), "AmazonSQS.PurgeQueue", map[string]any{"QueueUrl": url}, nil); err != nil {
		tb.Fatal(err)
	}
	s.purged = time.Since(began)
	wantMessages(tb, client, url, 0, 0)
	s.diskAfter, s.shrunk = settled(tb, data, s.disk)
	return s
}

// settled waits until a folder has shrunk to a quarter, or for as long as it would take at the worst, and says how large it is then.
func settled(tb testing.TB, folder string, was int64) (bytes int64, took time.Duration) {
	tb.Helper()
	const worth = 256 << 20 // bytes of which nothing has to be given back
	began := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		bytes, took = diskUse(tb, folder), time.Since(began)
		if bytes <= max(worth, was/4) || took > time.Minute {
			return bytes, took
		}
		<-tick.C
	}
}

func makeQueue(tb testing.TB, client *wire.Client, name string) (url string) {
	tb.Helper()
	var made struct{ QueueURL string }
	in := map[string]any{"QueueName": name, "Attributes": map[string]string{"VisibilityTimeout": "3600"}}
	if err := client.Call(tb.Context(), "AmazonSQS.CreateQueue", in, &made); err != nil {
		tb.Fatal(err)
	}
	return made.QueueURL
}

// fillQueue sends n messages, ten in a batch as far as that goes, by 16 callers.
func fillQueue(tb testing.TB, client *wire.Client, url string, n int) (f figures, longest time.Duration) {
	tb.Helper()
	const callers = 16
	body := strings.Repeat("m", messageBody)
	batch := func(n int) []byte {
		var b strings.Builder
		fmt.Fprintf(&b, `{"QueueUrl":%q,"Entries":[`, url)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"Id":"%d","MessageBody":%q}`, i, body)
		}
		b.WriteString("]}")
		return []byte(b.String())
	}
	full := batch(atOnce)
	var most atomic.Int64
	send := func(request []byte) error {
		began := time.Now()
		answer, err := client.Post(context.Background(), "AmazonSQS.SendMessageBatch", request)
		if err == nil && strings.Contains(string(answer), `"Code"`) {
			err = fmt.Errorf("the answer is %s", answer)
		}
		for took := int64(time.Since(began)); ; {
			if was := most.Load(); took <= was || most.CompareAndSwap(was, took) {
				return err
			}
		}
	}
	if rest := n % atOnce; rest > 0 {
		if err := send(batch(rest)); err != nil {
			tb.Fatal(err)
		}
	}
	if n < atOnce {
		return figures{}, time.Duration(most.Load())
	}
	f = together(tb, callers, n/atOnce, func(int) error { return send(full) })
	return f, time.Duration(most.Load())
}

// receiveSome receives n messages, one in a call and one call at a time.
func receiveSome(tb testing.TB, client *wire.Client, url string, n int) figures {
	tb.Helper()
	request := fmt.Appendf(nil, `{"QueueUrl":%q}`, url)
	return together(tb, 1, n, func(int) error {
		answer, err := client.Post(context.Background(), "AmazonSQS.ReceiveMessage", request)
		if err == nil && !strings.Contains(string(answer), `"ReceiptHandle"`) {
			err = fmt.Errorf("the answer is %s", answer)
		}
		return err
	})
}

// wantMessages fails unless a queue has so many messages to be received, and so many that were.
func wantMessages(tb testing.TB, client *wire.Client, url string, visible, hidden int) {
	tb.Helper()
	var got struct{ Attributes map[string]string }
	in := map[string]any{"QueueUrl": url, "AttributeNames": []string{"All"}}
	if err := client.Call(tb.Context(), "AmazonSQS.GetQueueAttributes", in, &got); err != nil {
		tb.Fatal(err)
	}
	v, h := got.Attributes["ApproximateNumberOfMessages"], got.Attributes["ApproximateNumberOfMessagesNotVisible"]
	if v != strconv.Itoa(visible) || h != strconv.Itoa(hidden) {
		tb.Fatalf("the queue says %s visible and %s hidden messages, want %d and %d", v, h, visible, hidden)
	}
}

// diskUse is the size of all files in a folder.
func diskUse(tb testing.TB, folder string) (bytes int64) {
	tb.Helper()
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // it went away meanwhile
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return bytes
}
