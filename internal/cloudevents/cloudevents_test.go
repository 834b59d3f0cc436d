package cloudevents_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/cloudevents"
	"github.com/rialto-events/rialto/target"
)

const order = `{"version":"0","id":"6b1f","detail-type":"order.paid","source":"com.example.shop","account":"111122223333",` +
	`"time":"2026-03-01T10:00:05Z","region":"eu-west-1","resources":["arn:one","two"],"detail":{"orderId":"o-17","total":42.50}}`

func message(event, payload string) *target.Message {
	return &target.Message{Definition: new(target.Definition), Event: []byte(event), Payload: []byte(payload)}
}

func of(t *testing.T, m *target.Message) *cloudevents.Event {
	t.Helper()
	e, err := cloudevents.ForMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// header is the headers of an event as net/http has them.
func header(e *cloudevents.Event) http.Header {
	h := make(http.Header)
	for name, value := range e.Header() {
		h.Set(name, value)
	}
	return h
}

func parse(t *testing.T, h http.Header, body []byte) []*cloudevents.Event {
	t.Helper()
	events, errs, err := cloudevents.Parse(h, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func TestMapping(t *testing.T) {
	text, err := os.ReadFile("testdata/mapping.txt")
	if err != nil {
		t.Fatal(err)
	}
	for c := range strings.SplitSeq(string(text), "\n\n") {
		lines := strings.Split(strings.TrimSpace(c), "\n")
		if len(lines) < 3 || strings.HasPrefix(lines[1], "#") {
			continue // the head of the file
		}
		t.Run(strings.TrimPrefix(lines[0], "# "), func(t *testing.T) {
			in := strings.TrimPrefix(lines[1], "event  ")
			e := of(t, message(in, in))
			if got, want := string(e.AppendStructured(nil)), strings.TrimPrefix(lines[2], "cloud  "); got != want {
				t.Errorf("structured:\n got %s\nwant %s", got, want)
			}
			for _, line := range lines[3:] {
				name, want, _ := strings.Cut(strings.TrimPrefix(line, "header "), ": ")
				if got := e.Header()[name]; got != want {
					t.Errorf("header %s: got %s, want %s", name, got, want)
				}
			}
			wantSameAgain(t, in)
		})
	}
}

// wantSameAgain sends an event through every mode and wants it back.
func wantSameAgain(t *testing.T, in string) {
	t.Helper()
	e := of(t, message(in, in))
	for mode, got := range map[string][]*cloudevents.Event{
		"binary":     parse(t, header(e), e.Data),
		"structured": parse(t, http.Header{"Content-Type": {cloudevents.StructuredType}}, e.AppendStructured(nil)),
		"batch":      parse(t, http.Header{"Content-Type": {cloudevents.BatchType}}, cloudevents.AppendBatch(nil, []*cloudevents.Event{e, e})),
	} {
		for _, back := range got {
			envelope, err := back.Envelope()
			if err != nil {
				t.Errorf("%s: %v", mode, err)
				continue
			}
			if out := envelope.Append(nil); !sameJSON([]byte(in), out) {
				t.Errorf("%s:\n got %s\nwant %s", mode, out, in)
			}
			if lost := back.Lost(); lost != nil {
				t.Errorf("%s: %v is lost of %s", mode, lost, in)
			}
		}
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	one, two := json.NewDecoder(bytes.NewReader(a)), json.NewDecoder(bytes.NewReader(b))
	one.UseNumber()
	two.UseNumber()
	return one.Decode(&x) == nil && two.Decode(&y) == nil && reflect.DeepEqual(x, y)
}

// FuzzThereAndBack is the property that the package promises: an event is the same JSON value afterwards.
func FuzzThereAndBack(f *testing.F) {
	f.Add("id", "shop", "paid", "111122223333", "2026-03-01T10:00:05Z", "eu-west-1", "", "arn:one", `{"a":1.0}`)
	f.Add("\x00", "a:b c", "\u0085\uFFFE", `"q`, "now", "\U0010FFFF", "again", "\"\\", `[{}]`)
	f.Add("%41", "%zz", "%", "", "2026-03-01T10:00:05.1+01:00", "//", "x", "", `"text"`)
	f.Add("i", "http://[::1]:x/", "t", "1", "", "r", "", "\U0001F600", `null`)
	f.Fuzz(func(t *testing.T, id, source, detailType, account, time, region, replay, resource, detail string) {
		for _, s := range []*string{&id, &source, &detailType, &account, &time, &region, &replay, &resource} {
			*s = strings.ToValidUTF8(*s, "?")
		}
		if id == "" || source == "" || detailType == "" || !json.Valid([]byte(detail)) {
			t.Skip()
		}
		members := map[string]any{
			"version": "0", "id": id, "source": source, "detail-type": detailType, "account": account, "time": time, "region": region,
			"resources": []string{resource, "x"}, "detail": json.RawMessage(detail),
		}
		if replay != "" {
			members["replay-name"] = replay
		}
		in, err := json.Marshal(members)
		if err != nil {
			t.Skip()
		}
		wantSameAgain(t, string(in))
	})
}

// FuzzParse looks for what breaks the parsers, and checks that what they take they also write.
func FuzzParse(f *testing.F) {
	for _, media := range []string{cloudevents.StructuredType, cloudevents.BatchType, "application/json"} {
		f.Add(media, `"a%20b"`, []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}}`))
		f.Add(media, "x", []byte(`[{"specversion":"1.0","id":"1","source":"/s","type":"t","n":1,"data_base64":"AA=="}]`))
	}
	f.Fuzz(func(t *testing.T, media, value string, body []byte) {
		events, errs, err := cloudevents.Parse(http.Header{
			"Content-Type": {media}, "Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {value}, "Ce-Type": {value}, "Ce-Any": {value},
		}, body)
		if err != nil {
			return
		}
		for i, e := range events {
			if errs[i] != nil {
				continue
			}
			again, err := cloudevents.ParseStructured(e.AppendStructured(nil))
			if err != nil {
				t.Fatalf("%+v was read, and then not again: %v", e, err)
			}
			if again.ID != e.ID || again.Source != e.Source || !maps.Equal(again.Extensions, e.Extensions) || len(again.Data) == 0 && len(e.Data) != 0 {
				t.Errorf("%+v became %+v", e, again)
			}
		}
	})
}

func TestWhatCannotBe(t *testing.T) {
	const good = `"specversion":"1.0","id":"1","source":"/s","type":"t"`
	structured := http.Header{"Content-Type": {"application/cloudevents+json"}}
	for _, tc := range []struct {
		name   string
		header http.Header
		body   string
		want   string // a part of the message
	}{
		{"no version", structured, `{}`, "it has no specversion"},
		{"another version", structured, `{"specversion":"0.3"}`, `version "0.3" are not read`},
		{"no id", structured, `{"specversion":"1.0","source":"/s","type":"t"}`, "has no id"},
		{"a null is not there", structured, `{"specversion":"1.0","id":null,"source":"/s","type":"t"}`, "has no id"},
		{"no JSON", structured, `{`, "not JSON"},
		{"no object", structured, `1`, "not a JSON object"},
		{"source with a blank", structured, `{"specversion":"1.0","id":"1","source":"a b","type":"t"}`, "not a URI reference"},
		{"time of another form", structured, `{` + good + `,"time":"today"}`, "RFC 3339"},
		{"an object as an attribute", structured, `{` + good + `,"x":{}}`, "neither a string nor"},
		{"a fraction as an attribute", structured, `{` + good + `,"x":1.5}`, "neither a string nor"},
		{"capital letters", structured, `{` + good + `,"Xy":""}`, "lower-case letters"},
		{"control characters", structured, `{` + good + `,"x":"\u0001"}`, "does not allow"},
		{"two sorts of data", structured, `{` + good + `,"data":1,"data_base64":""}`, "both data and data_base64"},
		{"data that are no base64", structured, `{` + good + `,"data_base64":"?"}`, "not base64"},
		{"data of another type", structured, `{` + good + `,"datacontenttype":"text/xml","data":{}}`, "but their type is"},
		{"type that is none", structured, `{` + good + `,"datacontenttype":"\n"}`, "not a media type"},
		{"too many attributes", structured, `{` + good + strings.Repeat(`,"x":1`, 100) + `}`, "more than 100 attributes"},
		{"too long", structured, `{` + good + `,"x":"` + strings.Repeat("x", 65<<10) + `"}`, "more than 65536 bytes"},
		{"batch that is none", http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, `{}`, "is a JSON array"},
		{"batch that is too long", http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, "[" + strings.Repeat("1,", 100) + "1]", "101 events, more than 100"},
		{"batch of something else", http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, "[1]", "not a JSON object"},
		{"another format", http.Header{"Content-Type": {"application/cloudevents+avro"}}, "", "application/cloudevents+avro of CloudEvents is not read"},
		{"another charset", http.Header{"Content-Type": {"application/cloudevents+json; charset=latin1"}}, "", "in UTF-8"},
		{"nothing of CloudEvents", http.Header{"Content-Type": {"application/json"}}, `{}`, "This is not a CloudEvent"},
		{"a header twice", http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1", "2"}}, "", "is there 2 times"},
		{"a header of no text", http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"%ff"}}, "", "is not UTF-8"},
	} {
		_, errs, err := cloudevents.Parse(tc.header, []byte(tc.body))
		for _, e := range errs {
			if e != nil {
				err = e
			}
		}
		if rialto.KindOf(err) != rialto.Invalid || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}

func TestOneBadEventDoesNotHarmTheBatch(t *testing.T) {
	const one = `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`
	events, errs, err := cloudevents.Parse(http.Header{"Content-Type": {cloudevents.BatchType}}, []byte("["+one+",{},"+one+"]"))
	if err != nil || len(events) != 3 || errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("got %v, %v, %v", events, errs, err)
	}
}

// TestEventsFromElsewhere says what of an event an EventBridge event has no place for.
func TestEventsFromElsewhere(t *testing.T) {
	for _, tc := range []struct {
		name, document, event string
		lost                  []string
	}{
		{"little", `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`,
			`{"version":"0","id":"1","detail-type":"t","source":"/s","account":"","time":"","region":"","resources":[],"detail":{}}`, nil},
		{"much", `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"me","dataschema":"/d","n":-7,"yes":true,"time":"2026-01-02T03:04:05.6Z","data":{"a": 1}}`,
			`{"version":"0","id":"1","detail-type":"t","source":"/s","account":"","time":"2026-01-02T03:04:05.6Z","region":"","resources":["me"],"detail":{"a":1}}`,
			[]string{"dataschema", "n", "yes"}},
		{"subject and resources", `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"me","awsresources":"[\"you\"]","datacontenttype":"application/x+json","data":[]}`,
			`{"version":"0","id":"1","detail-type":"t","source":"/s","account":"","time":"","region":"","resources":["you"],"detail":[]}`,
			[]string{"datacontenttype", "subject"}},
	} {
		e, err := cloudevents.ParseStructured([]byte(tc.document))
		if err != nil {
			t.Fatal(err)
		}
		envelope, err := e.Envelope()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(envelope.Append(nil)); got != tc.event {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.event)
		}
		if got := e.Lost(); !slices.Equal(got, tc.lost) {
			t.Errorf("%s: %v is lost, want %v", tc.name, got, tc.lost)
		}
	}
}

func TestShapedPayloads(t *testing.T) {
	for _, tc := range []struct{ payload, want string }{
		{`{"ref":1}`, `"datacontenttype":"application/json","data":{"ref":1}}`},
		{"\"one\"\n\"two\"", `"datacontenttype":"text/plain; charset=utf-8","data":"\"one\"\u000a\"two\""}`},
		{"\xff", `"datacontenttype":"text/plain; charset=utf-8","data_base64":"/w=="}`},
	} {
		m := message(order, tc.payload)
		m.Definition.Transformer = &target.Transformer{Template: "x"}
		if got := string(of(t, m).AppendStructured(nil)); !strings.HasSuffix(got, tc.want) {
			t.Errorf("%q: got %s, want %s", tc.payload, got, tc.want)
		}
	}
}

func TestTraces(t *testing.T) {
	const xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	m := message(order, order)
	m.Trace = xray
	e := of(t, m)
	if got, want := e.Extensions["traceparent"], "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"; got != want {
		t.Errorf("traceparent is %q, want %q", got, want)
	}
	if got := e.Trace(); got != xray {
		t.Errorf("the trace came back as %q", got)
	}
	if got := of(t, message(order, order)).Trace(); got != "" {
		t.Errorf("an event without a trace has %q", got)
	}
}

// TestSDK has the SDK of CloudEvents read what is written here.
func TestSDK(t *testing.T) {
	e := of(t, message(order, order))
	check := func(mode string, got *event.Event, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		resources := got.Extensions()["awsresources"]
		if mode == "binary" { // escapes in headers, which the binding asks for, are left to whoever uses the SDK
			resources = strings.ReplaceAll(resources.(string), "%22", `"`)
		}
		if got.ID() != "6b1f" || got.Source() != "com.example.shop" || got.Type() != "order.paid" || got.Subject() != "arn:one" ||
			got.Time().UTC().Format("15:04:05") != "10:00:05" || resources != `["arn:one","two"]` ||
			!sameJSON(got.Data(), []byte(`{"orderId":"o-17","total":42.50}`)) {
			t.Errorf("%s: the SDK has read %s", mode, got)
		}
	}
	binary := httptest.NewRequest("POST", "/", bytes.NewReader(e.Data))
	binary.Header = header(e)
	got, err := cehttp.NewEventFromHTTPRequest(binary)
	check("binary", got, err)

	structured := httptest.NewRequest("POST", "/", bytes.NewReader(e.AppendStructured(nil)))
	structured.Header.Set("Content-Type", cloudevents.StructuredType)
	got, err = cehttp.NewEventFromHTTPRequest(structured)
	check("structured", got, err)

	batch := httptest.NewRequest("POST", "/", bytes.NewReader(cloudevents.AppendBatch(nil, []*cloudevents.Event{e, e})))
	batch.Header.Set("Content-Type", cloudevents.BatchType)
	all, err := cehttp.NewEventsFromHTTPRequest(batch)
	if err != nil || len(all) != 2 {
		t.Fatalf("batch: %v, %v", all, err)
	}
	check("batch", &all[1], nil)
}

// TestFromSDK reads what the SDK writes.
func TestFromSDK(t *testing.T) {
	in := event.New()
	in.SetID("1 é")
	in.SetSource("https://example.com/shop?x=y#z")
	in.SetType("order paid")
	in.SetSubject("50% \"off\"")
	in.SetExtension("number", 7)
	if err := in.SetData("application/json", map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]func(r *http.Request) error{
		"binary": func(r *http.Request) error {
			return cehttp.WriteRequest(binding.WithForceBinary(t.Context()), (*binding.EventMessage)(&in), r)
		},
		"structured": func(r *http.Request) error {
			return cehttp.WriteRequest(binding.WithForceStructured(t.Context()), (*binding.EventMessage)(&in), r)
		},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		if err := ctx(r); err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			t.Fatal(err)
		}
		e := parse(t, r.Header, body.Bytes())[0]
		if e.ID != "1 é" || e.Source != in.Source() || e.Type != "order paid" || e.Subject != `50% "off"` || e.Extensions["number"] != "7" ||
			!sameJSON(e.Data, []byte(`{"a":1}`)) {
			t.Errorf("%s: got %+v", name, e)
		}
	}
}
