package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/cloudevents"
	"github.com/rialto-events/rialto/internal/ingest"
)

// Putter accepts events.
type Putter interface {
	Put(ctx context.Context, caller ingest.Caller, entries []ingest.Entry) ([]ingest.Result, error)
}

// Events is the part that takes CloudEvents, one or a batch, in any mode of their HTTP binding. They are put as PutEvents puts
// events: by the same rights, with the same checks, under new ids.
func Events(p Putter) Part {
	e := &putter{p}
	return Part{{"POST", "/_rialto/v1/events", e.put}}
}

type putter struct{ events Putter }

// putAtOnce is how many events are put together, as many as PutEvents takes (EventBridge API).
const putAtOnce = 10

// whole, as the parameter detail, asks for the CloudEvent itself as the detail, from which nothing is lost, instead of its data.
const whole = "event"

// A receipt is what became of one CloudEvent.
type receipt struct {
	ID      string   `json:"id"`                // that the sender gave it
	EventID string   `json:"eventId,omitempty"` // that it has on the bus; empty if it was not accepted
	Lost    []string `json:"lost,omitempty"`    // attributes for which an event of EventBridge has no place
	Code    string   `json:"code,omitempty"`
	Message string   `json:"message,omitempty"` // why it was not accepted
	status  int
	err     error // that failed it, if it was not the bus that refused it alone
}

// put answers a single event with its receipt or an error, and a batch with a receipt for each of its events. A batch of which some
// were accepted succeeds: its sender must look at the rest and not send all of it again.
func (p *putter) put(w http.ResponseWriter, r *Request) error {
	detail := r.URL.Query().Get("detail")
	if detail != "" && detail != "data" && detail != whole {
		return rialto.Errorf(rialto.Invalid, "The detail of the event can be the data of the CloudEvent or the whole event: say detail=data or detail=event.")
	}
	parsed, errs, err := cloudevents.Parse(r.Header, r.Body)
	if err != nil {
		return err
	}
	bus := r.URL.Query().Get("bus")
	receipts := make([]receipt, len(parsed))
	entries := make([]ingest.Entry, len(parsed))
	var good []int // the events that can be put
	for i, e := range parsed {
		if err := errs[i]; err != nil {
			receipts[i].fail(err)
			continue
		}
		receipts[i].ID = e.ID
		if entries[i], err = entryOf(e, bus, detail == whole); err != nil {
			receipts[i].fail(err)
			continue
		}
		if detail != whole {
			receipts[i].Lost = e.Lost()
		}
		good = append(good, i)
	}
	caller := ingest.Caller{Scope: r.Scope, Principal: r.Principal, TraceHeader: r.Header.Get("X-Amzn-Trace-Id"),
		TraceParent: r.Header.Get("traceparent"), TraceState: r.Header.Get("tracestate")}
	for some := range slices.Chunk(good, putAtOnce) {
		p.putSome(r.Context(), caller, entries, receipts, some)
	}
	return answerReceipts(w, receipts, cloudevents.IsBatch(r.Header))
}

// putSome puts the entries that some lists. One that fails all of its request is put alone, so that it fails alone.
func (p *putter) putSome(ctx context.Context, caller ingest.Caller, entries []ingest.Entry, receipts []receipt, some []int) {
	chunk := make([]ingest.Entry, len(some))
	for i, n := range some {
		chunk[i] = entries[n]
	}
	results, err := p.events.Put(ctx, caller, chunk)
	kind := rialto.KindOf(err)
	switch {
	case err == nil:
		for i, result := range results {
			receipts[some[i]].take(result)
		}
	case len(some) > 1 && (kind == rialto.Invalid || kind == rialto.Denied):
		for i := range some {
			p.putSome(ctx, caller, entries, receipts, some[i:i+1])
		}
	default:
		for _, n := range some {
			receipts[n].fail(err)
		}
	}
}

func (r *receipt) take(result ingest.Result) {
	r.EventID, r.Code, r.Message, r.status = result.EventID, result.Code, result.Message, http.StatusOK
	if result.Code != "" {
		r.status, r.Lost = http.StatusBadRequest, nil
	}
}

func (r *receipt) fail(err error) {
	r.Code, r.Message, r.status, r.err, r.Lost = rialto.KindOf(err).String(), messageOf(err), statusOf(err), err, nil
}

func answerReceipts(w http.ResponseWriter, receipts []receipt, batch bool) error {
	if !batch {
		if err := receipts[0].err; err != nil {
			return err
		}
		answer(w, receipts[0].status, receipts[0])
		return nil
	}
	failed := 0
	for _, r := range receipts {
		if r.EventID == "" {
			failed++
		}
	}
	status, body := http.StatusOK, map[string]any{"failed": failed, "events": receipts}
	if failed == len(receipts) && failed > 0 {
		status, body["message"] = receipts[0].status, "None of the events was accepted. The first: "+receipts[0].Message
	}
	answer(w, status, body)
	return nil
}

// entryOf is a CloudEvent as an entry of PutEvents.
func entryOf(e *cloudevents.Event, bus string, whole bool) (ingest.Entry, error) {
	detail := ""
	if whole {
		detail = string(e.AppendStructured(nil))
		bare := *e
		bare.Data = nil // which may be of any type
		e = &bare
	}
	envelope, err := e.Envelope()
	if err != nil {
		return ingest.Entry{}, rialto.Errorf(rialto.Invalid, "%s The event can be carried whole: say detail=event.", messageOf(err))
	}
	if !whole {
		detail = string(envelope.Detail)
		if detail[0] != '{' {
			return ingest.Entry{}, rialto.Errorf(rialto.Invalid, "The data are no JSON object, which the detail of an event has to be. "+
				"The event can be carried whole: say detail=event.")
		}
	}
	entry := ingest.Entry{Source: &envelope.Source, DetailType: &envelope.DetailType, Detail: &detail, Resources: envelope.Resources, Bus: &bus}
	if envelope.Time != "" {
		at, err := time.Parse(time.RFC3339Nano, envelope.Time)
		if err != nil {
			return ingest.Entry{}, rialto.Errorf(rialto.Invalid, "The time %.100q of the event is not like 2026-03-01T10:00:05Z (RFC 3339).", envelope.Time)
		}
		entry.Time = &at
	}
	if trace := e.Trace(); trace != "" {
		entry.TraceHeader = &trace
	}
	return entry, nil
}
