package queue

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"log/slog"
	"maps"
	"sync"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/shard"
)

const maxTags = 50 // of a queue (SQS developer guide, "Queue quotas")

// Options tunes a Service. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's; it must be that of the shards
	Room   func() error // says why nothing new can be stored at present; nil is never
}

// A Service is the queues of this process: definitions in the catalog, messages on the shards.
//
// To set it up, call Host once for every shard, in order, open the shards with what it returned, and Attach them. Everything else
// may be called then, as long as the shards run; Run does what nobody asks for.
type Service struct {
	catalog *catalog.Table[catalog.Queue]
	log     *slog.Logger
	clock   rialto.Clock
	room    func() error
	index   *index
	lines   *lines
	tasks   *tasks
	hosts   []*host
	news    chan struct{} // has room for a sign that redrives have changed
	closing chan struct{} // closed when Run ends: nobody may wait any more
}

// A host is what the service has on one shard.
type host struct {
	machine *Machine
	shard   *shard.Shard
	lines   *lines
	news    chan struct{}

	littered chan struct{} // has room for a sign that there is something to clear away

	mu    sync.Mutex
	moves []move        // to be carried out, in order
	moved chan struct{} // has room for a sign that there are some
}

// New makes a Service for the queues of a catalog.
func New(cat *catalog.Catalog, opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	if opts.Room == nil {
		opts.Room = func() error { return nil }
	}
	s := &Service{
		catalog: cat.Queues, log: opts.Logger, clock: opts.Clock, room: opts.Room,
		index: newIndex(), lines: newLines(), tasks: newTasks(), news: make(chan struct{}, 1), closing: make(chan struct{}),
	}
	s.catalog.Follow(func(key string, was, is *catalog.Queue) {
		s.index.follow(key, was, is)
		if is != nil && len(is.Tasks) > 0 {
			s.tasks.tell()
		}
		if was != nil && is == nil {
			s.lines.wake(ID(was.ID), everybody)
		}
	})
	return s
}

// Host makes the machine and the handler for one more shard.
func (s *Service) Host() shard.Hosted {
	h := &host{machine: NewMachine(), lines: s.lines, news: s.news, moved: make(chan struct{}, 1), littered: make(chan struct{}, 1)}
	s.hosts = append(s.hosts, h)
	return shard.Hosted{Machine: h.machine, Handler: h.handle}
}

// Attach says which shards the machines are on, in the order in which Host was called.
func (s *Service) Attach(shards []*shard.Shard) {
	for i, h := range s.hosts {
		h.shard = shards[i]
	}
}

// handle takes what the machine asks for. The owner of the shard calls it, so it does not wait for anything.
func (h *host) handle(effects []any) {
	for _, e := range effects {
		switch e := e.(type) {
		case wake:
			h.lines.wake(e.queue, e.n)
		case redriveNews:
			tell(h.news)
		case clearing:
			tell(h.littered)
		case move:
			h.mu.Lock()
			h.moves = append(h.moves, e)
			h.mu.Unlock()
			tell(h.moved)
		}
	}
}

// tell leaves a sign in a channel that has room for one.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run brings dead letters to queues on other shards, carries out move tasks, and removes what is too old in queues that nobody uses,
// until ctx ends. Then nobody waits for messages any more.
func (s *Service) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, h := range s.hosts {
		group.Go(func() { s.carry(ctx, h) })
		group.Go(func() { s.clean(ctx, h) })
		group.Go(func() { s.clearUp(ctx, h) })
	}
	group.Go(func() { s.runTasks(ctx) })
	<-ctx.Done()
	close(s.closing)
	group.Wait()
	return nil
}

// find returns the definition of a queue.
func (s *Service) find(at Address) (*definition, error) {
	d, ok := s.index.find(at)
	if !ok {
		return nil, errMissing
	}
	return d, nil
}

// host is where the messages of a queue are.
func (s *Service) host(d *definition) *host { return s.hosts[d.shard] }

// Exists is nil if the queue is there.
func (s *Service) Exists(at Address) error {
	_, err := s.find(at)
	return err
}

// do commits one command for a queue and returns its result.
func (h *host) do(ctx context.Context, kind shard.Kind, body []byte) (any, error) {
	return resultOf(h.shard.Propose(ctx, func(b *shard.Batch) { b.Add(kind, body) }))
}

// insist is like do, but waits until it is known whether the command is committed, if it can.
func (h *host) insist(ctx context.Context, kind shard.Kind, body []byte) (any, error) {
	return resultOf(h.shard.Insist(ctx, func(b *shard.Batch) { b.Add(kind, body) }))
}

// resultOf is the result of the one command that was proposed.
func resultOf(results []any, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if err, failed := results[0].(error); failed {
		return nil, shown(err)
	}
	return results[0], nil
}

