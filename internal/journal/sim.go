package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/rialto-events/rialto"
)

// ErrCrashed is what a simulated journal says to a process that is dead. It is also an [ErrClosed]: no call will succeed
// again.
var ErrCrashed = fmt.Errorf("the simulated process has crashed: %w", ErrClosed)

// SimFaults says how often a write goes wrong, each as a probability between 0 and 1. The zero value never fails.
type SimFaults struct {
	CrashBefore float64 // the process dies; the write never happened
	CrashAfter  float64 // the process dies; the write happened
	LostAck     float64 // ErrUnknown; the write happened
	LostWrite   float64 // ErrUnknown; the write never happened
	Late        float64 // ErrUnknown; the write happens at some later call of anybody, if what it expects is still so
	Unavailable float64 // the write is refused, cleanly
}

// lateChance is how likely each call lets one late write happen first.
const lateChance = 0.25

// A Sim is a journal in memory that outlives the simulated processes which use it. Failures come from a seeded source, so
// that a run can be repeated. It starts no goroutine and knows no time.
//
//	sim := journal.NewSim(seed, journal.SimFaults{LostAck: 0.01})
//	a := sim.Open()        // one process
//	b := sim.Open()        // another; both may open the same log, and the expected sequence decides
//	a.Crash()              // its logs now answer ErrCrashed
//	later := sim.Fork(7)   // what survives of everything so far, to go on with another seed
type Sim struct {
	mu     sync.Mutex
	rand   *rand.Rand
	faults SimFaults
	logs   map[string]*simLog
	kvs    map[string]*simKV
	blobs  map[string]map[string]simBlob
	puts   uint64 // of blobs, so far
	late   []simWrite
	moved  chan struct{} // closed when something changes; made by who waits for that
}

// A simWrite changes what is stored, or finds that it cannot. It names what it changes, so that it also fits a fork.
type simWrite func(*Sim) error

type simLog struct {
	first   uint64
	records [][]byte
}

func (l *simLog) last() uint64 { return l.first + uint64(len(l.records)) - 1 }

type simKV struct {
	rev     uint64
	entries map[string]Entry
}

// A simBlob has a revision, because a late Put must not replace what was put after it was called.
type simBlob struct {
	data []byte
	rev  uint64
}

// NewSim makes an empty simulated journal.
func NewSim(seed uint64, faults SimFaults) *Sim {
	return &Sim{
		rand: simRand(seed), faults: faults,
		logs: make(map[string]*simLog), kvs: make(map[string]*simKV), blobs: make(map[string]map[string]simBlob),
	}
}

func simRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x7269616c746f)) }

// Open starts a simulated process.
func (s *Sim) Open() *SimJournal { return &SimJournal{sim: s} }

// Fork copies what has survived so far, with the writes that are late; the copy fails by a seed of its own. It costs little:
// records are shared.
func (s *Sim) Fork(seed uint64) *Sim {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := NewSim(seed, s.faults)
	for name, l := range s.logs {
		l.records = slices.Clip(l.records) // whoever appends first moves away
		f.logs[name] = &simLog{first: l.first, records: l.records}
	}
	for name, kv := range s.kvs {
		f.kvs[name] = &simKV{rev: kv.rev, entries: maps.Clone(kv.entries)}
	}
	for name, b := range s.blobs {
		f.blobs[name] = maps.Clone(b)
	}
	f.puts, f.late = s.puts, slices.Clone(s.late)
	return f
}

