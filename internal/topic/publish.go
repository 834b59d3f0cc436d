package topic

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// dedupeWindow is how long a FIFO topic knows a message again (SNS developer guide, "Message deduplication for FIFO topics").
const dedupeWindow = 5 * time.Minute

// A Receipt is what became of a draft.
type Receipt struct {
	ID       string
	Sequence string // of a FIFO topic; empty for others
	Err      error  // why it is not published; nil if it is
}

// Publish publishes messages on a topic. The receipts have the order of the drafts: a draft that cannot be published does not hinder the
// others. An error says that none was, as far as is known. What was published is in the log with all the subscriptions that it goes to.
func (s *Service) Publish(ctx context.Context, at Address, drafts []Draft) ([]Receipt, error) {
	st, v, err := s.index.find(at)
	if err != nil {
		return nil, err
	}
	receipts := make([]Receipt, len(drafts))
	accepted := make([]deliver.Accepted, 0, len(drafts)) // which stays where it is: those of FIFO topics are stamped later
	var of []int                                         // for each accepted, the index of its draft
	var unwanted []deliver.Accepted
	now := s.clock.Now().UTC()
	for i := range drafts {
		n, err := drafts[i].notification(at, &v.settings)
		if err != nil {
			receipts[i].Err = err
			continue
		}
		n.ID, n.Published = uuid.NewString(), now
		receipts[i].ID = n.ID
		e := deliver.Accepted{EventID: n.ID, Bus: n.Topic, Accepted: now, Trace: drafts[i].Trace, Hops: drafts[i].Hops}
		v.address(&e, n)
		if len(e.Targets) == 0 && !at.FIFO() {
			e.Event = n.Append(nil)
			unwanted = append(unwanted, e)
			continue
		}
		accepted, of = append(accepted, e), append(of, i)
		if last := &accepted[len(accepted)-1]; at.FIFO() {
			st.line(last, n, v)
		} else {
			last.Event = n.Append(nil)
		}
	}
	s.observe(unwanted)
	if len(accepted) == 0 {
		return receipts, nil
	}
	if err := s.room(); err != nil {
		return nil, err
	}
	err = s.deliver.Accept(ctx, accepted)
	for k := range accepted {
		receipts[of[k]].is(&accepted[k], at)
	}
	s.observe(accepted)
	switch {
	case errors.Is(err, shard.ErrTooLarge):
		return nil, invalid("Message too long") // control characters, of which one byte becomes six in JSON
	case err != nil && len(drafts) == 1:
		return nil, fmt.Errorf("publish on %s: %w", at.ARN(), err)
	}
	return receipts, nil
}

// observe tells the observer of messages that were published.
func (s *Service) observe(messages []deliver.Accepted) {
	for i := range messages {
		if s.observer != nil && messages[i].Err == nil {
			s.observer.Accepted(&messages[i])
		}
	}
}

// is takes over what became of the message.
func (r *Receipt) is(e *deliver.Accepted, at Address) {
	r.ID, r.Err = e.EventID, e.Err
	if e.DuplicateOf != "" {
		r.ID = e.DuplicateOf
	}
	if !at.FIFO() {
		return
	}
	if n, ok := numberOf(r.ID); ok {
		r.Sequence = n.sequence()
	}
}

// address finds the targets of a message.
func (v *view) address(e *deliver.Accepted, n *notification.Notification) {
	wanted := v.filters.Match(n)
	e.Targets = make([]*target.Sealed, len(wanted))
	for i, place := range wanted {
		e.Targets[i] = v.members[place].sealed
	}
	if n.Dedupe == "" {
		return
	}
	e.Orders = make([]uint64, len(wanted))
	for i, place := range wanted {
		e.Orders[i] = v.members[place].order(n.Group)
	}
}

// line puts a message into the line of a FIFO topic: its number is given as it goes into the log. It goes there even if nobody wants it,
// so that it is known again.
func (st *state) line(e *deliver.Accepted, n *notification.Notification, v *view) {
	e.Home = n.Topic.String()
	e.Dedupe = deliver.Dedupe{Key: v.dedupeKey(n), Window: dedupeWindow}
	blank := number(0)
	n.ID, n.Sequence = blank.id(), blank.sequence()
	e.EventID, e.Event = n.ID, n.Append(nil)
	id, sequence := place(e.Event, `"id":"`), place(e.Event, `"sequence":"`)
	e.Stamp = func(now time.Time) {
		is := st.numbers.next(now)
		e.EventID = is.id()
		copy(e.Event[id:], e.EventID)
		copy(e.Event[sequence:], is.sequence())
	}
}

// place is where the value of a member of a notification begins. Quotation marks in texts are escaped, so that they do not look like it,
// and no text of the publisher's that could be named so comes before.
func place(event []byte, member string) int {
	return bytes.Index(event, []byte(member)) + len(member)
}

// dedupeKey is what a message is known again by: its deduplication id, in its topic or in its group. A topic that is made anew knows nothing.
func (v *view) dedupeKey(n *notification.Notification) [16]byte {
	group := ""
	if v.perGroup {
		group = n.Group
	}
	sum := sha256.Sum256([]byte(v.topic.ID + "\x00" + group + "\x00" + n.Dedupe))
	return [16]byte(sum[:])
}

// Deliver publishes what a rule sends to a topic. The kind of its error is NotFound if the topic is not there, Denied if its policy does
// not allow it, and Invalid if it does not take such a message.
func (s *Service) Deliver(ctx context.Context, arn rialto.ARN, m *target.Message) error {
	at, ok := AddressOf(arn)
	switch {
	case !ok:
		return errMissing
	case at.FIFO():
		return rialto.Errorf(rialto.Invalid, "Rules cannot publish on FIFO topics, since their events have no message group. Use a standard topic, or a FIFO queue.")
	}
	if !s.allowsRule(at, m.Definition.Rule) {
		return rialto.Errorf(rialto.Denied, "the policy of %s does not let %s publish", arn, m.Definition.Rule)
	}
	receipts, err := s.Publish(ctx, at, []Draft{{Message: string(m.Payload), Trace: m.Trace, Hops: m.Hops}})
	if err != nil {
		return err
	}
	return receipts[0].Err
}
