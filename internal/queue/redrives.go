package queue

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
)

const (
	surveyChunks = 16     // of the machine's messages in one look, so that the owner of the shard is not held up
	markAtOnce   = 10_000 // messages in one command that selects them
)

// A Standing is a message as it stands in its queue. Whoever looks at it disturbs nobody: it is not received.
type Standing struct {
	Place
	State         string // visible, delayed, in flight, moving (to a dead-letter queue) or leaving (by a redrive)
	Sent          time.Time
	FirstReceived time.Time // zero if it was not received
	Receives      int
	Source        string    // ARN of the queue where it was received too often, or empty
	Selected      bool      // for the redrive of the queue that has not ended
	Claimed       time.Time // since when it is leaving, if it is

	ref shard.Ref
}

// States of a [Standing] message.
const (
	StateVisible  = "visible"
	StateDelayed  = "delayed"
	StateInFlight = "in flight"
	StateMoving   = "moving"
	StateLeaving  = "leaving"
)

var stateNames = [...]string{visible: StateVisible, delayed: StateDelayed, inFlight: StateInFlight, moving: StateMoving, leaving: StateLeaving}

// A Survey is a queue with all its messages, in the order in which they came. Messages that come or go while it is made may be missing.
type Survey struct {
	Queue    Address
	Messages []Standing
	host     *host
}

// Survey looks at all messages of a queue.
func (s *Service) Survey(ctx context.Context, at Address) (*Survey, error) {
	return s.SurveyFrom(ctx, at, 0, math.MaxInt/2)
}

// SurveyFrom looks at so many messages of a queue, the first of those whose [Standing.Order] is at least least.
func (s *Service) SurveyFrom(ctx context.Context, at Address, least uint64, most int) (*Survey, error) {
	d, err := s.find(at)
	if err != nil {
		return nil, err
	}
	v := &Survey{Queue: at, host: s.host(d)}
	for from, more := 0, true; more; from += surveyChunks {
		err := v.host.shard.View(ctx, func() {
			m := v.host.machine
			q, ok := m.queues[d.id]
			if more = ok && q.len()+q.leaving.n > 0; !more {
				return // many queues are empty, and to look through the messages of all others for each of them takes its time
			}
			v.Messages = m.survey(v.Messages, q, seconds(uint64(d.retention)), v.host.shard.Now().UnixMicro(), from)
			more = from+surveyChunks < len(m.messages.chunks)
		})
		if err != nil {
			return nil, err
		}
		v.Messages = slices.DeleteFunc(v.Messages, func(s Standing) bool { return s.Order() < least })
		if len(v.Messages) > 2*most {
			v.first(most)
		}
	}
	v.first(most)
	return v, nil
}

// first leaves the first messages, in their order.
func (v *Survey) first(most int) {
	slices.SortFunc(v.Messages, func(a, b Standing) int { return cmp.Compare(a.key, b.key) })
	v.Messages = v.Messages[:min(len(v.Messages), most)]
}

// Size is about how many messages a survey of a queue has; those that are too old may count.
func (s *Service) Size(ctx context.Context, at Address) (n int, err error) {
	d, err := s.find(at)
	if err != nil {
		return 0, err
	}
	h := s.host(d)
	err = h.shard.View(ctx, func() {
		if q, ok := h.machine.queues[d.id]; ok {
			n = q.len() + q.leaving.n
		}
	})
	return n, err
}

// survey appends the messages of a queue that stand in some chunks.
func (m *Machine) survey(list []Standing, q *queue, retention, now int64, from int) []Standing {
	for i := from; i < min(from+surveyChunks, len(m.messages.chunks)); i++ {
		m.messages.eachOf(i, func(slot uint32, msg *message) bool {
			if msg.queue == q.serial && (msg.state == leaving || msg.at[byAge]+retention > now) {
				list = append(list, m.standing(q, slot, msg, now))
			}
			return true
		})
	}
	return list
}

func (m *Machine) standing(q *queue, slot uint32, msg *message, now int64) Standing {
	s := Standing{
		Place: Place{slot, msg.key}, State: stateNames[msg.state], Sent: microTime(msg.at[byAge]), Receives: int(msg.receives),
		Source: q.sourceOf(msg), Selected: q.marks(msg) != nil, ref: msg.ref,
	}
	switch {
	case msg.state == leaving:
		s.Claimed = microTime(msg.at[byDue])
	case (msg.state == delayed || msg.state == inFlight) && msg.at[byDue] <= now:
		s.State = StateVisible
	}
	if msg.receives > 0 {
		s.FirstReceived = s.Sent.Add(millis(msg.first))
	}
	return s
}

// Read returns what a message says. It has no receipt handle. ok is false if it is gone.
func (v *Survey) Read(ctx context.Context, s *Standing) (m Message, ok bool, err error) {
	payload, err := v.host.read(ctx, s.Place, s.ref)
	if err != nil || payload == nil {
		return Message{}, false, err
	}
	if m, err = decode(payload); err != nil {
		return Message{}, false, err
	}
	m.Receives, m.Sent, m.FirstReceived, m.Source = s.Receives, s.Sent, s.FirstReceived, s.Source
	return m, true, nil
}

// RedriveNews has a value whenever a redrive has begun, was changed or has ended since the last one was taken.
func (s *Service) RedriveNews() <-chan struct{} { return s.news }

// BeginRedrive begins a redrive of a queue. Nothing is selected yet.
func (s *Service) BeginRedrive(ctx context.Context, at Address, spec []byte, rate int) (uuid.UUID, error) {
	d, err := s.find(at)
	if err != nil {
		return uuid.UUID{}, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return uuid.UUID{}, err
	}
	_, err = s.host(d).do(ctx, kindBegin, beginCommand(d.id, id, rate, spec))
	return id, redriveError(at, err)
}

