package aws

import (
	"context"

	"github.com/rialto-events/rialto"
)

// A Request is what an operation may know of the call beside its input. See [Caller].
type Request struct {
	ID          string       // as in the header x-amzn-RequestId
	Service     string       // such as "events"
	Operation   string       // such as "PutEvents"
	Scope       rialto.Scope // the caller's account, and the region that is spoken to
	Principal   string       // ARN of who calls
	Anonymous   bool         // nobody has signed: there is neither an account nor a principal; see [Open]
	BaseURL     string       // at which the caller reached this server, such as "http://localhost:4566"; queue URLs begin with it
	Trace       string       // the header X-Amzn-Trace-Id
	TraceParent string       // the header traceparent, and the tracestate that belongs to it
	TraceState  string
	Query       bool // whether the query protocol is spoken, where some messages differ
}

type requestKey struct{}

// Caller is the request that ctx belongs to. Outside of a request, as in a test of an operation, it is one of the default
// account and region.
func Caller(ctx context.Context) *Request {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return r
	}
	return &Request{Scope: rialto.Scope{Account: rialto.DefaultAccount, Region: rialto.DefaultRegion}, Principal: rootARN(rialto.DefaultAccount)}
}

// WithCaller makes a context for r, as the handler does for every request.
func WithCaller(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

func rootARN(account rialto.AccountID) string {
	return rialto.ARN{Partition: rialto.Partition, Service: "iam", Account: account, Resource: "root"}.String()
}
