package targettest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rialto-events/rialto/target"
)

var batchParts = []part{
	{"all are taken", allTaken},
	{"some are refused", someRefused},
	{"an empty batch", emptyBatch},
	{"many batches at once", manyBatches},
	{"a context that has ended", endedBatch},
	{"hostile destinations cost little", hostileBatch},
	{"errors say whether to try again", batchVerdicts},
}

// wantBatch is how many messages the suite puts into a batch, unless the kind takes fewer at once.
const wantBatch = 10

// events counts those of batches: destinations that know repetitions again take each of them.
var events atomic.Int64

// batch makes as many messages as wanted, or as few as the destination takes at once. Each is of an event of its own.
func (s Subject) batch(t *testing.T, d *target.Definition, want int, payload func(i int, id string) string) []*target.Message {
	t.Helper()
	most, size := s.Sender.(target.Batcher).Most(d)
	if most < 0 || size < 0 {
		t.Fatalf("Most is %d messages and %d bytes: neither can be negative", most, size)
	}
	if most == 0 {
		most = want
	}
	var ms []*target.Message // each has a few bytes, of which every destination takes more
	for i := range min(want, most) {
		id := fmt.Sprintf("6b1f0f0e-3d52-9a4c-77aa-%012d", events.Add(1))
		m := s.message(d, payload(i, id))
		m.EventID = id
		ms = append(ms, m)
	}
	return ms
}

// sendBatch sends, within the time that the context allows, and returns one result for each message.
func (s Subject) sendBatch(t *testing.T, ctx context.Context, ms []*target.Message) []error {
	t.Helper()
	stuck := slices.Repeat([]error{errStuck}, len(ms))
	errs := bounded(t, ctx, stuck, func() []error { return s.Sender.(target.Batcher).SendBatch(ctx, ms) })
	if errs == nil {
		return make([]error, len(ms))
	}
	if len(errs) != len(ms) {
		t.Fatalf("SendBatch returned %d results for %d messages", len(errs), len(ms))
	}
	return errs
}

func numbered(i int, _ string) string { return `{"message":` + strconv.Itoa(i) + `}` }

func allTaken(t *testing.T, s Subject) {
	ms := s.batch(t, s.Works, wantBatch, numbered)
	for i, err := range s.sendBatch(t, t.Context(), ms) {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
		if want := numbered(i, ""); string(ms[i].Payload) != want {
			t.Errorf("message %d was changed: %s", i, ms[i].Payload)
		} else if !s.arrived(want) {
			t.Errorf("%s did not arrive", want)
		}
	}
	if got := len(s.Received()); got != len(ms) {
		t.Errorf("%d messages arrived, %d were sent", got, len(ms))
	}
}

// someRefused sends a batch of which the destination does not want every third message. Those alone have errors. Each payload has the
// id of its event, by which destinations may name them.
func someRefused(t *testing.T, s Subject) {
	if s.Partly == nil {
		t.Skip("destinations of the kind take a batch as a whole")
	}
	ms := s.batch(t, s.Partly, wantBatch, func(i int, id string) string {
		return fmt.Sprintf(`{"id":"%s","refuse":%t}`, id, i%3 == 0)
	})
	for i, err := range s.sendBatch(t, t.Context(), ms) {
		if refused := Refused(ms[i].Payload); refused != (err != nil) {
			t.Errorf("message %d: refused is %t, and the error is %v", i, refused, err)
		} else if refused && !worded(err) {
			t.Errorf("message %d: the error has no code and message for a dead letter: %#v", i, err)
		}
	}
}

func emptyBatch(t *testing.T, s Subject) {
	for _, ms := range [][]*target.Message{nil, {}} {
		s.sendBatch(t, t.Context(), ms)
	}
	if got := len(s.Received()); got != 0 {
		t.Errorf("%d messages arrived, none was sent", got)
	}
}

func manyBatches(t *testing.T, s Subject) {
	const senders, each = 4, 5
	var wg sync.WaitGroup
	var mu sync.Mutex
	var sent []string
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				ms := s.batch(t, s.Works, wantBatch, func(k int, _ string) string { return fmt.Sprintf(`{"sender":%d,"batch":%d,"message":%d}`, i, j, k) })
				for k, err := range s.sendBatch(t, t.Context(), ms) {
					if err != nil {
						t.Errorf("send %s: %v", ms[k].Payload, err)
					}
				}
				mu.Lock()
				for _, m := range ms {
					sent = append(sent, string(m.Payload))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	received := s.Received()
	if got := len(received); got != len(sent) {
		t.Errorf("%d messages arrived, %d were sent", got, len(sent))
	}
	for _, payload := range sent {
		if !s.isAmong(received, payload) {
			t.Errorf("%s did not arrive", payload)
		}
	}
}

func endedBatch(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.sendBatch(t, ctx, s.batch(t, s.Works, wantBatch, numbered)) {
		if target.Permanent(err) {
			t.Errorf("the end of the context became a permanent error: %v", err)
		}
	}
	for _, err := range s.sendBatch(t, t.Context(), s.batch(t, s.Works, wantBatch, numbered)) {
		if err != nil {
			t.Errorf("the next batch suffered: %v", err)
		}
	}
}

func hostileBatch(t *testing.T, s Subject) {
	for _, f := range []Fault{Hangs, Endless, Cuts, Garbage} {
		for _, d := range s.Faults[f] {
			before := allocated()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			errs := s.sendBatch(t, ctx, s.batch(t, d, wantBatch, numbered))
			cancel()
			if cost := allocated() - before; cost > maxMemory {
				t.Errorf("a destination that %s cost %d bytes", f, cost)
			}
			for _, err := range errs {
				if err == nil && f != Endless {
					t.Errorf("a destination that %s has taken a message", f)
				}
				if target.Permanent(err) {
					t.Errorf("a destination that %s ended a message for good: %v", f, err)
				}
			}
		}
	}
}

func batchVerdicts(t *testing.T, s Subject) {
	for _, f := range []Fault{Down, Gone} {
		for _, d := range s.Faults[f] {
			for _, err := range s.sendBatch(t, t.Context(), s.batch(t, d, wantBatch, numbered)) {
				if got, want := target.Permanent(err), f == Gone; err == nil || got != want {
					t.Errorf("a destination that %s: permanent is %t: %v", f, got, err)
				} else if !worded(err) {
					t.Errorf("a destination that %s: the error has no code and message for a dead letter: %#v", f, err)
				}
			}
		}
	}
}

// worded reports whether an error can be told to whoever reads a dead letter.
func worded(err error) bool {
	e, ok := errors.AsType[*target.Error](err)
	return ok && e.Code != "" && e.Message != ""
}
