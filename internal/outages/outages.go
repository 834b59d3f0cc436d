// Package outages makes up for what targets missed while their circuits were open, where a rule asks for it by the tag rialto:replay-on-close.
//
// What a circuit keeps it delivers by itself when it closes. But events that reach their greatest age meanwhile end as their rule says, and would
// be lost to the target. The archive that the tag names has them:
//
//	deliver ─► CircuitChanged ─► opened: an outage is written down, in the catalog
//	                             closed: its end is written down ─► a replay for each rule and target ─► it is struck out
//
// A replay goes to the one target of the one rule, and has the events that were accepted since the circuit opened and that were too old when it
// closed: those, and only those, the circuit does not deliver. Its name is made of what it is for, so that a start that is repeated after
// a crash is the same replay. So an opening is made up for once, also over kill -9. After a restart nobody knows of a circuit that it was open;
// then the first attempt that goes well ends the outage, if the circuit does not tell more.
//
// Start with [New].
package outages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/replay"
)

const (
	queued        = 4096             // changes of circuits that wait to be looked at
	retryPause    = 10 * time.Second // until replays that could not begin, because too many are active, are tried again
	finishTimeout = 2 * time.Second  // that an orderly end takes to write down the rest
)

// A Replayer carries out replays. *[replay.Service] is one.
type Replayer interface {
	Archive(s rialto.Scope, name string) (*catalog.Archive, error)
	Start(ctx context.Context, spec replay.Spec) (replay.Replay, error)
}

// Options tunes a Service. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
}

// A Service looks after outages.
type Service struct {
	opts    Options
	changes chan deliver.Circuit
	unseen  atomic.Int64 // of these
	unsure  atomic.Int64 // outages that an attempt ends which goes well, since their circuits have told nothing
	catalog *catalog.Catalog
	replays Replayer

	mu    sync.Mutex
	rules map[string]*catalog.Rule // that ask for replays, by key
	open  map[place]*outage        // that last
}

// A place is a destination, for the rules of one scope.
type place struct {
	scope rialto.Scope
	arn   string
}

// An outage that lasts.
type outage struct {
	catalog.Outage
	unsure bool // an attempt that goes well ends it
}

// New makes a Service. It can be an observer of deliveries from now on; everything else needs [Service.Attach].
func New(opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	return &Service{
		opts: opts, changes: make(chan deliver.Circuit, queued), rules: make(map[string]*catalog.Rule), open: make(map[place]*outage),
	}
}

// Attach says who knows the rules, and who carries out replays. It is called once, before deliveries begin.
func (s *Service) Attach(c *catalog.Catalog, r Replayer) {
	s.catalog, s.replays = c, r
	c.Rules.Follow(func(key string, _, is *catalog.Rule) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.rules, key)
		if is == nil || len(is.Tags) == 0 {
			return
		}
		if tuned, _ := is.Tuning(); tuned.ReplayOnClose != "" { // route tells of tags that cannot be read
			s.rules[key] = is
		}
	})
	for _, e := range c.Outages.List("", "", 0) {
		if scope, _ := catalog.SplitKey(e.Key); e.Value.Closed.IsZero() {
			s.open[place{scope, e.Value.ARN}] = &outage{*e.Value, true}
			s.unsure.Add(1)
		}
	}
}

// Accepted is of no interest here.
func (s *Service) Accepted(*deliver.Accepted) {}

// Attempted ends an outage from before the start, if the attempt went well and the circuit knows nothing of it. It never waits.
func (s *Service) Attempted(a *deliver.Attempted) {
	if s.unsure.Load() == 0 || a.Letter || a.Err != nil || a.Verdict.Action != deliver.Done {
		return
	}
	at := place{a.For.Rule.Scope(), a.For.ARN}
	if s.sure(at) {
		s.note(deliver.Circuit{Scope: at.scope, ARN: at.arn, State: deliver.CircuitClosed, Since: s.opts.Clock.Now()})
	}
}

// sure takes it that the circuit of a destination is known now, and reports whether it was not.
func (s *Service) sure(at place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[at]
	if o == nil || !o.unsure {
		return false
	}
	o.unsure = false
	s.unsure.Add(-1)
	return true
}

// CircuitChanged takes note of a change. It never waits.
func (s *Service) CircuitChanged(c *deliver.Circuit) {
	s.sure(place{c.Scope, c.ARN})
	s.note(*c)
}

func (s *Service) note(c deliver.Circuit) {
	s.unseen.Add(1)
	select {
	case s.changes <- c:
	default:
		s.unseen.Add(-1)
		s.opts.Logger.Warn("change of a circuit not looked at: too many at once", "target", c.ARN, "state", c.State.String())
	}
}

