package ingest_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
)

const keptEvent = `{"version":"0","id":"6b1f0f0e","detail-type":"a \",\"resources\":[","source":"shop","account":"111122223333",` +
	`"time":"2026-03-01T10:00:05Z","region":"eu-west-1","resources":["r"],"detail":{"n":1.50,"resources":[],"id":"x"}}`

// TestAgain: a replayed event has another id and the replay's name, in AWS's place, and is the same otherwise.
func TestAgain(t *testing.T) {
	in, _ := open(t)
	bus := route.Bus{Scope: caller.Scope, Name: "default"}
	want := regexp.MustCompile(strings.NewReplacer(
		"6b1f0f0e", `[0-9a-f-]{36}`, `\"eu-west-1\",`, "", `"eu-west-1",`, `"eu-west-1","replay-name":"r-1",`,
	).Replace(regexp.QuoteMeta(keptEvent)))
	for _, event := range []string{keptEvent, strings.Replace(keptEvent, `"eu-west-1",`, `"eu-west-1","replay-name":"former",`, 1)} {
		e, err := in.Again(bus, "r-1", []byte(event))
		if err != nil {
			t.Fatal(err)
		}
		if !want.Match(e.Event) || strings.Contains(string(e.Event), "former") || !strings.Contains(string(e.Event), `"id":"`+e.EventID+`"`) {
			t.Errorf("the event is %s", e.Event)
		}
		if len(e.Targets) != 1 || !e.Accepted.Equal(now) || e.Trace != "" {
			t.Errorf("it goes to %d targets, accepted %s", len(e.Targets), e.Accepted)
		}
	}
	for _, event := range []string{``, `{}`, `{"id":"x"}`, `{"id":"x`, `{"id":"x","resources":[]}`} {
		_, err := in.Again(bus, "r", []byte(event))
		if valid := strings.Contains(event, "resources"); (err == nil) != valid {
			t.Errorf("of %s: %v", event, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	loose := ` {"detail": {"n": 1.50}, "time": "2026-03-01T11:00:05.9+01:00", "source": "shop", "detail-type": "paid", "id": "7", "region": "eu-west-1", "more": 1} `
	want := `{"version":"0","id":"7","detail-type":"paid","source":"shop","account":"","time":"2026-03-01T10:00:05Z","region":"eu-west-1","resources":[],"detail":{"n":1.50}}`
	got, err := ingest.Canonical([]byte(loose))
	if err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	if again, err := ingest.Canonical([]byte(keptEvent)); err != nil || string(again) != keptEvent {
		t.Errorf("an event as it was accepted became %s (%v)", again, err)
	}
	for _, bad := range []string{
		``, `[]`, `{}`, `{"id":"1"}`, strings.Replace(want, `"7"`, `"7\""`, 1), strings.Replace(want, `"7"`, `"`+strings.Repeat("7", 128)+`"`, 1),
		strings.Replace(want, `{"n":1.50}`, `[]`, 1), strings.Replace(want, "2026-03-01T10:00:05Z", "now", 1),
	} {
		if got, err := ingest.Canonical([]byte(bad)); err == nil {
			t.Errorf("%s became %s", bad, got)
		}
	}
}

// FuzzCanonical: whatever is imported can be replayed, and stays what it is when it is imported again.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte(keptEvent))
	f.Fuzz(func(t *testing.T, event []byte) {
		is, err := ingest.Canonical(event)
		if err != nil {
			return
		}
		if !json.Valid(is) {
			t.Fatalf("%s is no JSON", is)
		}
		again, err := ingest.Canonical(is)
		if err != nil || string(again) != string(is) {
			t.Fatalf("%s became %s (%v)", is, again, err)
		}
		if replayed, err := ingest.Replayed(is, "id", "name"); err != nil || !json.Valid(replayed) {
			t.Fatalf("%s is replayed as %s (%v)", is, replayed, err)
		}
	})
}
