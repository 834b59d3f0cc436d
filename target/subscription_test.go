package target_test

import (
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

func TestSubscriptionDefinition(t *testing.T) {
	topic := rialto.Scope{Account: "123456789012", Region: "eu-west-1"}.ARN("sns", "orders")
	s := &target.Subscription{Topic: topic, ARN: topic, Protocol: target.ProtocolSQS, Endpoint: "arn:aws:sqs:eu-west-1:123456789012:q"}
	s.ARN.Resource += ":1"
	d := s.Definition()
	if d.ARN != s.Endpoint || d.Rule != s.ARN || d.RuleName != "orders:1" || d.ID != "sqs" || d.Subscription != s || d.Retry.MaxAttempts != 100_015 {
		t.Errorf("of a queue: %+v", d)
	}
	s.Protocol, s.Endpoint = target.ProtocolHTTPS, "https://example.com"
	if d = s.Definition(); d.ARN != s.ARN.String() || d.Retry.MaxAttempts != 3 || d.Retry.MaxAge != time.Hour {
		t.Errorf("of a web server: %+v", d)
	}
	sealed, err := target.Seal(d)
	if err != nil {
		t.Fatal(err)
	}
	again, err := target.Unseal(sealed.JSON)
	if err != nil || *again.Subscription != *s || *again.Retry.Backoff != *d.Retry.Backoff || again.Key != sealed.Key {
		t.Errorf("read again: %+v, %v", again, err)
	}
}

// TestPause holds the phases of a policy (SNS developer guide, "Message delivery retries") and the climb between its ends.
func TestPause(t *testing.T) {
	const s = time.Second
	of := func(climb target.Climb) target.Retry {
		return target.Retry{MaxAttempts: 10, Backoff: &target.Backoff{Immediate: 2, AtLeast: 1, AtMost: 2, Least: 2 * s, Most: 32 * s, Climb: climb}}
	}
	for _, c := range []struct {
		name  string
		retry target.Retry
		want  []time.Duration // after attempts 1 to 10
	}{
		{"linear", of(target.Linear), []time.Duration{0, 0, 2 * s, 2 * s, 9500 * time.Millisecond, 17 * s, 24500 * time.Millisecond, 32 * s, 32 * s, 32 * s}},
		{"nothing said", of(""), []time.Duration{0, 0, 2 * s, 2 * s, 9500 * time.Millisecond, 17 * s, 24500 * time.Millisecond, 32 * s, 32 * s, 32 * s}},
		{"arithmetic", of(target.Arithmetic), []time.Duration{0, 0, 2 * s, 2 * s, 3875 * time.Millisecond, 9500 * time.Millisecond, 18875 * time.Millisecond, 32 * s, 32 * s, 32 * s}},
		{"geometric", of(target.Geometric), []time.Duration{0, 0, 2 * s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 32 * s, 32 * s}},
		{"exponential", of(target.Exponential), []time.Duration{0, 0, 2 * s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 32 * s, 32 * s}},
		{"AWS's default for web servers", target.HTTPRetry(), []time.Duration{20 * s, 20 * s, 20 * s}},
		{"one step", target.Retry{MaxAttempts: 1, Backoff: &target.Backoff{Least: s, Most: 9 * s, Climb: target.Exponential}}, []time.Duration{s}},
		{"from nothing", target.Retry{MaxAttempts: 3, Backoff: &target.Backoff{Most: 9 * s, Climb: target.Geometric}}, []time.Duration{0, 94 * time.Millisecond, 9 * s}},
	} {
		for i, want := range c.want {
			if got := c.retry.Pause(i + 1); got != want {
				t.Errorf("%s: %v after attempt %d, want %v", c.name, got, i+1, want)
			}
		}
	}
	managed := target.ManagedRetry()
	for attempt, want := range map[int]time.Duration{1: 0, 3: 0, 4: s, 5: s, 6: s, 15: 20 * s, 16: 20 * s, 100_015: 20 * s, 1 << 30: 20 * s} {
		if got := managed.Pause(attempt); got != want {
			t.Errorf("within AWS: %v after attempt %d, want %v", got, attempt, want)
		}
	}
}
