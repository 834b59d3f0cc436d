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
// as in simWorld, and so do redrives, which take messages out of both queues. A move task brings dead letters back: each is sent anew and
// then deleted, and comes behind what its group has by then. What was tried once more after the queue has forgotten it may be there
// twice, and is left out of account.
type fifoWorld struct {
	redriver
	opened bool
	local  bool
	ids    uint64
	moves  []move // not carried out yet
	lines  [simGroups]fifoLine
	names  map[string]fifoName
	held   []fifoReceipt
	tries  map[onceKey]fifoTry // what is tried until it has an answer
	task   *fifoTask           // what the present process is bringing back
}

// A fifoTry is that a message is sent, or brought from one queue to the other, until there is an answer.
type fifoTry struct {
	fate  *fifoFate
	began time.Time // or before
}

// try begins to try something, if that is not begun yet.
func (w *fifoWorld) try(key onceKey, f *fifoFate) {
	if _, begun := w.tries[key]; !begun {
		w.tries[key] = fifoTry{f, w.taken.now}
	}
}

// done ends a try.
func (w *fifoWorld) done(key onceKey) {
	w.judge()
	delete(w.tries, key)
}

// judge finds what is tried after the queue may have forgotten the first time.
func (w *fifoWorld) judge() {
	for _, t := range w.tries {
		t.fate.loose = t.fate.loose || w.taken.now.Sub(t.began) >= dedupeWindow*time.Microsecond
	}
}

// commit commits one command for the queues, and has the shard tell its time: that goes on when the clock has gone back, too.
func (w *fifoWorld) commit(s *shard.Stepper, now time.Time, kind shard.Kind, body []byte) (any, error) {
	answers, err := s.Commit(now, func(b *shard.Batch) {
		b.Add(kind, body)
		b.Add(kindTake, nil)
	})
	if err != nil {
		return nil, err
	}
	return answers[0][0], nil
}

// A fifoLine is what a producer has sent, in order.
type fifoLine struct {
	sent   []*fifoFate
	trying *posting // it has no answer yet
}

type fifoFate struct {
	name    string
	answer  posted
	place   uint64 // its number in the queue: another one after it was a dead letter and was brought back
	deleted bool   // somebody has
	doubt   bool   // somebody may have deleted it
	loose   bool   // it may be there twice
	dead    bool   // it is, or may be, in the dead-letter queue: its place in the order is that of the move

	// The dead letters, by key, that a move task has sent anew, or may have, and has not deleted since.
	anew map[uint64]bool
}

func (f *fifoFate) acknowledged() bool { return f.answer.id != uuid.UUID{} }

// waits reports whether a message is known to be in the queue, in its place in the order.
func (w *fifoWorld) waits(f *fifoFate) bool {
	return f.acknowledged() && !f.deleted && !f.doubt && !f.dead && !f.loose && !w.taken.has(f.name)
}

type fifoName struct{ group, index int }

type fifoReceipt struct {
	queue ID
	name  string
	receipt
}

// A fifoTask is a dead letter that a move task has received.
type fifoTask struct {
	name string
	at   Place
	sent bool // anew, and only to be deleted
}

const (
	simGroups  = 3
	simMaxWait = 20 // seconds
)

// fate is that of a message of a name that somebody has sent.
func (w *fifoWorld) fate(name string) *fifoFate {
	at := w.names[name]
	return w.lines[at.group].sent[at.index]
}

