package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/bench/wire"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/rialtotest"
)

// BenchmarkQueues measures durable queues: rialto's through HTTP and below it, and those of PostgreSQL, Redis and RabbitMQ, where they are
// installed. In each turn, every system in its turn takes the same number of messages of 1,000 bytes from the same number of callers, one
// message in a call, and then gives them out again, one in a call, each deleted before its caller asks for the next. The same bytes are
// appended to a file and synced, one message at a time by one writer. Since callers of queues often have several messages at hand, rialto is
// also measured with ten in a call.
//
// A message is on the disk when its sender has the answer, in all of them, and what was deleted before a crash is gone after it in all but
// RabbitMQ, which does not answer an acknowledgement.
func BenchmarkQueues(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			c := compareQueues(b, callers, b.N)
			for _, name := range c.names {
				b.ReportMetric(middle(c.sent[name]).perSecond, name+"-sent/s")
				b.ReportMetric(middle(c.taken[name]).perSecond, name+"-taken/s")
			}
			for _, name := range c.names {
				if !strings.HasPrefix(name, "rialto") {
					b.ReportMetric(ratio(c.sent["rialto"], c.sent[name]), "x-"+name+"-sent")
					b.ReportMetric(ratio(c.taken["rialto"], c.taken[name]), "x-"+name+"-taken")
				}
			}
			b.ReportMetric(milliseconds(middle(c.sent["rialto"]).p99), "rialto-sent-p99-ms")
			b.ReportMetric(milliseconds(middle(c.taken["rialto"]).p99), "rialto-taken-p99-ms")
			b.ReportMetric(middle(c.sync).perSecond, "fsync/s")
			b.ReportMetric(ratio(c.sent["rialto"], c.sync), "x-fsync-sent")
			b.ReportMetric(0, "ns/op") // says nothing of many systems
		})
	}
}

const (
	queueTurns = 3
	queueBytes = 1000 // of a message
	mostAlone  = 500  // messages in a turn of a single caller
)

// A waitingLine is a durable queue with a connection for each of its callers.
type waitingLine interface {
	// send puts a message at the end and returns when it is on the disk.
	send(ctx context.Context, caller int) error
	// take receives a message, which nobody else gets then, and deletes it.
	take(ctx context.Context, caller int) error
}

// errMissing says that a message that was sent did not come.
type errMissing string

func (e errMissing) Error() string { return string(e) + " has no message although not all were taken" }

var queueMessage = strings.Repeat("m", queueBytes)

// queueFigures hold, by system, the figures of each turn.
type queueFigures struct {
	names       []string
	sent, taken map[string][]figures
	sync        []figures
}

func compareQueues(tb testing.TB, callers, n int) queueFigures {
	tb.Helper()
	if callers == 1 {
		n = min(n, mostAlone)
	}
	c := queueFigures{sent: make(map[string][]figures), taken: make(map[string][]figures)}
	lines := make(map[string]waitingLine)
	for _, s := range []struct {
		name  string
		start func(tb testing.TB, callers int) waitingLine // nil if the system is not installed
	}{
		{"rialto", startWireQueue}, {"rialto-in-tens", startTens}, {"rialto-below-HTTP", startBareQueue},
		{"PostgreSQL", startPostgres}, {"Redis", startRedis}, {"RabbitMQ", startRabbit},
	} {
		if l := s.start(tb, callers); l != nil {
			c.names, lines[s.name] = append(c.names, s.name), l
		}
	}
	log, err := os.Create(filepath.Join(tb.TempDir(), "log"))
	if err != nil {
		tb.Fatal(err)
	}
	defer log.Close()
	for turn := range queueTurns + 1 {
		for _, name := range c.names {
			l, calls, each := lines[name], n, 1
			if _, ok := l.(*tens); ok {
				calls, each = (n+atOnce-1)/atOnce, atOnce
			}
			sent := together(tb, callers, calls, func(caller int) error { return l.send(tb.Context(), caller) })
			taken := together(tb, callers, calls, func(caller int) error { return l.take(tb.Context(), caller) })
			sent.perSecond, taken.perSecond = sent.perSecond*float64(each), taken.perSecond*float64(each)
			if turn > 0 { // the first one warms up
				c.sent[name], c.taken[name] = append(c.sent[name], sent), append(c.taken[name], taken)
			}
		}
		if turn > 0 {
			c.sync = append(c.sync, syncMessages(tb, log, min(n, appends)))
		}
	}
	return c
}

// syncMessages appends messages to a file and syncs each.
func syncMessages(tb testing.TB, log *os.File, n int) figures {
	tb.Helper()
	return together(tb, 1, n, func(int) error {
		if _, err := log.WriteString(queueMessage); err != nil {
			return err
		}
		return log.Sync()
	})
}

// A wireQueue is a queue of a whole server, over the protocol of the SDKs.
type wireQueue struct {
	address      string
	url          string
	sends, takes []byte // requests
	conns        []*wire.Conn
	used         []time.Time // when each connection was, last
}

func startWireQueue(tb testing.TB, callers int) waitingLine {
	srv := rialtotest.Start(tb)
	q := &wireQueue{address: strings.TrimPrefix(srv.URL, "http://"), url: srv.Queue(tb, "q").URL}
	q.sends = wire.Prepare(q.address, "AmazonSQS.SendMessage", fmt.Appendf(nil, `{"QueueUrl":%q,"MessageBody":%q}`, q.url, queueMessage))
	q.takes = wire.Prepare(q.address, "AmazonSQS.ReceiveMessage", fmt.Appendf(nil, `{"QueueUrl":%q}`, q.url))
	q.conns, q.used = make([]*wire.Conn, callers), make([]time.Time, callers)
	tb.Cleanup(func() {
		for _, c := range q.conns {
			if c != nil {
				c.Close()
			}
		}
	})
	return q
}

