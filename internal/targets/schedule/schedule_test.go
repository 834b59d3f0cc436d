package schedule_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/occurrence"
	"github.com/rialto-events/rialto/internal/targets/schedule"
	"github.com/rialto-events/rialto/target"
)

// A kind takes what does not say "refused". It may be one that takes several at once.
type kind struct{ got []*target.Message }

func (k *kind) Send(_ context.Context, m *target.Message) error {
	k.got = append(k.got, m)
	m.Answer.Head = "seen"
	if string(m.Payload) == "refused" {
		return &target.Error{Code: target.CodeInvalidParameter, Message: "No.", Permanent: true}
	}
	return nil
}

type eagerKind struct {
	kind
	batches int
}

func (k *eagerKind) Eager(*target.Definition) bool      { return true }
func (k *eagerKind) Most(*target.Definition) (int, int) { return 100, 1 << 20 }
func (k *eagerKind) SendBatch(ctx context.Context, ms []*target.Message) (errs []error) {
	k.batches++
	for _, m := range ms {
		errs = append(errs, k.Send(ctx, m))
	}
	return errs
}

var scope = rialto.Scope{Account: "111122223333", Region: "us-east-2"}

func message(n int, input string, accepted time.Time) *target.Message {
	o := occurrence.Occurrence{
		ID: fmt.Sprintf("0198c0de-0000-7000-8000-%012d", n), Schedule: scope.ARN("scheduler", fmt.Sprintf("schedule/default/s%d", n)),
		Time: accepted.Truncate(time.Second), Input: &input,
	}
	return &target.Message{
		Definition: &target.Definition{ARN: scope.QueueARN("q").String(), Schedule: &target.Schedule{}, Retry: target.Retry{MaxAge: time.Hour}},
		EventID:    o.ID, Event: o.Event(), Accepted: accepted, Attempt: 1,
	}
}

// TestBatch sends occurrences of several schedules at once, to one who takes them together and to one who does not: each is written for its own
// schedule, and has an outcome of its own. One that is too old is not sent.
func TestBatch(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	clock := rialto.NewVirtualClock(now)
	eager, plain := new(eagerKind), new(kind)
	for name, to := range map[string]target.Sender{"together": eager, "one by one": plain} {
		t.Run(name, func(t *testing.T) {
			s := schedule.New(func(*target.Definition) target.Sender { return to }, clock)
			ms := []*target.Message{
				message(1, "<aws.scheduler.execution-id>", now), message(2, "refused", now), message(3, "late", now.Add(-2*time.Hour)), message(4, "last", now),
			}
			errs := s.SendBatch(t.Context(), ms)
			for i, want := range []bool{false, true, true, false} {
				if failed := errs[i] != nil; failed != want {
					t.Errorf("number %d: %v", i+1, errs[i])
				}
			}
			got := eager.got
			if to == plain {
				got = plain.got
			}
			var payloads, schedules []string
			for _, m := range got {
				payloads, schedules = append(payloads, string(m.Payload)), append(schedules, m.Definition.Rule.Resource)
			}
			if want := []string{"8000000000000001", "refused", "last"}; !slices.Equal(payloads, want) {
				t.Errorf("sent were %q, want %q", payloads, want)
			}
			if want := []string{"schedule/default/s1", "schedule/default/s2", "schedule/default/s4"}; !slices.Equal(schedules, want) {
				t.Errorf("the senders were %q, want %q", schedules, want)
			}
			if ms[0].Answer.Head != "seen" || ms[2].Answer.Head != "" {
				t.Errorf("the answers are %+v and %+v", ms[0].Answer, ms[2].Answer)
			}
			if n := len(s.SendBatch(t.Context(), ms[2:3])); n != 1 {
				t.Errorf("of one that is too old there are %d results", n)
			}
		})
	}
	if eager.batches != 1 {
		t.Errorf("there were %d batches for one who takes several at once, want 1", eager.batches)
	}
	for to, want := range map[target.Sender]bool{eager: true, plain: false} {
		s := schedule.New(func(*target.Definition) target.Sender { return to }, clock)
		if got := s.Eager(message(1, "", now).Definition); got != want {
			t.Errorf("eager is %t, and should be as whoever delivers: %t", got, want)
		}
	}
}