func (w *fifoWorld) Start() []shard.Hosted {
	w.redriver, w.moves, w.task = newRedriver(), nil, nil
	return []shard.Hosted{{Machine: w.taken}, {Machine: w.machine, Handler: func(effects []any) {
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
			b.Add(kindTake, nil)
		})
		w.opened = err == nil
		return err
	}
	w.judge()
	switch n := r.IntN(32); {
	case n < 7:
		return w.send(r, s, now)
	case n < 13:
		return w.receive(r, s, now)
	case n < 16:
		return w.delete(r, s, now)
	case n < 17:
		return w.hide(r, s, now)
	case n < 18:
		return w.delay(r, s, now)
	case n < 22:
		return w.bringBack(r, s, now)
	case n < 28:
		return w.redrive(r, s, now)
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
		line.sent = append(line.sent, &fifoFate{name: name, anew: map[uint64]bool{}})
	}
	f := line.sent[len(line.sent)-1]
	w.try(line.trying.key, f)
	again := *line.trying
	again.id[14] = byte(r.IntN(256)) // a new call has a new id
	list := []posting{again}
	if r.IntN(3) == 0 {
		list = append(list, again) // twice in one batch
	}
	body := sendFIFOCommand(simQueue, maxSeconds, max(0, r.IntN(simMaxWait)-14), scope(r.IntN(2)), list)
	answer, err := w.commit(s, now, kindSendFIFO, body)
	if err != nil {
		return err
	}
	w.done(again.key)
	got, ok := answer.([]posted)
	if !ok || len(got) != len(list) || slices.ContainsFunc(got, func(p posted) bool { return p != got[0] }) {
		return fmt.Errorf("send answered %v", answer)
	}
	if n := len(line.sent); n > 1 && line.sent[n-2].answer.number >= got[0].number {
		return fmt.Errorf("%s has the number %d, and the one before it %d", f.name, got[0].number, line.sent[n-2].answer.number)
	}
	f.answer, line.trying = got[0], nil
	if f.place == 0 {
		f.place = f.answer.number
	}
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
	answer, err := w.commit(s, now, kind, body)
	if err != nil {
		return err
	}
	w.learn(s)
	got, ok := answer.([]received)
	if !ok {
		return fmt.Errorf("receive answered %v", answer)
	}
	here := make(map[string]bool) // what has come by this receive
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
		here[name] = true
		w.held = append(w.held, fifoReceipt{from, name, receipt{Place{g.slot, g.key}, g.receives}})
		f := w.fate(name)
		switch {
		case f.loose || len(f.anew) > 0:
			continue
		case f.deleted:
			return fmt.Errorf("%s was received, which was deleted", name)
		case w.taken.has(name):
			return fmt.Errorf("%s was received, which was handed over before", name)
		case from == simDead:
			continue
		case g.receives > simReceive:
			return fmt.Errorf("%s was received %d times", name, g.receives)
		}
		for _, before := range w.lines[at.group].sent {
			if w.waits(before) && !here[before.name] && before.place < g.key {
				return fmt.Errorf("%s was received while %s is there", name, before.name)
			}
		}
	}
	return nil
}

// learn notes which messages have become dead letters, or are on their way to, and which are in the queue again.
func (w *fifoWorld) learn(s *shard.Stepper) {
	here := w.machine.queues[simQueue].serial
	var back []*fifoFate
	w.machine.messages.each(func(_ uint32, m *message) bool {
		payload, err := s.Read(m.ref)
		if err != nil {
			return true // Check will say so
		}
		f := w.fate(string(payload))
		if f.dead = true; m.queue == here && m.state != moving {
			back = append(back, f)
			f.place = max(f.place, m.key) // a move task may have ended before it knew
		}
		return true
	})
	for _, f := range back { // whatever there is of them elsewhere
		f.dead = false
	}
}

