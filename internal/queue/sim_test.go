package queue

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// A simWorld is a producer and a consumer of one queue, which remember what they were told.
type simWorld struct {
	machine *Machine
	opened  bool
	sent    int
	fate    map[string]fate
	held    map[string]place // received and not deleted
}

// A fate is what the world knows of a message.
type fate struct {
	sure    bool // it was acknowledged, and nothing is in doubt since
	deleted bool
}

const simQueue = ID(5)

func (w *simWorld) Start() []shard.Hosted {
	w.machine = NewMachine()
	return []shard.Hosted{{Machine: w.machine}}
}

func (w *simWorld) Step(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if !w.opened {
		_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindOpen, openCommand(simQueue, maxSeconds)) })
		w.opened = err == nil
		return err
	}
	switch r.IntN(3) {
	case 0:
		return w.send(r, s, now)
	case 1:
		return w.receive(r, s, now)
	}
	return w.delete(s, now)
}

func (w *simWorld) send(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	var names []string
	var payloads [][]byte
	for range 1 + r.IntN(3) {
		w.sent++
		name := fmt.Sprintf("message %d", w.sent)
		names, payloads = append(names, name), append(payloads, []byte(name))
		w.fate[name] = fate{}
	}
	body := sendCommand(simQueue, maxSeconds, payloads, make([]int, len(payloads)))
	answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindSend, body) })
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
	body := receiveCommand(simQueue, maxSeconds, 1+r.IntN(5), r.IntN(60), redrive{})
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
		if !known || f.sure && f.deleted {
			return fmt.Errorf("%q was received, which nobody sent or which was deleted", payload)
		}
		w.held[string(payload)] = place{got.slot, got.key}
	}
	return nil
}

func (w *simWorld) delete(s *shard.Stepper, now time.Time) error {
	for name, h := range w.held {
		w.fate[name] = fate{deleted: true}
		delete(w.held, name)
		body := handlesCommand(simQueue, []place{h})
		_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindDelete, body) })
		if err == nil {
			w.fate[name] = fate{sure: true, deleted: true}
		}
		return err
	}
	return nil
}

func (w *simWorld) Check(s *shard.Stepper, _ time.Time) error {
	there := make(map[string]bool)
	var problem error
	w.machine.messages.each(func(_ uint32, m *message) bool {
		payload, err := s.Read(m.ref)
		if err != nil {
			problem = fmt.Errorf("read a message: %w", err)
			return false
		}
		if there[string(payload)] {
			problem = fmt.Errorf("%q is there twice", payload)
			return false
		}
		there[string(payload)] = true
		return true
	})
	for name, f := range w.fate {
		if f.sure && there[name] == f.deleted {
			return fmt.Errorf("%q: deleted %v, and there %v", name, f.deleted, there[name])
		}
	}
	for name := range there {
		if _, known := w.fate[name]; !known {
			return fmt.Errorf("%q is there, which nobody sent", name)
		}
	}
	return problem
}

func TestSimulation(t *testing.T) {
	shardtest.Simulate(t, 10_000, func() shardtest.World {
		return &simWorld{fate: make(map[string]fate), held: make(map[string]place)}
	})
}