// idle is how long a connection is trusted that nobody uses: others have their turns, and the server closes what is idle for long.
const idle = 5 * time.Second

func (q *wireQueue) call(caller int, request []byte) ([]byte, error) {
	if now := time.Now(); now.Sub(q.used[caller]) > idle {
		if q.conns[caller] != nil {
			q.conns[caller].Close()
		}
		conn, err := wire.Dial(q.address)
		if err != nil {
			return nil, err
		}
		q.conns[caller] = conn
	}
	status, body, err := q.conns[caller].Do(request)
	q.used[caller] = time.Now()
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the answer is %d %s", status, body)
	}
	return body, err
}

func (q *wireQueue) send(_ context.Context, caller int) error {
	_, err := q.call(caller, q.sends)
	return err
}

func (q *wireQueue) take(_ context.Context, caller int) error {
	body, err := q.call(caller, q.takes)
	if err != nil {
		return err
	}
	_, rest, ok := bytes.Cut(body, []byte(`"ReceiptHandle":`))
	handle, _, _ := bytes.Cut(rest, []byte(","))
	handle = bytes.TrimRight(handle, "}]")
	if !ok || !json.Valid(handle) {
		return errMissing("rialto")
	}
	in := fmt.Appendf(nil, `{"QueueUrl":%q,"ReceiptHandle":%s}`, q.url, handle)
	_, err = q.call(caller, wire.Prepare(q.address, "AmazonSQS.DeleteMessage", in))
	return err
}

// Tens is a queue of a whole server to which each call sends ten messages, receives up to ten, or deletes them.
type tens struct{ *wireQueue }

func startTens(tb testing.TB, callers int) waitingLine {
	q := startWireQueue(tb, callers).(*wireQueue)
	var entries []string
	for i := range atOnce {
		entries = append(entries, fmt.Sprintf(`{"Id":"%d","MessageBody":%q}`, i, queueMessage))
	}
	q.sends = wire.Prepare(q.address, "AmazonSQS.SendMessageBatch", fmt.Appendf(nil, `{"QueueUrl":%q,"Entries":[%s]}`, q.url, strings.Join(entries, ",")))
	q.takes = wire.Prepare(q.address, "AmazonSQS.ReceiveMessage", fmt.Appendf(nil, `{"QueueUrl":%q,"MaxNumberOfMessages":%d}`, q.url, atOnce))
	return &tens{q}
}

func (q *tens) take(_ context.Context, caller int) error {
	body, err := q.call(caller, q.takes)
	if err != nil {
		return err
	}
	var entries []string
	for rest, ok := body, true; ; {
		if _, rest, ok = bytes.Cut(rest, []byte(`"ReceiptHandle":"`)); !ok {
			break
		}
		handle, _, _ := bytes.Cut(rest, []byte(`"`))
		entries = append(entries, fmt.Sprintf(`{"Id":"%d","ReceiptHandle":"%s"}`, len(entries), handle))
	}
	if len(entries) != atOnce {
		return errMissing("rialto")
	}
	in := fmt.Appendf(nil, `{"QueueUrl":%q,"Entries":[%s]}`, q.url, strings.Join(entries, ","))
	_, err = q.call(caller, wire.Prepare(q.address, "AmazonSQS.DeleteMessageBatch", in))
	return err
}

// A bareQueue is a queue on a shard of its own, without a server before it.
type bareQueue struct {
	*queue.Service
	at queue.Address
}

func startBareQueue(tb testing.TB, _ int) waitingLine {
	ctx, cancel := context.WithCancel(context.Background())
	j, err := journal.OpenEmbedded(ctx, tb.TempDir(), journal.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	q := &bareQueue{at: queue.Address{Scope: rialto.Scope{Account: "000000000000", Region: "us-east-1"}, Name: "q"}}
	cat, s, err := q.open(ctx, j)
	if err != nil {
		tb.Fatal(err)
	}
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{cat.Run, s.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				tb.Error(err)
			}
		})
	}
	tb.Cleanup(func() {
		cancel()
		running.Wait()
		if err := j.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	if err := q.Create(ctx, q.at, nil, nil); err != nil {
		tb.Fatal(err)
	}
	return q
}

func (q *bareQueue) open(ctx context.Context, j journal.Journal) (*catalog.Catalog, *shard.Shard, error) {
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		return nil, nil, err
	}
	cat, err := catalog.Open(ctx, kv, catalog.Options{})
	if err != nil {
		return nil, nil, err
	}
	log, err := j.Log(ctx, "shard-0")
	if err != nil {
		return nil, nil, err
	}
	blob, err := j.Blob(ctx, "snapshots")
	if err != nil {
		return nil, nil, err
	}
	q.Service = queue.New(cat, queue.Options{})
	s, err := shard.Open(ctx, log, blob, []shard.Hosted{q.Host()}, shard.Options{})
	if err != nil {
		return nil, nil, err
	}
	q.Attach([]*shard.Shard{s})
	return cat, s, nil
}

func (q *bareQueue) send(ctx context.Context, _ int) error {
	sent, err := q.Send(ctx, q.at, []queue.Draft{{Body: queueMessage}})
	if err != nil {
		return err
	}
	return sent[0].Err
}

func (q *bareQueue) take(ctx context.Context, _ int) error {
	got, err := q.Receive(ctx, q.at, queue.ReceiveOptions{Max: 1})
	if err != nil {
		return err
	}
	if len(got) == 0 {
		return errMissing("rialto below HTTP")
	}
	errs, err := q.DeleteMessages(ctx, q.at, []string{got[0].Handle})
	if err != nil {
		return err
	}
	return errs[0]
}