func (w *fifoWorld) delete(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if len(w.held) == 0 {
		return nil
	}
	i := r.IntN(len(w.held))
	h := w.held[i]
	f := w.fate(h.name)
	answer, err := w.commit(s, now, kindDeleteFIFO, deleteFIFOCommand(h.queue, []receipt{h.receipt}))
	if err != nil {
		f.doubt = true // it may be applied now or later
		return err
	}
	w.held = slices.Delete(w.held, i, i+1)
	switch err := answer.([]error)[0]; err {
	case nil:
		if f.deleted && !f.loose {
			return fmt.Errorf("%s was deleted twice", h.name)
		}
		f.deleted, f.loose = true, f.loose || len(f.anew) > 0 // of two, one is there
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
	_, err := w.commit(s, now, kindHideFIFO, hideFIFOCommand(h.queue, []receipt{h.receipt}, []int{r.IntN(6)}))
	return err
}

// delay changes the delay of the queue.
func (w *fifoWorld) delay(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	_, err := w.commit(s, now, kindDelayFIFO, delayFIFOCommand(simQueue, maxSeconds, r.IntN(simMaxWait)))
	return err
}

// bringBack takes the next step of a move task: to receive a dead letter, to send it anew, or to delete it.
func (w *fifoWorld) bringBack(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	switch {
	case w.task == nil:
		return w.takeUp(r, s, now)
	case !w.task.sent:
		return w.sendBack(s, now)
	}
	f := w.fate(w.task.name)
	m, there := w.machine.messages.find(w.task.at.slot, w.task.at.key)
	f.loose = f.loose || there && m.state == leaving || w.taken.has(f.name) // a redrive was quicker
	if _, err := w.commit(s, now, kindDelete, handlesCommand(simDead, []Place{w.task.at})); err != nil {
		return err // it is tried once more
	}
	w.done(moveKey(simDead, w.task.at.key))
	delete(f.anew, w.task.at.key)
	w.task = nil
	return nil
}

func (w *fifoWorld) takeUp(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	body := receiveCommand(simDead, maxSeconds, 1, 1+r.IntN(simMaxWait), redrive{})
	answer, err := w.commit(s, now, kindReceive, body)
	if err != nil {
		return err
	}
	for _, g := range answer.([]received) {
		payload, err := s.Read(g.ref)
		if err != nil {
			return fmt.Errorf("read a dead letter: %w", err)
		}
		w.task = &fifoTask{name: string(payload), at: Place{g.slot, g.key}}
	}
	return nil
}

// sendBack sends a dead letter anew, as long as it is there. From then on, or from when that may be so, it may be there twice until the dead
// letter is deleted.
func (w *fifoWorld) sendBack(s *shard.Stepper, now time.Time) error {
	t := w.task
	dead := w.machine.queues[simDead]
	m, there := w.machine.messages.find(t.at.slot, t.at.key)
	if !there || m.queue != dead.serial {
		w.task = nil // somebody else was quicker
		return nil
	}
	f, key := w.fate(t.name), moveKey(simDead, t.at.key)
	w.try(key, f)
	f.anew[t.at.key] = true // or soon
	w.ids++
	anew := posting{
		id:    uuid.UUID{0: byte(w.ids), 1: byte(w.ids >> 8), 15: 2},
		group: dead.groups.hashOf(&w.machine.messages, t.at.slot), key: key, payload: []byte(t.name),
	}
	body := sendFIFOCommand(simQueue, maxSeconds, 0, wholeQueue, []posting{anew})
	answer, err := w.commit(s, now, kindSendFIFO, body)
	if err != nil {
		return err
	}
	t.sent = true
	f.place = max(f.place, answer.([]posted)[0].number)
	return nil
}

// carry brings a message to the dead-letter queue, now and then twice, or says that it cannot get there.
func (w *fifoWorld) carry(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if len(w.moves) == 0 {
		return nil
	}
	m := w.moves[0]
	key := moveKey(m.from, m.key)
	msg, ok := w.machine.messages.find(m.slot, m.key)
	if !ok || msg.state != moving {
		w.moves = w.moves[1:]
		w.done(key)
		return nil
	}
	payload, err := s.Read(msg.ref)
	if err != nil {
		return fmt.Errorf("read a message that moves: %w", err)
	}
	end := kindStay
	if _, begun := w.tries[key]; begun || r.IntN(4) > 0 {
		end = kindMoved
		w.try(key, w.fate(string(payload)))
		for range 1 + r.IntN(2) {
			accept := acceptFIFOCommand(m.to, maxSeconds, []move{m}, [][]byte{payload})
			if _, err := w.commit(s, now, kindAcceptFIFO, accept); err != nil {
				return err
			}
		}
	}
	if _, err = w.commit(s, now, end, handlesCommand(m.from, []Place{{m.slot, m.key}})); err != nil {
		return err
	}
	w.moves = w.moves[1:]
	w.done(key)
	return nil
}

func (w *fifoWorld) Check(s *shard.Stepper, _ time.Time) error {
	w.judge()
	there, leaves, moves := make(map[string]int), make(map[string]int), make(map[string]int)
	for _, q := range w.machine.queues {
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
				if m.state == moving { // it may have arrived
					moves[string(payload)]++
				} else {
					there[string(payload)]++
				}
				if m.state == leaving {
					leaves[string(payload)]++
				}
			}
			if busy != g.busy || g.open != (busy == 0 && w.machine.messages.get(g.head).state == visible) {
				return fmt.Errorf("%d messages of a group are on their way, and it says %d, open is %t", busy, g.busy, g.open)
			}
		}
	}
	for g := range w.lines {
		for _, f := range w.lines[g].sent {
			if err := w.checkFate(f, there[f.name], leaves[f.name], moves[f.name]); err != nil {
				return err
			}
		}
	}
	return w.checkTasks()
}

// checkFate compares what is known of a message with how often it is there in the two queues, how often of these it is leaving, and how often
// it is on its way from one to the other.
func (w *fifoWorld) checkFate(f *fifoFate, there, leaves, moves int) error {
	taken := w.taken.has(f.name)
	f.loose = f.loose || len(f.anew) > 0 && taken // of two, one is there
	switch {
	case f.loose:
	case there > 1+len(f.anew):
		return fmt.Errorf("%s is there %d times", f.name, there)
	case f.acknowledged() && !f.deleted && !f.doubt && !taken && there+moves == 0:
		return fmt.Errorf("%s was acknowledged and is lost", f.name)
	case f.deleted && there > 0:
		return fmt.Errorf("%s was deleted and is there", f.name)
	case taken && there > leaves:
		return fmt.Errorf("%s is there, which was handed over", f.name)
	}
	return nil
}

func TestSimulationOfFIFO(t *testing.T) {
	shardtest.Simulate(t, 3000, func() shardtest.World {
		return &fifoWorld{names: make(map[string]fifoName), tries: make(map[onceKey]fifoTry)}
	})
}
