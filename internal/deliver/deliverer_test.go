package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

func TestEventArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		path := "$.detail"
		shaped := changed(t, testTarget("shaped", false), func(d *target.Definition) { d.InputPath = &path })
		plain := testTarget("plain", false)
		began := time.Now()
		r.accept("e1", plain, shaped)
		settle()
		got := r.sender.to(plain.ARN)
		if len(got) != 1 {
			t.Fatalf("%d attempts, want 1", len(got))
		}
		m := got[0]
		event := `{"id":"e1","detail":{"total":42.50}}`
		if m.EventID != "e1" || string(m.Event) != event || string(m.Payload) != event || m.Bus.String() != "arn:aws:events:eu-west-1:000000000000:event-bus/orders" ||
			m.Trace != "Root=1-5759e988-bd862e3fe1be46a994272793" || m.Hops != (target.Hops{SameRegion: 1}) || !m.Accepted.Equal(began) ||
			m.Attempt != 1 || m.Definition.Rule != plain.Rule || m.Attributes != nil {
			t.Errorf("the message is %+v", m.Message)
		}
		if got := r.sender.to(shaped.ARN); len(got) != 1 || string(got[0].Payload) != `{"total":42.50}` {
			t.Errorf("shaped: %+v", got)
		}
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
		if s := r.stat(plain.ARN); s.Settled != 1 || s.Failed != 0 || s.Waiting != 0 || s.InFlight != 0 {
			t.Errorf("figures %+v", s)
		}
	})
}

// TestRetriesForADay follows a delivery that always fails through the 24 hours of AWS's default, over restarts and kills, to the
// dead-letter queue.
func TestRetriesForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := uint64(1)
		r := newRig(t, Options{Rand: func() float64 { // spread evenly, and the same in every run
			random = random*6364136223846793005 + 1442695040888963407
			return float64(random>>40) / (1 << 24)
		}})
		to := testTarget("billing", true)
		r.sender.when(to.ARN, fails(errBusy))
		r.sender.when(to.DeadLetter, func(_ context.Context, m *target.Message) error {
			if m.Attempt == 1 {
				return errBusy // the age of the event does not matter any more
			}
			return nil
		})
		began := time.Now()
		r.accept("e1", to)
		for hour := range 25 {
			time.Sleep(time.Hour)
			switch hour % 8 {
			case 3:
				r.stop()
				r.start()
			case 6:
				settle()
				r.kill()
				r.start()
			}
		}
		time.Sleep(time.Minute)
		got := r.sender.to(to.ARN)
		for i, m := range got {
			if m.Attempt != i+1 {
				t.Fatalf("attempts %s", numbers(got))
			}
			if i == 0 {
				continue
			}
			longest := min(time.Second<<(i-1), defaultCap)
			if i > 12 {
				longest = defaultCap
			}
			if pause := m.at.Sub(got[i-1].at); pause < 0 || pause > longest+2*tick*time.Microsecond {
				t.Errorf("pause %v before attempt %d, want at most %v", pause, i+1, longest)
			}
		}
		if n := len(got); n < 110 || n > 170 {
			t.Errorf("%d attempts; AWS was seen to make 130", n)
		}
		last := got[len(got)-1].at.Sub(began)
		if last < 24*time.Hour || last > 24*time.Hour+time.Second {
			t.Errorf("the last attempt was made after %v", last)
		}
		letters := r.sender.to(to.DeadLetter)
		if numbers(letters) != "1 2" {
			t.Fatalf("attempts of the letter %q, want two", numbers(letters))
		}
		wantAttributes(t, letters[1], map[string]string{
			"RULE_ARN":                  "arn:aws:events:eu-west-1:000000000000:rule/orders/paid",
			"TARGET_ARN":                "arn:aws:sqs:eu-west-1:000000000000:billing",
			"ERROR_CODE":                "THROTTLING",
			"ERROR_MESSAGE":             "Rate exceeded",
			"EXHAUSTED_RETRY_CONDITION": "MaximumEventAgeInSeconds",
			"RETRY_ATTEMPTS":            fmt.Sprint(len(got) - 1),
		})
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
	})
}

func wantAttributes(t *testing.T, m sent, want map[string]string) {
	t.Helper()
	got := make(map[string]string)
	for name, a := range m.Attributes {
		got[name] = a.Value
	}
	if !maps.Equal(got, want) {
		t.Errorf("attributes of the dead letter:\ngot  %v\nwant %v", got, want)
	}
}

