package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/target"
)

// A recorder remembers what an Observer is told.
type recorder struct {
	mu       sync.Mutex
	attempts []Attempted
	circuits []Circuit
}

var _ Observer = (*recorder)(nil)

func (r *recorder) Attempted(a *Attempted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts = append(r.attempts, *a)
}

func (r *recorder) CircuitChanged(c *Circuit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.circuits = append(r.circuits, *c)
}

// states are the changes of circuits so far, such as "open half-open".
func (r *recorder) states() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, c := range r.circuits {
		list = append(list, c.State.String())
	}
	return strings.Join(list, " ")
}

func (r *rig) circuit(arn string) Circuit {
	r.t.Helper()
	list, err := r.Circuits(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range list {
		if c.ARN == arn {
			return c
		}
	}
	r.t.Fatalf("there is no circuit of %s", arn)
	return Circuit{}
}

// acceptMany accepts events with numbers from one up to another, ten in a call.
func (r *rig) acceptMany(from, to int, targets ...*target.Sealed) {
	r.t.Helper()
	for n := from; n < to; n += 10 {
		var events []Accepted
		for i := n; i < min(n+10, to); i++ {
			events = append(events, newEvent(fmt.Sprintf("e%06d", i), targets...))
		}
		if err := r.Accept(context.Background(), events); err != nil {
			r.t.Fatal(err)
		}
	}
}

// kill makes a destination fail until enough attempts have failed to open its circuit.
func (r *rig) breakDown(to *target.Sealed) {
	r.t.Helper()
	r.sender.when(to.ARN, fails(errBusy))
	r.acceptMany(0, 40, to)
	settle()
	if c := r.circuit(to.ARN); c.State != CircuitOpen {
		r.t.Fatalf("after 40 failures the circuit is %+v", c)
	}
}

// TestOutage lets a destination die under load and come back: the circuit opens, 5000 deliveries wait at no cost, probes find out, and
// everything arrives in order, at a rate that grows.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		r := newRig(t, Options{Observer: o})
		to := testTarget("billing", true)
		r.acceptMany(0, 500, to)
		settle()
		r.sender.when(to.ARN, fails(errBusy))
		r.acceptMany(500, 1000, to)
		time.Sleep(5 * time.Second)
		died := len(r.sender.to(to.ARN))
		if died > 500+2000 {
			t.Errorf("%d attempts were made until the circuit opened", died-500)
		}
		r.acceptMany(1000, 6000, to)
		settle()
		if n := len(r.sender.to(to.ARN)) - died; n != 0 {
			t.Errorf("%d attempts through the open circuit", n)
		}
		c := r.circuit(to.ARN)
		if s := r.stat(to.ARN); c.State != CircuitOpen || c.Parked < 5000 || s.Parked != c.Parked || s.Circuit != CircuitOpen || s.Waiting != 6000-500 {
			t.Errorf("circuit %+v, figures %+v", c, s)
		}
		time.Sleep(2 * time.Minute) // probes fail: after 1, 2, 4, 8 … seconds
		if n := len(r.sender.to(to.ARN)) - died; n < 4 || n > 7 {
			t.Errorf("%d probes in two minutes, want some six", n)
		}
		r.sender.when(to.ARN, nil)
		before := len(r.sender.to(to.ARN))
		time.Sleep(time.Hour)
		if w := r.waiting(); w != "" {
			t.Errorf("%d events still wait", len(strings.Fields(w)))
		}
		if c := r.circuit(to.ARN); c.State != CircuitClosed || c.Parked != 0 || c.Forced {
			t.Errorf("in the end the circuit is %+v", c)
		}
		if s := o.states(); !strings.HasPrefix(s, "open half-open open half-open") || !strings.HasSuffix(s, "half-open closed") || strings.Count(s, "closed") != 1 {
			t.Errorf("the circuit was %s", s)
		}
		wantRamp(t, r.sender.to(to.ARN)[before:])
	})
}

