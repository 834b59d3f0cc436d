package deliver

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
	"github.com/rialto-events/rialto/target"
)

var simScope = rialto.Scope{Account: "000000000000", Region: "eu-west-1"}

// simTargets are a few targets; every other one has a dead-letter queue.
var simTargets = func() []*target.Sealed {
	var list []*target.Sealed
	for i := range 6 {
		list = append(list, testTarget(fmt.Sprintf("t%d", i), i%2 == 0))
	}
	return list
}()

func testTarget(id string, deadLetters bool) *target.Sealed {
	def := &target.Definition{
		Rule: simScope.RuleARN("orders", "paid"), RuleName: "paid", ID: id, ARN: simScope.QueueARN(rialto.QueueName(id)).String(),
		Retry: target.DefaultRetry,
	}
	if deadLetters {
		def.DeadLetter = simScope.QueueARN(rialto.QueueName(id + "-dead")).String()
	}
	s, err := target.Seal(def)
	if err != nil {
		panic(err)
	}
	return s
}

// A simWorld accepts events and plays the destinations: they take a delivery, refuse it now or for good, and sometimes carry out
// an attempt that they were asked for before. Some events are ordered, some are accepted once, some live for a while.
type simWorld struct {
	machine *Machine
	accepts int
	fates   map[string]map[string]fate // by event and target
	events  map[string]*simEvent
	asked   []attempt         // what the present process is to attempt
	done    []attempt         // what it has attempted; some of it is said again
	made    map[string]uint32 // the failed attempts of every delivery, and apart from them of its letter, as seen last
	held    int               // as the machine has said
	names   map[uint64]string // the ids of events in the machine, by key
}

// A simEvent is what the world knows of an event. Their numbers have the order in which they were proposed, and that is the order in
// which those that are in the log stand there.
type simEvent struct {
	Accepted
	number int
	log    simLog
	from   uint32 // when it was accepted, as the machine says
	free   bool   // its key was released since
}

// A simLog says whether an event is in the log.
type simLog uint8

const (
	logUnknown simLog = iota
	logYes
	logNo // another one was accepted in its place
)

// A fate is what the world knows of a delivery.
type fate struct {
	sure  bool // it was accepted
	ends  int  // how often the machine has said that it ended
	doubt bool // it was said to have ended, and nobody knows whether that was committed
	dead  bool // it was said to have failed for good; that may not have been committed
}

func newSimWorld() shardtest.World {
	return &simWorld{
		fates: make(map[string]map[string]fate), events: make(map[string]*simEvent), made: make(map[string]uint32), names: make(map[uint64]string),
	}
}

func (w *simWorld) Start() []shard.Hosted {
	w.machine, w.asked, w.done, w.held = newMachine(), nil, nil, 0
	m := w.machine
	return []shard.Hosted{{Machine: m, Handler: func(effects []any) {
		for _, e := range effects {
			switch e := e.(type) {
			case ready:
				w.asked = append(w.asked, e...)
			case alarm:
				w.asked = append(w.asked, m.due(e)...)
			case held:
				w.held = int(e)
			}
		}
	}}}
}

func (w *simWorld) Step(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if err := w.look(s); err != nil {
		return err
	}
	if err := w.nothingForgotten(now); err != nil {
		return err
	}
	switch n := r.IntN(20); {
	case n < 7:
		return w.accept(r, s, now)
	case n < 8:
		if r.IntN(15) == 0 {
			now = now.Add(30 * time.Hour) // from now on the shard's clock stands
		}
		_, err := s.Commit(now, func(b *shard.Batch) {
			if keys := w.machine.stale(now.Add(48 * time.Hour).UnixMicro()); len(keys) > 0 { // some of them not yet, by the frame's time
				b.Add(kindForget, forgetCommand(keys))
			}
		})
		return err
	case n < 9 && w.machine.orders.held > 0 && r.IntN(4) == 0:
		return w.cancel(r, s, now)
	case n < 9 && r.IntN(6) == 0:
		return w.release(r, s, now)
	case n < 9 && len(w.done) > 0:
		return w.attempt(r, s, now, w.done[r.IntN(len(w.done))]) // somebody says it again, or otherwise
	case len(w.asked) > 0:
		i := r.IntN(len(w.asked))
		a := w.asked[i]
		w.asked = slices.Delete(w.asked, i, i+1)
		if err := w.attempt(r, s, now, a); err != nil {
			w.asked = append(w.asked, a) // whoever reports an outcome goes on until it is heard
			return err
		}
		w.done = append(w.done, a)
	}
	return nil
}

