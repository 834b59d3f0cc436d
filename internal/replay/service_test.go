package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// A fakeHistory has one archive, whose events are one after the other.
type fakeHistory struct {
	mu      sync.Mutex
	events  []history.Entry
	damaged int // the event of this number cannot be read; 0 is none
	gone    bool
}

func (h *fakeHistory) add(at time.Time, event string) {
	n := uint64(len(h.events) + 1)
	h.events = append(h.events, history.Entry{Position: history.Position{Time: at.UnixMicro(), Key: n}, Event: []byte(event)})
}

func (h *fakeHistory) Flush(context.Context, string) error { return nil }

func (h *fakeHistory) Cut(context.Context, string, history.Window) (*history.Edge, history.Total, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.events)
	return &history.Edge{Keys: []uint64{uint64(n)}}, history.Total{Events: int64(n)}, nil
}

func (h *fakeHistory) Read(_ context.Context, _ string, w history.Window, after history.Position) iter.Seq2[history.Entry, error] {
	return func(yield func(history.Entry, error) bool) {
		for i, e := range h.events {
			h.mu.Lock()
			gone := h.gone
			h.mu.Unlock()
			var err error
			switch at := e.Time(); {
			case gone:
				yield(history.Entry{}, rialto.Errorf(rialto.NotFound, "Archive a does not exist."))
				return
			case w.Edge != nil && e.Position.Key > w.Edge.Keys[0]:
				continue
			case e.Position.Compare(after) <= 0 || at.Before(w.From) || !w.To.IsZero() && !at.Before(w.To):
				continue
			case i+1 == h.damaged:
				e, err = history.Entry{}, &history.DamageError{Archive: "a", Segment: "s", Cause: errors.New("flipped")}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// fakeEvents sends every event to two targets of the rule "all". An event is its name, with the name of the replay it is put by.
type fakeEvents struct {
	targets []*target.Sealed
	mu      sync.Mutex
	n       int
	full    bool
}

func newFakeEvents(t *testing.T) *fakeEvents {
	f := new(fakeEvents)
	for _, id := range []string{"one", "two"} {
		s, err := target.Seal(&target.Definition{
			Rule: simScope.RuleARN("orders", "all"), RuleName: "all", ID: id, ARN: simScope.QueueARN(rialto.QueueName(id)).String(), Retry: target.DefaultRetry,
		})
		if err != nil {
			t.Fatal(err)
		}
		f.targets = append(f.targets, s)
	}
	return f
}

func (f *fakeEvents) Again(bus route.Bus, replay string, event []byte) (deliver.Accepted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	e := deliver.Accepted{EventID: fmt.Sprint("again-", f.n), Bus: bus.ARN(), Accepted: time.Now(), Targets: f.targets}
	e.Event = event
	if strings.Contains(string(event), "unwanted") {
		e.Targets = nil
	}
	return e, nil
}

func (f *fakeEvents) Committed(route.Bus, []deliver.Accepted) {}

func (f *fakeEvents) Expires(_ route.Bus, e *deliver.Accepted) time.Time {
	if strings.Contains(string(e.Event), "stale") {
		return e.Accepted
	}
	return time.Time{}
}

func (f *fakeEvents) Room() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return rialto.Errorf(rialto.Unavailable, "The disk is full.")
	}
	return nil
}

// A sink takes every delivery, and notes which event came when, by target.
type sink struct {
	mu    sync.Mutex
	began time.Time
	got   map[string][]string
	times []time.Duration
	hangs chan struct{} // deliveries wait until it is closed; nil is no wait
	at    int           // in progress
	most  int
}

func (s *sink) Send(ctx context.Context, m *target.Message) error {
	s.mu.Lock()
	hangs := s.hangs
	s.at++
	s.most = max(s.most, s.at)
	s.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at--
	s.got[m.Definition.ID] = append(s.got[m.Definition.ID], string(m.Event))
	if m.Definition.ID == "one" {
		s.times = append(s.times, time.Since(s.began))
	}
	return nil
}

// A rig is a Service over a simulated journal.
type rig struct {
	*Service
	t       *testing.T
	sim     *journal.Sim
	history *fakeHistory
	events  *fakeEvents
	sink    *sink
	catalog *catalog.Catalog
	opts    Options
	proc    *journal.SimJournal
	end     func()
}

func newRig(t *testing.T, opts Options) *rig {
	r := &rig{
		t: t, sim: journal.NewSim(1, journal.SimFaults{}), history: new(fakeHistory), events: newFakeEvents(t),
		sink: &sink{began: time.Now(), got: make(map[string][]string)}, catalog: catalogtest.Start(t), opts: opts,
	}
	_, err := r.catalog.Archives.Edit(t.Context(), catalog.NameKey(simScope, "a"), func(*catalog.Archive) (*catalog.Archive, error) {
		return &catalog.Archive{Name: "a", ID: "id-of-a", Bus: "orders"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(func() { r.end() })
	return r
}

func (r *rig) start() {
	r.t.Helper()
	r.proc = r.sim.Open()
	log, err := r.proc.Log(context.Background(), "test")
	if err != nil {
		r.t.Fatal(err)
	}
	blob, err := r.proc.Blob(context.Background(), "snapshots")
	if err != nil {
		r.t.Fatal(err)
	}
	d := deliver.New(func(*target.Definition) target.Sender { return r.sink }, deliver.Options{})
	r.Service = New(r.catalog, r.history, r.events, d, r.opts)
	sh, err := shard.Open(context.Background(), log, blob, []shard.Hosted{d.Host(), r.Host()}, shard.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	d.Attach([]*shard.Shard{sh})
	r.Attach([]*shard.Shard{sh})
	var ends []func() error
	for _, run := range []func(context.Context) error{sh.Run, d.Run, r.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		ends = append(ends, func() error { cancel(); return <-done })
	}
	r.end = func() {
		for i := len(ends) - 1; i >= 0; i-- {
			if err := ends[i](); err != nil && !r.proc.Crashed() {
				r.t.Errorf("part %d ended with: %v", i, err)
			}
		}
	}
}

// kill ends everything as kill -9 does, and starts it again.
func (r *rig) kill() {
	r.proc.Crash()
	r.end()
	r.start()
}

// begin starts a replay of the archive.
func (r *rig) begin(change func(*Spec)) {
	r.t.Helper()
	spec := Spec{Scope: simScope, Name: "r", Archive: "a", Bus: "orders"}
	if change != nil {
		change(&spec)
	}
	got, err := r.Start(r.t.Context(), spec)
	if err != nil || got.State != Starting {
		r.t.Fatalf("Start: %+v, %v", got, err)
	}
}

func (r *rig) get() Replay {
	r.t.Helper()
	got, err := r.Get(r.t.Context(), simScope, "r")
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// fill puts n events into the archive, one a second.
func (r *rig) fill(n int) {
	first := time.Date(2026, 3, 1, 10, 0, 30, 0, time.UTC)
	for i := range n {
		r.history.add(first.Add(time.Duration(i)*time.Second), fmt.Sprintf(`{"n":%d,"detail":{"k":"%d"}}`, i, i%3))
	}
}

// arrived reports whether each of n events came to both targets exactly once.
func (r *rig) arrived(n int) {
	r.t.Helper()
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	for _, id := range []string{"one", "two"} {
		seen := make(map[string]int)
		for _, e := range r.sink.got[id] {
			seen[e]++
		}
		if len(r.sink.got[id]) != n || len(seen) != n {
			r.t.Errorf("target %s got %d events, %d different ones, want %d", id, len(r.sink.got[id]), len(seen), n)
		}
	}
}

func (r *rig) pass(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
	synctest.Wait()
}

func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(1500)
		r.history.add(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), `{"unwanted":1}`)
		r.begin(func(s *Spec) { s.To = time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC) })
		r.pass(time.Minute)
		got := r.get()
		if got.State != Completed || got.Read != 1501 || got.Put != 1500 || got.Delivered != 3000 || got.Expected != 1501 {
			t.Errorf("the replay is %+v", got)
		}
		if want := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC); !got.LastMinute().Equal(want) {
			t.Errorf("the last minute is %s, want %s", got.LastMinute(), want)
		}
		r.arrived(1500)
		if _, err := r.Start(t.Context(), got.Spec); rialto.KindOf(err) != rialto.Exists {
			t.Errorf("the same name again: %v", err)
		}
		if _, err := r.Cancel(t.Context(), simScope, "r"); err == nil || err.Error() != "Replay r is not in a valid state for this operation." {
			t.Errorf("Cancel after the end: %v", err)
		}
		r.kill()
		if again := r.get(); !reflect.DeepEqual(again, got) {
			t.Errorf("after a restart the replay is %+v, was %+v", again, got)
		}
		r.pass(keep)
		if _, err := r.Get(t.Context(), simScope, "r"); rialto.KindOf(err) != rialto.NotFound {
			t.Errorf("after 90 days: %v", err)
		}
	})
}

// TestKilled kills the server again and again in the middle of a replay.
func TestKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(2000)
		r.begin(func(s *Spec) { s.Speed.PerSecond = 500 })
		for range 6 {
			r.pass(470 * time.Millisecond)
			r.kill()
		}
		r.pass(10 * time.Second)
		if got := r.get(); got.State != Completed || got.Put != 2000 {
			t.Errorf("the replay is %+v", got)
		}
		for _, id := range []string{"one", "two"} { // deliveries are at least once; what the replay put is exactly once
			seen := make(map[string]bool)
			for _, e := range r.sink.got[id] {
				seen[e] = true
			}
			if len(seen) != 2000 {
				t.Errorf("target %s got %d different events", id, len(seen))
			}
		}
	})
}