// wantRamp looks at the attempts of a drain.
func wantRamp(t *testing.T, got []sent) {
	t.Helper()
	began := got[0].at
	for second, most := range []int{probesWanted + 12, 24, 48, 90} {
		n := 0
		for _, m := range got {
			if int(m.at.Sub(began)/time.Second) == second {
				n++
			}
		}
		if n > most {
			t.Errorf("%d attempts in second %d of the drain, want at most %d", n, second, most)
		}
	}
	var parked []string // those that were attempted before come when they fall due
	for _, m := range got {
		if m.Attempt == 1 {
			parked = append(parked, m.EventID)
		}
	}
	if !begunInOrder(parked, defaultWindow) {
		t.Error("the backlog did not drain in order")
	}
}

// TestOutageAndRestart kills the process in each phase of an outage.
func TestOutageAndRestart(t *testing.T) {
	phases := []struct {
		name string
		wait time.Duration // after the destination came back
		hang bool          // it does not come back, and a probe hangs
		want CircuitState
	}{
		{"open", 0, false, CircuitOpen},
		{"half-open, with a probe under way", 0, true, CircuitHalfOpen},
		{"in the ramp", 5 * time.Second, false, CircuitClosed},
	}
	for _, phase := range phases {
		for _, how := range []string{"killed", "stopped"} {
			t.Run(phase.name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := new(recorder)
					r := newRig(t, Options{Observer: o})
					to := testTarget("billing", true)
					r.breakDown(to)
					r.acceptMany(1000, 3000, to)
					settle()
					if phase.hang {
						r.sender.when(to.ARN, hangs)
						time.Sleep(2 * time.Second)
					}
					if phase.wait > 0 {
						r.sender.when(to.ARN, nil)
						time.Sleep(phase.wait)
					}
					if c := r.circuit(to.ARN); c.State != phase.want || c.Parked < 1000 {
						t.Fatalf("the circuit is %+v", c)
					}
					if how == "killed" {
						r.kill()
					} else {
						r.stop()
					}
					r.sender.when(to.ARN, fails(errBusy))
					r.start()
					before := len(r.sender.to(to.ARN))
					settle()
					if n := len(r.sender.to(to.ARN)) - before; n > 1 {
						t.Errorf("%d attempts after the start, want a probe", n)
					}
					time.Sleep(10 * time.Second)
					r.sender.when(to.ARN, nil)
					before = len(r.sender.to(to.ARN))
					time.Sleep(time.Hour)
					if w := r.waiting(); w != "" {
						t.Errorf("%d events still wait", len(strings.Fields(w)))
					}
					wantRamp(t, r.sender.to(to.ARN)[before:])
					arrived := make(map[string]bool)
					for _, m := range r.sender.to(to.ARN) {
						arrived[m.EventID] = true
					}
					if len(arrived) != 2040 || len(r.sender.to(to.DeadLetter)) > 0 {
						t.Errorf("%d of 2040 events were attempted, and %d are dead", len(arrived), len(r.sender.to(to.DeadLetter)))
					}
				})
			})
		}
	}
}

// TestOnlySomePark has two rules for one destination, one of which asks for three attempts: it gets them, while the other's wait.
func TestOnlySomePark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		parks := testTarget("billing", true)
		exact := changed(t, parks, func(d *target.Definition) { d.ID, d.Retry.MaxAttempts = "exact", 2 })
		r.breakDown(parks)
		before := len(r.sender.to(parks.ARN))
		r.acceptMany(1000, 1100, parks, exact)
		time.Sleep(500 * time.Millisecond)
		if n := len(r.sender.to(parks.ARN)) - before; n != 100 {
			t.Errorf("%d attempts, want the first of each of a hundred", n)
		}
		if c := r.circuit(parks.ARN); c.State != CircuitOpen || c.Parked < 100 || c.Parked > 140 {
			t.Errorf("the circuit is %+v", c)
		}
		time.Sleep(10 * time.Second)
		if n := len(r.sender.to(exact.DeadLetter)); n != 100 {
			t.Errorf("%d dead letters, want 100", n)
		}
		r.sender.when(parks.ARN, nil)
		time.Sleep(time.Hour)
		if w := r.waiting(); w != "" || len(r.sender.to(parks.DeadLetter)) != 100 {
			t.Errorf("%d events still wait, %d are dead", len(strings.Fields(w)), len(r.sender.to(parks.DeadLetter)))
		}
	})
}

