package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/replay"
)

// Limits of questions about archives.
const (
	usualEvents = 100    // in one answer
	mostEvents  = 1000   // in one answer
	mostImport  = 10_000 // events in one request; its bytes are bounded as those of every request
)

// A Historian looks into archives. Package history has it.
type Historian interface {
	Flush(ctx context.Context, archive string) error
	Count(ctx context.Context, archive string) (history.Total, error)
	Stats(archive string) (history.Stats, error)
	Read(ctx context.Context, archive string, w history.Window, after history.Position) iter.Seq2[history.Entry, error]
	Tally(ctx context.Context, archive string, w history.Window, match func(event []byte) bool) (history.Total, error)
	Sample(ctx context.Context, archive string, w history.Window, match func(event []byte) bool, n int) ([]history.Entry, error)
	Find(ctx context.Context, archive, eventID string) (history.Entry, error)
	Import(ctx context.Context, archive string, events iter.Seq2[[]byte, error]) (added int64, err error)
}

// An Archivist knows archives by name. Package replay has it.
type Archivist interface {
	Archive(s rialto.Scope, name string) (*catalog.Archive, error)
	Archives(s rialto.Scope) []*catalog.Archive
	PatternOf(s rialto.Scope, archive, rule string) (string, error)
	Compare(ctx context.Context, s rialto.Scope, archive string, w history.Window, was, is string, examples int) (replay.Change, error)
}

// Archives is the part that looks into archives.
func Archives(h Historian, a Archivist) Part {
	p := archives{h, a}
	return Part{
		{"GET", "/_rialto/v1/archives", p.list},
		{"GET", "/_rialto/v1/archives/{name}", p.show},
		{"GET", "/_rialto/v1/archives/{name}/events", p.query},
		{"GET", "/_rialto/v1/archives/{name}/events/{id}", p.find},
		{"GET", "/_rialto/v1/archives/{name}/count", p.count},
		{"GET", "/_rialto/v1/archives/{name}/sample", p.sample},
		{"GET", "/_rialto/v1/archives/{name}/export", p.export},
		{"POST", "/_rialto/v1/archives/{name}/import", p.load},
		{"POST", "/_rialto/v1/archives/{name}/compare", p.compare},
	}
}

type archives struct {
	history Historian
	Archivist
}

// An archiveAnswer is what the API says of an archive.
type archiveAnswer struct {
	Name     string         `json:"name"`
	Bus      rialto.BusName `json:"bus"`
	Pattern  string         `json:"pattern,omitempty"`
	Days     int32          `json:"retentionDays"`
	Created  time.Time      `json:"created"`
	Events   int64          `json:"events"`
	Bytes    int64          `json:"bytes"`
	Stored   int64          `json:"stored"`
	Segments int            `json:"segments"`
	First    time.Time      `json:"first,omitzero"`
	Last     time.Time      `json:"last,omitzero"`
}

func (p archives) answer(ctx context.Context, a *catalog.Archive) (archiveAnswer, error) {
	is := archiveAnswer{Name: a.Name, Bus: a.Bus, Days: a.RetentionDays, Created: a.Created}
	if a.Pattern != nil {
		is.Pattern = *a.Pattern
	}
	total, err := p.history.Count(ctx, a.ID)
	if err != nil {
		return is, err
	}
	stats, err := p.history.Stats(a.ID)
	is.Events, is.Bytes = total.Events, total.Bytes
	is.Stored, is.Segments, is.First, is.Last = stats.Stored, stats.Segments, stats.First, stats.Last
	return is, err
}

func (p archives) list(w http.ResponseWriter, r *Request) error {
	list := []archiveAnswer{}
	for _, a := range p.Archives(r.Scope) {
		is, err := p.answer(r.Context(), a)
		if err != nil && rialto.KindOf(err) == rialto.NotFound {
			continue // it was deleted meanwhile
		}
		if err != nil {
			return err
		}
		list = append(list, is)
	}
	return Answer(w, map[string]any{"archives": list})
}

func (p archives) show(w http.ResponseWriter, r *Request) error {
	a, err := p.Archive(r.Scope, r.PathValue("name"))
	if err != nil {
		return err
	}
	is, err := p.answer(r.Context(), a)
	if err != nil {
		return err
	}
	return Answer(w, is)
}

// A question is about the events of a window of an archive.
type question struct {
	archive *catalog.Archive
	window  history.Window
	match   func([]byte) bool // nil is all
}

// ask reads a question, and sees to it that the archive answers with everything that it has got by now.
func (p archives) ask(r *Request) (q question, err error) {
	if q.archive, err = p.Archive(r.Scope, r.PathValue("name")); err != nil {
		return q, err
	}
	if err := checkDamaged(r); err != nil {
		return q, err
	}
	values := r.URL.Query()
	if q.window, err = window(values.Get("from"), values.Get("to")); err != nil {
		return q, err
	}
	if text := values.Get("pattern"); text != "" {
		if q.match, err = replay.Matcher(text); err != nil {
			return q, err
		}
	}
	return q, p.history.Flush(r.Context(), q.archive.ID)
}

