package deliver

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/target"
)

// TestBreaker tells stories of a circuit. A word is something that happens, or what the state must be then:
//
//	good bad busy   an attempt begins and ends so; bad*20 is twenty of them
//	begin           an attempt begins, and has not ended; end-good, end-bad, end-none end it
//	+30s            time passes, and the circuit is told
//	no              an attempt that is held may not begin; yes, it may
//	force-open      and so on
//	closed open half-open ramp calm    what it is: calm is closed without a ramp
func TestBreaker(t *testing.T) {
	standard, _ := breakerOf(&target.Definition{Retry: target.DefaultRetry}, target.Breaker{})
	tests := []struct {
		name  string
		set   target.Breaker
		story string
	}{
		{"nothing fails", standard, "good*1000 calm"},
		{"too few attempts mean nothing", standard, "bad*19 calm"},
		{"all fail", standard, "bad*20 open no"},
		{"half of them fail", standard, "good*15 bad*14 calm bad open"},
		{"fewer than half fail", standard, "good*30 bad*29 calm"},
		{"what asks for fewer counts like a failure", standard, "good*10 busy*10 open"},
		{"what was long ago does not count", standard, "good*100 +31s bad*19 calm bad open"},
		{"failures of long ago do not count", standard, "bad*19 +31s bad*19 calm"},
		{"the window slides in parts", standard, "bad*10 +15s bad*9 calm +14s good calm bad*10 open"},
		{"an attempt without an answer is nothing", standard, "begin end-none*1 bad*19 calm"},
		{"a pause, a probe at a time, and closed", standard, "bad*20 open +999ms open no +1ms half-open yes begin no end-good no +100ms yes good half-open good ramp"},
		{"a probe fails, and the pause doubles", standard, "bad*20 +1s half-open bad open +1s open no +1s half-open bad +3s open +1s half-open"},
		{"no pause is longer than a minute", standard, "bad*20 +1s bad +2s bad +4s bad +8s bad +16s bad +32s bad +59s open +1s half-open bad +59s open +1s half-open"},
		{"a probe fails after one that went well", standard, "bad*20 +1s good*2 half-open bad open +2s half-open good*2 half-open good ramp"},
		{"a probe that has no answer is made again", standard, "bad*20 +1s begin no end-none yes half-open"},
		{"attempts from before it opened say nothing", standard, "begin bad*20 open end-good open +1s half-open"},
		{"attempts from before it opened are no probes", standard, "begin bad*20 +1s half-open end-bad half-open yes"},
		{"it opens again in the ramp, for longer", standard, "bad*20 +1s good*3 ramp bad*20 open +1s open +1s half-open"},
		{"it opens again after it has recovered", standard, "bad*20 +1s bad +2s good*3 drained calm bad*20 open +1s half-open"},
		{"the counts begin anew when it closes", standard, "bad*20 +1s good*3 drained bad*19 calm bad open"},
		{"dead after it was busy", standard, "good*1000 +1s bad*100 calm +2s bad*100 calm +3s bad open"},
		{"a moment of failures after it was busy", standard, "good*1000 +1s bad*100 +2s good bad*100 +2s calm bad*100 calm"},
		{"dead, but hardly anybody asks", standard, "good*1000 +1s bad*19 +4s bad calm"},
		{"off", target.Breaker{Off: true}, "bad*1000 calm"},
		{"a share of its own", target.Breaker{Failures: 0.1, Window: time.Minute, Volume: 10}, "good*18 bad calm bad open"},
		{"all must fail", target.Breaker{Failures: 1, Window: time.Minute, Volume: 5}, "good bad*30 calm +61s bad*5 open"},
		{"a volume of its own", target.Breaker{Failures: 0.5, Window: 10 * time.Second, Volume: 5}, "bad*4 calm bad open"},

		{"forced open", standard, "force-open open no good*10 open +1h open no"},
		{"forced open while it is half-open", standard, "bad*20 +1s begin force-open no end-good open"},
		{"forced closed", standard, "force-closed bad*1000 calm"},
		{"forced closed while it is open", standard, "bad*20 open force-closed calm yes bad*100 calm"},
		{"forced closed in the ramp", standard, "bad*20 +1s good*3 ramp force-closed calm"},
		{"automatic after it was forced closed", standard, "force-closed bad*100 force-auto calm bad*19 calm bad open"},
		{"automatic after it was forced open, with nothing waiting", standard, "force-open force-auto calm"},
		{"automatic after it was forced open, with something waiting", standard, "force-open force-auto-waiting half-open yes"},
		{"from forced to forced", standard, "force-open force-closed calm force-open open no"},

		{"a start with a backlog", standard, "resume half-open yes good*3 ramp"},
		{"a start with a backlog and a dead destination", standard, "resume bad open +1s half-open"},
		{"a start without a breaker", target.Breaker{Off: true}, "resume calm"},
		{"a start that is forced", standard, "force-open resume open no force-auto calm"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &circuitStory{breaker: newBreaker(accepted), now: accepted}
			s.use(time.Time{}, tt.set)
			for i, word := range strings.Fields(tt.story) {
				word, times, _ := strings.Cut(word, "*")
				n, _ := strconv.Atoi(times)
				for range max(1, n) {
					if err := s.tell(word); err != nil {
						t.Fatalf("word %d, %s: %v", i+1, word, err)
					}
				}
			}
		})
	}
}

