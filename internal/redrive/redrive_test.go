package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/occurrence"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/redrive"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
	"github.com/rialto-events/rialto/target"
)

var scope = rialto.Scope{Account: "111122223333", Region: "eu-west-1"}

func at(name rialto.QueueName) queue.Address { return queue.Address{Scope: scope, Name: name} }

// A taker stands for deliveries. It takes each key once, and is in trouble when a test says so.
type taker struct {
	mu      sync.Mutex
	taken   map[[16]byte]deliver.Accepted
	calls   int
	trouble func(call int, events []deliver.Accepted) error // nil is none; what it refuses alone it says in Err
	after   func()                                          // called when events were taken, before that is answered
}

func (d *taker) Accept(ctx context.Context, events []deliver.Accepted) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.trouble != nil {
		if err := d.trouble(d.calls, events); err != nil {
			for i := range events {
				events[i].Err = err
			}
			return err
		}
	}
	for _, e := range events {
		if _, known := d.taken[e.Dedupe.Key]; !known {
			d.taken[e.Dedupe.Key] = e
		}
	}
	if d.after != nil {
		d.after()
	}
	if ctx.Err() != nil {
		for i := range events {
			events[i].Err = ctx.Err()
		}
	}
	return ctx.Err()
}

func (d *taker) Remembers(_ context.Context, keys [][16]byte) ([]bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := make([]bool, len(keys))
	for i, k := range keys {
		_, known[i] = d.taken[k]
	}
	return known, nil
}

func (d *taker) Release(context.Context, string, [][16]byte) error { return nil }

// orders are what was taken, in the order of the letters.
func (d *taker) orders() (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.taken {
		list = append(list, string(e.Event))
	}
	slices.Sort(list)
	return list
}

// A world is queues and rules, over which one Service after the other may run.
type world struct {
	*redrive.Service
	t       *testing.T
	catalog *catalog.Catalog
	queues  *queue.Service
	taker   *taker
	busy    atomic.Int32 // how often schedules cannot be looked up yet
	cancel  func()       // tells the Service to end
	stop    func()       // and waits until it has
}

