package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

const (
	weakest = 100 // calls a second that the destination bears when it is back; twice as many each second
	healthy = 20_000
)

// A destination is an API that can die, and come back weak.
type destination struct {
	server *httptest.Server

	mu       sync.Mutex
	dead     bool
	silent   bool          // it takes calls and does not answer, until it is back
	woken    chan struct{} // closed when it is back
	back     time.Time     // since when it is there again; zero while it has not been dead
	second   int64         // the second, since back, that calls are counted in
	calls    int           // in it
	refused  int           // calls that were more than it bore
	falls    int           // times that it was given twice what it bears
	seen     []int         // by number of the event: how often it came
	arrivals []int         // numbers of the events, in the order of their first arrival
	open     int           // events that have not come
	changed  chan struct{}
}

func newDestination(events int) *destination {
	d := &destination{seen: make([]int, events), open: events, changed: make(chan struct{}), woken: make(chan struct{})}
	d.server = httptest.NewServer(http.HandlerFunc(d.serve))
	return d
}

func (d *destination) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server died
	}
	var event struct{ Detail struct{ N int } }
	if err := json.Unmarshal(body, &event); err != nil {
		w.WriteHeader(http.StatusBadRequest) // it will be missed
		return
	}
	if !d.listens(r) {
		return // the caller has had enough
	}
	w.WriteHeader(d.take(event.Detail.N, time.Now()))
}

// listens reports whether it answers at all, after it has kept the caller waiting.
func (d *destination) listens(r *http.Request) bool {
	d.mu.Lock()
	silent, woken := d.silent, d.woken
	d.mu.Unlock()
	if !silent {
		return true
	}
	select {
	case <-r.Context().Done():
		return false
	case <-woken:
		return true
	}
}

// take decides about a call, and returns its status.
func (d *destination) take(n int, now time.Time) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return http.StatusServiceUnavailable
	}
	if !d.back.IsZero() {
		second := int64(now.Sub(d.back) / time.Second)
		if second != d.second {
			d.second, d.calls = second, 0
		}
		d.calls++
		switch bears := d.bears(); {
		case d.calls == 2*bears+1:
			d.falls++
			fallthrough
		case d.calls > bears:
			d.refused++
			return http.StatusTooManyRequests
		}
	}
	if n < 0 || n >= len(d.seen) {
		return http.StatusBadRequest
	}
	if d.seen[n]++; d.seen[n] == 1 {
		d.arrivals = append(d.arrivals, n)
		d.open--
		close(d.changed)
		d.changed = make(chan struct{})
	}
	return http.StatusOK
}

// bears is how many calls it bears in this second. d.mu is held.
func (d *destination) bears() int {
	if d.second >= 8 {
		return healthy
	}
	return weakest << d.second
}

// die has every call fail at once, hang has them wait in vain, and recover has them answered again.
func (d *destination) die() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

func (d *destination) hang() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = true
}

func (d *destination) recover() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silent {
		d.silent = false
		close(d.woken)
	}
	d.dead, d.back, d.second, d.calls = false, time.Now(), 0, 0
}

// left is how many events have not come, and what is closed when one has.
func (d *destination) left() (int, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open, d.changed
}

// A tally is what the destination has seen.
type tally struct {
	missing    []int // numbers of events that never came
	duplicates int
	refused    int
	falls      int
	late       []int // of the parked ones: by how many younger ones each was overtaken, sorted
}

// tally sums up. Events from first to last were parked.
func (d *destination) tally(first, last int) tally {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := tally{refused: d.refused, falls: d.falls}
	for n, seen := range d.seen {
		if seen == 0 {
			t.missing = append(t.missing, n)
		}
		t.duplicates += max(0, seen-1)
	}
	youngest := first
	for _, n := range d.arrivals {
		if n >= first && n < last {
			youngest = max(youngest, n)
			t.late = append(t.late, youngest-n)
		}
	}
	slices.Sort(t.late)
	return t
}