// SetFaults changes what goes wrong from now on.
func (s *Sim) SetFaults(f SimFaults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

func (s *Sim) wake() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

// do lets a write of process j happen, or go wrong. s.mu is held.
func (s *Sim) do(j *SimJournal, write simWrite) error {
	f, x := s.faults, s.rand.Float64()
	chance := func(p float64) bool { x -= p; return x < 0 }
	switch {
	case chance(f.CrashBefore):
		j.crash()
		return ErrCrashed
	case chance(f.CrashAfter):
		_ = write(s)
		j.crash()
		return ErrCrashed
	case chance(f.LostAck):
		_ = write(s)
		return ErrUnknown
	case chance(f.LostWrite):
		return ErrUnknown
	case chance(f.Late):
		s.late = append(s.late, write)
		return ErrUnknown
	case chance(f.Unavailable):
		return rialto.Errorf(rialto.Unavailable, "The simulated journal takes no writes at present.")
	}
	return write(s)
}

// A SimJournal is the journal as one simulated process sees it.
type SimJournal struct {
	sim   *Sim
	ended error // why its calls fail: ErrCrashed, ErrClosed; guarded by sim.mu
}

var _ Journal = (*SimJournal)(nil)

// Crash ends the process: every call from now on fails with [ErrCrashed]. What it has written stays.
func (j *SimJournal) Crash() {
	j.sim.mu.Lock()
	defer j.sim.mu.Unlock()
	j.crash()
}

func (j *SimJournal) crash() {
	j.ended = ErrCrashed
	j.sim.wake()
}

// Crashed reports whether the process is dead, by [SimJournal.Crash] or by a failure.
func (j *SimJournal) Crashed() bool {
	j.sim.mu.Lock()
	defer j.sim.mu.Unlock()
	return j.ended == ErrCrashed
}

// enter begins a call: it locks the Sim, and lets a write that is late happen now and then. Whoever calls it unlocks.
func (j *SimJournal) enter(ctx context.Context) error {
	s := j.sim
	s.mu.Lock()
	if len(s.late) > 0 && s.rand.Float64() < lateChance {
		i := s.rand.IntN(len(s.late))
		write := s.late[i]
		s.late = slices.Delete(s.late, i, i+1)
		_ = write(s)
	}
	if j.ended != nil {
		return j.ended
	}
	return ctx.Err()
}

func (j *SimJournal) Log(ctx context.Context, name string) (Log, error) {
	err := j.enter(ctx)
	defer j.sim.mu.Unlock()
	if err := firstErr(checkName(name), err); err != nil {
		return nil, err
	}
	if j.sim.logs[name] == nil {
		j.sim.logs[name] = &simLog{first: 1}
	}
	return &simLogHandle{j, name}, nil
}

func (j *SimJournal) KV(ctx context.Context, bucket string) (KV, error) {
	err := j.enter(ctx)
	defer j.sim.mu.Unlock()
	if err := firstErr(checkName(bucket), err); err != nil {
		return nil, err
	}
	if j.sim.kvs[bucket] == nil {
		j.sim.kvs[bucket] = &simKV{entries: make(map[string]Entry)}
	}
	return &simKVHandle{j, bucket}, nil
}

func (j *SimJournal) Blob(ctx context.Context, bucket string) (Blob, error) {
	err := j.enter(ctx)
	defer j.sim.mu.Unlock()
	if err := firstErr(checkName(bucket), err); err != nil {
		return nil, err
	}
	if j.sim.blobs[bucket] == nil {
		j.sim.blobs[bucket] = make(map[string]simBlob)
	}
	return &simBlobHandle{j, bucket}, nil
}

func (j *SimJournal) Health() error {
	j.sim.mu.Lock()
	defer j.sim.mu.Unlock()
	return j.ended
}

// Room is always nil: memory has no quota.
func (j *SimJournal) Room() error { return nil }

func (j *SimJournal) Close(context.Context) error {
	j.sim.mu.Lock()
	defer j.sim.mu.Unlock()
	if j.ended == nil {
		j.ended = ErrClosed
		j.sim.wake()
	}
	return nil
}

// firstErr is the first error that is one.
func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

type simLogHandle struct {
	j    *SimJournal
	name string
}

func (l *simLogHandle) Name() string   { return l.name }
func (l *simLogHandle) MaxRecord() int { return MaxRecord }

func (l *simLogHandle) Append(ctx context.Context, expected uint64, record []byte) (uint64, error) {
	err := l.j.enter(ctx)
	defer l.j.sim.mu.Unlock()
	if err != nil {
		return 0, err
	}
	f, err := checkAppend(l.name, MaxRecord, expected, record)
	if err != nil {
		return 0, fmt.Errorf("append record %d to log %s: %w", expected+1, l.name, err)
	}
	record = bytes.Clone(record)
	err = l.j.sim.do(l.j, func(s *Sim) error {
		log := s.logs[l.name]
		if log.last() != expected {
			return ErrConflict
		}
		if n := len(log.records); n > 0 && HashOf(log.records[n-1]) != f.Prev {
			return errors.New("the frame follows another record than the last")
		}
		log.records = append(log.records, record)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return expected + 1, nil
}

func (l *simLogHandle) Read(ctx context.Context, from uint64, yield func(seq uint64, record []byte) error) error {
	err := l.j.enter(ctx)
	log := *l.j.sim.logs[l.name]
	l.j.sim.mu.Unlock()
	if err != nil {
		return err
	}
	for seq := max(from, log.first); seq <= log.last(); seq++ {
		if err := yield(seq, log.records[seq-log.first]); err != nil {
			return err
		}
	}
	return nil
}

func (l *simLogHandle) Get(ctx context.Context, seq uint64) ([]byte, error) {
	err := l.j.enter(ctx)
	defer l.j.sim.mu.Unlock()
	log := l.j.sim.logs[l.name]
	switch {
	case err != nil:
		return nil, err
	case seq < log.first:
		return nil, ErrTruncated
	case seq > log.last():
		return nil, ErrNotFound
	}
	return log.records[seq-log.first], nil
}

func (l *simLogHandle) Truncate(ctx context.Context, before uint64) error {
	err := l.j.enter(ctx)
	defer l.j.sim.mu.Unlock()
	if err != nil {
		return err
	}
	if last := l.j.sim.logs[l.name].last(); before > last+1 {
		return beyondEnd(l.name, before, last)
	}
	return l.j.sim.do(l.j, func(s *Sim) error {
		if log := s.logs[l.name]; before > log.first {
			log.records = log.records[before-log.first:]
			log.first = before
		}
		return nil
	})
}

func beyondEnd(log string, before, last uint64) error {
	return fmt.Errorf("truncate log %s before record %d: the last is %d", log, before, last)
}

func (l *simLogHandle) Bounds(ctx context.Context) (first, last uint64, err error) {
	err = l.j.enter(ctx)
	defer l.j.sim.mu.Unlock()
	if err != nil {
		return 0, 0, err
	}
	log := l.j.sim.logs[l.name]
	return log.first, log.last(), nil
}

func (l *simLogHandle) Scrub(ctx context.Context) error {
	first, _, err := l.Bounds(ctx)
	if err != nil {
		return err
	}
	chain := NewChain(l.name, first)
	return l.Read(ctx, first, func(_ uint64, record []byte) error {
		_, err := chain.Next(record)
		return err
	})
}

type simKVHandle struct {
	j      *SimJournal
	bucket string
}

func (h *simKVHandle) Get(ctx context.Context, key string) (Entry, error) {
	err := h.j.enter(ctx)
	defer h.j.sim.mu.Unlock()
	if err != nil {
		return Entry{}, err
	}
	e, ok := h.j.sim.kvs[h.bucket].entries[key]
	if !ok || e.Deleted {
		return Entry{}, ErrNotFound
	}
	return e, nil
}

func (h *simKVHandle) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return h.set(ctx, key, value, func(now Entry) error {
		if now.Rev > 0 && !now.Deleted {
			return ErrExists
		}
		return nil
	})
}

func (h *simKVHandle) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	return h.set(ctx, key, value, func(now Entry) error {
		if now.Rev != rev || now.Deleted {
			return ErrConflict
		}
		return nil
	})
}

func (h *simKVHandle) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	return h.set(ctx, key, value, func(Entry) error { return nil })
}

