package http_test

import (
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
)

// sent makes a batch of three messages and shows how it was sent: the lines and bodies of the calls, and the errors.
func sent(t *testing.T, d http.Destination, def target.Definition, payloads ...string) (calls []call, errs []error) {
	t.Helper()
	e := newEndpoint(t)
	d.Endpoint = e.URL + d.Endpoint
	d.Method = "POST"
	s := newSender(t, directory{"arn:d": d}, loopback)
	def.ARN = "arn:d"
	var ms []*target.Message
	for i, p := range payloads {
		event := fmt.Sprintf(`{"version":"0","id":"id-%d","detail-type":"paid","source":"shop","account":"000000000000",`+
			`"time":"2026-03-01T10:00:00Z","region":"eu-west-1","resources":[],"detail":%s}`, i, p)
		ms = append(ms, &target.Message{Definition: &def, EventID: fmt.Sprint("id-", i), Event: []byte(event), Payload: []byte(p), Trace: "Root=1-67891233-abcdef012345678912345678"})
	}
	errs = s.SendBatch(t.Context(), ms)
	return e.received(), errs
}

func wantErrors(t *testing.T, errs []error, want ...string) {
	t.Helper()
	for i, err := range errs {
		if text := fmt.Sprint(err); want[i] == "" && err != nil || !strings.Contains(text, want[i]) {
			t.Errorf("message %d: got %v, want %q", i, err, want[i])
		}
	}
}

func TestABatchIsAnArray(t *testing.T) {
	calls, errs := sent(t, http.Destination{}, target.Definition{}, `{"n": 1}`, `"two"`, `3`)
	wantErrors(t, errs, "", "", "")
	if len(calls) != 1 || string(calls[0].body) != `[{"n": 1},"two",3]` {
		t.Fatalf("the calls are %v", calls)
	}
	h := calls[0].header
	if h.Get("Content-Type") != "application/json; charset=utf-8" || h.Get("X-Amzn-Trace-Id") == "" || h.Get("Traceparent") == "" {
		t.Errorf("the headers are %v", h)
	}
}

// TestTheConnectionsBodyGoesIntoEveryItem adds members to the elements of a batch, one of which can take none.
func TestTheConnectionsBodyGoesIntoEveryItem(t *testing.T) {
	d := http.Destination{Body: []http.Parameter{{Key: "tenant", Value: "a"}}}
	calls, errs := sent(t, d, target.Definition{}, `{"n":1}`, `[2]`, `{"n":3}`)
	wantErrors(t, errs, "", "is not a JSON object that could take them", "")
	if len(calls) != 1 || string(calls[0].body) != `[{"n":1,"tenant":"a"},{"n":3,"tenant":"a"}]` {
		t.Errorf("the calls are %s", calls[0].body)
	}
}

func TestWhatIsNotJSONIsNoElement(t *testing.T) {
	calls, errs := sent(t, http.Destination{}, target.Definition{}, `{"n":1}`, "\"a\"\n\"b\"", `{"n":3}`)
	wantErrors(t, errs, "", "is not one JSON value", "")
	if !target.Permanent(errs[1]) || len(calls) != 1 || string(calls[0].body) != `[{"n":1},{"n":3}]` {
		t.Errorf("the calls are %s, the error %v", calls[0].body, errs[1])
	}
}

