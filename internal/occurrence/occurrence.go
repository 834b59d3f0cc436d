// Package occurrence describes what a schedule of EventBridge Scheduler makes each time that it is due, from when it is committed until a
// target has it.
//
// In the log, an occurrence is an event: the notification that a target gets from a schedule without an input, and behind its members the
// input. What a target gets is made of it as late as it is sent, since it may say how many attempts were made before.
// The package is pure. Start with [Occurrence].
package occurrence

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
)

// An Occurrence is one time at which a schedule was due.
type Occurrence struct {
	ID       string     // of the event: a UUID
	Schedule rialto.ARN // arn:aws:scheduler:region:account:schedule/group/name
	Time     time.Time  // for which it is planned, whatever its window and however late it is; to the second
	Input    *string    // as it was given; nil is the notification
}

// event is an occurrence in the log. Its members are those of the notification that EventBridge Scheduler sends (recorded on AWS; the detail is a
// string), and the last is rialto's own.
type event struct {
	Version    string           `json:"version"`
	ID         string           `json:"id"`
	DetailType string           `json:"detail-type"`
	Source     string           `json:"source"`
	Account    rialto.AccountID `json:"account"`
	Time       time.Time        `json:"time"`
	Region     rialto.Region    `json:"region"`
	Resources  []string         `json:"resources"`
	Detail     string           `json:"detail"`
	Input      *string          `json:"input,omitempty"`
}

func (o *Occurrence) event() *event {
	return &event{
		Version: "0", ID: o.ID, DetailType: "Scheduled Event", Source: "aws.scheduler", Account: o.Schedule.Account, Time: o.Time.UTC(),
		Region: o.Schedule.Region, Resources: []string{o.Schedule.String()}, Detail: "{}",
	}
}

// Event is the occurrence for the log.
func (o *Occurrence) Event() []byte {
	e := o.event()
	e.Input = o.Input
	return encode(e)
}

// Notification is what a target gets from a schedule without an input.
func (o *Occurrence) Notification() []byte { return encode(o.event()) }

func encode(e *event) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // keywords are written in angle brackets
	_ = enc.Encode(e)        // never fails: it holds strings and a time that has passed or will soon
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// Parse reads what [Occurrence.Event] wrote.
func Parse(b []byte) (*Occurrence, error) {
	var e event
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	if len(e.Resources) != 1 {
		return nil, errors.New("it does not name its schedule")
	}
	arn, err := rialto.ParseARN(e.Resources[0])
	if err != nil {
		return nil, err
	}
	return &Occurrence{ID: e.ID, Schedule: arn, Time: e.Time, Input: e.Input}, nil
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
	if !strings.Contains(*o.Input, "<aws.scheduler.") {
		return []byte(*o.Input)
	}
	return []byte(strings.NewReplacer(
		"<aws.scheduler.schedule-arn>", o.Schedule.String(),
		"<aws.scheduler.scheduled-time>", o.ScheduledTime(),
		"<aws.scheduler.execution-id>", o.ExecutionID(),
		"<aws.scheduler.attempt-number>", strconv.Itoa(attempt),
	).Replace(*o.Input))
}
