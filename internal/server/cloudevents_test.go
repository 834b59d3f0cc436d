package server_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/client"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/rialto-events/rialto/internal/server"
)

// watch follows the default bus, and returns what reads its next event.
func watch(t *testing.T, base string) func() string {
	t.Helper()
	r, err := http.Get(base + "/_rialto/v1/tail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	lines := bufio.NewReader(r.Body)
	return func() string {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line = strings.TrimSpace(line); line != "" {
				return line
			}
		}
	}
}

// TestCloudEventsComeIn has the SDK of CloudEvents put an event.
func TestCloudEventsComeIn(t *testing.T) {
	base, _ := start(t, server.Config{})
	next := watch(t, base)
	c, err := client.NewHTTP(cehttp.WithTarget(base + "/_rialto/v1/events"))
	if err != nil {
		t.Fatal(err)
	}
	e := event.New()
	e.SetID("17")
	e.SetSource("com.example.shop")
	e.SetType("order.paid")
	e.SetSubject("o-17")
	if err := e.SetData("application/json", map[string]int{"total": 42}); err != nil {
		t.Fatal(err)
	}
	if result := c.Send(t.Context(), e); !protocol.IsACK(result) {
		t.Fatal(result)
	}
	if got := next(); !strings.Contains(got, `"detail-type":"order.paid","source":"com.example.shop","account":"000000000000"`) ||
		!strings.Contains(got, `"resources":["o-17"],"detail":{"total":42}}`) {
		t.Errorf("the bus has got %s", got)
	}
}

func TestModesOfCloudEvents(t *testing.T) {
	base, _ := start(t, server.Config{})
	const structured, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
	const good = `"specversion":"1.0","id":"17","source":"/s","type":"t"`
	for _, tc := range []struct {
		name, query, media, body string
		header                   http.Header
		status                   int
		says, event              string // parts of the answer and of the event
	}{
		{"structured", "", structured, `{` + good + `,"data":{"a":1}}`, nil, 200, `"id":"17","eventId":"`, `"source":"/s"`},
		{"binary", "", "application/json", `{"a":1}`, http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/s"}, "Ce-Type": {"a%20b"}},
			200, `"eventId":"`, `"detail-type":"a b"`},
		{"something is lost", "", structured, `{` + good + `,"dataschema":"/d","mine":1}`, nil, 200, `"lost":["dataschema","mine"]`, `"detail":{}`},
		{"nothing is lost of the whole", "?detail=event", structured, `{` + good + `,"mine":"1","datacontenttype":"text/plain","data":"hi"}`, nil,
			200, `"eventId":"`, `"detail":{` + good + `,"mine":"1","datacontenttype":"text/plain","data":"hi"}`},
		{"a time", "", structured, `{` + good + `,"time":"2026-03-01T11:00:05.5+01:00"}`, nil, 200, `"eventId":"`, `"time":"2026-03-01T10:00:05Z"`},
		{"a batch with a bad one", "", batch, `[{` + good + `},{` + good + `,"data":[]},{"specversion":"1.0"},{` + good + `}]`, nil,
			200, `"code":"invalid"`, `"source":"/s"`},
		{"nothing good in a batch", "", batch, `[{},{}]`, nil, 400, "None of the events was accepted.", ""},
		{"an empty batch", "", batch, `[]`, nil, 200, `"failed":0`, ""},
		{"data that are no object", "", structured, `{` + good + `,"data":1}`, nil, 400, "say detail=event", ""},
		{"data that are no JSON", "", "text/xml", `<a/>`, http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}},
			400, "say detail=event", ""},
		{"a source of AWS", "", structured, `{"specversion":"1.0","id":"17","source":"aws.s3","type":"t"}`, nil, 400, "NotAuthorizedForSourceException", ""},
		{"no CloudEvent", "", "application/json", `{}`, nil, 400, "This is not a CloudEvent", ""},
		{"another detail", "?detail=x", structured, `{}`, nil, 400, "say detail=data or detail=event", ""},
		{"somebody else's bus", "?bus=arn:aws:events:us-east-1:111122223333:event-bus/x", structured, `{` + good + `}`, nil, 200, `"eventId"`, ""},
		{"too much", "", structured, `{` + good + `,"data":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, nil, 400, "over the limit", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			next := watch(t, base)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/_rialto/v1/events"+tc.query, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if tc.header != nil {
				req.Header = tc.header
			}
			req.Header.Set("Content-Type", tc.media)
			r, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			var unordered any
			if err != nil || json.Unmarshal(body, &unordered) != nil {
				t.Fatalf("the answer is %s, %v", body, err)
			}
			if r.StatusCode != tc.status || !strings.Contains(string(body), tc.says) && !strings.Contains(fmt.Sprint(unordered), tc.says) {
				t.Errorf("got %s %s, want %d with %s", r.Status, body, tc.status, tc.says)
			}
			if tc.event != "" {
				if got := next(); !strings.Contains(got, tc.event) {
					t.Errorf("the bus has got %s, want %s in it", got, tc.event)
				}
			}
		})
	}
}

// TestManyCloudEvents puts a batch that is larger than what PutEvents takes, in bytes and in number. One of them is too large alone.
func TestManyCloudEvents(t *testing.T) {
	base, _ := start(t, server.Config{})
	var body strings.Builder
	for i := range 25 {
		size := 150_000
		if i == 7 {
			size = 1 << 20
		}
		fmt.Fprintf(&body, `,{"specversion":"1.0","id":"%d","source":"/s","type":"t","data":{"a":"%s"}}`, i, strings.Repeat("x", size))
	}
	r, err := http.Post(base+"/_rialto/v1/events", "application/cloudevents-batch+json", strings.NewReader("["+body.String()[1:]+"]"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var got struct {
		Failed int
		Events []struct{ ID, EventID, Message string }
	}
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.StatusCode != http.StatusOK || got.Failed != 1 || len(got.Events) != 25 {
		t.Fatalf("got %s, %d failed of %d, %v", r.Status, got.Failed, len(got.Events), err)
	}
	for i, e := range got.Events {
		if e.ID != fmt.Sprint(i) || (e.EventID == "") != (i == 7) {
			t.Errorf("event %d: %+v", i, e)
		}
	}
}
