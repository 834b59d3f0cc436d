package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// A witness is an API that takes every event, and knows what came when, by the name of the replay.
type witness struct {
	server *httptest.Server

	mu      sync.Mutex
	came    map[string][]arrival
	changed chan struct{} // closed when something has come
}

// An arrival is one call.
type arrival struct {
	n  int    // number of the event
	id string // that it has in this replay
	at time.Time
}

func newWitness() *witness {
	w := &witness{came: make(map[string][]arrival), changed: make(chan struct{})}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	return w
}

func (w *witness) serve(to http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server died
	}
	var event struct {
		ID     string
		Replay string `json:"replay-name"`
		Detail struct{ N int }
	}
	if err := json.Unmarshal(body, &event); err != nil {
		to.WriteHeader(http.StatusBadRequest) // it will be missed
		return
	}
	w.take(event.Replay, arrival{event.Detail.N, event.ID, time.Now()})
}

func (w *witness) take(replay string, a arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.came[replay] = append(w.came[replay], a)
	close(w.changed)
	w.changed = make(chan struct{})
}

// of returns what has come of a replay, and a channel that is closed when more does.
func (w *witness) of(replay string) ([]arrival, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.came[replay]
	return list[:len(list):len(list)], w.changed
}

// A tally is what came of a replay, held against what should have.
type tally struct {
	events  int // that came
	repeats int // calls for an event that had come already
}

// account holds arrivals against the numbers of events in the order of the archive: each must have come, under one id, and for the first
// time in that order.
func account(came []arrival, want []int) (t tally, err error) {
	ids := make(map[int]string, len(want))
	for _, a := range came {
		switch id, known := ids[a.n]; {
		case known && id != a.id:
			return t, fmt.Errorf("event %d was put twice, as %s and as %s", a.n, id, a.id)
		case known:
			t.repeats++
		case t.events == len(want):
			return t, fmt.Errorf("event %d came, which is not of the window", a.n)
		case a.n != want[t.events]:
			return t, fmt.Errorf("event %d came where %d was due, as number %d of %d", a.n, want[t.events], t.events+1, len(want))
		default:
			ids[a.n] = a.id
			t.events++
		}
	}
	if t.events < len(want) {
		return t, fmt.Errorf("%d of %d events came", t.events, len(want))
	}
	return t, nil
}

// rate is how many events a second came, over the whole.
func rate(came []arrival) float64 {
	if len(came) < 2 {
		return 0
	}
	return float64(len(came)-1) / came[len(came)-1].at.Sub(came[0].at).Seconds()
}