func (h *simKVHandle) set(ctx context.Context, key string, value []byte, check func(Entry) error) (uint64, error) {
	if err := checkEntry(key, value); err != nil {
		return 0, err
	}
	return h.change(ctx, Entry{Key: key, Value: bytes.Clone(value)}, check)
}

func (h *simKVHandle) Delete(ctx context.Context, key string, rev uint64) error {
	_, err := h.change(ctx, Entry{Key: key, Deleted: true}, func(now Entry) error {
		if rev == 0 && (now.Rev == 0 || now.Deleted) {
			return errNothing
		}
		if rev != 0 && (now.Rev != rev || now.Deleted) {
			return ErrConflict
		}
		return nil
	})
	if err == errNothing {
		return nil
	}
	return err
}

// errNothing says that there is nothing to delete.
var errNothing = errors.New("nothing to delete")

// change decides by the entry as it is now and writes if it is still that when the write happens.
func (h *simKVHandle) change(ctx context.Context, e Entry, check func(now Entry) error) (uint64, error) {
	err := h.j.enter(ctx)
	defer h.j.sim.mu.Unlock()
	if err != nil {
		return 0, err
	}
	now := h.j.sim.kvs[h.bucket].entries[e.Key]
	if err := check(now); err != nil {
		return 0, err
	}
	var rev uint64
	err = h.j.sim.do(h.j, func(s *Sim) error {
		kv := s.kvs[h.bucket]
		if kv.entries[e.Key].Rev != now.Rev {
			return ErrConflict
		}
		kv.rev++
		rev = kv.rev
		e := e
		e.Rev = rev
		kv.entries[e.Key] = e
		s.wake()
		return nil
	})
	if err != nil {
		return 0, err
	}
	return rev, nil
}

