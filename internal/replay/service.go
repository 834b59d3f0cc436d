package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// A History is what archives have. Package history has it.
type History interface {
	Flush(ctx context.Context, archive string) error
	Cut(ctx context.Context, archive string, w history.Window) (*history.Edge, history.Total, error)
	Read(ctx context.Context, archive string, w history.Window, after history.Position) iter.Seq2[history.Entry, error]
}

// An Events prepares events to come again, and tells those who look on of them. Package ingest has it.
type Events interface {
	Again(bus route.Bus, replay string, event []byte) (deliver.Accepted, error)
	Committed(bus route.Bus, events []deliver.Accepted)
	Expires(bus route.Bus, e *deliver.Accepted) time.Time
	Room() error
}

// A Deliverer commits events with how far a replay is. Package deliver has it.
type Deliverer interface {
	Home(name string) int
	AcceptAlong(ctx context.Context, along deliver.Along, events []deliver.Accepted) (any, error)
	Lag(targets []*target.Sealed) int
	Held(ctx context.Context, home string, targets []*target.Sealed) (int, error)
}

// Options tunes a Service. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
	Most   int          // replays of a scope that may be active at once; 0 is AWS's 10
	Lag    int          // deliveries that may wait for the slowest target of a replay until it waits, too; 0 is 10000
}

const (
	defaultMost = 10 // concurrent replays of an account and region (EventBridge quotas)
	defaultLag  = 10_000
)

// A Service carries out replays.
type Service struct {
	catalog *catalog.Catalog
	history History
	events  Events
	deliver Deliverer
	opts    Options
	hosts   []*host
	started sync.Mutex    // held while a replay begins: how many there are, and its name, are looked at before
	news    chan struct{} // has a value when there may be something to do

	under atomic.Int64 // batches on their way into the log

	mu      sync.Mutex
	replays map[string]*known    // by key: as the machines have them
	waits   map[string]string    // by key: Replay.Waits
	sleeps  map[string]time.Time // by key: until when a runner has nothing to do; zero if that is no matter of time
	ready   bool                 // the machines have told of all that there were at the start
}

// A known replay is one as its machine has told of it last.
type known struct {
	*Replay
	host    *host
	changed chan struct{} // closed when it has changed
}

// A host is one shard.
type host struct {
	service *Service
	machine *Machine
	shard   *shard.Shard
}

// New makes a Service.
func New(c *catalog.Catalog, h History, events Events, d Deliverer, opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	opts.Most = cmp.Or(opts.Most, defaultMost)
	opts.Lag = cmp.Or(opts.Lag, defaultLag)
	return &Service{
		catalog: c, history: h, events: events, deliver: d, opts: opts, news: make(chan struct{}, 1), replays: make(map[string]*known),
		waits: make(map[string]string), sleeps: make(map[string]time.Time),
	}
}

// Host makes the machine for one more shard. It is called once for each, in order, before the shards are opened.
func (s *Service) Host() shard.Hosted {
	h := &host{service: s, machine: newMachine()}
	s.hosts = append(s.hosts, h)
	return shard.Hosted{Machine: h.machine, Handler: h.handle}
}

// Attach tells which shards the machines are on. It is called once, after the shards were opened, before anything else is.
func (s *Service) Attach(shards []*shard.Shard) {
	if len(shards) != len(s.hosts) {
		panic(fmt.Sprintf("replay: %d shards for %d machines", len(shards), len(s.hosts)))
	}
	for i, h := range s.hosts {
		h.shard = shards[i]
	}
}

// handle takes the machine's effects. The shard's owner calls it.
func (h *host) handle(effects []any) {
	for _, e := range effects {
		switch e := e.(type) {
		case *Replay:
			h.service.learn(h, e)
		case gone:
			h.service.forget(string(e))
		}
	}
}

// learn takes in what a machine says of a replay, unless more is known already: whoever proposes a command hears of it a moment before the
// handler of effects does.
func (s *Service) learn(h *host, r *Replay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.replays[r.key()]
	if ok && was.Revision >= r.Revision {
		return
	}
	s.replays[r.key()] = &known{Replay: r, host: h, changed: make(chan struct{})}
	delete(s.sleeps, r.key())
	if ok {
		close(was.changed)
	}
	if !ok || was.State != r.State {
		s.tell()
	}
}

func (s *Service) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.replays[key]; ok {
		delete(s.replays, key)
		delete(s.sleeps, key)
		close(was.changed)
	}
}

