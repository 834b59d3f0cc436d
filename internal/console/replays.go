package console

import (
	"context"
	"net/http"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/replay"
)

// Replayer carries out replays. Package replay has it.
type Replayer interface {
	Complete(spec replay.Spec) (replay.Spec, error)
	Start(ctx context.Context, spec replay.Spec) (replay.Replay, error)
	DryRun(ctx context.Context, spec replay.Spec) (replay.Outcome, error)
	List(ctx context.Context, s rialto.Scope) ([]replay.Replay, error)
	Get(ctx context.Context, s rialto.Scope, name string) (replay.Replay, error)
	Pause(ctx context.Context, s rialto.Scope, name string) (replay.Replay, error)
	Resume(ctx context.Context, s rialto.Scope, name string) (replay.Replay, error)
	Cancel(ctx context.Context, s rialto.Scope, name string) (replay.Replay, error)
	SetSpeed(ctx context.Context, s rialto.Scope, name string, speed replay.Speed) (replay.Replay, error)
}

// Replays is the part that puts what archives have kept onto buses again, in more ways than AWS's API has words for.
func Replays(r Replayer) Part {
	p := replays{r}
	return Part{
		{"GET", "/_rialto/v1/replays", p.list},
		{"POST", "/_rialto/v1/replays", p.start},
		{"POST", "/_rialto/v1/replays/dry-run", p.dryRun},
		{"GET", "/_rialto/v1/replays/{name}", p.change(p.Get)},
		{"POST", "/_rialto/v1/replays/{name}/pause", p.change(p.Pause)},
		{"POST", "/_rialto/v1/replays/{name}/resume", p.change(p.Resume)},
		{"POST", "/_rialto/v1/replays/{name}/cancel", p.change(p.Cancel)},
		{"POST", "/_rialto/v1/replays/{name}/speed", p.speed},
	}
}

type replays struct{ Replayer }

// A replayAnswer is what the API says of a replay.
type replayAnswer struct {
	replayAsked
	Since     time.Time    `json:"since,omitzero"` // of acceptance, as until is: of a replay that began when a circuit closed
	Until     time.Time    `json:"until,omitzero"`
	State     replay.State `json:"state"`
	Reason    string       `json:"reason,omitempty"`
	Paused    bool         `json:"paused"`
	Waits     string       `json:"waits,omitempty"` // what for
	Expected  int64        `json:"expected"`
	Read      int64        `json:"read"`
	Put       int64        `json:"put"`
	Delivered int64        `json:"delivered"`
	Started   time.Time    `json:"started"`
	Last      time.Time    `json:"last,omitzero"`
	Ended     time.Time    `json:"ended,omitzero"`
}

// A replayAsked is what a replay is to do.
type replayAsked struct {
	Name        string         `json:"name"`
	Description *string        `json:"description,omitempty"`
	Archive     string         `json:"archive"`
	From        time.Time      `json:"from,omitzero"`
	To          time.Time      `json:"to,omitzero"`
	Pattern     string         `json:"pattern,omitempty"`
	Bus         rialto.BusName `json:"bus,omitempty"`
	Rules       []string       `json:"rules,omitempty"`
	Target      string         `json:"target,omitempty"`
	Order       string         `json:"order,omitempty"`
	Speed       replay.Speed   `json:"speed,omitzero"`
}

func replayOf(r *replay.Replay) replayAnswer {
	return replayAnswer{
		replayAsked: replayAsked{
			Name: r.Name, Description: r.Description, Archive: r.Archive, From: r.From, To: r.To, Pattern: r.Pattern, Bus: r.Bus, Rules: r.Rules,
			Target: r.Target, Order: r.Order, Speed: r.Speed,
		},
		Since: r.Since, Until: r.Until, State: r.State, Reason: r.Reason, Paused: r.Paused, Waits: r.Waits,
		Expected: r.Expected, Read: r.Read, Put: r.Put, Delivered: r.Delivered,
		Started: r.Started, Last: r.Last, Ended: r.Ended,
	}
}

// asked reads what a replay is to do.
func (p replays) asked(r *Request) (replay.Spec, error) {
	var a replayAsked
	if err := r.Decode(&a); err != nil {
		return replay.Spec{}, err
	}
	if a.Archive == "" {
		return replay.Spec{}, rialto.Errorf(rialto.Invalid, "Say which archive is to be replayed, by its name.")
	}
	if err := inOrder(a.From, a.To); err != nil {
		return replay.Spec{}, err
	}
	return p.Complete(replay.Spec{
		Scope: r.Scope, Name: a.Name, Description: a.Description, Archive: a.Archive, From: a.From, To: a.To, Pattern: a.Pattern, Bus: a.Bus,
		Rules: a.Rules, Target: a.Target, Order: a.Order, Speed: a.Speed,
	})
}

func (p replays) start(w http.ResponseWriter, r *Request) error {
	spec, err := p.asked(r)
	if err != nil {
		return err
	}
	is, err := p.Start(r.Context(), spec)
	if err != nil {
		return err
	}
	return Answer(w, replayOf(&is))
}

func (p replays) dryRun(w http.ResponseWriter, r *Request) error {
	if err := checkDamaged(r); err != nil {
		return err
	}
	spec, err := p.asked(r)
	if err != nil {
		return err
	}
	out, err := p.DryRun(r.Context(), spec)
	damaged, err := leftOut(r, err)
	if err != nil {
		return err
	}
	return Answer(w, struct {
		replay.Outcome
		Damaged []string `json:"damaged,omitempty"`
	}{out, damaged})
}

func (p replays) list(w http.ResponseWriter, r *Request) error {
	all, err := p.List(r.Context(), r.Scope)
	if err != nil {
		return err
	}
	list := make([]replayAnswer, len(all))
	for i := range all {
		list[i] = replayOf(&all[i])
	}
	return Answer(w, map[string]any{"replays": list})
}

// change makes an operation on one replay that answers with what it is then.
func (p replays) change(f func(context.Context, rialto.Scope, string) (replay.Replay, error)) func(http.ResponseWriter, *Request) error {
	return func(w http.ResponseWriter, r *Request) error {
		is, err := f(r.Context(), r.Scope, r.PathValue("name"))
		if err != nil {
			return err
		}
		return Answer(w, replayOf(&is))
	}
}

func (p replays) speed(w http.ResponseWriter, r *Request) error {
	var speed replay.Speed
	if err := r.Decode(&speed); err != nil {
		return err
	}
	return p.change(func(ctx context.Context, s rialto.Scope, name string) (replay.Replay, error) {
		return p.SetSpeed(ctx, s, name, speed)
	})(w, r)
}