func TestSpeed(t *testing.T) {
	for _, c := range []struct {
		name  string
		speed Speed
		want  time.Duration // for 301 events, one a second
	}{
		{"20 a second", Speed{PerSecond: 20}, 15 * time.Second},
		{"1 in 10 seconds", Speed{PerSecond: 0.1}, 3000 * time.Second},
		{"as they came", Speed{Times: 1}, 300 * time.Second},
		{"ten times as fast", Speed{Times: 10}, 30 * time.Second},
		{"half as fast", Speed{Times: 0.5}, 600 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.fill(301)
				r.begin(func(s *Spec) { s.Speed = c.speed })
				r.pass(2 * c.want)
				r.arrived(301)
				if last := r.sink.times[300]; last < c.want*95/100 || last > c.want*105/100 {
					t.Errorf("the last event came after %s, want %s", last, c.want)
				}
			})
		})
	}
}

// TestSpeedOfWhatMatches has a pattern leave out most events. The speed is that of the others.
func TestSpeedOfWhatMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(301)
		r.begin(func(s *Spec) { s.Pattern, s.Speed.PerSecond = `{"detail":{"k":["0"]}}`, 10 })
		r.pass(time.Minute)
		r.arrived(101)
		if last := r.sink.times[100]; last < 9500*time.Millisecond || last > 10500*time.Millisecond {
			t.Errorf("the last of 101 events came after %s, want 10s", last)
		}
		if got := r.get(); got.State != Completed || got.Read != 301 {
			t.Errorf("the replay is %+v", got)
		}
	})
}

