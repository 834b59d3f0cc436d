package replay_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/replay"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// A nullSender takes everything at once.
type nullSender struct{ n atomic.Int64 }

func (s *nullSender) Send(context.Context, *target.Message) error {
	s.n.Add(1)
	return nil
}

// BenchmarkReplay replays as many events of some 450 bytes as it is told to, as fast as a target takes them that takes everything, on the real journal.
func BenchmarkReplay(b *testing.B) {
	scope := rialto.Scope{Account: "000000000000", Region: "eu-west-1"}
	j, err := journal.OpenEmbedded(b.Context(), b.TempDir(), journal.Options{})
	must(b, err)
	b.Cleanup(func() { _ = j.Close(context.WithoutCancel(b.Context())) })
	kv, err := j.KV(b.Context(), "history")
	must(b, err)
	blobs, err := j.Blob(b.Context(), "history")
	must(b, err)
	c := catalogtest.Start(b)
	a := &catalog.Archive{Name: "a", ID: "id-of-a", Bus: "orders"}
	_, err = c.Archives.Edit(b.Context(), catalog.NameKey(scope, "a"), func(*catalog.Archive) (*catalog.Archive, error) { return a, nil })
	must(b, err)
	_, err = c.Rules.Edit(b.Context(), catalog.RuleKey(scope, "orders", "all"), func(*catalog.Rule) (*catalog.Rule, error) {
		return &catalog.Rule{Name: "all", Bus: "orders", Pattern: new(`{"source": ["shop.checkout"]}`), Enabled: true,
			Targets: []catalog.Target{{ID: "null", ARN: "arn:aws:sqs:eu-west-1:000000000000:null"}}}, nil
	})
	must(b, err)
	h, err := history.Open(b.Context(), kv, blobs, c, history.Options{})
	must(b, err)
	sink := new(nullSender)
	d := deliver.New(func(*target.Definition) target.Sender { return sink }, deliver.Options{Retainer: h})
	h.Attach(d)
	s := replay.New(c, h, ingest.New(route.New(c, route.Options{}), d, ingest.Options{}), d, replay.Options{})
	log, err := j.Log(b.Context(), "shard-0")
	must(b, err)
	snapshots, err := j.Blob(b.Context(), "snapshots")
	must(b, err)
	sh, err := shard.Open(b.Context(), log, snapshots, []shard.Hosted{d.Host(), s.Host()}, shard.Options{})
	must(b, err)
	d.Attach([]*shard.Shard{sh})
	s.Attach([]*shard.Shard{sh})
	for _, run := range []func(context.Context) error{sh.Run, d.Run, h.Run, s.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		b.Cleanup(func() { cancel(); <-done })
	}
	_, err = h.Import(b.Context(), a.ID, func(yield func([]byte, error) bool) {
		at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
		for i := range b.N {
			event := fmt.Appendf(nil, `{"version":"0","id":"018f3a6e-0000-7000-8000-%012x","detail-type":"OrderPlaced","source":"shop.checkout",`+
				`"account":"000000000000","time":%q,"region":"eu-west-1","resources":[],"detail":{"order":%d,"customer":"c-%06d","total":%d.5,"currency":"EUR",`+
				`"items":[{"sku":"A-%05d","quantity":1},{"sku":"B-%05d","quantity":1}],"address":{"city":"Lisboa","zip":"1000"}}}`,
				i, at.Add(time.Duration(i)*time.Millisecond).Format(time.RFC3339), i, i*7919%100_000, i%500, i%997, i%1009)
			if !yield(event, nil) {
				return
			}
		}
	})
	must(b, err)

	b.ResetTimer()
	_, err = s.Start(b.Context(), replay.Spec{Scope: scope, Name: "r", Archive: "a", Bus: "orders"})
	must(b, err)
	var memory runtime.MemStats
	most := uint64(0)
	err = s.Watch(b.Context(), scope, "r", func(r replay.Replay) bool {
		if r.State == replay.Completed && r.Put != int64(b.N) {
			b.Errorf("%d of %d events were put: %s", r.Put, b.N, r.Reason)
		}
		if r.Revision%64 == 0 {
			runtime.ReadMemStats(&memory)
			most = max(most, memory.HeapInuse)
		}
		return true
	})
	must(b, err)
	for sink.n.Load() < int64(b.N) {
		runtime.Gosched()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
