package aws

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// This file writes the requests of the services that take messages, one or many, and reads what they answer.

// queueURL is the queue as SQS takes it. An emulator may find it by what stands after its own address.
func (c *call) queueURL() string {
	base := "https://" + c.kind.api.host + "." + c.region + "." + suffix(c.arn.Partition)
	if c.Endpoint != "" {
		base = trimSlash(c.Endpoint)
	}
	return base + "/" + string(c.arn.Account) + "/" + c.arn.Resource
}

func sqsEntry(m *target.Message) object {
	entry := object{"MessageBody": string(m.Payload)}
	if group := messageGroup(m); group != "" {
		entry["MessageGroupId"] = group
	}
	if m.Dedupe != "" {
		entry["MessageDeduplicationId"] = m.Dedupe
	}
	if m.Trace != "" {
		entry["MessageSystemAttributes"] = object{"AWSTraceHeader": stringAttribute(m.Trace)}
	}
	if len(m.Attributes) > 0 {
		attributes := object{}
		for name, a := range m.Attributes {
			attributes[name] = attribute(a)
		}
		entry["MessageAttributes"] = attributes
	}
	return entry
}

// attribute is a message attribute in JSON, where bytes are in base64.
func attribute(a target.Attribute) object {
	if kind, _, _ := strings.Cut(a.Type, "."); kind == "Binary" {
		return object{"DataType": a.Type, "BinaryValue": []byte(a.Value)}
	}
	return object{"DataType": a.Type, "StringValue": a.Value}
}

func stringAttribute(value string) object { return object{"DataType": "String", "StringValue": value} }

// messageGroup is the group that the message has, or the target names or takes from the event.
func messageGroup(m *target.Message) string {
	if m.Group != "" {
		return m.Group
	}
	if m.Definition.SQS == nil {
		return ""
	}
	return transform.Value(m.Definition.SQS.MessageGroupID, m.Event)
}

func sendMessage(c *call, m *target.Message) (*request, error) {
	body := sqsEntry(m)
	body["QueueUrl"] = c.queueURL()
	return c.json("SendMessage", body)
}

func sendMessages(c *call, ms []*target.Message) (*request, error) {
	entries := make([]object, len(ms))
	for i, m := range ms {
		entries[i] = sqsEntry(m)
		entries[i]["Id"] = strconv.Itoa(i)
	}
	return c.json("SendMessageBatch", object{"QueueUrl": c.queueURL(), "Entries": entries})
}

func sentMessages(body []byte, n int) ([]*failure, bool) {
	var o struct {
		Successful []struct{ ID string }
		Failed     []batchError
	}
	if json.Unmarshal(body, &o) != nil {
		return nil, false
	}
	ids := make([]string, len(o.Successful))
	for i, s := range o.Successful {
		ids[i] = s.ID
	}
	return byID(ids, o.Failed, n)
}