// Mark selects messages for a redrive that was begun; those that are not visible, and those that came after it was begun, are left out.
// With last they are all, and the redrive may go on.
func (s *Service) Mark(ctx context.Context, at Address, id uuid.UUID, places []Place, last bool) error {
	d, err := s.find(at)
	if err != nil {
		return err
	}
	for {
		some := places[:min(len(places), markAtOnce)]
		places = places[len(some):]
		done := len(places) == 0
		_, err := s.host(d).insist(ctx, kindMark, markCommand(d.id, d.retention, id, last && done, some))
		if err != nil || done {
			return redriveError(at, err)
		}
	}
}

// Claim takes selected messages out of everybody's sight and returns those that could be, to be decided. The others are skipped.
func (s *Service) Claim(ctx context.Context, at Address, id uuid.UUID, places []Place) (*Survey, error) {
	d, err := s.find(at)
	if err != nil {
		return nil, err
	}
	h := s.host(d)
	result, err := h.insist(ctx, kindClaim, claimCommand(d.id, d.retention, id, places))
	if err != nil {
		return nil, redriveError(at, err)
	}
	v := &Survey{Queue: at, host: h}
	for _, got := range result.([]received) {
		v.Messages = append(v.Messages, Standing{
			Place: Place{got.slot, got.key}, State: StateLeaving, Sent: got.sent, Receives: int(got.receives), Source: got.source, ref: got.ref,
		})
	}
	return v, nil
}

// A Decision says what became of a message that was claimed.
type Decision struct {
	Place
	Outcome Outcome
	Reason  string // why it is still there; empty if it is not
}

// Decide ends the leaving of messages. It may be said twice.
func (s *Service) Decide(ctx context.Context, at Address, id uuid.UUID, list []Decision) error {
	d, err := s.find(at)
	if err != nil {
		return err
	}
	_, err = s.host(d).insist(ctx, kindDecide, decideCommand(d.id, id, list))
	return redriveError(at, err)
}

// PauseRedrive has a redrive rest until it is resumed.
func (s *Service) PauseRedrive(ctx context.Context, at Address, id uuid.UUID) error {
	return s.control(ctx, at, id, controlPause, 0)
}

// ResumeRedrive ends a pause.
func (s *Service) ResumeRedrive(ctx context.Context, at Address, id uuid.UUID) error {
	return s.control(ctx, at, id, controlResume, 0)
}

// CancelRedrive ends a redrive. What has not left stays.
func (s *Service) CancelRedrive(ctx context.Context, at Address, id uuid.UUID) error {
	return s.control(ctx, at, id, controlCancel, 0)
}

// SetRedriveRate changes how many messages a second a redrive moves; 0 is as many as there are.
func (s *Service) SetRedriveRate(ctx context.Context, at Address, id uuid.UUID, rate int) error {
	return s.control(ctx, at, id, controlRate, rate)
}

func (s *Service) control(ctx context.Context, at Address, id uuid.UUID, what control, rate int) error {
	d, err := s.find(at)
	if err != nil {
		return err
	}
	_, err = s.host(d).do(ctx, kindControl, controlCommand(d.id, id, what, rate))
	return redriveError(at, err)
}

// Redrives returns the redrives that are remembered, the newest first.
func (s *Service) Redrives(ctx context.Context) ([]Redrive, error) {
	var list []Redrive
	for _, h := range s.hosts {
		err := h.shard.View(ctx, func() {
			for _, q := range h.machine.queues {
				d, known := s.index.findID(q.id)
				if !known {
					continue
				}
				for _, t := range q.tasks {
					list = append(list, t.shown(d.Address))
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b Redrive) int {
		return cmp.Or(b.Started.Compare(a.Started), slices.Compare(a.ID[:], b.ID[:]))
	})
	return list, nil
}

// Redrive returns one redrive of a queue.
func (s *Service) Redrive(ctx context.Context, at Address, id uuid.UUID) (Redrive, error) {
	d, err := s.find(at)
	if err != nil {
		return Redrive{}, err
	}
	var is Redrive
	found := false
	h := s.host(d)
	err = h.shard.View(ctx, func() {
		if q, ok := h.machine.queues[d.id]; ok {
			var t *redriveTask
			if t, found = q.task(id); found {
				is = t.shown(at)
			}
		}
	})
	if err == nil && !found {
		err = redriveError(at, errNoTask)
	}
	return is, err
}

// redriveError puts what the machine says into words.
func redriveError(at Address, err error) error {
	switch {
	case errors.Is(err, errTaskRuns):
		return rialto.Errorf(rialto.Exists, "A redrive of the queue %s has not ended yet. Wait for it, or cancel it.", at.Name)
	case errors.Is(err, errNoTask):
		return rialto.Errorf(rialto.NotFound, "The queue %s has no such redrive. Those that ended before the last %d are forgotten.", at.Name, maxRedrivesKept)
	case errors.Is(err, errTaskOver):
		return errRedriveOver
	case errors.Is(err, errSpec):
		return rialto.Errorf(rialto.Invalid, "The selection of a redrive has %d bytes at most. Select by rule, target or code instead of by ids.", maxSpec)
	}
	return err
}

// errRedriveOver says that something cannot be done to a redrive any more, or not now.
var errRedriveOver = rialto.Errorf(rialto.Invalid, "The redrive has ended, or ends at the moment.")

// RedriveOver reports whether an error says that a redrive does not go on: it has ended, or was paused or cancelled.
func RedriveOver(err error) bool { return errors.Is(err, errRedriveOver) }

// Order grows with the order in which messages came into their queue.
func (s *Standing) Order() uint64 { return s.key }
