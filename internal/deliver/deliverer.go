package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

const (
	defaultWindow  = 64               // attempts at once per destination
	defaultTimeout = 60 * time.Second // of an attempt whose kind of destination ends it no earlier
	stopTimeout    = 5 * time.Second  // that an orderly end waits for the attempts in progress, and again for their outcomes
	forgetEvery    = time.Hour
	forgetAtOnce   = 4096 // definitions in one command
)

// Options tunes a Deliverer. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger   // nil discards
	Clock  rialto.Clock   // nil is the system's
	Window int            // attempts that may be in progress at once per destination; 0 is 64
	Policy Policy         // of retries
	Rand   func() float64 // from 0 up to 1, for the jitter of retries; nil is random

	// Breaker says when circuits open for targets that have AWS's number of attempts, unless their rule says otherwise. What is zero
	// is rialto's default: half of at least 20 attempts within 30 seconds fail.
	Breaker target.Breaker

	Observer Observer // nil is nobody
	Retainer Retainer // takes the deliveries that are its own; nil is nobody
}

// A Deliverer accepts events and brings them to their targets.
type Deliverer struct {
	resolve func(*target.Definition) target.Sender
	opts    Options
	hosts   []*host

	mu           sync.Mutex
	destinations map[place]*destination
	lanes        map[laneKey][]*lane        // in any destination
	renewed      map[laneKey]*target.Sealed // before Run has begun; nil after that
	start        func(*destination)         // lets a destination work; nil unless Run runs
}

// A host is one shard with what the Deliverer knows of it.
type host struct {
	deliverer *Deliverer
	index     uint32 // of its shard
	machine   *Machine
	shard     *shard.Shard
	bindings  map[target.Key]*binding // used by the shard's owner alone
	outcomes  *collector
	accepting atomic.Int64 // events on their way into the log
	firstKey  uint64       // keys below it are of events from before the start
}

// New makes a Deliverer. The function resolve gives the sender for a definition; it must be quick, may be called from several
// goroutines, and never returns nil. A sender that is a [target.Paced] sets the pace of its destinations.
func New(resolve func(*target.Definition) target.Sender, opts Options) *Deliverer {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	if opts.Window <= 0 {
		opts.Window = defaultWindow
	}
	if opts.Rand == nil {
		opts.Rand = rand.Float64
	}
	return &Deliverer{
		resolve: resolve, opts: opts,
		destinations: make(map[place]*destination), lanes: make(map[laneKey][]*lane), renewed: make(map[laneKey]*target.Sealed),
	}
}

// Host makes the machine for one more shard. It is called once for each, in order, before the shards are opened.
func (d *Deliverer) Host() shard.Hosted {
	h := &host{
		deliverer: d, index: uint32(len(d.hosts)), machine: newMachine(), bindings: make(map[target.Key]*binding), outcomes: newCollector(rialto.Real(d.opts.Clock)),
	}
	d.hosts = append(d.hosts, h)
	return shard.Hosted{Machine: h.machine, Handler: h.handle}
}

// Attach tells which shards the machines are on. It is called once, after the shards were opened, before anything else is.
func (d *Deliverer) Attach(shards []*shard.Shard) {
	if len(shards) != len(d.hosts) {
		panic(fmt.Sprintf("deliver: %d shards for %d machines", len(shards), len(d.hosts)))
	}
	for i, h := range d.hosts {
		h.shard, h.firstKey = shards[i], h.machine.nextKey
	}
}

// handle takes the machine's effects. The shard's owner calls it.
func (h *host) handle(effects []any) {
	for _, e := range effects {
		switch e := e.(type) {
		case ready:
			h.queue(e, fromAccept)
		case alarm:
			h.queue(h.machine.due(e), fromAlarm)
		case forgotten:
			h.unbind(target.Key(e))
		case held:
			h.outcomes.hold(e > 0)
		case resumed:
			for _, w := range e {
				h.resume(w)
			}
		}
	}
}

