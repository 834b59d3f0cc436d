package explain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

var _ ingest.Observer = (*Recorder)(nil)

var scope = rialto.Scope{Account: "000000000000", Region: "us-east-1"}

// hook is a target with a dead-letter queue.
var hook = &target.Sealed{Definition: &target.Definition{
	Rule: scope.RuleARN("orders", "paid"), RuleName: "paid", ID: "hook", ARN: "arn:aws:events:us-east-1:000000000000:api-destination/hook/1",
	DeadLetter: "arn:aws:sqs:us-east-1:000000000000:dead",
}}

// An actor has things happen to one event after the other.
type actor struct{ *Recorder }

// accept has an event accepted that goes to targets.
func (a actor) accept(id string, targets ...*target.Sealed) *deliver.Accepted {
	e := &deliver.Accepted{
		EventID: id, Bus: scope.BusARN("orders"), Accepted: a.opts.Clock.Now(), Targets: targets, Trace: "Root=1-5759e988-bd862e3fe1be46a994272793",
		Event: []byte(`{"source":"shop","detail-type":"paid","detail":{"id":"` + id + `"}}`),
	}
	a.Accepted(e)
	return e
}

// attempt has an attempt made for an event.
func (a actor) attempt(e *deliver.Accepted, number int, letter bool, v deliver.Verdict) {
	var err error
	if v.Action != deliver.Done {
		err = errors.New("it failed")
	}
	a.Attempted(&deliver.Attempted{
		Message: &target.Message{
			Definition: hook.Definition, EventID: e.EventID, Event: e.Event, Payload: e.Event, Bus: e.Bus, Trace: e.Trace, Accepted: e.Accepted,
			Attempt: number, Answer: target.Answer{Status: 503, Head: "busy"},
		},
		For: hook.Definition, Letter: letter, Batch: 1, Began: a.opts.Clock.Now(), Took: 3 * time.Millisecond, Err: err, Verdict: v,
	})
}

var (
	again = deliver.Verdict{Action: deliver.Again, Code: target.CodeErrorFromTarget, Message: "answered with status 503"}
	dead  = deliver.Verdict{Action: deliver.DeadLetter, Code: target.CodeErrorFromTarget, Message: "answered with status 404"}
	done  = deliver.Verdict{}
)

// nothing waits.
type nothing struct{}

func (nothing) Pending(context.Context, string) ([]deliver.Pending, error) { return nil, nil }
func (nothing) Circuits(context.Context) ([]deliver.Circuit, error)        { return nil, nil }

func newCatalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	kv, err := journal.NewSim(1, journal.SimFaults{}).Open().KV(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), kv, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// running runs a Recorder until the function that it returns is called.
func running(t *testing.T, r *Recorder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the recorder ended with %v", err)
		}
	}
}

// told is an answer without what is looked up.
func told(r *Recorder, id string) *Answer {
	a, _ := r.answer(scope, id)
	return a
}

// TestFailuresSurviveACrash kills the process after the second in which failures are written.
func TestFailuresSurviveACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := journal.NewSim(1, journal.SimFaults{})
		first := actor{NewRecorder(Options{Journal: sim.Open()})}
		stop := running(t, first.Recorder)
		waits, lost, fine := first.accept("waits", hook), first.accept("lost", hook), first.accept("fine", hook)
		first.accept("unwanted")
		first.attempt(fine, 1, false, done)
		for n := 1; n <= 3; n++ {
			first.attempt(waits, n, false, again)
			time.Sleep(2 * time.Second)
		}
		first.attempt(lost, 1, false, dead)
		first.attempt(lost, 1, true, done)
		time.Sleep(2 * time.Second)
		crashed := sim.Fork(2)
		stop()

		second := actor{NewRecorder(Options{Journal: crashed.Open()})}
		defer running(t, second.Recorder)()
		second.attempt(waits, 4, false, again) // before what was kept is there
		synctest.Wait()
		if a := told(second.Recorder, "fine"); len(a.Buses) != 0 {
			t.Errorf("what went well is remembered: %+v", a)
		}
		for _, id := range []string{"lost", "unwanted"} {
			was, is := told(first.Recorder, id), told(second.Recorder, id)
			if diff := cmp.Diff(was, is, toMicros()); diff != "" || len(is.Buses) != 1 {
				t.Errorf("%s (-before +after):\n%s", id, diff)
			}
		}
		a := told(second.Recorder, "waits")
		if a.State != Waiting || len(a.Buses[0].Deliveries[0].Attempts) != 4 || a.Buses[0].Trace != waits.Trace || string(a.Buses[0].Event) != string(waits.Event) {
			t.Errorf("the event that waits has %+v", a)
		}
		for i, attempt := range a.Buses[0].Deliveries[0].Attempts {
			if attempt.Number != i+1 || attempt.Status != 503 || attempt.Answer != "busy" {
				t.Errorf("attempt %d is %+v", i+1, attempt)
			}
		}
	})
}

