// Package tracing tells a collector of OpenTelemetry what happens to events, as spans.
//
// Each event on a bus is a span, with one below it for each rule that matched, and below these one for each attempt:
//
//	send orders                    from acceptance until the event was in the log
//	 └ match paid                  a moment: it groups the attempts of a rule
//	    ├ deliver http             attempt 1
//	    ├ deliver http             attempt 2, perhaps after a restart
//	    └ dead-letter queue        if it failed for good
//
// All are in the trace that the event carries (X-Ray's header, package tracecontext) below the span that it names, or in one that is
// named after the event's id. The ids of the spans of an event and its rules are made of their names, so an attempt finds its
// parent though that was told of by a process that is gone. A trace that says that it is not sampled is left alone.
//
// Spans have no content of events and no secrets. They are sent in the background; what a collector does not take in time is lost,
// and nobody waits for it. Start with [Wanted] and [New].
package tracing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/tracecontext"
	"github.com/rialto-events/rialto/target"
)

const (
	flushTimeout = 3 * time.Second // for what is left at an orderly end
	complainAt   = time.Minute     // the shortest time between two lines about a collector that does not answer
	maxRules     = 64              // of one event that get a span
)

// Wanted reports whether the environment names a collector, by the variables that OpenTelemetry defines. An error says that it asks
// for what there is not.
func Wanted(getenv func(string) string) (bool, error) {
	exporter := strings.ToLower(getenv("OTEL_TRACES_EXPORTER"))
	named := getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	switch {
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || exporter == "none" || exporter == "" && !named:
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, rialto.Errorf(rialto.Invalid, "OTEL_TRACES_EXPORTER is %q: rialto has only otlp.", exporter)
	}
	protocol := getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if protocol != "" && protocol != "http/protobuf" {
		return false, rialto.Errorf(rialto.Invalid, "OTEL_EXPORTER_OTLP_PROTOCOL is %q: rialto speaks http/protobuf, which collectors take on port 4318.", protocol)
	}
	return true, nil
}

// A Tracer makes spans. It is an Observer of packages ingest and deliver.
type Tracer struct {
	provider *trace.TracerProvider
	tracer   api.Tracer
	clock    rialto.Clock
}

// New makes a Tracer that sends to the collector which the environment names. The version is that of the program.
func New(ctx context.Context, version string, log *slog.Logger, clock rialto.Clock) (*Tracer, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	own := resource.NewSchemaless(attribute.String("service.name", "rialto"), attribute.String("service.version", version))
	fromEnv, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithHost())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	res, err := resource.Merge(own, fromEnv) // the environment wins
	if err != nil {
		return nil, fmt.Errorf("merge the attributes of the resource: %w", err)
	}
	otel.SetErrorHandler(complain(log, clock))
	p := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(res), trace.WithIDGenerator(named{}))
	return &Tracer{p, p.Tracer("github.com/rialto-events/rialto", api.WithInstrumentationVersion(version)), clock}, nil
}

// complain logs what goes wrong with the collector, now and then.
func complain(log *slog.Logger, clock rialto.Clock) otel.ErrorHandler {
	var last atomic.Int64
	return otel.ErrorHandlerFunc(func(err error) {
		now := clock.Now().Unix()
		if before := last.Load(); now-before < int64(complainAt/time.Second) || !last.CompareAndSwap(before, now) {
			return
		}
		log.Warn("spans not sent", "err", err)
	})
}

// Run waits until ctx ends, and then sends what is left, but not for long.
func (t *Tracer) Run(ctx context.Context) error {
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ending); err != nil {
		otel.Handle(err) // a collector that is gone is no reason to fail
	}
	return nil
}

// Accepted tells of an event and the rules that matched.
func (t *Tracer) Accepted(e *deliver.Accepted) {
	ctx, ok := within(e.Trace, e.EventID)
	if !ok {
		return
	}
	bus := strings.TrimPrefix(e.Bus.Resource, "event-bus/")
	attributes := []attribute.KeyValue{
		attribute.String("messaging.system", "aws_eventbridge"), attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.operation.name", "PutEvents"), attribute.String("messaging.destination.name", bus),
		attribute.String("messaging.message.id", e.EventID), attribute.Int("messaging.message.body.size", len(e.Event)),
		attribute.String("cloud.account.id", string(e.Bus.Account)), attribute.String("cloud.region", string(e.Bus.Region)),
		attribute.Int("rialto.targets", len(e.Targets)),
	}
	if e.DuplicateOf != "" {
		attributes = append(attributes, attribute.String("rialto.duplicate_of", e.DuplicateOf))
	}
	ctx, span := t.tracer.Start(as(ctx, spanID(e.EventID, e.Bus, rialto.ARN{})), "send "+bus, api.WithSpanKind(api.SpanKindProducer),
		api.WithTimestamp(e.Accepted), api.WithAttributes(attributes...))
	n := 0
	for i, d := range e.Targets {
		if i > 0 && d.Rule == e.Targets[i-1].Rule || e.DuplicateOf != "" {
			continue // another target of the same rule
		}
		if n++; n > maxRules {
			break
		}
		_, match := t.tracer.Start(as(ctx, spanID(e.EventID, e.Bus, d.Rule)), "match "+string(d.RuleName), api.WithTimestamp(e.Accepted),
			api.WithAttributes(attribute.String("rialto.rule", string(d.RuleName)), attribute.String("rialto.rule.arn", d.Rule.String())))
		match.End(api.WithTimestamp(e.Accepted))
	}
	span.End(api.WithTimestamp(t.clock.Now()))
}

