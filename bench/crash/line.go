package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	lineKeys = 8   // each with a caller of its own
	lineOpen = 100 // events of one key that may be on their way
	lineFail = 50  // one event in so many is refused at first, so that its key waits
)

// A line is the events of the bus that keeps an order and knows its events again. Each caller puts its events one after another, each
// as often as it takes to get an answer. So every event must be accepted once, and a key's must arrive in the order of their numbers;
// only the last one may come again, because of a kill.
type line struct {
	mu      sync.Mutex
	keys    [lineKeys]standing
	wrong   []string
	repeats int
	moved   time.Time // something came for the first time
	changed chan struct{}
}

// A standing is what is known of one key.
type standing struct {
	answered []string // ids, as PutEvents said, by number
	arrived  []string // ids, as the endpoint saw them and took them
	refused  int      // the number that was refused last, or -1
}

// A stood is the detail of an event in line.
type stood struct {
	Key int    `json:"key"`
	N   int    `json:"n"`
	ID  string `json:"id"`
}

func newLine() *line {
	l := &line{moved: time.Now(), changed: make(chan struct{})}
	for i := range l.keys {
		l.keys[i].refused = -1
	}
	return l
}

// arrive notes that an event has come to the endpoint, and reports whether that takes it.
func (l *line) arrive(id string, e stood) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Key < 0 || e.Key >= lineKeys {
		l.wrong = append(l.wrong, fmt.Sprintf("event %s has the key %d, which nobody uses", id, e.Key))
		return true
	}
	k := &l.keys[e.Key]
	next := len(k.arrived)
	switch {
	case e.N == next && e.N%lineFail == lineFail-1 && k.refused < e.N:
		k.refused = e.N
		return false
	case e.N == next:
		k.arrived = append(k.arrived, id)
		l.moved = time.Now()
		close(l.changed)
		l.changed = make(chan struct{})
	case e.N == next-1 && id == k.arrived[e.N]:
		l.repeats++
	case e.N == next-1:
		l.wrong = append(l.wrong, fmt.Sprintf("number %d of key %d was accepted as %s and as %s", e.N, e.Key, k.arrived[e.N], id))
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("number %d of key %d came when number %d was to come", e.N, e.Key, next))
	}
	return true
}

// room waits until few events of a key are on their way.
func (l *line) room(ctx context.Context, key int) error {
	for {
		l.mu.Lock()
		open, changed := len(l.keys[key].answered)-len(l.keys[key].arrived), l.changed
		l.mu.Unlock()
		if open < lineOpen {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (l *line) answered(key int, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys[key].answered = append(l.keys[key].answered, id)
}

// settle waits until everything has arrived, or nothing has for a while.
func (l *line) settle(ctx context.Context, patience time.Duration) {
	for {
		l.mu.Lock()
		open, changed, moved := 0, l.changed, l.moved
		for _, k := range l.keys {
			open += max(0, len(k.answered)-len(k.arrived))
		}
		l.mu.Unlock()
		left := patience - time.Since(moved)
		if open == 0 || left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// account returns how many events were answered and how many came again, and everything that is wrong.
func (l *line) account() (events, repeats int, wrong []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wrong = slices.Clone(l.wrong)
	for key, k := range l.keys {
		events += len(k.answered)
		for n, id := range k.answered {
			switch {
			case n >= len(k.arrived):
				wrong = append(wrong, fmt.Sprintf("number %d of key %d never came", n, key))
			case k.arrived[n] != id:
				wrong = append(wrong, fmt.Sprintf("number %d of key %d was answered as %s and came as %s", n, key, id, k.arrived[n]))
			}
		}
	}
	return events, l.repeats, wrong
}

// serveLine is the endpoint of the events in line.
func (w *world) serveLine(rw http.ResponseWriter, body []byte) {
	var e struct {
		ID     string
		Detail stood
	}
	if err := json.Unmarshal(body, &e); err != nil {
		w.fail(fmt.Errorf("the endpoint got what is no event: %w", err))
	}
	if !w.line.arrive(e.ID, e.Detail) {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
}

// defineLine makes the bus of the events in line.
func (w *world) defineLine(ctx context.Context, destination string) error {
	const bus = "line"
	for _, call := range []struct {
		operation string
		in        object
	}{
		{"CreateEventBus", object{"Name": bus, "Tags": tag("dedupe-by", "$.detail.id")}},
		{"PutRule", object{"Name": "all", "EventBusName": bus, "EventPattern": `{"source":["crash"]}`, "Tags": tag("order-by", "$.detail.key")}},
		{"PutTargets", object{"Rule": "all", "EventBusName": bus, "Targets": []object{{"Id": "line", "Arn": destination, "RoleArn": role}}}},
	} {
		if err := w.client.Call(ctx, "AWSEvents."+call.operation, call.in, nil); err != nil {
			return fmt.Errorf("make the bus that keeps an order: %w", err)
		}
	}
	return nil
}

// tag is a list of one of rialto's tags.
func tag(key, value string) []object { return []object{{"Key": "rialto:" + key, "Value": value}} }

// stand puts the events of one key until ctx ends.
func (w *world) stand(ctx context.Context, key int) {
	for n := 0; w.line.room(ctx, key) == nil; n++ {
		detail, err := json.Marshal(stood{Key: key, N: n, ID: fmt.Sprintf("%d of %d", n, key)})
		if err != nil {
			w.fail(err)
			return
		}
		in := object{"Entries": []object{{"EventBusName": "line", "Source": "crash", "DetailType": "stood", "Detail": string(detail)}}}
		var out struct {
			Entries []struct{ EventID, ErrorCode string }
		}
		for !w.call(ctx, "AWSEvents.PutEvents", in, &out) || len(out.Entries) != 1 || out.Entries[0].ErrorCode != "" {
			if ctx.Err() != nil {
				return
			}
		}
		w.line.answered(key, out.Entries[0].EventID)
	}
}
