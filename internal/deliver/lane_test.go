package deliver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/target"
)

// TestFairness gives a slow destination a backlog, and then fresh events: both get on. So do two rules, one of which has much more.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Window: 4})
		busy := testTarget("billing", false)
		calm := changed(t, busy, func(d *target.Definition) { d.ID = "calm" })
		r.sender.when(busy.ARN, func(context.Context, *target.Message) error { time.Sleep(100 * time.Millisecond); return nil })
		r.acceptMany(0, 1000, busy)
		time.Sleep(time.Second)
		began := time.Now()
		r.acceptMany(10000, 10020, calm)
		time.Sleep(2 * time.Second)
		var last time.Duration
		n := 0
		for _, m := range r.sender.to(busy.ARN) {
			if m.Definition.ID == "calm" {
				n++
				last = m.at.Sub(began)
			}
		}
		if n != 20 || last > 1200*time.Millisecond {
			t.Errorf("%d of 20 events of the other rule came, the last after %v", n, last)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Window: 4})
		to := testTarget("billing", false)
		r.Force(simScope, to.ARN, CircuitForcedOpen, time.Now(), "")
		r.acceptMany(0, 1000, to)
		settle()
		r.sender.when(to.ARN, func(context.Context, *target.Message) error { time.Sleep(100 * time.Millisecond); return nil })
		r.Force(simScope, to.ARN, CircuitForcedClosed, time.Now(), "")
		time.Sleep(time.Second)
		before := len(r.sender.to(to.ARN))
		r.acceptMany(1000, 2000, to) // fresh
		time.Sleep(10 * time.Second)
		var old, fresh []string
		for _, m := range r.sender.to(to.ARN)[before:] {
			if m.EventID < "e001000" {
				old = append(old, m.EventID)
			} else {
				fresh = append(fresh, m.EventID)
			}
		}
		if d := len(old) - len(fresh); d < -4 || d > 4 || len(old) < 150 {
			t.Errorf("%d attempts of the backlog and %d of what is fresh", len(old), len(fresh))
		}
		if !begunInOrder(old, 4) || !begunInOrder(fresh, 4) {
			t.Errorf("out of order: %s and %s", old, fresh)
		}
	})
}

// begunInOrder reports whether attempts were begun in the order of their events. Those of one window are begun at the same time, and
// any of them may be seen first.
func begunInOrder(ids []string, window int) bool {
	for i, id := range slices.Sorted(slices.Values(ids)) {
		if at := slices.Index(ids, id); at <= i-window || at >= i+window {
			return false
		}
	}
	return true
}

// TestLimitsOfRules has three rules with limits of their own for one destination.
func TestLimitsOfRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		free := testTarget("billing", false)
		slow := changed(t, free, func(d *target.Definition) { d.ID, d.Rate = "slow", 10 })
		narrow := changed(t, free, func(d *target.Definition) { d.ID, d.Concurrency = "narrow", 3 })
		var at, most atomic.Int32
		r.sender.when(free.ARN, func(_ context.Context, m *target.Message) error {
			if m.Definition.ID == "narrow" {
				most.Store(max(most.Load(), at.Add(1)))
				defer at.Add(-1)
			}
			time.Sleep(50 * time.Millisecond)
			return nil
		})
		r.acceptMany(0, 100, slow, narrow, free)
		time.Sleep(5 * time.Second)
		count := func(id string) (n int) {
			for _, m := range r.sender.to(free.ARN) {
				if m.Definition.ID == id {
					n++
				}
			}
			return n
		}
		if n := count("slow"); n < 50 || n > 52 {
			t.Errorf("%d attempts in 5 seconds at 10 a second", n)
		}
		if n := count("narrow"); n != 100 || most.Load() != 3 {
			t.Errorf("%d attempts, %d at once, want 100 and 3", n, most.Load())
		}
		if n := count("billing"); n != 100 {
			t.Errorf("%d attempts without a limit, want 100", n)
		}
		// The newest definition counts, for what waits, too.
		hourly := changed(t, slow, func(d *target.Definition) { d.Rate = 1.0 / 3600 })
		r.accept("hourly", hourly)
		time.Sleep(time.Minute)
		before := count("slow")
		quick := changed(t, slow, func(d *target.Definition) { d.Rate = 0 })
		r.accept("last", quick)
		time.Sleep(time.Second)
		if n := count("slow"); before > 55 || n != 102 || r.waiting() != "" {
			t.Errorf("%d attempts before the limit was lifted and %d after, want 102", before, n)
		}
	})
}

