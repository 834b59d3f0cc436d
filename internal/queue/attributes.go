package queue

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/rialto-events/rialto"
)

// Limits of attributes (SQS API, SetQueueAttributes).
const (
	maxDelay       = 900       // seconds
	minRetention   = 60        // seconds
	maxRetention   = 1_209_600 // seconds
	minMessageSize = 1024      // bytes
	MaxMessageSize = 1_048_576 // bytes of a message, and of all messages of a batch
	maxWait        = 20        // seconds of a long poll
	maxReceives    = 1000      // maxReceiveCount of a redrive policy
	maxSources     = 10        // queues that a redrive allow policy names
)

// An attribute is what may be set of a queue.
type attribute struct {
	usual string // its value if it was not set; "" if it then has none
	valid func(value string) bool
}

var attributes = map[string]attribute{
	"DelaySeconds":                  {"0", number(0, maxDelay)},
	"KmsDataKeyReusePeriodSeconds":  {"", number(60, 86400)},
	"KmsMasterKeyId":                {"", anything},
	"MaximumMessageSize":            {strconv.Itoa(MaxMessageSize), number(minMessageSize, MaxMessageSize)},
	"MessageRetentionPeriod":        {"345600", number(minRetention, maxRetention)},
	"Policy":                        {"", jsonObject},
	"ReceiveMessageWaitTimeSeconds": {"0", number(0, maxWait)},
	"RedriveAllowPolicy":            {"", anything}, // see checkAllow
	"RedrivePolicy":                 {"", anything}, // see checkRedrive
	"SqsManagedSseEnabled":          {"true", boolean},
	"VisibilityTimeout":             {"30", number(0, maxVisibility)},
}

// fifoAttributes are those that FIFO queues have beside them.
var fifoAttributes = map[string]attribute{
	"ContentBasedDeduplication": {"false", boolean},
	"DeduplicationScope":        {scopeQueue, oneOf(scopeQueue, scopeGroup)},
	"FifoQueue":                 {"true", boolean},
	"FifoThroughputLimit":       {"perQueue", oneOf("perQueue", limitPerGroup)},
}

// Values of attributes of FIFO queues.
const (
	scopeQueue    = "queue"
	scopeGroup    = "messageGroup"
	limitPerGroup = "perMessageGroupId" // high throughput; there is no other limit here in any case
)

// attributeOf is the attribute of a name that a queue of that kind may be given.
func attributeOf(name string, fifo bool) (attribute, bool) {
	a, ok := attributes[name]
	if !ok && fifo {
		a, ok = fifoAttributes[name]
	}
	return a, ok
}

// readable are the attributes that GetQueueAttributes may ask for and that cannot be set.
var readable = []string{
	"All", "QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", "ApproximateNumberOfMessages",
	"ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
}

func anything(string) bool { return true }

func boolean(v string) bool { return strings.EqualFold(v, "true") || strings.EqualFold(v, "false") }

func oneOf(values ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(values, v) }
}

func jsonObject(v string) bool {
	var m map[string]json.RawMessage
	return v == "" || json.Unmarshal([]byte(v), &m) == nil
}

func number(least, most int) func(string) bool {
	return func(v string) bool {
		n, err := strconv.Atoi(v)
		return err == nil && least <= n && n <= most
	}
}

// defaultReusePeriod is what KmsDataKeyReusePeriodSeconds is when nobody set it. It is not shown then.
const defaultReusePeriod = "300"

// checkKind refuses names and kinds of queues that cannot be made: name and attribute must say the same.
func checkKind(name rialto.QueueName, given map[string]string) error {
	wanted := strings.EqualFold(given["FifoQueue"], "true")
	switch {
	case wanted && !validFIFOName(name):
		return errFIFOName
	case !wanted && !validName(name):
		return errName
	}
	return nil
}

// checkAttributes refuses attributes that a queue cannot be given. fresh says that the queue is only being made.
func checkAttributes(given map[string]string, fifo, fresh bool) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		a, ok := attributeOf(name, fifo)
		switch {
		case name == "FifoQueue" && !fresh && strings.EqualFold(value, "true") != fifo:
			return errAttributeValue("FifoQueue. Reason: Modifying queue type is not supported")
		case !ok && (name == "DeduplicationScope" || name == "FifoThroughputLimit"):
			return rialto.WithCode(rialto.Invalid, "InvalidAttributeName",
				"You can specify the %s only when FifoQueue is set to true.", name)
		case !ok:
			return errAttributeName(name)
		case !a.valid(value):
			return errAttributeValue(name)
		}
	}
	if strings.EqualFold(given["SqsManagedSseEnabled"], "true") && given["KmsMasterKeyId"] != "" {
		return rialto.WithCode(rialto.Invalid, "InvalidAttributeName",
			"You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.")
	}
	return nil
}