// shown turns an error of the machine into one that callers may see.
func shown(err error) error {
	switch {
	case errors.Is(err, errGone):
		return errMissing
	case errors.Is(err, errInFlight):
		return errFull
	case errors.Is(err, errCrowded):
		return errTooMany
	}
	return err
}

// Create makes a queue. One that is there already and has all the given attributes is left as it is.
func (s *Service) Create(ctx context.Context, at Address, attributes, tags map[string]string) error {
	if err := checkKind(at.Name, attributes); err != nil {
		return err
	}
	if err := checkAttributes(attributes, FIFO(at.Name), true); err != nil {
		return err
	}
	if err := checkThroughput(merge(nil, attributes)); err != nil {
		return err
	}
	if err := s.checkPolicies(at, attributes); err != nil {
		return err
	}
	if len(tags) > maxTags {
		return errTooManyTags(at)
	}
	if d, ok := s.index.find(at); ok {
		return sameAttributes(d.entry, attributes)
	}
	// The machine knows a queue before the catalog does: what can be found can be used.
	id := s.newID()
	home := s.home(at, attributes)
	kind := kindOpen
	is := settingsOf(merge(nil, attributes))
	if is.fifo {
		kind = kindOpenFIFO
	}
	if _, err := s.hosts[home].do(ctx, kind, openCommand(id, is.retention)); err != nil {
		return err
	}
	now := s.clock.Now().UTC()
	_, err := s.catalog.Edit(ctx, at.key(), func(was *catalog.Queue) (*catalog.Queue, error) {
		if was != nil {
			if err := sameAttributes(was, attributes); err != nil {
				return nil, err
			}
			return nil, catalog.Unchanged
		}
		return &catalog.Queue{
			Name: at.Name, ID: uint64(id), Shard: home, Attributes: merge(nil, attributes), Tags: maps.Clone(tags), Created: now, Modified: now,
		}, nil
	})
	return err // if another call made the queue meanwhile, what was opened for this one is an orphan, see clean
}

// newID makes up an ID that no queue has had, as far as chance can say so.
func (s *Service) newID() ID {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		id := ID(binary.BigEndian.Uint64(b[:]) >> 8)
		if _, taken := s.index.findID(id); !taken && id != 0 {
			return id
		}
	}
}

