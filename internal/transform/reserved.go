package transform

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/target"
)

// The placeholders that AWS fills in by itself (EventBridge user guide, "Input transformation"). Their values are JSON.
const (
	eventJSON     = "aws.events.event.json"
	eventEnvelope = "aws.events.event"
)

// A variable gives the value of a reserved placeholder for the events of one target.
type variable func(def *target.Definition) func(event []byte, ingested time.Time) (value []byte, ok bool)

var reserved = map[string]variable{
	"aws.events.rule-arn":             constant(func(def *target.Definition) string { return def.Rule.String() }),
	"aws.events.rule-name":            constant(func(def *target.Definition) string { return string(def.RuleName) }),
	"aws.events.event.ingestion-time": ofEvent(ingestionTime),
	eventEnvelope:                     ofEvent(envelope),
	eventJSON:                         ofEvent(func(event []byte, _ time.Time) []byte { return event }),
}

func constant(text func(def *target.Definition) string) variable {
	return func(def *target.Definition) func([]byte, time.Time) ([]byte, bool) {
		quoted, err := json.Marshal(text(def))
		return func([]byte, time.Time) ([]byte, bool) { return quoted, err == nil }
	}
}

func ofEvent(value func(event []byte, ingested time.Time) []byte) variable {
	return func(*target.Definition) func([]byte, time.Time) ([]byte, bool) {
		return func(event []byte, ingested time.Time) ([]byte, bool) { return value(event, ingested), len(event) > 0 }
	}
}

func ingestionTime(_ []byte, ingested time.Time) []byte {
	return ingested.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`)
}

// envelope is the event without its detail, in AWS's order and with AWS's other spelling of detail-type. Its time is a number of
// milliseconds (recorded on AWS).
func envelope(event []byte, _ time.Time) []byte {
	out := []byte{'{'}
	for _, m := range envelopeMembers {
		value, ok := m.path.Find(event)
		if !ok {
			continue
		}
		if m.name == "time" {
			value = milliseconds(value)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, '"')
		out = append(out, m.name...)
		out = append(out, '"', ':')
		out = append(out, value...)
	}
	return append(out, '}')
}

var envelopeMembers = [...]struct {
	name string
	path jsonpath.Path
}{
	{"id", known("$.id")},
	{"account", known("$.account")},
	{"detailType", known("$.detail-type")},
	{"time", known("$.time")},
	{"source", known("$.source")},
	{"region", known("$.region")},
	{"resources", known("$.resources")},
	{"version", known("$.version")},
}

// known parses a path that stands in the program.
func known(path string) jsonpath.Path {
	p, err := jsonpath.Parse(path)
	if err != nil {
		panic(err)
	}
	return p
}

// milliseconds turns the time of an event into a number. What is no time stays as it is.
func milliseconds(value []byte) []byte {
	t, err := time.Parse(time.RFC3339, string(bytes.Trim(value, `"`)))
	if err != nil {
		return value
	}
	return strconv.AppendInt(nil, t.UnixMilli(), 10)
}