// newWorld makes a rule with one target, and a queue for its dead letters.
func newWorld(t *testing.T) *world {
	w := &world{t: t, catalog: catalogtest.Start(t), taker: &taker{taken: make(map[[16]byte]deliver.Accepted)}, stop: func() {}}
	w.queues = queue.New(w.catalog, queue.Options{})
	w.queues.Attach([]*shard.Shard{shardtest.Start(t, shard.Options{}, w.queues.Host())})
	w.must(w.queues.Create(t.Context(), at("dead"), map[string]string{"MessageRetentionPeriod": "1209600"}, nil))
	w.rule(true, "t")
	w.run()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run starts another Service after the present one has ended.
func (w *world) run() {
	w.stop()
	w.Service = redrive.New(w.queues, w.catalog, w.taker, redrive.Options{Subscriptions: subscriptions, Schedules: w.schedules})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	s := w.Service
	group.Go(func() { w.must(s.Run(ctx)) })
	w.cancel = cancel
	w.stop = sync.OnceFunc(func() { cancel(); group.Wait() })
}

// rule puts the rule with those targets.
func (w *world) rule(enabled bool, targets ...string) {
	w.t.Helper()
	r := &catalog.Rule{Name: "r", Bus: "b", Enabled: enabled, Pattern: new("{}")}
	for _, id := range targets {
		r.Targets = append(r.Targets, catalog.Target{ID: id, ARN: scope.QueueARN("q").String()})
	}
	_, err := w.catalog.Rules.Edit(w.t.Context(), catalog.RuleKey(scope, "b", "r"), func(*catalog.Rule) (*catalog.Rule, error) { return r, nil })
	w.must(err)
}

func (w *world) deleteRule() {
	w.t.Helper()
	_, err := w.catalog.Rules.Edit(w.t.Context(), catalog.RuleKey(scope, "b", "r"), func(*catalog.Rule) (*catalog.Rule, error) { return nil, nil })
	w.must(err)
}

// subscriptions knows one, of a web server.
func subscriptions(arn rialto.ARN) (*target.Definition, bool) {
	s := &target.Subscription{Topic: scope.ARN("sns", "news"), ARN: arn, Protocol: target.ProtocolHTTPS, Endpoint: "https://shop.example.com"}
	return s.Definition(), arn.Resource == "news:1"
}

// TestLettersOfSubscriptions brings the letters of a topic's subscriber back to it, or to another queue.
func TestLettersOfSubscriptions(t *testing.T) {
	for _, c := range []struct{ name, subscription, to, want, arrives string }{
		{"to the subscriber", "news:1", "", "completed 1/1/0/0", scope.ARN("sns", "news:1").String()},
		{"to a queue", "news:1", scope.QueueARN("q").String(), "completed 1/1/0/0", scope.QueueARN("q").String()},
		{"to what takes no letters", "news:1", scope.BusARN("default").String(), "completed 1/0/0/1", ""},
		{"of a subscription that was deleted", "news:2", "", "completed 1/0/0/1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.must(w.queues.Create(t.Context(), at("q"), nil, nil))
				arn := at("dead").ARN()
				w.must(w.queues.Deliver(t.Context(), arn, []*target.Message{{
					Definition: &target.Definition{ARN: arn.String()}, Payload: []byte("envelope"),
					Origin: &target.Origin{EventID: "m", Event: []byte(`{"kind":"Notification"}`), Bus: scope.ARN("sns", "news"), Rule: scope.ARN("sns", c.subscription), TargetID: "https"},
				}})[0])
				w.want(w.start(redrive.Spec{To: c.to}, 0), c.want)
				for _, e := range w.taker.taken {
					d := e.Targets[0]
					if d.ARN != c.arrives || d.Subscription == nil || d.Rule != scope.ARN("sns", c.subscription) || string(e.Event) != `{"kind":"Notification"}` {
						t.Errorf("it comes back as %+v to %+v", e, d.Definition)
					}
				}
				if len(w.taker.taken) > 0 != (c.arrives != "") {
					t.Errorf("%d came back", len(w.taker.taken))
				}
			})
		})
	}
}

// schedules knows one that fires, and one that does not.
func (w *world) schedules(_ context.Context, arn rialto.ARN) (*target.Definition, bool, error) {
	if w.busy.Add(-1) >= 0 {
		return nil, false, rialto.Errorf(rialto.Unavailable, "The log does not answer.")
	}
	name, known := strings.CutPrefix(arn.Resource, "schedule/g/")
	if !known || name == "gone" {
		return nil, false, nil
	}
	return scheduled(scope.QueueARN("now")), name == "nightly", nil
}

// scheduled is how what a schedule causes is delivered to a target.
func scheduled(to rialto.ARN) *target.Definition {
	return &target.Definition{Rule: scope.ARN("scheduler", "schedule-group/g"), RuleName: "g", ID: "hash", ARN: to.String(), Schedule: &target.Schedule{Last: true}}
}