// TestHardErrorsOpenNothing lets a destination refuse every payload for good.
func TestHardErrorsOpenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		r := newRig(t, Options{Observer: o})
		to := testTarget("billing", true)
		r.sender.when(to.ARN, fails(errGone))
		r.acceptMany(0, 500, to)
		settle()
		if n := len(r.sender.to(to.DeadLetter)); n != 500 || o.states() != "" {
			t.Errorf("%d of 500 dead letters, and the circuit was %s", n, o.states())
		}
	})
}

// TestTooOldWhileParked lets deliveries reach their greatest age behind an open circuit: those end, as their policy says, and nobody
// else.
func TestTooOldWhileParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		r := newRig(t, Options{Observer: o})
		to := testTarget("billing", true)
		short := changed(t, to, func(d *target.Definition) { d.ID, d.Retry.MaxAge = "short", 10*time.Minute })
		r.Force(simScope, to.ARN, CircuitForcedOpen, time.Now(), "maintenance")
		time.Sleep(600 * time.Millisecond) // not at the beginning of a second
		began := time.Now()
		r.acceptMany(0, 1000, to, short)
		time.Sleep(5 * time.Minute)
		r.acceptMany(1000, 1500, short)
		time.Sleep(5*time.Minute - time.Millisecond)
		if n := len(r.sender.to(to.DeadLetter)); n != 0 {
			t.Errorf("%d dead letters before their time", n)
		}
		time.Sleep(10 * time.Second)
		letters := r.sender.to(to.DeadLetter)
		if len(letters) != 1000 {
			t.Fatalf("%d dead letters, want 1000", len(letters))
		}
		if took := letters[999].at.Sub(began); took > 10*time.Minute+3*time.Second {
			t.Errorf("the last letter came after %v", took)
		}
		wantAttributes(t, letters[0], map[string]string{
			"RULE_ARN":                  to.Rule.String(),
			"TARGET_ARN":                to.ARN,
			"ERROR_CODE":                "UNKNOWN",
			"ERROR_MESSAGE":             "The event reached its greatest age while the circuit of its target was open since 2000-01-01T00:00:00Z.",
			"EXHAUSTED_RETRY_CONDITION": "MaximumEventAgeInSeconds",
			"RETRY_ATTEMPTS":            "0",
		})
		if s := r.stat(to.ARN); s.Parked != 1500 || s.Dead != 1000 || s.Failed != 0 {
			t.Errorf("figures %+v", s)
		}
		time.Sleep(24 * time.Hour)
		if w := r.waiting(); w != "" || len(r.sender.to(to.DeadLetter)) != 2500 || len(r.sender.to(to.ARN)) != 0 {
			t.Errorf("a day later %q waits, and %d letters came", w, len(r.sender.to(to.DeadLetter)))
		}
		synctest.Wait()
		if n := len(o.attempts); n != 5000 { // the decisions, and the letters
			t.Errorf("the observer was told %d times, want 5000", n)
		}
	})
}