func window(from, to string) (w history.Window, err error) {
	for _, at := range []struct {
		name, text string
		time       *time.Time
	}{{"from", from, &w.From}, {"to", to, &w.To}} {
		if at.text == "" {
			continue
		}
		if *at.time, err = time.Parse(time.RFC3339, at.text); err != nil {
			return w, rialto.Errorf(rialto.Invalid, "The parameter %s is a time such as 2026-03-01T10:00:00Z.", at.name)
		}
	}
	return w, inOrder(w.From, w.To)
}

// inOrder reports a window that nothing can be in, which is a mistake that would look like an archive without events.
func inOrder(from, to time.Time) error {
	if !to.IsZero() && !from.Before(to) {
		return rialto.Errorf(rialto.Invalid, "The time from which on events are meant must be before that until which.")
	}
	return nil
}

// number reads a parameter from 1 to most.
func number(r *Request, name string, usual, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, rialto.Errorf(rialto.Invalid, "The parameter %s is a number from 1 to %d.", name, most)
	}
	return n, nil
}

// A keptEvent is an event of an archive.
type keptEvent struct {
	Accepted time.Time       `json:"accepted"`
	Event    json.RawMessage `json:"event"`
}

func keptOf(e *history.Entry) keptEvent { return keptEvent{e.Accepted(), bytes.Clone(e.Event)} }

// query answers a page of events.
func (p archives) query(w http.ResponseWriter, r *Request) error {
	q, err := p.ask(r)
	if err != nil {
		return err
	}
	limit, err := number(r, "limit", usualEvents, mostEvents)
	if err != nil {
		return err
	}
	var after history.Position
	if text := r.URL.Query().Get("after"); text != "" {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil {
			after, err = history.ParsePosition(b)
		}
		if err != nil {
			return rialto.Errorf(rialto.Invalid, "The parameter after is what an earlier answer said under next.")
		}
	}
	var answer struct {
		Events  []keptEvent `json:"events"`
		Damaged []string    `json:"damaged,omitempty"` // what could not be read
		Next    string      `json:"next,omitempty"`
	}
	answer.Events = []keptEvent{}
	var last history.Position
	for e, err := range p.history.Read(r.Context(), q.archive.ID, q.window, after) {
		switch {
		case history.Damages(err) != nil:
			answer.Damaged = append(answer.Damaged, err.Error())
			continue
		case err != nil:
			return err
		case q.match != nil && !q.match(e.Event):
			continue
		}
		if len(answer.Events) == limit {
			answer.Next = base64.RawURLEncoding.EncodeToString(last.Append(nil))
			break
		}
		answer.Events, last = append(answer.Events, keptOf(&e)), e.Position
	}
	return Answer(w, answer)
}

