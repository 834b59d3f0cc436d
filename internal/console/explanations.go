package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/explain"
)

// Explainer knows what happened to events.
type Explainer interface {
	Explain(ctx context.Context, scope rialto.Scope, id string, rules int) (*explain.Answer, error)
	Recent(ctx context.Context, scope rialto.Scope, q explain.Query) ([]explain.Summary, error)
}

// Explanations is the part that tells what happened to events.
func Explanations(x Explainer) Part {
	e := explanations{x}
	return Part{{"GET", "/_rialto/v1/events", e.list}, {"GET", "/_rialto/v1/events/{id}", e.explain}}
}

type explanations struct{ Explainer }

// explain answers for one event.
func (e explanations) explain(w http.ResponseWriter, r *Request) error {
	rules, err := r.number("rules")
	if err != nil {
		return err
	}
	a, err := e.Explain(r.Context(), r.Scope, r.PathValue("id"), rules)
	if err != nil {
		return err
	}
	return Answer(w, a)
}

// list answers with the latest events that fit.
func (e explanations) list(w http.ResponseWriter, r *Request) error {
	limit, err := r.number("limit")
	if err != nil {
		return err
	}
	since, err := r.since("since")
	if err != nil {
		return err
	}
	list, err := e.Recent(r.Context(), r.Scope, explain.Query{
		Bus: r.FormValue("bus"), Rule: r.FormValue("rule"), Target: r.FormValue("target"), Status: explain.Status(r.FormValue("status")),
		Since: since, Limit: limit,
	})
	if err != nil {
		return err
	}
	return Answer(w, map[string]any{"events": list})
}

// number reads a parameter that is a whole number; 0 if it is left out.
func (r *Request) number(name string) (int, error) {
	text := r.FormValue(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, rialto.Errorf(rialto.Invalid, "%q is no value for %s: it takes a whole number from 1.", text, name)
	}
	return n, nil
}

// since reads a parameter that is a time, or how long ago that was.
func (r *Request) since(name string) (time.Time, error) {
	text := r.FormValue(name)
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return r.Clock.Now().Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, rialto.Errorf(rialto.Invalid, "%q is no value for %s: it takes a time such as 2026-11-23T10:00:00Z, or a span such as 15m.", text, name)
	}
	return at, nil
}
