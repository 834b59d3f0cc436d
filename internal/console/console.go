// Package console serves what AWS's APIs have no words for: rialto's own HTTP API under /_rialto/.
//
//	GET /_rialto/v1/tail?bus=orders&pattern={…}   the events that a bus accepts, as they come: one JSON document a line
//	GET /_rialto/v1/destinations                  what is on its way to each destination, and how it went so far
//
// Requests are signed like those to AWS's APIs where signatures are asked for, and see the account and the region that they are
// signed for. Errors are a JSON object with a message. Start with [New].
package console

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/pattern"
)

// Prefix is where the API lives.
const Prefix = "/_rialto/"

// maxPattern bounds the text of a filter (EventBridge API, EventPattern).
const maxPattern = 4096

// heartbeat is how often an idle tail sends an empty line, so that whoever reads knows that it is still there.
const heartbeat = 10 * time.Second

// Options tunes the API. The zero value is ready to use.
type Options struct {
	Logger        *slog.Logger      // nil discards
	Authenticator aws.Authenticator // nil believes everyone
	Clock         rialto.Clock      // nil is the system's
}

// Tapper shows the events that a bus accepts.
type Tapper interface {
	Tap(bus route.Bus) (t *ingest.Tap, closeTap func())
}

// Destinations knows what is on its way.
type Destinations interface {
	Stats(ctx context.Context) ([]deliver.Stats, error)
}

type api struct {
	events       Tapper
	destinations Destinations
	opts         Options
}

// New makes the handler of everything below [Prefix].
func New(events Tapper, destinations Destinations, opts Options) http.Handler {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Authenticator == nil {
		opts.Authenticator = aws.AcceptAny{}
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	a := &api{events, destinations, opts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_rialto/v1/tail", a.tail)
	mux.HandleFunc("GET /_rialto/v1/destinations", a.stats)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, rialto.Errorf(rialto.NotFound, "There is nothing at %s %s.", r.Method, r.URL.Path))
	})
	return mux
}

// tail streams the events of a bus until the client goes away.
func (a *api) tail(w http.ResponseWriter, r *http.Request) {
	who, err := aws.Identify(r, a.opts.Authenticator)
	if err != nil {
		fail(w, err)
		return
	}
	bus, err := ingest.ParseBus(who.Scope, r.FormValue("bus"))
	if err != nil {
		fail(w, err)
		return
	}
	if bus.Scope.Account != who.Scope.Account {
		fail(w, rialto.Errorf(rialto.Denied, "The bus %s belongs to another account.", bus.ARN()))
		return
	}
	wanted, err := filterOf(r.FormValue("pattern"))
	if err != nil {
		fail(w, err)
		return
	}
	t, end := a.events.Tap(bus)
	defer end()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	c := http.NewResponseController(w)
	beat := a.opts.Clock.NewTimer(heartbeat)
	defer beat.Stop()
	for first := true; ; first = false {
		if first {
			_ = c.Flush() // the client learns that it looks on from now
		}
		select {
		case <-r.Context().Done():
			return
		case <-beat.C():
			err = write(w, c, []byte{'\n'})
		case event := <-t.Events():
			if !wanted(event) {
				continue
			}
			err = write(w, c, append(bytes.Clone(event), '\n'))
		}
		if err != nil {
			return // the client has gone
		}
		beat.Reset(heartbeat)
	}
}

func write(w http.ResponseWriter, c *http.ResponseController, line []byte) error {
	if _, err := w.Write(line); err != nil {
		return err
	}
	return c.Flush()
}

// filterOf compiles an event pattern; none lets everything through.
func filterOf(text string) (func(event []byte) bool, error) {
	if strings.TrimSpace(text) == "" {
		return func([]byte) bool { return true }, nil
	}
	if len(text) > maxPattern {
		return nil, rialto.Errorf(rialto.Invalid, "The pattern has %d bytes, more than %d.", len(text), maxPattern)
	}
	p, err := pattern.Parse([]byte(text))
	if err != nil {
		return nil, rialto.Errorf(rialto.Invalid, "Event pattern is not valid. Reason: %s", err)
	}
	var set pattern.Set
	var scratch pattern.Scratch
	set.Add(0, p)
	return func(event []byte) bool {
		ids, err := set.Match(event, &scratch)
		return err == nil && len(ids) > 0
	}, nil
}

// A destination is what the API says of one.
type destination struct {
	ARN      string `json:"arn"`
	Waiting  int    `json:"waiting"`  // deliveries that have not ended and are not being attempted
	InFlight int    `json:"inFlight"` // attempts in progress
	Settled  uint64 `json:"settled"`  // deliveries that arrived, since the start
	Failed   uint64 `json:"failed"`   // attempts, since the start
	Dead     uint64 `json:"dead"`     // deliveries that went to a dead-letter queue, since the start
	Dropped  uint64 `json:"dropped"`  // deliveries that went nowhere, since the start
}

// stats answers with the destinations of the caller's account and region.
func (a *api) stats(w http.ResponseWriter, r *http.Request) {
	who, err := aws.Identify(r, a.opts.Authenticator)
	if err != nil {
		fail(w, err)
		return
	}
	all, err := a.destinations.Stats(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	list := []destination{}
	for _, d := range all {
		if d.Scope == who.Scope {
			list = append(list, destination{d.ARN, d.Waiting, d.InFlight, d.Settled, d.Failed, d.Dead, d.Dropped})
		}
	}
	answer(w, http.StatusOK, map[string]any{"destinations": list})
}

// statuses are the HTTP statuses of kinds of errors; others are 400.
var statuses = map[rialto.Kind]int{
	rialto.Internal: http.StatusInternalServerError, rialto.NotFound: http.StatusNotFound, rialto.Denied: http.StatusForbidden,
	rialto.Unavailable: http.StatusServiceUnavailable, rialto.Throttled: http.StatusTooManyRequests,
}

func fail(w http.ResponseWriter, err error) {
	status, ok := statuses[rialto.KindOf(err)]
	if !ok {
		status = http.StatusBadRequest
	}
	answer(w, status, map[string]string{"message": err.Error()})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error of the connection is the client's to notice
}