// TestLettersOfSchedules brings the letters of a schedule to the target that it has, or had, or to another queue.
func TestLettersOfSchedules(t *testing.T) {
	was, err := target.Seal(scheduled(scope.QueueARN("was")))
	if err != nil {
		t.Fatal(err)
	}
	other := scope.QueueARN("q")
	for _, c := range []struct {
		name, schedule, to string
		was                []byte
		busy               int32
		want, reason       string
		arrives            rialto.ARN
	}{
		{"to its target as it is now", "nightly", "", was.JSON, 0, "completed 1/1/0/0", "", scope.QueueARN("now")},
		{"of a schedule that cannot be looked up at once", "nightly", "", was.JSON, 3, "completed 1/1/0/0", "", scope.QueueARN("now")},
		{"of a schedule that was deleted", "gone", "", was.JSON, 0, "completed 1/1/0/0", "", scope.QueueARN("was")},
		{"of which nobody knows the target", "gone", "", nil, 0, "completed 1/0/0/1", "the schedule was deleted", rialto.ARN{}},
		{"whose target cannot be read", "gone", "", []byte("{"), 0, "completed 1/0/0/1", "the target cannot be used", rialto.ARN{}},
		{"of a schedule that is disabled", "idle", "", was.JSON, 0, "completed 1/0/0/1", "the schedule is disabled, or its group is paused", rialto.ARN{}},
		{"to another queue", "idle", other.String(), was.JSON, 0, "completed 1/1/0/0", "", other},
		{"to what asks for more than an input", "nightly", scope.BusARN("default").String(), was.JSON, 0, "completed 1/0/0/1",
			"a letter of a schedule goes back to its target", rialto.ARN{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.must(w.queues.Create(t.Context(), at("q"), nil, nil))
				arn, schedule := at("dead").ARN(), scope.ARN("scheduler", "schedule/g/"+c.schedule)
				event := (&occurrence.Occurrence{ID: uuid.NewString(), Schedule: schedule, Time: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), Input: new("x")}).Event()
				w.must(w.queues.Deliver(t.Context(), arn, []*target.Message{{
					Definition: &target.Definition{ARN: arn.String()}, Payload: []byte("x"),
					Origin: &target.Origin{
						EventID: "o", Event: event, Bus: scope.ARN("scheduler", "schedule-group/g"), Rule: scope.ARN("scheduler", "schedule-group/g"), TargetID: "hash",
						Definition: c.was,
					},
				}})[0])
				list, err := w.List(t.Context(), redrive.Query{Filter: redrive.Filter{Rule: c.schedule}, Queues: w.Queues(scope)})
				if err != nil || len(list.Letters) != 1 || list.Letters[0].Kind != redrive.KindSchedule || list.Letters[0].Rule != schedule {
					t.Errorf("the schedule has letters %+v, %v", list, err)
				}
				w.busy.Store(c.busy)
				id := w.start(redrive.Spec{To: c.to}, 0)
				time.Sleep(time.Minute)
				r := w.want(id, c.want)
				if c.reason != "" && (len(r.Skipped) != 1 || !strings.HasPrefix(r.Skipped[0].Reason, c.reason)) {
					t.Errorf("skipped are %+v, want %q", r.Skipped, c.reason)
				}
				for _, e := range w.taker.taken {
					d := e.Targets[0]
					if d.ARN != c.arrives.String() || d.Schedule == nil || d.Rule != scope.ARN("scheduler", "schedule-group/g") || string(e.Event) != string(event) {
						t.Errorf("it comes back as %+v to %+v", e, d.Definition)
					}
					if c.to != "" && (d.Schedule.Was == nil || d.Schedule.Was.ARN != scope.QueueARN("was").String()) {
						t.Errorf("elsewhere nobody knows where it would belong: %+v", d.Schedule)
					}
				}
				if len(w.taker.taken) > 0 != (c.reason == "") {
					t.Errorf("%d came back", len(w.taker.taken))
				}
			})
		})
	}
}

// letter brings a dead letter of the rule.
func (w *world) letter(n int, code string) {
	w.t.Helper()
	arn := at("dead").ARN()
	w.must(w.queues.Deliver(w.t.Context(), arn, []*target.Message{{
		Definition: &target.Definition{ARN: arn.String()}, Payload: fmt.Appendf(nil, "order %03d", n),
		Attributes: map[string]target.Attribute{
			"ERROR_CODE": {Type: "String", Value: code}, "ERROR_MESSAGE": {Type: "String", Value: "why"}, "TARGET_ARN": {Type: "String", Value: scope.QueueARN("q").String()},
		},
		Origin: &target.Origin{
			EventID: fmt.Sprintf("e-%03d", n), Event: fmt.Appendf(nil, `{"n":"%03d"}`, n), Bus: scope.BusARN("b"), Rule: scope.RuleARN("b", "r"),
			TargetID: "t", Accepted: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), Hops: target.Hops{SameRegion: 1}, Redrives: 2,
		},
	}})[0])
}

func (w *world) letters(n int) {
	w.t.Helper()
	for i := range n {
		w.letter(i, "TIMEOUT")
	}
}

