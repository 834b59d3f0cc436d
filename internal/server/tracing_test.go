package server_test

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/rialto-events/rialto/internal/server"
)

// A sink is a collector that keeps the spans it gets.
type sink struct {
	mu    sync.Mutex
	spans []*otlp.Span
	text  strings.Builder // everything that came
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	b, err := io.ReadAll(body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &in)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	for _, resource := range in.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.spans = append(s.spans, scope.Spans...)
		}
	}
}

// tree draws spans by their parents, those of the same parent in the order of their names.
func (s *sink) tree(parent string) (lines []string) {
	for _, name := range []string{"send default", "match all", "deliver queue", "dead-letter queue"} {
		for _, span := range s.spans {
			if hex.EncodeToString(span.ParentSpanId) != parent || span.Name != name {
				continue
			}
			lines = append(lines, name)
			for _, below := range s.tree(hex.EncodeToString(span.SpanId)) {
				lines = append(lines, "  "+below)
			}
		}
	}
	return lines
}

// TestSpans puts an event in a trace, and looks at what a collector gets.
func TestSpans(t *testing.T) {
	s := new(sink)
	collect := httptest.NewServer(s)
	t.Cleanup(collect.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collect.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	url, stop := start(t, server.Config{Tracing: true})
	client := events(url, "eu-west-1", "a", "b")
	deadLetter := newDeadLetters(t, url)
	deliverTo(t, client, "arn:aws:sqs:eu-west-1:000000000000:gone", "arn:aws:sqs:eu-west-1:000000000000:dead")
	put := func(trace string) {
		t.Helper()
		_, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
			Source: aws.String("shop"), DetailType: aws.String("paid"), Detail: aws.String(`{"card": "4111-1111"}`), TraceHeader: &trace,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		deadLetter()
	}
	put("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	put("Root=1-5759e988-bd862e3fe1be46a994272794;Sampled=0") // nobody wants to hear of it
	stop()                                                    // which sends what is left

	s.mu.Lock()
	defer s.mu.Unlock()
	want := []string{"send default", "  match all", "    deliver queue", "    dead-letter queue"}
	if diff := cmp.Diff(want, s.tree("53995c3f42cd8ad8")); diff != "" || len(s.spans) != len(want) {
		t.Errorf("%d spans came (-want +got):\n%s", len(s.spans), diff)
	}
	for _, span := range s.spans {
		if trace := hex.EncodeToString(span.TraceId); trace != "5759e988bd862e3fe1be46a994272793" {
			t.Errorf("the span %s is in the trace %s", span.Name, trace)
		}
		if failed := span.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR; failed != (span.Name == "deliver queue") {
			t.Errorf("the span %s has the status %s", span.Name, span.Status)
		}
	}
	for _, unwanted := range []string{"4111-1111", "card"} {
		if strings.Contains(s.text.String(), unwanted) {
			t.Errorf("the spans hold %q of the event", unwanted)
		}
	}
	if !strings.Contains(s.text.String(), "deployment.environment.name") {
		t.Error("the spans have no attributes of the environment")
	}
}

// TestACollectorThatIsGone harms nobody.
func TestACollectorThatIsGone(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.URL)
	url, stop := start(t, server.Config{Tracing: true})
	client := events(url, "eu-west-1", "a", "b")
	deadLetter := newDeadLetters(t, url)
	deliverTo(t, client, "arn:aws:sqs:eu-west-1:000000000000:dead", "")
	if _, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")}); err != nil {
		t.Fatal(err)
	}
	deadLetter() // the event itself arrives there
	stop()
}
