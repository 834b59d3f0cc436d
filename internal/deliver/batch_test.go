package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/target"
)

// A batchSender takes several messages at once, and remembers them.
type batchSender struct {
	*fakeSender
	messages, bytes int // at once

	mu      sync.Mutex
	does    func(ms []*target.Message) []error // nil takes all
	batches []sentBatch
}

type sentBatch struct {
	ms []*target.Message
	at time.Time
}

var _ target.Batcher = (*batchSender)(nil)

func (s *batchSender) Most(*target.Definition) (messages, bytes int) { return s.messages, s.bytes }

func (s *batchSender) SendBatch(_ context.Context, ms []*target.Message) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, sentBatch{ms, time.Now()})
	if s.does != nil {
		return s.does(ms)
	}
	return nil
}

// sizes are those of the batches so far.
func (s *batchSender) sizes() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, b := range s.batches {
		list = append(list, fmt.Sprint(len(b.ms)))
	}
	return strings.Join(list, " ")
}

// newBatchRig starts a rig whose destinations take batches.
func newBatchRig(t *testing.T, opts Options, s *batchSender) *rig {
	t.Helper()
	r := newRig(t, opts)
	r.stop()
	s.fakeSender = r.sender
	r.resolve = func(*target.Definition) target.Sender { return s }
	r.start()
	return r
}

func batched(t *testing.T, size int, window time.Duration, change func(*target.Definition)) *target.Sealed {
	t.Helper()
	return changed(t, testTarget("billing", true), func(d *target.Definition) {
		d.Batch = &target.Batch{Size: size, Window: window}
		if change != nil {
			change(d)
		}
	})
}

func TestBatch(t *testing.T) {
	event := len(newEvent("e000000").Event)
	tests := []struct {
		name   string
		kind   *batchSender
		change func(*target.Definition)
		events int
		at     time.Duration // when to look, with a batch of ten and a window of five seconds
		want   string
	}{
		{"full ones go at once", new(batchSender), nil, 30, time.Second, "10 10 10"},
		{"the rest waits", new(batchSender), nil, 25, 4 * time.Second, "10 10"},
		{"not for ever", new(batchSender), nil, 25, 6 * time.Second, "10 10 5"},
		{"one alone", new(batchSender), nil, 1, 6 * time.Second, "1"},
		{"the kind takes fewer", &batchSender{messages: 3}, nil, 7, 6 * time.Second, "3 3 1"},
		{"the kind takes so many bytes", &batchSender{bytes: 4*event + 150 + 1}, nil, 10, 6 * time.Second, ""},
		{"shaping makes them larger", &batchSender{bytes: 2500}, func(d *target.Definition) {
			d.Transformer = &target.Transformer{Template: `"` + strings.Repeat("x", 998) + `"`}
		}, 6, 6 * time.Second, "2 2 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kind := tt.kind
				r := newBatchRig(t, Options{}, kind)
				r.acceptMany(0, tt.events, batched(t, 10, 5*time.Second, tt.change))
				time.Sleep(tt.at)
				synctest.Wait()
				if got := kind.sizes(); tt.want != "" && got != tt.want {
					t.Errorf("batches of %s, want %s", got, tt.want)
				}
				for _, b := range kind.batches {
					size := 0
					for _, m := range b.ms {
						size += len(m.Payload)
					}
					if kind.bytes > 0 && size > kind.bytes {
						t.Errorf("a batch of %d bytes", size)
					}
				}
				if s := r.stat(testTarget("billing", true).ARN); s.InFlight != 0 {
					t.Errorf("%d slots are held", s.InFlight)
				}
				time.Sleep(6 * time.Second)
				if w := r.waiting(); w != "" {
					t.Errorf("still waiting: %s", w)
				}
			})
		})
	}
}

// TestPartlyTaken has some messages of a batch be refused, now and for good. Each has an end of its own.
func TestPartlyTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(recorder)
		kind := &batchSender{does: func(ms []*target.Message) []error {
			errs := make([]error, len(ms))
			for i, m := range ms {
				switch {
				case strings.HasSuffix(m.EventID, "3"):
					errs[i] = errGone
				case strings.HasSuffix(m.EventID, "7") && m.Attempt == 1:
					errs[i] = errBusy
				}
			}
			return errs
		}}
		r := newBatchRig(t, Options{Observer: o}, kind)
		to := batched(t, 10, time.Second, nil)
		r.acceptMany(0, 10, to)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := kind.sizes(); got != "10 1" {
			t.Errorf("batches of %s, want ten, and the one that is tried again", got)
		}
		if letters := r.sender.to(to.DeadLetter); len(letters) != 1 || letters[0].EventID != "e000003" || r.waiting() != "" {
			t.Errorf("letters %+v, and %q waits", letters, r.waiting())
		}
		if s := r.stat(to.ARN); s.Settled != 9 || s.Dead != 1 || s.Failed != 2 {
			t.Errorf("figures %+v", s)
		}
		if a := o.attempts[0]; a.Batch != 10 {
			t.Errorf("the observer was told of a batch of %d", a.Batch)
		}
	})
}

// TestBatchFails has batches fail as a whole in several ways: each delivery goes on by itself.
func TestBatchFails(t *testing.T) {
	for name, does := range map[string]func(ms []*target.Message) []error{
		"panics":                func([]*target.Message) []error { panic("no such field") },
		"gives too few results": func([]*target.Message) []error { return []error{nil} },
		"gives all of them an error": func(ms []*target.Message) (errs []error) {
			for range ms {
				errs = append(errs, errors.New("connection reset"))
			}
			return errs
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kind := &batchSender{does: does}
				r := newBatchRig(t, Options{}, kind)
				to := batched(t, 10, time.Second, func(d *target.Definition) { d.Retry.MaxAttempts = 1 })
				r.acceptMany(0, 20, to)
				time.Sleep(time.Minute)
				if n := len(r.sender.to(to.DeadLetter)); n != 20 || r.waiting() != "" {
					t.Errorf("%d dead letters, want 20", n)
				}
			})
		})
	}
}