// TestWindowAdapts lets a destination bear ten calls at once: it gets about as many, and everything arrives.
func TestWindowAdapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Breaker: target.Breaker{Off: true}, Policy: Policy{Cap: time.Second}})
		to := testTarget("billing", true)
		var at, refused atomic.Int32
		r.sender.when(to.ARN, func(context.Context, *target.Message) error {
			defer at.Add(-1)
			if at.Add(1) > 10 {
				refused.Add(1)
				return errBusy
			}
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		r.acceptMany(0, 5000, to)
		time.Sleep(20 * time.Second)
		if s := r.stat(to.ARN); s.Window < 4 || s.Window > 12 || s.InFlight > 12 {
			t.Errorf("figures %+v", s)
		}
		time.Sleep(2 * time.Minute)
		if w := r.waiting(); w != "" || len(r.sender.to(to.DeadLetter)) > 0 {
			t.Errorf("%d events still wait", len(strings.Fields(w)))
		}
		if n := refused.Load(); n > 1000 {
			t.Errorf("%d attempts were refused", n)
		}
	})
}

// TestExpired lets events wait for longer than they are to live.
func TestExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		r := newRig(t, Options{Observer: o})
		to := testTarget("billing", true)
		r.Force(simScope, to.ARN, CircuitForcedOpen, time.Now(), "")
		long, short := newEvent("long", to), newEvent("short", to)
		long.Expires, short.Expires = time.Now().Add(time.Hour), time.Now().Add(time.Minute)
		if err := r.Accept(context.Background(), []Accepted{long, short}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		r.Force(simScope, to.ARN, CircuitForcedClosed, time.Now(), "")
		settle()
		if got := r.sender.to(to.ARN); len(got) != 1 || got[0].EventID != "long" || len(r.sender.to(to.DeadLetter)) != 0 || r.waiting() != "" {
			t.Errorf("attempts %+v, and %q waits", got, r.waiting())
		}
		if s := r.stat(to.ARN); s.Expired != 1 || s.Settled != 1 || s.Failed+s.Dropped+s.Dead != 0 {
			t.Errorf("figures %+v", s)
		}
		var actions []string
		for _, a := range o.attempts {
			actions = append(actions, a.Message.EventID+" "+a.Verdict.Action.String())
		}
		slices.Sort(actions)
		if got := strings.Join(actions, ", "); got != "long done, short expired" {
			t.Errorf("the observer was told: %s", got)
		}
	})
}

// TestObserver looks at what is told of an attempt.
func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		r := newRig(t, Options{Observer: o})
		to := testTarget("billing", true)
		r.sender.when(to.ARN, func(_ context.Context, m *target.Message) error {
			time.Sleep(30 * time.Millisecond)
			m.Answer = target.Answer{Status: 404, Head: "who?"}
			return errGone
		})
		began := time.Now()
		r.accept("e1", to)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(o.attempts) != 2 {
			t.Fatalf("told of %d attempts, want 2", len(o.attempts))
		}
		a, l := o.attempts[0], o.attempts[1]
		if a.For.ID != "billing" || a.Message.EventID != "e1" || a.Message.Answer.Status != 404 || a.Letter || a.Batch != 1 || !a.Began.Equal(began) ||
			a.Took != 30*time.Millisecond || a.Err != errGone || a.Verdict.Action != DeadLetter {
			t.Errorf("the attempt is %+v", a)
		}
		if l.For.ID != "billing" || !l.Letter || l.Message.Definition.ARN != to.DeadLetter || l.Err != nil || l.Verdict.Action != Done {
			t.Errorf("the letter is %+v", l)
		}
	})
}

// TestJobs does the same with a queue of pieces and with a slice.
func TestJobs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q, other jobs
	var want, wantOther []job
	next := uint64(0)
	for range 20_000 {
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			for range r.IntN(9) {
				next++
				j := job{key: next, until: uint32(1 + r.IntN(1000))}
				q.push(j)
				want = append(want, j)
			}
		case 4:
			for range r.IntN(100) {
				next++
				j := job{key: next}
				other.push(j)
				wantOther = append(wantOther, j)
			}
		case 5:
			q.join(&other)
			want, wantOther = append(want, wantOther...), nil
		case 6:
			by := uint32(r.IntN(300))
			for again := true; again; {
				some := 1 + r.IntN(100)
				next := q.sift(by, &some, func(j job) {
					i := slices.Index(want, j)
					if i < 0 || j.ends() > by {
						t.Fatalf("job %d, which ends at %d, was given away at %d", j.key, j.ends(), by)
					}
					want = slices.Delete(want, i, i+1)
				})
				again = some <= 0
				if slices.ContainsFunc(want, func(j job) bool { return j.ends() < next }) {
					t.Fatalf("a job ends before %d", next)
				}
			}
			if slices.ContainsFunc(want, func(j job) bool { return j.ends() <= by }) {
				t.Fatalf("a job that ends by %d was kept", by)
			}
		case 7:
			if len(wantOther) > 0 {
				if got := other.pop(); got != wantOther[0] {
					t.Fatalf("got %d, want %d", got.key, wantOther[0].key)
				}
				wantOther = wantOther[1:]
			}
		default:
			for range min(len(want), r.IntN(20)) {
				first := *q.first()
				if got := q.pop(); got != want[0] || got != first {
					t.Fatalf("got %d, want %d", got.key, want[0].key)
				}
				want = want[1:]
			}
		}
		if q.n != len(want) || other.n != len(wantOther) {
			t.Fatalf("%d and %d jobs, want %d and %d", q.n, other.n, len(want), len(wantOther))
		}
	}
}

