package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/shard"
)

const (
	dueMost   = 16 << 10               // occurrences that are looked for at a time
	fireMost  = 512                    // occurrences in one frame
	fireBytes = 512 << 10              // of their events, or one event
	fireAlong = 4                      // frames that are made, or on their way into the log
	minPause  = 50 * time.Millisecond  // between two tries
	maxPause  = 5 * time.Second        // between two tries
	maxSleep  = 100 * time.Millisecond // until the clock is looked at again: it may have been set
)

// An Owner knows what some schedules mean. Its methods may be called by several goroutines at once, but never for the same schedule.
type Owner interface {
	// Occur makes the events of an occurrence of a schedule, and says when the next one is due. There may be no event, and one may have
	// no targets.
	Occur(ctx context.Context, o Occurrence) (events []deliver.Accepted, next Due)
	// Occurred is told when an occurrence is over: its events are committed.
	Occurred(o Occurrence, events []deliver.Accepted)
}

// An Occurrence is a schedule that is due.
type Occurrence struct {
	Place
	Revision   uint64
	Definition []byte
	Due        time.Time
	Since      time.Time // since when this process has fired schedules: what was due before fell into the time in which none did
}

// A Deliverer commits events together with what is noted of them. Package deliver has it.
type Deliverer interface {
	Home(name string) int
	AcceptAlong(ctx context.Context, along deliver.Along, events []deliver.Accepted) (any, error)
}

// Options tunes [Timers]. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
}

// Timers keep schedules and fire them.
type Timers struct {
	deliver Deliverer
	opts    Options
	owners  map[string]Owner // by name
	hosts   []*host
	fired   atomic.Uint64
}

// A host is one shard.
type host struct {
	timers  *Timers
	machine *Machine
	shard   *shard.Shard
	ahead   *ahead
	news    chan struct{} // has a value when something may be due earlier than was known
}

// New makes Timers.
func New(d Deliverer, opts Options) *Timers {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	return &Timers{deliver: d, opts: opts, owners: make(map[string]Owner)}
}

// Own says who has the schedules of an owner's name. It is called before anything else.
func (t *Timers) Own(name string, o Owner) { t.owners[name] = o }

// Host makes the machine for one more shard. It is called once for each, in order, before the shards are opened.
func (t *Timers) Host() shard.Hosted {
	h := &host{timers: t, machine: newMachine(), ahead: newAhead(), news: make(chan struct{}, 1)}
	t.hosts = append(t.hosts, h)
	return shard.Hosted{Machine: h.machine, Handler: func(effects []any) {
		if len(effects) > 0 {
			h.wake()
		}
	}}
}

