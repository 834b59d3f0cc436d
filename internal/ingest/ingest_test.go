package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

var (
	caller = ingest.Caller{Scope: rialto.Scope{Account: "111122223333", Region: "eu-west-1"}}
	now    = time.Date(2026, 3, 1, 10, 0, 5, 408e6, time.UTC)
)

type stoppedClock struct{ rialto.Clock }

func (stoppedClock) Now() time.Time { return now }

// accepts remembers what was to be delivered.
type accepts struct {
	all []deliver.Accepted
	err error
}

func (a *accepts) Accept(_ context.Context, events []deliver.Accepted) error {
	a.all = append(a.all, events...)
	return a.err
}

// open makes an Ingester with a rule on two buses that wants every event of the source "shop".
func open(t *testing.T) (*ingest.Ingester, *accepts) {
	t.Helper()
	c := catalogtest.Start(t)
	pattern := `{"source":["shop"]}`
	for _, bus := range []rialto.BusName{"default", "other"} {
		_, err := c.Rules.Edit(t.Context(), catalog.RuleKey(caller.Scope, bus, "all"), func(*catalog.Rule) (*catalog.Rule, error) {
			return &catalog.Rule{Name: "all", Bus: bus, Pattern: &pattern, Enabled: true,
				Targets: []catalog.Target{{ID: "q", ARN: "arn:aws:sqs:eu-west-1:111122223333:q"}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	a := new(accepts)
	return ingest.New(route.New(c, route.Options{}), a, ingest.Options{Clock: stoppedClock{rialto.SystemClock}}), a
}

func entry(source, detailType, detail string) ingest.Entry {
	return ingest.Entry{Source: &source, DetailType: &detailType, Detail: &detail}
}

func TestEntries(t *testing.T) {
	long := strings.Repeat("[", 100_000)
	for _, tc := range []struct {
		name          string
		entry         ingest.Entry
		code, message string // spec/eventbridge.md, 1.1, recorded
	}{
		{"accepted", entry("shop", "paid", `{}`), "", ""},
		{"nobody wants it", entry("bakery", "baked", `{}`), "", ""},
		{"source is empty", entry("", "paid", `{}`), "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."},
		{"all is missing", ingest.Entry{}, "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."},
		{"detail type is empty", entry("shop", "", `{}`), "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."},
		{"detail is empty", entry("shop", "paid", ""), "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."},
		{"detail is an array", entry("shop", "paid", `[]`), "MalformedDetail", "Detail is malformed."},
		{"detail is a string", entry("shop", "paid", `"{}"`), "MalformedDetail", "Detail is malformed."},
		{"detail is null", entry("shop", "paid", `null`), "MalformedDetail", "Detail is malformed."},
		{"detail is no JSON", entry("shop", "paid", `{{}`), "MalformedDetail", "Detail is malformed."},
		{"more follows the detail", entry("shop", "paid", `{}{}`), "MalformedDetail", "Detail is malformed."},
		{"detail is too deep", entry("shop", "paid", `{"a":`+long), "MalformedDetail", "Detail is malformed."},
		{"detail is white space", entry("shop", "paid", ` `), "MalformedDetail", "Detail is malformed."},
		{"source of AWS", entry("aws.ec2", "paid", `{}`), "NotAuthorizedForSourceException", "Not authorized for the source."},
		{"source that only begins like one of AWS", entry("awsome", "paid", `{}`), "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, _ := open(t)
			got, err := in.Put(t.Context(), caller, []ingest.Entry{tc.entry})
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Code != tc.code || got[0].Message != tc.message || (got[0].EventID == "") == (tc.code == "") {
				t.Errorf("got %+v, want code %q and message %q", got[0], tc.code, tc.message)
			}
		})
	}
}

func TestOneBadEntryDoesNotHarmTheOthers(t *testing.T) {
	in, accepted := open(t)
	got, err := in.Put(t.Context(), caller, []ingest.Entry{entry("shop", "paid", `{}`), entry("shop", "", `{}`), entry("shop", "sent", `{}`)})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].EventID == "" || got[1].Code != "InvalidArgument" || got[2].EventID == "" || len(accepted.all) != 2 {
		t.Errorf("results %+v, %d accepted", got, len(accepted.all))
	}
}

// TestEnvelope holds the event against the envelope that was recorded (spec/eventbridge.md, 1.3).
func TestEnvelope(t *testing.T) {
	in, accepted := open(t)
	e := entry("shop", `say "paid"`, "{ \"total\" : 42.50,\n \"a\": [1, null, \"x\\u00e9\"] }")
	e.Resources = []string{"arn:one", "two\ttabs"}
	put := time.Date(2020, 1, 2, 3, 4, 5, 999e6, time.FixedZone("", 3600))
	e.Time = &put
	got, err := in.Put(t.Context(), caller, []ingest.Entry{e, entry("shop", "paid", `{}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":"0","id":"` + got[0].EventID + `","detail-type":"say \"paid\"","source":"shop","account":"111122223333",` +
		`"time":"2020-01-02T02:04:05Z","region":"eu-west-1","resources":["arn:one","two\ttabs"],"detail":{"total":42.50,"a":[1,null,"x\u00e9"]}}`
	if s := string(accepted.all[0].Event); s != want {
		t.Errorf("the event is\n%s, want\n%s", s, want)
	}
	want = `{"version":"0","id":"` + got[1].EventID + `","detail-type":"paid","source":"shop","account":"111122223333",` +
		`"time":"2026-03-01T10:00:05Z","region":"eu-west-1","resources":[],"detail":{}}`
	if s := string(accepted.all[1].Event); s != want {
		t.Errorf("the event is\n%s, want\n%s", s, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(got[0].EventID) {
		t.Errorf("the id %q does not look like a UUID", got[0].EventID)
	}
}

func TestBytesThatAreNoText(t *testing.T) {
	in, accepted := open(t)
	if _, err := in.Put(t.Context(), caller, []ingest.Entry{entry("shop", "a\xffb\x01", `{"x":"é"}`)}); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(accepted.all[0].Event) || !strings.Contains(string(accepted.all[0].Event), `"a`+"\uFFFD"+`b\u0001"`) {
		t.Errorf("the event is %q", accepted.all[0].Event)
	}
}

// TestTooLargeToStore lets events grow by being encoded until they do not fit into the log: the request is at fault, and not we.
func TestTooLargeToStore(t *testing.T) {
	in, accepted := open(t)
	accepted.err = shard.ErrTooLarge
	_, err := in.Put(t.Context(), caller, []ingest.Entry{entry("shop", strings.Repeat("\x01", 900_000), `{}`)})
	if rialto.KindOf(err) != rialto.Invalid || err.Error() != "Total size of the entries in the request is over the limit." {
		t.Errorf("Put: %v", err)
	}
}

// TestSizes counts as AWS does (spec/eventbridge.md, 1.2): the time counts 14 bytes, bus and trace header nothing.
func TestSizes(t *testing.T) {
	const limit = 1 << 20
	bus, trace := strings.Repeat("b", 100), strings.Repeat("t", 100)
	for _, tc := range []struct {
		name    string
		size    int
		time    bool
		refused bool
	}{
		{"just below", limit - 1, false, false},
		{"at the limit", limit, false, true},
		{"below with a time", limit - 15, true, false},
		{"at the limit with a time", limit - 14, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, _ := open(t)
			e := entry("shop", "paid", `{"x":"`+strings.Repeat("x", tc.size-len(`shoppaid{"x":""}`)-3)+`"}`)
			e.Resources = []string{"abc"}
			e.Bus, e.TraceHeader = &bus, &trace
			if tc.time {
				e.Time = &now
			}
			_, err := in.Put(t.Context(), caller, []ingest.Entry{e})
			if tc.refused != (rialto.KindOf(err) == rialto.Invalid) {
				t.Fatalf("got %v, want refused: %v", err, tc.refused)
			}
			if tc.refused && err.Error() != "Total size of the entries in the request is over the limit." {
				t.Errorf("the message is %q", err)
			}
		})
	}
}

func TestNothingIsAnsweredThatIsNotStored(t *testing.T) {
	in, accepted := open(t)
	accepted.err = errors.New("the disk is full")
	if _, err := in.Put(t.Context(), caller, []ingest.Entry{entry("shop", "paid", `{}`)}); !errors.Is(err, accepted.err) {
		t.Errorf("got %v, want %v", err, accepted.err)
	}
}

// TestTraceHeaders are the rules of spec/eventbridge.md, 1.4, all recorded.
func TestTraceHeaders(t *testing.T) {
	const root = "Root=1-5759e988-bd862e3fe1be46a994272793"
	absent := "\x00"
	const parent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
	for _, tc := range []struct{ name, entry, request, want string }{
		{"none", absent, "", ""},
		{"of the W3C", absent, parent, root + ";Parent=53995c3f42cd8ad8;Sampled=1;TraceState=a=1"},
		{"an empty one of the entry beats it", "", parent, ""},
		{"of the request", absent, root, root},
		{"the entry's beats it", root + ";Sampled=1", root, root + ";Sampled=1"},
		{"an empty one, too", "", root, ""},
		{"a malformed one, too", "nonsense", root, ""},
		{"others are sorted behind", "b=2;" + root + ";Parent=53995c3f42cd8ad8;a=1;Sampled=0", "", root + ";Parent=53995c3f42cd8ad8;Sampled=0;a=1;b=2"},
		{"a root without its key", strings.ToUpper(root[5:]), "", ""},
		{"root is lower-cased", "Root=" + strings.ToUpper(root[5:]), "", root},
		{"bad root", "Root=1-x", "", ""},
		{"sampled with a parent in upper case", root + ";Parent=53995C3F42CD8AD8;Sampled=1", "", ""},
		{"unknown sampling", root + ";Sampled=7", "", root},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, accepted := open(t)
			e, c := entry("shop", "paid", `{}`), caller
			if c.TraceHeader = tc.request; tc.request == parent {
				c.TraceHeader, c.TraceParent, c.TraceState = "nonsense", parent, "a=1"
			}
			if tc.entry != absent {
				e.TraceHeader = &tc.entry
			}
			if _, err := in.Put(t.Context(), c, []ingest.Entry{e}); err != nil {
				t.Fatal(err)
			}
			if got := accepted.all[0].Trace; got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("not sampled without a valid root gets a new one", func(t *testing.T) {
		in, accepted := open(t)
		header := "Root=1-x;Sampled=0"
		e := entry("shop", "paid", `{}`)
		e.TraceHeader = &header
		if _, err := in.Put(t.Context(), caller, []ingest.Entry{e}); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Sampled=0$`).MatchString(accepted.all[0].Trace) {
			t.Errorf("got %q", accepted.all[0].Trace)
		}
	})
}

// TestForward is spec/eventbridge.md, 5.4, recorded.
func TestForward(t *testing.T) {
	local := caller.Scope.BusARN("default")
	abroad := rialto.Scope{Account: caller.Scope.Account, Region: "us-east-1"}.BusARN("default")
	const event = `{"version":"0","id":"11111111-2222-3333-4444-555555555555","detail-type":"x\",\"time\":\"y","source":"shop",` +
		`"account":"1","time":"2020-01-01T00:00:00Z","region":"us-east-1","resources":[],"detail":{"id":"kept","time":"kept"}}`
	for _, tc := range []struct {
		name string
		from rialto.ARN
		hops target.Hops
		code string
		want target.Hops
	}{
		{"within the region", local, target.Hops{}, "", target.Hops{SameRegion: 1}},
		{"from another region", abroad, target.Hops{}, "", target.Hops{CrossRegion: 1}},
		{"one hop of each sort", abroad, target.Hops{SameRegion: 1}, "", target.Hops{SameRegion: 1, CrossRegion: 1}},
		{"and in the other order", local, target.Hops{CrossRegion: 1}, "", target.Hops{SameRegion: 1, CrossRegion: 1}},
		{"a second hop", local, target.Hops{SameRegion: 1}, target.CodeSecondBusHop, target.Hops{}},
		{"a second region", abroad, target.Hops{CrossRegion: 1}, target.CodeSecondRegionHop, target.Hops{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, accepted := open(t)
			m := &target.Message{EventID: "11111111-2222-3333-4444-555555555555", Event: []byte(event), Bus: tc.from, Hops: tc.hops}
			err := in.Forward(t.Context(), []*target.Message{m}, caller.Scope.BusARN("other"))[0]
			if tc.code != "" {
				failure, ok := errors.AsType[*target.Error](err)
				if !ok || failure.Code != tc.code || !failure.Permanent || !strings.HasPrefix(failure.Message, "Event ingestion rejected for event 11111111-") {
					t.Errorf("got %v, want a permanent %s", err, tc.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := accepted.all[0]
			if got.Hops != tc.want || got.Bus != caller.Scope.BusARN("other") {
				t.Errorf("hops %+v on %s, want %+v", got.Hops, got.Bus, tc.want)
			}
			want := event
			if tc.from == abroad {
				want = strings.Replace(want, m.EventID, got.EventID, 1)
				want = strings.Replace(want, "2020-01-01T00:00:00Z", "2026-03-01T10:00:05Z", 1)
			}
			if string(got.Event) != want || (got.EventID == m.EventID) == (tc.from == abroad) {
				t.Errorf("the event %s is\n%s, want\n%s", got.EventID, got.Event, want)
			}
		})
	}
}

func TestForwardToABusThatIsNotThere(t *testing.T) {
	in, accepted := open(t)
	m := &target.Message{EventID: "x", Event: []byte(`{"source":"shop"}`), Bus: caller.Scope.BusARN("default")}
	if err := in.Forward(t.Context(), []*target.Message{m}, caller.Scope.BusARN("nowhere"))[0]; err != nil || len(accepted.all) != 0 {
		t.Errorf("got %v, %d accepted; it is to be swallowed", err, len(accepted.all))
	}
}

// TestPolicies lets somebody of another account put and forward events to a bus whose policy asks for what the events are.
func TestPolicies(t *testing.T) {
	c := catalogtest.Start(t)
	owner := rialto.Scope{Account: "444455556666", Region: "eu-west-1"}
	gate := owner.BusARN("gate")
	for _, tc := range []struct {
		name             string
		condition        string
		put, forwardable bool
	}{
		{"no condition", `{}`, true, true},
		{"the source", `{"StringEquals":{"events:source":"shop"}}`, true, true},
		{"another source", `{"StringEquals":{"events:source":"till"}}`, false, false},
		{"the detail type", `{"StringEquals":{"events:detail-type":"paid"}}`, true, true},
		{"only put", `{"Bool":{"events:eventBusInvocation":"false"}}`, true, false},
		{"only forwarded, by that rule", `{"ArnLike":{"aws:SourceArn":"arn:aws:events:*:111122223333:rule/fwd"}}`, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := c.Buses.Edit(t.Context(), catalog.BusKey(owner, "gate"), func(*catalog.Bus) (*catalog.Bus, error) {
				return &catalog.Bus{Name: "gate", Policy: []byte(`{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Allow",` +
					`"Principal":{"AWS":"111122223333"},"Action":"events:PutEvents","Resource":"` + gate.String() + `","Condition":` + tc.condition + `}]}`)}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			in := ingest.New(route.New(c, route.Options{Policies: true}), new(accepts), ingest.Options{})
			e, name := entry("shop", "paid", "{}"), gate.String()
			e.Bus = &name
			if _, err := in.Put(t.Context(), caller, []ingest.Entry{e}); (err == nil) != tc.put || err != nil && rialto.KindOf(err) != rialto.Denied {
				t.Errorf("putting got %v, want it allowed: %v", err, tc.put)
			}
			m := &target.Message{
				EventID: "x", Event: []byte(`{"detail-type":"paid","source":"shop"}`), Bus: caller.Scope.BusARN("default"),
				Definition: &target.Definition{Rule: caller.Scope.RuleARN("default", "fwd")},
			}
			if err := in.Forward(t.Context(), []*target.Message{m}, gate)[0]; (err == nil) != tc.forwardable {
				t.Errorf("forwarding got %v, want it allowed: %v", err, tc.forwardable)
			}
		})
	}
}

func TestTaps(t *testing.T) {
	in, _ := open(t)
	bus, err := ingest.ParseBus(caller.Scope, "")
	if err != nil {
		t.Fatal(err)
	}
	tap, end := in.Tap(bus)
	other := "other"
	elsewhere := entry("bakery", "baked", `{}`)
	elsewhere.Bus = &other
	put := func(e ingest.Entry) {
		t.Helper()
		if _, err := in.Put(t.Context(), caller, []ingest.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	put(elsewhere)
	put(entry("bakery", "baked", `{"n":1}`))
	if got := string(<-tap.Events()); !strings.HasSuffix(got, `"detail":{"n":1}}`) {
		t.Errorf("saw %s", got)
	}
	for range 2000 {
		put(entry("bakery", "baked", `{}`))
	}
	if n := uint64(len(tap.Events())) + tap.Missed(); n != 2000 || tap.Missed() == 0 {
		t.Errorf("%d seen or counted as missed, want 2000", n)
	}
	end()
	seen := len(tap.Events())
	put(entry("bakery", "baked", `{}`))
	if len(tap.Events()) != seen {
		t.Error("a closed tap still sees events")
	}
}

// TestAnnouncements puts events that no user can put, where rules wait for them.
func TestAnnouncements(t *testing.T) {
	in, accepted := open(t)
	detail := map[string]any{"state": "<open>"}
	if err := in.AnnounceAs(t.Context(), "shop", caller.Scope, "Circuit Opened", detail, "arn:one"); err != nil {
		t.Fatal(err)
	}
	if len(accepted.all) != 1 {
		t.Fatalf("%d events were accepted, want 1", len(accepted.all))
	}
	want := `{"version":"0","id":"` + accepted.all[0].EventID + `","detail-type":"Circuit Opened","source":"shop","account":"111122223333",` +
		`"time":"2026-03-01T10:00:05Z","region":"eu-west-1","resources":["arn:one"],"detail":{"state":"<open>"}}`
	if s := string(accepted.all[0].Event); s != want {
		t.Errorf("the event is\n%s, want\n%s", s, want)
	}
	for _, source := range []string{"aws.events", ingest.Own} {
		tap, end := in.Tap(route.Bus{Scope: caller.Scope, Name: "default"})
		if err := in.AnnounceAs(t.Context(), source, caller.Scope, "Connection Authorized", detail); err != nil {
			t.Errorf("an event of %s: %v", source, err)
		}
		if e := string(<-tap.Events()); !strings.Contains(e, `"source":"`+source+`"`) {
			t.Errorf("the event is %s, want one of %s", e, source)
		}
		end()
	}
	if err := in.Announce(t.Context(), caller.Scope, "Circuit Opened", []int{1}); err == nil {
		t.Error("a detail that is no object is accepted")
	}
	accepted.err = shard.ErrTooLarge
	if err := in.AnnounceAs(t.Context(), "shop", caller.Scope, "Circuit Opened", detail); err == nil {
		t.Error("an event that was not committed counts as announced")
	}
}