// toMicros compares times as the log has them.
func toMicros() cmp.Option {
	return cmp.Comparer(func(a, b time.Time) bool { return a.UnixMicro() == b.UnixMicro() || a.IsZero() && b.IsZero() })
}

// TestADayIsRemembered and no more, neither in memory nor in the log.
func TestADayIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.NewSim(1, journal.SimFaults{}).Open()
		a := actor{NewRecorder(Options{Journal: j})}
		defer running(t, a.Recorder)()
		old := a.accept("old", hook)
		a.attempt(old, 1, false, dead)
		time.Sleep(23 * time.Hour)
		young := a.accept("young", hook)
		a.attempt(young, 1, false, dead)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(told(a.Recorder, "old").Buses) != 0 || len(told(a.Recorder, "young").Buses) != 1 {
			t.Error("after a day and an hour the older failure is remembered, or the younger one is not")
		}
		log, err := j.Log(t.Context(), logName)
		if err != nil {
			t.Fatal(err)
		}
		if first, last, err := log.Bounds(t.Context()); err != nil || first != last || last < 2 {
			t.Errorf("the log has frames %d to %d, %v", first, last, err)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	a := actor{NewRecorder(Options{Recent: 1 << 20, Failures: 1 << 20})}
	for i := range 20_000 {
		e := a.accept(fmt.Sprint("fine-", i), hook)
		a.attempt(e, 1, false, done)
		e = a.accept(fmt.Sprint("lost-", i), hook)
		a.attempt(e, 1, false, dead)
		a.accept(fmt.Sprint("unwanted-", i))
	}
	size := func(of func(*shelf) *list) (n int) {
		for i := range a.shelves {
			s := &a.shelves[i]
			sum, records := 0, 0
			for rec := of(s).first; rec != nil; rec = rec.next {
				if sum += rec.measure(); rec.size != rec.measure() || s.byID[rec.id] != rec {
					t.Fatalf("the record of %s counts for %d, and has %d", rec.id, rec.size, rec.measure())
				}
				records++
			}
			if sum != of(s).size {
				t.Fatalf("a list says that it has %d bytes, and has %d", of(s).size, sum)
			}
			n += sum
		}
		return n
	}
	for name, of := range map[string]func(*shelf) *list{
		"recent": func(s *shelf) *list { return &s.recent }, "failures": func(s *shelf) *list { return &s.failures },
	} {
		if n := size(of); n > 1<<20 || n < 1<<19 {
			t.Errorf("%s take %d bytes of %d", name, n, 1<<20)
		}
	}
	if n := size(func(s *shelf) *list { return &s.unmatched }); n > 1<<20/unmatchedShare || n < 1<<20/unmatchedShare/2 {
		t.Errorf("unmatched events take %d bytes", n)
	}
	if len(told(a.Recorder, "fine-19999").Buses) != 1 || len(told(a.Recorder, "fine-0").Buses) != 0 {
		t.Error("it is not the oldest that was forgotten")
	}
}

func TestADeliveryKeepsItsFirstAndItsLastAttempts(t *testing.T) {
	a := actor{NewRecorder(Options{})}
	e := a.accept("long", hook)
	for n := 1; n <= 185; n++ {
		a.attempt(e, n, false, again)
	}
	d := told(a.Recorder, "long").Buses[0].Deliveries[0]
	var numbers []int
	for _, x := range d.Attempts {
		numbers = append(numbers, x.Number)
	}
	want := []int{1, 2, 3, 4, 170, 171, 172, 173, 174, 175, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185}
	if diff := cmp.Diff(want, numbers); diff != "" || d.Omitted != 165 {
		t.Errorf("%d are omitted, and there are (-want +got):\n%s", d.Omitted, diff)
	}
}

// TestDuplicates are counted with what they repeat.
func TestDuplicates(t *testing.T) {
	a := actor{NewRecorder(Options{})}
	a.accept("one", hook)
	e := &deliver.Accepted{EventID: "two", Bus: scope.BusARN("orders"), Event: []byte(`{}`), Targets: []*target.Sealed{hook}, DuplicateOf: "one"}
	a.Accepted(e)
	if two := told(a.Recorder, "two"); two.State != Duplicate || two.Buses[0].DuplicateOf != "one" || len(two.Buses[0].Deliveries) != 0 {
		t.Errorf("the duplicate is %+v", two)
	}
	if one := told(a.Recorder, "one"); one.Buses[0].Duplicates != 1 || one.State != Waiting {
		t.Errorf("what it repeats is %+v", one)
	}
}