func (s *Service) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// recovered waits until the machines have told of everything that there was at the start.
func (s *Service) recovered(ctx context.Context) error {
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	if ready {
		return nil
	}
	for _, h := range s.hosts {
		if err := h.shard.View(ctx, func() {}); err != nil {
			return fmt.Errorf("look for replays in %s: %w", h.shard.Name(), err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	return nil
}

// find returns a replay as it is known.
func (s *Service) find(ctx context.Context, scope rialto.Scope, name string) (*known, error) {
	if err := s.recovered(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.replays[key(scope, name)]
	if !ok || k.expired(s.opts.Clock.Now()) {
		return nil, rialto.Errorf(rialto.NotFound, "Replay %s does not exist.", name)
	}
	return k, nil
}

// Get returns a replay.
func (s *Service) Get(ctx context.Context, scope rialto.Scope, name string) (Replay, error) {
	k, err := s.find(ctx, scope, name)
	if err != nil {
		return Replay{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.show(k), nil
}

// show is a replay as it is known, with what it waits for. s.mu is held.
func (s *Service) show(k *known) Replay {
	r := *k.Replay
	r.Waits = s.waits[r.key()]
	return r
}

// wait takes down what a replay waits for; "" is nothing.
func (s *Service) wait(key, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if what == "" {
		delete(s.waits, key)
		return
	}
	s.waits[key] = what
}

// List returns the replays of a scope, sorted by name.
func (s *Service) List(ctx context.Context, scope rialto.Scope) ([]Replay, error) {
	if err := s.recovered(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock.Now()
	var list []Replay
	for _, k := range s.replays {
		if k.Scope == scope && !k.expired(now) {
			list = append(list, s.show(k))
		}
	}
	slices.SortFunc(list, func(a, b Replay) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Start begins a replay. What the archive has got before the call is in it. Archive and bus must be there; ArchiveID is filled in.
func (s *Service) Start(ctx context.Context, spec Spec) (Replay, error) {
	if err := cmp.Or(spec.check(), s.recovered(ctx)); err != nil {
		return Replay{}, err
	}
	a, err := s.Archive(spec.Scope, spec.Archive)
	if err != nil {
		return Replay{}, err
	}
	spec.ArchiveID, spec.From, spec.To = a.ID, utc(spec.From), utc(spec.To)
	spec.Since, spec.Until = utc(spec.Since), utc(spec.Until)
	s.started.Lock()
	defer s.started.Unlock()
	if err := s.wantRoom(ctx, &spec); err != nil {
		return Replay{}, err
	}
	r := Replay{Spec: spec, Started: s.opts.Clock.Now().UTC()}
	edge, has, err := s.history.Cut(ctx, a.ID, r.window())
	if err != nil && history.Damages(err) == nil { // of damage the replay tells
		return Replay{}, fmt.Errorf("gather what archive %s has: %w", a.Name, err)
	}
	r.Edge, r.Expected = edge, has.Events
	body, err := json.Marshal(&r)
	if err != nil {
		return Replay{}, fmt.Errorf("start replay %s: %w", spec.Name, err)
	}
	return s.propose(ctx, s.hosts[s.deliver.Home(spec.home())], kindStart, body)
}

// Archive is the archive of a name.
func (s *Service) Archive(scope rialto.Scope, name string) (*catalog.Archive, error) {
	if a := s.catalog.Archives.Get(catalog.NameKey(scope, name)); a != nil {
		return a, nil
	}
	return nil, rialto.Errorf(rialto.NotFound, "Archive %s does not exist.", name)
}

// utc is a time as it can be written down: years have four digits there. The zero time, which stands for none, stays what it is.
func utc(t time.Time) time.Time {
	first, last := time.Time{}.Add(time.Second), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	switch {
	case t.IsZero():
		return time.Time{}
	case t.Before(first):
		return first
	case t.After(last):
		return last
	}
	return t.UTC()
}

// home is the home of the events of a bus, as package ingest has it, so that those of a replay have an order with those that are put.
func (s *Spec) home() string { return s.Scope.BusARN(s.Bus).String() }

func (s *Spec) bus() route.Bus { return route.Bus{Scope: s.Scope, Name: s.Bus} }

// wantRoom reports a name that is taken, or too many replays.
func (s *Service) wantRoom(ctx context.Context, spec *Spec) error {
	list, err := s.List(ctx, spec.Scope)
	if err != nil {
		return err
	}
	active := 0
	for i := range list {
		if list[i].Name == spec.Name {
			return errExists(spec.Name)
		}
		if list[i].State.Active() {
			active++
		}
	}
	if active >= s.opts.Most {
		return rialto.Errorf(rialto.Exceeded, "The requested resource exceeds the maximum number allowed.")
	}
	return nil
}

// propose has a command committed, and returns the replay as it is then.
func (s *Service) propose(ctx context.Context, h *host, kind shard.Kind, body []byte) (Replay, error) {
	answers, err := h.shard.Propose(ctx, func(b *shard.Batch) { b.Add(kind, body) })
	if err != nil {
		return Replay{}, err
	}
	switch is := answers[0].(type) {
	case *Replay:
		s.learn(h, is)
		return *is, nil
	case error:
		return Replay{}, is
	}
	return Replay{}, errUnknown
}

// Cancel ends a replay before its time. What it has put already is still delivered.
func (s *Service) Cancel(ctx context.Context, scope rialto.Scope, name string) (Replay, error) {
	return s.control(ctx, scope, name, controlCancel, Speed{})
}

// Pause lets a replay put nothing more until it is resumed, or cancelled.
func (s *Service) Pause(ctx context.Context, scope rialto.Scope, name string) (Replay, error) {
	return s.control(ctx, scope, name, controlPause, Speed{})
}

// Resume is the contrary of Pause.
func (s *Service) Resume(ctx context.Context, scope rialto.Scope, name string) (Replay, error) {
	return s.control(ctx, scope, name, controlResume, Speed{})
}

// SetSpeed changes how fast a replay is from now on.
func (s *Service) SetSpeed(ctx context.Context, scope rialto.Scope, name string, speed Speed) (Replay, error) {
	if err := speed.Check(); err != nil {
		return Replay{}, err
	}
	return s.control(ctx, scope, name, controlSpeed, speed)
}

func (s *Service) control(ctx context.Context, scope rialto.Scope, name string, what byte, speed Speed) (Replay, error) {
	k, err := s.find(ctx, scope, name)
	if err != nil {
		return Replay{}, err
	}
	r, err := s.propose(ctx, k.host, kindControl, controlCommand(k.key(), what, speed))
	if errors.Is(err, errOver) {
		err = rialto.WithCode(rialto.Conflict, "IllegalStatusException", "Replay %s is not in a valid state for this operation.", name)
	}
	return r, err
}

// Watch calls f with a replay as it is now, and again whenever it has changed, until it has ended, f returns false, or ctx ends.
func (s *Service) Watch(ctx context.Context, scope rialto.Scope, name string, f func(Replay) bool) error {
	for {
		k, err := s.find(ctx, scope, name)
		if err != nil {
			return err
		}
		if !f(*k.Replay) || !k.State.Active() {
			return nil
		}
		select {
		case <-k.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Complete fills in what a spec of somebody who is no AWS client leaves open, and reports what is not there: the bus is the archive's unless
// another is named, and rules may be named without their ARN.
func (s *Service) Complete(spec Spec) (Spec, error) {
	a, err := s.Archive(spec.Scope, spec.Archive)
	if err != nil {
		return spec, err
	}
	if spec.Bus == "" {
		spec.Bus = a.Bus
	}
	if spec.Bus != rialto.DefaultBus && s.catalog.Buses.Get(catalog.BusKey(spec.Scope, spec.Bus)) == nil {
		return spec, rialto.Errorf(rialto.NotFound, "Event bus %s does not exist.", spec.Bus)
	}
	prefix := strings.TrimSuffix(spec.Scope.RuleARN(spec.Bus, "").String(), "/") + "/"
	rules := make([]string, len(spec.Rules))
	var goals []catalog.Target
	for i, name := range spec.Rules {
		name = strings.TrimPrefix(name, prefix)
		r := s.catalog.Rules.Get(catalog.RuleKey(spec.Scope, spec.Bus, rialto.RuleName(name)))
		if r == nil {
			return spec, rialto.Errorf(rialto.NotFound, "Rule %s does not exist on EventBus %s.", name, spec.Bus)
		}
		rules[i], goals = spec.Scope.RuleARN(spec.Bus, r.Name).String(), append(goals, r.Targets...)
	}
	if spec.Rules = rules; len(rules) == 0 {
		spec.Rules = nil
	}
	if spec.Target != "" && !slices.ContainsFunc(goals, func(t catalog.Target) bool { return t.ID == spec.Target }) {
		return spec, rialto.Errorf(rialto.Invalid, "None of the rules that are named has the target %s. Name the rule, too.", spec.Target)
	}
	return spec, nil
}
