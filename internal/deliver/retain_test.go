package deliver

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/target"
)

// A fakeRetainer takes the deliveries of targets whose id begins with "archive", and keeps them until it is told otherwise.
type fakeRetainer struct {
	mu   sync.Mutex
	list []Retained
}

func (r *fakeRetainer) Retains(d *target.Definition) bool { return strings.HasPrefix(d.ID, "archive") }

func (r *fakeRetainer) Retain(_ *target.Definition, list []Retained) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, list...)
}

func (r *fakeRetainer) take() []Retained {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// TestRetainedDeliveriesWaitForTheirRetainer hands deliveries to a Retainer beside those that are attempted. They wait in the log, over a day
// and a crash, are handed out again in their order, and end when they are settled.
func TestRetainedDeliveriesWaitForTheirRetainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keeper := new(fakeRetainer)
		r := newRig(t, Options{Retainer: keeper})
		archive, other := testTarget("archive", true), testTarget("t0", false)
		for _, id := range []string{"a", "b", "c"} {
			r.accept(id, archive, other)
		}
		if err := r.HandedOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		list := keeper.take()
		if got := r.retained(list); got != "a b c" {
			t.Fatalf("the events %q are handed over", got)
		}
		settle()
		if n := len(r.sender.to(other.ARN)); n != 3 {
			t.Errorf("%d deliveries are made beside", n)
		}
		time.Sleep(30 * time.Hour) // longer than any delivery is tried
		r.Settle(list[1:2])
		settle()
		if got := r.waiting(); got != "a c" {
			t.Errorf("the events %q wait", got)
		}

		r.kill()
		r.start()
		settle()
		again := keeper.take()
		if got := r.retained(again); got != "a c" {
			t.Errorf("the events %q are handed over again", got)
		}
		if !slices.IsSortedFunc(again, func(a, b Retained) int { return int(a.Key) - int(b.Key) }) || again[0].Key != list[0].Key {
			t.Errorf("they have the keys %v, which were %v", again, list)
		}
		r.Settle(again)
		settle()
		if got := r.waiting(); got != "" {
			t.Errorf("the events %q wait", got)
		}
		if n := len(r.sender.to(archive.ARN)); n > 0 {
			t.Errorf("%d attempts are made for the Retainer", n)
		}
	})
}

// retained are the ids of the events of deliveries.
func (r *rig) retained(list []Retained) string {
	r.t.Helper()
	var ids []string
	for _, one := range list {
		e, err := r.ReadRetained(r.t.Context(), one)
		if err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, e.EventID)
	}
	return strings.Join(ids, " ")
}
