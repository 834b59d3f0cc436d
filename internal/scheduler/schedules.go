package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/target"
)

// OwnerSchedules is the name of [Schedules] among the owners of schedules.
const OwnerSchedules = "schedule"

// Texts of EventBridge Scheduler (recorded on AWS).
const (
	noSchedule     = "Schedule %s does not exist."
	noGroup        = "Schedule group %s does not exist."
	scheduleExists = "Schedule %s already exists."
)

// Schedules are those of EventBridge Scheduler, with their groups.
type Schedules struct {
	timers  *Timers
	catalog *catalog.Catalog
	opts    SchedulesOptions
	log     *slog.Logger
	clock   rialto.Clock

	making sync.RWMutex // held for reading while a schedule is put into a group that was seen to be there

	mu    sync.Mutex
	ended map[string]bool // homes of schedules whose last occurrence may have ended
	moved map[string]bool // keys of groups that may have to go, or whose schedules may be held no more
	busy  bool            // something is being cleared up
	news  chan struct{}   // has a value when there is something to clear up
	gone  *recall         // what was deleted lately

	sealed map[kinship]*target.Sealed // definitions of deliveries; guarded by mu, too
}

var _ Owner = (*Schedules)(nil)

// SchedulesOptions tunes [Schedules].
type SchedulesOptions struct {
	Deliver   Deliveries                // of what schedules cause
	MaxGroups int                       // in one scope; 0 is no limit
	Accepted  func(e *deliver.Accepted) // is told of each occurrence that was committed; nil is nobody
	Room      func() error              // says why nothing new can be stored, if that is so; nil is never
}

// Deliveries are those of occurrences. Package deliver has them.
type Deliveries interface {
	// Accept takes events, each with its targets.
	Accept(ctx context.Context, events []deliver.Accepted) error
	// Unended calls found with each event that has a delivery which has not ended, by a definition that is wanted.
	Unended(ctx context.Context, wanted func(*target.Definition) bool, found func(event []byte)) error
}

// NewSchedules makes Schedules that the timers keep.
func NewSchedules(t *Timers, c *catalog.Catalog, opts SchedulesOptions) *Schedules {
	if opts.Room == nil {
		opts.Room = func() error { return nil }
	}
	s := &Schedules{
		timers: t, catalog: c, opts: opts, log: t.opts.Logger, clock: t.opts.Clock,
		ended: make(map[string]bool), moved: make(map[string]bool), sealed: make(map[kinship]*target.Sealed), news: make(chan struct{}, 1), gone: newRecall(t.opts.Clock),
	}
	t.Own(OwnerSchedules, s)
	c.Groups.Follow(func(key string, was, is *catalog.ScheduleGroup) {
		if is != nil && (is.Deleting || !is.Paused && (was == nil || was.Paused)) {
			s.mark(s.moved, key)
		}
	})
	return s
}

// A Shown is a schedule as it is now.
type Shown struct {
	ScheduleName
	Definition
	Next  Due       // zero if it does not fire any more, or not as it is
	Fired time.Time // the last time that it has fired for; zero if it never has
}

// Create makes a schedule. If it is there already, made by a call with the same client token for the same, that is the answer again.
func (s *Schedules) Create(ctx context.Context, scope rialto.Scope, d Definition, clientToken string) (rialto.ARN, error) {
	n := ScheduleName{scope, d.Group, d.Name}
	if err := s.opts.Room(); err != nil {
		return rialto.ARN{}, err
	}
	now := s.clock.Now().UTC()
	d.CreateToken = tokenFor(clientToken, d)
	d.Created, d.Modified, d.From = now, now, now.Truncate(time.Second)
	due, body, err := s.prepare(n, &d, time.Time{}, now)
	if err != nil {
		return rialto.ARN{}, err
	}
	s.making.RLock()
	defer s.making.RUnlock()
	if err := s.openGroup(scope, d.Group); err != nil {
		return rialto.ARN{}, err
	}
	_, err = s.timers.Create(ctx, n.place(), due, body)
	if rialto.KindOf(err) != rialto.Exists || err == nil {
		return n.ARN(), err
	}
	is, err := s.Get(ctx, n)
	switch {
	case err != nil:
		return rialto.ARN{}, err
	case clientToken == "" || is.CreateToken.Token != clientToken:
		return rialto.ARN{}, rialto.Errorf(rialto.Exists, scheduleExists, d.Name)
	case is.CreateToken != d.CreateToken:
		return rialto.ARN{}, otherRequest(clientToken)
	}
	return n.ARN(), nil
}

// otherRequest says that a token was used for something else. AWS's text is not known.
func otherRequest(clientToken string) error {
	return rialto.Errorf(rialto.Conflict, "The client token %s was used for another request already.", clientToken)
}

// prepare finds out when a definition is due first, and encodes it.
func (s *Schedules) prepare(n ScheduleName, d *Definition, fired, now time.Time) (Due, []byte, error) {
	p, err := d.pace(n)
	if err != nil {
		return Due{}, nil, err
	}
	due := p.first(now, fired)
	if due.Time.IsZero() && !p.Once() {
		return Due{}, nil, rialto.Errorf(rialto.Invalid, // AWS's text is not known
			"The schedule expression %s will never schedule an invocation given its StartDate and EndDate.", d.Expression)
	}
	if !d.Enabled {
		due = Due{}
	}
	body, err := json.Marshal(d)
	return due, body, err
}