func (h *host) wake() {
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// Attach tells which shards the machines are on. It is called once, after the shards were opened, before anything else is.
func (t *Timers) Attach(shards []*shard.Shard) {
	if len(shards) != len(t.hosts) {
		panic(fmt.Sprintf("scheduler: %d shards for %d machines", len(shards), len(t.hosts)))
	}
	for i, h := range t.hosts {
		h.shard = shards[i]
	}
}

// A Schedule is one as it is kept.
type Schedule struct {
	Place
	Revision   uint64 // of the definition
	Definition []byte
	Next       Due
	Fired      time.Time // the last occurrence that it fired for; zero if there was none
}

// A Place is where a schedule is kept. Those of one home are on one shard, which is also where their events go. None of the three has a
// vertical bar, but for the name.
type Place struct {
	Owner string // as [Timers.Own] has it
	Home  string
	Name  string // may be empty, where each schedule has a home of its own
}

// key is what the machine knows the schedule by. Keys of one home lie together.
func (p Place) key() string {
	if p.Name == "" {
		return p.Owner + "|" + p.Home
	}
	return p.Owner + "|" + p.Home + "|" + p.Name
}

func placeOf(key string) (p Place) {
	var rest string
	p.Owner, rest, _ = strings.Cut(key, "|")
	p.Home, p.Name, _ = strings.Cut(rest, "|")
	return p
}

func (t *Timers) host(home string) *host { return t.hosts[t.deliver.Home(home)] }

// Create keeps a schedule that is not there yet; the error is of the kind Exists if it is. It returns its revision.
func (t *Timers) Create(ctx context.Context, p Place, due Due, definition []byte) (uint64, error) {
	return t.put(ctx, p, revisionNone, due, definition)
}

// Put keeps a schedule, in the place of one that may be there.
func (t *Timers) Put(ctx context.Context, p Place, due Due, definition []byte) (uint64, error) {
	return t.put(ctx, p, revisionAny, due, definition)
}

// Replace changes a schedule of a revision. The error is of the kind NotFound if it is gone, and Conflict if it was changed meanwhile.
func (t *Timers) Replace(ctx context.Context, p Place, revision uint64, due Due, definition []byte) (uint64, error) {
	return t.put(ctx, p, revision, due, definition)
}

func (t *Timers) put(ctx context.Context, p Place, revision uint64, due Due, definition []byte) (uint64, error) {
	answer, err := t.host(p.Home).propose(ctx, kindPut, putCommand(p.key(), revision, due, definition))
	if err != nil {
		return 0, fmt.Errorf("keep schedule %s: %w", p.Name, err)
	}
	return answer.(uint64), nil
}

// Delete forgets a schedule; the error is of the kind NotFound if there is none. What it has caused already goes on.
func (t *Timers) Delete(ctx context.Context, p Place) error {
	if _, err := t.host(p.Home).propose(ctx, kindDelete, deleteCommand(p.key(), revisionAny)); err != nil {
		return fmt.Errorf("forget schedule %s: %w", p.Name, err)
	}
	return nil
}

// Forget is Delete for a schedule that nobody has changed since a revision; otherwise the error is of the kind Conflict.
func (t *Timers) Forget(ctx context.Context, p Place, revision uint64) error {
	if _, err := t.host(p.Home).propose(ctx, kindDelete, deleteCommand(p.key(), revision)); err != nil {
		return fmt.Errorf("forget schedule %s: %w", p.Name, err)
	}
	return nil
}

func (h *host) propose(ctx context.Context, kind shard.Kind, body []byte) (any, error) {
	answers, err := h.shard.Propose(ctx, func(b *shard.Batch) { b.Add(kind, body) })
	if errors.Is(err, shard.ErrTooLarge) {
		return nil, &rialto.Error{Kind: rialto.Invalid, Message: "The schedule is too large.", Cause: err}
	}
	if err != nil {
		return nil, err
	}
	failed, _ := answers[0].(error)
	switch {
	case failed == nil:
		return answers[0], nil
	case errors.Is(failed, errThere):
		return nil, &rialto.Error{Kind: rialto.Exists, Message: "The schedule already exists.", Cause: failed}
	case errors.Is(failed, errAbsent):
		return nil, &rialto.Error{Kind: rialto.NotFound, Message: "The schedule does not exist.", Cause: failed}
	case errors.Is(failed, errChanged):
		return nil, &rialto.Error{Kind: rialto.Conflict, Message: "The schedule was changed by another request at the same time.", Cause: failed}
	}
	return nil, failed
}

// Get returns a schedule; the error is of the kind NotFound if there is none.
func (t *Timers) Get(ctx context.Context, p Place) (Schedule, error) {
	h := t.host(p.Home)
	for {
		var e entry
		there := false
		if err := h.shard.View(ctx, func() {
			if is := h.machine.entries.at(p.key()); is != nil {
				e, there = *is, true
			}
		}); err != nil {
			return Schedule{}, err
		}
		if !there {
			return Schedule{}, rialto.Errorf(rialto.NotFound, "The schedule does not exist.")
		}
		definition, err := h.shard.Read(ctx, e.ref)
		switch {
		case errors.Is(err, shard.ErrMoved):
			continue // the machine knows the new place
		case err != nil:
			return Schedule{}, fmt.Errorf("read schedule %s: %w", p.Name, err)
		}
		return Schedule{Place: p, Revision: e.revision, Definition: definition, Next: e.next(), Fired: e.last()}, nil
	}
}

// List returns schedules of an owner and a home whose names have a prefix, in order: those after a name, no more than most.
func (t *Timers) List(ctx context.Context, owner, home, prefix, after string, most int) ([]Schedule, error) {
	h := t.host(home)
	first := Place{owner, home, prefix}
	if after != "" {
		after = Place{owner, home, after}.key()
	}
	var keys []string
	if err := h.shard.View(ctx, func() { keys = h.machine.pick(first.key(), after, most, nil) }); err != nil {
		return nil, err
	}
	list := make([]Schedule, 0, len(keys))
	for _, key := range keys {
		s, err := t.Get(ctx, placeOf(key))
		switch {
		case err != nil && rialto.KindOf(err) == rialto.NotFound: // gone in the meantime
		case err != nil:
			return nil, err
		default:
			list = append(list, s)
		}
	}
	return list, nil
}

// Homes lists the homes that begin with a prefix, of schedules whose names are empty: in order, those after one, no more than most.
func (t *Timers) Homes(ctx context.Context, owner, prefix, after string, most int) ([]string, error) {
	return t.pick(ctx, owner, prefix, after, most, nil)
}

// Held lists in this way those that are held, and Over those that never fire again and are to be deleted.
func (t *Timers) Held(ctx context.Context, owner, prefix, after string, most int) ([]string, error) {
	return t.pick(ctx, owner, prefix, after, most, func(e *entry) bool { return e.held })
}

// Over is described at [Timers.Held].
func (t *Timers) Over(ctx context.Context, owner, prefix, after string, most int) ([]string, error) {
	return t.pick(ctx, owner, prefix, after, most, func(e *entry) bool { return e.over })
}

func (t *Timers) pick(ctx context.Context, owner, prefix, after string, most int, wanted func(*entry) bool) ([]string, error) {
	prefix = Place{Owner: owner, Home: prefix}.key()
	if after != "" {
		after = Place{Owner: owner, Home: after}.key()
	}
	var keys []string
	for _, h := range t.hosts {
		if err := h.shard.View(ctx, func() { keys = append(keys, h.machine.pick(prefix, after, most, wanted)...) }); err != nil {
			return nil, err
		}
	}
	slices.Sort(keys)
	keys = keys[:min(len(keys), most)]
	for i, key := range keys {
		keys[i] = placeOf(key).Home
	}
	return keys, nil
}

// Release makes schedules due that are held, of homes whose schedules have no name. Those that are not held are left as they are.
func (t *Timers) Release(ctx context.Context, owner string, homes []string) error {
	return t.command(ctx, kindRelease, owner, homes)
}

// Sweep forgets in this way schedules that are over.
func (t *Timers) Sweep(ctx context.Context, owner string, homes []string) error {
	return t.command(ctx, kindSweep, owner, homes)
}

// command has the machines do something with the schedules of homes that have one each.
func (t *Timers) command(ctx context.Context, kind shard.Kind, owner string, homes []string) error {
	return t.each(ctx, homes, func(h *host, homes []string) error {
		keys := make([]string, len(homes))
		for i, home := range homes {
			keys[i] = Place{Owner: owner, Home: home}.key()
		}
		_, err := h.propose(ctx, kind, keysCommand(keys))
		return err
	})
}

// Clear forgets schedules of homes whose schedules have no name, whatever is still to come of them.
func (t *Timers) Clear(ctx context.Context, owner string, homes []string) error {
	return t.each(ctx, homes, func(h *host, homes []string) error {
		_, err := h.shard.Propose(ctx, func(b *shard.Batch) {
			for _, home := range homes {
				b.Add(kindDelete, deleteCommand(Place{Owner: owner, Home: home}.key(), revisionAny))
			}
		})
		return err
	})
}

// eachMost is how many schedules one frame changes at most.
const eachMost = 2048

// each calls a function for homes of one shard after those of another.
func (t *Timers) each(ctx context.Context, homes []string, f func(*host, []string) error) error {
	of := make(map[*host][]string)
	for _, home := range homes {
		h := t.host(home)
		of[h] = append(of[h], home)
	}
	for _, h := range t.hosts {
		for some := range slices.Chunk(of[h], eachMost) {
			if err := f(h, some); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// Run fires schedules until ctx ends. What is due then is fired after the next start.
func (t *Timers) Run(ctx context.Context) error {
	since := t.opts.Clock.Now()
	var group sync.WaitGroup
	for _, h := range t.hosts {
		group.Go(func() { h.run(ctx, since) })
		group.Go(func() { h.readAhead(ctx) })
	}
	group.Wait()
	return nil
}

func (h *host) run(ctx context.Context, since time.Time) {
	for pause := minPause; ctx.Err() == nil; {
		until, err := h.fire(ctx, since)
		clock := h.timers.opts.Clock
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			pause = minPause
		default:
			if rialto.KindOf(err) == rialto.Unavailable {
				h.timers.opts.Logger.Warn("schedules wait", "shard", h.shard.Name(), "err", err)
			} else {
				h.timers.opts.Logger.Error("schedules not fired", "shard", h.shard.Name(), "err", err)
			}
			clock = rialto.Real(clock)
			until, pause = clock.Now().Add(pause), min(2*pause, maxPause)
		}
		h.sleep(ctx, clock, until)
	}
}

// sleep waits for a time, or until something may be due earlier.
func (h *host) sleep(ctx context.Context, clock rialto.Clock, until time.Time) {
	if !until.After(clock.Now()) {
		return
	}
	timer := rialto.NewAlarm(clock, until)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-h.news:
	case <-ctx.Done():
	}
}

// fire fires some of what is due and says until when nothing more is. No more than a moment passes until the clock is looked at again,
// since whoever sets it tells nobody.
func (h *host) fire(ctx context.Context, since time.Time) (until time.Time, err error) {
	now := h.timers.opts.Clock.Now()
	var list []ready
	var next time.Time
	if err := h.shard.View(ctx, func() {
		next = h.machine.due(now, dueMost, func(slot uint32) { list = append(list, h.machine.ready(slot)) })
	}); err != nil {
		return now, err
	}
	if len(list) == 0 {
		if until = now.Add(maxSleep); !next.IsZero() && next.Before(until) {
			until = next
		}
		return until, nil
	}
	slices.SortFunc(list, func(a, b ready) int { return inLog(a.ref, b.ref) })
	var group errgroup.Group
	group.SetLimit(fireAlong)
	for some := range slices.Chunk(list, fireMost) {
		group.Go(func() error { return h.volleys(ctx, some, since) })
	}
	return now, group.Wait()
}

// volleys fires a list, in as many frames as it takes.
func (h *host) volleys(ctx context.Context, list []ready, since time.Time) error {
	for len(list) > 0 {
		v, n, err := h.aim(ctx, list, since)
		if err == nil {
			err = h.shoot(ctx, v)
		}
		if err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// A ready schedule is one that is to fire.
type ready struct {
	key      string
	ref      shard.Ref
	revision uint64
	due      time.Time
}

func (m *Machine) ready(slot uint32) ready {
	e := m.entries.Peek(slot)
	return ready{string(m.entries.keyOf(slot)), e.ref, e.revision, time.Unix(e.due, 0).UTC()}
}

// A volley is occurrences that are fired in one frame.
type volley []fired

// A fired occurrence has its events.
type fired struct {
	Occurrence
	owner  Owner
	events []deliver.Accepted
	next   Due
}

// aim makes a volley of the first few of a list, and says how many these were.
func (h *host) aim(ctx context.Context, list []ready, since time.Time) (v volley, n int, err error) {
	for size := 0; n < len(list) && (n == 0 || size < fireBytes); n++ {
		r := list[n]
		definition := h.ahead.take(r.revision)
		if definition == nil {
			definition, err = h.shard.Read(ctx, r.ref)
		}
		if errors.Is(err, shard.ErrMoved) {
			continue // it is still due, and is found at its new place
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read schedule %s: %w", r.key, err)
		}
		f := fired{Occurrence: Occurrence{placeOf(r.key), r.revision, definition, r.due, since}}
		if f.owner = h.timers.owners[f.Owner]; f.owner != nil {
			f.events, f.next = f.owner.Occur(ctx, f.Occurrence)
			h.ahead.again(r, definition, f.next)
		} else {
			h.timers.opts.Logger.Error("schedule of nobody", "schedule", r.key)
		}
		for _, e := range f.events {
			size += len(e.Event)
		}
		v = append(v, f)
	}
	return v, n, nil
}

// shoot commits a volley, in as many frames as it takes, and tells the owners.
func (h *host) shoot(ctx context.Context, v volley) error {
	if len(v) == 0 {
		return nil
	}
	err := h.commit(ctx, v)
	switch half := len(v) / 2; {
	case errors.Is(err, shard.ErrTooLarge) && half > 0:
		return cmp.Or(h.shoot(ctx, v[:half]), h.shoot(ctx, v[half:]))
	case errors.Is(err, shard.ErrTooLarge):
		h.timers.opts.Logger.Error("occurrence left out, it is too large", "schedule", v[0].key(), "due", v[0].Due)
		v[0].events = nil
		err = h.commit(ctx, v)
	}
	if err != nil {
		return err
	}
	for _, f := range v {
		if len(f.events) > 0 {
			h.timers.fired.Add(1)
		}
		if f.owner != nil {
			f.owner.Occurred(f.Occurrence, f.events)
		}
	}
	return nil
}

// commit moves schedules on, in one frame with the events. All of them have homes on this shard.
func (h *host) commit(ctx context.Context, v volley) error {
	moves, events := make([]firing, len(v)), make([]deliver.Accepted, 0, len(v))
	for i, f := range v {
		moves[i] = firing{f.key(), f.Revision, f.Due, f.next}
		for _, e := range f.events {
			if len(e.Targets) > 0 {
				events = append(events, e)
			}
		}
	}
	along := deliver.Along{Home: v[0].Home, Kind: kindFire, Body: fireCommand(moves)}
	_, err := h.timers.deliver.AcceptAlong(ctx, along, events)
	return err
}