// Attempted tells of an attempt.
func (t *Tracer) Attempted(a *deliver.Attempted) {
	m := a.Message
	ctx, ok := within(m.Trace, m.EventID)
	if !ok || m.EventID == "" {
		return
	}
	parent := api.NewSpanContext(api.SpanContextConfig{
		TraceID: ctx.Value(nameKey{}).(name).trace, SpanID: spanID(m.EventID, m.Bus, a.For.Rule), TraceFlags: api.FlagsSampled, Remote: true,
	})
	span := "deliver " + kind(a.For)
	if a.Letter {
		span = "dead-letter queue"
	}
	attributes := []attribute.KeyValue{
		attribute.String("messaging.system", "aws_eventbridge"), attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.operation.name", "deliver"), attribute.String("messaging.destination.name", m.Definition.ARN),
		attribute.String("messaging.message.id", m.EventID), attribute.Int("messaging.message.body.size", len(m.Payload)),
		attribute.String("rialto.rule", string(a.For.RuleName)), attribute.String("rialto.target", a.For.ID),
		attribute.Int("rialto.attempt", m.Attempt), attribute.String("rialto.verdict", a.Verdict.Action.String()),
	}
	if a.Batch > 1 {
		attributes = append(attributes, attribute.Int("messaging.batch.message_count", a.Batch))
	}
	if m.Answer.Status > 0 {
		attributes = append(attributes, attribute.Int("http.response.status_code", m.Answer.Status))
	}
	if a.Err != nil {
		attributes = append(attributes, attribute.String("error.type", a.Verdict.Code))
	}
	if a.Verdict.Action == deliver.Again {
		attributes = append(attributes, attribute.String("rialto.next_attempt", a.Verdict.At.UTC().Format(time.RFC3339Nano)))
	}
	_, s := t.tracer.Start(as(api.ContextWithRemoteSpanContext(ctx, parent), newSpanID()), span, api.WithSpanKind(api.SpanKindClient),
		api.WithTimestamp(a.Began), api.WithAttributes(attributes...))
	if a.Err != nil {
		s.SetStatus(codes.Error, a.Verdict.Message)
	}
	s.End(api.WithTimestamp(a.Began.Add(a.Took)))
}

// CircuitChanged tells nothing: a circuit is no part of a trace.
func (t *Tracer) CircuitChanged(*deliver.Circuit) {}

var _ deliver.Observer = (*Tracer)(nil)

// within returns a context in which spans are in an event's trace, below the span that the trace names if it names one. It is not
// ok if the trace is not to be told of.
func within(header, eventID string) (context.Context, bool) {
	if header == "" {
		return context.WithValue(context.Background(), nameKey{}, name{trace: traceOf(eventID)}), true
	}
	parts := make(map[string]string)
	for part := range strings.SplitSeq(header, ";") {
		key, value, _ := strings.Cut(part, "=")
		parts[key] = value
	}
	if parts["Sampled"] == "0" {
		return nil, false
	}
	traceparent, _ := tracecontext.W3C(header)
	fields := strings.Split(traceparent, "-")
	if len(fields) != 4 {
		return context.WithValue(context.Background(), nameKey{}, name{trace: traceOf(eventID)}), true
	}
	id, err := api.TraceIDFromHex(fields[1])
	if err != nil {
		return nil, false
	}
	ctx := context.WithValue(context.Background(), nameKey{}, name{trace: id})
	if parent, err := api.SpanIDFromHex(parts["Parent"]); err == nil {
		ctx = api.ContextWithRemoteSpanContext(ctx, api.NewSpanContext(api.SpanContextConfig{
			TraceID: id, SpanID: parent, TraceFlags: api.FlagsSampled, Remote: true,
		}))
	}
	return ctx, true
}

// A name is what a span is to be called.
type name struct {
	trace api.TraceID
	span  api.SpanID
}

type nameKey struct{}

// as returns a context in which the next span gets an id.
func as(ctx context.Context, id api.SpanID) context.Context {
	n := ctx.Value(nameKey{}).(name)
	n.span = id
	return context.WithValue(ctx, nameKey{}, n)
}

// named gives spans the names that their contexts hold.
type named struct{}

func (named) NewIDs(ctx context.Context) (api.TraceID, api.SpanID) {
	n := ctx.Value(nameKey{}).(name)
	return n.trace, n.span
}

func (named) NewSpanID(ctx context.Context, _ api.TraceID) api.SpanID {
	return ctx.Value(nameKey{}).(name).span
}

// traceOf names the trace of an event that carries none: it is the event's id.
func traceOf(eventID string) api.TraceID {
	if id, err := uuid.Parse(eventID); err == nil {
		return api.TraceID(id)
	}
	sum := sha256.Sum256([]byte(eventID))
	return api.TraceID(sum[:16])
}

// spanID names the span of an event on a bus, or that of one of its rules.
func spanID(eventID string, bus, rule rialto.ARN) api.SpanID {
	text := eventID + "\x00" + bus.String()
	if rule.Resource != "" {
		text += "\x00" + rule.String()
	}
	sum := sha256.Sum256([]byte(text))
	return api.SpanID(sum[:8])
}

func newSpanID() api.SpanID {
	id := uuid.New()
	return api.SpanID(id[8:])
}

// kind is the service of a target's ARN.
func kind(d *target.Definition) string {
	arn, err := rialto.ParseARN(d.ARN)
	switch {
	case err != nil:
		return "other"
	case strings.HasPrefix(arn.Resource, "api-destination/"):
		return "http"
	case strings.HasPrefix(arn.Resource, "event-bus/"):
		return "bus"
	case arn.Service == "sqs":
		return "queue"
	}
	return arn.Service
}
