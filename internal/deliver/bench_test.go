package deliver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// nothing is a destination that takes everything, and says when it has as much as it is to get.
type nothing struct {
	left atomic.Int64
	all  chan struct{}
}

var _ target.Sender = (*nothing)(nil)

func newNothing(n int) *nothing {
	s := &nothing{all: make(chan struct{})}
	s.left.Store(int64(n))
	return s
}

func (n *nothing) Send(context.Context, *target.Message) error {
	if n.left.Add(-1) == 0 {
		close(n.all)
	}
	return nil
}

const benchEvent = 1 << 10 // bytes

// BenchmarkAccept accepts events of 1 KiB for one target that takes everything, over an embedded journal. Beside it stands what
// the disk can do: one event appended to a file, and synced, after the other. The budget of the design: 256 callers get at least
// 20 times that.
func BenchmarkAccept(b *testing.B) {
	b.Run("file", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "file"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		event := make([]byte, benchEvent)
		for b.Loop() {
			if _, err := f.Write(event); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	for _, shards := range []int{1, 2} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%d-shards/%d-callers", shards, callers), func(b *testing.B) { benchAccept(b, shards, callers) })
		}
	}
}

func benchAccept(b *testing.B, shards, callers int) {
	taker := newNothing(b.N)
	d := New(func(*target.Definition) target.Sender { return taker }, Options{})
	stop := startOnDisk(b, d, shards)
	to := testTarget("billing", false)
	event := []byte(`{"detail":"` + string(make([]byte, benchEvent-13)) + `"}`)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				e := Accepted{
					EventID: "6b1f0f0e-3d52-9a4c-77aa-0e9d3b1c2f10", Event: event, Bus: simScope.BusARN("orders"),
					Accepted: time.Now(), Targets: []*target.Sealed{to},
				}
				if err := d.Accept(context.Background(), []Accepted{e}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	<-taker.all
	stop()
}

// BenchmarkOrdered brings deliveries of so many keys to a target that takes everything at once, over one shard. The deliveries of a key
// go one after another: each is handed out when the outcome of the one before is on disk. Beside it stand deliveries without order.
func BenchmarkOrdered(b *testing.B) {
	for _, keys := range []int{1, 10, 1000, 0} {
		b.Run(fmt.Sprintf("%d-keys", keys), func(b *testing.B) { benchOrdered(b, keys) })
	}
}

func benchOrdered(b *testing.B, keys int) {
	taker, open := newNothing(b.N), make(chan struct{})
	d := New(func(*target.Definition) target.Sender { return &gate{taker, open} }, Options{})
	stop := startOnDisk(b, d, 1)
	to := testTarget("billing", false)
	event := []byte(`{"detail":"` + string(make([]byte, benchEvent-13)) + `"}`)
	var list []Accepted
	for i := range b.N {
		e := Accepted{
			EventID: "6b1f0f0e-3d52-9a4c-77aa-0e9d3b1c2f10", Event: event, Bus: simScope.BusARN("orders"),
			Accepted: time.Now(), Targets: []*target.Sealed{to}, Home: "orders",
		}
		if keys > 0 {
			e.Orders = []uint64{uint64(i%keys + 1)}
		}
		if list = append(list, e); len(list) < 100 && i < b.N-1 {
			continue
		}
		if err := d.Accept(context.Background(), list); err != nil {
			b.Fatal(err)
		}
		list = list[:0]
	}
	b.ResetTimer()
	close(open)
	<-taker.all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	stop()
}

// A gate lets nothing through until it is open.
type gate struct {
	target.Sender
	open chan struct{}
}

func (g *gate) Send(ctx context.Context, m *target.Message) error {
	<-g.open
	return g.Sender.Send(ctx, m)
}

// startOnDisk runs a Deliverer over an embedded journal, until the returned function is called.
func startOnDisk(b *testing.B, d *Deliverer, shards int) (stop func()) {
	b.Helper()
	j, err := journal.OpenEmbedded(context.Background(), b.TempDir(), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	blob, err := j.Blob(context.Background(), "snapshots")
	if err != nil {
		b.Fatal(err)
	}
	var list []*shard.Shard
	var ends []func() error
	for i := range shards {
		log, err := j.Log(context.Background(), fmt.Sprintf("shard-%d", i))
		if err != nil {
			b.Fatal(err)
		}
		s, err := shard.Open(context.Background(), log, blob, []shard.Hosted{d.Host()}, shard.Options{})
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, s)
	}
	d.Attach(list)
	for _, s := range list {
		ends = append(ends, inBackground(s.Run))
	}
	ends = append(ends, inBackground(d.Run))
	return func() {
		for i := len(ends) - 1; i >= 0; i-- {
			if err := ends[i](); err != nil {
				b.Error(err)
			}
		}
		if err := j.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkRecover starts over a journal in memory in which a million deliveries wait, and reports the time until everything is
// ready and the memory that it takes.
func BenchmarkRecover(b *testing.B) {
	const deliveries = 1_000_000
	sim := journal.NewSim(1, journal.SimFaults{})
	fillWaiting(b, sim, deliveries)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		d := New(func(*target.Definition) target.Sender { return newNothing(0) }, Options{})
		proc := sim.Open()
		log, err := proc.Log(context.Background(), "test")
		if err != nil {
			b.Fatal(err)
		}
		blob, err := proc.Blob(context.Background(), "snapshots")
		if err != nil {
			b.Fatal(err)
		}
		s, err := shard.Open(context.Background(), log, blob, []shard.Hosted{d.Host()}, shard.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/open")
		d.Attach([]*shard.Shard{s})
		end := inBackground(s.Run)
		stats, err := d.Stats(context.Background())
		if err != nil || len(stats) != 0 && stats[0].Waiting != deliveries {
			b.Fatalf("%+v, %v", stats, err)
		}
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB/peak")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB")
		if err := end(); err != nil {
			b.Fatal(err)
		}
		runtime.KeepAlive(d)
	}
}

// fillWaiting writes so many events to a log, half of which wait for their next attempt, and half for a slot.
func fillWaiting(b *testing.B, sim *journal.Sim, deliveries int) {
	b.Helper()
	proc := sim.Open()
	log, err := proc.Log(context.Background(), "test")
	if err != nil {
		b.Fatal(err)
	}
	blob, err := proc.Blob(context.Background(), "snapshots")
	if err != nil {
		b.Fatal(err)
	}
	m, now := newMachine(), time.Now()
	var asked []attempt
	s, err := shard.OpenStepper(log, blob, now, shard.Hosted{Machine: m, Handler: func(effects []any) {
		for _, e := range effects {
			if e, ok := e.(ready); ok {
				asked = append(asked, e...)
			}
		}
	}})
	if err != nil {
		b.Fatal(err)
	}
	to := testTarget("billing", true)
	e := Accepted{EventID: "e", Event: []byte("{}"), Bus: rialto.ARN{}, Accepted: now, Targets: []*target.Sealed{to}}
	kind, body := acceptCommand(&e)
	commit := func(build func(*shard.Batch)) {
		if _, err := s.Commit(now, build); err != nil {
			b.Fatal(err)
		}
	}
	commit(func(b *shard.Batch) { b.Add(kindDefine, to.JSON) })
	for range deliveries / 200 {
		asked = asked[:0]
		commit(func(b *shard.Batch) {
			for range 200 {
				b.Add(kind, body)
			}
		})
		commit(func(b *shard.Batch) {
			for i, a := range asked {
				if i%2 == 0 {
					p := postponed{handle: a.handle, made: 1, until: now.Add(time.Hour + time.Duration(a.slot)*time.Millisecond), code: target.CodeThrottling}
					b.Add(kindAgain, appendPostponed(nil, p))
				}
			}
		})
	}
	if err := s.Snapshot(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSnapshot encodes the state with a million waiting deliveries; the shard stands still meanwhile.
func BenchmarkSnapshot(b *testing.B) {
	for _, groups := range []int{0, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("%d-groups", groups), func(b *testing.B) {
			m := newMachine()
			if err := m.Restore(waitingSnapshot(b, 1_000_000, groups)); err != nil {
				b.Fatal(err)
			}
			var state []byte
			for b.Loop() {
				state = m.Snapshot(state[:0])
			}
		})
	}
}

// BenchmarkBesideDead sends events to a good destination at a steady rate, alone and beside one that has refused 200,000 events
// and is attempted again all the time, and reports how long it took from the call of Accept to the attempt.
func BenchmarkBesideDead(b *testing.B) {
	for _, backlog := range []int{0, 200_000} {
		b.Run(fmt.Sprintf("backlog-%d", backlog), func(b *testing.B) { benchBesideDead(b, backlog) })
	}
}

func benchBesideDead(b *testing.B, backlog int) {
	const interval, callers = 2 * time.Millisecond, 8
	good, dead := testTarget("good", false), testTarget("dead", false)
	s := &stopwatch{dead: dead.ARN, arrived: make(chan time.Duration, b.N)}
	d := New(func(*target.Definition) target.Sender { return s }, Options{Policy: Policy{Cap: time.Minute}})
	defer startOnDisk(b, d, 2)()
	event := []byte(`{"detail":"` + string(make([]byte, benchEvent-13)) + `"}`)
	accept := func(to *target.Sealed) {
		e := Accepted{EventID: "e", Event: event, Bus: simScope.BusARN("orders"), Accepted: time.Now(), Targets: []*target.Sealed{to}}
		if err := d.Accept(context.Background(), []Accepted{e}); err != nil {
			b.Error(err)
		}
	}
	var all sync.WaitGroup
	for range 256 {
		all.Go(func() {
			for range backlog / 256 {
				accept(dead)
			}
		})
	}
	all.Wait()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			tick := time.NewTicker(interval * callers)
			defer tick.Stop()
			for left.Add(-1) >= 0 {
				<-tick.C
				accept(good)
			}
		})
	}
	all.Wait()
	took := make([]time.Duration, b.N)
	for i := range took {
		took[i] = <-s.arrived
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "ms/p50")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "ms/p99")
	b.ReportMetric(float64(s.refused.Load())/b.Elapsed().Seconds(), "refused/s")
}

// A stopwatch takes the time of what arrives, and is refused by one destination.
type stopwatch struct {
	dead    string
	refused atomic.Int64
	arrived chan time.Duration
}

func (s *stopwatch) Send(_ context.Context, m *target.Message) error {
	if m.Definition.ARN == s.dead {
		s.refused.Add(1)
		return errBusy
	}
	s.arrived <- time.Since(m.Accepted)
	return nil
}