// TestEpitaph lets a delivery get too old behind a circuit that opened because of failures: its dead letter says which, and since when.
func TestEpitaph(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := changed(t, testTarget("billing", true), func(d *target.Definition) { d.Retry.MaxAge = 10 * time.Minute })
		opened := time.Now()
		r.breakDown(to)
		r.sender.when(to.ARN, fails(errDown)) // which the probes meet
		r.acceptMany(40, 50, to)
		time.Sleep(12 * time.Minute)
		letters := r.sender.to(to.DeadLetter)
		if len(letters) != 50 {
			t.Fatalf("%d dead letters, want 50", len(letters))
		}
		codes := make(map[string]int)
		for _, l := range letters {
			codes[l.Attributes["ERROR_CODE"].Value]++
			want := "The event reached its greatest age while the circuit of its target was open since " + opened.UTC().Format(time.RFC3339) +
				". Why it opened: The target could not be reached."
			if l.Attempt == 1 && l.Attributes["RETRY_ATTEMPTS"].Value == "0" && l.Attributes["ERROR_MESSAGE"].Value != want {
				t.Errorf("the letter of %s says %q, want %q", l.EventID, l.Attributes["ERROR_MESSAGE"].Value, want)
			}
		}
		if codes["UNKNOWN"] > 0 || codes[target.CodeConnectionFailure] < 10 || codes[target.CodeThrottling] == 0 {
			t.Errorf("the codes are %v: those that were never attempted have the circuit's, the others their own", codes)
		}
	})
}

// TestEndWhileParked has events with a time to live wait behind an open circuit, more than one step takes: they end when they expire, also
// those from before a restart, and leave nothing behind, while the others go on waiting in their order.
func TestEndWhileParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", true)
		const events = 3 * sweepMost
		put := func(from, until int, lives time.Duration) {
			for n := from; n < until; n += 100 {
				var list []Accepted
				for i := n; i < n+100; i++ {
					e := newEvent(fmt.Sprintf("e%06d", i), to)
					if i%2 == 0 {
						e.Expires = time.Now().Add(lives)
					}
					list = append(list, e)
				}
				if err := r.Accept(context.Background(), list); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.Force(simScope, to.ARN, CircuitForcedOpen, time.Now(), "maintenance")
		put(0, events, time.Hour)
		time.Sleep(30 * time.Minute)
		r.kill()
		r.open()
		r.Force(simScope, to.ARN, CircuitForcedOpen, time.Now(), "maintenance")
		r.run()
		put(events, events+1000, time.Minute)
		time.Sleep(58 * time.Second)
		if s := r.stat(to.ARN); s.Parked != events+1000 || s.Expired != 0 {
			t.Errorf("before their time %+v", s)
		}
		time.Sleep(5 * time.Second)
		if s := r.stat(to.ARN); s.Parked != events+500 || s.Expired != 500 {
			t.Errorf("after a minute %+v", s)
		}
		time.Sleep(29 * time.Minute)
		if s := r.stat(to.ARN); s.Parked != events/2+500 || s.Expired != events/2+500 || s.Waiting != events/2+500 || s.Failed != 0 {
			t.Errorf("after an hour %+v", s)
		}
		if n := len(r.sender.to(to.DeadLetter)); n != 0 {
			t.Errorf("%d dead letters", n)
		}
		if m := r.Deliverer.hosts[0].machine; len(m.mortal) != 0 {
			t.Errorf("the machine remembers when %d events end", len(m.mortal))
		}
	})
}

// TestTooOldSoon parks something with a short life beside what may wait for long.
func TestTooOldSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", true)
		short := changed(t, to, func(d *target.Definition) { d.ID, d.Retry.MaxAge = "short", time.Minute })
		r.Force(simScope, to.ARN, CircuitForcedOpen, time.Now(), "")
		r.accept("e1", to)
		time.Sleep(10 * time.Minute)
		began := time.Now()
		r.accept("e2", short)
		time.Sleep(5 * time.Minute)
		if letters := r.sender.to(to.DeadLetter); len(letters) != 1 || letters[0].at.Sub(began) > time.Minute+2*sweepPause {
			t.Errorf("the letters are %+v", letters)
		}
	})
}