func (w *simWorld) accept(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	var events []*simEvent
	var proposals []func(*shard.Batch)
	for range 1 + r.IntN(3) {
		w.accepts++
		e := &simEvent{number: w.accepts, Accepted: Accepted{
			EventID: "event-" + strconv.Itoa(w.accepts), Event: []byte(`{"detail":` + strconv.Itoa(w.accepts) + `}`),
			Bus: simScope.BusARN("orders"), Accepted: now.Truncate(time.Microsecond),
		}}
		if r.IntN(2) == 0 {
			e.EventID = fmt.Sprintf("6b1f0f0e-3d52-7a4c-87aa-%012x", w.accepts)
		}
		for _, i := range r.Perm(len(simTargets))[:1+r.IntN(3)] {
			e.Targets = append(e.Targets, simTargets[i])
			if r.IntN(2) == 0 {
				e.Orders = append(e.Orders, uint64(i*2+1+r.IntN(2))) // two keys for each target
			} else {
				e.Orders = append(e.Orders, 0)
			}
		}
		if r.IntN(3) == 0 {
			e.Dedupe = Dedupe{Key: [16]byte{byte(r.IntN(5))}, Window: []time.Duration{2 * time.Second, 20 * time.Second, time.Hour}[r.IntN(3)]}
		}
		if r.IntN(4) == 0 {
			e.Expires = e.Accepted.Accepted.Add(time.Duration(r.IntN(10_000)) * time.Millisecond)
		}
		w.events[e.EventID], w.fates[e.EventID] = e, make(map[string]fate)
		for _, t := range e.Targets {
			w.fates[e.EventID][t.ID] = fate{}
		}
		events = append(events, e)
		proposals = append(proposals, func(b *shard.Batch) {
			for _, t := range e.Targets {
				if _, ok := w.machine.byKey[t.Key]; !ok && b.First(string(t.Key[:])) {
					b.Add(kindDefine, t.JSON)
				}
			}
			b.Add(acceptCommand(&e.Accepted))
		})
	}
	answers, err := s.Commit(now, proposals...)
	if err != nil {
		return err
	}
	for i, e := range events {
		switch last := answers[i][len(answers[i])-1].(type) {
		case nil:
			w.accepted(e)
		case duplicate:
			if err := w.refused(e, w.events[string(last)], now); err != nil {
				return err
			}
		default:
			return fmt.Errorf("accept of %s answered %v", e.EventID, last)
		}
	}
	return w.look(s)
}

func (w *simWorld) accepted(e *simEvent) {
	e.log = logYes
	for id, f := range w.fates[e.EventID] {
		f.sure = true
		w.fates[e.EventID][id] = f
	}
}

// refused checks that an event was refused because of an earlier one whose time is not over.
func (w *simWorld) refused(e, first *simEvent, now time.Time) error {
	switch {
	case e.Dedupe.Window == 0 || first == nil || first.Dedupe.Key != e.Dedupe.Key || first.number >= e.number || first.log == logNo:
		return fmt.Errorf("%s was taken for %+v", e.EventID, first)
	case first.from > 0 && now.Sub(time.Unix(int64(first.from)+1, 0)) >= first.Dedupe.Window:
		return fmt.Errorf("%s was taken for %s, which is too long ago", e.EventID, first.EventID)
	}
	w.accepted(first) // if that was not known
	e.log = logNo
	return nil
}

