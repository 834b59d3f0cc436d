package ingest

import "github.com/rialto-events/rialto/internal/tracecontext"

// traceOf is the X-Ray trace header that an entry's deliveries carry, or "". An entry's own header beats those of the HTTP request
// even when it is empty or malformed; a header that cannot be read never fails the event (recorded on AWS). Of the request's, that
// of X-Ray comes before traceparent, which AWS does not read.
func (in *Ingester) traceOf(e *Entry, caller *Caller) string {
	if e.TraceHeader != nil {
		return tracecontext.Normal(*e.TraceHeader, in.newRoot)
	}
	if header := tracecontext.Normal(caller.TraceHeader, in.newRoot); header != "" || caller.TraceParent == "" {
		return header
	}
	return tracecontext.FromW3C(caller.TraceParent, caller.TraceState)
}
