package http

import (
	"cmp"
	"context"
	"encoding/json"
	nethttp "net/http"
	"slices"
	"strings"

	"github.com/rialto-events/rialto/internal/cloudevents"
	"github.com/rialto-events/rialto/target"
)

// maxBatch bounds the payloads of a call, in bytes. With what stands between them they stay below the MiB that many servers take at
// most (nginx, client_max_body_size).
const maxBatch = 900 << 10

// Most is what goes into one call.
func (s *Sender) Most(*target.Definition) (messages, bytes int) { return 0, maxBatch }

// SendBatch makes one call for all messages whose path, query and headers are the same, one after another where they are not. The body
// is a JSON array of the payloads, or a batch of CloudEvents.
//
// A good status settles all of a call, unless the answer is JSON with "batchItemFailures", in which the "itemIdentifier" of each item
// is the id of an event that failed, as of functions behind queues and pipes (Lambda developer guide, "Reporting batch item
// failures"). Any other id there fails the whole call, as it does there.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	errs := make([]error, len(ms))
	if len(ms) == 0 {
		return errs
	}
	d, err := s.destination(ctx, ms[0].Definition)
	if err != nil {
		return allOf(errs, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeoutOf(ms[0].Definition), errTooLong)
	defer cancel()
	for _, b := range newBatches(d, ms, errs) {
		for i, err := range s.sendBatch(ctx, d, b) {
			errs[b.places[i]] = err
		}
	}
	return errs
}

func allOf(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// A batch is the messages of one call.
type batch struct {
	call     *call
	calls    []*call
	messages []*target.Message
	places   []int // of the messages in those that were to be sent
}

// newBatches puts messages together that can share a call. Those that cannot be sent get their error.
func newBatches(d *Destination, ms []*target.Message, errs []error) (batches []*batch) {
	known := make(map[string]*batch)
	for i, m := range ms {
		c, err := newItem(d, m)
		if err == nil && c.event == nil && m.Definition.Format == "" && !json.Valid(c.body) {
			err = &target.Error{
				Code: target.CodeInvalidJSON, Permanent: true,
				Message: invoke + "the input for the target is not one JSON value, and cannot be an element of a batch.",
			}
		}
		if err != nil {
			errs[i] = err
			continue
		}
		key := c.key()
		b := known[key]
		if b == nil || m.Definition.Format == target.CloudEventsBinary { // whose body is one event
			b = &batch{call: c}
			known[key] = b
			batches = append(batches, b)
		}
		b.calls, b.messages, b.places = append(b.calls, c), append(b.messages, m), append(b.places, i)
	}
	return batches
}

// key is the same for calls that differ in their body alone.
func (c *call) key() string {
	var b strings.Builder
	b.WriteString(c.url)
	names := make([]string, 0, len(c.header))
	for name := range c.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range c.header[name] {
			b.WriteString("\n" + name + ": " + value) // a line break can be in none of them
		}
	}
	return b.String()
}

// body is what the call of a batch brings.
func (b *batch) body() []byte {
	if b.messages[0].Definition.Format == target.CloudEventsBinary {
		return b.call.body
	}
	if b.call.event != nil {
		events := make([]*cloudevents.Event, len(b.calls))
		for i, c := range b.calls {
			events[i] = c.event
		}
		return cloudevents.AppendBatch(nil, events)
	}
	body := []byte{'['}
	for i, c := range b.calls {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, c.body...)
	}
	return append(body, ']')
}

// trace is that of all messages, or none if they have several.
func (b *batch) trace() string {
	first := b.messages[0].Trace
	if slices.ContainsFunc(b.messages, func(m *target.Message) bool { return m.Trace != first }) {
		return ""
	}
	return first
}

// sendBatch makes a call, and returns how it ended for each of its messages.
func (s *Sender) sendBatch(ctx context.Context, d *Destination, b *batch) []error {
	errs := make([]error, len(b.messages))
	if b.call.event != nil {
		b.call.header.Set("Content-Type", cloudevents.BatchType) // also where one alone would be a single document
	}
	b.call.body = b.body()
	req, err := b.call.request(d.Method, b.trace())
	if err != nil {
		return allOf(errs, err)
	}
	r, err := s.exchange(ctx, d, req, maxResponseBody)
	for _, m := range b.messages {
		m.Answer = r.answer
	}
	if err != nil {
		return allOf(errs, err)
	}
	return b.settle(ctx, r, errs)
}

// settle reads which messages failed of a call that went well.
func (b *batch) settle(ctx context.Context, r result, errs []error) []error {
	if r.status == nethttp.StatusNoContent || r.whole && len(r.body) == 0 {
		return errs
	}
	if r.broken != nil {
		return allOf(errs, callError(ctx, r.broken)) // which of them failed was in it, perhaps
	}
	failed, ok := failedItems(r)
	if !ok {
		return errs
	}
	for _, id := range failed {
		known := false
		for i, m := range b.messages {
			if m.EventID == id {
				known = true
				errs[i] = itemError("the endpoint reported that this event of a batch failed.")
			}
		}
		if !known {
			return allOf(errs, itemError("the endpoint reported the failure of an event that was not in its batch, so that all of it is tried again."))
		}
	}
	return errs
}

func itemError(why string) error {
	return &target.Error{Code: target.CodeErrorFromTarget, Message: invoke + why}
}

// failedItems are the ids that an answer lists; ok is false if it has no list. Of an endless answer there is none.
func failedItems(r result) (ids []string, ok bool) {
	var list struct {
		Failures *[]struct {
			ID *string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if !r.whole || json.Unmarshal(r.body, &list) != nil || list.Failures == nil {
		return nil, false
	}
	for _, f := range *list.Failures {
		ids = append(ids, *cmp.Or(f.ID, new(string))) // without an id it is that of no event
	}
	return ids, true
}