func (w *world) start(spec redrive.Spec, rate int) uuid.UUID {
	w.t.Helper()
	r, err := w.Start(w.t.Context(), at("dead"), spec, rate)
	w.must(err)
	return r.ID
}

func (w *world) now(id uuid.UUID) *redrive.Redrive {
	w.t.Helper()
	r, err := w.Get(w.t.Context(), at("dead"), id)
	w.must(err)
	if sum := r.Moved + r.FailedN() + r.SkippedN() + r.Left; sum != r.Selected {
		w.t.Errorf("%d are selected, and %d are accounted for", r.Selected, sum)
	}
	return r
}

// want compares a redrive with how it should be: status selected/moved/failed/skipped.
func (w *world) want(id uuid.UUID, want string) *redrive.Redrive {
	w.t.Helper()
	synctest.Wait()
	r := w.now(id)
	if got := fmt.Sprintf("%s %d/%d/%d/%d", r.Status, r.Selected, r.Moved, r.FailedN(), r.SkippedN()); got != want {
		w.t.Errorf("the redrive is %s, want %s: %+v %+v", got, want, r.Failed, r.Skipped)
	}
	return r
}

func (w *world) visible() int {
	w.t.Helper()
	c, err := w.queues.Counts(w.t.Context(), at("dead"))
	w.must(err)
	return c.Visible
}

func TestEventsComeBackAsNewDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.letters(250)
		w.want(w.start(redrive.Spec{}, 0), "completed 250/250/0/0")
		if len(w.taker.taken) != 250 || w.visible() != 0 {
			t.Errorf("%d were taken, %d are left", len(w.taker.taken), w.visible())
		}
		for _, e := range w.taker.taken {
			if e.Redrives != 3 || e.Redriven.Before(e.Accepted) || !strings.HasPrefix(e.EventID, "e-") || e.Hops.SameRegion != 1 ||
				len(e.Targets) != 1 || e.Targets[0].ID != "t" || e.Home == "" || e.Dedupe.Window <= 0 {
				t.Fatalf("an event came back as %+v", e)
			}
		}
	})
}

// TestUnknownOutcomes has the log of deliveries not answer, with events taken and not.
func TestUnknownOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.letters(30)
		w.taker.trouble = func(call int, events []deliver.Accepted) error {
			if call == 2 || call > 4 {
				return nil
			}
			if call == 3 {
				t.Error("what was taken was not answered for")
			}
			w.taker.taken[events[0].Dedupe.Key] = events[0] // it is, and nobody hears of it
			return rialto.Errorf(rialto.Unavailable, "The log does not answer.")
		}
		id := w.start(redrive.Spec{}, 0)
		time.Sleep(time.Minute)
		w.want(id, "completed 30/30/0/0")
		if len(w.taker.taken) != 30 {
			t.Errorf("%d were taken", len(w.taker.taken))
		}
	})
}

func TestOneThatCannotBeTakenHarmsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.letters(20)
		w.taker.trouble = func(_ int, events []deliver.Accepted) error {
			if slices.ContainsFunc(events, func(e deliver.Accepted) bool { return e.EventID == "e-007" }) {
				return shard.ErrTooLarge
			}
			return nil
		}
		r := w.want(w.start(redrive.Spec{}, 0), "completed 20/19/1/0")
		if len(r.Failed) != 1 || !strings.HasPrefix(r.Failed[0].Reason, "not taken: ") || w.visible() != 1 {
			t.Errorf("failed are %+v, visible %d", r.Failed, w.visible())
		}
	})
}

