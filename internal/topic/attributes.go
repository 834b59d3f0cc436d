package topic

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rialto-events/rialto/internal/catalog"
)

// An attribute is what may be set of a topic. Its check returns why a value is refused.
type attribute struct {
	fifo  bool // it is of FIFO topics alone
	fixed bool // it is given when the topic is made, and never again
	check func(value string) reason
}

// attributes are those that can be set, by AWS name (SNS API, CreateTopic and SetTopicAttributes). Those of delivery status logging are
// kept and do nothing: what happened to a message, rialto tells in other ways.
var attributes = map[string]attribute{
	"ContentBasedDeduplication": {fifo: true, check: boolean("ContentBasedDeduplication")},
	"DeliveryPolicy":            {check: checkTopicDelivery},
	"DisplayName":               {check: displayName},
	"FifoThroughputScope":       {fifo: true, check: oneOf("FifoThroughputScope", "Topic", scopeGroup)},
	"FifoTopic":                 {fixed: true, check: boolean("FifoTopic")},
	"KmsMasterKeyId":            {check: anything},
	"Policy":                    {check: checkPolicy},
	"SignatureVersion":          {check: oneOf("SignatureVersion", "1", "2")},
	"TracingConfig":             {check: oneOf("TracingConfig", "PassThrough", "Active")},
}

// Attributes by which a FIFO topic keeps its messages, and a subscription gets them once more. rialto has neither: see docs/targets.md.
const (
	archivePolicy = "ArchivePolicy"
	replayPolicy  = "ReplayPolicy"
)

// checkArchive refuses to keep messages or to send those that were kept. A policy that asks for nothing, as {} does, is what holds anyway.
func checkArchive(name, value string) reason {
	var asked map[string]json.RawMessage
	if value == "" || json.Unmarshal([]byte(value), &asked) == nil && len(asked) == 0 {
		return ""
	}
	return reasonf("%s: rialto does not keep the messages of topics. Subscribe an event bus with an archive, by the protocol events.", name)
}

const scopeGroup = "MessageGroup" // FifoThroughputScope: messages are known again within their group

// feedback are the names of attributes of delivery status logging.
var feedback = regexp.MustCompile(`\A(HTTP|Firehose|Lambda|Application|SQS)(SuccessFeedbackRoleArn|FailureFeedbackRoleArn|SuccessFeedbackSampleRate)\z`)

const maxDisplayName = 100 // characters (SNS API, CreateTopic)

func anything(string) reason { return "" }

func boolean(name string) func(string) reason {
	return func(value string) reason {
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return reasonf("%s: Invalid value [%s]. Must be true or false.", name, value)
		}
		return ""
	}
}

func oneOf(name string, values ...string) func(string) reason {
	return func(value string) reason {
		if !slices.Contains(values, value) {
			return reasonf("%s: Invalid value [%s]. Must be %s.", name, value, strings.Join(values, " or "))
		}
		return ""
	}
}

func displayName(value string) reason {
	if len(value) > maxDisplayName || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }) {
		return "DisplayName"
	}
	return ""
}

// checkPolicy refuses what is no policy. What it says is looked at when somebody needs its permission.
func checkPolicy(text string) reason {
	var p struct {
		Statement json.RawMessage
	}
	if json.Unmarshal([]byte(text), &p) != nil || len(p.Statement) == 0 {
		return "Policy Error: null"
	}
	return ""
}

// checkAttributes refuses attributes that a new topic cannot be given.
func checkAttributes(at Address, given map[string]string) error {
	if !validName(at.Name) || at.FIFO() != strings.EqualFold(given["FifoTopic"], "true") {
		return errName
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if why := checkTopicAttribute(at, name, given[name]); why != "" {
			return why.among()
		}
	}
	return nil
}

func checkTopicAttribute(at Address, name, value string) reason {
	a, ok := attributes[name]
	switch {
	case name == archivePolicy:
		return checkArchive(name, value)
	case !ok && feedback.MatchString(name):
		return ""
	case !ok:
		return "AttributeName"
	case value == "" && !a.fixed:
		return ""
	case a.fifo && !at.FIFO():
		return reasonf("%s can only be set for FIFO topics", name)
	}
	return a.check(value)
}

// merge is what is stored after an attribute, which has been checked, was given to a topic that has others. An empty value takes it away.
func merge(stored map[string]string, name, value string) map[string]string {
	is := maps.Clone(stored)
	if is == nil {
		is = make(map[string]string)
	}
	if is[name] = canonical(name, value); is[name] == "" {
		delete(is, name)
	}
	return is
}

// canonical is the way in which a value is shown.
func canonical(name, value string) string {
	switch name {
	case "FifoTopic", "ContentBasedDeduplication", "RawMessageDelivery":
		return strings.ToLower(value)
	case archivePolicy, replayPolicy:
		return "" // no other was let through
	}
	return value
}

// differs reports whether one of the given attributes is otherwise in what is stored.
func differs(stored, given map[string]string) bool {
	for name, value := range given {
		if value = canonical(name, value); value != stored[name] && !(value == "false" && stored[name] == "") {
			return true
		}
	}
	return false
}

// settings are the attributes as publishing needs them.
type settings struct {
	contentDedupe bool
	perGroup      bool            // messages are known again within their group alone
	signature     string          // SignatureVersion, or empty
	delivery      *deliveryPolicy // nil is AWS's
}

// settingsOf reads stored attributes, which were checked when they were set.
func settingsOf(stored map[string]string) settings {
	s := settings{
		contentDedupe: stored["ContentBasedDeduplication"] == "true",
		perGroup:      stored["FifoThroughputScope"] == scopeGroup,
		signature:     stored["SignatureVersion"],
	}
	if text := stored["DeliveryPolicy"]; text != "" {
		s.delivery, _ = parseTopicDelivery(text)
	}
	return s
}

// shown is every attribute of a topic.
func (s *state) shown(at Address, t *catalog.Topic) map[string]string {
	all := maps.Clone(t.Attributes)
	if all == nil {
		all = make(map[string]string)
	}
	all["TopicArn"] = at.ARN().String()
	all["Owner"] = string(at.Scope.Account)
	all["DisplayName"] = t.Attributes["DisplayName"]
	all["EffectiveDeliveryPolicy"] = effectiveDelivery(t.Attributes["DeliveryPolicy"])
	if all["Policy"] == "" {
		all["Policy"] = DefaultPolicy(at)
	}
	if at.FIFO() && all["ContentBasedDeduplication"] == "" {
		all["ContentBasedDeduplication"] = "false"
	}
	counts := s.counts(t)
	all["SubscriptionsConfirmed"] = strconv.Itoa(counts[catalog.SubscriptionConfirmed])
	all["SubscriptionsPending"] = strconv.Itoa(counts[catalog.SubscriptionPending])
	all["SubscriptionsDeleted"] = strconv.Itoa(counts[catalog.SubscriptionEnded])
	return all
}

// DefaultPolicy is the policy of a topic that nobody has given one: its owner may do everything (recorded on AWS).
func DefaultPolicy(at Address) string {
	arn, owner := at.ARN().String(), string(at.Scope.Account)
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow",` +
		`"Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission",` +
		`"SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":"` + arn +
		`","Condition":{"StringEquals":{"AWS:SourceOwner":"` + owner + `"}}}]}`
}
