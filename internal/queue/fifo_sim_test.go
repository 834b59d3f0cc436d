package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// A fifoWorld is producers and consumers of a FIFO queue and of its dead-letter queue. Each group has a producer that sends a message
// until it has an answer, and then the next one: so every message must be there once, and a group must come in its order. Dead letters go
// as in simWorld. What was tried once more after the queue has forgotten it may be there twice, and is left out of account.
type fifoWorld struct {
	machine *Machine
	opened  bool
	local   bool
	ids     uint64
	moves   []move // not carried out yet
	lines   [simGroups]fifoLine
	names   map[string]fifoName
	held    []fifoReceipt
	latest  time.Time             // a shard's time does not go back
	carried map[onceKey]time.Time // when it was first tried to bring a message to the other queue
}

// A fifoLine is what a producer has sent, in order.
type fifoLine struct {
	sent   []*fifoFate
	trying *posting // it has no answer yet
}

type fifoFate struct {
	name    string
	answer  posted
	at      time.Time
	deleted bool // somebody has, or may have
	loose   bool // it may be there twice
	dead    bool // it is, or may be, in the dead-letter queue: its place in the order is that of the move
}

type fifoName struct{ group, index int }

type fifoReceipt struct {
	queue ID
	name  string
	receipt
}

const simGroups = 3

func (w *fifoWorld) Start() []shard.Hosted {
	w.machine, w.moves = NewMachine(), nil
	return []shard.Hosted{{Machine: w.machine, Handler: func(effects []any) {
		for _, e := range effects {
			if m, ok := e.(move); ok {
				w.moves = append(w.moves, m)
			}
		}
	}}}
}

func (w *fifoWorld) Step(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if !w.opened {
		w.local = r.IntN(2) == 0
		_, err := s.Commit(now, func(b *shard.Batch) {
			b.Add(kindOpenFIFO, openFIFOCommand(simQueue, maxSeconds))
			b.Add(kindOpenFIFO, openFIFOCommand(simDead, maxSeconds))
		})
		w.opened = err == nil
		return err
	}
	if now.After(w.latest) {
		w.latest = now
	}
	switch n := r.IntN(20); {
	case n < 7:
		return w.send(r, s, now)
	case n < 13:
		return w.receive(r, s, now)
	case n < 16:
		return w.delete(r, s, now)
	case n < 17:
		return w.hide(r, s, now)
	}
	return w.carry(r, s, now)
}

// send sends the next message of a group, or once more the one that has no answer.
func (w *fifoWorld) send(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	group := r.IntN(simGroups)
	line := &w.lines[group]
	if line.trying == nil {
		w.ids++
		name := fmt.Sprintf("%d/%d", group, len(line.sent))
		line.trying = &posting{
			id: uuid.UUID{0: byte(w.ids), 1: byte(w.ids >> 8), 15: 1}, group: uint64(group), key: dedupeKey(name), payload: []byte(name),
		}
		w.names[name] = fifoName{group, len(line.sent)}
		line.sent = append(line.sent, &fifoFate{name: name, at: w.latest})
	}
	f := line.sent[len(line.sent)-1]
	f.loose = f.loose || w.latest.Sub(f.at) >= dedupeWindow*time.Microsecond
	again := *line.trying
	again.id[14] = byte(r.IntN(256)) // a new call has a new id
	list := []posting{again}
	if r.IntN(3) == 0 {
		list = append(list, again) // twice in one batch
	}
	answers, err := s.Commit(now, func(b *shard.Batch) {
		b.Add(kindSendFIFO, sendFIFOCommand(simQueue, maxSeconds, max(0, r.IntN(12)-8), scope(r.IntN(2)), list))
	})
	if err != nil {
		return err
	}
	got, ok := answers[0][0].([]posted)
	if !ok || len(got) != len(list) || slices.ContainsFunc(got, func(p posted) bool { return p != got[0] }) {
		return fmt.Errorf("send answered %v", answers[0][0])
	}
	if n := len(line.sent); n > 1 && line.sent[n-2].answer.number >= got[0].number {
		return fmt.Errorf("%s has the number %d, and the one before it %d", f.name, got[0].number, line.sent[n-2].answer.number)
	}
	f.answer, line.trying = got[0], nil
	return nil
}

