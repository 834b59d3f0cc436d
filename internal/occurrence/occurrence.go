// Package occurrence describes what a schedule of EventBridge Scheduler makes each time that it is due, from when it is committed until a
// target has it.
//
// In the log, an occurrence is an event: the notification that a target gets from a schedule without an input, and behind its members the
// input. What a target gets is made of it as late as it is sent, since it may say how many attempts were made before.
// The package is pure. Start with [Occurrence].
package occurrence

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/jsonpath"
)

// An Occurrence is one time at which a schedule was due.
type Occurrence struct {
	ID       string     // of the event: a UUID
	Schedule rialto.ARN // arn:aws:scheduler:region:account:schedule/group/name
	Time     time.Time  // for which it is planned, whatever its window and however late it is; to the second
	Input    *string    // as it was given; nil is the notification
}

// Event is the occurrence for the log. Its members are those of the notification that EventBridge Scheduler sends (recorded on AWS; the detail is a
// string), and the last is rialto's own.
func (o *Occurrence) Event() []byte { return o.encode(o.Input) }

// Notification is what a target gets from a schedule without an input.
func (o *Occurrence) Notification() []byte { return o.encode(nil) }

func (o *Occurrence) encode(input *string) []byte {
	b := make([]byte, 0, 512)
	b = append(b, `{"version":"0","id":`...)
	b = appendText(b, o.ID)
	b = append(b, `,"detail-type":"Scheduled Event","source":"aws.scheduler","account":`...)
	b = appendText(b, string(o.Schedule.Account))
	b = append(b, `,"time":`...)
	b = appendText(b, o.ScheduledTime())
	b = append(b, `,"region":`...)
	b = appendText(b, string(o.Schedule.Region))
	b = append(b, `,"resources":[`...)
	b = appendText(b, o.Schedule.String())
	b = append(b, `],"detail":"{}"`...)
	if input != nil {
		b = append(b, `,"input":`...)
		b = appendText(b, *input)
	}
	return append(b, '}')
}

func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // writes U+FFFD for what is no UTF-8, and complains of nothing else
	return b
}

// Parse reads what [Occurrence.Event] wrote. It picks out what it needs: a million of them may be read in a minute.
func Parse(b []byte) (*Occurrence, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("it is no text")
	}
	var o Occurrence
	var err error
	for name, value := range jsonpath.Members(b) {
		switch string(name) {
		case "id":
			o.ID = jsonpath.Text(value)
		case "time":
			o.Time, err = time.Parse(time.RFC3339, jsonpath.Text(value))
		case "resources":
			o.Schedule, err = rialto.ParseARN(firstOf(value))
		case "input":
			input := jsonpath.Text(value)
			o.Input = &input
		}
		if err != nil {
			return nil, err
		}
	}
	if o.ID == "" || o.Schedule.Resource == "" || o.Time.IsZero() {
		return nil, errors.New("it has no id, no schedule or no time")
	}
	return &o, nil
}

// ScheduleOf is the ARN of the schedule that an event is an occurrence of, empty if it does not say.
func ScheduleOf(event []byte) string {
	for name, value := range jsonpath.Members(event) {
		if string(name) == "resources" {
			return firstOf(value)
		}
	}
	return ""
}

var first = func() jsonpath.Path {
	p, err := jsonpath.Parse("$[0]")
	if err != nil {
		panic(err)
	}
	return p
}()

// firstOf is the text that comes first in a list.
func firstOf(list []byte) string {
	value, _ := first.Find(list)
	return jsonpath.Text(value)
}

// executionDigits is how long an execution id is (recorded on AWS).
const executionDigits = 16

// ExecutionID names the occurrence to targets. It is the same for every attempt, and in the dead letter.
func (o *Occurrence) ExecutionID() string {
	digits := strings.ReplaceAll(o.ID, "-", "")
	return digits[max(0, len(digits)-executionDigits):]
}

// ScheduledTime is the time as targets read it.
func (o *Occurrence) ScheduledTime() string { return o.Time.UTC().Format("2006-01-02T15:04:05Z") }

// Payload is what a target gets at an attempt, the first being 1: the input with its context attributes filled in, or the notification. They are
// replaced as plain text, wherever they stand (Scheduler user guide, "Adding context attributes").
func (o *Occurrence) Payload(attempt int) []byte {
	if o.Input == nil {
		return o.Notification()
	}
	return o.fill(*o.Input, attempt)
}

// keyword begins what stands for an attribute; a ">" ends it.
const keyword = "<aws.scheduler."

// fill replaces keywords in a text. What only looks like one stays.
func (o *Occurrence) fill(text string, attempt int) []byte {
	b := make([]byte, 0, len(text)+128)
	for {
		i := strings.Index(text, keyword)
		if i < 0 {
			return append(b, text...)
		}
		b, text = append(b, text[:i]...), text[i:]
		name, rest, _ := strings.Cut(text[len(keyword):], ">")
		value := o.attribute(name, attempt)
		if value == "" {
			b, text = append(b, keyword...), text[len(keyword):]
			continue
		}
		b, text = append(b, value...), rest
	}
}

// attribute is the value of a context attribute, empty if there is none of that name.
func (o *Occurrence) attribute(name string, attempt int) string {
	switch name {
	case "schedule-arn":
		return o.Schedule.String()
	case "scheduled-time":
		return o.ScheduledTime()
	case "execution-id":
		return o.ExecutionID()
	case "attempt-number":
		return strconv.Itoa(attempt)
	}
	return ""
}
