package queue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// Sent is what became of one of several messages.
type Sent struct {
	ID       string // of the message; if it is a duplicate in a FIFO queue, of the one that was sent first
	Sequence string // its number in a FIFO queue
	Err      error  // why it was refused
}

// Send puts messages into a queue, of no more than [MaxMessageSize] together. Each is taken or refused by itself; the error says
// that none was taken, or that this is not known.
func (s *Service) Send(ctx context.Context, at Address, drafts []Draft) ([]Sent, error) {
	if err := s.room(); err != nil {
		return nil, err
	}
	d, err := s.find(at)
	if err != nil {
		return nil, err
	}
	for i := range drafts { // one without a group, or that cannot be told from others, has all of them refused, as on AWS
		if err := drafts[i].checkOrder(d); d.fifo && err != nil {
			return nil, err
		}
	}
	return s.send(ctx, d, drafts)
}

// send also takes what comes from inside while there is little room: an event whose delivery is refused would stay.
func (s *Service) send(ctx context.Context, d *definition, drafts []Draft) ([]Sent, error) {
	if d.fifo {
		return s.sendFIFO(ctx, d, drafts)
	}
	sent := make([]Sent, len(drafts))
	list := make([]parcel, 0, len(drafts))
	for i := range drafts {
		if err := drafts[i].check(d.maxSize, false); err != nil {
			sent[i].Err = err
			continue
		}
		id, err := uuid.NewRandom()
		if err != nil {
			return nil, err
		}
		sent[i].ID = id.String()
		p := parcel{drafts[i].encode(id), d.delay, groupHash(drafts[i].Group)}
		if drafts[i].Delay != nil {
			p.delay = *drafts[i].Delay
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return sent, nil
	}
	kind, body := sendCommand(d.id, d.retention, list)
	if _, err := s.host(d).do(ctx, kind, body); err != nil {
		return nil, err
	}
	return sent, nil
}

// sendFIFO is send for a FIFO queue.
func (s *Service) sendFIFO(ctx context.Context, d *definition, drafts []Draft) ([]Sent, error) {
	sent := make([]Sent, len(drafts))
	list, index := make([]posting, 0, len(drafts)), make([]int, 0, len(drafts))
	for i := range drafts {
		draft := drafts[i]
		if err := cmp.Or(draft.checkOrder(d), draft.check(d.maxSize, true)); err != nil {
			sent[i].Err = err
			continue
		}
		if draft.Dedupe == "" {
			sum := sha256.Sum256([]byte(draft.Body))
			draft.Dedupe = hex.EncodeToString(sum[:])
		}
		id, err := uuid.NewRandom()
		if err != nil {
			return nil, err
		}
		list = append(list, posting{id, hashGroup(draft.Group), dedupeKey(draft.Dedupe), draft.encode(id)})
		index = append(index, i)
	}
	if len(list) == 0 {
		return sent, nil
	}
	result, err := s.host(d).do(ctx, kindSendFIFO, sendFIFOCommand(d.id, d.retention, d.delay, d.scope, list))
	if err != nil {
		return nil, err
	}
	for j, p := range result.([]posted) {
		sent[index[j]] = Sent{ID: p.id.String(), Sequence: sequence(p.number)}
	}
	return sent, nil
}

// sequence is the number of a message as callers see it: 20 digits that grow.
func sequence(key uint64) string { return strconv.FormatUint(firstSequence+key, 10) }

const firstSequence = 10_000_000_000_000_000_000

// Deliver puts what deliveries bring into the queue of an ARN: events, or dead letters with their attributes. These may quote what a destination
// has answered; characters that a queue refuses are replaced rather than the dead letter lost. Each is taken or refused by itself: there is an
// error, or nil, for each. The kind of an error is NotFound if the queue is not there.
func (s *Service) Deliver(ctx context.Context, arn rialto.ARN, ms []*target.Message) []error {
	at, ok := AddressOf(arn)
	if !ok {
		return slices.Repeat([]error{errMissing}, len(ms))
	}
	d, err := s.find(at)
	if err != nil {
		return slices.Repeat([]error{err}, len(ms))
	}
	drafts, errs := make([]Draft, len(ms)), make([]error, len(ms))
	for i, m := range ms {
		drafts[i] = draftOf(at, m)
	}
	s.deliver(ctx, d, drafts, errs)
	return errs
}

// deliver sends messages, and says what became of each. Those that cannot be stored at once, as in a cluster that has set a low limit, are sent in
// parts.
func (s *Service) deliver(ctx context.Context, d *definition, drafts []Draft, errs []error) {
	sent, err := s.send(ctx, d, drafts)
	if half := len(drafts) / 2; half > 0 && errors.Is(err, shard.ErrTooLarge) {
		s.deliver(ctx, d, drafts[:half], errs[:half])
		s.deliver(ctx, d, drafts[half:], errs[half:])
		return
	}
	for i := range drafts {
		if errs[i] = err; err == nil {
			errs[i] = sent[i].Err
		}
	}
}

// draftOf is the message that a delivery brings to a queue.
func draftOf(at Address, m *target.Message) Draft {
	body := string(m.Payload)
	if m.Origin != nil {
		body = letterBody(body)
	}
	d := Draft{Body: body, Trace: m.Trace, Sender: string(at.Scope.Account), Origin: m.Origin}
	if m.Definition != nil && m.Definition.SQS != nil {
		d.Group = transform.Value(m.Definition.SQS.MessageGroupID, m.Event)
	}
	if m.Group != "" {
		d.Group = m.Group
	}
	if FIFO(at.Name) {
		d.Dedupe = m.Dedupe
	}
	for name, a := range m.Attributes {
		if a.Value == "" {
			continue // an attribute cannot be empty
		}
		if d.Attributes == nil {
			d.Attributes = make(map[string]Attribute, len(m.Attributes))
		}
		is := Attribute(a)
		if !is.Binary() {
			is.Value = strings.Map(textRune, is.Value)
		}
		d.Attributes[name] = is
	}
	return d
}

// letterBody is the body of a dead letter as a message can hold it. What a transformer made may have characters in it that it cannot, and
// be of any size; the event must not be lost for that, which is beside it as it was accepted.
func letterBody(body string) string {
	body = strings.Map(textRune, body)          // also what is no UTF-8
	const most = MaxMessageSize + letterSlack/2 // the rest is for the reasons
	if len(body) <= most {
		return body
	}
	return strings.ToValidUTF8(body[:most], "")
}

// DeleteMessages removes messages by receipt handle. One that is gone already is no error. There is an error, or nil, for each.
func (s *Service) DeleteMessages(ctx context.Context, at Address, handles []string) ([]error, error) {
	d, err := s.find(at)
	if err != nil {
		return nil, err
	}
	if d.fifo {
		return s.deleteFIFO(ctx, d, handles)
	}
	errs, receipts := make([]error, len(handles)), make([]receipt, 0, len(handles))
	for i, h := range handles {
		r, err := parseHandle(d.id, h)
		if errs[i] = err; err == nil {
			receipts = append(receipts, r)
		}
	}
	places, h := placesOf(receipts), s.host(d)
	results, err := h.shard.Propose(ctx, func(b *shard.Batch) {
		if there := h.machine.those(d.id, places); len(there) > 0 {
			b.Add(kindDelete, handlesCommand(d.id, there))
		}
	})
	if err != nil {
		return nil, err
	}
	if len(results) > 0 {
		if err, failed := results[0].(error); failed {
			return nil, shown(err)
		}
	}
	return errs, nil
}

// deleteFIFO is DeleteMessages for a FIFO queue, where a handle is good for as long as nobody else can receive the message.
func (s *Service) deleteFIFO(ctx context.Context, d *definition, handles []string) ([]error, error) {
	errs := make([]error, len(handles))
	var receipts []receipt
	var index []int
	for i, h := range handles {
		r, err := parseHandle(d.id, h)
		if errs[i] = err; err == nil {
			receipts, index = append(receipts, r), append(index, i)
		}
	}
	if len(receipts) == 0 {
		return errs, nil
	}
	result, err := s.host(d).do(ctx, kindDeleteFIFO, deleteFIFOCommand(d.id, receipts))
	if err != nil {
		return nil, err
	}
	for j, err := range result.([]error) {
		if err == errExpired || err == errVisible {
			errs[index[j]] = expired(handles[index[j]])
		}
	}
	return errs, nil
}

// those picks the places at which there is a message of the queue, so that deleting one again costs nothing.
func (m *Machine) those(id ID, places []Place) []Place {
	q, ok := m.queues[id]
	if !ok {
		return nil
	}
	var there []Place
	for _, p := range places {
		if msg, ok := m.messages.find(p.slot, p.key); ok && msg.queue == q.serial {
			there = append(there, p)
		}
	}
	return there
}

// A Change says how long, from now on, a message is to be hidden.
type Change struct {
	Handle  string
	Seconds int
}

// ChangeVisibility hides messages for another time, or shows them at once. There is an error, or nil, for each.
func (s *Service) ChangeVisibility(ctx context.Context, at Address, changes []Change) ([]error, error) {
	d, err := s.find(at)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(changes))
	var receipts []receipt
	var timeouts, index []int
	for i, c := range changes {
		r, err := parseHandle(d.id, c.Handle)
		switch {
		case err != nil:
			errs[i] = err
			continue
		case c.Seconds < 0 || c.Seconds > maxVisibility:
			errs[i] = errParameter(c.Seconds, "VisibilityTimeout", "VisibilityTimeout must be an integer between 0 and 43200.")
			continue
		}
		receipts, timeouts, index = append(receipts, r), append(timeouts, c.Seconds), append(index, i)
	}
	if len(receipts) == 0 {
		return errs, nil
	}
	kind, body := kindHideFIFO, hideFIFOCommand(d.id, receipts, timeouts)
	if !d.fifo {
		kind, body = kindHide, hideCommand(d.id, placesOf(receipts), timeouts)
	}
	result, err := s.host(d).do(ctx, kind, body)
	if err != nil {
		return nil, err
	}
	for j, err := range result.([]error) {
		errs[index[j]] = hideError(err, changes[index[j]])
	}
	return errs, nil
}

// placesOf forgets by which receives messages are named.
func placesOf(receipts []receipt) []Place {
	places := make([]Place, len(receipts))
	for i, r := range receipts {
		places[i] = r.Place
	}
	return places
}

func hideError(err error, c Change) error {
	switch err {
	case errNotThere:
		return errParameter(c.Handle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
	case errExpired:
		return expired(c.Handle)
	case errVisible:
		return errNotInFlight
	case errTooLong:
		return errParameter(c.Seconds, "VisibilityTimeout", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
	}
	return err
}