func (p archives) find(w http.ResponseWriter, r *Request) error {
	q, err := p.ask(r)
	if err != nil {
		return err
	}
	e, err := p.history.Find(r.Context(), q.archive.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	return Answer(w, keptOf(&e))
}

func (p archives) count(w http.ResponseWriter, r *Request) error {
	q, err := p.ask(r)
	if err != nil {
		return err
	}
	total, err := p.history.Tally(r.Context(), q.archive.ID, q.window, q.match)
	damaged, err := leftOut(r, err)
	if err != nil {
		return err
	}
	return Answer(w, struct {
		Events  int64    `json:"events"`
		Bytes   int64    `json:"bytes"`
		Damaged []string `json:"damaged,omitempty"`
	}{total.Events, total.Bytes, damaged})
}

func (p archives) sample(w http.ResponseWriter, r *Request) error {
	q, err := p.ask(r)
	if err != nil {
		return err
	}
	n, err := number(r, "limit", 10, mostEvents)
	if err != nil {
		return err
	}
	drawn, err := p.history.Sample(r.Context(), q.archive.ID, q.window, q.match, n)
	damaged, err := leftOut(r, err)
	if err != nil {
		return err
	}
	list := make([]keptEvent, len(drawn))
	for i := range drawn {
		list[i] = keptOf(&drawn[i])
	}
	return Answer(w, struct {
		Events  []keptEvent `json:"events"`
		Damaged []string    `json:"damaged,omitempty"`
	}{list, damaged})
}

// export writes the events as lines of JSON, as they were accepted. What goes wrong after the first of them cuts the answer off, so that no reader
// takes it for whole. Where something damaged is left out, because that was asked for, stands a line that says so, which is no event; the same line is
// the last one if it was not asked for.
func (p archives) export(w http.ResponseWriter, r *Request) error {
	q, err := p.ask(r)
	if err != nil {
		return err
	}
	began := false
	for e, err := range p.history.Read(r.Context(), q.archive.ID, q.window, history.Position{}) {
		damaged, err := leftOut(r, err)
		if err != nil && began {
			if e, ok := errors.AsType[*rialto.Error](err); ok && e.Code == Damaged {
				_, _ = w.Write(append(damagedLine(e.Message), '\n'))
				_ = http.NewResponseController(w).Flush() // the reader knows why, unless it has gone
			}
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			return err
		}
		line := e.Event
		switch {
		case damaged != nil:
			line = damagedLine(damaged[0])
		case q.match != nil && !q.match(e.Event):
			continue
		}
		if !began {
			began = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		if _, err := w.Write(append(bytes.Clone(line), '\n')); err != nil {
			return nil // the reader has gone
		}
	}
	return nil
}

// damagedLine stands in an export where events are missing.
func damagedLine(what string) []byte {
	line, _ := json.Marshal(map[string]string{"damaged": what}) // a string
	return line
}

// load stores events that come as lines of JSON: all of them, or none if a line is no event. Who sends a long file in parts says which line of it is the
// first, so that the message names the one that is wrong.
func (p archives) load(w http.ResponseWriter, r *Request) error {
	a, err := p.Archive(r.Scope, r.PathValue("name"))
	if err != nil {
		return err
	}
	n, err := number(r, "line", 1, math.MaxInt32)
	if err != nil {
		return err
	}
	var events [][]byte
	for line := range bytes.Lines(r.Body) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		event, err := ingest.Canonical(line)
		if err != nil {
			return rialto.Errorf(rialto.Invalid, "Line %d cannot be imported, so nothing of this request was: %s", n-1, err)
		}
		if events = append(events, event); len(events) > mostImport {
			return rialto.Errorf(rialto.Invalid, "More than %d events cannot be imported by one request.", mostImport)
		}
	}
	added, err := p.history.Import(r.Context(), a.ID, func(yield func([]byte, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("import into archive %s, which has %d of these events now: %w", a.Name, added, err)
	}
	return Answer(w, map[string]int64{"imported": added})
}

// compare says what another pattern would mean for the events of an archive.
func (p archives) compare(w http.ResponseWriter, r *Request) error {
	asked := struct {
		From     time.Time `json:"from"`
		To       time.Time `json:"to"`
		Rule     string    `json:"rule"` // whose pattern is what was
		Was      string    `json:"was"`
		Is       string    `json:"is"`
		Examples int       `json:"examples"`
	}{Examples: 3}
	if err := cmp.Or(checkDamaged(r), r.Decode(&asked)); err != nil {
		return err
	}
	if err := inOrder(asked.From, asked.To); err != nil {
		return err
	}
	if asked.Rule != "" {
		if asked.Was != "" {
			return rialto.Errorf(rialto.Invalid, "What was is either the pattern of a rule or another one, not both.")
		}
		var err error
		if asked.Was, err = p.PatternOf(r.Scope, r.PathValue("name"), asked.Rule); err != nil {
			return err
		}
	}
	if asked.Examples < 0 || asked.Examples > mostEvents {
		return rialto.Errorf(rialto.Invalid, "There are from 0 to %d examples.", mostEvents)
	}
	change, err := p.Compare(r.Context(), r.Scope, r.PathValue("name"), history.Window{From: asked.From, To: asked.To}, asked.Was, asked.Is, asked.Examples)
	damaged, err := leftOut(r, err)
	if err != nil {
		return err
	}
	return Answer(w, struct {
		replay.Change
		Damaged []string `json:"damaged,omitempty"`
	}{change, damaged})
}

const skipDamaged = "skip"

// Damaged is the code of an error that says what of an archive is damaged.
const Damaged = "ArchiveDamaged"

// checkDamaged checks the parameter that [leftOut] goes by.
func checkDamaged(r *Request) error {
	if v := r.URL.Query().Get("damaged"); v != "" && v != skipDamaged {
		return rialto.Errorf(rialto.Invalid, "The parameter damaged is %s, or absent.", skipDamaged)
	}
	return nil
}

// leftOut looks at an error of reading. If what is wrong is damage, and everything else was read, those who ask for it by damaged=skip get the rest
// and are told what is missing; others get an error that says which part of the archive is damaged.
func leftOut(r *Request, err error) (damaged []string, _ error) {
	list := history.Damages(err)
	if list == nil {
		return nil, err
	}
	if r.URL.Query().Get("damaged") != skipDamaged {
		return nil, rialto.WithCode(rialto.Internal, Damaged, "%v", list[0])
	}
	for _, d := range list {
		damaged = append(damaged, d.Error())
	}
	return damaged, nil
}
