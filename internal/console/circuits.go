package console

import (
	"context"
	"net/http"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/circuits"
	"github.com/rialto-events/rialto/internal/deliver"
)

// Breaker knows the circuits of destinations.
type Breaker interface {
	List(ctx context.Context, scope rialto.Scope) ([]deliver.Circuit, error)
	Decision(scope rialto.Scope, arn string) *catalog.Circuit
	Set(ctx context.Context, scope rialto.Scope, arn string, d circuits.Decision) (deliver.Circuit, error)
}

// Circuits is the part that shows circuits, and lets people decide about them.
func Circuits(b Breaker) Part {
	p := breakers{b}
	return Part{
		{"GET", "/_rialto/v1/circuits", p.list},
		{"PUT", "/_rialto/v1/circuits/{arn...}", p.set},
	}
}

// breakers answers for circuits.
type breakers struct{ Breaker }

// A circuit is what the API says of one.
type circuit struct {
	ARN    string    `json:"arn"`
	State  string    `json:"state"` // closed, open or half-open
	Forced bool      `json:"forced"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"` // who forced it
	Parked int       `json:"parked"`
	Probe  time.Time `json:"probe,omitzero"`
}

func (p breakers) show(c deliver.Circuit) circuit {
	is := circuit{c.ARN, c.State.String(), c.Forced, c.Since, c.Reason, "", c.Parked, c.Probe}
	if d := p.Decision(c.Scope, c.ARN); d != nil {
		is.By = d.By
	}
	return is
}

// list answers with the circuits of the caller's account and region.
func (p breakers) list(w http.ResponseWriter, r *Request) error {
	all, err := p.List(r.Context(), r.Scope)
	if err != nil {
		return err
	}
	list := make([]circuit, len(all))
	for i, c := range all {
		list[i] = p.show(c)
	}
	return Answer(w, map[string]any{"circuits": list})
}

// set decides about one.
func (p breakers) set(w http.ResponseWriter, r *Request) error {
	var asked struct {
		Mode   string `json:"mode"`
		Reason string `json:"reason"`
		Force  bool   `json:"force"`
	}
	if err := r.Decode(&asked); err != nil {
		return err
	}
	mode, err := deliver.ParseCircuitMode(asked.Mode)
	if err != nil {
		return err
	}
	c, err := p.Set(r.Context(), r.Scope, r.PathValue("arn"),
		circuits.Decision{Mode: mode, By: r.Principal, Reason: asked.Reason, Force: asked.Force})
	if err != nil {
		return err
	}
	return Answer(w, p.show(c))
}
