package queue

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// A takenMachine stands for deliveries: it takes an event once under each key, and knows which it has taken, and when that was last.
type takenMachine struct {
	keys map[string]bool
	now  time.Time
}

const kindTake shard.Kind = 0x70

func newTaken() *takenMachine { return &takenMachine{keys: make(map[string]bool)} }

func (m *takenMachine) Name() string                                      { return "taken" }
func (m *takenMachine) Kinds() (first, last shard.Kind)                   { return kindTake, kindTake }
func (m *takenMachine) Resume(*shard.Tx)                                  {}
func (m *takenMachine) Live(uint64, func(key []byte, ref shard.Ref) bool) {}
func (m *takenMachine) Carried(*shard.Tx, []byte, shard.Ref)              {}
func (m *takenMachine) has(name string) bool                              { return m.keys[name] }

func (m *takenMachine) Apply(tx *shard.Tx, _ shard.Kind, body []byte) any {
	m.now = tx.Now()
	m.take(record.NewReader(body))
	return nil
}

func (m *takenMachine) take(r *record.Reader) {
	for r.Len() > 0 {
		m.keys[r.String()] = true
	}
}

func (m *takenMachine) Snapshot(dst []byte) []byte {
	dst = record.AppendInt(dst, m.now.UnixMicro())
	for _, name := range slices.Sorted(maps.Keys(m.keys)) {
		dst = record.AppendString(dst, name)
	}
	return dst
}

func (m *takenMachine) Restore(snapshot []byte) error {
	r := record.NewReader(snapshot)
	*m = takenMachine{make(map[string]bool), microTime(r.Int())}
	m.take(r)
	return nil
}

// A redriver carries out redrives of two queues of either kind in a simulation, as package redrive does it.
type redriver struct {
	machine *Machine
	taken   *takenMachine // what redrives have handed over
	errand  errand        // the redrive of the present process
}

func newRedriver() redriver { return redriver{machine: NewMachine(), taken: newTaken()} }

// An errand is what a process knows of the redrive that it carries out. With the process it is gone.
type errand struct {
	resumed bool // what an earlier process has left behind is brought to an end
	stage   errandStage
	queue   ID
	task    uuid.UUID
	parcels []simParcel // claimed
}

type errandStage uint8

const (
	errandClaim errandStage = iota
	errandTake
	errandDecide
)

type simParcel struct {
	place Place
	name  string
	stays bool // its rule is gone at present, as chance will have it
}

// redrive takes the next step of a redrive of either queue. A step that may or may not be committed is taken once more.
func (w *redriver) redrive(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	e := &w.errand
	switch e.stage {
	case errandTake:
		return w.handOver(s, now)
	case errandDecide:
		return w.decideAll(r, s, now)
	}
	if !e.resumed {
		return w.recall(r, s)
	}
	e.queue = simQueue
	if r.IntN(2) == 0 {
		e.queue = simDead
	}
	q := w.machine.queues[e.queue]
	t := q.active()
	if t == nil {
		var id uuid.UUID
		for i := range id {
			id[i] = byte(r.IntN(256))
		}
		_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindBegin, beginCommand(q.id, id, 0, nil)) })
		return err
	}
	switch n := r.IntN(20); {
	case n == 0:
		_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindControl, controlCommand(q.id, t.id, controlCancel, 0)) })
		return err
	case t.status == RedriveSelecting:
		body := markCommand(q.id, maxSeconds, t.id, r.IntN(2) == 0, w.some3(r, q, func(*message) bool { return true }))
		_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindMark, body) })
		return err
	case t.status != RedriveRunning:
		return nil
	}
	return w.claim(r, s, now, q, t)
}

// some3 picks about two of three messages of a queue.
func (w *redriver) some3(r *rand.Rand, q *queue, fits func(*message) bool) (list []Place) {
	w.machine.messages.each(func(slot uint32, m *message) bool {
		if m.queue == q.serial && fits(m) && r.IntN(3) > 0 {
			list = append(list, Place{slot, m.key})
		}
		return true
	})
	return list
}

func (w *redriver) claim(r *rand.Rand, s *shard.Stepper, now time.Time, q *queue, t *redriveTask) error {
	body := claimCommand(q.id, maxSeconds, t.id, w.some3(r, q, func(m *message) bool { return m.mark == t.serial }))
	answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindClaim, body) })
	if err != nil {
		w.errand.resumed = false // some may be claimed, and nobody knows which
		return err
	}
	got, ok := answers[0][0].([]received)
	if !ok {
		if errors.Is(answers[0][0].(error), errTaskOver) {
			return nil
		}
		return fmt.Errorf("claim answered %v", answers[0][0])
	}
	var parcels []simParcel
	for _, g := range got {
		payload, err := s.Read(g.ref)
		if err != nil {
			return fmt.Errorf("read a claimed message: %w", err)
		}
		parcels = append(parcels, simParcel{Place{g.slot, g.key}, string(payload), r.IntN(3) == 0})
	}
	w.errand = errand{resumed: true, stage: errandTake, queue: q.id, task: t.id, parcels: parcels}
	return nil
}

// recall finds what is leaving, and what of that was taken.
func (w *redriver) recall(r *rand.Rand, s *shard.Stepper) error {
	for _, id := range []ID{simQueue, simDead} {
		q := w.machine.queues[id]
		if q.leaving.n == 0 {
			continue
		}
		t := q.active()
		if t == nil {
			return fmt.Errorf("%d messages of queue %d are leaving by no redrive", q.leaving.n, id)
		}
		e := errand{stage: errandTake, queue: id, task: t.id}
		var problem error
		q.leaving.each(&w.machine.messages, func(slot uint32) {
			m := w.machine.messages.get(slot)
			payload, err := s.Read(m.ref)
			if err != nil {
				problem = fmt.Errorf("read a leaving message: %w", err)
				return
			}
			name := string(payload)
			e.parcels = append(e.parcels, simParcel{Place{slot, m.key}, name, r.IntN(3) == 0 && !w.taken.has(name)})
		})
		w.errand = e
		return problem // the other queue's turn comes when this is done
	}
	w.errand = errand{resumed: true}
	return nil
}

func (w *redriver) handOver(s *shard.Stepper, now time.Time) error {
	var body []byte
	for _, p := range w.errand.parcels {
		if !p.stays {
			body = record.AppendString(body, p.name)
		}
	}
	if _, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindTake, body) }); err != nil {
		return err
	}
	w.errand.stage = errandDecide
	return nil
}

func (w *redriver) decideAll(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	e := &w.errand
	var list []Decision
	for _, p := range e.parcels {
		d := Decision{Place: p.place, Outcome: Moved}
		if p.stays {
			d.Outcome, d.Reason = Skipped, "the rule is gone"
		}
		list = append(list, d)
	}
	body := decideCommand(e.queue, e.task, list)
	times := 1 + r.IntN(2)
	for range times { // to say it twice does no harm
		if _, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindDecide, body) }); err != nil {
			return err
		}
	}
	w.errand = errand{resumed: e.resumed}
	return nil
}

func (w *redriver) checkTasks() error {
	for _, q := range w.machine.queues {
		leaving := 0
		for _, t := range q.tasks {
			if err := t.addsUp(); err != nil {
				return err
			}
			leaving += t.leaving
		}
		if leaving != q.leaving.n {
			return fmt.Errorf("%d messages of queue %d are leaving, and its redrives say %d", q.leaving.n, q.id, leaving)
		}
	}
	return nil
}