// TestBatchesAndStops stops and kills while a batch is gathered: the end does not wait, and it is gathered anew.
func TestBatchesAndStops(t *testing.T) {
	for _, how := range []string{"killed", "stopped"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kind := new(batchSender)
				r := newBatchRig(t, Options{}, kind)
				to := batched(t, 10, time.Minute, nil)
				r.acceptMany(0, 4, to)
				time.Sleep(time.Second)
				began := time.Now()
				if how == "killed" {
					r.kill()
				} else {
					r.stop()
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("the end took %v", took)
				}
				r.start()
				r.acceptMany(4, 8, to)
				time.Sleep(59 * time.Second)
				if got := kind.sizes(); got != "" {
					t.Errorf("batches of %s before the time", got)
				}
				time.Sleep(2 * time.Second)
				if got := kind.sizes(); got != "8" || r.waiting() != "" {
					t.Errorf("batches of %s, want one of eight", got)
				}
			})
		})
	}
}

// TestBatchOfAnotherDefinition changes a rule while a batch is gathered: a batch is of one definition.
func TestBatchOfAnotherDefinition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kind := new(batchSender)
		r := newBatchRig(t, Options{Window: 1}, kind)
		before := batched(t, 10, time.Second, nil)
		after := changed(t, before, func(d *target.Definition) { d.Timeout = time.Minute })
		r.acceptMany(0, 3, before)
		r.acceptMany(3, 7, after)
		time.Sleep(5 * time.Second)
		if got := kind.sizes(); got != "3 4" {
			t.Errorf("batches of %s, want 3 4", got)
		}
	})
}

// TestNoBatcher asks for batches where the kind takes none.
func TestNoBatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := batched(t, 10, time.Minute, nil)
		r.acceptMany(0, 5, to)
		settle()
		if n := len(r.sender.to(to.ARN)); n != 5 {
			t.Errorf("%d attempts, want 5 at once", n)
		}
	})
}

// A group whose events came at once takes no window for each of them.
func TestBatchOfGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kind := new(batchSender)
		r := newBatchRig(t, Options{}, kind)
		billing := batched(t, 10, 5*time.Minute, nil)
		r.acceptOrdered(0, 100, 2, billing)
		time.Sleep(5*time.Minute + 10*time.Second)
		synctest.Wait()
		if got := r.waiting(); got != "" {
			t.Errorf("%s wait", got)
		}
		if got, want := kind.sizes(), strings.TrimSpace(strings.Repeat("2 ", 50)); got != want {
			t.Errorf("batches of %s, want one of each group in every one", got)
		}
	})
}

// acceptOrdered accepts events with numbers from one up to another, whose deliveries to one target are in so many groups.
func (r *rig) acceptOrdered(from, to, groups int, one *target.Sealed) {
	r.t.Helper()
	for n := from; n < to; n++ {
		e := newEvent(fmt.Sprintf("e%06d", n), one)
		e.Home, e.Orders = "orders", []uint64{uint64(1 + n%groups)}
		if err := r.Accept(context.Background(), []Accepted{e}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// A delivery that waited for its turn brings no limits back that its rule does not ask for any more.
func TestLimitsOfGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		slow := changed(t, testTarget("billing", true), func(d *target.Definition) { d.Rate = 1.0 / 60 })
		r.acceptOrdered(0, 100, 1, slow)
		time.Sleep(time.Second)
		r.accept("e000100", testTarget("billing", true))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := len(r.sender.to(slow.ARN)); got != 101 {
			t.Errorf("%d of 101 deliveries after their limit was lifted", got)
		}
	})
}

// An eagerSender takes what is there.
type eagerSender struct{ *batchSender }

var _ target.Eager = eagerSender{}

func (eagerSender) Eager(*target.Definition) bool { return true }

// TestEager has a kind take together what waits, although no batch was asked for, and nothing wait for others. A rate counts attempts, so that a
// definition with one is left alone.
func TestEager(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*target.Definition)
		attempt int // for 25 events, at most
	}{
		"what waits":  {func(*target.Definition) {}, 4},
		"with a rate": {func(d *target.Definition) { d.Rate = 1000 }, 25},
		"as asked":    {func(d *target.Definition) { d.Batch = &target.Batch{Size: 5, Window: time.Second} }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := new(recorder)
				kind := &batchSender{messages: 10, does: func([]*target.Message) []error {
					time.Sleep(100 * time.Millisecond) // in which the others come
					return nil
				}}
				r := newRig(t, Options{Window: 1, Observer: o})
				r.stop()
				kind.fakeSender = r.sender
				r.resolve = func(*target.Definition) target.Sender { return eagerSender{kind} }
				r.start()
				to := changed(t, testTarget("billing", true), tt.change)
				r.acceptMany(0, 25, to)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				taken := len(kind.batches) + len(r.sender.to(to.ARN))
				if taken > tt.attempt || len(o.attempts) != 25 || r.waiting() != "" {
					t.Errorf("%d attempts for %d events, want %d for 25; %q waits", taken, len(o.attempts), tt.attempt, r.waiting())
				}
			})
		})
	}
}