// TestAProcessThatDies ends the Service after events were taken and before the queue knows of it; then the rule is deleted. The next
// one finds out what was taken.
func TestAProcessThatDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.letters(150)
		w.taker.after = w.cancel
		id := w.start(redrive.Spec{}, 0)
		synctest.Wait()
		w.stop()
		w.taker.after = nil
		r := w.now(id)
		if r.Status != queue.RedriveRunning || r.Moved != 0 || len(w.taker.taken) != 100 {
			t.Fatalf("%d were taken, and the redrive is %+v", len(w.taker.taken), r)
		}
		w.deleteRule()
		w.run()
		r = w.want(id, "completed 150/100/0/50")
		if len(r.Skipped) != 1 || r.Skipped[0].Reason != "the rule was deleted" || len(w.taker.taken) != 100 || w.visible() != 50 {
			t.Errorf("skipped are %+v, %d were taken, %d are visible", r.Skipped, len(w.taker.taken), w.visible())
		}
	})
}

// TestNobodyKnowsAnyMore starts the next Service only when the key would be forgotten.
func TestNobodyKnowsAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.letters(3)
		w.taker.after = w.cancel
		id := w.start(redrive.Spec{}, 0)
		synctest.Wait()
		w.stop()
		w.taker.after = nil
		clear(w.taker.taken)
		time.Sleep(15 * 24 * time.Hour)
		w.run()
		r := w.want(id, "completed 3/0/3/0")
		if len(r.Failed) != 1 || !strings.HasPrefix(r.Failed[0].Reason, "in doubt") || len(w.taker.taken) != 0 {
			t.Errorf("failed are %+v", r.Failed)
		}
	})
}

func TestWhatIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.letters(4)
		_, err := w.queues.Send(t.Context(), at("dead"), []queue.Draft{{Body: "hello"}})
		w.must(err)
		got, err := w.queues.Receive(t.Context(), at("dead"), queue.ReceiveOptions{Visibility: new(600)})
		w.must(err)
		if len(got) != 1 {
			t.Fatalf("received %+v", got)
		}
		w.rule(false, "t")
		w.want(w.start(redrive.Spec{}, 0), "completed 4/0/0/4")
		w.rule(true, "other")
		r := w.want(w.start(redrive.Spec{}, 0), "completed 4/0/0/4")
		if len(r.Skipped) != 2 {
			t.Errorf("skipped are %+v", r.Skipped)
		}
		w.rule(true, "t")

		// What comes while the redrive lasts is not part of it.
		w.taker.trouble = func(int, []deliver.Accepted) error {
			w.taker.trouble = nil
			w.letter(9, "TIMEOUT")
			return nil
		}
		w.want(w.start(redrive.Spec{}, 0), "completed 4/3/0/1")
		if w.visible() != 2 {
			t.Errorf("%d are visible, want hello and the one that came late", w.visible())
		}
	})
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.letters(200)
		id := w.start(redrive.Spec{}, 20)
		time.Sleep(3*time.Second + time.Millisecond)
		if n := w.now(id).Moved; n < 58 || n > 64 {
			t.Errorf("%d were moved in 3s, want 20 a second", n)
		}
		before := w.now(id).Moved
		w.must(w.SetRate(t.Context(), w.now(id), 100))
		time.Sleep(time.Second)
		if n := w.now(id).Moved - before; n < 90 || n > 112 {
			t.Errorf("%d were moved in 1s, want 100 a second", n)
		}
		w.must(w.Pause(t.Context(), w.now(id)))
		synctest.Wait()
		before = w.now(id).Moved
		w.run()
		time.Sleep(time.Hour)
		if n := w.now(id).Moved - before; n != 0 {
			t.Errorf("%d were moved in a pause", n)
		}
		w.must(w.Cancel(t.Context(), w.now(id)))
		w.want(id, fmt.Sprintf("cancelled 200/%d/0/%d", before, 200-before))
		if err := w.Resume(t.Context(), w.now(id)); !queue.RedriveOver(err) {
			t.Errorf("a redrive that was cancelled was resumed: %v", err)
		}
	})
}

func TestLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 25 {
			w.letter(i, []string{"TIMEOUT", "NO_RESOURCE"}[i%5/4])
			time.Sleep(time.Second)
		}
		_, err := w.queues.Send(t.Context(), at("dead"), []queue.Draft{{Body: "hello"}})
		w.must(err)
		var seen []string
		q := redrive.Query{Queues: []queue.Address{at("dead")}, Limit: 10}
		for pages := 1; ; pages++ {
			p, err := w.List(t.Context(), q)
			w.must(err)
			if p.Total != 26 || len(p.Groups) != 3 || p.Groups[0].N != 20 || p.Groups[1].N != 5 || p.Groups[2].N != 1 {
				t.Fatalf("page %d has %d letters in %+v", pages, p.Total, p.Groups)
			}
			for _, l := range p.Letters {
				seen = append(seen, l.Body)
			}
			if q.After = p.Next; q.After == "" {
				if pages != 3 {
					t.Errorf("there are %d pages", pages)
				}
				break
			}
		}
		if len(seen) != 26 || !slices.IsSorted(seen[1:25]) || seen[25] != "hello" {
			t.Errorf("the pages show %q", seen)
		}
		all, err := w.List(t.Context(), redrive.Query{Queues: []queue.Address{at("dead")}})
		w.must(err)
		tenth := all.Letters[10]
		for _, tc := range []struct {
			name   string
			filter redrive.Filter
			want   int
		}{
			{"a rule by its name", redrive.Filter{Rule: "r"}, 25},
			{"a rule by its ARN", redrive.Filter{Rule: scope.RuleARN("b", "r").String()}, 25},
			{"a rule on another bus", redrive.Filter{Rule: scope.RuleARN("c", "r").String()}, 0},
			{"a target by its id", redrive.Filter{Target: "t"}, 25},
			{"a target by its ARN", redrive.Filter{Target: scope.QueueARN("q").String()}, 25},
			{"a code", redrive.Filter{Code: "no_resource"}, 5},
			{"a text of bodies", redrive.Filter{Text: "order 01"}, 10},
			{"a text of events", redrive.Filter{Text: `"n":"003"`}, 1},
			{"a text of what is no letter", redrive.Filter{Text: "hello"}, 1},
			{"an event", redrive.Filter{Event: "e-004"}, 1},
			{"from a time on", redrive.Filter{From: tenth.Sent}, 16},
			{"until a time", redrive.Filter{Until: tenth.Sent}, 10},
			{"ids", redrive.Filter{IDs: []string{tenth.ID, "none"}}, 1},
			{"several at once", redrive.Filter{Rule: "r", Code: "TIMEOUT", Until: tenth.Sent}, 8},
		} {
			p, err := w.List(t.Context(), redrive.Query{Filter: tc.filter, Queues: []queue.Address{at("dead")}})
			if err != nil || p.Total != tc.want {
				t.Errorf("%s: %d letters, %v, want %d", tc.name, p.Total, err, tc.want)
			}
		}
		if _, err := w.List(t.Context(), redrive.Query{Queues: []queue.Address{at("dead")}, After: "here"}); rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("a token that is none got %v", err)
		}
		if _, err := w.List(t.Context(), redrive.Query{Queues: []queue.Address{at("none")}}); !queue.IsMissing(err) {
			t.Errorf("a queue that is not there got %v", err)
		}
		if l, err := w.Letter(t.Context(), w.Queues(scope), tenth.ID, ""); err != nil || l.Event != tenth.Event || l.Receives != 0 {
			t.Errorf("a letter by its id is %+v, %v", l, err)
		}
		w.want(w.start(redrive.Spec{Filter: redrive.Filter{Code: "NO_RESOURCE"}}, 0), "completed 5/5/0/0")
		w.want(w.start(redrive.Spec{Filter: redrive.Filter{IDs: []string{tenth.ID}}}, 0), "completed 1/1/0/0")
	})
}

