package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/rialto-events/rialto/target"
)

const (
	defaultBase   = time.Second
	defaultCap    = 22 * time.Minute // see Policy
	maxMessage    = 1024             // bytes of an error message that are kept for the dead letter and the log
	maxCode       = 64               // bytes of an error code that are kept
	deadLetterCap = 5 * time.Minute
)

// deadLetterRetry is how often a dead letter is tried before it is dropped: AWS speaks of a few internal retries. These last
// for some ten minutes.
var deadLetterRetry = target.Retry{MaxAttempts: 12, MaxAge: 24 * time.Hour}

// What EXHAUSTED_RETRY_CONDITION says in a dead letter.
const (
	exhaustedAttempts = "MaximumRetryAttempts"
	exhaustedAge      = "MaximumEventAgeInSeconds"
)

// A Policy says how long to wait before another attempt: a random time up to Base, doubled with every attempt, and at most up
// to Cap. The zero value is AWS's behaviour as far as it is known: the curve is not published, but a delivery that failed for
// the whole 24 hours was recorded with 129 attempts, which is one every 11 minutes, the mean of a random time up to 22. With a
// lower cap the default of 185 attempts would run out before the 24 hours do.
type Policy struct {
	Base time.Duration // 0 is a second
	Cap  time.Duration // 0 is 22 minutes
}

// A Try is an attempt that was made.
type Try struct {
	Attempt  int       // 1 for the first
	Accepted time.Time // when the event was accepted
	Retry    target.Retry
}

// An Action is what becomes of a delivery after an attempt.
type Action uint8

const (
	Done       Action = iota // it has arrived, or there is nothing to deliver
	Again                    // it is attempted again
	DeadLetter               // it has failed for good
	Expired                  // no attempt is made any more: its event has lived long enough
)

func (a Action) String() string { return [...]string{"done", "again", "dead letter", "expired"}[a] }

// A Verdict is what [Policy.Next] decides.
type Verdict struct {
	Action    Action
	At        time.Time // of the next attempt, if there is one
	Code      string    // why, for ERROR_CODE; empty if Done
	Message   string    // why, for ERROR_MESSAGE
	Exhausted string    // for EXHAUSTED_RETRY_CONDITION; empty if another attempt would not have helped
	Retries   int       // attempts after the first, for RETRY_ATTEMPTS
}

// Next decides what becomes of a delivery after an attempt that ended with err at a time. The jitter is a random number from 0
// up to 1.
//
// The last attempt is made when the event reaches its greatest age, and not earlier because a longer pause would not fit.
func (p Policy) Next(t Try, err error, now time.Time, jitter float64) Verdict {
	if err == nil {
		return Verdict{Action: Done}
	}
	failure := failureOf(err)
	v := Verdict{Action: DeadLetter, Code: failure.Code, Message: failure.Message}
	if failure.Permanent {
		return v
	}
	v.Retries = t.Attempt - 1
	oldest := t.Accepted.Add(t.Retry.MaxAge)
	if t.Attempt > t.Retry.MaxAttempts {
		v.Exhausted = exhaustedAttempts
		return v
	}
	if !now.Before(oldest) || failure.RetryAfter > oldest.Sub(now) {
		v.Exhausted = exhaustedAge
		return v
	}
	v.Action, v.Retries = Again, 0
	pause := p.Backoff(t.Attempt, jitter)
	if t.Retry.Backoff != nil {
		pause = t.Retry.Pause(t.Attempt)
	}
	v.At = now.Add(max(pause, failure.RetryAfter))
	if v.At.After(oldest) {
		v.At = oldest
	}
	return v
}

// Backoff is the pause after an attempt, the first being 1.
func (p Policy) Backoff(attempt int, jitter float64) time.Duration {
	base, limit := p.Base, p.Cap
	if base <= 0 {
		base = defaultBase
	}
	if limit <= 0 {
		limit = defaultCap
	}
	pause := base
	for range attempt - 1 {
		if pause >= limit {
			break
		}
		pause *= 2
	}
	return time.Duration(jitter * float64(min(pause, limit)))
}

// failureOf describes an error as dead letters do. An error of another type is worth another attempt.
func failureOf(err error) target.Error {
	f := target.Error{Code: target.CodeUnknown, Message: err.Error()}
	if e, ok := errors.AsType[*target.Error](err); ok {
		f = *e
	} else if errors.Is(err, context.DeadlineExceeded) {
		f.Code, f.Message = target.CodeTimeout, "The target did not answer in time."
	}
	if f.Code == "" {
		f.Code = target.CodeUnknown
	}
	f.Code, f.Message = cut(f.Code, maxCode), cut(f.Message, maxMessage)
	return f
}
