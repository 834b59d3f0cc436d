package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/target"
)

// tooLarge is what Lambda calls a result that is too large.
const tooLarge = "Function.ResponseSizeTooLarge"

// answer is what is shown of a result.
func (r result) answer() target.Answer {
	shown := r.body[:min(len(r.body), r.secrets.Window(target.MaxAnswer))]
	return target.Answer{Status: r.status, Head: r.secrets.Head(string(shown), target.MaxAnswer)}
}

// outcome sorts a result, as the Invoke API documents its errors (Lambda API reference, "Invoke") and as EventBridge treats those of
// targets (user guide, "Retry policy"): permissions and resources that are missing are for good, as is a request that is at fault;
// throttling, the service's own errors and those of the function are not.
func (r result) outcome(name string) error {
	e := &target.Error{Code: target.CodeErrorFromTarget, RetryAfter: r.after}
	switch {
	case r.failed != "":
		e.Message = fmt.Sprintf("The function %s failed (%s): %s", name, r.failed, r.reason())
		if strings.Contains(r.reason(), "Task timed out after") { // how Lambda words it
			e.Code = target.CodeTimeout
		}
		return e
	case r.status/100 == 2:
		return nil
	case r.status == http.StatusTooManyRequests:
		e.Code = target.CodeThrottling
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		e.Code, e.Permanent = target.CodeNoPermissions, true
	case r.status == http.StatusNotFound, r.status == http.StatusGone:
		e.Code, e.Permanent = target.CodeNoResource, true
	case r.status == http.StatusRequestTimeout, r.status == http.StatusConflict, r.status == http.StatusTooEarly: // a function that is being made
	case r.status < 500:
		e.Permanent = true
	}
	e.Message = strings.TrimSpace(fmt.Sprintf("The function %s answered with status %d %s", name, r.status, http.StatusText(r.status))) + "."
	return e
}

// maxReason bounds what is quoted of an error, in bytes.
const maxReason = 500

// reason is what a function says about its error.
func (r result) reason() string {
	var said struct{ ErrorType, ErrorMessage string }
	_ = json.Unmarshal(r.body, &said) // what is no JSON says nothing
	kind := said.ErrorType
	if r.kind != "" {
		kind = r.kind
	}
	text := strings.TrimPrefix(kind+": "+said.ErrorMessage, ": ")
	if text = strings.TrimSuffix(text, ": "); text == "" {
		text = "it does not say why."
	}
	return r.secrets.Head(text, maxReason)
}

// looksFailed reports whether a result is the description of an error that runtimes give, and nothing else.
func looksFailed(body []byte) bool {
	if !jsontext.Value(body).IsValid() {
		return false
	}
	kind, message := false, false
	for name := range jsonpath.Members(body) {
		switch string(name) {
		case "errorType":
			kind = true
		case "errorMessage":
			message = true
		case "stackTrace", "trace", "requestId", "cause":
		default:
			return false
		}
	}
	return kind && message
}

// partial says which messages of a batch have failed. As with Lambda's own batches, an identifier that is empty, or of no event of the
// batch, fails them all (Lambda developer guide, "Implementing partial batch responses"). A result that speaks of no failures has none.
func (r result) partial(ms []*target.Message, errs []error) {
	var said struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(r.body, &said); err != nil && !strings.Contains(string(r.body), `"batchItemFailures"`) {
		return
	} else if err != nil {
		fill(errs, fmt.Sprintf("The function %s said in a way that cannot be read which events have failed.", nameOf(ms[0])))
		return
	}
	failed := make(map[string]bool, len(said.BatchItemFailures))
	for _, f := range said.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	known := make(map[string]bool, len(failed))
	for i, m := range ms {
		if failed[m.EventID] {
			known[m.EventID] = true
			errs[i] = &target.Error{Code: target.CodeErrorFromTarget,
				Message: fmt.Sprintf("The function %s named the event in batchItemFailures.", nameOf(m))}
		}
	}
	if len(known) < len(failed) {
		fill(errs, fmt.Sprintf("The function %s named an event in batchItemFailures that was not in the batch, so that all of it counts as failed.", nameOf(ms[0])))
	}
}

func fill(errs []error, message string) {
	for i := range errs {
		errs[i] = &target.Error{Code: target.CodeErrorFromTarget, Message: message}
	}
}

// array is the payload of a batch. A payload that is not one JSON value, such as lines of text, is in it as a string.
func array(ms []*target.Message) []byte {
	size := 2
	for _, m := range ms {
		size += len(m.Payload) + 1
	}
	b := append(make([]byte, 0, size), '[')
	for i, m := range ms {
		if i > 0 {
			b = append(b, ',')
		}
		if jsontext.Value(m.Payload).IsValid(jsontext.AllowDuplicateNames(true)) {
			b = append(b, m.Payload...)
		} else {
			text, _ := json.Marshal(string(m.Payload)) // strings can always be written
			b = append(b, text...)
		}
	}
	return append(b, ']')
}

// timedOut is that a function took too long, in Lambda's words.
func timedOut(c *call) error {
	return &target.Error{Code: target.CodeTimeout,
		Message: fmt.Sprintf("The function %s failed (Unhandled): Task timed out after %.2f seconds", c.name, c.timeout.Seconds())}
}

// acquire takes a slot. That none becomes free in time is what Lambda answers with TooManyRequestsException.
func acquire(ctx context.Context, c *call, slots chan struct{}) error {
	timer := time.NewTimer(slotTimeout)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return abandoned(ctx)
		}
	}
	return &target.Error{Code: target.CodeThrottling,
		Message: fmt.Sprintf("Rate exceeded: all %d instances of the function %s are busy. Give it more with instances.", cap(slots), c.name)}
}