// Update replaces a schedule. A call with the same client token for the same changes nothing again.
func (s *Schedules) Update(ctx context.Context, scope rialto.Scope, d Definition, clientToken string) (rialto.ARN, error) {
	n := ScheduleName{scope, d.Group, d.Name}
	if err := s.opts.Room(); err != nil {
		return rialto.ARN{}, err
	}
	s.making.RLock()
	defer s.making.RUnlock()
	if err := s.openGroup(scope, d.Group); err != nil {
		return rialto.ARN{}, err
	}
	for {
		kept, was, err := s.get(ctx, n)
		if err != nil {
			return rialto.ARN{}, err
		}
		now, is := s.clock.Now().UTC(), d
		is.UpdateToken = tokenFor(clientToken, d)
		if clientToken != "" && was.UpdateToken.Token == clientToken {
			if was.UpdateToken != is.UpdateToken {
				return rialto.ARN{}, otherRequest(clientToken)
			}
			return n.ARN(), nil
		}
		is.CreateToken, is.Created, is.Modified, is.From = was.CreateToken, was.Created, now, was.From
		if is.Expression != was.Expression {
			is.From = now.Truncate(time.Second)
		}
		due, body, err := s.prepare(n, &is, kept.Fired, now)
		if err != nil {
			return rialto.ARN{}, err
		}
		_, err = s.timers.Replace(ctx, n.place(), kept.Revision, due, body)
		if rialto.KindOf(err) == rialto.Conflict && err != nil {
			continue // somebody else changed it in between
		}
		return n.ARN(), missing(err, n)
	}
}

// missing says in AWS's words that a schedule is not there.
func missing(err error, n ScheduleName) error {
	if err != nil && rialto.KindOf(err) == rialto.NotFound {
		return rialto.Errorf(rialto.NotFound, noSchedule, n.Name)
	}
	return err
}

// Get returns a schedule.
func (s *Schedules) Get(ctx context.Context, n ScheduleName) (Shown, error) {
	if err := s.knownGroup(n.Scope, n.Group); err != nil {
		return Shown{}, err
	}
	kept, d, err := s.get(ctx, n)
	return Shown{ScheduleName: n, Definition: d, Next: kept.Next, Fired: kept.Fired}, err
}

func (s *Schedules) get(ctx context.Context, n ScheduleName) (Schedule, Definition, error) {
	kept, err := s.timers.Get(ctx, n.place())
	if err != nil {
		return kept, Definition{}, missing(err, n)
	}
	var d Definition
	if err := unmarshal(kept.Definition, &d); err != nil {
		return kept, d, fmt.Errorf("read schedule %s: %w", n.ARN(), err)
	}
	return kept, d, nil
}

// DefinitionOf is how what a schedule causes is delivered by now, or nil if there is no such schedule. It is not enabled if it does not fire at
// present, for itself or for its group.
func (s *Schedules) DefinitionOf(ctx context.Context, arn rialto.ARN) (d *target.Definition, enabled bool, err error) {
	n, ok := nameOf(arn)
	if !ok {
		return nil, false, nil
	}
	g, err := s.Group(n.Scope, n.Group)
	if err == nil {
		var is Definition
		if _, is, err = s.get(ctx, n); err == nil {
			return is.delivery(n.Scope, false), is.Enabled && !g.Paused, nil
		}
	}
	if rialto.KindOf(err) == rialto.NotFound {
		err = nil
	}
	return nil, false, err
}

// Delete deletes a schedule. What it has caused already goes on. A call with the token of one that has deleted it does nothing.
func (s *Schedules) Delete(ctx context.Context, n ScheduleName, clientToken string) error {
	if err := s.knownGroup(n.Scope, n.Group); err != nil {
		return err
	}
	err := s.timers.Delete(ctx, n.place())
	switch {
	case err == nil:
		s.gone.note(n.ARN(), clientToken)
	case rialto.KindOf(err) == rialto.NotFound && s.gone.knows(n.ARN(), clientToken):
		return nil
	}
	return missing(err, n)
}

// A Query says which schedules of a scope are listed.
type Query struct {
	Group  string // empty is all
	Prefix string // of their names
	State  *bool  // whether they are enabled; nil is all
}

// listAtOnce is how many names are looked through at a time.
const listAtOnce = 1000

// List lists schedules, in the order of their ARNs: those after one, no more than most.
func (s *Schedules) List(ctx context.Context, scope rialto.Scope, q Query, after string, most int) ([]Shown, error) {
	prefix := scope.ARN("scheduler", "schedule/").String()
	if q.Group != "" {
		if err := s.knownGroup(scope, q.Group); err != nil {
			return nil, err
		}
		prefix += q.Group + "/" + q.Prefix
	}
	var list []Shown
	for {
		homes, err := s.timers.Homes(ctx, OwnerSchedules, prefix, after, listAtOnce)
		if err != nil {
			return nil, err
		}
		for _, home := range homes {
			if list, err = s.list(ctx, list, home, q); err != nil || len(list) == most {
				return list, err
			}
		}
		if len(homes) < listAtOnce {
			return list, nil
		}
		after = homes[len(homes)-1]
	}
}

// list appends the schedule of a home to a list, if it is one that is wanted.
func (s *Schedules) list(ctx context.Context, list []Shown, home string, q Query) ([]Shown, error) {
	arn, err := rialto.ParseARN(home)
	n, ok := nameOf(arn)
	if err != nil || !ok || !strings.HasPrefix(n.Name, q.Prefix) {
		return list, nil
	}
	kept, d, err := s.get(ctx, n)
	switch {
	case err != nil && rialto.KindOf(err) == rialto.NotFound: // gone in the meantime
		return list, nil
	case err != nil:
		return list, err
	case q.State != nil && *q.State != d.Enabled:
		return list, nil
	}
	return append(list, Shown{n, d, kept.Next, kept.Fired}), nil
}
