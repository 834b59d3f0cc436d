package scheduler

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/cron"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/route"
)

// OwnerRules is the name of [Rules] among the owners of schedules.
const OwnerRules = "rule"

// An Events prepares the events of rules with a schedule, and tells those who look on of them. Package ingest has it.
type Events interface {
	Scheduled(bus route.Bus, rule rialto.RuleName, at time.Time) (deliver.Accepted, error)
	Committed(bus route.Bus, events []deliver.Accepted)
}

// Rules are the schedules of rules. They follow the catalog: a rule that is enabled with another expression counts anew, and one that
// keeps its expression keeps its pace (EventBridge user guide, "Rules that run on a schedule").
type Rules struct {
	timers  *Timers
	catalog *catalog.Catalog
	events  Events
	log     *slog.Logger

	mu    sync.Mutex
	dirty map[Place]bool // whose rule may ask for something else than the timers do
	busy  bool           // one is being looked at
	news  chan struct{}  // has a value when dirty may have one
}

var _ Owner = (*Rules)(nil)

// NewRules makes Rules whose schedules the timers keep.
func NewRules(t *Timers, c *catalog.Catalog, e Events) *Rules {
	r := &Rules{timers: t, catalog: c, events: e, log: t.opts.Logger, dirty: make(map[Place]bool), news: make(chan struct{}, 1)}
	t.Own(OwnerRules, r)
	c.Rules.Follow(func(key string, was, is *catalog.Rule) {
		if expression(was) != expression(is) {
			scope, _ := catalog.SplitKey(key)
			if is == nil {
				is = was
			}
			r.look(place(route.Bus{Scope: scope, Name: is.Bus}, is.Name))
		}
	})
	return r
}

// expression is that of an enabled rule with a schedule, and empty for every other.
func expression(r *catalog.Rule) string {
	if r == nil || !r.Enabled || r.Schedule == nil {
		return ""
	}
	return *r.Schedule
}

// place is where the schedule of a rule is kept: with the events of its bus.
func place(bus route.Bus, rule rialto.RuleName) Place {
	return Place{Owner: OwnerRules, Home: bus.ARN().String(), Name: string(rule)}
}

// rule is that of a place, nil if it is gone.
func (r *Rules) rule(p Place) (route.Bus, *catalog.Rule) {
	arn, err := rialto.ParseARN(p.Home)
	if err != nil {
		return route.Bus{}, nil
	}
	bus := route.Bus{Scope: arn.Scope(), Name: rialto.BusName(arn.Resource[len("event-bus/"):])}
	return bus, r.catalog.Rules.Get(catalog.RuleKey(bus.Scope, bus.Name, rialto.RuleName(p.Name)))
}

// look has a place compared with its rule.
func (r *Rules) look(p Place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirty[p] = true
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// Run keeps the timers to what rules ask for until ctx ends.
func (r *Rules) Run(ctx context.Context) error {
	for pause := minPause; ; {
		err := r.settleAll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			pause = minPause
			select {
			case <-r.news:
			case <-ctx.Done():
				return nil
			}
			continue
		}
		r.log.Warn("schedules of rules wait", "err", err)
		timer := rialto.Real(r.timers.opts.Clock).NewTimer(pause)
		pause = min(2*pause, maxPause)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

func (r *Rules) settleAll(ctx context.Context) error {
	for {
		p, ok := r.take()
		if !ok {
			return nil
		}
		if err := r.settle(ctx, p); err != nil {
			r.look(p)
			return err
		}
	}
}

func (r *Rules) take() (Place, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.dirty {
		delete(r.dirty, p)
		r.busy = true
		return p, true
	}
	r.busy = false
	return Place{}, false
}

// A ruleSchedule is the definition of a rule's schedule.
type ruleSchedule struct {
	Expression string    `json:"expression"`
	From       time.Time `json:"from"` // when a rate began to count
}

// settle makes the schedule of a place what its rule asks for.
func (r *Rules) settle(ctx context.Context, p Place) error {
	_, rule := r.rule(p)
	want := expression(rule)
	is, err := r.timers.Get(ctx, p)
	if err != nil && rialto.KindOf(err) != rialto.NotFound {
		return err
	}
	there := err == nil
	var d ruleSchedule
	if there && json.Unmarshal(is.Definition, &d) == nil && d.Expression == want {
		return nil
	}
	if want == "" {
		if there {
			err = r.timers.Delete(ctx, p)
		}
		if rialto.KindOf(err) == rialto.NotFound {
			return nil
		}
		return err
	}
	d = ruleSchedule{want, r.timers.opts.Clock.Now().UTC().Truncate(time.Second)}
	s, err := d.schedule()
	if err != nil {
		r.log.Error("schedule of a rule left out", "rule", p.Name, "err", err) // a newer version wrote it
		return nil
	}
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = r.timers.Put(ctx, p, dueAt(s.Next(d.From)), body)
	return err
}

func (d *ruleSchedule) schedule() (cron.Schedule, error) {
	s, err := cron.ParseRule(d.Expression)
	return s.From(d.From), err
}

// dueAt is a Due at a time, if there is one.
func dueAt(t time.Time, ok bool) Due {
	if !ok {
		return Due{}
	}
	return Due{Time: t, At: t}
}

// Occur makes the event of a rule. Of several occurrences that fell into a time in which nothing ran, the last stands for all.
func (r *Rules) Occur(_ context.Context, o Occurrence) ([]deliver.Accepted, Due) {
	var d ruleSchedule
	bus, rule := r.rule(o.Place)
	if err := json.Unmarshal(o.Definition, &d); err != nil || d.Expression != expression(rule) {
		r.look(o.Place)
		return nil, Due{}
	}
	s, err := d.schedule()
	if err != nil {
		r.log.Error("schedule of a rule left out", "rule", o.Name, "err", err)
		return nil, Due{}
	}
	at := latest(s, o.Due, o.Since)
	next := dueAt(s.Next(at))
	e, err := r.events.Scheduled(bus, rule.Name, at)
	if err != nil {
		r.log.Error("event of a schedule left out", "rule", o.Name, "err", err)
		return nil, next
	}
	return []deliver.Accepted{e}, next
}

// Occurred tells those who look on.
func (r *Rules) Occurred(o Occurrence, events []deliver.Accepted) {
	bus, _ := r.rule(o.Place)
	r.events.Committed(bus, events)
}

// latest is the last occurrence, from the one that is due on, that is not after a time.
func latest(s cron.Schedule, due, since time.Time) time.Time {
	for {
		next, ok := s.Next(due)
		if !ok || next.After(since) {
			return due
		}
		due = next
	}
}
