package tracing

import (
	"strings"
	"testing"

	"github.com/rialto-events/rialto"
)

func TestWanted(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  map[string]string
		want bool
		says string
	}{
		{"nothing", nil, false, ""},
		{"an endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, true, ""},
		{"an endpoint for traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, true, ""},
		{"the exporter by name", map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		{"an endpoint, but not for traces", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		{"disabled", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}, false, ""},
		{"another exporter", map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, "rialto has only otlp"},
		{"another protocol", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, "http/protobuf"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Wanted(func(name string) string { return tc.env[name] })
			if got != tc.want || (err != nil) != (tc.says != "") || err != nil && (rialto.KindOf(err) != rialto.Invalid || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got %v, %v, want %v, %q", got, err, tc.want, tc.says)
			}
		})
	}
}
