package deliver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/rialto-events/rialto/target"
)

// TestPendingFindsOneOfMany looks for events in a backlog that is larger than what is read to find one.
func TestPendingFindsOneOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := retried(t, 100)
		r.sender.when(to.ARN, fails(errors.New("not now")))
		const n = 3*findAll + 7
		var events []Accepted
		for i := range n {
			events = append(events, newEvent(fmt.Sprintf("%06d", i), to))
		}
		if err := r.Accept(context.Background(), events); err != nil {
			t.Fatal(err)
		}
		settle()
		for _, i := range []int{0, 1, n / 3, n / 2, n - 2, n - 1} {
			id := fmt.Sprintf("%06d", i)
			found, err := r.Pending(context.Background(), id)
			if err != nil || len(found) != 1 || found[0].Event.EventID != id || len(found[0].Waiting) != 1 || found[0].Waiting[0].Target != to.ARN {
				t.Errorf("of event %s there is %+v, %v", id, found, err)
			}
		}
		for _, id := range []string{"", "000000x", "999999"} {
			if found, err := r.Pending(context.Background(), id); err != nil || len(found) != 0 {
				t.Errorf("of event %q, which is not there, there is %+v, %v", id, found, err)
			}
		}
	})
}

// TestPendingSaysWhatAnOrderedDeliveryWaitsFor.
func TestPendingSaysWhatAnOrderedDeliveryWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		to := retried(t, 100)
		r.sender.when(to.ARN, fails(errors.New("not now")))
		for _, id := range []string{"first", "second", "third"} {
			e := newEvent(id, to)
			e.Home, e.Orders = "orders", []uint64{17}
			if err := r.Accept(context.Background(), []Accepted{e}); err != nil {
				t.Fatal(err)
			}
		}
		settle()
		for id, want := range map[string]string{"first": "", "second": "first", "third": "first"} {
			found, err := r.Pending(context.Background(), id)
			if err != nil || len(found) != 1 || len(found[0].Waiting) != 1 || found[0].Waiting[0].Behind != want {
				t.Errorf("of event %s there is %+v, %v, want it behind %q", id, found, err, want)
			}
		}
	})
}

// retried is a target with a retry policy, and without a breaker.
func retried(t *testing.T, attempts int) *target.Sealed {
	t.Helper()
	s, err := target.Seal(&target.Definition{
		Rule: simScope.RuleARN("orders", "found"), RuleName: "found", ID: "t", ARN: "arn:aws:sqs:eu-west-1:111122223333:found",
		Retry: target.Retry{MaxAttempts: attempts, MaxAge: target.DefaultRetry.MaxAge}, Breaker: &target.Breaker{Off: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