// TestGaps restarts the server, and changes the speed, while a replay at the original pace waits for an event that is hours away.
func TestGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		first := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
		r.history.add(first, `{"n":0}`)
		r.history.add(first.Add(2*time.Hour), `{"n":1}`)
		r.history.add(first.Add(9*time.Hour), `{"n":2}`)
		r.history.add(first.Add(1_000_000*time.Hour), `{"n":3}`)
		r.begin(func(s *Spec) { s.Speed.Times = 0.5 })
		for range 3 {
			r.pass(time.Hour)
			r.kill()
		}
		if got := r.get(); got.Put != 1 {
			t.Errorf("%d events were put after 3 hours", got.Put)
		}
		r.pass(time.Hour)
		if got := r.get(); got.Put != 2 {
			t.Errorf("%d events were put after 4 hours", got.Put)
		}
		r.pass(time.Hour)
		if _, err := r.SetSpeed(t.Context(), simScope, "r", Speed{Times: 1}); err != nil {
			t.Fatal(err)
		}
		r.pass(5 * time.Hour)
		if got := r.get(); got.Put != 2 {
			t.Errorf("%d events were put an hour before the third is due", got.Put)
		}
		r.pass(time.Hour + time.Second)
		if got := r.get(); got.Put != 3 {
			t.Errorf("%d events were put when the third was due", got.Put)
		}
		if _, err := r.SetSpeed(t.Context(), simScope, "r", Speed{Times: minSpeed}); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Hour)
		if got := r.get(); got.Put != 3 {
			t.Errorf("an event that is due in 114,000 years was put after an hour")
		}
	})
}

// TestUntil limits a replay, and a dry run of it, to what was accepted earlier.
func TestUntil(t *testing.T) {
	until := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	r := Replay{Spec: Spec{Until: until}}
	if got := r.window().Before; !got.Equal(until) {
		t.Errorf("it reads what was accepted before %s, want %s", got, until)
	}
}

// TestEdge starts a replay while events come in. What comes later is not in it, and not among what is expected, also after a kill.
func TestEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(10)
		r.begin(func(s *Spec) { s.Speed.PerSecond = 1 })
		synctest.Wait()
		r.fill(10)
		r.kill()
		r.pass(time.Minute)
		if got := r.get(); got.State != Completed || got.Expected != 10 || got.Read != 10 {
			t.Errorf("of 10 events %d are expected and %d are read, and it is %s", got.Expected, got.Read, got.State)
		}
	})
}