func TestDeadLetters(t *testing.T) {
	common := map[string]string{
		"RULE_ARN": "arn:aws:events:eu-west-1:000000000000:rule/orders/paid", "TARGET_ARN": "arn:aws:sqs:eu-west-1:000000000000:billing",
	}
	broken := &target.Transformer{Paths: map[string]string{"t": "$.detail"}, Template: `{"o":"<t>"}`}
	detail := "$.detail"
	tests := []struct {
		name   string
		change func(*target.Definition)
		err    error
		body   string
		want   map[string]string
	}{
		{"a permanent error: at once, without what ran out", nil, errGone, `{"id":"e1","detail":{"total":42.50}}`,
			map[string]string{"ERROR_CODE": "NO_RESOURCE", "ERROR_MESSAGE": "No such queue."}},
		{"retries that ran out", func(d *target.Definition) { d.Retry.MaxAttempts = 2 }, errBusy, `{"id":"e1","detail":{"total":42.50}}`,
			map[string]string{"ERROR_CODE": "THROTTLING", "ERROR_MESSAGE": "Rate exceeded", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "2"}},
		{"no retries at all", func(d *target.Definition) { d.Retry.MaxAttempts = 0 }, errBusy, `{"id":"e1","detail":{"total":42.50}}`,
			map[string]string{"ERROR_CODE": "THROTTLING", "ERROR_MESSAGE": "Rate exceeded", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "0"}},
		{"an age that ran out", func(d *target.Definition) { d.Retry.MaxAge = time.Minute }, errors.New("connection reset"), `{"id":"e1","detail":{"total":42.50}}`,
			map[string]string{"ERROR_CODE": "UNKNOWN", "ERROR_MESSAGE": "connection reset", "EXHAUSTED_RETRY_CONDITION": "MaximumEventAgeInSeconds", "RETRY_ATTEMPTS": "7"}},
		{"the body is the shaped payload", func(d *target.Definition) { d.InputPath = &detail }, errGone, `{"total":42.50}`,
			map[string]string{"ERROR_CODE": "NO_RESOURCE", "ERROR_MESSAGE": "No such queue."}},
		{"the body is the broken text", func(d *target.Definition) { d.Transformer = broken }, nil, `{"o":"{"total":42.50}"}`,
			map[string]string{"ERROR_CODE": "INVALID_JSON", "ERROR_MESSAGE": "Invalid input for target."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				to := testTarget("billing", true)
				if tt.change != nil {
					to = changed(t, to, tt.change)
				}
				if tt.err != nil {
					r.sender.when(to.ARN, fails(tt.err))
				}
				r.accept("e1", to)
				time.Sleep(2 * time.Minute)
				letters := r.sender.to(to.DeadLetter)
				if len(letters) != 1 {
					t.Fatalf("%d dead letters, want 1; %s waits", len(letters), r.waiting())
				}
				m := letters[0]
				want := maps.Clone(common)
				maps.Copy(want, tt.want)
				wantAttributes(t, m, want)
				if string(m.Payload) != tt.body || m.EventID != "e1" || m.Trace == "" {
					t.Errorf("the letter is %+v, with the body %s", m.Message, m.Payload)
				}
				if w := r.waiting(); w != "" {
					t.Errorf("still waiting: %s", w)
				}
				if s := r.stat(to.ARN); s.Dead != 1 || s.Settled != 0 {
					t.Errorf("figures %+v", s)
				}
			})
		})
	}
}

// TestDeadLetterQueueIsBroken lets the dead-letter queue fail, over a restart, until the letter is given up.
func TestDeadLetterQueueIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", true)
		r.sender.when(to.ARN, fails(errGone))
		r.sender.when(to.DeadLetter, fails(errBusy))
		r.accept("e1", to)
		time.Sleep(20 * time.Second)
		if s := r.stat(to.DeadLetter); s.Waiting != 1 || s.Failed == 0 {
			t.Errorf("figures of the queue %+v", s)
		}
		r.kill()
		r.start()
		time.Sleep(2 * time.Hour)
		if n := len(r.sender.to(to.ARN)); n != 1 {
			t.Errorf("the target was tried %d times, want once", n)
		}
		letters := r.sender.to(to.DeadLetter)
		if numbers(letters) != "1 2 3 4 5 6 7 8 9 10 11 12 13" {
			t.Errorf("attempts of the letter: %s", numbers(letters))
		}
		if !maps.Equal(letters[12].Attributes, letters[0].Attributes) {
			t.Errorf("attributes of the letter changed: %v, then %v", letters[0].Attributes, letters[12].Attributes)
		}
		if r.logs.count("event dropped: the dead-letter queue did not take it") != 1 {
			t.Errorf("the log says:\n%s", r.logs.b.String())
		}
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
		if s := r.stat(to.DeadLetter); s.Dropped != 1 {
			t.Errorf("figures of the queue %+v", s)
		}
	})
}

