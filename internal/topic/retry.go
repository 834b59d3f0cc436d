package topic

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/rialto-events/rialto/target"
)

// Limits of delivery policies (SNS developer guide, "Creating an HTTP/S delivery policy").
const (
	maxPause     = 3600 // seconds between two attempts, and of all pauses together
	maxRetries   = 100
	maxPerSecond = 1_000_000 // AWS names no limit; what is more is a mistake
)

// A deliveryPolicy says how web servers are called: by the attribute DeliveryPolicy of a topic or, with other names, of a subscription.
// Members that are nil are not given.
type deliveryPolicy struct {
	retry       *healthyRetry
	perSecond   int    // attempts a second at most; 0 is no limit
	contentType string // of requests; empty is AWS's
	ignore      bool   // policies of subscriptions do not count
}

// A healthyRetry is how often and when attempts are made again, as it is written.
type healthyRetry struct {
	MinDelay  int    `json:"minDelayTarget"`
	MaxDelay  int    `json:"maxDelayTarget"`
	Retries   int    `json:"numRetries"`
	AtMost    int    `json:"numMaxDelayRetries"`
	Immediate int    `json:"numNoDelayRetries"`
	AtLeast   int    `json:"numMinDelayRetries"`
	Backoff   string `json:"backoffFunction"`
}

// defaultRetry is what holds for what a policy leaves out.
var defaultRetry = healthyRetry{MinDelay: 20, MaxDelay: 20, Retries: 3, Backoff: string(target.Linear)}

// UnmarshalJSON reads a policy over the defaults.
func (r *healthyRetry) UnmarshalJSON(b []byte) error {
	type plain healthyRetry
	*r = defaultRetry
	return json.Unmarshal(b, (*plain)(r))
}

type throttle struct {
	PerSecond int `json:"maxReceivesPerSecond"`
}

type request struct {
	ContentType string `json:"headerContentType"`
}

// parseTopicDelivery reads the attribute DeliveryPolicy of a topic.
func parseTopicDelivery(text string) (*deliveryPolicy, reason) {
	var p struct {
		HTTP *struct {
			Retry    *healthyRetry `json:"defaultHealthyRetryPolicy"`
			Throttle *throttle     `json:"defaultThrottlePolicy"`
			Request  *request      `json:"defaultRequestPolicy"`
			Ignore   bool          `json:"disableSubscriptionOverrides"`
		} `json:"http"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, reasonf("DeliveryPolicy: failed to parse JSON. %v", err)
	}
	if p.HTTP == nil {
		return nil, ""
	}
	d, why := deliveryOf(p.HTTP.Retry, p.HTTP.Throttle, p.HTTP.Request)
	if d != nil {
		d.ignore = p.HTTP.Ignore
	}
	return d, why
}

// parseSubscriptionDelivery reads the attribute DeliveryPolicy of a subscription.
func parseSubscriptionDelivery(text string) (*deliveryPolicy, reason) {
	var p struct {
		Retry    *healthyRetry `json:"healthyRetryPolicy"`
		Throttle *throttle     `json:"throttlePolicy"`
		Request  *request      `json:"requestPolicy"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, reasonf("DeliveryPolicy: failed to parse JSON. %v", err)
	}
	return deliveryOf(p.Retry, p.Throttle, p.Request)
}

func checkTopicDelivery(text string) reason {
	_, why := parseTopicDelivery(text)
	return why
}

func deliveryOf(r *healthyRetry, t *throttle, q *request) (*deliveryPolicy, reason) {
	d := &deliveryPolicy{retry: r}
	if r != nil {
		if why := r.check(); why != "" {
			return nil, "DeliveryPolicy: " + why
		}
	}
	if t != nil {
		if t.PerSecond < 1 || t.PerSecond > maxPerSecond {
			return nil, "DeliveryPolicy: maxReceivesPerSecond must be at least 1"
		}
		d.perSecond = t.PerSecond
	}
	if q != nil {
		if strings.ContainsFunc(q.ContentType, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, "DeliveryPolicy: headerContentType must be a media type"
		}
		d.contentType = q.ContentType
	}
	return d, ""
}

