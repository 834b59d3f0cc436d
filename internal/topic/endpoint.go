package topic

import (
	"net/url"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// unreachable are the protocols of AWS that rialto has no way to deliver by, with what each would need.
var unreachable = map[target.Protocol]string{
	"email":       "it sends no mail",
	"email-json":  "it sends no mail",
	"sms":         "it sends no text messages",
	"application": "it knows no push services",
}

// checkEndpoint refuses endpoints that nothing could be delivered to, in AWS's words where AWS would refuse them, too (recorded on AWS).
// The ARN is that of the endpoint, or zero for a web server.
func (s *Service) checkEndpoint(at Address, p target.Protocol, endpoint string) (arn rialto.ARN, err error) {
	if why, known := unreachable[p]; known {
		return arn, invalid("Protocol Reason: rialto does not deliver by %s, because %s. Use sqs, http, https, lambda, firehose or events.", p, why)
	}
	switch p {
	case target.ProtocolHTTP, target.ProtocolHTTPS:
		u, err := url.Parse(endpoint)
		if err != nil || !strings.EqualFold(u.Scheme, string(p)) || u.Host == "" {
			return arn, invalid("Endpoint must match the specified protocol")
		}
		return arn, nil
	case target.ProtocolSQS:
		arn, ok := parse(endpoint, "sqs", "")
		if !ok {
			return arn, invalid("SQS endpoint ARN")
		}
		if strings.HasSuffix(arn.Resource, fifoSuffix) && !at.FIFO() {
			return arn, invalid("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
		}
		return arn, nil
	case target.ProtocolLambda:
		arn, ok := parse(endpoint, "lambda", "function:")
		if !ok {
			return arn, invalid("Lambda endpoint ARN")
		}
		return arn, nil
	case target.ProtocolFirehose:
		arn, ok := parse(endpoint, "firehose", "deliverystream/")
		if !ok {
			return arn, invalid("Firehose endpoint ARN")
		}
		if !s.firehose(arn) {
			return arn, invalid("Endpoint Reason: rialto has no delivery streams of its own. Start it with a remote that claims %s.", arn)
		}
		return arn, nil
	case target.ProtocolEvents:
		arn, ok := parse(endpoint, "events", "event-bus/")
		if !ok {
			return arn, invalid("Event bus endpoint ARN")
		}
		return arn, nil
	}
	return arn, invalid("Amazon SNS does not support this protocol string: %s", p)
}

// parse reads the ARN of something of a service whose resource begins with a prefix.
func parse(text, service, prefix string) (rialto.ARN, bool) {
	arn, err := rialto.ParseARN(text)
	ok := err == nil && arn.Service == service && arn.Region != "" && arn.Account != "" && len(arn.Resource) > len(prefix) &&
		strings.HasPrefix(arn.Resource, prefix) && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' })
	return arn, ok
}

// asks reports whether the endpoints of a protocol are asked whether they want to be subscribed.
func asks(p target.Protocol) bool {
	return slices.Contains([]target.Protocol{target.ProtocolHTTP, target.ProtocolHTTPS}, p)
}