// TestDropped ends a delivery that has no dead-letter queue.
func TestDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", false)
		r.sender.when(to.ARN, fails(errGone))
		r.accept("e1", to)
		settle()
		if n := r.logs.count(`level=WARN msg="event dropped: the target has no dead-letter queue" bus=arn:aws:events:eu-west-1:000000000000:event-bus/orders event=e1 rule=paid target=` + to.ARN); n != 1 {
			t.Errorf("the log says:\n%s", r.logs.b.String())
		}
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
		if s := r.stat(to.ARN); s.Dropped != 1 || s.Failed != 1 {
			t.Errorf("figures %+v", s)
		}
	})
}

// TestNothingToDeliver lets a template come to nothing: that is neither delivered nor a failure.
func TestNothingToDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := changed(t, testTarget("billing", true), func(d *target.Definition) {
			d.Transformer = &target.Transformer{Paths: map[string]string{"x": "$.none"}, Template: `<x>`}
		})
		r.accept("e1", to)
		settle()
		if len(r.sender.got) != 0 || r.waiting() != "" {
			t.Errorf("%d attempts, %q waits", len(r.sender.got), r.waiting())
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", false)
		r.sender.when(to.ARN, func(_ context.Context, m *target.Message) error {
			if m.Attempt == 1 {
				return &target.Error{Code: target.CodeThrottling, Message: "Later.", RetryAfter: 10 * time.Minute}
			}
			return nil
		})
		r.accept("e1", to)
		time.Sleep(time.Hour)
		got := r.sender.to(to.ARN)
		if len(got) != 2 {
			t.Fatalf("%d attempts, want 2", len(got))
		}
		if pause := got[1].at.Sub(got[0].at); pause < 10*time.Minute || pause > 10*time.Minute+time.Second {
			t.Errorf("pause of %v, want 10 minutes", pause)
		}
	})
}

// TestDeadDestinationBesideGoodOne gives a destination that never answers much more to do than it has a window for.
func TestDeadDestinationBesideGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events, window = 300, 8
		r := newRig(t, Options{Window: window})
		bad, good := testTarget("bad", false), testTarget("good", false)
		var inFlight, most, together, mostTogether atomic.Int32
		count := func(n, most *atomic.Int32) func() {
			most.Store(max(most.Load(), n.Add(1)))
			return func() { n.Add(-1) }
		}
		r.sender.when(bad.ARN, func(ctx context.Context, m *target.Message) error {
			defer count(&inFlight, &most)()
			return hangs(ctx, m)
		})
		r.sender.when(good.ARN, func(ctx context.Context, m *target.Message) error {
			defer count(&together, &mostTogether)()
			time.Sleep(time.Millisecond)
			return nil
		})
		began := time.Now()
		for i := range events {
			r.accept(fmt.Sprintf("e%d", i), bad, good)
		}
		settle()
		time.Sleep(events / window * time.Millisecond)
		synctest.Wait()
		got := r.sender.to(good.ARN)
		if len(got) != events {
			t.Fatalf("%d of %d events arrived at the good destination", len(got), events)
		}
		if took := got[events-1].at.Sub(began); took > 100*time.Millisecond {
			t.Errorf("the last event arrived after %v", took)
		}
		if s := r.stat(bad.ARN); s.InFlight != window || s.Waiting != events-window {
			t.Errorf("figures of the dead destination %+v", s)
		}
		time.Sleep(10 * time.Minute)
		if most.Load() != window || mostTogether.Load() != window {
			t.Errorf("up to %d and %d attempts at once, want %d", most.Load(), mostTogether.Load(), window)
		}
		if n := r.logs.count("code=TIMEOUT"); n < window {
			t.Errorf("%d attempts ended because their time was over", n)
		}
	})
}

