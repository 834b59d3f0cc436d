package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// A rig is an Ingester with everything around it in a test's hands.
type rig struct {
	t       *testing.T
	catalog *catalog.Catalog
	*ingest.Ingester
	accept   func(events []deliver.Accepted) error // nil is to accept them all
	accepted []deliver.Accepted
	observed []deliver.Accepted
	log      strings.Builder
	now      time.Time
}

func newRig(t *testing.T) *rig {
	b := &rig{t: t, catalog: catalogtest.Start(t), now: now}
	b.Ingester = ingest.New(route.New(b.catalog, route.Options{}), b, ingest.Options{
		Logger: slog.New(slog.NewTextHandler(&b.log, nil)), Clock: b, Observer: b,
	})
	return b
}

func (b *rig) Now() time.Time                        { return b.now }
func (b *rig) NewTimer(d time.Duration) rialto.Timer { return rialto.SystemClock.NewTimer(d) }
func (b *rig) Accepted(e *deliver.Accepted)          { b.observed = append(b.observed, *e) }
func (b *rig) Accept(_ context.Context, events []deliver.Accepted) (err error) {
	if b.accept != nil {
		err = b.accept(events)
	}
	b.accepted = append(b.accepted, events...)
	return err
}

// rule makes a rule for a source with targets, and tags that are written KEY=VALUE.
func (b *rig) rule(bus rialto.BusName, name rialto.RuleName, source string, targets []string, tags ...string) {
	b.t.Helper()
	pattern := fmt.Sprintf(`{"source":[%q]}`, source)
	r := &catalog.Rule{Name: name, Bus: bus, Pattern: &pattern, Enabled: true, Tags: parseTags(tags)}
	for _, id := range targets {
		r.Targets = append(r.Targets, catalog.Target{ID: id, ARN: "arn:aws:sqs:eu-west-1:111122223333:q"})
	}
	_, err := b.catalog.Rules.Edit(b.t.Context(), catalog.RuleKey(caller.Scope, bus, name), func(*catalog.Rule) (*catalog.Rule, error) { return r, nil })
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *rig) tagBus(name rialto.BusName, tags ...string) {
	b.t.Helper()
	bus := &catalog.Bus{Name: name, Tags: parseTags(tags)}
	_, err := b.catalog.Buses.Edit(b.t.Context(), catalog.BusKey(caller.Scope, name), func(*catalog.Bus) (*catalog.Bus, error) { return bus, nil })
	if err != nil {
		b.t.Fatal(err)
	}
}

func parseTags(tags []string) (list []catalog.Tag) {
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		list = append(list, catalog.Tag{Key: key, Value: value})
	}
	return list
}

// put puts events of the source "shop" with these details, and returns what was to be accepted of them.
func (b *rig) put(bus string, details ...string) (results []ingest.Result, accepted []deliver.Accepted) {
	b.t.Helper()
	b.accepted = nil
	var entries []ingest.Entry
	for _, d := range details {
		e := entry("shop", "paid", d)
		e.Bus = &bus
		entries = append(entries, e)
	}
	results, err := b.Put(b.t.Context(), caller, entries)
	if err != nil {
		b.t.Fatal(err)
	}
	return results, b.accepted
}

// forward brings an event with a detail to a bus.
func (b *rig) forward(bus rialto.BusName, detail string) []deliver.Accepted {
	b.t.Helper()
	b.accepted = nil
	m := &target.Message{EventID: "x", Bus: caller.Scope.BusARN("from"), Event: fmt.Appendf(nil,
		`{"version":"0","id":"x","detail-type":"paid","source":"shop","account":"1","time":"2026-03-01T10:00:00Z","region":"r","resources":[],"detail":%s}`, detail)}
	if err := b.Forward(b.t.Context(), []*target.Message{m}, caller.Scope.BusARN(bus))[0]; err != nil {
		b.t.Fatal(err)
	}
	return b.accepted
}