// A batchError is what SQS and SNS say of one message.
type batchError struct {
	ID          string `xml:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

// byID puts results in the order of the messages, whose ids are their numbers. Each message must have one.
func byID(taken []string, failed []batchError, n int) ([]*failure, bool) {
	failures := make([]*failure, n)
	seen := 0
	for _, id := range taken {
		if i, err := strconv.Atoi(id); err == nil && 0 <= i && i < n {
			seen++
		}
	}
	for _, e := range failed {
		i, err := strconv.Atoi(e.ID)
		if err != nil || i < 0 || i >= n {
			return nil, false
		}
		status := http.StatusInternalServerError
		if e.SenderFault {
			status = http.StatusBadRequest
		}
		failures[i] = &failure{status: status, code: e.Code, message: cut(e.Message)}
		seen++
	}
	return failures, seen == n
}

func publish(c *call, m *target.Message) (*request, error) {
	values := url.Values{"TopicArn": {c.arn.String()}, "Message": {string(m.Payload)}}
	if group := messageGroup(m); group != "" {
		values.Set("MessageGroupId", group)
	}
	return c.form("Publish", values), nil
}

func publishAll(c *call, ms []*target.Message) (*request, error) {
	values := url.Values{"TopicArn": {c.arn.String()}}
	for i, m := range ms {
		prefix := fmt.Sprintf("PublishBatchRequestEntries.member.%d.", i+1)
		values.Set(prefix+"Id", strconv.Itoa(i))
		values.Set(prefix+"Message", string(m.Payload))
		if group := messageGroup(m); group != "" {
			values.Set(prefix+"MessageGroupId", group)
		}
	}
	return c.form("PublishBatch", values), nil
}

func published(body []byte, n int) ([]*failure, bool) {
	var o struct {
		Result struct {
			Successful struct {
				Member []struct {
					ID string `xml:"Id"`
				} `xml:"member"`
			}
			Failed struct {
				Member []batchError `xml:"member"`
			}
		} `xml:"PublishBatchResult"`
	}
	if xml.Unmarshal(body, &o) != nil {
		return nil, false
	}
	var ids []string
	for _, s := range o.Result.Successful.Member {
		ids = append(ids, s.ID)
	}
	return byID(ids, o.Result.Failed.Member, n)
}

// partitionKey is where a record goes in a stream: the value of the target's path as compact JSON, with the quotes of a string, and {} for
// none; without a path another one for every record (recorded on AWS).
func (c *call) partitionKey(m *target.Message) string {
	var p struct {
		PartitionKeyPath string // of a rule
		PartitionKey     string // of a schedule
	}
	_ = json.Unmarshal(c.d.Parameters["KinesisParameters"], &p)
	switch {
	case p.PartitionKey != "":
		return p.PartitionKey
	case p.PartitionKeyPath == "":
		return m.EventID + "_" + uuid.NewString()
	}
	path, err := jsonpath.Parse(p.PartitionKeyPath)
	if err != nil {
		return "{}"
	}
	value, ok := path.Find(m.Event)
	if !ok || bytes.Equal(value, []byte("null")) {
		return "{}"
	}
	return truncate(string(value), maxPartitionKey)
}

const maxPartitionKey = 256 // characters (Kinesis API reference, PutRecord)

func putRecord(c *call, m *target.Message) (*request, error) {
	return c.json("PutRecord", object{"StreamARN": c.arn.String(), "StreamName": c.name(), "Data": m.Payload, "PartitionKey": c.partitionKey(m)})
}

func putRecords(c *call, ms []*target.Message) (*request, error) {
	list := make([]object, len(ms))
	for i, m := range ms {
		list[i] = object{"Data": m.Payload, "PartitionKey": c.partitionKey(m)}
	}
	return c.json("PutRecords", object{"StreamARN": c.arn.String(), "StreamName": c.name(), "Records": list})
}

func putToFirehose(c *call, m *target.Message) (*request, error) {
	return c.json("PutRecord", object{"DeliveryStreamName": c.name(), "Record": object{"Data": m.Payload}})
}

func putAllToFirehose(c *call, ms []*target.Message) (*request, error) {
	list := make([]object, len(ms))
	for i, m := range ms {
		list[i] = object{"Data": m.Payload}
	}
	return c.json("PutRecordBatch", object{"DeliveryStreamName": c.name(), "Records": list})
}

// putEvents puts events on a bus elsewhere. It gives them ids of its own; its account is that of the credentials.
func putEvents(c *call, ms []*target.Message) (*request, error) {
	entries := make([]object, len(ms))
	if _, ok := c.d.Parameters["EventBridgeParameters"]; ok {
		for i, m := range ms {
			entry, err := c.scheduledEntry(m)
			if err != nil {
				return nil, err
			}
			entries[i] = entry
		}
		return c.json("PutEvents", object{"Entries": entries})
	}
	for i, m := range ms {
		var e struct {
			Source     string
			DetailType string `json:"detail-type"`
			Time       time.Time
			Resources  []string
			Detail     json.RawMessage
		}
		if err := json.Unmarshal(m.Event, &e); err != nil {
			return nil, invalid("The event cannot be put on another bus: it is not like one of EventBridge.")
		}
		entries[i] = object{"EventBusName": c.arn.String(), "Source": e.Source, "DetailType": e.DetailType, "Detail": string(e.Detail),
			"Resources": e.Resources, "Time": e.Time.Unix()}
		if m.Trace != "" {
			entries[i]["TraceHeader"] = m.Trace
		}
	}
	return c.json("PutEvents", object{"Entries": entries})
}

// scheduledEntry is the event that a schedule puts.
func (c *call) scheduledEntry(m *target.Message) (object, error) {
	var p struct{ DetailType, Source string }
	if err := json.Unmarshal(c.d.Parameters["EventBridgeParameters"], &p); err != nil {
		return nil, invalid("The EventBridgeParameters of the target cannot be read.")
	}
	return object{"EventBusName": c.arn.String(), "Source": p.Source, "DetailType": p.DetailType, "Detail": string(m.Payload),
		"Resources": []string{scheduleOf(m)}}, nil
}

// A line is what goes into a log.
type line struct {
	Timestamp int64  `json:"timestamp"` // milliseconds
	Message   string `json:"message"`
}

// lineOf is the event at its time or, from an input transformer, what that says: {"timestamp":…,"message":…}.
func lineOf(m *target.Message) line {
	at, err := time.Parse(time.RFC3339, textAt("$.time", m))
	if err != nil {
		at = m.Accepted
	}
	l := line{at.UnixMilli(), string(m.Payload)}
	if m.Definition.Transformer == nil {
		return l
	}
	var shaped struct {
		Timestamp json.RawMessage
		Message   json.RawMessage
	}
	if json.Unmarshal(m.Payload, &shaped) != nil || shaped.Message == nil {
		return l
	}
	l.Message = string(jsonpath.AppendText(nil, shaped.Message))
	stamp := string(jsonpath.AppendText(nil, shaped.Timestamp))
	if ms, err := strconv.ParseInt(stamp, 10, 64); err == nil {
		l.Timestamp = ms
	} else if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
		l.Timestamp = at.UnixMilli()
	}
	return l
}

// putLogEvents writes lines, in the order of their times.
func putLogEvents(c *call, ms []*target.Message) (*request, error) {
	lines := make([]line, len(ms))
	for i, m := range ms {
		lines[i] = lineOf(m)
	}
	group, stream := c.log(ms[0])
	return c.json("PutLogEvents", object{"logGroupName": group, "logStreamName": stream, "logEvents": lines})
}

// log is the group, and the stream of the rule and the day. EventBridge makes a stream of its own for what it writes together.
func (c *call) log(m *target.Message) (group, stream string) {
	name := strings.NewReplacer(":", "-", "*", "-").Replace(string(c.d.RuleName))
	return strings.TrimSuffix(c.name(), ":*"), name + "/" + m.Accepted.UTC().Format(time.DateOnly)
}

func createStream(c *call, f *failure, m *target.Message) *request {
	if f == nil || f.code != "ResourceNotFoundException" {
		return nil
	}
	group, stream := c.log(m)
	req, err := c.json("CreateLogStream", object{"logGroupName": group, "logStreamName": stream})
	if err != nil {
		return nil
	}
	return req
}

// maxSpan is how far apart lines may be that are written together (CloudWatch Logs API reference, PutLogEvents).
const maxSpan = 24 * time.Hour

func tooFarApart(ms []*target.Message) bool {
	return lineOf(ms[len(ms)-1]).Timestamp-lineOf(ms[0]).Timestamp > int64(maxSpan/time.Millisecond)
}

// byTime is the order that the service asks for. What it says of lines is about that order, too.
func byTime(a, b *target.Message) int { return cmp.Compare(lineOf(a).Timestamp, lineOf(b).Timestamp) }

// logged reads which lines were not written: those before or after an index of the sorted list.
func logged(body []byte, n int) ([]*failure, bool) {
	var o struct {
		Rejected *struct {
			TooNewLogEventStartIndex *int
			TooOldLogEventEndIndex   *int
			ExpiredLogEventEndIndex  *int
		} `json:"rejectedLogEventsInfo"`
	}
	if json.Unmarshal(body, &o) != nil {
		return nil, false
	}
	failures := make([]*failure, n)
	if o.Rejected == nil {
		return failures, true
	}
	reject := func(from, to int) {
		for i := max(from, 0); i < min(to, n); i++ {
			failures[i] = &failure{status: http.StatusOK, code: rejectedLine, message: "The log does not take an event of this time: it is too old or too new."}
		}
	}
	if r := o.Rejected; r.TooNewLogEventStartIndex != nil {
		reject(*r.TooNewLogEventStartIndex, n)
	}
	for _, end := range []*int{o.Rejected.TooOldLogEventEndIndex, o.Rejected.ExpiredLogEventEndIndex} {
		if end != nil {
			reject(0, *end)
		}
	}
	return failures, true
}

// rejectedLine is our own name for what Logs says by an index.
const rejectedLine = "RejectedLogEvent"
