package rialtotest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// A Move is what happened while a virtual clock was moved.
type Move struct {
	From, Now   time.Time
	Stops       int      // times at which something was due
	Fired       int      // occurrences of schedules
	Delivered   int      // deliveries that have arrived
	Failed      int      // attempts
	DeadLetters int      // deliveries that have failed for good
	Left        []string // parts of the server of which some work was not waited for to the end
}

// Advance moves the clock of a server that was started with a [rialto.VirtualClock], from one thing that is due to the next: schedules fire, attempts
// are repeated, messages become visible or too old, replays go on, each at its time. It returns when all of that has happened.
func (s *Server) Advance(t testing.TB, by time.Duration) Move {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"by": by.String()})
	var m Move
	s.native(t, http.MethodPost, "clock/advance", body, &m)
	return m
}

// Now is what time it is for the server.
func (s *Server) Now(t testing.TB) time.Time {
	t.Helper()
	var is struct{ Now time.Time }
	s.native(t, http.MethodGet, "clock", nil, &is)
	return is.Now
}

// native asks rialto's own API.
func (s *Server) native(t testing.TB, method, path string, body []byte, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/_rialto/v1/"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("ask the server: %v", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(answer, out)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
}
