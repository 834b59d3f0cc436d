package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// Why no attempt is made.
var (
	errEnded    = errors.New("the delivery has ended") // meanwhile
	errStopping = errors.New("the log could not be read until the end")
)

// readPause is the pause between two tries to read an event from a log that does not answer.
const readPause = time.Second

// message prepares the message of a job. A log that does not answer at the moment is waited for: it is no fault of the target, and
// to count it as an attempt could use up the only one.
func (d *worker) message(ctx context.Context, j *job) (m *target.Message, expires time.Time, err error) {
	for warned := false; ; warned = true {
		m, expires, err = j.message(ctx)
		switch {
		case err == nil || rialto.KindOf(err) != rialto.Unavailable:
			return m, expires, err
		case !warned:
			d.opts.Logger.Warn("event cannot be read at present", "target", m.Definition.ARN, "err", err)
		}
		if !d.pause(readPause) {
			return m, expires, errStopping
		}
	}
}

// message reads the event and shapes what is to be sent; the event may expire. With an error it returns what is known of the message.
func (j *job) message(ctx context.Context) (m *target.Message, expires time.Time, err error) {
	m = &target.Message{Definition: j.definition(), Attempt: int(j.made) + 1}
	payload, err := j.host.read(ctx, j.ref, func(h *Machine) (shard.Ref, bool) {
		d, ok := h.find(j.handle())
		if !ok {
			return shard.Ref{}, false
		}
		return h.events.Get(d.event).ref, true
	})
	if err != nil {
		return m, expires, unreadable(err)
	}
	e, err := readEvent(payload)
	if err != nil {
		return m, expires, unreadable(err)
	}
	m.EventID, m.Event, m.Bus, m.Trace, m.Hops, m.Accepted = e.EventID, e.Event, e.Bus, e.Trace, e.Hops, e.Accepted
	m.Redrives, m.Redriven = e.Redrives, e.Redriven
	m.Payload, err = j.payload(e)
	if !j.letter {
		return m, e.Expires, err
	}
	if len(m.Payload) == 0 {
		m.Payload = m.Event
	}
	l, err := j.readLetter(ctx)
	if err != nil {
		return m, expires, unreadable(err)
	}
	m.Origin = origin(m, j.def)
	if j.def.Subscription == nil { // whose letters are what the subscriber would have received, and no more
		m.Attributes = l.attributes(j.def)
	}
	return m, expires, nil
}

// lastCode is why the last attempt of the delivery failed, or empty.
func (j *job) lastCode(ctx context.Context) (code string, err error) {
	if j.made == 0 {
		return "", nil
	}
	gone := false
	err = j.host.shard.View(ctx, func() {
		d, ok := j.host.machine.find(j.handle())
		if gone = !ok; ok {
			code = j.host.machine.waiting(d).Code
		}
	})
	if gone {
		err = errEnded
	}
	return code, err
}

// origin is what a dead letter needs to come back.
func origin(m *target.Message, def *target.Definition) *target.Origin {
	o := &target.Origin{
		EventID: m.EventID, Event: m.Event, Bus: m.Bus, Rule: def.Rule, TargetID: def.ID,
		Accepted: m.Accepted, Trace: m.Trace, Hops: m.Hops, Redrives: m.Redrives,
	}
	if def.Schedule != nil {
		if def.Schedule.Was != nil {
			def = def.Schedule.Was
		}
		if s, err := target.Seal(def); err == nil { // as it always is: it was read from the log
			o.Definition = s.JSON
		}
	}
	return o
}

// unreadable tells a payload that cannot be read from one that cannot be read now, or need not be any more.
func unreadable(err error) error {
	if errors.Is(err, errEnded) || rialto.KindOf(err) == rialto.Unavailable {
		return err
	}
	return &target.Error{Code: target.CodeInternal, Message: "The event cannot be read from the log.", Cause: err}
}

// payload is what the target receives of an event. It is the same at every attempt, since shaping is pure. A panic in it is
// like one in a sender.
func (j *job) payload(e *Accepted) (payload []byte, err error) {
	defer recovered(&err)
	t, err := j.shape()
	if err != nil {
		return e.Event, &target.Error{Code: target.CodeInvalidParameter, Message: err.Error(), Permanent: true}
	}
	return t.Apply(e.Event, e.Accepted)
}

func (j *job) readLetter(ctx context.Context) (letter, error) {
	where := func(h *Machine) (shard.Ref, bool) {
		ref, ok := h.letters[j.slot]
		if d, there := h.find(j.handle()); !there || !d.dead {
			return shard.Ref{}, false
		}
		return ref, ok
	}
	var ref shard.Ref
	var there bool
	if err := j.host.shard.View(ctx, func() { ref, there = where(j.host.machine) }); err != nil {
		return letter{}, err
	}
	if !there {
		return letter{}, errEnded
	}
	payload, err := j.host.read(ctx, ref, where)
	if err != nil {
		return letter{}, err
	}
	return readLetter(payload)
}

// attributes are those of a dead letter, in AWS's spelling (EventBridge user guide, "Using dead-letter queues to process
// undelivered events").
func (l letter) attributes(def *target.Definition) map[string]target.Attribute {
	a := map[string]target.Attribute{
		"RULE_ARN":      text(def.Rule.String()),
		"TARGET_ARN":    text(def.ARN),
		"ERROR_CODE":    text(l.code),
		"ERROR_MESSAGE": text(l.message),
	}
	if l.exhausted != "" {
		a["EXHAUSTED_RETRY_CONDITION"] = text(l.exhausted)
		a["RETRY_ATTEMPTS"] = text(strconv.Itoa(l.retries))
	}
	return a
}

func text(s string) target.Attribute { return target.Attribute{Type: "String", Value: s} }

// read returns a copy of a payload, so that a slow attempt holds no more than its own event in memory. If the payload was carried
// forward, where asks the machine for its new place.
func (h *host) read(ctx context.Context, ref shard.Ref, where func(*Machine) (shard.Ref, bool)) ([]byte, error) {
	for {
		b, err := h.shard.Read(ctx, ref)
		if !errors.Is(err, shard.ErrMoved) {
			return bytes.Clone(b), err
		}
		var now shard.Ref
		var there bool
		if err := h.shard.View(ctx, func() { now, there = where(h.machine) }); err != nil {
			return nil, err
		}
		switch {
		case !there:
			return nil, errEnded
		case now == ref:
			return nil, fmt.Errorf("frame %d of %s was truncated, and a payload in it is still needed", ref.Seq, h.shard.Name())
		}
		ref = now
	}
}