// TestRefusingDestination gives a backlog to a destination that refuses at once, and whose rule asks for a number of attempts, so that
// no circuit opens: it is tried at a bearable pace, and everything arrives soon after it has come back.
func TestRefusingDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 5000
		r := newRig(t, Options{})
		to := changed(t, testTarget("billing", false), func(d *target.Definition) { d.Retry.MaxAttempts = 184 })
		r.sender.when(to.ARN, fails(errBusy))
		for i := range events {
			r.accept(fmt.Sprintf("e%d", i), to)
		}
		time.Sleep(10 * time.Second) // to get used to it
		before := len(r.sender.to(to.ARN))
		time.Sleep(time.Minute)
		if n := len(r.sender.to(to.ARN)) - before; n > 60*640 || n < 60*300 {
			t.Errorf("%d attempts in a minute, want some less than 640 a second", n)
		}
		if s := r.stat(to.ARN); s.InFlight != 0 || s.Waiting != events {
			t.Errorf("figures %+v", s)
		}
		r.sender.when(to.ARN, nil)
		time.Sleep(5 * time.Minute) // the pauses of those attempts were shorter than that
		if w := r.waiting(); w != "" {
			t.Errorf("%d events still wait", len(strings.Fields(w)))
		}
	})
}

// TestOldestFirst starts again with deliveries that wait: the places of those that have ended were used again meanwhile, and the
// oldest are attempted first all the same.
func TestOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Window: 1})
		first, stuck := testTarget("first", false), testTarget("stuck", false)
		release := make(chan struct{})
		r.sender.when(first.ARN, func(context.Context, *target.Message) error { <-release; return nil })
		r.sender.when(stuck.ARN, hangs)
		r.accept("1", first)
		r.accept("2", stuck)
		r.accept("3", stuck)
		close(release)
		settle()
		r.accept("4", stuck) // in the place of the first
		r.kill()
		r.sender = newFakeSender()
		r.start()
		settle()
		var got []string
		for _, m := range r.sender.to(stuck.ARN) {
			got = append(got, m.EventID)
		}
		if want := "2 3 4"; strings.Join(got, " ") != want {
			t.Errorf("attempted %s, want %s", got, want)
		}
	})
}

// TestKilled kills the process in every state of a delivery. Attempts that were made are counted; one that nobody can tell of is
// made again, and not counted.
func TestKilled(t *testing.T) {
	to := testTarget("billing", true)
	tests := []struct {
		name   string
		before func(r *rig)
		after  func(r *rig)
		want   string // attempts to the target
		letter string // attempts to the dead-letter queue
	}{
		{"ready", func(r *rig) {
			r.stop()
			r.open() // nobody makes attempts
			r.accept("e1", to)
		}, nil, "1", ""},
		{"attempting", func(r *rig) {
			r.sender.when(to.ARN, hangs)
			r.accept("e1", to)
			settle()
		}, func(r *rig) { r.sender.when(to.ARN, nil) }, "1 1", ""},
		{"waiting", func(r *rig) {
			r.sender.when(to.ARN, fails(errBusy))
			r.accept("e1", to)
			time.Sleep(time.Minute)
		}, func(r *rig) { r.sender.when(to.ARN, nil) }, "1 2 3 4 5 6 7 8", ""},
		{"arrived, and nobody knows", func(r *rig) {
			r.accept("e1", to)
			synctest.Wait()
		}, nil, "1 1", ""},
		{"arrived", func(r *rig) {
			r.accept("e1", to)
			settle()
		}, nil, "1", ""},
		{"dead, the letter is on its way", func(r *rig) {
			r.sender.when(to.ARN, fails(errGone))
			r.sender.when(to.DeadLetter, hangs)
			r.accept("e1", to)
			settle()
		}, func(r *rig) { r.sender.when(to.DeadLetter, nil) }, "1", "1 1"},
		{"dead, the letter waits", func(r *rig) {
			r.sender.when(to.ARN, fails(errGone))
			r.sender.when(to.DeadLetter, fails(errBusy))
			r.accept("e1", to)
			time.Sleep(3 * time.Second)
		}, func(r *rig) { r.sender.when(to.DeadLetter, nil) }, "1", "1 2 3 4"},
	}
	for _, tt := range tests {
		for _, how := range []string{"killed", "stopped"} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, Options{})
					tt.before(r)
					want := tt.want
					if how == "killed" {
						r.kill()
					} else {
						r.stop()
						if tt.name == "arrived, and nobody knows" {
							want = "1" // an orderly end tells
						}
					}
					if tt.after != nil {
						tt.after(r)
					}
					r.start()
					time.Sleep(time.Hour)
					if got := numbers(r.sender.to(to.ARN)); got != want {
						t.Errorf("attempts %s, want %s", got, want)
					}
					if got := numbers(r.sender.to(to.DeadLetter)); got != tt.letter {
						t.Errorf("attempts of the letter %q, want %q", got, tt.letter)
					}
					if w := r.waiting(); w != "" {
						t.Errorf("still waiting: %s", w)
					}
				})
			})
		}
	}
}

