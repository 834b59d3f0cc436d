package eventsapi

import (
	"context"

	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/ingest"
)

// PutEvents answers once the events are committed. Package ingest checks the entries, finds their buses and asks the policies.
func (f *Front) PutEvents(ctx context.Context, in *PutEventsInput) (*PutEventsOutput, error) {
	if in.EndpointId != nil {
		return nil, notFound("Endpoint %s does not exist.", *in.EndpointId) // rialto has no global endpoints
	}
	entries := make([]ingest.Entry, len(in.Entries))
	for i := range in.Entries {
		e := &in.Entries[i]
		entries[i] = ingest.Entry{
			Source: e.Source, DetailType: e.DetailType, Detail: e.Detail, Resources: e.Resources,
			Bus: e.EventBusName, Time: e.Time, TraceHeader: e.TraceHeader,
		}
	}
	caller := aws.Caller(ctx)
	results, err := f.events.Put(ctx, ingest.Caller{
		Scope: caller.Scope, Principal: caller.Principal,
		TraceHeader: caller.Trace, TraceParent: caller.TraceParent, TraceState: caller.TraceState,
	}, entries)
	if err != nil {
		return nil, err
	}
	out := &PutEventsOutput{Entries: make([]PutEventsResultEntry, len(results))}
	for i, r := range results {
		if r.Code != "" {
			out.FailedEntryCount++
		}
		out.Entries[i] = PutEventsResultEntry{EventId: text(r.EventID), ErrorCode: text(r.Code), ErrorMessage: text(r.Message)}
	}
	return out, nil
}
