package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/wire"
	"github.com/rialto-events/rialto/rialtotest"
)

// BenchmarkOrdered measures deliveries that are ordered by a key, and what a key whose events fail costs the others. An
// inversion anywhere fails it.
func BenchmarkOrdered(b *testing.B) {
	r := ordered(b, 1000, b.N)
	b.ReportMetric(r.alone.perSecond, "alone-events/s")
	b.ReportMetric(r.beside.perSecond, "beside-events/s")
	b.ReportMetric(milliseconds(r.alone.p99), "alone-p99-ms")
	b.ReportMetric(milliseconds(r.beside.p99), "beside-p99-ms")
	b.ReportMetric(r.beside.perSecond/r.alone.perSecond, "ratio")
	b.ReportMetric(0, "ns/op") // of several rounds and what lies between them
}

const (
	orderedCallers = 64
	orderedRounds  = 3      // without and with a key that fails, in turns
	orderedOpen    = 20_000 // events on their way at most
	failures       = 2      // of each event of the failing key, before it is taken
	failingEvents  = 10     // of that key in a round, at most
)

// orderedFigures are those of the keys that do not fail: alone, and beside one that does.
type orderedFigures struct{ alone, beside figures }

// ordered puts n events of many keys, and waits until all have arrived at one endpoint, each key's in its order.
func ordered(tb testing.TB, keys, n int) orderedFigures {
	tb.Helper()
	srv := rialtotest.Start(tb)
	e := newLineup()
	endpoint := httptest.NewServer(e)
	defer endpoint.Close()
	client := wire.New(srv.URL, orderedCallers)
	defer client.Close()
	type object = map[string]any
	for _, call := range []struct {
		operation string
		in        object
	}{
		{"AWSEvents.PutRule", object{"Name": "ordered", "EventPattern": `{"source":["lineup"]}`,
			"Tags": []object{{"Key": "rialto:order-by", "Value": "$.detail.key"}}}},
		{"AWSEvents.PutTargets", object{"Rule": "ordered", "Targets": []object{
			{"Id": "endpoint", "Arn": destination(tb, srv, "endpoint", endpoint.URL), "RoleArn": "arn:aws:iam::000000000000:role/lineup"}}}},
	} {
		if err := client.Call(tb.Context(), call.operation, call.in, nil); err != nil {
			tb.Fatal(err)
		}
	}
	if b, ok := tb.(*testing.B); ok {
		b.ResetTimer()
	}
	turns := max(1, n/keys/2/orderedRounds) // events of each key in a round
	var alone, beside []figures
	for round := range orderedRounds {
		alone = append(alone, e.round(tb, client, keys, 2*round*turns, turns, 0))
		beside = append(beside, e.round(tb, client, keys, (2*round+1)*turns, turns, min(turns, failingEvents)))
	}
	return orderedFigures{middle(alone), middle(beside)}
}

// round puts as many events of each key, numbered from the given one on, and some of the one that fails. It ends when all have arrived.
func (l *lineup) round(tb testing.TB, client *wire.Client, keys, from, turns, troubled int) figures {
	tb.Helper()
	l.begin(keys*turns, troubled)
	start := time.Now()
	if troubled > 0 {
		l.mu.Lock()
		next := l.next[failingKey]
		l.mu.Unlock()
		if _, err := client.Post(tb.Context(), "AWSEvents.PutEvents", lineupCall(failingKey, next, troubled)); err != nil {
			tb.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	failed := make(chan error, orderedCallers)
	for caller := range orderedCallers {
		wg.Go(func() {
			// Each key has one caller, so that the order of its events is known.
			for turn := range turns {
				for key := caller; key < keys; key += orderedCallers {
					l.room <- struct{}{}
					if _, err := client.Post(tb.Context(), "AWSEvents.PutEvents", lineupCall(key, from+turn, 1)); err != nil {
						failed <- err
						return
					}
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		tb.Fatal(err)
	default:
	}
	well := l.wait(tb, l.well)
	all := time.Since(start)
	if troubled > 0 {
		l.wait(tb, l.troubled)
	}
	if l.inversions > 0 {
		tb.Fatalf("%d deliveries came before their predecessor had: the first is %s", l.inversions, l.first)
	}
	return figuresOf(well, all)
}

// failingKey is the key whose events are refused at first.
const failingKey = -1

// lineupCall is a call that puts events of a key, with numbers from the given one on.
func lineupCall(key, from, n int) []byte {
	var entries []string
	for i := range n {
		entries = append(entries, fmt.Sprintf(`{"Source":"lineup","DetailType":"Numbered","Detail":"{\"key\":%d,\"n\":%d,\"put\":%d}"}`, key, from+i, time.Now().UnixNano()))
	}
	return []byte(`{"Entries":[` + strings.Join(entries, ",") + `]}`)
}

// A lineup is an endpoint that holds each key's events to their order: an event comes after its predecessor was taken, and perhaps more than
// once.
type lineup struct {
	room chan struct{} // has an element for each event on its way

	mu         sync.Mutex
	next       map[int]int // by key: the number of the event that is to come
	refusals   int         // of the present event of the failing key
	took       []time.Duration
	left       int // events of other keys
	troubles   int // events of the failing key that are to come
	inversions int
	first      string
	well       chan struct{} // closed when all of the others have come
	troubled   chan struct{} // closed when all of the failing key have come
}

func newLineup() *lineup {
	return &lineup{room: make(chan struct{}, orderedOpen), next: make(map[int]int)}
}

// begin says how many events there will be, of the keys that do not fail and of the one that does.
func (l *lineup) begin(well, troubled int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.troubles, l.took = well, troubled, nil
	l.well, l.troubled = make(chan struct{}), make(chan struct{})
}

func (l *lineup) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var event struct {
		Detail struct {
			Key, N int
			Put    int64
		}
	}
	if json.Unmarshal(body, &event) != nil {
		w.WriteHeader(http.StatusBadRequest) // it will be missed
		return
	}
	w.WriteHeader(l.take(event.Detail.Key, event.Detail.N, time.Unix(0, event.Detail.Put)))
}

func (l *lineup) take(key, n int, put time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch next := l.next[key]; {
	case n < next:
		return http.StatusOK // once more
	case n > next:
		if l.inversions++; l.inversions == 1 {
			l.first = fmt.Sprintf("number %d of key %d, which came before number %d", n, key, next)
		}
	}
	if key == failingKey {
		if l.refusals++; l.refusals <= failures {
			return http.StatusServiceUnavailable
		}
		l.refusals = 0
	}
	l.next[key] = n + 1
	if key == failingKey {
		if l.troubles--; l.troubles == 0 {
			close(l.troubled)
		}
		return http.StatusOK
	}
	l.took = append(l.took, time.Since(put))
	<-l.room
	if l.left--; l.left == 0 {
		close(l.well)
	}
	return http.StatusOK
}

// wait waits for the end of something, as long as anything arrives, and returns how long each event took.
func (l *lineup) wait(tb testing.TB, done <-chan struct{}) []time.Duration {
	tb.Helper()
	const patience = 2 * time.Minute
	for before := -1; ; {
		select {
		case <-done:
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.took
		case <-time.After(patience):
		}
		l.mu.Lock()
		arrived, left, troubles := len(l.took), l.left, l.troubles
		l.mu.Unlock()
		if arrived == before {
			tb.Fatalf("nothing has arrived for %s; %d events are missing, and %d of the failing key", patience, left, troubles)
		}
		before = arrived
	}
}