// TestRestartOfHealthy kills a process that has a large backlog for a destination which is well: after a few probes it goes on at the rate
// that it had. What is inside the server gets everything at once.
func TestRestartOfHealthy(t *testing.T) {
	for _, local := range []bool{false, true} {
		t.Run(fmt.Sprintf("local=%t", local), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := new(recorder)
				r := newRig(t, Options{Observer: o})
				r.sender.local = local
				to := testTarget("billing", true)
				r.sender.when(to.ARN, func(context.Context, *target.Message) error {
					time.Sleep(32 * time.Millisecond) // 64 at once make 2,000 a second
					return nil
				})
				r.acceptMany(0, 20_000, to)
				time.Sleep(5 * time.Second)
				r.kill()
				before := len(r.sender.to(to.ARN))
				r.start()
				time.Sleep(time.Second)
				if n, want := len(r.sender.to(to.ARN))-before, map[bool]int{false: 1000, true: 1900}[local]; n < want {
					t.Errorf("%d attempts in the first second, want at least %d", n, want)
				}
				time.Sleep(5 * time.Second)
				if w := len(strings.Fields(r.waiting())); w > 0 || strings.Contains(o.states(), "open closed open") {
					t.Errorf("%d wait, and the circuit was %s", w, o.states())
				}
			})
		})
	}
}

// TestForced forces circuits: before there is anything to deliver, over a restart, against the rules, and back.
func TestForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		r := newRig(t, Options{Observer: o})
		to := testTarget("billing", false)
		off := changed(t, to, func(d *target.Definition) { d.ID, d.Breaker = "off", &target.Breaker{Off: true} })
		since := time.Now().Add(-time.Hour)
		settle()
		r.Force(simScope, to.ARN, CircuitForcedOpen, since, "maintenance")
		if c := r.circuit(to.ARN); c.State != CircuitOpen || !c.Forced || c.Reason != "maintenance" || !c.Since.Equal(since) || !c.Probe.IsZero() {
			t.Errorf("the circuit is %+v", c)
		}
		r.acceptMany(0, 100, to, off)
		time.Sleep(time.Hour)
		r.stop()
		r.open()
		r.Force(simScope, to.ARN, CircuitForcedOpen, since, "maintenance")
		r.run()
		time.Sleep(time.Hour)
		if c := r.circuit(to.ARN); len(r.sender.to(to.ARN)) > 0 || c.Parked != 200 {
			t.Errorf("%d attempts, and the circuit is %+v", len(r.sender.to(to.ARN)), c)
		}
		if s := o.states(); s != "open" {
			t.Errorf("the observer was told %q, want one change", s)
		}
		r.Force(simScope, to.ARN, CircuitAutomatic, time.Now(), "maintenance is over")
		settle()
		if c := r.circuit(to.ARN); c.Forced || c.Parked < 50 {
			t.Errorf("a moment later the circuit is %+v", c)
		}
		time.Sleep(time.Minute)
		if n := len(r.sender.to(to.ARN)); n != 200 || r.waiting() != "" {
			t.Errorf("%d attempts, want 200", n)
		}
		if s := o.states(); s != "open half-open closed" {
			t.Errorf("the observer was told %q", s)
		}

		r.Force(simScope, to.ARN, CircuitForcedClosed, time.Now(), "it is important")
		r.sender.when(to.ARN, fails(errBusy))
		r.acceptMany(100, 200, to)
		settle()
		if c := r.circuit(to.ARN); c.State != CircuitClosed || !c.Forced || len(r.sender.to(to.ARN)) != 300 {
			t.Errorf("%d attempts, and the circuit is %+v", len(r.sender.to(to.ARN)), c)
		}
		none := "arn:aws:sqs:eu-west-1:000000000000:none"
		r.Force(simScope, none, CircuitAutomatic, time.Now(), "")
		if list, _ := r.Circuits(context.Background()); len(list) != 1 {
			t.Errorf("the circuits are %+v", list)
		}
		r.Force(simScope, none, CircuitForcedOpen, time.Now(), "")
		r.Force(simScope, none, CircuitForcedClosed, time.Now(), "")
		r.Force(simScope, none, CircuitAutomatic, time.Now(), "")
		if list, _ := r.Circuits(context.Background()); len(list) != 1 {
			t.Errorf("the circuits are %+v", list)
		}
	})
}