func TestOrders(t *testing.T) {
	b := newRig(t)
	b.rule("default", "one", "shop", []string{"a", "b"}, "rialto:order-by=$.detail.id")
	b.rule("default", "two", "shop", []string{"a"}, "rialto:order-by=detail.id")
	b.rule("default", "plain", "shop", []string{"a"})
	b.rule("default", "other", "till", []string{"a"})
	b.rule("free", "plain", "shop", []string{"a"})

	// orders are those of an event, by target.
	orders := func(e deliver.Accepted) map[string]uint64 {
		all := make(map[string]uint64)
		for i, s := range e.Targets {
			all[string(s.RuleName)+"/"+s.ID] = e.Orders[i]
		}
		return all
	}
	_, events := b.put("default", `{"id":"o-1"}`, `{"id":"o\u002d1"}`, `{"id":"o-2"}`, `{}`, `{"id":null}`, `{"id":1}`, `{"id":1.0}`, `{"id":"1"}`)
	first := orders(events[0])
	if first["plain/a"] != 0 {
		t.Error("a rule that asks for no order has one")
	}
	distinct := []uint64{0, first["one/a"], first["one/b"], first["two/a"], orders(events[2])["one/a"], orders(events[5])["one/a"], orders(events[7])["one/a"]}
	slices.Sort(distinct)
	if len(slices.Compact(distinct)) != 7 {
		t.Errorf("of these orders some are the same: %x", distinct)
	}
	if orders(events[1])["one/a"] != first["one/a"] || orders(events[5])["one/a"] != orders(events[6])["one/a"] {
		t.Error("a value that is written in another way has another order")
	}
	if orders(events[3])["one/a"] != 0 || orders(events[4])["one/a"] != 0 {
		t.Error("an event without a value is ordered")
	}
	if forwarded := b.forward("default", `{"id":"o-1"}`); orders(forwarded[0])["one/b"] != first["one/b"] {
		t.Error("a forwarded event has another order")
	}
	for _, e := range events {
		if e.Home != caller.Scope.BusARN("default").String() {
			t.Errorf("the home is %q", e.Home)
		}
	}
	if _, events := b.put("free", `{"id":"o-1"}`); events[0].Home != "" || events[0].Orders != nil {
		t.Errorf("on a bus without order, the home is %q and the orders are %v", events[0].Home, events[0].Orders)
	}
}

func TestDedupe(t *testing.T) {
	b := newRig(t)
	for _, bus := range []rialto.BusName{"default", "other"} {
		b.rule(bus, "all", "shop", []string{"a"})
		b.tagBus(bus, "rialto:dedupe-by=detail.id")
	}
	_, events := b.put("default", `{"id":"x"}`, `{"id":"\u0078","n":2}`, `{"id":"y"}`, `{}`, `{"id":null}`)
	key := events[0].Dedupe
	if key.Window != 5*time.Minute || events[0].Home == "" {
		t.Errorf("the window is %v and the home %q", key.Window, events[0].Home)
	}
	if events[1].Dedupe != key || events[2].Dedupe.Key == key.Key {
		t.Error("equal values have different keys, or different ones the same")
	}
	if none := (deliver.Dedupe{}); events[3].Dedupe != none || events[4].Dedupe != none {
		t.Error("an event without the value can be a duplicate")
	}
	if forwarded := b.forward("default", `{"id":"x"}`); forwarded[0].Dedupe != key {
		t.Error("a forwarded event has another key")
	}
	if _, events := b.put("other", `{"id":"x"}`); events[0].Dedupe.Key == key.Key {
		t.Error("buses share their keys")
	}

	b.accept = func(events []deliver.Accepted) error {
		events[1].DuplicateOf, events[2].DuplicateOf = events[0].EventID, "earlier"
		return nil
	}
	b.observed = nil
	results, _ := b.put("default", `{"id":"x"}`, `{"id":"x"}`, `{"id":"y"}`)
	if results[0].EventID == "" || results[1].EventID != results[0].EventID || results[2].EventID != "earlier" {
		t.Errorf("the answers are %+v", results)
	}
	if len(b.observed) != 3 || b.observed[2].DuplicateOf != "earlier" {
		t.Errorf("observed were %+v", b.observed)
	}
	b.accept = func(events []deliver.Accepted) error { events[0].DuplicateOf = "earlier"; return nil }
	b.forward("default", `{"id":"x"}`)

	b.accept = nil
	b.tagBus("default")
	if _, events := b.put("default", `{"id":"x"}`); events[0].Dedupe.Window != 0 || events[0].Home != "" {
		t.Errorf("after the tag is gone: %+v, home %q", events[0].Dedupe, events[0].Home)
	}
}

func TestExpires(t *testing.T) {
	b := newRig(t)
	b.rule("default", "all", "shop", []string{"a"})
	b.tagBus("default", "rialto:ttl-from=$.detail.ttl")
	_, events := b.put("default", `{"ttl":"30s"}`, `{}`, `{"ttl":null}`, `{"ttl":"2026-03-01T11:00:00Z"}`)
	for i, want := range []time.Time{now.Add(30 * time.Second), {}, {}, time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)} {
		if !events[i].Expires.Equal(want) {
			t.Errorf("event %d expires at %v, want %v", i, events[i].Expires, want)
		}
	}
	if events := b.forward("default", `{"ttl":30}`); !events[0].Expires.Equal(time.Date(2026, 3, 1, 10, 0, 30, 0, time.UTC)) {
		t.Errorf("the forwarded event expires at %v", events[0].Expires)
	}
	b.observed = nil
	results, events := b.put("default", `{"ttl":"2026-03-01T10:00:05Z"}`)
	if results[0].EventID == "" || len(events) != 0 {
		t.Errorf("an event that has ended is answered with %+v, and %d go on", results[0], len(events))
	}
	if len(b.observed) != 1 || !b.observed[0].Expired() || b.observed[0].Targets != nil {
		t.Errorf("observed were %+v", b.observed)
	}
	if events := b.forward("default", `{"ttl":5}`); len(events) != 0 || len(b.observed) != 2 || !b.observed[1].Expired() {
		t.Errorf("a forwarded event that has ended goes on: %+v", events)
	}
}