// TestManyLanes has many rules with rates for one destination: each gets its own.
func TestManyLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", false)
		var targets []*target.Sealed
		for i := range 200 {
			targets = append(targets, changed(t, to, func(d *target.Definition) { d.ID, d.Rate = fmt.Sprint(i), 2 }))
		}
		r.acceptMany(0, 10, targets...)
		time.Sleep(4600 * time.Millisecond)
		if n := len(r.sender.to(to.ARN)); n != 2000 || r.waiting() != "" {
			t.Errorf("%d of 2000 attempts", n)
		}
	})
}

// TestRenew changes the limits of what waits already, back and forth, by no event at all: over a restart, for a target that has become
// another since, and although events come that were accepted with the former definition.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		fast := testTarget("billing", false)
		slow := changed(t, fast, func(d *target.Definition) { d.Rate = 2 })
		moved := changed(t, slow, func(d *target.Definition) { d.ARN, d.Rate = "arn:aws:sqs:eu-west-1:000000000000:other", 3 })
		renew := func(s *target.Sealed) { r.Renew([]*target.Sealed{s}) }
		sent := func() int { return len(r.sender.to(fast.ARN)) }
		wantIn := func(when string, span time.Duration, least, most int) {
			t.Helper()
			before := sent()
			time.Sleep(span)
			synctest.Wait()
			if n := sent() - before; n < least || n > most {
				t.Errorf("%s there were %d attempts in %v, want %d to %d", when, n, span, least, most)
			}
		}
		r.sender.when(fast.ARN, func(context.Context, *target.Message) error { time.Sleep(time.Second); return nil })
		r.acceptMany(0, 5000, fast)
		wantIn("at first", 10*time.Second, 600, 660)
		renew(slow)
		wantIn("turned down", 10*time.Second, 15, 22+defaultWindow)
		r.accept("late", fast)
		wantIn("and turned down still", 10*time.Second, 15, 22)
		renew(moved)
		wantIn("although it goes elsewhere now", 10*time.Second, 25, 32)
		r.stop()
		r.open()
		renew(slow)
		r.run()
		wantIn("after a restart", 20*time.Second, 20, 42)
		renew(fast)
		time.Sleep(10*time.Second + 10*time.Millisecond) // so that no attempt begins in the very moment of a look
		wantIn("turned up", 10*time.Second, 600, 660)
	})
}

// TestExpiredCostNoRate puts more than a rate lets through, for long, on a bus whose events live for half a minute. Those that have expired
// when their turn comes must not use up the rate, or nothing would ever be in time again.
func TestExpiredCostNoRate(t *testing.T) {
	tests := map[string]struct {
		pace   float64
		change func(*target.Definition)
	}{
		"of the rule":        {0, func(d *target.Definition) { d.Rate = 1 }},
		"of the destination": {1, func(*target.Definition) {}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.sender.rate = tt.pace
				to := changed(t, testTarget("billing", true), tt.change)
				for n := range 4 * 300 {
					e := newEvent(fmt.Sprintf("e%06d", n), to)
					e.Expires = e.Accepted.Add(30 * time.Second)
					if err := r.Accept(t.Context(), []Accepted{e}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(250 * time.Millisecond)
				}
				if n := len(r.sender.to(to.ARN)); n < 290 || n > 302 {
					t.Errorf("%d attempts in 300 seconds, want one in each", n)
				}
				time.Sleep(time.Minute)
				if s := r.stat(to.ARN); s.Waiting != 0 || s.Settled+s.Expired != 4*300 {
					t.Errorf("figures %+v", s)
				}
			})
		})
	}
}
