package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// A simWorld is a producer and a consumer of a queue and of its dead-letter queue, which remember what they were told. As chance
// will have it, dead letters go there at once or by way of effects, as if the queue were on another shard; the world then carries
// these out, some twice and some not at all. Redrives take messages out of both queues and hand them to whoever remembers what it has
// taken, as package redrive does it.
type simWorld struct {
	redriver
	opened bool
	local  bool // how dead letters go
	sent   int
	fate   map[string]fate
	held   map[string]held // received and not deleted
	moves  []move          // not carried out yet
}

// A fate is what the world knows of a message.
type fate struct {
	sure    bool // it was acknowledged, and nothing is in doubt since
	deleted bool
	moved   bool // it was carried to the other queue, perhaps twice, and one may outlive the other
}

// A held message can be deleted or hidden.
type held struct {
	queue ID
	place Place
}

const (
	simQueue   = ID(5)
	simDead    = ID(6)
	simReceive = 2 // receives before a message is dead
)

func (w *simWorld) Start() []shard.Hosted {
	w.redriver, w.moves = newRedriver(), nil
	return []shard.Hosted{{Machine: w.taken}, {Machine: w.machine, Handler: func(effects []any) {
		for _, e := range effects {
			if m, ok := e.(move); ok {
				w.moves = append(w.moves, m)
			}
		}
	}}}
}

func (w *simWorld) Step(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if !w.opened {
		w.local = r.IntN(2) == 0
		_, err := s.Commit(now, func(b *shard.Batch) {
			b.Add(kindOpen, openCommand(simQueue, maxSeconds))
			b.Add(kindOpen, openCommand(simDead, maxSeconds))
		})
		w.opened = err == nil
		return err
	}
	switch r.IntN(16) {
	case 10, 11, 12, 13, 14, 15:
		return w.redrive(r, s, now)
	case 0, 1, 2:
		return w.send(r, s, now)
	case 3, 4, 5:
		return w.receive(r, s, now)
	case 6:
		return w.hide(r, s, now)
	case 7, 8:
		return w.carry(r, s, now)
	}
	return w.delete(r, s, now)
}

func (w *simWorld) send(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	var names []string
	var list []parcel
	for range 1 + r.IntN(3) {
		w.sent++
		name := fmt.Sprintf("message %d", w.sent)
		names, list = append(names, name), append(list, parcel{[]byte(name), max(0, r.IntN(10)-6), uint64(r.IntN(3))})
		w.fate[name] = fate{}
	}
	kind, body := sendCommand(simQueue, maxSeconds, list)
	answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(kind, body) })
	if err != nil {
		return err
	}
	if answers[0][0] != nil {
		return fmt.Errorf("send answered %v", answers[0][0])
	}
	for _, name := range names {
		w.fate[name] = fate{sure: true}
	}
	return nil
}

func (w *simWorld) receive(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	from, to := simQueue, redrive{max: simReceive, to: simDead, local: w.local, source: "arn:aws:sqs:us-east-1:000000000000:q"}
	if r.IntN(4) == 0 {
		from, to = simDead, redrive{}
	}
	body := receiveCommand(from, maxSeconds, 1+r.IntN(5), r.IntN(10), to)
	answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindReceive, body) })
	if err != nil {
		return err
	}
	for _, got := range answers[0][0].([]received) {
		payload, err := s.Read(got.ref)
		if err != nil {
			return fmt.Errorf("read a received message: %w", err)
		}
		f, known := w.fate[string(payload)]
		if !known || f.sure && f.deleted && !f.moved {
			return fmt.Errorf("%q was received, which nobody sent or which was deleted", payload)
		}
		if !f.moved && w.taken.has(string(payload)) {
			return fmt.Errorf("%q was received, which was handed over before", payload)
		}
		if from == simQueue && got.receives > simReceive {
			return fmt.Errorf("%q was received %d times", payload, got.receives)
		}
		w.held[string(payload)] = held{from, Place{got.slot, got.key}}
	}
	return nil
}

