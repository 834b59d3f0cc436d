package deliver

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/target"
)

// subscribed is a subscription of a topic with a dead-letter queue, which retries by a policy.
func subscribed(t *testing.T, retry target.Retry) *target.Sealed {
	t.Helper()
	topic := simScope.ARN("sns", "orders")
	arn := simScope.ARN("sns", "orders:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55")
	d := (&target.Subscription{Topic: topic, ARN: arn, Protocol: target.ProtocolHTTPS, Endpoint: "https://shop.example.com"}).Definition()
	d.Retry, d.DeadLetter = retry, simScope.QueueARN("dead").String()
	s, err := target.Seal(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSubscriptionsKeepTheirPolicy makes attempts when a delivery policy says so, over a restart, and brings what is left to the dead-letter
// queue: by whoever delivers for subscriptions, and with nothing added.
func TestSubscriptionsKeepTheirPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := subscribed(t, target.Retry{MaxAttempts: 10, MaxAge: time.Hour, Backoff: &target.Backoff{
			Immediate: 2, AtLeast: 2, AtMost: 2, Least: 5 * time.Second, Most: 35 * time.Second,
		}})
		r.sender.when(to.ARN, fails(errBusy))
		began := time.Now()
		r.accept("e1", to)
		time.Sleep(30 * time.Second)
		r.stop()
		r.start()
		time.Sleep(10 * time.Minute)

		want := []time.Duration{0, 0, 0, 5, 10, 15, 30, 55, 90, 125, 160} // seconds
		got := r.sender.to(to.ARN)
		if len(got) != len(want) {
			t.Fatalf("%d attempts, want %d", len(got), len(want))
		}
		for i, m := range got {
			if at := m.at.Sub(began).Round(time.Second); at != want[i]*time.Second {
				t.Errorf("attempt %d is made after %v, want %v", i+1, at, want[i]*time.Second)
			}
		}
		letters := r.sender.to(to.DeadLetter)
		if len(letters) != 1 {
			t.Fatalf("%d letters", len(letters))
		}
		m := letters[0]
		if m.Attributes != nil || m.Definition.Subscription == nil || m.Definition.Subscription.ARN != to.Rule || m.Origin == nil || m.Origin.Rule != to.Rule {
			t.Errorf("the letter is %+v", m)
		}
	})
}

// TestManyAttempts counts more of them than SNS makes for a queue that is down for 23 days.
func TestManyAttempts(t *testing.T) {
	b := newBed(t)
	a := b.accept("e1", subscribed(t, target.ManagedRetry()))[0]
	a.made = math.MaxUint16 - 1
	for range 3 {
		b.again(a, time.Second)
		b.restart()
		b.pass(time.Second)
		again := b.take()
		if len(again) != 1 || again[0].made != a.made+1 {
			t.Fatalf("after %d attempts it is handed out as %+v", a.made+1, again)
		}
		a = again[0]
	}
}