// TestStop lets an attempt in progress end in time, and breaks another one off.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		slow, dead := testTarget("slow", false), testTarget("dead", false)
		r.sender.when(slow.ARN, func(context.Context, *target.Message) error { time.Sleep(2 * time.Second); return nil })
		r.sender.when(dead.ARN, hangs)
		r.accept("e1", slow)
		r.accept("e2", dead)
		synctest.Wait()
		began := time.Now()
		r.stop()
		if took := time.Since(began); took < 2*time.Second || took > 2*stopTimeout {
			t.Errorf("stopping took %v", took)
		}
		r.open()
		if w := r.waiting(); w != "e2" {
			t.Errorf("%q waits, want e2", w)
		}
	})
}

// TestForgotten lets a definition be forgotten, and brings it again: also in the very frame in which it is forgotten.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to, busy := testTarget("billing", true), testTarget("busy", false)
		r.sender.when(busy.ARN, fails(&target.Error{Code: "X", Message: "x", RetryAfter: 20 * time.Hour}))
		known := func() int {
			n := 0
			if err := r.shard.View(context.Background(), func() { n = r.hosts[0].machine.targets.Len() }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		longBusy := changed(t, busy, func(d *target.Definition) { d.Retry.MaxAge = 100 * time.Hour })
		r.accept("e1", to, longBusy)
		time.Sleep(23 * time.Hour)
		if n := known(); n != 2 {
			t.Errorf("after 23 hours %d definitions are known, want 2", n)
		}
		time.Sleep(3 * time.Hour)
		if n := known(); n != 1 {
			t.Errorf("after 26 hours %d definitions are known, want the one in use", n)
		}
		if n := len(r.destinations); n != 1 {
			t.Errorf("%d destinations are known, want 1", n)
		}
		r.accept("e2", to)
		settle()
		if n := len(r.sender.to(to.ARN)); n != 2 {
			t.Errorf("%d attempts, want 2", n)
		}

		time.Sleep(24*time.Hour - time.Minute)
		hold, held := make(chan struct{}), make(chan struct{})
		go r.shard.View(context.Background(), func() { close(held); <-hold })
		<-held
		r.hosts[0].machine.byKey[to.Key].used -= forgetAfter // the owner is held, so nobody else looks
		forgot := make(chan error, 1)
		go func() { forgot <- r.hosts[0].forget(context.Background()) }()
		synctest.Wait()
		took := make(chan error, 1)
		go func() { took <- r.Accept(context.Background(), []Accepted{newEvent("e3", to)}) }()
		synctest.Wait()
		close(hold)
		if err := errors.Join(<-forgot, <-took); err != nil {
			t.Fatal(err)
		}
		settle()
		if n := len(r.sender.to(to.ARN)); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
	})
}

func TestPacing(t *testing.T) {
	tests := []struct {
		rate   float64
		events int
		send   time.Duration // how long an attempt takes
	}{
		{10, 100, 0},
		{10, 50, time.Second},
		{300, 1200, 100 * time.Millisecond},
		{0.5, 5, 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v a second for %v each", tt.rate, tt.send), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				to, other := testTarget("billing", false), testTarget("other", false)
				r.sender.rate = tt.rate
				r.sender.when(to.ARN, func(context.Context, *target.Message) error { time.Sleep(tt.send); return nil })
				began := time.Now()
				for i := range tt.events {
					r.accept(fmt.Sprintf("e%d", i), to)
				}
				if tt.send == 0 {
					synctest.Wait()
					if s := r.stat(to.ARN); s.InFlight != 0 {
						t.Errorf("%d slots are held while everything waits for the rate", s.InFlight)
					}
				}
				want := time.Duration(float64(tt.events-1) / tt.rate * float64(time.Second))
				time.Sleep(want + 5*time.Second)
				got := r.sender.to(to.ARN)
				if len(got) != tt.events {
					t.Fatalf("%d of %d attempts", len(got), tt.events)
				}
				if took := got[len(got)-1].at.Sub(began); took < want*9/10 || took > want+time.Second {
					t.Errorf("the last attempt began after %v, want about %v", took, want)
				}
				for i := range got { // any second has no more than the rate, and what may be caught up
					n := 0
					for j := i; j < len(got) && got[j].at.Sub(got[i].at) < time.Second; j++ {
						n++
					}
					if float64(n) > tt.rate+max(1, tt.rate/burst)+1 {
						t.Fatalf("%d attempts in the second from %v on", n, got[i].at.Sub(began))
					}
				}
				r.accept("last", other)
				settle()
				if len(r.sender.to(other.ARN)) != 1 {
					t.Error("another destination waited")
				}
			})
		})
	}
}

