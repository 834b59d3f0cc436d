package http

import (
	"errors"
	"fmt"
	nethttp "net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto/target"
)

// maxRetryAfter bounds what an endpoint may ask for; no delivery lives longer (EventBridge API, RetryPolicy.MaximumEventAgeInSeconds).
const maxRetryAfter = 24 * time.Hour

// outcome turns an answer into the outcome of the attempt.
func outcome(status int, retryAfter string, now time.Time) error {
	if status/100 == 2 {
		return nil
	}
	e := &target.Error{
		Code:      target.CodeErrorFromTarget,
		Message:   strings.TrimSpace(fmt.Sprintf(invoke+"API destination endpoint answered with status %d %s", status, nethttp.StatusText(status))) + ".",
		Permanent: !retryable(status),
	}
	if !e.Permanent {
		var never bool
		e.RetryAfter, never = parseRetryAfter(retryAfter, now)
		e.Permanent = never
	}
	return e
}

// retryable reports whether AWS makes another attempt after a status (EventBridge user guide, "API destinations").
func retryable(status int) bool {
	switch status {
	case nethttp.StatusUnauthorized, nethttp.StatusProxyAuthRequired, nethttp.StatusConflict, nethttp.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// parseRetryAfter reads the header: seconds, or a date. A negative number asks never to try again (EventBridge user guide, "API
// destinations"). What is neither counts as absent.
func parseRetryAfter(header string, now time.Time) (wait time.Duration, never bool) {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		most := int64(maxRetryAfter / time.Second)
		return time.Duration(min(max(seconds, 0), most)) * time.Second, seconds < 0
	}
	if at, err := nethttp.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter), false
	}
	return 0, false
}