// TestListsAreBounded has more messages than one request reads, in two queues: each request goes on where the one before ended, and together
// they have read every message once.
func TestListsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const most, messages = 20_000, 45_000 // that one request reads, and that there are
		w.must(w.queues.Create(t.Context(), at("q"), nil, nil))
		for _, part := range []struct {
			queue rialto.QueueName
			n     int
		}{{"dead", messages - 100}, {"q", 100}} {
			for n := 0; n < part.n; n += 1000 {
				drafts := make([]queue.Draft, min(1000, part.n-n))
				for i := range drafts {
					drafts[i].Body = fmt.Sprintf("%s %d", part.queue, n+i)
				}
				_, err := w.queues.Send(t.Context(), at(part.queue), drafts)
				w.must(err)
			}
		}
		q, found, total, requests := redrive.Query{Filter: redrive.Filter{Text: " 99"}, Queues: w.Queues(scope), Limit: 1000}, 0, 0, 0
		for more := true; more; more = q.After != "" {
			p, err := w.List(t.Context(), q)
			w.must(err)
			requests++
			found, total, q.After = found+len(p.Letters), total+p.Total, p.Next
			if !p.Partial {
				t.Errorf("request %d says that it is whole", requests)
			}
		}
		if want := 1 + 10 + 100 + 1; found != want || total != want || requests != 3 {
			t.Errorf("%d letters were found, %d counted in %d requests, want %d in 3", found, total, requests, want)
		}
		p, err := w.List(t.Context(), redrive.Query{Queues: w.Queues(scope), Limit: 10})
		if err != nil || p.Total != most || len(p.Letters) != 10 || !p.Partial {
			t.Fatalf("one page has %d of %d letters, %v", len(p.Letters), p.Total, err)
		}
		p, err = w.List(t.Context(), redrive.Query{Queues: w.Queues(scope), Limit: 10, After: p.Next})
		if err != nil || p.Total != most || len(p.Letters) != 10 || p.Letters[0].Body != "dead 10" {
			t.Errorf("the next one has %d of %d letters, %v", len(p.Letters), p.Total, err)
		}
		last, err := w.List(t.Context(), redrive.Query{Queues: []queue.Address{at("q")}})
		if err != nil || last.Partial || last.Total != 100 {
			t.Fatalf("the small queue has %d letters, %v", last.Total, err)
		}
		_, err = w.Letter(t.Context(), w.Queues(scope), last.Letters[0].ID, "")
		if rialto.KindOf(err) != rialto.NotFound || !strings.Contains(err.Error(), "look further: after=") {
			t.Errorf("a letter that is too far away got %v", err)
		}
		for range 2 {
			_, after, _ := strings.Cut(err.Error(), "after=")
			var l *redrive.Letter
			if l, err = w.Letter(t.Context(), w.Queues(scope), last.Letters[0].ID, after); err == nil && l.Body == "q 0" {
				return
			}
		}
		t.Errorf("a letter that was looked for further got %v", err)
	})
}

func TestWhatCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.letters(2)
		id := w.start(redrive.Spec{}, 1)
		_, err := w.Start(t.Context(), at("dead"), redrive.Spec{}, 0)
		if rialto.KindOf(err) != rialto.Exists {
			t.Errorf("a second redrive at once got %v", err)
		}
		if _, err := w.Find(t.Context(), rialto.Scope{Account: "999999999999", Region: "eu-west-1"}, id.String()); rialto.KindOf(err) != rialto.NotFound {
			t.Errorf("another account finds it: %v", err)
		}
		ids := make([]string, 3000)
		for i := range ids {
			ids[i] = uuid.NewString()
		}
		time.Sleep(time.Minute)
		_, err = w.Start(t.Context(), at("dead"), redrive.Spec{Filter: redrive.Filter{IDs: ids}}, 0)
		if e, ok := errors.AsType[*rialto.Error](err); !ok || e.Kind != rialto.Invalid || !strings.Contains(e.Message, "by rule, target or code") {
			t.Errorf("a selection by too many ids got %v", err)
		}
		must := w.want(w.start(redrive.Spec{To: scope.BusARN("default").String()}, 0), "completed 0/0/0/0")
		if must.Spec.To == "" {
			t.Error("where it goes is not remembered")
		}
		if err := w.queues.Delete(t.Context(), at("dead")); err != nil {
			t.Error(err)
		}
		if list, err := w.Redrives(t.Context(), scope); err != nil || len(list) != 0 {
			t.Errorf("of a queue that was deleted there are %d redrives, %v", len(list), err)
		}
	})
}