// TestPanic lets a sender panic: that is a failed attempt, and nobody else's trouble.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := changed(t, testTarget("billing", true), func(d *target.Definition) { d.Retry.MaxAttempts = 1 })
		r.sender.when(to.ARN, func(context.Context, *target.Message) error { panic("no such field") })
		r.accept("e1", to)
		time.Sleep(time.Minute)
		letters := r.sender.to(to.DeadLetter)
		if len(letters) != 1 || letters[0].Attributes["ERROR_CODE"].Value != "INTERNAL_ERROR" || letters[0].Attributes["RETRY_ATTEMPTS"].Value != "1" {
			t.Errorf("letters %+v", letters)
		}
		if r.logs.count("no such field") == 0 {
			t.Error("the log does not say what happened")
		}
	})
}

// TestOutcomesTravelAlong counts frames: outcomes have none of their own while events are accepted.
func TestOutcomesTravelAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 200
		r := newRig(t, Options{})
		to := testTarget("billing", false)
		for i := range events {
			r.accept(fmt.Sprintf("e%d", i), to)
			synctest.Wait()
			time.Sleep(linger / 2)
		}
		settle()
		log, err := r.sim.Open().Log(context.Background(), "test")
		if err != nil {
			t.Fatal(err)
		}
		_, last, err := log.Bounds(context.Background())
		if err != nil || last > events+5 {
			t.Errorf("%d frames for %d events, %v", last, events, err)
		}
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
	})
}

// TestLogRefusesWrites lets attempts go on while nothing can be written, and their outcomes be written afterwards.
func TestLogRefusesWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Window: 1})
		to := testTarget("billing", false)
		r.sender.when(to.ARN, func(context.Context, *target.Message) error { time.Sleep(time.Second); return nil })
		for i := range 10 {
			r.accept(fmt.Sprintf("e%d", i), to)
		}
		r.sim.SetFaults(journal.SimFaults{Unavailable: 1})
		time.Sleep(20 * time.Second)
		err := r.Accept(context.Background(), []Accepted{newEvent("refused", to)})
		if rialto.KindOf(err) != rialto.Unavailable {
			t.Errorf("Accept: %v, want a refusal", err)
		}
		if n := len(strings.Fields(r.waiting())); n != 10 {
			t.Errorf("%d events wait, want 10: nothing could be written", n)
		}
		if n := len(r.sender.to(to.ARN)); n != 10 {
			t.Errorf("%d attempts, want 10", n)
		}
		r.sim.SetFaults(journal.SimFaults{})
		time.Sleep(5 * time.Second)
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
		if n := len(r.sender.to(to.ARN)); n != 10 {
			t.Errorf("%d attempts, want 10", n)
		}
	})
}

// setClock is a clock that somebody sets.
type setClock struct {
	rialto.Clock
	by atomic.Int64 // by how much it was set
}

func (c *setClock) Now() time.Time { return c.Clock.Now().Round(0).Add(time.Duration(c.by.Load())) }

// TestClockSetBack sets the clock back by an hour while a delivery fails: the pauses between its attempts stay what they are. If
// an attempt were due at once because the log's time is ahead, all of them would be used up in a moment.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &setClock{Clock: rialto.SystemClock}
		r := newRig(t, Options{Clock: clock})
		to := testTarget("billing", false)
		r.sender.when(to.ARN, fails(errBusy))
		r.accept("e1", to)
		settle()
		clock.by.Store(int64(-time.Hour))
		time.Sleep(5 * time.Minute)
		// Half of 1, 2, 4, 8 … seconds, which make 255 after the ninth; a little slower, since the clock is being waited for.
		if n := len(r.sender.to(to.ARN)); n < 9 || n > 10 {
			t.Errorf("%d attempts in five minutes, want 9 or 10", n)
		}
		r.sender.when(to.ARN, nil)
		time.Sleep(10 * time.Minute)
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
	})
}

// A blindLog cannot be read while it is blind.
type blindLog struct {
	journal.Log
	blind *atomic.Bool
}