// look learns what is in the machine, and with it in the log. An event that is there must not be a second one within the time after
// another.
func (w *simWorld) look(s *shard.Stepper) error {
	for _, d := range w.machine.deliveries.All() {
		kept := w.machine.events.Get(d.event)
		if _, ok := w.names[kept.key]; ok {
			continue
		}
		payload, err := s.Read(kept.ref)
		if err != nil {
			return fmt.Errorf("read an event that waits: %w", err)
		}
		read, err := readEvent(payload)
		if err != nil {
			return err
		}
		e := w.events[read.EventID]
		if e == nil || e.log == logNo || !read.Expires.Equal(e.Expires) || !read.Accepted.Equal(e.Accepted.Accepted) {
			return fmt.Errorf("event %s is in the log as %+v, and was accepted as %+v", read.EventID, read, e)
		}
		w.names[kept.key] = e.EventID
		w.accepted(e)
		e.from = kept.from
		for _, other := range w.events {
			if other == e || other.from == 0 || e.Dedupe.Window == 0 || other.Dedupe.Window == 0 || other.Dedupe.Key != e.Dedupe.Key {
				continue
			}
			first, second := e, other
			if first.number > second.number {
				first, second = second, first
			}
			if first.free {
				continue
			}
			if passed := time.Duration(second.from-first.from+1) * time.Second; passed <= first.Dedupe.Window {
				return fmt.Errorf("%s was accepted %v after %s, which has its key", second.EventID, passed, first.EventID)
			}
		}
	}
	return nil
}

// release lets a key be forgotten before its time.
func (w *simWorld) release(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	key := [16]byte{byte(r.IntN(5))}
	for _, e := range w.events {
		if e.Dedupe.Window > 0 && e.Dedupe.Key == key {
			e.free = true
		}
	}
	_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindRelease, releaseCommand([][16]byte{key})) })
	return err
}

// cancel ends a delivery that is held.
func (w *simWorld) cancel(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	var held []attempt
	for slot, d := range w.machine.deliveries.All() {
		if d.group != 0 && !d.queued && d.due == 0 {
			held = append(held, attempt{handle: handle{slot, w.machine.events.Get(d.event).key}, def: *w.machine.targets.Get(d.target)})
		}
	}
	if len(held) == 0 {
		return nil
	}
	a := held[r.IntN(len(held))]
	return w.end(s, now, kindDropped, w.names[a.key], a)
}

// inTurn checks that what is attempted is not before its turn: whatever its group got earlier has ended, or has failed for good.
func (w *simWorld) inTurn(e *simEvent, a attempt) error {
	hash := e.hash(a.def.ID)
	if a.ordered != (hash != 0 && a.letter == nil) {
		return fmt.Errorf("the attempt of %s to %s says ordered: %v", e.EventID, a.def.ID, a.ordered)
	}
	if !a.ordered {
		return nil
	}
	for id, earlier := range w.events {
		if earlier.number >= e.number || earlier.log != logYes || earlier.hash(a.def.ID) != hash {
			continue
		}
		if f := w.fates[id][a.def.ID]; f.ends == 0 && !f.doubt && !f.dead {
			return fmt.Errorf("%s is brought to %s before %s", e.EventID, a.def.ID, id)
		}
	}
	for _, d := range w.machine.deliveries.All() {
		earlier := w.events[w.names[w.machine.events.Get(d.event).key]]
		if (*w.machine.targets.Get(d.target)).ID == a.def.ID && !d.dead && earlier.number < e.number && earlier.hash(a.def.ID) == hash {
			return fmt.Errorf("%s is brought to %s before %s, which waits", e.EventID, a.def.ID, earlier.EventID)
		}
	}
	return nil
}

// hash is what the event's delivery to a target is ordered by, if it has one.
func (e *simEvent) hash(id string) uint64 {
	if i := slices.IndexFunc(e.Targets, func(t *target.Sealed) bool { return t.ID == id }); i >= 0 {
		return e.Orders[i]
	}
	return 0
}

