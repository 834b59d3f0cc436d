package console

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/pattern"
)

// maxPattern bounds the text of a filter (EventBridge API, EventPattern).
const maxPattern = 4096

// heartbeat is how often an idle tail sends an empty line, so that whoever reads knows that it is still there.
const heartbeat = 10 * time.Second

// Tapper shows the events that a bus accepts.
type Tapper interface {
	Tap(bus route.Bus) (t *ingest.Tap, closeTap func())
}

// Tail is the part that lets people look on.
func Tail(events Tapper) Part {
	t := &tailer{events}
	return Part{{"GET", "/_rialto/v1/tail", t.tail}}
}

type tailer struct{ events Tapper }

// tail streams the events of a bus until the client goes away.
func (t *tailer) tail(w http.ResponseWriter, r *Request) error {
	bus, err := r.Bus(r.FormValue("bus"))
	if err != nil {
		return err
	}
	wanted, err := filterOf(r.FormValue("pattern"))
	if err != nil {
		return err
	}
	tap, end := t.events.Tap(bus)
	defer end()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	c := http.NewResponseController(w)
	beat := rialto.Real(r.Clock).NewTimer(heartbeat)
	defer beat.Stop()
	for first := true; ; first = false {
		if first {
			_ = c.Flush() // the client learns that it looks on from now
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-beat.C():
			err = write(w, c, []byte{'\n'})
		case event := <-tap.Events():
			if !wanted(event) {
				continue
			}
			err = write(w, c, append(bytes.Clone(event), '\n'))
		}
		if err != nil {
			return nil // the client has gone
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