// check finds what is not allowed in a policy.
func (r *healthyRetry) check() reason {
	switch climb := target.Climb(r.Backoff); {
	case r.MinDelay < 1 || r.MinDelay > r.MaxDelay:
		return "minDelayTarget must be at least 1 and no more than maxDelayTarget"
	case r.MaxDelay > maxPause:
		return reasonf("maxDelayTarget must be at most %d", maxPause)
	case r.Retries < 0 || r.Retries > maxRetries:
		return reasonf("numRetries must be from 0 to %d", maxRetries)
	case r.Immediate < 0 || r.AtLeast < 0 || r.AtMost < 0 || r.Immediate+r.AtLeast+r.AtMost > r.Retries:
		return "numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries must not be negative, nor together more than numRetries"
	case climb != target.Linear && climb != target.Arithmetic && climb != target.Geometric && climb != target.Exponential:
		return "backoffFunction must be arithmetic, exponential, geometric or linear"
	}
	total, retry := time.Duration(0), r.policy()
	for attempt := range r.Retries {
		total += retry.Pause(attempt + 1)
	}
	if total > maxPause*time.Second {
		return reasonf("the pauses of all retries together must not be longer than %d seconds", maxPause)
	}
	return ""
}

// policy is that of the deliveries.
func (r *healthyRetry) policy() target.Retry {
	return target.Retry{MaxAttempts: r.Retries, MaxAge: target.HTTPRetry().MaxAge, Backoff: &target.Backoff{
		Immediate: r.Immediate, AtLeast: r.AtLeast, AtMost: r.AtMost, Climb: target.Climb(r.Backoff),
		Least: time.Duration(r.MinDelay) * time.Second, Most: time.Duration(r.MaxDelay) * time.Second,
	}}
}

// apply has deliveries to a web server follow the policy of a topic, and above it that of a subscription; either may be nil.
func apply(d *target.Definition, topic, subscription *deliveryPolicy) {
	if topic != nil && topic.ignore {
		subscription = nil
	}
	for _, p := range []*deliveryPolicy{topic, subscription} {
		if p == nil {
			continue
		}
		if p.retry != nil {
			d.Retry = p.retry.policy()
		}
		if p.perSecond > 0 {
			d.Rate = float64(p.perSecond)
		}
		if p.contentType != "" {
			d.Subscription.ContentType = p.contentType
		}
	}
}

// effectiveDelivery is the attribute EffectiveDeliveryPolicy of a topic with a DeliveryPolicy, or with none if that is empty (recorded on AWS).
func effectiveDelivery(text string) string {
	p, _ := parseTopicDelivery(text)
	if p == nil {
		p = new(deliveryPolicy)
	}
	type inner struct {
		Retry    healthyRetry `json:"defaultHealthyRetryPolicy"`
		Ignore   bool         `json:"disableSubscriptionOverrides"`
		Throttle *throttle    `json:"defaultThrottlePolicy,omitempty"`
		Request  request      `json:"defaultRequestPolicy"`
	}
	is := inner{Retry: defaultRetry, Ignore: p.ignore, Request: request{defaultContentType}}
	p.show(&is.Retry, &is.Throttle, &is.Request)
	return marshal(struct {
		HTTP inner `json:"http"`
	}{is})
}

const defaultContentType = "text/plain; charset=UTF-8"

// effectiveSubscriptionDelivery is the attribute EffectiveDeliveryPolicy of a subscription (recorded on AWS).
func effectiveSubscriptionDelivery(topic, subscription *deliveryPolicy) string {
	is := struct {
		Retry      healthyRetry `json:"healthyRetryPolicy"`
		Sickly     *struct{}    `json:"sicklyRetryPolicy"`
		Throttle   *throttle    `json:"throttlePolicy"`
		Request    request      `json:"requestPolicy"`
		Guaranteed bool         `json:"guaranteed"`
	}{Retry: defaultRetry, Request: request{defaultContentType}}
	if topic != nil && topic.ignore {
		subscription = nil
	}
	for _, p := range []*deliveryPolicy{topic, subscription} {
		if p != nil {
			p.show(&is.Retry, &is.Throttle, &is.Request)
		}
	}
	return marshal(is)
}

// show writes what the policy says over what holds without it.
func (p *deliveryPolicy) show(r *healthyRetry, t **throttle, q *request) {
	if p.retry != nil {
		*r = *p.retry
	}
	if p.perSecond > 0 {
		*t = &throttle{p.perSecond}
	}
	if p.contentType != "" {
		q.ContentType = p.contentType
	}
}

// marshal writes a value of the types here, which always can be.
func marshal(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