// A circuitStory is a breaker to which something happens.
type circuitStory struct {
	breaker
	now   time.Time
	begun ticket
}

var replies = map[string]reply{"good": replyGood, "bad": replyBad, "busy": replyBusy, "none": replyNone}

func (s *circuitStory) tell(word string) error {
	if d, ok := strings.CutPrefix(word, "+"); ok {
		d, err := time.ParseDuration(d)
		s.now = s.now.Add(d)
		s.tick(s.now)
		return err
	}
	if how, ok := strings.CutPrefix(word, "end-"); ok {
		s.end(s.now, s.begun, answer{reply: replies[how]})
		return nil
	}
	if r, ok := replies[word]; ok {
		s.end(s.now, s.breaker.begin(s.now, s.state == CircuitHalfOpen), answer{reply: r})
		return nil
	}
	_, may := s.admit(s.now)
	is := s.state.String()
	switch {
	case s.state == CircuitClosed && s.ramp.on:
		is = "ramp"
	case s.state == CircuitClosed:
		is = "calm"
	}
	switch word {
	case "begin":
		s.begun = s.begin(s.now, s.holds())
	case "yes", "no":
		if may != (word == "yes") {
			return fmt.Errorf("an attempt may begin: %t", may)
		}
	case "drained":
		s.drained()
	case "resume":
		s.resume(s.now, 0)
	case "force-open":
		s.force(s.now, CircuitForcedOpen, "", false)
	case "force-closed":
		s.force(s.now, CircuitForcedClosed, "", false)
	case "force-auto", "force-auto-waiting":
		s.force(s.now, CircuitAutomatic, "", word == "force-auto-waiting")
	default:
		if is != word {
			return fmt.Errorf("the circuit is %s", is)
		}
	}
	return nil
}

// TestBreakerObeys looks at what the destination asks for itself: the circuit stays open so long, but no longer than a minute.
func TestBreakerObeys(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{0: firstPause, time.Millisecond: firstPause, 10 * time.Second: 10 * time.Second, time.Hour: longestPause} {
		b := newBreaker(accepted)
		b.use(time.Time{}, target.Breaker{Failures: 1, Window: time.Minute, Volume: 1})
		b.end(accepted, b.begin(accepted, false), answer{reply: replyBusy, asked: asked})
		if got := b.until.Sub(accepted); b.state != CircuitOpen || got != want {
			t.Errorf("asked for %v it is %v for %v, want %v", asked, b.state, got, want)
		}
	}
}

func TestBreakerOf(t *testing.T) {
	few, many := target.Retry{MaxAttempts: 184, MaxAge: time.Hour}, target.DefaultRetry
	half := target.Breaker{Failures: 0.5, Window: 30 * time.Second, Volume: 20}
	tests := []struct {
		name     string
		retry    target.Retry
		own      *target.Breaker
		standard target.Breaker
		want     target.Breaker
		parks    bool
	}{
		{"the default", many, nil, target.Breaker{}, half, true},
		{"fewer attempts", few, nil, target.Breaker{}, target.Breaker{Off: true}, false},
		{"fewer attempts, and a wish", few, &target.Breaker{Failures: 0.2}, target.Breaker{},
			target.Breaker{Failures: 0.2, Window: 30 * time.Second, Volume: 20}, true},
		{"the server's default", many, nil, target.Breaker{Failures: 0.9, Window: time.Minute, Volume: 5},
			target.Breaker{Failures: 0.9, Window: time.Minute, Volume: 5}, true},
		{"the server's default is off", many, nil, target.Breaker{Off: true},
			target.Breaker{Off: true, Failures: 0.5, Window: 30 * time.Second, Volume: 20}, false},
		{"off on the server, and a wish", many, &target.Breaker{Window: time.Second}, target.Breaker{Off: true},
			target.Breaker{Failures: 0.5, Window: time.Second, Volume: 20}, true},
		{"a wish for none", many, &target.Breaker{Off: true}, target.Breaker{}, target.Breaker{Off: true, Failures: 0.5, Window: 30 * time.Second, Volume: 20}, false},
	}
	for _, tt := range tests {
		got, parks := breakerOf(&target.Definition{Retry: tt.retry, Breaker: tt.own}, tt.standard)
		if got != tt.want || parks != tt.parks {
			t.Errorf("%s: %+v, %t, want %+v, %t", tt.name, got, parks, tt.want, tt.parks)
		}
	}
}