func (l *blindLog) Get(ctx context.Context, seq uint64) ([]byte, error) {
	if l.blind.Load() {
		return nil, rialto.Errorf(rialto.Unavailable, "The journal does not answer at present.")
	}
	return l.Log.Get(ctx, seq)
}

// TestLogCannotBeRead starts while payloads cannot be read. That is no fault of the target: it must not use up the only attempt.
func TestLogCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := changed(t, testTarget("billing", false), func(d *target.Definition) { d.Retry.MaxAttempts = 0 })
		r.sender.when(to.ARN, hangs)
		r.accept("e1", to)
		synctest.Wait()
		r.kill()
		var blind atomic.Bool
		blind.Store(true)
		r.wrapLog = func(l journal.Log) journal.Log { return &blindLog{l, &blind} }
		r.sender.when(to.ARN, nil)
		r.start()
		time.Sleep(time.Minute)
		if s := r.stat(to.ARN); s.Waiting+s.InFlight != 1 {
			t.Fatalf("figures %+v, want a delivery that waits", s)
		}
		r.stop() // must not be held up
		r.start()
		time.Sleep(time.Minute)
		blind.Store(false)
		time.Sleep(2 * readPause)
		settle()
		if got := r.sender.to(to.ARN); numbers(got) != "1 1" || r.waiting() != "" {
			t.Errorf("attempts %s, waiting %q; want one after the killed one, and nothing", numbers(got), r.waiting())
		}
	})
}

// TestCallerLeaves lets outcomes wait for a ride in a proposal whose caller goes away before its frame is built, and the frame
// fail: nobody would hear of it, so they must not have been in it.
func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", false)
		answer := make(chan struct{})
		r.sender.when(to.ARN, func(context.Context, *target.Message) error { <-answer; return nil })
		r.accept("e1", to)
		hold, held := make(chan struct{}), make(chan struct{})
		go r.shard.View(context.Background(), func() { close(held); <-hold })
		<-held
		ctx, leave := context.WithCancel(context.Background())
		left := make(chan error, 1)
		go func() { left <- r.Accept(ctx, []Accepted{newEvent("e2", to)}) }()
		synctest.Wait()
		close(answer)
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("Accept: %v", err)
		}
		r.sim.SetFaults(journal.SimFaults{Unavailable: 1})
		close(hold)
		synctest.Wait()
		r.sim.SetFaults(journal.SimFaults{})
		time.Sleep(time.Minute)
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
		if n := len(r.sender.to(to.ARN)); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

// TestManyAtOnce takes more in one call than fits into a frame, with more targets than a window.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		var targets []*target.Sealed
		for i := range 100 {
			targets = append(targets, testTarget(fmt.Sprintf("t%d", i), i%2 == 0))
		}
		var events []Accepted
		for i := range 12 {
			e := newEvent(fmt.Sprintf("e%d", i), targets...)
			e.Event = []byte(`{"detail":"` + strings.Repeat("x", 500<<10) + `"}`)
			events = append(events, e)
		}
		if err := r.Accept(context.Background(), events); err != nil {
			t.Fatal(err)
		}
		settle()
		if n := len(r.sender.got); n != 1200 || r.waiting() != "" {
			t.Errorf("%d attempts, and %q waits", n, r.waiting())
		}
		err := r.Accept(context.Background(), []Accepted{{EventID: "none", Event: []byte("{}")}})
		if err == nil {
			t.Error("an event without a target was accepted")
		}
	})
}

// TestManyDefinitions uses so many large definitions for the first time that they do not fit into a frame.
// TestManyForgotten lets more definitions be forgotten than one command can name.
func TestManyForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		var targets []*target.Sealed
		for i := range 2*forgetAtOnce + 1 {
			targets = append(targets, testTarget(fmt.Sprintf("t%d", i), false))
		}
		r.accept("e1", targets...)
		time.Sleep(26 * time.Hour)
		if err := r.shard.View(context.Background(), func() {
			if n := r.hosts[0].machine.targets.Len(); n != 0 {
				t.Errorf("%d definitions are known, want none", n)
			}
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAllOrNothing accepts as much as one PutEvents may bring: it is in one frame, so that an error says that nothing was kept.
func TestAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", false)
		r.sender.when(to.ARN, hangs)
		var events []Accepted
		for i := range 10 {
			e := newEvent(fmt.Sprintf("e%d", i), to)
			e.Event = []byte(`{"detail":"` + strings.Repeat("x", 110_000) + `"}`)
			events = append(events, e)
		}
		appends := 0
		r.stop()
		r.wrapLog = func(l journal.Log) journal.Log { return &countingLog{l, &appends} }
		r.start()
		appends = 0
		if err := r.Accept(context.Background(), events); err != nil || appends != 1 {
			t.Errorf("Accept made %d frames (%v), want 1", appends, err)
		}
		events[9].Event = bytes.Repeat([]byte{'x'}, 4<<20)
		if err := r.Accept(context.Background(), events); !errors.Is(err, shard.ErrTooLarge) || appends != 1 {
			t.Errorf("Accept made %d frames more (%v), want none", appends-1, err)
		}
	})
}

