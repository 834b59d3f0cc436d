package scheduler

import (
	"sync"
	"time"

	"github.com/rialto-events/rialto"
)

const (
	recallFor  = time.Hour // that the token of a call which deleted something is known; AWS's time is not known
	recallMost = 100_000   // such tokens, of which the oldest go
)

// A recall knows by which calls things were deleted lately, so that a client that calls again, because it did not hear the answer, is told that it
// was done. It does not outlive the process: then that client hears that the thing is not there.
type recall struct {
	clock rialto.Clock
	mu    sync.Mutex
	calls map[string]time.Time // when they were, by ARN and token
	order []string             // of the calls, the oldest first
}

func newRecall(clock rialto.Clock) *recall {
	return &recall{clock: clock, calls: make(map[string]time.Time)}
}

func recallKey(arn rialto.ARN, clientToken string) string { return arn.String() + "|" + clientToken }

func (r *recall) note(arn rialto.ARN, clientToken string) {
	if clientToken == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now, key := r.clock.Now(), recallKey(arn, clientToken)
	if _, there := r.calls[key]; !there {
		r.order = append(r.order, key)
	}
	r.calls[key] = now
	for len(r.order) > recallMost || now.Sub(r.calls[r.order[0]]) > recallFor {
		delete(r.calls, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *recall) knows(arn rialto.ARN, clientToken string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.calls[recallKey(arn, clientToken)]
	return ok && clientToken != "" && r.clock.Now().Sub(at) <= recallFor
}
