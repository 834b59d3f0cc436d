package console

import (
	"context"
	"net/http"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/redrive"
)

// Redriver brings dead letters back.
type Redriver interface {
	Start(ctx context.Context, at queue.Address, spec redrive.Spec, rate int) (*redrive.Redrive, error)
	Redrives(ctx context.Context, scope rialto.Scope) ([]*redrive.Redrive, error)
	Find(ctx context.Context, scope rialto.Scope, id string) (*redrive.Redrive, error)
	Pause(ctx context.Context, r *redrive.Redrive) error
	Resume(ctx context.Context, r *redrive.Redrive) error
	Cancel(ctx context.Context, r *redrive.Redrive) error
	SetRate(ctx context.Context, r *redrive.Redrive, rate int) error
}

// Redrives is the part that brings dead letters back to their targets.
func Redrives(r Redriver) Part {
	p := redrives{r}
	return Part{
		{"GET", "/_rialto/v1/redrives", p.list},
		{"POST", "/_rialto/v1/redrives", p.start},
		{"GET", "/_rialto/v1/redrives/{id}", p.show},
		{"POST", "/_rialto/v1/redrives/{id}/pause", p.change(p.Pause)},
		{"POST", "/_rialto/v1/redrives/{id}/resume", p.change(p.Resume)},
		{"POST", "/_rialto/v1/redrives/{id}/cancel", p.change(p.Cancel)},
		{"POST", "/_rialto/v1/redrives/{id}/rate", p.rate},
	}
}

type redrives struct{ Redriver }

// A redriveAnswer is what the API says of a redrive.
type redriveAnswer struct {
	ID       string         `json:"id"`
	Queue    string         `json:"queue"`
	Filter   redrive.Filter `json:"filter"`
	To       string         `json:"to,omitempty"`
	Status   string         `json:"status"`
	Rate     int            `json:"rate,omitempty"`
	Started  time.Time      `json:"started"`
	Ended    time.Time      `json:"ended,omitzero"`
	Selected int            `json:"selected"` // the sum of the next four
	Moved    int            `json:"moved"`
	Failed   int            `json:"failed"`
	Skipped  int            `json:"skipped"`
	Left     int            `json:"left"`
	Reasons  []reason       `json:"reasons"`
}

// A reason is why letters are still in the queue, or were taken by others.
type reason struct {
	Outcome string `json:"outcome"` // failed or skipped
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
}

func redriveOf(r *redrive.Redrive) redriveAnswer {
	is := redriveAnswer{
		ID: r.ID.String(), Queue: string(r.Queue.Name), Filter: r.Spec.Filter, To: r.Spec.To, Status: r.Status.String(), Rate: r.Rate,
		Started: r.Started, Ended: r.Ended, Selected: r.Selected, Moved: r.Moved, Failed: r.FailedN(), Skipped: r.SkippedN(), Left: r.Left,
		Reasons: []reason{},
	}
	if r.Paused && r.Status == queue.RedriveRunning {
		is.Status = "paused"
	}
	for _, t := range r.Redrive.Failed {
		is.Reasons = append(is.Reasons, reason{"failed", t.Reason, t.N})
	}
	for _, t := range r.Redrive.Skipped {
		is.Reasons = append(is.Reasons, reason{"skipped", t.Reason, t.N})
	}
	return is
}

func (p redrives) list(w http.ResponseWriter, r *Request) error {
	all, err := p.Redrives(r.Context(), r.Scope)
	if err != nil {
		return err
	}
	list := make([]redriveAnswer, len(all))
	for i, is := range all {
		list[i] = redriveOf(is)
	}
	return Answer(w, map[string]any{"redrives": list})
}

// start begins a redrive of what a filter selects in a queue.
func (p redrives) start(w http.ResponseWriter, r *Request) error {
	var asked struct {
		Queue  string         `json:"queue"`
		Filter redrive.Filter `json:"filter"`
		To     string         `json:"to"`
		Rate   int            `json:"rate"`
	}
	if err := r.Decode(&asked); err != nil {
		return err
	}
	if asked.Queue == "" {
		return rialto.Errorf(rialto.Invalid, "Say which queue the dead letters are in, by its name or ARN.")
	}
	at, err := r.queue(asked.Queue)
	if err != nil {
		return err
	}
	is, err := p.Start(r.Context(), at, redrive.Spec{Filter: asked.Filter, To: asked.To}, asked.Rate)
	if err != nil {
		return err
	}
	return Answer(w, redriveOf(is))
}

func (p redrives) show(w http.ResponseWriter, r *Request) error {
	is, err := p.Find(r.Context(), r.Scope, r.PathValue("id"))
	if err != nil {
		return err
	}
	return Answer(w, redriveOf(is))
}

// change makes an operation that changes a redrive and answers with what it is then.
func (p redrives) change(f func(context.Context, *redrive.Redrive) error) func(http.ResponseWriter, *Request) error {
	return func(w http.ResponseWriter, r *Request) error {
		is, err := p.Find(r.Context(), r.Scope, r.PathValue("id"))
		if err != nil {
			return err
		}
		if err := f(r.Context(), is); err != nil {
			return err
		}
		return p.show(w, r)
	}
}

func (p redrives) rate(w http.ResponseWriter, r *Request) error {
	var asked struct {
		Rate int `json:"rate"`
	}
	if err := r.Decode(&asked); err != nil {
		return err
	}
	return p.change(func(ctx context.Context, is *redrive.Redrive) error { return p.SetRate(ctx, is, asked.Rate) })(w, r)
}