// receive checks that nothing comes out of a group while something before it may still come.
func (w *fifoWorld) receive(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	from, to := simQueue, redrive{max: simReceive, to: simDead, local: w.local, source: "arn:aws:sqs:us-east-1:000000000000:q.fifo"}
	if r.IntN(4) == 0 {
		from, to = simDead, redrive{}
	}
	kind, body := kindReceive, receiveCommand(from, maxSeconds, 1+r.IntN(5), r.IntN(12), to)
	if r.IntN(2) == 0 {
		kind, body = kindReceiveFIFO, receiveFIFOCommand(from, maxSeconds, 1+r.IntN(5), r.IntN(12), to, attemptKey(fmt.Sprint(r.IntN(2))))
	}
	before := len(w.moves)
	answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(kind, body) })
	if err != nil {
		return w.doubtful(err)
	}
	w.learn(s, before)
	got, ok := answers[0][0].([]received)
	if !ok {
		return fmt.Errorf("receive answered %v", answers[0][0])
	}
	last := make(map[int]int)
	for _, g := range got {
		payload, err := s.Read(g.ref)
		if err != nil {
			return fmt.Errorf("read a received message: %w", err)
		}
		name := string(payload)
		at, known := w.names[name]
		if !known {
			return fmt.Errorf("%q was received, which nobody sent", name)
		}
		if from == simDead {
			w.held = append(w.held, fifoReceipt{from, name, receipt{Place{g.slot, g.key}, g.receives}})
			continue
		}
		line := w.lines[at.group].sent
		if line[at.index].loose {
			continue
		}
		if line[at.index].deleted {
			return fmt.Errorf("%s was received, which was deleted", name)
		}
		if g.receives > simReceive {
			return fmt.Errorf("%s was received %d times", name, g.receives)
		}
		begin := 0
		if i, ok := last[at.group]; ok {
			begin = i + 1
		}
		for _, f := range line[begin:max(begin, at.index)] {
			if !f.deleted && !f.dead && !f.loose {
				return fmt.Errorf("%s was received while %s is there", name, f.name)
			}
		}
		if at.index < begin {
			return fmt.Errorf("%s was received behind %s", name, line[begin-1].name)
		}
		last[at.group] = at.index
		w.held = append(w.held, fifoReceipt{from, name, receipt{Place{g.slot, g.key}, g.receives}})
	}
	return nil
}

// doubtful goes on after a receive that may or may not have moved messages: each may be a dead letter.
func (w *fifoWorld) doubtful(err error) error {
	for g := range w.lines {
		for _, f := range w.lines[g].sent {
			f.dead = f.dead || f.answer.number > 0 || f.answer.id != uuid.UUID{}
		}
	}
	return err
}

// learn notes which messages have become dead letters, or are on their way to.
func (w *fifoWorld) learn(s *shard.Stepper, before int) {
	dead := w.machine.queues[simDead].serial
	w.machine.messages.each(func(_ uint32, m *message) bool {
		if m.queue == dead || m.state == moving {
			if payload, err := s.Read(m.ref); err == nil {
				at := w.names[string(payload)]
				w.lines[at.group].sent[at.index].dead = true
			}
		}
		return true
	})
}

func (w *fifoWorld) delete(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if len(w.held) == 0 {
		return nil
	}
	i := r.IntN(len(w.held))
	h := w.held[i]
	at := w.names[h.name]
	f := w.lines[at.group].sent[at.index]
	answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindDeleteFIFO, deleteFIFOCommand(h.queue, []receipt{h.receipt})) })
	if err != nil {
		// It may be applied now or later; in doubt, nothing is said of what may be in the way of others.
		f.dead = true
		return err
	}
	w.held = slices.Delete(w.held, i, i+1)
	switch err := answers[0][0].([]error)[0]; err {
	case nil:
		if f.deleted && !f.loose {
			return fmt.Errorf("%s was deleted twice", h.name)
		}
		f.deleted = true
	case errNotThere, errExpired, errVisible:
	default:
		return fmt.Errorf("delete answered %v", err)
	}
	return nil
}