// TestNobodyWaitsForALogThatFails has the log take nothing.
func TestNobodyWaitsForALogThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := journal.NewSim(1, journal.SimFaults{})
		a := actor{NewRecorder(Options{Journal: sim.Open()})}
		defer running(t, a.Recorder)()
		synctest.Wait()
		sim.SetFaults(journal.SimFaults{Unavailable: 1})
		for i := range 30_000 {
			e := a.accept(fmt.Sprint(i), hook)
			a.attempt(e, 1, false, dead)
		}
		if a.LeftOut() == 0 {
			t.Error("more waits to be written than may")
		}
		time.Sleep(time.Minute)
		sim.SetFaults(journal.SimFaults{})
		e := a.accept("late", hook)
		a.attempt(e, 1, false, dead)
		time.Sleep(time.Minute)

		again := NewRecorder(Options{Journal: sim.Open()})
		defer running(t, again)()
		synctest.Wait()
		if len(told(again, "late").Buses) != 1 {
			t.Error("what came after the log recovered is not kept")
		}
	})
}

// TestADamagedLogCostsTheMemoryAlone.
func TestADamagedLogCostsTheMemoryAlone(t *testing.T) {
	for _, payload := range [][]byte{nil, {99}, {version, kindRecord, 200}, {version, 77, 0}} {
		synctest.Test(t, func(t *testing.T) {
			j := journal.NewSim(1, journal.SimFaults{}).Open()
			log, err := j.Log(t.Context(), logName)
			if err != nil {
				t.Fatal(err)
			}
			f := journal.Frame{Shard: logName, Seq: 1, Epoch: 1, Time: time.Now(), Payload: payload}
			if _, err := log.Append(t.Context(), 0, f.Append(nil)); err != nil {
				t.Fatal(err)
			}
			a := actor{NewRecorder(Options{Journal: j})}
			defer running(t, a.Recorder)()
			x := NewExplainer(a.Recorder, newCatalog(t), nothing{})
			a.attempt(a.accept("one", hook), 1, false, again)
			if got, err := x.Explain(t.Context(), scope, "one", 0); err != nil || got.State != Waiting {
				t.Errorf("a log with %x gives %+v, %v", payload, got, err)
			}
		})
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	j := journal.NewSim(1, journal.SimFaults{}).Open()
	a := actor{NewRecorder(Options{Journal: j, Recent: 64 << 10, Failures: 64 << 10})}
	defer running(t, a.Recorder)()
	x := NewExplainer(a.Recorder, newCatalog(t), nothing{})
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 500 {
				e := a.accept(fmt.Sprint(w, "-", i%50), hook)
				a.attempt(e, 1, false, []deliver.Verdict{done, again, dead}[i%3])
				if i%10 == 0 {
					_, _ = x.Explain(t.Context(), scope, e.EventID, 0)
					if _, err := x.Recent(t.Context(), scope, Query{Status: StatusFailed}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
}

// TestAttemptsThatWereNotMade tells decisions from attempts: a destination must not be blamed for what never came to it.
func TestAttemptsThatWereNotMade(t *testing.T) {
	a := actor{NewRecorder(Options{})}
	defer running(t, a.Recorder)()
	e := a.accept("one", hook)
	a.attempt(e, 1, false, again)
	a.Attempted(&deliver.Attempted{ // too old, while the circuit was open
		Message: &target.Message{Definition: hook.Definition, EventID: e.EventID, Event: e.Event, Bus: e.Bus, Accepted: e.Accepted, Attempt: 2},
		For:     hook.Definition, Verdict: deliver.Verdict{Action: deliver.DeadLetter, Code: target.CodeUnknown, Message: "too old"},
	})
	got, err := NewExplainer(a.Recorder, newCatalog(t), nothing{}).Explain(t.Context(), scope, "one", 0)
	if err != nil {
		t.Fatal(err)
	}
	if tries := got.Buses[0].Deliveries[0].Attempts; len(tries) != 2 || tries[0].NotMade || !tries[1].NotMade || tries[1].Message != "too old" {
		t.Errorf("the attempts are %+v", tries)
	}
}

func TestListsAreFiltered(t *testing.T) {
	a := actor{NewRecorder(Options{})}
	defer running(t, a.Recorder)()
	for i, end := range []deliver.Verdict{done, again, dead, {Action: deliver.Expired}} {
		a.attempt(a.accept([]string{"fine", "waits", "lost", "late"}[i], hook), 1, false, end)
	}
	a.accept("unwanted")
	x := NewExplainer(a.Recorder, newCatalog(t), nothing{})
	for _, tc := range []struct {
		query Query
		want  string
	}{
		{Query{}, "fine late lost unwanted waits"},
		{Query{Status: StatusFailed}, "late lost waits"}, // the actor says of the one that expired that it failed, too
		{Query{Status: StatusDead}, "lost"},
		{Query{Status: StatusWaiting}, "lost waits"}, // the dead letter waits
		{Query{Status: StatusExpired}, "late"},
		{Query{Status: StatusDelivered}, "fine"},
		{Query{Status: StatusUnmatched}, "unwanted"},
		{Query{Rule: "paid", Status: StatusDead}, "lost"},
		{Query{Rule: hook.Rule.String(), Target: "hook", Status: StatusDelivered}, "fine"},
		{Query{Rule: "another"}, ""},
		{Query{Bus: "orders", Target: hook.ARN, Status: StatusDelivered}, "fine"},
		{Query{Bus: "default"}, ""},
		{Query{Since: time.Now().Add(time.Hour)}, ""},
	} {
		list, err := x.Recent(t.Context(), scope, tc.query)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range list {
			ids = append(ids, e.ID)
		}
		slices.Sort(ids)
		if got := strings.Join(ids, " "); got != tc.want {
			t.Errorf("%+v lists %q, want %q", tc.query, got, tc.want)
		}
	}
	if list, err := x.Recent(t.Context(), scope, Query{Limit: 2}); err != nil || len(list) != 2 {
		t.Errorf("of two events %d are listed, %v", len(list), err)
	}
}

// FuzzReadItem reads what may be in a log.
func FuzzReadItem(f *testing.F) {
	a := actor{NewRecorder(Options{})}
	e := a.accept("one", hook)
	a.attempt(e, 1, false, again)
	a.attempt(e, 2, true, done)
	f.Add(byte(kindRecord), appendRecord(nil, a.shelf("one").byID["one"]))
	f.Add(byte(kindTry), []byte{3, 'o', 'n', 'e', 0})
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		rec, err := readItem(kind, body)
		if err != nil {
			return
		}
		b := appendRecord(nil, rec)
		again, err := readItem(kindRecord, b)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if got := appendRecord(nil, again); !bytes.Equal(got, b) {
			t.Errorf("there and back changes\n%x to\n%x", b, got)
		}
	})
}

// BenchmarkRecord is what an event costs with one delivery, of which the attempt goes well or fails.
func BenchmarkRecord(b *testing.B) {
	for name, verdict := range map[string]deliver.Verdict{"delivered": done, "failed": again} {
		b.Run(name, func(b *testing.B) {
			a := actor{NewRecorder(Options{Journal: journal.NewSim(1, journal.SimFaults{}).Open()})}
			ids := make([]string, 1<<16)
			for i := range ids {
				ids[i] = fmt.Sprintf("019ab3c4-5d6e-7f80-9123-%012d", i)
			}
			event := bytes.Repeat([]byte("x"), 1000)
			targets := []*target.Sealed{hook}
			now := time.Now()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				e := deliver.Accepted{EventID: ids[i%len(ids)], Bus: scope.BusARN("orders"), Accepted: now, Targets: targets, Event: event}
				i++
				a.Accepted(&e)
				var err error
				if verdict.Action != deliver.Done {
					err = errors.New("it failed")
				}
				m := target.Message{Definition: hook.Definition, EventID: e.EventID, Event: event, Payload: event, Bus: e.Bus, Accepted: now, Attempt: i}
				a.Attempted(&deliver.Attempted{Message: &m, For: hook.Definition, Began: now, Took: time.Millisecond, Err: err, Verdict: verdict})
			}
		})
	}
}

// TestTopic explains a message of a topic: who got it and who did not, and nothing of the buses of the topic's account.
func TestTopic(t *testing.T) {
	a := actor{NewRecorder(Options{})}
	defer running(t, a.Recorder)()
	topic, arn := scope.ARN("sns", "orders"), scope.ARN("sns", "orders:1")
	d := (&target.Subscription{Topic: topic, ARN: arn, Protocol: target.ProtocolHTTPS, Endpoint: "https://x"}).Definition()
	e := &deliver.Accepted{EventID: "m", Bus: topic, Accepted: time.Now(), Targets: []*target.Sealed{{Definition: d}}, Event: []byte(`{"kind":"Notification"}`)}
	a.Accepted(e)
	m := &target.Message{Definition: d, EventID: "m", Event: e.Event, Bus: topic, Accepted: e.Accepted, Attempt: 1}
	a.Attempted(&deliver.Attempted{Message: m, For: d, Batch: 1, Began: time.Now(), Verdict: again})
	got, err := NewExplainer(a.Recorder, newCatalog(t), nothing{}).Explain(t.Context(), scope, "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	p := got.Buses[0]
	if p.Bus != topic.String() || len(got.Remarks) > 0 || len(p.NotMatched) > 0 || len(p.Deliveries) != 1 {
		t.Errorf("got %+v", got)
	}
	if d := p.Deliveries[0]; d.Rule != "orders:1" || d.RuleARN != arn.String() || d.Target != "https" || d.TargetARN != arn.String() || len(d.Attempts) != 1 {
		t.Errorf("the delivery is %+v", d)
	}
}
