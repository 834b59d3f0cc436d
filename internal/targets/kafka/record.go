package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rialto-events/rialto/internal/cloudevents"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/tracecontext"
	"github.com/rialto-events/rialto/target"
)

// Headers of a record, beside those of CloudEvents.
const (
	eventHeader = "rialto-event-id"
	ruleHeader  = "rialto-rule"
)

// record is what is produced of a message.
func record(topic string, m *target.Message) (*kgo.Record, error) {
	r := &kgo.Record{Topic: topic, Key: key(m), Value: m.Payload}
	add := func(name, value string) {
		if value != "" {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
	}
	add(eventHeader, m.EventID)
	add(ruleHeader, m.Definition.Rule.String())
	add("source", text(sourcePath, m.Event))
	add("detail-type", text(typePath, m.Event))
	add("X-Amzn-Trace-Id", m.Trace)
	traceparent, tracestate := tracecontext.W3C(m.Trace)
	add("traceparent", traceparent)
	add("tracestate", tracestate)
	if m.Definition.Format == "" {
		return r, nil
	}
	event, err := cloudevents.ForMessage(m)
	if err != nil {
		return nil, &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Cause: err,
			Message: fmt.Sprintf("The event cannot be written as a CloudEvent: %v.", err)}
	}
	if m.Definition.Format != target.CloudEventsBinary { // a record is one event, also where batches are asked for
		add("content-type", cloudevents.StructuredType)
		r.Value = event.AppendStructured(nil)
		return r, nil
	}
	for name, value := range event.Attributes() { // as they are: headers of Kafka take any text (CloudEvents Kafka binding, 3.2.3)
		add("ce_"+name, value)
	}
	kind := event.DataContentType
	if kind == "" {
		kind = "application/json"
	}
	add("content-type", kind)
	r.Value = event.Data
	return r, nil
}

// key is the value by which deliveries are ordered, or the id of the event.
func key(m *target.Message) []byte {
	if m.Definition.OrderBy != "" {
		if path, err := jsonpath.Parse(m.Definition.OrderBy); err == nil {
			if value, ok := path.Find(m.Event); ok {
				return jsonpath.AppendText(nil, value)
			}
		}
	}
	return []byte(m.EventID)
}

var (
	sourcePath = mustParse("$.source")
	typePath   = mustParse("$.detail-type")
)

func mustParse(path string) jsonpath.Path {
	p, err := jsonpath.Parse(path)
	if err != nil {
		panic(err)
	}
	return p
}

func text(path jsonpath.Path, event []byte) string {
	value, _ := path.Find(event)
	return string(jsonpath.AppendText(nil, value))
}
