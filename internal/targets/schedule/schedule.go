// Package schedule delivers what schedules of EventBridge Scheduler make to their targets.
//
// An occurrence is written for its target when it is sent: the input with its context attributes, or the notification that a schedule without an
// input sends. Then it is brought there by whoever delivers to such a place for rules, too, or calls what a universal target names. A dead
// letter is what the target would have received, with the attributes that EventBridge Scheduler gives it. Start with [New].
package schedule

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/occurrence"
	"github.com/rialto-events/rialto/internal/targets/universal"
	"github.com/rialto-events/rialto/target"
)

// A Sender delivers to targets of schedules.
type Sender struct {
	of    func(*target.Definition) target.Sender
	clock rialto.Clock
}

var (
	_ target.Timed = (*Sender)(nil)
	_ target.Paced = (*Sender)(nil)
	_ target.Local = (*Sender)(nil)
	_ target.Eager = (*Sender)(nil)
)

// New makes a Sender. The function says who delivers to what has an ARN, for a definition without a schedule.
func New(of func(*target.Definition) target.Sender, clock rialto.Clock) *Sender {
	return &Sender{of, clock}
}

// plain is the definition of a target that is not of schedules.
func plain(d *target.Definition) *target.Definition {
	p := *d
	p.Schedule = nil
	return &p
}

// Timeout is that of whoever delivers.
func (s *Sender) Timeout(d *target.Definition) time.Duration {
	p := plain(d)
	if timed, ok := s.of(p).(target.Timed); ok {
		return timed.Timeout(p)
	}
	return 0
}

// Pace is that of whoever delivers.
func (s *Sender) Pace(d *target.Definition) float64 {
	p := plain(d)
	if paced, ok := s.of(p).(target.Paced); ok {
		return paced.Pace(p)
	}
	return 0
}

// Local is that of whoever delivers.
func (s *Sender) Local(d *target.Definition) bool {
	p := plain(d)
	local, ok := s.of(p).(target.Local)
	return ok && local.Local(p)
}

// Eager is that of whoever delivers.
func (s *Sender) Eager(d *target.Definition) bool {
	p := plain(d)
	eager, ok := s.of(p).(target.Eager)
	return ok && eager.Eager(p)
}

// Most is that of whoever delivers.
func (s *Sender) Most(d *target.Definition) (messages, bytes int) {
	p := plain(d)
	if kind, ok := s.of(p).(target.Batcher); ok {
		return kind.Most(p)
	}
	return 1, 0
}

// Send writes the occurrence, and brings it to where the definition says.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	out, err := s.write(m)
	if err != nil {
		return err
	}
	err = s.of(out.Definition).Send(ctx, out)
	m.Answer = out.Answer
	return outcome(m, err)
}

// SendBatch is Send for several occurrences, for one who is eager and does not ask which schedule each is of.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	errs := make([]error, len(ms))
	outs, of := make([]*target.Message, 0, len(ms)), make([]int, 0, len(ms))
	for i, m := range ms {
		out, err := s.write(m)
		if errs[i] = err; err == nil {
			outs, of = append(outs, out), append(of, i)
		}
	}
	if len(outs) == 0 {
		return errs
	}
	for j, err := range s.send(ctx, outs) {
		i := of[j]
		ms[i].Answer = outs[j].Answer
		errs[i] = outcome(ms[i], err)
	}
	return errs
}

// send brings what is written to where it goes, and says how that ended for each.
func (s *Sender) send(ctx context.Context, outs []*target.Message) []error {
	errs := make([]error, len(outs))
	if kind, ok := s.of(outs[0].Definition).(target.Batcher); ok {
		copy(errs, kind.SendBatch(ctx, outs))
		return errs
	}
	for j, out := range outs {
		errs[j] = s.of(out.Definition).Send(ctx, out)
	}
	return errs
}

// outcome is how an attempt ended, in the words of EventBridge Scheduler, but for a dead letter, which no other one tells of.
func outcome(m *target.Message, err error) error {
	if m.Origin != nil {
		return err
	}
	return universal.InOwnWords(err)
}

// tooOld is the code of an error that says that an occurrence had reached its greatest age before the first attempt.
const tooOld = "AWS.Scheduler.MaximumEventAgeExceeded"

// write writes the occurrence for its target, to which the sender is the schedule itself.
func (s *Sender) write(m *target.Message) (*target.Message, error) {
	o, err := occurrence.Parse(m.Event)
	if err != nil {
		return nil, &target.Error{Code: universal.CodeInternal, Message: universal.MessageInternal, Permanent: true, Cause: err}
	}
	out := *m
	out.Definition = plain(m.Definition)
	out.Definition.Rule, out.Definition.RuleName, out.Definition.ID = o.Schedule, rialto.RuleName(o.Schedule.Resource), o.ExecutionID()
	if m.Origin != nil {
		s.letter(&out, o)
		return &out, nil
	}
	since := m.Accepted
	if !m.Redriven.IsZero() {
		since = m.Redriven
	}
	if age := s.clock.Now().Sub(since); m.Attempt == 1 && age > m.Definition.Retry.MaxAge {
		// Nobody was there to make an attempt in time. That is no fault of the target: its circuit is not told.
		return nil, &target.Error{Code: tooOld, Permanent: true, Message: fmt.Sprintf(
			"The occurrence came to its turn %s after it was due, and MaximumEventAgeInSeconds is %d.", age.Round(time.Second), int(m.Definition.Retry.MaxAge.Seconds()))}
	}
	out.Payload = o.Payload(m.Attempt)
	return &out, nil
}

// maxLetter is how large a dead letter may be; a longer one is cut off (Scheduler user guide, "Configuring a dead-letter queue"). It is what a message
// of SQS may have at most, with room for the attributes.
const maxLetter = 1<<20 - 4<<10

// letter makes a dead letter of what the target would have received, with AWS's attributes (same page).
func (s *Sender) letter(m *target.Message, o *occurrence.Occurrence) {
	was := m.Attributes
	retries, _ := strconv.Atoi(was["RETRY_ATTEMPTS"].Value)
	m.Payload = o.Payload(retries + 1)
	truncated := len(m.Payload) > maxLetter
	if truncated {
		cut := maxLetter
		for cut > 0 && !utf8.RuneStart(m.Payload[cut]) {
			cut--
		}
		m.Payload = m.Payload[:cut]
	}
	m.Attributes = map[string]target.Attribute{
		"ERROR_CODE":           was["ERROR_CODE"],
		"ERROR_MESSAGE":        was["ERROR_MESSAGE"],
		"EXECUTION_ID":         text(o.ExecutionID()),
		"IS_PAYLOAD_TRUNCATED": text(strconv.FormatBool(truncated)),
		"RETRY_ATTEMPTS":       text(strconv.Itoa(retries)),
		"SCHEDULED_TIME":       text(o.ScheduledTime()),
		"SCHEDULE_ARN":         text(o.Schedule.String()),
		"TARGET_ARN":           text(universal.FormOf(was["TARGET_ARN"].Value)),
	}
	switch exhausted := was["EXHAUSTED_RETRY_CONDITION"]; {
	case exhausted.Value != "":
		m.Attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
	case was["ERROR_CODE"].Value == tooOld:
		m.Attributes["EXHAUSTED_RETRY_CONDITION"] = text("MaximumEventAgeInSeconds")
	}
}

func text(s string) target.Attribute { return target.Attribute{Type: "String", Value: s} }