// TestRecordsAreBounded starts more replays than are remembered. Those that ended first are forgotten, also by the next process, and one that has not
// ended is not, however old it is.
func TestRecordsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(2)
		r.begin(func(s *Spec) { s.Name, s.Speed.PerSecond = "runs", minSpeed })
		if _, err := r.Pause(t.Context(), simScope, "runs"); err != nil {
			t.Fatal(err)
		}
		for i := range mostRecords + 2 {
			r.begin(func(s *Spec) { s.Name, s.From = fmt.Sprint("n", i), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) })
			r.pass(time.Second)
		}
		for range 2 {
			list, err := r.List(t.Context(), simScope)
			if err != nil || len(list) > mostRecords+1 {
				t.Errorf("%d replays are known, %v", len(list), err)
			}
			for name, want := range map[string]bool{"runs": true, "n0": false, "n1": false, "n2": true} {
				if _, err := r.Get(t.Context(), simScope, name); (err == nil) != want {
					t.Errorf("%s: %v", name, err)
				}
			}
			r.kill()
		}
	})
}

func TestPauseAndChangeOfSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(1000)
		r.begin(func(s *Spec) { s.Speed.PerSecond = 10 })
		r.pass(10 * time.Second)
		if _, err := r.Pause(t.Context(), simScope, "r"); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Second)
		before := r.get()
		if before.Put < 95 || before.Put > 105 || !before.Paused {
			t.Errorf("after ten seconds: %+v", before)
		}
		r.pass(time.Hour)
		r.kill()
		r.pass(time.Hour)
		if after := r.get(); after.Put != before.Put {
			t.Errorf("%d events were put in the pause", after.Put-before.Put)
		}
		if _, err := r.SetSpeed(t.Context(), simScope, "r", Speed{PerSecond: 100}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Resume(t.Context(), simScope, "r"); err != nil {
			t.Fatal(err)
		}
		r.pass(5 * time.Second)
		if n := r.get().Put - before.Put; n < 475 || n > 525 {
			t.Errorf("%d events in five seconds, want 500", n)
		}
		if _, err := r.SetSpeed(t.Context(), simScope, "r", Speed{PerSecond: 1, Times: 1}); rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("two speeds at once: %v", err)
		}
		if got, err := r.Cancel(t.Context(), simScope, "r"); err != nil || got.State != Cancelling {
			t.Errorf("Cancel: %+v, %v", got, err)
		}
		r.pass(time.Second)
		if got := r.get(); got.State != Cancelled || got.Ended.IsZero() {
			t.Errorf("after Cancel: %+v", got)
		}
	})
}

// TestBackPressure: a replay does not run away from a target that takes nothing.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Lag: 1000})
		r.fill(5000)
		r.sink.hangs = make(chan struct{})
		r.begin(nil)
		r.pass(10 * time.Second)
		if got := r.get(); got.Put < 1000 || got.Put > 1000+3*batchEvents { // the lanes may hear of a batch after the runner has
			t.Errorf("%d events were put while nobody takes them", got.Put)
		}
		close(r.sink.hangs)
		r.pass(time.Minute)
		r.arrived(5000)
	})
}

// TestOrderedBackPressure: nor does one with an order, and it does not wait for what another replay has put to another target.
func TestOrderedBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Lag: 1000})
		r.fill(5000)
		r.sink.hangs = make(chan struct{})
		r.begin(func(s *Spec) { s.Order, s.Target = "time", "one" })
		r.pass(10 * time.Second)
		if got := r.get(); got.Put < 1000 || got.Put > 1000+2*batchEvents {
			t.Errorf("%d events were put while nobody takes them", got.Put)
		}
		if got := r.get(); !strings.HasPrefix(got.Waits, "Its targets are behind: ") {
			t.Errorf("it is said to wait for %q", got.Waits)
		}
		r.begin(func(s *Spec) { s.Name, s.Order, s.Target, s.To = "two", "time", "two", r.get().Last })
		r.pass(10 * time.Second)
		if got, err := r.Get(t.Context(), simScope, "two"); err != nil || got.Put < 1000 {
			t.Errorf("%d events were put to a target that has no part in it, %v", got.Put, err)
		}
		close(r.sink.hangs)
		r.pass(time.Minute)
		if got := r.get(); got.State != Completed || got.Put != 5000 || got.Waits != "" {
			t.Errorf("in the end the replay is %+v", got)
		}
	})
}