func (w *fifoWorld) hide(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if len(w.held) == 0 {
		return nil
	}
	h := w.held[r.IntN(len(w.held))]
	_, err := s.Commit(now, func(b *shard.Batch) {
		b.Add(kindHideFIFO, hideFIFOCommand(h.queue, []receipt{h.receipt}, []int{r.IntN(6)}))
	})
	return err
}

// carry brings a message to the dead-letter queue, now and then twice, or says that it cannot get there.
func (w *fifoWorld) carry(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if len(w.moves) == 0 {
		return nil
	}
	m := w.moves[0]
	msg, ok := w.machine.messages.find(m.slot, m.key)
	if !ok || msg.state != moving {
		w.moves = w.moves[1:]
		return nil
	}
	payload, err := s.Read(msg.ref)
	if err != nil {
		return fmt.Errorf("read a message that moves: %w", err)
	}
	end, key := kindStay, moveKey(m.from, m.key)
	accept := acceptFIFOCommand(m.to, maxSeconds, []move{m}, [][]byte{payload})
	_, there := w.carried[key]
	if there && w.latest.Sub(w.carried[key]) >= dedupeWindow*time.Microsecond {
		at := w.names[string(payload)]
		w.lines[at.group].sent[at.index].loose = true
	}
	if there || r.IntN(4) > 0 {
		end = kindMoved
		if !there {
			w.carried[key] = w.latest
		}
		for range 1 + r.IntN(2) {
			if _, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindAcceptFIFO, accept) }); err != nil {
				return err
			}
		}
	}
	_, err = s.Commit(now, func(b *shard.Batch) { b.Add(end, handlesCommand(m.from, []Place{{m.slot, m.key}})) })
	if err == nil {
		w.moves = w.moves[1:]
	}
	return err
}

func (w *fifoWorld) Check(s *shard.Stepper, _ time.Time) error {
	there := make(map[string]int)
	last := make(map[uint64]uint64)
	for _, q := range w.machine.queues {
		clear(last)
		for number := range q.groups.all {
			g := &q.groups.all[number]
			if g.n == 0 {
				continue
			}
			busy, before := uint32(0), uint64(0)
			for slot := g.head; slot != none; slot = w.machine.messages.member(slot).next {
				m := w.machine.messages.get(slot)
				if slot != g.head && m.key <= before {
					return fmt.Errorf("a group is not in order: %d comes behind %d", m.key, before)
				}
				before = m.key
				if busyState(m.state) {
					busy++
				}
				payload, err := s.Read(m.ref)
				if err != nil {
					return fmt.Errorf("read a message: %w", err)
				}
				if m.state != moving { // it may have arrived
					there[string(payload)]++
				}
			}
			if busy != g.busy || g.open != (busy == 0 && w.machine.messages.get(g.head).state == visible) {
				return fmt.Errorf("%d messages of a group are on their way, and it says %d, open is %t", busy, g.busy, g.open)
			}
		}
	}
	for g := range w.lines {
		for _, f := range w.lines[g].sent {
			n := there[f.name]
			acknowledged := f.answer.id != uuid.UUID{}
			switch {
			case f.loose:
			case n > 1:
				return fmt.Errorf("%s is there %d times", f.name, n)
			case acknowledged && !f.deleted && !f.dead && n == 0:
				return fmt.Errorf("%s was acknowledged and is lost", f.name)
			case f.deleted && n > 0:
				return fmt.Errorf("%s was deleted and is there", f.name)
			}
		}
	}
	return nil
}

func TestSimulationOfFIFO(t *testing.T) {
	shardtest.Simulate(t, 1000, func() shardtest.World {
		return &fifoWorld{names: make(map[string]fifoName), carried: make(map[onceKey]time.Time)}
	})
}