// attempt reads the event, as a worker does, and commits an outcome.
func (w *simWorld) attempt(r *rand.Rand, s *shard.Stepper, now time.Time, a attempt) error {
	d, ok := w.machine.find(a.handle)
	if !ok {
		_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindSettled, appendHandle(nil, a.handle)) })
		return err // it ended before; saying so again must not end another one, which Check would find
	}
	ref := w.machine.events.Get(d.event).ref
	payload, err := s.Read(ref)
	if err != nil {
		return fmt.Errorf("read the event of an attempt: %w", err)
	}
	e, err := readEvent(payload)
	if err != nil {
		return err
	}
	if err := w.inTurn(w.events[e.EventID], a); err != nil {
		return err
	}
	if a.letter != nil {
		payload, err := s.Read(w.machine.letters[a.slot])
		if err != nil {
			return fmt.Errorf("read the letter of an attempt: %w", err)
		}
		if l, err := readLetter(payload); err != nil || l != simLetter {
			return fmt.Errorf("the letter of an attempt is %+v, %v", l, err)
		}
	}
	switch n := r.IntN(10); {
	case !e.Expires.IsZero() && !now.Before(e.Expires):
		return w.end(s, now, kindDropped, e.EventID, a)
	case n < 5:
		return w.end(s, now, kindSettled, e.EventID, a)
	case n < 8:
		until := now.Add(time.Duration(r.IntN(5000)) * time.Millisecond)
		p := postponed{handle: a.handle, letter: a.letter != nil, made: int(a.made) + 1, until: until, code: target.CodeThrottling}
		_, err = s.Commit(now, func(b *shard.Batch) { b.Add(kindAgain, appendPostponed(nil, p)) })
		return err
	case a.letter == nil && a.def.DeadLetter != "":
		f := w.fates[e.EventID][a.def.ID]
		f.dead = true
		w.fates[e.EventID][a.def.ID] = f
		_, err = s.Commit(now, func(b *shard.Batch) { b.Add(kindDead, appendDead(nil, a.handle, simLetter)) })
		return err
	}
	return w.end(s, now, kindDropped, e.EventID, a)
}

var simLetter = letter{code: target.CodeNoResource, message: "No such queue."}

func (w *simWorld) end(s *shard.Stepper, now time.Time, kind shard.Kind, id string, a attempt) error {
	f, known := w.fates[id][a.def.ID]
	if !known {
		return fmt.Errorf("event %s is to be brought to %s, which nobody wanted", id, a.def.ID)
	}
	answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(kind, appendHandle(nil, a.handle)) })
	if err != nil {
		f.doubt = true
	} else {
		f.ends += answers[0][0].(int)
	}
	w.fates[id][a.def.ID] = f
	return err
}

// nothingForgotten checks that each delivery was handed out, or will be by an alarm or after another one, and that no attempt was
// forgotten.
func (w *simWorld) nothingForgotten(now time.Time) error {
	asked := make(map[handle]bool)
	for _, a := range w.asked {
		asked[a.handle] = true
	}
	for slot, d := range w.machine.deliveries.All() {
		h := handle{slot, w.machine.events.Get(d.event).key}
		if !w.machine.turn(slot, d) {
			if d.queued || asked[h] {
				return fmt.Errorf("delivery %v was handed out, although it is held", h)
			}
			continue
		}
		if waits := slices.Contains(w.machine.alarms[alarmAt(d.due)], slot); d.queued && !asked[h] || !d.queued && !waits {
			return fmt.Errorf("delivery %v at %v: handed out %v, really %v, by an alarm %v", h, now, d.queued, asked[h], waits)
		}
		name := fmt.Sprint(h, d.dead)
		if d.made < w.made[name] {
			return fmt.Errorf("delivery %v was attempted %d times, and now it is %d times", h, w.made[name], d.made)
		}
		w.made[name] = d.made
	}
	if (w.held > 0) != (w.machine.orders.held > 0) {
		return fmt.Errorf("%d deliveries are held, and the machine has said %d", w.machine.orders.held, w.held)
	}
	held := w.machine.orders.held
	for _, def := range w.machine.byKey {
		held -= def.held
	}
	if held != 0 {
		return fmt.Errorf("of %d deliveries that are held, %d are to no target", w.machine.orders.held, held)
	}
	return nil
}