// queue hands attempts to their lanes, the oldest first.
func (h *host) queue(attempts ready, from source) {
	byAge := func(a, b attempt) int { return cmp.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(attempts, byAge) {
		slices.SortFunc(attempts, byAge)
	}
	var kept kept
	defer func() { kept.handOver(h.deliverer.opts.Retainer) }()
	for _, a := range attempts {
		b, ok := h.bindings[a.def.Key]
		if !ok {
			b = h.bind(a.def.Sealed)
		}
		if b.kept {
			kept.add(b, h.retained(a))
			continue
		}
		j := job{
			binding: b, key: a.key, slot: a.slot, made: a.made, ordered: a.ordered, accepted: a.from, until: a.until,
			ref: a.ref, letter: a.letter != nil,
		}
		from := from
		switch {
		case from == fromAccept && a.held:
			from = fromGroup
		case from == fromAccept && a.key < h.firstKey:
			from = fromBefore
		}
		if j.letter {
			b.letters.destination.push(b.letters, j, from)
			continue
		}
		b.lane.destination.push(b.lane, j, from)
	}
}

// resume lets the targets that deliveries wait for be known, also those whose deliveries come only later.
func (h *host) resume(w waiter) {
	b, ok := h.bindings[w.def.Key]
	if !ok {
		b = h.bind(w.def.Sealed)
	}
	if !b.kept {
		b.lane.destination.resume(b.lane, w.rate)
	}
}

// bind prepares a definition for use.
func (h *host) bind(s *target.Sealed) *binding {
	def := s.Definition
	b := &binding{host: h, key: s.Key, def: def}
	if r := h.deliverer.opts.Retainer; r != nil && r.Retains(def) {
		b.kept = true
		h.bindings[s.Key] = b
		return b
	}
	b.lane = h.deliverer.join(place{def.Rule.Scope(), def.ARN}, laneKey{def.Rule, def.ID})
	b.shape = sync.OnceValues(func() (*transform.Transform, error) { return transform.Compile(def) })
	if def.DeadLetter != "" {
		b.dlq = &target.Definition{
			Rule: def.Rule, RuleName: def.RuleName, ID: def.ID, ARN: def.DeadLetter, Retry: deadLetterRetry,
			Subscription: def.Subscription, Schedule: def.Schedule,
		}
		b.letters = h.deliverer.join(place{def.Rule.Scope(), def.DeadLetter}, laneKey{})
	}
	h.bindings[s.Key] = b
	return b
}

func (h *host) unbind(key target.Key) {
	b, ok := h.bindings[key]
	if !ok {
		return
	}
	delete(h.bindings, key)
	if b.kept {
		return
	}
	h.deliverer.leave(b.lane)
	if b.letters != nil {
		h.deliverer.leave(b.letters)
	}
}

// join returns a lane of a destination, for a binding that uses it until it leaves.
func (d *Deliverer) join(at place, key laneKey) *lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, isNew := d.use(at).join(key)
	if isNew && key != (laneKey{}) {
		d.lanes[key] = append(d.lanes[key], l)
	}
	return l
}

// Renew lets the limits of definitions, which are the newest of their targets, count for what waits for these targets already: concurrency,
// rate, batches and breaker. Everything else of a delivery stays as it was when its event was accepted. Whoever calls it does so with each
// definition that there is at the start, and with each change before any event is accepted with it.
func (d *Deliverer) Renew(targets []*target.Sealed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range targets {
		key := laneKey{s.Rule, s.ID}
		if d.renewed != nil {
			d.renewed[key] = s
		}
		for _, l := range d.lanes[key] {
			l.destination.renew(l, s)
		}
	}
}

// use returns the destination of a place for one more user. d.mu is held.
func (d *Deliverer) use(at place) *destination {
	dest, ok := d.destinations[at]
	if !ok {
		dest = d.newDestination(at)
		d.destinations[at] = dest
		if d.start != nil {
			d.start(dest)
		}
	}
	dest.users++
	return dest
}

func (d *Deliverer) leave(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.destination.leave(l) {
		d.lanes[l.laneKey] = slices.DeleteFunc(d.lanes[l.laneKey], func(other *lane) bool { return other == l })
		if len(d.lanes[l.laneKey]) == 0 {
			delete(d.lanes, l.laneKey)
		}
	}
	d.release(l.destination)
}

// release is the contrary of use.
func (d *Deliverer) release(dest *destination) {
	if dest.users--; dest.users == 0 {
		delete(d.destinations, dest.place)
	}
}

// paceOf is the rate that a destination asks for, in attempts per second; 0 is none.
func (d *Deliverer) paceOf(def *target.Definition) (per float64) {
	defer d.survive(def)
	if p, ok := d.resolve(def).(target.Paced); ok {
		return p.Pace(def)
	}
	return 0
}

// isLocal reports whether a target is inside this server.
func (d *Deliverer) isLocal(def *target.Definition) bool {
	defer d.survive(def)
	kind, ok := d.resolve(def).(target.Local)
	return ok && kind.Local(def)
}