// home chooses the shard of a new queue: that of its dead-letter queue, which makes moves there cheap, or any.
func (s *Service) home(at Address, attributes map[string]string) int {
	if p := settingsOf(attributes).redrive; p != nil {
		if d, ok := s.index.find(p.to); ok {
			return d.shard
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(at.key()))
	return int(h.Sum32() % uint32(len(s.hosts)))
}

func sameAttributes(q *catalog.Queue, given map[string]string) error {
	if name, differs := difference(q.Attributes, given); differs {
		return rialto.WithCode(rialto.Exists, "QueueNameExists",
			"A queue already exists with the same name and a different value for attribute %s", name)
	}
	return nil
}

// Delete removes a queue with its messages.
func (s *Service) Delete(ctx context.Context, at Address) error {
	d, err := s.find(at)
	if err != nil {
		return err
	}
	_, err = s.catalog.Edit(ctx, at.key(), func(was *catalog.Queue) (*catalog.Queue, error) {
		if was == nil || ID(was.ID) != d.id {
			return nil, catalog.Unchanged // somebody else has deleted it
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	_, err = s.host(d).do(ctx, kindDrop, idCommand(d.id))
	if IsMissing(err) {
		return nil
	}
	return err
}

// edit changes the entry of a queue in the catalog.
func (s *Service) edit(ctx context.Context, at Address, change func(q *catalog.Queue) error) error {
	_, err := s.catalog.Edit(ctx, at.key(), func(was *catalog.Queue) (*catalog.Queue, error) {
		if was == nil {
			return nil, errMissing
		}
		is := *was
		if err := change(&is); err != nil {
			return nil, err
		}
		return &is, nil
	})
	return err
}

// SetAttributes changes attributes of a queue. An empty value takes one away.
func (s *Service) SetAttributes(ctx context.Context, at Address, given map[string]string) error {
	before, err := s.find(at)
	if err != nil {
		return err
	}
	if err := checkAttributes(given, before.fifo, false); err != nil {
		return err
	}
	if err := s.checkPolicies(at, given); err != nil {
		return err
	}
	err = s.edit(ctx, at, func(q *catalog.Queue) error {
		q.Attributes = merge(q.Attributes, given)
		q.Modified = s.clock.Now().UTC()
		return checkThroughput(q.Attributes)
	})
	if err != nil {
		return err
	}
	after, err := s.find(at)
	if err != nil {
		return err
	}
	_, delays := given["DelaySeconds"]
	switch {
	case delays && after.fifo: // also if it is the same as before: the process may have ended between two steps
		_, err = s.host(after).do(ctx, kindDelayFIFO, delayFIFOCommand(after.id, after.retention, after.delay))
	case after.retention != before.retention:
		_, err = s.host(after).do(ctx, kindTouch, touchCommand(after.id, after.retention)) // a queue that nobody uses learns it, too
	}
	return err
}

// ChangePolicy replaces the attribute Policy by what f makes of it; a queue without one has "".
func (s *Service) ChangePolicy(ctx context.Context, at Address, f func(policy string) (string, error)) error {
	return s.edit(ctx, at, func(q *catalog.Queue) error {
		policy, err := f(q.Attributes["Policy"])
		if err != nil {
			return err
		}
		q.Attributes = merge(q.Attributes, map[string]string{"Policy": policy})
		q.Modified = s.clock.Now().UTC()
		return nil
	})
}

// Tags returns the tags of a queue.
func (s *Service) Tags(at Address) (map[string]string, error) {
	d, err := s.find(at)
	if err != nil {
		return nil, err
	}
	return d.entry.Tags, nil
}

// SetTags adds tags or replaces their values.
func (s *Service) SetTags(ctx context.Context, at Address, tags map[string]string) error {
	return s.edit(ctx, at, func(q *catalog.Queue) error {
		is := make(map[string]string, len(q.Tags)+len(tags))
		maps.Copy(is, q.Tags)
		maps.Copy(is, tags)
		if len(is) > maxTags {
			return errTooManyTags(at)
		}
		q.Tags = is
		return nil
	})
}

func errTooManyTags(at Address) error {
	return rialto.Errorf(rialto.Invalid, "Too many tags added for queue %s.", at.Name)
}

// RemoveTags takes tags away; those that are not there are no error.
func (s *Service) RemoveTags(ctx context.Context, at Address, keys []string) error {
	return s.edit(ctx, at, func(q *catalog.Queue) error {
		is := maps.Clone(q.Tags)
		for _, k := range keys {
			delete(is, k)
		}
		q.Tags = is
		return nil
	})
}

// List returns up to n names of queues of a scope that begin with prefix and come after the name after, in order.
func (s *Service) List(scope rialto.Scope, prefix, after string, n int) []rialto.QueueName {
	scoped := catalog.ScopeKey(scope)
	var names []rialto.QueueName
	for _, e := range s.catalog.List(scoped+prefix, scoped+after, n) {
		names = append(names, e.Value.Name)
	}
	return names
}

// DeadLetterSources returns up to n names of queues whose dead letters go to a queue, like List.
func (s *Service) DeadLetterSources(at Address, after string, n int) ([]rialto.QueueName, error) {
	if err := s.Exists(at); err != nil {
		return nil, err
	}
	var names []rialto.QueueName
	for _, d := range s.index.scope(at.Scope) {
		if d.redrive != nil && d.redrive.to == at && string(d.Name) > after && len(names) < n {
			names = append(names, d.Name)
		}
	}
	return names, nil
}

// Purge removes all messages of a queue.
func (s *Service) Purge(ctx context.Context, at Address) error {
	d, err := s.find(at)
	if err != nil {
		return err
	}
	_, err = s.host(d).do(ctx, kindPurge, idCommand(d.id))
	if errors.Is(err, errPurging) {
		return rialto.WithCode(rialto.Throttled, "PurgeQueueInProgress",
			"Only one PurgeQueue operation on %s is allowed every 60 seconds.", at.Name)
	}
	return err
}

// Counts says how many messages a queue has. It costs a command only if time has done something since the last one.
func (s *Service) Counts(ctx context.Context, at Address) (Counts, error) {
	d, err := s.find(at)
	if err != nil {
		return Counts{}, err
	}
	h := s.host(d)
	var known *Counts
	results, err := h.shard.Propose(ctx, func(b *shard.Batch) {
		if q, ok := h.machine.queues[d.id]; ok && h.machine.idle(q, seconds(uint64(d.retention)), h.shard.Now().UnixMicro()) {
			known = new(q.counts())
			return
		}
		b.Add(kindTouch, touchCommand(d.id, d.retention))
	})
	switch {
	case err != nil:
		return Counts{}, err
	case len(results) == 0:
		return *known, nil
	}
	if err, failed := results[0].(error); failed {
		return Counts{}, shown(err)
	}
	return results[0].(Counts), nil
}

// Attributes returns the attributes of a queue by name; "All" names all. Those that the queue does not have are left out.
func (s *Service) Attributes(ctx context.Context, at Address, names []string) (map[string]string, error) {
	d, err := s.find(at)
	if err != nil {
		return nil, err
	}
	if err := checkNames(names); err != nil {
		return nil, err
	}
	all, err := s.allAttributes(ctx, d, names)
	if err != nil {
		return nil, err
	}
	return choose(all, names), nil
}