// TestWeakDestination comes back with little capacity: it gets what it bears, and its circuit does not open again.
func TestWeakDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		r := newRig(t, Options{Observer: o, Policy: Policy{Cap: 5 * time.Second}})
		to := testTarget("billing", true)
		r.breakDown(to)
		r.acceptMany(1000, 4000, to)
		var mu sync.Mutex
		var capacity bucket
		capacity.set(time.Now(), 50)
		r.sender.when(to.ARN, func(context.Context, *target.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if capacity.wait(time.Now()) > 0 {
				return errBusy
			}
			capacity.take()
			return nil
		})
		began := time.Now()
		for s := r.stat(to.ARN); s.Waiting+s.InFlight > 0 && time.Since(began) < time.Hour; s = r.stat(to.ARN) {
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took > 4*time.Minute {
			t.Errorf("3000 deliveries at 50 a second took %v", took)
		}
		if s := o.states(); strings.Count(s, "closed") != 1 {
			t.Errorf("the circuit was %s", s)
		}
		if s := r.stat(to.ARN); s.Failed > 1500 {
			t.Errorf("%d attempts were refused", s.Failed)
		}
	})
}

// TestBreakerTakenAway has a rule ask for no breaker any more while its circuit is open: nothing is kept then, and the circuit does not
// go on opening and closing for nobody.
func TestBreakerTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		r := newRig(t, Options{Observer: o})
		to := testTarget("billing", true)
		r.breakDown(to)
		without := changed(t, to, func(d *target.Definition) { d.Breaker = &target.Breaker{Off: true} })
		r.accept("e000100", without)
		time.Sleep(time.Hour)
		synctest.Wait()
		if c := r.circuit(to.ARN); c.State != CircuitClosed || c.Parked != 0 {
			t.Errorf("the circuit is %+v", c)
		}
		if got := o.states(); got != "open closed" {
			t.Errorf("the circuit was %s", got)
		}
		r.sender.when(to.ARN, nil)
		time.Sleep(22 * time.Minute)
		if got := r.waiting(); got != "" {
			t.Errorf("%s wait", got)
		}
	})
}

// TestForcedOpenWithoutBreaker opens by hand what has no breaker, and lets it go again.
func TestForcedOpenWithoutBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := changed(t, testTarget("billing", true), func(d *target.Definition) { d.Retry.MaxAttempts = 0 })
		r.Force(simScope, to.ARN, CircuitForcedOpen, time.Now(), "maintenance")
		r.acceptMany(0, 100, to)
		settle()
		if c := r.circuit(to.ARN); c.Parked != 100 {
			t.Errorf("the circuit is %+v", c)
		}
		r.Force(simScope, to.ARN, CircuitAutomatic, time.Now(), "")
		settle()
		if c := r.circuit(to.ARN); c.State != CircuitClosed || r.waiting() != "" {
			t.Errorf("the circuit is %+v, and %q wait", c, r.waiting())
		}
	})
}

// TestTooOldInGroup lets a group reach its greatest age behind an open circuit: one after another dies without a wait.
func TestTooOldInGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := changed(t, testTarget("billing", true), func(d *target.Definition) { d.Retry.MaxAge = time.Minute })
		r.Force(simScope, to.ARN, CircuitForcedOpen, time.Now(), "maintenance")
		r.acceptOrdered(0, 500, 1, to)
		time.Sleep(time.Minute + 10*time.Second)
		letters := r.sender.to(to.DeadLetter)
		if len(letters) != 500 || r.waiting() != "" {
			t.Fatalf("%d of 500 dead letters", len(letters))
		}
		if s := r.stat(to.ARN); s.Parked != 0 || s.Dead != 500 {
			t.Errorf("figures %+v", s)
		}
	})
}