// some picks a message that is held.
func (w *simWorld) some(r *rand.Rand) (name string, h held, ok bool) {
	names := make([]string, 0, len(w.held))
	for name := range w.held {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "", held{}, false
	}
	slices.Sort(names)
	name = names[r.IntN(len(names))]
	return name, w.held[name], true
}

func (w *simWorld) hide(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	_, h, ok := w.some(r)
	if !ok {
		return nil
	}
	body := hideCommand(h.queue, []Place{h.place}, []int{r.IntN(5)})
	_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindHide, body) })
	return err
}

func (w *simWorld) delete(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	name, h, ok := w.some(r)
	if !ok {
		return nil
	}
	msg, there := w.machine.messages.find(h.place.slot, h.place.key)
	if !there || msg.queue != w.machine.queues[h.queue].serial {
		delete(w.held, name) // it has moved meanwhile, and the handle with it is void
		return nil
	}
	f := w.fate[name]
	w.fate[name] = fate{deleted: true, moved: f.moved}
	delete(w.held, name)
	body := handlesCommand(h.queue, []Place{h.place})
	_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindDelete, body) })
	if err == nil {
		w.fate[name] = fate{sure: true, deleted: true, moved: f.moved}
	}
	return err
}

// carry brings a message to the dead-letter queue, or says that it cannot get there.
func (w *simWorld) carry(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if len(w.moves) == 0 {
		return nil
	}
	m := w.moves[0]
	if r.IntN(4) > 0 { // or it will be carried once more
		w.moves = w.moves[1:]
	}
	msg, ok := w.machine.messages.find(m.slot, m.key)
	if !ok {
		return nil
	}
	end := kindStay
	if r.IntN(5) > 0 {
		payload, err := s.Read(msg.ref)
		if err != nil {
			return fmt.Errorf("read a message that moves: %w", err)
		}
		f := w.fate[string(payload)]
		w.fate[string(payload)] = fate{sure: f.sure, deleted: f.deleted, moved: true}
		kind, body := acceptCommand(m.to, maxSeconds, []move{m}, [][]byte{payload})
		if _, err := s.Commit(now, func(b *shard.Batch) { b.Add(kind, body) }); err != nil {
			w.moves = append(w.moves, m)
			return err
		}
		end = kindMoved
	}
	body := handlesCommand(m.from, []Place{{m.slot, m.key}})
	_, err := s.Commit(now, func(b *shard.Batch) { b.Add(end, body) })
	if err != nil {
		w.moves = append(w.moves, m)
	}
	return err
}

func (w *simWorld) Check(s *shard.Stepper, _ time.Time) error {
	there, atDoor := make(map[string]int), make(map[string]int)
	underway := 0
	var problem error
	w.machine.messages.each(func(_ uint32, m *message) bool {
		payload, err := s.Read(m.ref)
		if err != nil {
			problem = fmt.Errorf("read a message: %w", err)
			return false
		}
		if m.state == leaving {
			atDoor[string(payload)]++
			return true
		}
		there[string(payload)]++
		if m.state == moving {
			underway++
		}
		return true
	})
	if problem != nil {
		return problem
	}
	if underway != len(w.moves) { // the last process has just started: it was told of each
		return fmt.Errorf("%d messages are moving, and %d effects say so", underway, len(w.moves))
	}
	for name, f := range w.fate {
		taken := w.taken.has(name)
		switch n := there[name]; {
		case f.sure && !f.deleted && n+atDoor[name] == 0 && !taken:
			return fmt.Errorf("%q was acknowledged and is lost", name)
		case f.sure && f.deleted && n > 0 && !f.moved:
			return fmt.Errorf("%q was deleted and is there", name)
		case n+atDoor[name] > 1 && !f.moved:
			return fmt.Errorf("%q is there %d times", name, n+atDoor[name])
		case n > 0 && taken && !f.moved:
			return fmt.Errorf("%q is there, which was handed over", name)
		}
		delete(there, name)
	}
	for name := range there {
		return errors.New(name + " is there, which nobody sent")
	}
	return w.checkTasks()
}

func TestSimulation(t *testing.T) {
	shardtest.Simulate(t, 10_000, func() shardtest.World {
		return &simWorld{fate: make(map[string]fate), held: make(map[string]held)}
	})
}