// Check compares the machine with what the world knows, and then brings everything to its end.
func (w *simWorld) Check(s *shard.Stepper, now time.Time) error {
	if err := w.look(s); err != nil {
		return err
	}
	there := make(map[string]map[string]bool)
	for _, d := range w.machine.deliveries.All() {
		payload, err := s.Read(w.machine.events.Get(d.event).ref)
		if err != nil {
			return fmt.Errorf("read an event that waits: %w", err)
		}
		e, err := readEvent(payload)
		if err != nil {
			return err
		}
		if there[e.EventID] == nil {
			there[e.EventID] = make(map[string]bool)
		}
		id := (*w.machine.targets.Get(d.target)).ID
		if there[e.EventID][id] {
			return fmt.Errorf("%s waits for %s twice", e.EventID, id)
		}
		there[e.EventID][id] = true
	}
	for id, targets := range w.fates {
		for t, f := range targets {
			here := there[id][t]
			switch {
			case f.ends > 1:
				return fmt.Errorf("%s to %s ended %d times", id, t, f.ends)
			case f.ends == 1 && here:
				return fmt.Errorf("%s to %s ended, and waits again", id, t)
			case f.sure && f.ends == 0 && !f.doubt && !here:
				return fmt.Errorf("%s to %s was accepted and is lost", id, t)
			case here && w.events[id].log == logNo:
				return fmt.Errorf("%s waits, and another one was accepted in its place", id)
			}
		}
	}
	return w.drain(s, now)
}

// drain lets every destination take what it gets, and time pass: then nothing may be left.
func (w *simWorld) drain(s *shard.Stepper, now time.Time) error {
	for {
		asked := w.asked
		w.asked = nil
		for _, a := range asked {
			if err := w.inTurn(w.events[w.names[a.key]], a); err != nil {
				return err
			}
			if err := w.end(s, now, kindSettled, w.names[a.key], a); err != nil {
				return err
			}
		}
		if len(w.asked) > 0 {
			continue
		}
		at, ok := s.NextTimer()
		if !ok {
			break
		}
		now = at
		s.Ring(now)
	}
	if n := w.machine.deliveries.Len(); n > 0 {
		return fmt.Errorf("%d deliveries are left, and nobody will hear of them", n)
	}
	if w.machine.events.Len() > 0 || len(w.machine.letters) > 0 || len(w.machine.alarms) > 0 {
		return fmt.Errorf("%d events, %d letters and %d alarms are left without a delivery", w.machine.events.Len(), len(w.machine.letters), len(w.machine.alarms))
	}
	if o := &w.machine.orders; o.groups.Len() > 0 || len(o.byHash) > 0 || o.held > 0 {
		return fmt.Errorf("%d groups are left without a delivery, and %d are held", o.groups.Len(), o.held)
	}
	now = now.Add(48 * time.Hour) // the frames may be a few hours ahead
	for range 60/forgetSteps + 60 {
		if _, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindSettled, nil) }); err != nil {
			return err
		}
	}
	if o := &w.machine.once; o.entries.Len() > 0 || len(o.byKey) > 0 || len(o.names) > 0 || len(o.forget) > 0 {
		return fmt.Errorf("%d keys are left when their time is over", o.entries.Len())
	}
	for _, def := range w.machine.targets.All() {
		if (*def).deliveries != 0 || (*def).letters != 0 {
			return fmt.Errorf("target %s counts deliveries that are not there", (*def).ID)
		}
	}
	return w.nothingPinned(s, now)
}

// nothingPinned checks that the log can be cut when nothing waits.
func (w *simWorld) nothingPinned(s *shard.Stepper, now time.Time) error {
	_, end := s.Bounds()
	for range 2 { // the older of two snapshots counts
		if _, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindSettled, nil) }); err != nil {
			return err
		}
		if err := s.Snapshot(); err != nil {
			return err
		}
	}
	if first, _ := s.Bounds(); first <= end {
		return fmt.Errorf("nothing waits, and yet the log is needed from frame %d of %d on", first, end)
	}
	return nil
}

func TestSimulation(t *testing.T) { shardtest.Simulate(t, 10_000, newSimWorld) }
