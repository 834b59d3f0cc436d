package logs

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/target"
)

// lenient takes what events may hold.
var lenient = jsontext.AllowDuplicateNames(true)

// appendLine appends the line of a message.
func appendLine(b []byte, m *target.Message) []byte {
	at, message := strconv.AppendInt(nil, timeOf(m).UnixMilli(), 10), m.Payload
	if m.Definition.Transformer != nil {
		if own, text, ok := transformed(m.Payload); ok {
			at, message = own, text
		}
	}
	b = append(b, `{"timestamp":`...)
	b = append(b, at...)
	b = append(b, `,"eventId":`...)
	b = appendString(b, m.EventID)
	b = append(b, `,"rule":`...)
	b = appendString(b, m.Definition.Rule.String())
	b = append(b, `,"message":`...)
	b = appendMessage(b, message)
	return append(b, '}', '\n')
}

// appendOutput appends the line of a text that somebody has printed.
func appendOutput(b []byte, at time.Time, text string) []byte {
	b = append(b, `{"timestamp":`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	b = append(b, `,"message":`...)
	b = appendString(b, text)
	return append(b, '}', '\n')
}

// timeOf is the time of the event, or, should it not be there, when it was accepted.
func timeOf(m *target.Message) time.Time {
	if value, ok := eventTime.Find(m.Event); ok {
		if at, err := time.Parse(time.RFC3339, string(jsonpath.AppendText(nil, value))); err == nil {
			return at
		}
	}
	return m.Accepted
}

var eventTime = mustParse("$.time")

func mustParse(path string) jsonpath.Path {
	p, err := jsonpath.Parse(path)
	if err != nil {
		panic(err)
	}
	return p
}

// transformed takes apart what AWS asks an input transformer for a log group to make: {"timestamp":…,"message":…} and nothing else
// (EventBridge user guide, "CloudWatch Logs targets"). AWS refuses what is not; here it is a message like any other.
func transformed(payload []byte) (at, message []byte, ok bool) {
	if !jsontext.Value(payload).IsValid(lenient) {
		return nil, nil, false
	}
	n := 0
	for name, value := range jsonpath.Members(payload) {
		switch string(name) {
		case "timestamp":
			at = value
		case "message":
			message = value
		}
		n++
	}
	if n != 2 || at == nil || message == nil {
		return nil, nil, false
	}
	ms, err := strconv.ParseInt(string(bytes.Trim(at, `"`)), 10, 64)
	if err == nil {
		return strconv.AppendInt(nil, ms, 10), message, true
	}
	text, err := time.Parse(`"`+time.RFC3339+`"`, string(at)) // such as <$.time> gives it
	return strconv.AppendInt(nil, text.UnixMilli(), 10), message, err == nil
}

// appendMessage appends a payload: JSON as it is, on one line, and anything else as a string.
func appendMessage(b, payload []byte) []byte {
	value := jsontext.Value(payload)
	if !value.IsValid(lenient) {
		return appendString(b, string(payload))
	}
	if bytes.ContainsAny(payload, "\n\r") { // only between tokens: strings cannot hold any
		value = value.Clone()
		if value.Compact(lenient) != nil {
			return appendString(b, string(payload))
		}
	}
	return append(b, value...)
}

// appendString appends a string as JSON. Bytes that are no text are replaced.
func appendString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // strings can always be written
	}
	return append(b, text...)
}