// A countingLog counts what is appended.
type countingLog struct {
	journal.Log
	appends *int
}

func (l *countingLog) Append(ctx context.Context, expected uint64, record []byte) (uint64, error) {
	*l.appends++
	return l.Log.Append(ctx, expected, record)
}

func TestManyDefinitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		var targets []*target.Sealed
		for i := range 500 {
			constant := `"` + strings.Repeat("x", 8000) + `"`
			targets = append(targets, changed(t, testTarget(fmt.Sprintf("t%d", i), false), func(d *target.Definition) { d.Input = &constant }))
		}
		r.accept("e1", targets...)
		settle()
		if n := len(r.sender.got); n != 500 || r.waiting() != "" {
			t.Errorf("%d attempts, and %q waits", n, r.waiting())
		}
	})
}

func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		busy, gone, fine := testTarget("busy", false), testTarget("gone", true), testTarget("fine", false)
		r.sender.when(busy.ARN, fails(errBusy))
		r.sender.when(gone.ARN, fails(errGone))
		r.sender.when(gone.DeadLetter, hangs)
		began := time.Now()
		r.accept("e1", busy, gone, fine)
		settle()
		want := map[string]Waiting{
			"busy": {EventID: "e1", Rule: busy.Rule, TargetID: "busy", Target: busy.ARN, Attempts: 1, Next: began.Add(time.Second / 2), Code: "THROTTLING"},
			"gone": {EventID: "e1", Rule: gone.Rule, TargetID: "gone", Target: gone.ARN, DeadLetter: true, Code: "NO_RESOURCE"},
		}
		got, err := r.Backlog(context.Background(), 10)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%+v, %v", got, err)
		}
		for _, w := range got {
			w.Next = w.Next.In(want[w.TargetID].Next.Location())
			if w != want[w.TargetID] {
				t.Errorf("got  %+v\nwant %+v", w, want[w.TargetID])
			}
		}
		if got, err := r.Backlog(context.Background(), 1); err != nil || len(got) != 1 {
			t.Errorf("one of them: %+v, %v", got, err)
		}
	})
}

// TestPayloadMoves lets so much pass by that the log is compacted, while a delivery waits in its destination's queue: the event is
// then no longer where it was.
func TestPayloadMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Window: 1})
		to, other := testTarget("billing", false), testTarget("other", false)
		release := make(chan struct{})
		r.sender.when(to.ARN, func(context.Context, *target.Message) error { <-release; return nil })
		first := changed(t, to, func(d *target.Definition) { d.Timeout = time.Hour })
		r.accept("e1", first)
		r.accept("e2", first)
		big := []byte(`{"detail":"` + strings.Repeat("x", 900<<10) + `"}`)
		at := func() (seq uint64) {
			if err := r.shard.View(context.Background(), func() {
				for _, e := range r.hosts[0].machine.events.All() {
					seq = max(seq, e.ref.Seq)
				}
			}); err != nil {
				t.Fatal(err)
			}
			return seq
		}
		was := at()
		for i := range 260 {
			e := newEvent(fmt.Sprintf("other%d", i), other)
			e.Event = big
			if err := r.Accept(context.Background(), []Accepted{e}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		settle()
		if now := at(); now == was {
			t.Fatalf("the payload still stands in frame %d", now)
		}
		if _, err := r.shard.Read(context.Background(), shard.Ref{Seq: was, Len: 1}); !errors.Is(err, shard.ErrMoved) {
			t.Fatalf("frame %d is still there (%v)", was, err)
		}
		close(release)
		settle()
		if got := r.sender.to(to.ARN); len(got) != 2 || got[1].EventID != "e2" || string(got[1].Event) != string(newEvent("e2").Event) {
			t.Errorf("attempts %+v", got)
		}
		if w := r.waiting(); w != "" {
			t.Errorf("still waiting: %s", w)
		}
	})
}
