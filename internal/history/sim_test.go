package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

var (
	testScope = rialto.Scope{Account: "000000000000", Region: "eu-west-1"}
	testStart = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
)

// A fakeClock stands where it was set. Its timers fire at once.
type fakeClock struct{ now time.Time }

func (c *fakeClock) Now() time.Time                      { return c.now }
func (c *fakeClock) NewTimer(time.Duration) rialto.Timer { return firedTimer(time.After(0)) }

type firedTimer <-chan time.Time

func (t firedTimer) C() <-chan time.Time { return t }
func (t firedTimer) Stop() bool          { return false }
func (t firedTimer) Reset(time.Duration) {}

func testArchive(name string, days int32) *catalog.Archive {
	return &catalog.Archive{Name: name, ID: name + "-id", Bus: "orders", RetentionDays: days, Created: testStart}
}

// openCatalog opens a catalog that has some archives, on a journal of its own.
func openCatalog(t testing.TB, archives ...*catalog.Archive) *catalog.Catalog {
	t.Helper()
	kv, err := journal.NewSim(1, journal.SimFaults{}).Open().KV(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range archives {
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Put(t.Context(), "archive/"+catalog.NameKey(testScope, a.Name), b); err != nil {
			t.Fatal(err)
		}
	}
	c, err := catalog.Open(t.Context(), kv, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A fakeLog plays package deliver: it has events until they are settled, and hands out again what was not when a process begins.
type fakeLog struct {
	events  map[deliver.Retained]*deliver.Accepted // that are not settled
	settled []deliver.Retained                     // by the present process; a crash forgets it
	next    []uint64                               // key, by shard
	spoiled string                                 // id of an event that cannot be read
}

func newFakeLog(shards int) *fakeLog {
	return &fakeLog{events: make(map[deliver.Retained]*deliver.Accepted), next: make([]uint64, shards)}
}

func (l *fakeLog) ReadRetained(_ context.Context, r deliver.Retained) (*deliver.Accepted, error) {
	if e, ok := l.events[r]; ok && e.EventID == l.spoiled {
		return nil, fmt.Errorf("%w: its bytes have changed", deliver.ErrUnreadable)
	} else if ok {
		return e, nil
	}
	return nil, deliver.ErrSettled
}

func (l *fakeLog) Settle(list []deliver.Retained)  { l.settled = append(l.settled, list...) }
func (l *fakeLog) HandedOut(context.Context) error { return nil }

func (l *fakeLog) accept(shard uint32, e *deliver.Accepted) deliver.Retained {
	r := deliver.Retained{Shard: shard, Key: l.next[shard]}
	l.next[shard]++
	l.events[r] = e
	return r
}

// commit lets what is settled be in the log.
func (l *fakeLog) commit() {
	for _, r := range l.settled {
		delete(l.events, r)
	}
	l.settled = nil
}

// left is what is not settled: by shard, oldest first.
func (l *fakeLog) left() (list []deliver.Retained) {
	for r := range l.events {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b deliver.Retained) int { return int(int64(a.Key) - int64(b.Key)) })
	return list
}

func testEvent(n int, at, accepted time.Time, detail string) *deliver.Accepted {
	id := fmt.Sprintf("event-%d", n)
	return &deliver.Accepted{
		EventID: id, Accepted: accepted, Bus: testScope.BusARN("orders"),
		Event: fmt.Appendf(nil, `{"version":"0","id":%q,"time":%q,"detail":{"text":%q}}`, id, at.Format(time.RFC3339), detail),
	}
}

// A world is an archive whose processes die. It knows what must be in it.
type world struct {
	t       *testing.T
	rand    *rand.Rand
	sim     *journal.Sim
	clock   *fakeClock
	catalog *catalog.Catalog
	def     *target.Definition
	log     *fakeLog
	model   []Entry // all that was accepted
	ages    bool    // events are kept for a day, and hours pass

	proc    *journal.SimJournal
	service *Service
	store   *store
}

// faults is how often a write goes wrong.
var faults = journal.SimFaults{
	CrashBefore: 0.04, CrashAfter: 0.04, LostAck: 0.04, LostWrite: 0.03, Late: 0.03, Unavailable: 0.04,
}

const (
	simSeeds = 2000
	simSteps = 80
)

// TestSimulation drives an archive through short lives: processes die at each write, writes are late, or take place although nobody hears
// of it, and another process takes over while the former one goes on. In the end every event is in the archive once, and none is out of order.
func TestSimulation(t *testing.T) {
	seeds, first := simSeeds, 0
	if s := os.Getenv("RIALTO_SIM_SEED"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		first, seeds = n, n+1
	}
	forEver, aDay := testArchive("kept", 0), testArchive("kept", 1)
	catalogs := []*catalog.Catalog{openCatalog(t, forEver), openCatalog(t, aDay)}
	for seed := first; seed < seeds && !t.Failed(); seed++ {
		w := &world{
			t: t, rand: rand.New(rand.NewPCG(uint64(seed), 1)), sim: journal.NewSim(uint64(seed), faults), clock: &fakeClock{now: testStart},
			catalog: catalogs[seed%2], ages: seed%2 == 1, def: &target.Definition{ARN: forEver.StoreARN(testScope)}, log: newFakeLog(1 + seed%3),
		}
		if err := w.run(); err != nil {
			t.Errorf("seed %d: %v\nrun it again with RIALTO_SIM_SEED=%d", seed, err, seed)
		}
	}
}

func (w *world) run() error {
	w.start()
	for range simSteps {
		if err := w.step(); err != nil {
			return err
		}
	}
	w.sim.SetFaults(journal.SimFaults{})
	w.start()
	return w.check()
}

// start begins a process. What the former one was about to say is lost; it may itself go on for a while, see step.
func (w *world) start() {
	for {
		proc := w.sim.Open()
		kv, err1 := proc.KV(context.Background(), "history")
		blobs, err2 := proc.Blob(context.Background(), "history")
		if err := errors.Join(err1, err2); err != nil {
			w.t.Fatal(err)
		}
		s, err := Open(context.Background(), kv, blobs, w.catalog, Options{Clock: w.clock})
		if err != nil {
			continue
		}
		w.log.settled = nil
		s.Attach(w.log)
		s.proven.Store(true)
		w.proc, w.service, w.store = proc, s, s.stores["kept-id"]
		s.Retain(w.def, w.log.left())
		return
	}
}

func (w *world) step() error {
	ctx := context.Background()
	w.clock.now = w.clock.now.Add(time.Duration(w.rand.IntN(600)) * time.Second)
	if w.ages {
		w.clock.now = w.clock.now.Add(time.Duration(w.rand.IntN(150)) * time.Minute)
	}
	switch n := w.rand.IntN(100); {
	case n < 50:
		w.accept(1 + w.rand.IntN(5))
	case n < 70:
		_ = w.store.seal(ctx)
	case n < 76:
		_ = w.store.merge(ctx)
	case n < 78:
		_ = w.store.expire(ctx)
	case n < 80:
		_ = w.service.Flush(ctx, "kept-id")
	case n < 90:
		w.log.commit()
	case n < 93:
		w.proc.Crash()
	case n < 95: // another process takes over, and the former one, which cannot settle any more, does not know it
		former := *w
		former.log = &fakeLog{events: w.log.events, next: w.log.next}
		former.service.Attach(former.log)
		w.start()
		_ = former.store.seal(ctx)
		_ = former.store.merge(ctx)
		_ = former.store.seal(ctx)
	case !w.ages: // what waits is not measured by its age
		if err := w.look(); err != nil {
			return err
		}
	}
	if w.proc.Crashed() {
		w.start()
	}
	return nil
}

func (w *world) accept(n int) {
	var list []deliver.Retained
	for range n {
		shard := uint32(w.rand.IntN(len(w.log.next)))
		at := w.clock.now.Add(-time.Duration(w.rand.IntN(3)) * time.Hour).Truncate(time.Second)
		e := testEvent(len(w.model), at, w.clock.now, "")
		r := w.log.accept(shard, e)
		w.model = append(w.model, entryOf(e, r))
		list = append(list, r)
	}
	w.service.Retain(w.def, list)
}

// look counts in the middle of everything.
func (w *world) look() error {
	t, err := w.service.Count(context.Background(), "kept-id")
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if want := totalOf(w.model); t != want {
		return fmt.Errorf("the archive counts %+v, and %+v were accepted", t, want)
	}
	return nil
}

func totalOf(list []Entry) (t Total) {
	for _, e := range list {
		t = t.plus(Total{1, int64(len(e.Event))})
	}
	return t
}

// check reads everything.
func (w *world) check() error {
	ctx := context.Background()
	if err := w.service.Flush(ctx, "kept-id"); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	oldest := w.store.oldest()
	w.model = slices.DeleteFunc(w.model, func(e Entry) bool { return hourOf(e.Position.Accepted) < oldest })
	if err := w.look(); err != nil {
		return err
	}
	if err := w.reads(slices.Clone(w.model)); err != nil {
		return err
	}
	if err := w.store.merge(ctx); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	if err := w.reads(slices.Clone(w.model)); err != nil {
		return fmt.Errorf("after a merge: %w", err)
	}
	if w.log.commit(); len(w.log.events) > 0 {
		return fmt.Errorf("%d events are not settled", len(w.log.events))
	}
	w.start() // sweeps
	names, err := w.service.blobs.List(ctx, "")
	if err != nil || len(names) != len(w.store.current().segments) {
		return fmt.Errorf("%d blobs of %d segments are left, %v", len(names), len(w.store.current().segments), err)
	}
	return nil
}

// reads reads both orders, at once and in two parts.
func (w *world) reads(want []Entry) error {
	for _, o := range []*order{byTime, byAcceptance} {
		slices.SortFunc(want, func(a, b Entry) int { return o.compare(a.Position, b.Position) })
		after := Position{}
		got, err := collect(w.service.reading(context.Background(), "kept-id", Window{}, after, o), 0)
		if err != nil {
			return err
		}
		if err := same(got, want); err != nil {
			return err
		}
		if len(want) == 0 {
			continue
		}
		at := w.rand.IntN(len(want))
		rest, err := collect(w.service.reading(context.Background(), "kept-id", Window{}, want[at].Position, o), 0)
		if err != nil {
			return err
		}
		if err := same(rest, want[at+1:]); err != nil {
			return fmt.Errorf("from event %d on: %w", at, err)
		}
	}
	return nil
}

func same(got, want []Entry) error {
	for i := range min(len(got), len(want)) {
		if got[i].Position != want[i].Position || string(got[i].Event) != string(want[i].Event) {
			return fmt.Errorf("event %d is %s at %+v instead of %s at %+v", i, got[i].Event, got[i].Position, want[i].Event, want[i].Position)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d events are read instead of %d", len(got), len(want))
	}
	return nil
}

// collect reads up to n events, or all if n is 0; the error is the first that there was.
func collect(seq func(func(Entry, error) bool), n int) (list []Entry, first error) {
	for e, err := range seq {
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		if list = append(list, e); len(list) == n {
			break
		}
	}
	return list, first
}