// checkThroughput refuses attributes of a queue that contradict each other.
func checkThroughput(stored map[string]string) error {
	if is := effective(stored); is["FifoThroughputLimit"] == limitPerGroup && is["DeduplicationScope"] != scopeGroup {
		return errAttributeValue("FifoThroughputLimit. Reason: To set FifoThroughputLimit to perMessageGroupId, " +
			"the DeduplicationScope must be messageGroup")
	}
	return nil
}

// merge is what is stored after attributes, which have been checked, were given to a queue that has others.
func merge(stored, given map[string]string) map[string]string {
	is := maps.Clone(stored)
	if is == nil {
		is = make(map[string]string)
	}
	for name, value := range given {
		is[name] = canonical(name, value)
	}
	switch {
	case given["KmsMasterKeyId"] != "":
		is["SqsManagedSseEnabled"] = "false"
	case strings.EqualFold(given["SqsManagedSseEnabled"], "true"):
		delete(is, "KmsMasterKeyId")
	}
	maps.DeleteFunc(is, func(name, value string) bool { return value == "" })
	return is
}

// canonical is the way in which a value is shown: numbers without zeros in front, and so on.
func canonical(name, value string) string {
	switch a, _ := attributeOf(name, true); {
	case name == "KmsDataKeyReusePeriodSeconds" && value == defaultReusePeriod:
		return ""
	case a.usual == "true" || a.usual == "false":
		return strings.ToLower(value)
	case a.usual != "":
		if n, err := strconv.Atoi(value); err == nil {
			return strconv.Itoa(n)
		}
	}
	return value
}

// effective is what holds for a queue with those stored attributes: those, and the usual values of others.
func effective(stored map[string]string) map[string]string {
	is := make(map[string]string, len(attributes)+len(fifoAttributes))
	for name, a := range attributes {
		if a.usual != "" {
			is[name] = a.usual
		}
	}
	if stored["FifoQueue"] == "true" {
		for name, a := range fifoAttributes {
			is[name] = a.usual
		}
	}
	maps.Copy(is, stored)
	return is
}

// difference names the first given attribute that a queue has otherwise.
func difference(stored, given map[string]string) (name string, differs bool) {
	has := effective(stored)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if want := canonical(name, given[name]); want != has[name] && !sameJSON(want, has[name]) {
			return name, true
		}
	}
	return "", false
}

// sameJSON reports whether two texts are the same JSON object in different spelling.
func sameJSON(a, b string) bool {
	var x, y map[string]any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// settings are the attributes as the service needs them.
type settings struct {
	visibility int // seconds
	delay      int // seconds
	retention  int // seconds
	wait       int // seconds
	maxSize    int // bytes of a message
	fifo       bool
	byContent  bool  // a message without a deduplication id is known by its body
	scope      scope // of deduplication ids
	redrive    *redrivePolicy
	allow      *allowPolicy
}

// settingsOf reads stored attributes, which were checked when they were set.
func settingsOf(stored map[string]string) settings {
	is := effective(stored)
	n := func(name string) int { v, _ := strconv.Atoi(is[name]); return v }
	s := settings{
		visibility: n("VisibilityTimeout"), delay: n("DelaySeconds"), retention: n("MessageRetentionPeriod"),
		wait: n("ReceiveMessageWaitTimeSeconds"), maxSize: n("MaximumMessageSize"),
		fifo: is["FifoQueue"] == "true", byContent: is["ContentBasedDeduplication"] == "true",
	}
	if is["DeduplicationScope"] == scopeGroup {
		s.scope = eachGroup
	}
	if text := is["RedrivePolicy"]; text != "" {
		s.redrive, _ = parseRedrive(text)
	}
	if text := is["RedriveAllowPolicy"]; text != "" {
		s.allow, _ = parseAllow(text)
	}
	return s
}

// checkNames refuses names of attributes that no queue has.
func checkNames(names []string) error {
	for _, name := range names {
		if _, ok := attributeOf(name, true); !ok && !slices.Contains(readable, name) {
			return errAttributeName(name)
		}
	}
	return nil
}

// choose picks attributes by name; "All" names all of them.
func choose(all map[string]string, names []string) map[string]string {
	if slices.Contains(names, "All") {
		return all
	}
	chosen := make(map[string]string)
	for _, name := range names {
		if value, ok := all[name]; ok {
			chosen[name] = value
		}
	}
	return chosen
}

// allAttributes is every attribute of a queue. Messages are counted only if a name asks for that.
func (s *Service) allAttributes(ctx context.Context, d *definition, names []string) (map[string]string, error) {
	all := effective(d.entry.Attributes)
	all["QueueArn"] = d.ARN().String()
	all["CreatedTimestamp"] = strconv.FormatInt(d.entry.Created.Unix(), 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(d.entry.Modified.Unix(), 10)
	if !slices.ContainsFunc(names, func(n string) bool { return n == "All" || strings.HasPrefix(n, "Approximate") }) {
		return all, nil
	}
	counts, err := s.Counts(ctx, d.Address)
	if err != nil {
		return nil, err
	}
	all["ApproximateNumberOfMessages"] = strconv.Itoa(counts.Visible)
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(counts.InFlight)
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(counts.Delayed)
	return all, nil
}