// batchOf is how many deliveries to a target may share an attempt.
func (d *Deliverer) batchOf(def *target.Definition) batch {
	defer d.survive(def)
	kind, ok := d.resolve(def).(target.Batcher)
	if !ok {
		return batch{}
	}
	asked := def.Batch
	if asked == nil {
		eager, ok := kind.(target.Eager)
		if !ok || def.Rate > 0 || !eager.Eager(def) { // a rate counts attempts
			return batch{}
		}
		asked = &target.Batch{Size: math.MaxInt}
	}
	b := batch{size: asked.Size, bytes: maxBatchBytes, window: asked.Window}
	messages, bytes := kind.Most(def)
	if messages > 0 {
		b.size = min(b.size, messages)
	}
	for _, n := range []int{bytes, asked.Bytes} {
		if n > 0 {
			b.bytes = min(b.bytes, n)
		}
	}
	if b.size < 2 {
		return batch{}
	}
	return b
}

// survive lets a panic of a sender be nobody else's trouble.
func (d *Deliverer) survive(def *target.Definition) {
	if p := recover(); p != nil {
		d.opts.Logger.Error("sender panicked", "target", def.ARN, "err", p)
	}
}

// Run makes the attempts until ctx ends. Then it begins no more, waits for those in progress, but not for long, and commits how
// they ended, for which the shards must still run. An attempt that had to be broken off is made again after the next start. Run
// returns an error if a shard is lost.
func (d *Deliverer) Run(ctx context.Context) error {
	stopping := context.WithoutCancel(ctx)
	attempts, breakOff := context.WithCancel(stopping)
	defer breakOff()
	commits, giveUp := context.WithCancel(stopping)
	defer giveUp()

	var workers, rest sync.WaitGroup
	finish := make(chan struct{})
	lost := make(chan error, len(d.hosts))
	for _, h := range d.hosts {
		rest.Go(func() {
			if err := h.collect(commits, finish); err != nil {
				lost <- err
			}
		})
	}
	idle := make(chan struct{}) // closed when nobody is to wait for a time any more
	if err := d.recovered(ctx); err != nil || ctx.Err() != nil {
		close(finish)
		giveUp()
		rest.Wait()
		return err
	}
	d.open(func(dest *destination) {
		dest.opens(
			func() { workers.Go(func() { (&worker{d, dest, idle}).run(attempts) }) },
			func() { workers.Go(func() { d.watch(idle, dest) }) },
		)
	})
	err := d.forget(ctx, lost)

	d.close()
	close(idle)
	if err != nil {
		breakOff() // nobody could be told how they end
	}
	if !d.within(stopTimeout, workers.Wait) {
		breakOff()
		if !d.within(stopTimeout, workers.Wait) {
			err = errors.Join(err, errors.New("an attempt goes on although it was told to end"))
		}
	}
	close(finish)
	if !d.within(stopTimeout, rest.Wait) {
		giveUp()
		rest.Wait()
	}
	return err
}

// within waits for something to end, for a while.
func (d *Deliverer) within(patience time.Duration, wait func()) bool {
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	timer := rialto.Real(d.opts.Clock).NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C():
		return false
	}
}

// recovered waits until the machines have handed out what has waited since before the start.
func (d *Deliverer) recovered(ctx context.Context) error {
	for _, h := range d.hosts {
		if err := h.shard.View(ctx, func() {}); err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait for what waits in %s: %w", h.shard.Name(), err)
		}
	}
	return nil
}

func (d *Deliverer) open(start func(*destination)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start = start
	for key, s := range d.renewed {
		for _, l := range d.lanes[key] {
			l.destination.renew(l, s)
		}
	}
	d.renewed = nil
	for _, dest := range d.destinations {
		start(dest)
	}
}

func (d *Deliverer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start = nil
	for _, dest := range d.destinations {
		dest.closes()
	}
}

// forget lets the machines forget unused definitions now and then, until ctx ends or a shard is lost.
func (d *Deliverer) forget(ctx context.Context, lost <-chan error) error {
	timer := rialto.Real(d.opts.Clock).NewTimer(forgetEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-lost:
			return err
		case <-timer.C():
		}
		for _, h := range d.hosts {
			if err := h.forget(ctx); err != nil && ctx.Err() == nil {
				d.opts.Logger.Warn("unused targets not forgotten", "log", h.shard.Name(), "err", err)
			}
		}
		timer.Reset(forgetEvery)
	}
}

func (h *host) forget(ctx context.Context) error {
	for {
		_, err := h.shard.Propose(ctx, func(b *shard.Batch) {
			if keys := h.machine.stale(h.shard.Now().UnixMicro()); len(keys) > 0 {
				b.Add(kindForget, forgetCommand(keys[:min(len(keys), forgetAtOnce)]))
			}
		})
		more := false
		if err == nil {
			err = h.shard.View(ctx, func() { more = len(h.machine.stale(h.shard.Now().UnixMicro())) > 0 })
		}
		if err != nil || !more {
			return err
		}
	}
}
