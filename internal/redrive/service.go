package redrive

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/target"
)

// MaxRate is how many letters a second a redrive moves at most, if it is limited at all.
const MaxRate = 100_000

// A Deliverer takes events, and knows which it has taken. Package deliver has it.
type Deliverer interface {
	Accept(ctx context.Context, events []deliver.Accepted) error
	Remembers(ctx context.Context, keys [][16]byte) ([]bool, error)
	Release(ctx context.Context, home string, keys [][16]byte) error
}

// Options tunes a Service. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's

	Subscriptions Subscriptions // nil knows none
	Schedules     Schedules     // nil knows none
}

// Subscriptions are how subscriptions of topics are delivered to now, by their ARNs.
type Subscriptions func(arn rialto.ARN) (*target.Definition, bool)

// Schedules are how what schedules cause is delivered now, by their ARNs; nil for one that does not exist. One that is not enabled does not fire
// at present, or its group does not.
type Schedules func(ctx context.Context, arn rialto.ARN) (d *target.Definition, enabled bool, err error)

// A Service shows dead letters and carries redrives out.
type Service struct {
	queues  *queue.Service
	catalog *catalog.Catalog
	deliver Deliverer
	opts    Options

	mu   sync.Mutex
	jobs map[uuid.UUID]*job // the redrives that are carried out here
}

// New makes a Service. Nothing is carried out before [Service.Run].
func New(queues *queue.Service, cat *catalog.Catalog, d Deliverer, opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	return &Service{queues: queues, catalog: cat, deliver: d, opts: opts, jobs: make(map[uuid.UUID]*job)}
}

// A Spec says what a redrive is about.
type Spec struct {
	Filter
	To string `json:"to,omitempty"` // ARN of what the events are delivered to; empty is the target that each came from, as it is now
}

// A Redrive is a redrive as it is now.
type Redrive struct {
	queue.Redrive
	Spec Spec
}

// FailedN is how many letters could not be handed over, for whatever reason.
func (r *Redrive) FailedN() int { return sum(r.Failed) }

// SkippedN is how many letters were left alone, for whatever reason.
func (r *Redrive) SkippedN() int { return sum(r.Skipped) }

func sum(list []queue.Tally) (n int) {
	for _, t := range list {
		n += t.N
	}
	return n
}

// Start begins a redrive of the letters that are visible in a queue now, so many a second or, if rate is 0, without a pause. It
// goes on by itself.
func (s *Service) Start(ctx context.Context, at queue.Address, spec Spec, rate int) (*Redrive, error) {
	if err := checkRate(rate); err != nil {
		return nil, err
	}
	if spec.To != "" {
		if err := s.checkDestination(at, spec.To); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	id, err := s.queues.BeginRedrive(ctx, at, b, rate)
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, at, id)
}

func checkRate(rate int) error {
	if rate < 0 || rate > MaxRate {
		return rialto.Errorf(rialto.Invalid, "The rate is from 1 to %d dead letters a second, or 0 for as many as there are.", MaxRate)
	}
	return nil
}

// checkDestination refuses what the letters of a queue cannot be delivered to.
func (s *Service) checkDestination(from queue.Address, to string) error {
	arn, err := rialto.ParseARN(to)
	switch {
	case err != nil:
		return rialto.Errorf(rialto.Invalid, "%q is not an ARN. Name a target, a queue or an event bus by its ARN, or nothing for the targets "+
			"that the events came from.", to)
	case arn.Account != from.Scope.Account:
		return rialto.Errorf(rialto.Denied, "%s belongs to another account.", to)
	case arn == from.ARN():
		return rialto.Errorf(rialto.Invalid, "The dead letters are in the queue %s already.", from.Name)
	}
	at, isQueue := queue.AddressOf(arn)
	if bus, isBus := strings.CutPrefix(arn.Resource, "event-bus/"); isBus && arn.Service == "events" {
		name := rialto.BusName(bus)
		if name != rialto.DefaultBus && s.catalog.Buses.Get(catalog.BusKey(arn.Scope(), name)) == nil {
			return rialto.Errorf(rialto.NotFound, "Event bus %s does not exist.", name)
		}
	}
	if isQueue {
		return s.queues.Exists(at)
	}
	return nil
}

// Get returns one redrive.
func (s *Service) Get(ctx context.Context, at queue.Address, id uuid.UUID) (*Redrive, error) {
	r, err := s.queues.Redrive(ctx, at, id)
	if err != nil {
		return nil, err
	}
	return shown(r), nil
}

func shown(r queue.Redrive) *Redrive {
	is := &Redrive{Redrive: r}
	_ = json.Unmarshal(r.Spec, &is.Spec) // Start wrote it; another version may have written more
	return is
}

// Redrives returns the redrives of a scope that are remembered, the newest first.
func (s *Service) Redrives(ctx context.Context, scope rialto.Scope) ([]*Redrive, error) {
	all, err := s.queues.Redrives(ctx)
	if err != nil {
		return nil, err
	}
	var list []*Redrive
	for _, r := range all {
		if r.Queue.Scope == scope {
			list = append(list, shown(r))
		}
	}
	return list, nil
}

// Find returns the redrive of a scope that has an id.
func (s *Service) Find(ctx context.Context, scope rialto.Scope, id string) (*Redrive, error) {
	list, err := s.Redrives(ctx, scope)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.ID.String() == id {
			return r, nil
		}
	}
	return nil, rialto.Errorf(rialto.NotFound, "There is no redrive %s. Of each queue the last few are remembered.", id)
}

// Pause has a redrive rest until it is resumed.
func (s *Service) Pause(ctx context.Context, r *Redrive) error {
	return s.queues.PauseRedrive(ctx, r.Queue, r.ID)
}

// Resume ends a pause.
func (s *Service) Resume(ctx context.Context, r *Redrive) error {
	return s.queues.ResumeRedrive(ctx, r.Queue, r.ID)
}

// Cancel ends a redrive. The letters that were not moved stay where they are.
func (s *Service) Cancel(ctx context.Context, r *Redrive) error {
	return s.queues.CancelRedrive(ctx, r.Queue, r.ID)
}

// SetRate changes how many letters a second a redrive moves; 0 is as many as there are.
func (s *Service) SetRate(ctx context.Context, r *Redrive, rate int) error {
	if err := checkRate(rate); err != nil {
		return err
	}
	return s.queues.SetRedriveRate(ctx, r.Queue, r.ID, rate)
}

// Queues are the queues of a scope, in the order of their names.
func (s *Service) Queues(scope rialto.Scope) []queue.Address {
	var list []queue.Address
	for _, name := range s.queues.List(scope, "", "", 0) {
		list = append(list, queue.Address{Scope: scope, Name: name})
	}
	return list
}

const (
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second // between two tries when something cannot be reached
)
