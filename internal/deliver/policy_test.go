package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/target"
)

var accepted = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func TestNext(t *testing.T) {
	busy := &target.Error{Code: target.CodeThrottling, Message: "Rate exceeded"}
	gone := &target.Error{Code: target.CodeNoResource, Message: "No such queue.", Permanent: true}
	asks := func(d time.Duration) error {
		return &target.Error{Code: target.CodeThrottling, Message: "Later.", RetryAfter: d}
	}
	standard := target.DefaultRetry
	once := target.Retry{MaxAttempts: 0, MaxAge: time.Hour}
	tests := []struct {
		name    string
		attempt int
		retry   target.Retry
		err     error
		age     time.Duration // of the event when the attempt ended
		want    Verdict       // At is given as the event's age
		at      time.Duration
	}{
		{"it went well", 1, standard, nil, 0, Verdict{Action: Done}, 0},
		{"it went well in the end", 186, standard, nil, 25 * time.Hour, Verdict{Action: Done}, 0},
		{"the first pause is half of a second by this jitter", 1, standard, busy, 0,
			Verdict{Action: Again, Code: "THROTTLING", Message: "Rate exceeded"}, time.Second / 2},
		{"pauses double", 5, standard, busy, time.Minute,
			Verdict{Action: Again, Code: "THROTTLING", Message: "Rate exceeded"}, time.Minute + 8*time.Second},
		{"pauses have a limit", 100, standard, busy, time.Hour,
			Verdict{Action: Again, Code: "THROTTLING", Message: "Rate exceeded"}, time.Hour + 11*time.Minute},
		{"what is permanent is not tried again", 1, standard, gone, 0,
			Verdict{Action: DeadLetter, Code: "NO_RESOURCE", Message: "No such queue."}, 0},
		{"what is permanent ran out of nothing", 186, standard, gone, 25 * time.Hour,
			Verdict{Action: DeadLetter, Code: "NO_RESOURCE", Message: "No such queue."}, 0},
		{"a permanent error may be wrapped", 3, standard, fmt.Errorf("send: %w", gone), 0,
			Verdict{Action: DeadLetter, Code: "NO_RESOURCE", Message: "No such queue."}, 0},
		{"no retry allowed", 1, once, busy, 0,
			Verdict{Action: DeadLetter, Code: "THROTTLING", Message: "Rate exceeded", Exhausted: "MaximumRetryAttempts"}, 0},
		{"the last retry is still made", 2, target.Retry{MaxAttempts: 2, MaxAge: time.Hour}, busy, 0,
			Verdict{Action: Again, Code: "THROTTLING", Message: "Rate exceeded"}, time.Second},
		{"retries run out", 3, target.Retry{MaxAttempts: 2, MaxAge: time.Hour}, busy, 0,
			Verdict{Action: DeadLetter, Code: "THROTTLING", Message: "Rate exceeded", Exhausted: "MaximumRetryAttempts", Retries: 2}, 0},
		{"the event gets too old", 40, standard, busy, 24 * time.Hour,
			Verdict{Action: DeadLetter, Code: "THROTTLING", Message: "Rate exceeded", Exhausted: "MaximumEventAgeInSeconds", Retries: 39}, 0},
		{"the last attempt is made at the greatest age", 40, standard, busy, 24*time.Hour - time.Minute,
			Verdict{Action: Again, Code: "THROTTLING", Message: "Rate exceeded"}, 24 * time.Hour},
		{"the target asks for more patience", 1, standard, asks(90 * time.Second), 0,
			Verdict{Action: Again, Code: "THROTTLING", Message: "Later."}, 90 * time.Second},
		{"the target asks for less patience", 12, standard, asks(time.Second), 0,
			Verdict{Action: Again, Code: "THROTTLING", Message: "Later."}, 11 * time.Minute},
		{"the target asks for too much patience", 1, standard, asks(25 * time.Hour), 0,
			Verdict{Action: DeadLetter, Code: "THROTTLING", Message: "Later.", Exhausted: "MaximumEventAgeInSeconds"}, 0},
		{"a plain error", 1, standard, errors.New("connection reset"), 0,
			Verdict{Action: Again, Code: "UNKNOWN", Message: "connection reset"}, time.Second / 2},
		{"the attempt's time was over", 1, standard, fmt.Errorf("post: %w", context.DeadlineExceeded), 0,
			Verdict{Action: Again, Code: "TIMEOUT", Message: "The target did not answer in time."}, time.Second / 2},
		{"an error without a code", 1, standard, &target.Error{Message: "Hm."}, 0,
			Verdict{Action: Again, Code: "UNKNOWN", Message: "Hm."}, time.Second / 2},
		{"a long message is cut between characters", 1, standard, &target.Error{Code: "X", Message: strings.Repeat("é", maxMessage), Permanent: true}, 0,
			Verdict{Action: DeadLetter, Code: "X", Message: strings.Repeat("é", maxMessage/2)}, 0},
	}
	for _, tt := range tests {
		if tt.want.Action == Again {
			tt.want.At = accepted.Add(tt.at)
		}
		got := Policy{}.Next(Try{tt.attempt, accepted, tt.retry}, tt.err, accepted.Add(tt.age), 0.5)
		if got != tt.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

// TestBackoff looks at the promise that no pause is longer than the cap, whatever the attempt.
func TestBackoff(t *testing.T) {
	p := Policy{Base: 3 * time.Second, Cap: 20 * time.Second}
	for attempt, want := range map[int]time.Duration{1: 3 * time.Second, 2: 6 * time.Second, 3: 12 * time.Second, 4: 20 * time.Second, 1 << 20: 20 * time.Second} {
		if got := p.Backoff(attempt, 1); got != want {
			t.Errorf("Backoff(%d) is at most %v, want %v", attempt, got, want)
		}
		if got := p.Backoff(attempt, 0); got != 0 {
			t.Errorf("Backoff(%d) is at least %v, want 0", attempt, got)
		}
	}
}