// TestNoMessageGoesWhereAnotherBelongs has path, query or header depend on the event: only those that agree share a call.
func TestNoMessageGoesWhereAnotherBelongs(t *testing.T) {
	for _, shape := range []target.HTTP{
		{PathParameters: []string{"$.detail.to"}},
		{PathParameters: []string{"x"}, Query: map[string]string{"q": "$.detail.to"}},
		{PathParameters: []string{"x"}, Headers: map[string]string{"X-To": "$.detail.to"}},
	} {
		calls, errs := sent(t, http.Destination{Endpoint: "/*"}, target.Definition{HTTP: &shape}, `{"to":"a"}`, `{"to":"b"}`, `{"to":"a"}`)
		wantErrors(t, errs, "", "", "")
		if len(calls) != 2 || string(calls[0].body) != `[{"to":"a"},{"to":"a"}]` || string(calls[1].body) != `[{"to":"b"}]` {
			t.Errorf("%v: the calls are %v", shape, calls)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format  target.Format
		calls   int // for two messages in a batch
		content string
		first   string // body of the first
	}{
		{target.CloudEventsStructured, 1, "application/cloudevents-batch+json; charset=utf-8", `[{"specversion":"1.0","id":"id-0",`},
		{target.CloudEventsBatch, 1, "application/cloudevents-batch+json; charset=utf-8", `[{"specversion":"1.0","id":"id-0",`},
		{target.CloudEventsBinary, 2, "application/json", `{"n":1,"tenant":"a"}`},
	} {
		d := http.Destination{Body: []http.Parameter{{Key: "tenant", Value: "a"}}}
		calls, errs := sent(t, d, target.Definition{Format: c.format}, `{"n":1}`, `{"n":2}`)
		wantErrors(t, errs, "", "")
		if len(calls) != c.calls || calls[0].header.Get("Content-Type") != c.content || !strings.HasPrefix(string(calls[0].body), c.first) ||
			!strings.Contains(string(calls[0].body), `{"n":1,"tenant":"a"}`) {
			t.Errorf("%s: %d calls, %v, %s", c.format, len(calls), calls[0].header, calls[0].body)
		}
		if binary := calls[0].header.Get("Ce-Id"); (binary == "id-0") != (c.format == target.CloudEventsBinary) {
			t.Errorf("%s: the header ce-id is %q", c.format, binary)
		}
	}
}

func TestOneEventInEachFormat(t *testing.T) {
	for format, want := range map[target.Format][2]string{
		target.CloudEventsStructured: {"application/cloudevents+json; charset=utf-8", `{"specversion":"1.0","id":"1",`},
		target.CloudEventsBatch:      {"application/cloudevents-batch+json; charset=utf-8", `[{"specversion":"1.0","id":"1",`},
		target.CloudEventsBinary:     {"application/json", `{"n":1}`},
	} {
		e := newEndpoint(t)
		s := newSender(t, directory{"arn:d": {Endpoint: e.URL, Method: "POST"}}, loopback)
		err := s.Send(t.Context(), &target.Message{
			Definition: &target.Definition{ARN: "arn:d", Format: format},
			Event: []byte(`{"version":"0","id":"1","detail-type":"paid","source":"shop","account":"000000000000","time":"2026-03-01T10:00:00Z",` +
				`"region":"eu-west-1","resources":[],"detail":{"n":1}}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := e.received()[0]
		if got.header.Get("Content-Type") != want[0] || !strings.HasPrefix(string(got.body), want[1]) {
			t.Errorf("%s: %v %s", format, got.header, got.body)
		}
	}
}

// TestWhichOfABatchFailed reads the answers of endpoints to a batch of three (Lambda developer guide, "Reporting batch item failures").
func TestWhichOfABatchFailed(t *testing.T) {
	const all = "all"
	for name, c := range map[string]struct {
		status int
		answer string
		failed string // ids
	}{
		"nothing":               {200, ``, ""},
		"no content":            {204, ``, ""},
		"thanks":                {200, `thanks`, ""},
		"other JSON":            {200, `{"ok":true}`, ""},
		"an empty list":         {200, `{"batchItemFailures":[]}`, ""},
		"null":                  {200, `{"batchItemFailures":null}`, ""},
		"one":                   {200, `{"batchItemFailures":[{"itemIdentifier":"id-1"}]}`, "id-1"},
		"two":                   {202, `{"batchItemFailures":[{"itemIdentifier":"id-0"},{"itemIdentifier":"id-2"}]}`, "id-0 id-2"},
		"one of another batch":  {200, `{"batchItemFailures":[{"itemIdentifier":"id-0"},{"itemIdentifier":"other"}]}`, all},
		"an empty id":           {200, `{"batchItemFailures":[{"itemIdentifier":""}]}`, all},
		"no id":                 {200, `{"batchItemFailures":[{"id":"id-0"}]}`, all},
		"a list and a bad end":  {503, `{"batchItemFailures":[{"itemIdentifier":"id-1"}]}`, all},
		"an answer without end": {200, `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
				w.WriteHeader(c.status)
				io.WriteString(w, c.answer)
			}))
			t.Cleanup(e.Close)
			s := newSender(t, directory{"arn:d": {Endpoint: e.URL, Method: "POST"}}, loopback)
			var ms []*target.Message
			for i := range 3 {
				ms = append(ms, &target.Message{Definition: &target.Definition{ARN: "arn:d"}, EventID: fmt.Sprint("id-", i), Payload: []byte(`{}`)})
			}
			for i, err := range s.SendBatch(t.Context(), ms) {
				want := c.failed == all || strings.Contains(c.failed, ms[i].EventID)
				if (err != nil) != want || target.Permanent(err) {
					t.Errorf("%s: got %v, want an error to be %t, and none for good", ms[i].EventID, err, want)
				}
				if a := ms[i].Answer; a.Status != c.status || !strings.HasPrefix(c.answer, a.Head) {
					t.Errorf("the answer is %v", a)
				}
			}
		})
	}
}

// TestABrokenListFailsAll has the connection break within the list of those that failed: nobody knows who was on it.
func TestABrokenListFailsAll(t *testing.T) {
	e := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, `{"batchItemFailures":[{"itemIdentifier":"id-1"},`)
	}))
	t.Cleanup(e.Close)
	s := newSender(t, directory{"arn:d": {Endpoint: e.URL, Method: "POST"}}, loopback)
	m := &target.Message{Definition: &target.Definition{ARN: "arn:d"}, EventID: "id-1", Payload: []byte(`{}`)}
	for _, err := range s.SendBatch(t.Context(), []*target.Message{m, m}) {
		if err == nil || target.Permanent(err) {
			t.Errorf("got %v", err)
		}
	}
}