func TestStrictOrder(t *testing.T) {
	for _, order := range []string{"time", "$.detail.k"} {
		t.Run(order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.fill(300)
				r.begin(func(s *Spec) { s.Order, s.Target = order, "one" })
				r.pass(time.Minute)
				last := map[string]int{}
				for _, e := range r.sink.got["one"] {
					var n, k int
					if _, err := fmt.Sscanf(e, `{"n":%d,"detail":{"k":"%d"}}`, &n, &k); err != nil {
						t.Fatal(err)
					}
					group := ""
					if order != "time" {
						group = fmt.Sprint(k)
					}
					if was, ok := last[group]; ok && n <= was {
						t.Fatalf("%d came after %d", n, was)
					}
					last[group] = n
				}
				if len(r.sink.got["one"]) != 300 || len(r.sink.got["two"]) != 0 {
					t.Errorf("one got %d events, two %d", len(r.sink.got["one"]), len(r.sink.got["two"]))
				}
			})
		})
	}
}

func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(90)
		r.begin(func(s *Spec) { s.Pattern = `{"detail":{"k":["1"]}}` })
		r.pass(time.Minute)
		r.arrived(30)
		if got := r.get(); got.Read != 90 || got.Put != 30 {
			t.Errorf("the replay is %+v", got)
		}
		r.begin(func(s *Spec) { s.Name, s.Rules = "other", []string{simScope.RuleARN("orders", "other").String()} })
		r.pass(time.Minute)
		r.arrived(30)
		r.history.add(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), `{"stale":1}`)
		for _, perishable := range []bool{true, false} { // by hand, old events are what is asked for
			name := fmt.Sprint("perishable-", perishable)
			r.begin(func(s *Spec) {
				s.Name, s.Perishable, s.Pattern, s.To = name, perishable, `{"stale":[1]}`, time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
			})
			r.pass(time.Minute)
			if got, err := r.Get(t.Context(), simScope, name); err != nil || (got.Put == 0) != perishable {
				t.Errorf("of a stale event, %d were put by the replay %s, %v", got.Put, name, err)
			}
		}
	})
}

func TestWhatGoesWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(100)
		r.history.damaged = 50
		r.begin(nil)
		r.pass(time.Minute)
		if got := r.get(); got.State != Failed || got.Put != 99 || !strings.Contains(got.Reason, "damaged") {
			t.Errorf("with a damaged event: %+v", got)
		}
		r.history.damaged = 0

		r.events.full = true
		r.begin(func(s *Spec) { s.Name = "full" })
		r.pass(time.Minute)
		if got, _ := r.Get(t.Context(), simScope, "full"); got.State != Starting || got.Waits != "The disk is full." {
			t.Errorf("with a full disk: %+v", got)
		}
		r.events.mu.Lock()
		r.events.full = false
		r.events.mu.Unlock()
		r.pass(time.Minute)
		if got, _ := r.Get(t.Context(), simScope, "full"); got.State != Completed || got.Put != 100 || got.Waits != "" {
			t.Errorf("with room again: %+v", got)
		}

		r.begin(func(s *Spec) { s.Name, s.Speed.PerSecond = "gone", 10 })
		r.pass(2 * time.Second)
		fill := func(full bool) {
			r.events.mu.Lock()
			defer r.events.mu.Unlock()
			r.events.full = full
		}
		fill(true)
		r.pass(time.Second)
		r.history.mu.Lock()
		r.history.gone = true
		r.history.mu.Unlock()
		fill(false)
		r.pass(time.Minute)
		if got, _ := r.Get(t.Context(), simScope, "gone"); got.State != Failed || got.Reason != "Archive resource not found." || got.Waits != "" {
			t.Errorf("without its archive: %+v", got)
		}
	})
}

func TestAtMostTen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.fill(100)
		for i := range defaultMost {
			r.begin(func(s *Spec) { s.Name, s.Speed.PerSecond = fmt.Sprint("r", i), 1 })
		}
		spec := Spec{Scope: simScope, Name: "more", Archive: "a", Bus: "orders"}
		if _, err := r.Start(t.Context(), spec); rialto.KindOf(err) != rialto.Exceeded {
			t.Errorf("an eleventh replay: %v", err)
		}
		r.pass(2 * time.Minute)
		if _, err := r.Start(t.Context(), spec); err != nil {
			t.Errorf("after the end of the others: %v", err)
		}
	})
}