// TestTimesToLiveThatCannotBeRead harms no event, and the log says once a minute that there are some.
func TestTimesToLiveThatCannotBeRead(t *testing.T) {
	b := newRig(t)
	b.rule("default", "all", "shop", []string{"a"})
	b.tagBus("default", "rialto:ttl-from=$.detail.ttl")
	for range 3 {
		if _, events := b.put("default", `{"ttl":"soon"}`); len(events) != 1 || !events[0].Expires.IsZero() {
			t.Fatalf("accepted were %+v", events)
		}
	}
	b.now = b.now.Add(time.Minute)
	b.put("default", `{"ttl":{}}`)
	if log := b.log.String(); strings.Count(log, "\n") != 2 || !strings.Contains(log, "count=1\n") || !strings.Contains(log, "count=4\n") {
		t.Errorf("the log is\n%s", log)
	}
}

// TestSomeAreNotAccepted lets one of several events fail: the others keep their ids, and this one can be put again.
func TestSomeAreNotAccepted(t *testing.T) {
	b := newRig(t)
	b.rule("default", "all", "shop", []string{"a"})
	failure := errors.New("the shard is gone")
	b.accept = func(events []deliver.Accepted) error {
		events[1].Err = failure
		return failure
	}
	results, _ := b.put("default", `{}`, `{}`, `{}`)
	if results[0].EventID == "" || results[1] != (ingest.Result{Code: "InternalFailure", Message: "Internal Service Failure"}) || results[2].EventID == "" {
		t.Errorf("the answers are %+v", results)
	}
	if len(b.observed) != 2 {
		t.Errorf("%d events were observed, want the 2 that were accepted", len(b.observed))
	}
}

func TestAForwardedEventThatDoesNotFitIsNotTriedAgain(t *testing.T) {
	b := newRig(t)
	b.rule("default", "all", "shop", []string{"a"})
	for err, permanent := range map[error]bool{fmt.Errorf("accept: %w", shard.ErrTooLarge): true, errors.New("the shard is gone"): false} {
		b.accept = func([]deliver.Accepted) error { return err }
		m := &target.Message{EventID: "x", Event: []byte(`{"source":"shop"}`), Bus: caller.Scope.BusARN("from")}
		if got := b.Forward(t.Context(), []*target.Message{m}, caller.Scope.BusARN("default"))[0]; target.Permanent(got) != permanent || !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
}

// TestForwardSeveral forwards several at once. Each has an end of its own, also if one of them would keep the others from fitting into a frame.
func TestForwardSeveral(t *testing.T) {
	for name, tc := range map[string]struct {
		accept   func(events []deliver.Accepted) error
		want     string // what became of each: accepted, again or refused
		observed int
	}{
		"all are accepted but the one that has hopped": {nil, "accepted refused accepted accepted", 3},
		"one is not accepted": {func(events []deliver.Accepted) error {
			events[1].Err = errors.New("the shard is gone")
			return events[1].Err
		}, "accepted refused again accepted", 2},
		"none is": {func([]deliver.Accepted) error { return errors.New("the log is full") }, "again refused again again", 0},
		"one does not fit": {func(events []deliver.Accepted) error {
			if slices.ContainsFunc(events, func(e deliver.Accepted) bool { return e.EventID == "3" }) {
				return shard.ErrTooLarge
			}
			return nil
		}, "accepted refused accepted refused", 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newRig(t)
			b.rule("default", "all", "shop", []string{"a"})
			b.accept = tc.accept
			var ms []*target.Message
			for i := range 4 {
				m := &target.Message{EventID: fmt.Sprint(i), Event: []byte(`{"source":"shop"}`), Bus: caller.Scope.BusARN("from")}
				if i == 1 {
					m.Hops.SameRegion = 1
				}
				ms = append(ms, m)
			}
			var got []string
			for _, err := range b.Forward(t.Context(), ms, caller.Scope.BusARN("default")) {
				switch {
				case err == nil:
					got = append(got, "accepted")
				case target.Permanent(err):
					got = append(got, "refused")
				default:
					got = append(got, "again")
				}
			}
			if strings.Join(got, " ") != tc.want || len(b.observed) != tc.observed {
				t.Errorf("they were %s, and %d were observed; want %s, and %d", got, len(b.observed), tc.want, tc.observed)
			}
		})
	}
}

func TestObserverSeesEveryEvent(t *testing.T) {
	b := newRig(t)
	b.rule("default", "all", "shop", []string{"a"})
	b.put("default", `{}`)
	b.put("nowhere", `{}`)
	b.forward("nowhere", `{}`)
	if len(b.observed) != 3 || len(b.observed[0].Targets) != 1 || b.observed[1].Targets != nil || b.observed[1].EventID == "" || b.observed[2].EventID != "x" {
		t.Errorf("observed were %+v", b.observed)
	}
}