func (h *simKVHandle) List(ctx context.Context, prefix string) ([]Entry, error) {
	err := h.j.enter(ctx)
	defer h.j.sim.mu.Unlock()
	if err != nil {
		return nil, err
	}
	list := h.j.sim.kvs[h.bucket].changed(prefix, 0)
	list = slices.DeleteFunc(list, func(e Entry) bool { return e.Deleted })
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// changed is what changed after a revision.
func (kv *simKV) changed(prefix string, after uint64) []Entry {
	var list []Entry
	for key, e := range kv.entries {
		if e.Rev > after && strings.HasPrefix(key, prefix) {
			list = append(list, e)
		}
	}
	return list
}

func (h *simKVHandle) Watch(ctx context.Context, prefix string, after uint64, f func(Entry) error) error {
	s := h.j.sim
	for {
		err := h.j.enter(ctx)
		if s.moved == nil {
			s.moved = make(chan struct{})
		}
		moved, list := s.moved, s.kvs[h.bucket].changed(prefix, after)
		s.mu.Unlock()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b Entry) int { return int(a.Rev) - int(b.Rev) })
		for _, e := range list {
			if err := f(e); err != nil {
				return err
			}
			after = e.Rev
		}
		select {
		case <-ctx.Done():
			return nil
		case <-moved:
		}
	}
}

type simBlobHandle struct {
	j      *SimJournal
	bucket string
}

func (h *simBlobHandle) Put(ctx context.Context, name string, data []byte) error {
	if err := checkKey(name); err != nil {
		return err
	}
	data = bytes.Clone(data)
	return h.change(ctx, name, func(blobs map[string]simBlob, rev uint64) { blobs[name] = simBlob{data, rev} })
}

func (h *simBlobHandle) Delete(ctx context.Context, name string) error {
	return h.change(ctx, name, func(blobs map[string]simBlob, _ uint64) { delete(blobs, name) })
}

func (h *simBlobHandle) change(ctx context.Context, name string, set func(blobs map[string]simBlob, rev uint64)) error {
	err := h.j.enter(ctx)
	defer h.j.sim.mu.Unlock()
	if err != nil {
		return err
	}
	was := h.j.sim.blobs[h.bucket][name].rev
	return h.j.sim.do(h.j, func(s *Sim) error {
		blobs := s.blobs[h.bucket]
		if blobs[name].rev != was {
			return ErrConflict
		}
		s.puts++
		set(blobs, s.puts)
		return nil
	})
}

func (h *simBlobHandle) Get(ctx context.Context, name string) ([]byte, error) {
	err := h.j.enter(ctx)
	defer h.j.sim.mu.Unlock()
	if err != nil {
		return nil, err
	}
	b, ok := h.j.sim.blobs[h.bucket][name]
	if !ok {
		return nil, ErrNotFound
	}
	return b.data, nil
}

func (h *simBlobHandle) List(ctx context.Context, prefix string) ([]string, error) {
	err := h.j.enter(ctx)
	defer h.j.sim.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range h.j.sim.blobs[h.bucket] {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