// Run looks after outages until ctx ends. It begins with those that had ended before and were not made up for.
func (s *Service) Run(ctx context.Context) error {
	retry := rialto.Real(s.opts.Clock).NewTimer(retryPause)
	defer retry.Stop()
	s.makeUp(ctx)
	for {
		select {
		case c := <-s.changes:
			s.change(ctx, &c)
			s.makeUp(ctx)
			s.unseen.Add(-1)
		case <-retry.C():
			s.makeUp(ctx)
			retry.Reset(retryPause)
		case <-ctx.Done():
			s.finish(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// Due says how much circuits have told that was not looked at, for whoever moves a virtual clock.
func (s *Service) Due(context.Context) (next time.Time, inHand int, err error) {
	return time.Time{}, int(s.unseen.Load()), nil
}

// finish writes down what circuits have told before the end.
func (s *Service) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	for {
		select {
		case c := <-s.changes:
			s.change(ctx, &c)
		default:
			return
		}
	}
}

// change writes down what a circuit tells: that an outage begins, or ends.
func (s *Service) change(ctx context.Context, c *deliver.Circuit) {
	at := place{c.Scope, c.ARN}
	s.mu.Lock()
	o := s.open[at]
	s.mu.Unlock()
	var err error
	switch {
	case c.State == deliver.CircuitClosed && o != nil:
		err = s.end(ctx, at, o, c.Since)
	case c.State != deliver.CircuitClosed && o == nil && len(s.asking(at)) > 0:
		err = s.begin(ctx, at, catalog.Outage{ARN: c.ARN, Opened: c.Since.UTC()})
	}
	if err != nil {
		s.opts.Logger.Error("outage not written down", "target", c.ARN, "state", c.State.String(), "err", err)
	}
}

func (s *Service) begin(ctx context.Context, at place, o catalog.Outage) error {
	_, err := s.catalog.Outages.Edit(ctx, catalog.OutageKey(at.scope, &o), func(*catalog.Outage) (*catalog.Outage, error) { return &o, nil })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[at] = &outage{Outage: o}
	return nil
}

func (s *Service) end(ctx context.Context, at place, o *outage, closed time.Time) error {
	_, err := s.catalog.Outages.Edit(ctx, catalog.OutageKey(at.scope, &o.Outage), func(was *catalog.Outage) (*catalog.Outage, error) {
		if was == nil {
			return nil, catalog.Unchanged
		}
		is := *was
		is.Closed = closed.UTC()
		return &is, nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil { // the next attempt that goes well tries again
		if !o.unsure {
			o.unsure = true
			s.unsure.Add(1)
		}
		return err
	}
	delete(s.open, at)
	return nil
}

// asking lists the rules that want a replay for a destination.
func (s *Service) asking(at place) (rules []*catalog.Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, r := range s.rules {
		if scope, _ := catalog.SplitKey(key); scope != at.scope {
			continue
		}
		for i := range r.Targets {
			if r.Targets[i].ARN == at.arn {
				rules = append(rules, r)
				break
			}
		}
	}
	return rules
}

// makeUp begins the replays of every outage that has ended, and strikes out those for which that is done.
func (s *Service) makeUp(ctx context.Context) {
	for _, e := range s.catalog.Outages.List("", "", 0) {
		if e.Value.Closed.IsZero() || ctx.Err() != nil {
			continue
		}
		scope, _ := catalog.SplitKey(e.Key)
		done := true
		for _, r := range s.asking(place{scope, e.Value.ARN}) {
			for i := range r.Targets {
				if r.Targets[i].ARN == e.Value.ARN {
					done = s.replay(ctx, scope, e.Value, r, &r.Targets[i]) && done
				}
			}
		}
		if !done {
			continue
		}
		_, err := s.catalog.Outages.Edit(ctx, e.Key, func(*catalog.Outage) (*catalog.Outage, error) { return nil, nil })
		if err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("outage not struck out", "target", e.Value.ARN, "err", err)
		}
	}
}

// replay begins the replay of an outage to a target of a rule. It reports false if that has to be tried again.
func (s *Service) replay(ctx context.Context, scope rialto.Scope, o *catalog.Outage, r *catalog.Rule, t *catalog.Target) bool {
	until := o.Closed.Add(-r.Definition(scope, t).Retry.MaxAge) // what was accepted later the circuit delivers
	if !until.After(o.Opened) {
		return true
	}
	tuned, _ := r.Tuning() // it is one that asks
	rule := scope.RuleARN(r.Bus, r.Name).String()
	a, err := s.replays.Archive(scope, tuned.ReplayOnClose)
	if err == nil && a.Bus != r.Bus {
		err = rialto.Errorf(rialto.Invalid, "The archive %s is of the bus %s, not of the rule's.", a.Name, a.Bus)
	}
	if err == nil {
		_, err = s.replays.Start(ctx, replay.Spec{
			Scope: scope, Name: nameOf(o, rule, t.ID), Description: new(describe(r, t, o)), Archive: a.Name, Since: o.Opened, Until: until, Bus: r.Bus,
			Rules: []string{rule}, Target: t.ID, Perishable: true,
		})
	}
	switch kind := rialto.KindOf(err); {
	case err == nil:
		s.opts.Logger.Info("replay of what expired while a circuit was open", "rule", rule, "target", t.ID, "since", o.Opened, "until", until)
	case kind == rialto.Exists: // a crash came between this and striking out
	case kind == rialto.Unavailable || kind == rialto.Exceeded || ctx.Err() != nil:
		return false
	default:
		s.opts.Logger.Warn("no replay of what expired while a circuit was open", "rule", rule, "target", t.ID, "err", err)
	}
	return true
}

// nameOf is the name of the replay of an outage to a target: always the same.
func nameOf(o *catalog.Outage, rule, target string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{o.ARN, rule, target}, "\x00")))
	return fmt.Sprintf("on-close-%s-%s", o.Opened.UTC().Format("20060102T150405.000000"), hex.EncodeToString(sum[:6]))
}

// describe says what a replay is for, in as many characters as AWS allows.
func describe(r *catalog.Rule, t *catalog.Target, o *catalog.Outage) string {
	const most = 512 // (service model, ReplayDescription)
	text := fmt.Sprintf("What expired for target %s of rule %s while its circuit was open from %s to %s.", t.ID, r.Name, o.Opened.Format(time.RFC3339),
		o.Closed.Format(time.RFC3339))
	return text[:min(len(text), most)]
}
