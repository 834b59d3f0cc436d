package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// TestAcceptAlong: events and the command of somebody else are in the log together, or not at all. Here the command is one of the
// machine's own, so that the test can see it: it forgets the definition that the events use.
func TestAcceptAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", false)
		along := Along{Home: "orders", Kind: kindForget, Body: forgetCommand(nil)}
		if answer, err := r.AcceptAlong(context.Background(), along, nil); answer != nil || err != nil {
			t.Errorf("no event: %v, %v", answer, err)
		}
		var events []Accepted
		for i := range 100 {
			events = append(events, newEvent(fmt.Sprintf("e%d", i), to))
		}
		if _, err := r.AcceptAlong(context.Background(), along, events); err != nil {
			t.Fatal(err)
		}
		settle()
		if got := len(r.sender.to(to.ARN)); got != 100 {
			t.Errorf("%d events arrived, want 100", got)
		}
		if events[0].Home != "orders" || r.Home("orders") != 0 {
			t.Errorf("the home is %q, on shard %d", events[0].Home, r.Home("orders"))
		}
		events[99].Event = bytes.Repeat([]byte{'x'}, 4<<20)
		if _, err := r.AcceptAlong(context.Background(), along, events); !errors.Is(err, shard.ErrTooLarge) {
			t.Errorf("too much for a frame: %v", err)
		}
		along.Kind = kindLast
		if answer, err := r.AcceptAlong(context.Background(), along, events[:2]); err != nil || answer != errUnknown {
			t.Errorf("a command that answers an error: %v, %v", answer, err)
		}
		settle()
		if got := len(r.sender.to(to.ARN)); got != 102 {
			t.Errorf("%d events arrived, want 102", got)
		}
	})
}

// TestAcceptAlongAfterForgetting: a definition that is forgotten in the same frame comes along.
func TestAcceptAlongAfterForgetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := testTarget("billing", false)
		r.accept("before", to)
		settle()
		time.Sleep(25 * time.Hour) // in the bubble, it takes no time
		along := Along{Home: "orders", Kind: kindForget, Body: forgetCommand(nil)}
		events := []Accepted{newEvent("after", to)}
		forgotten := make(chan error, 1)
		go func() {
			_, err := r.shard.Propose(context.Background(), func(b *shard.Batch) {
				b.Add(kindForget, forgetCommand(r.hosts[0].machine.stale(r.shard.Now().UnixMicro())))
			})
			forgotten <- err
		}()
		_, err := r.AcceptAlong(context.Background(), along, events)
		if err := errors.Join(err, <-forgotten); err != nil {
			t.Fatal(err)
		}
		settle()
		if got := len(r.sender.to(to.ARN)); got != 2 {
			t.Errorf("%d events arrived, want 2", got)
		}
	})
}

func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Window: 4})
		slow, quick := testTarget("slow", false), testTarget("quick", false)
		r.sender.when(slow.ARN, hangs)
		for i := range 20 {
			r.accept(fmt.Sprint("e", i), slow, quick)
		}
		settle()
		if lag := r.Lag(simTargets[:0]); lag != 0 {
			t.Errorf("nobody lags by %d", lag)
		}
		if lag := r.Lag(append(simTargets[:0:0], quick)); lag != 0 {
			t.Errorf("the quick target lags by %d", lag)
		}
		if lag := r.Lag(append(simTargets[:0:0], quick, slow)); lag != 16 {
			t.Errorf("the slow target lags by %d, want 16", lag)
		}
	})
}

// TestHeld has deliveries to one target wait for each other, and those to another one not.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		slow, quick := testTarget("slow", false), testTarget("quick", false)
		r.sender.when(slow.ARN, hangs)
		for i := range 20 {
			e := newEvent(fmt.Sprint("e", i), slow, quick)
			e.Home, e.Orders = "orders", []uint64{1, 2}
			if err := r.Accept(t.Context(), []Accepted{e}); err != nil {
				t.Fatal(err)
			}
		}
		settle()
		for _, c := range []struct {
			targets []*target.Sealed
			want    int
		}{{nil, 0}, {append(simTargets[:0:0], quick), 0}, {append(simTargets[:0:0], quick, slow), 19}} {
			if n, err := r.Held(t.Context(), "orders", c.targets); err != nil || n != c.want {
				t.Errorf("%d deliveries to %d targets are held, want %d, %v", n, len(c.targets), c.want, err)
			}
		}
	})
}