// FuzzBreaker lets anything happen in any order, and holds what must be true after each step.
func FuzzBreaker(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaa3gfgfgfg1b"))
	f.Add([]byte("\x00\x08\x0a\x00\x09\x0b"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		b, now := newBreaker(accepted), accepted
		set := target.Breaker{Failures: 0.5, Window: 10 * time.Second, Volume: 4}
		b.use(time.Time{}, set)
		var open []ticket
		for _, step := range steps {
			was, epoch := b.state, b.epoch
			changed := false
			switch what, n := step%12, int(step/12); what {
			case 0, 1, 2: // an attempt begins
				if len(open) < 64 {
					isHeld := b.holds() && what != 2 // some do not park
					if _, ok := b.admit(now); ok || !isHeld {
						open = append(open, b.begin(now, isHeld))
					}
				}
			case 3, 4, 5, 6: // one ends
				if len(open) > 0 {
					i := n % len(open)
					changed = b.end(now, open[i], answer{reply: reply(what - 3), asked: time.Duration(n) * time.Second})
					open = append(open[:i], open[i+1:]...)
				}
			case 7:
				now = now.Add(time.Duration(n*n) * 100 * time.Millisecond)
				changed = b.tick(now)
			case 8:
				changed = b.force(now, CircuitMode(n%3), "fuzz", n%2 == 0)
			case 9:
				b.drained()
			case 10:
				changed = b.resume(now, 0)
			case 11:
				set.Off = n%2 == 0
				changed = b.use(now, set)
			}
			wait, ok := b.admit(now)
			switch {
			case changed != (b.epoch != epoch):
				t.Fatalf("the state is another one: %t, and said so: %t", b.epoch != epoch, changed)
			case !changed && b.state != was:
				t.Fatal("a change that nobody is told of")
			case b.mode == CircuitForcedOpen && (b.state != CircuitOpen || ok || wait != 0):
				t.Fatal("forced open, and not open")
			case b.mode == CircuitForcedClosed && (b.holds() || !ok):
				t.Fatal("forced closed, and not closed")
			case b.state == CircuitOpen && ok:
				t.Fatal("an attempt through an open circuit")
			case b.state == CircuitOpen && b.mode == CircuitAutomatic && (wait <= 0 || wait > longestPause):
				t.Fatalf("open for %v", wait)
			case was == CircuitOpen && b.state == CircuitClosed && b.mode == CircuitAutomatic && step%12 != 8 && !b.set.Off:
				t.Fatal("closed without a probe")
			case b.ramp.on && (b.ramp.rate < rampLeast || b.ramp.rate > rampEnd):
				t.Fatalf("a ramp of %v", b.ramp.rate)
			case !ok && wait == 0 && b.mode == CircuitAutomatic && !b.probing:
				t.Fatal("nothing would ever happen again")
			}
			probes := 0
			for _, o := range open {
				if o.probe && o.epoch == b.epoch {
					probes++
				}
			}
			if probes > 1 || b.probing != (probes == 1) {
				t.Fatalf("%d probes at once, and one is known of: %t", probes, b.probing)
			}
		}
	})
}

// TestRamp drains a backlog into destinations that bear so many attempts a second, and refuse what is more.
func TestRamp(t *testing.T) {
	tests := []struct {
		bears   float64 // a second; 0 is any number
		backlog int
		most    time.Duration // until everything has arrived
		refused float64       // share of the attempts, at most
	}{
		{0, 100_000, 15 * time.Second, 0},
		{0, 10, 2 * time.Second, 0},
		{100, 10_000, 150 * time.Second, 0.15},
		{5, 100, time.Minute, 0.4},
		{2000, 100_000, 90 * time.Second, 0.15},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v a second", tt.bears), func(t *testing.T) {
			b, now := newBreaker(accepted), accepted
			b.use(time.Time{}, target.Breaker{Failures: 0.5, Window: 30 * time.Second, Volume: 20})
			b.enter(now, CircuitHalfOpen, "")
			for range probesWanted {
				b.end(now, b.begin(now, true), answer{reply: replyGood})
			}
			var capacity bucket
			capacity.set(now, tt.bears)
			refused, left := 0, tt.backlog
			for left > 0 && b.state == CircuitClosed && now.Sub(accepted) < time.Hour {
				wait, ok := b.admit(now)
				if !ok {
					now = now.Add(wait)
					continue
				}
				tk, r := b.begin(now, true), replyGood
				if capacity.wait(now) > 0 {
					r = replyBusy
					refused++
				} else {
					capacity.take()
					left--
				}
				b.end(now, tk, answer{reply: r})
			}
			took, share := now.Sub(accepted), float64(refused)/float64(tt.backlog+refused)
			if b.state != CircuitClosed || left > 0 {
				t.Fatalf("a second outage after %v, with %d left", took, left)
			}
			if took > tt.most || share > tt.refused {
				t.Errorf("it took %v with %.2f of the attempts refused; want %v, %.2f", took, share, tt.most, tt.refused)
			}
		})
	}
}
