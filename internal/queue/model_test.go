package queue

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
)

// The model is the obvious queue: slices, and a look at every message for every question.
type model struct {
	now     int64
	nextKey uint64
	queues  map[ID]*modelQueue
}

type modelQueue struct {
	id        ID
	retention int64
	purged    int64
	messages  []*modelMessage
	visible   []*modelMessage // of each group in the order in which they can be received
	line      []uint64        // groups that have some, in the order of their turns
	leaving   []*modelMessage // by a redrive; not among messages
	tasks     modelTasks
	source    string // how it is called as a dead-letter source
}

type modelMessage struct {
	payload  string
	group    uint64
	key      uint64
	sent     int64
	state    state
	due      int64
	receives int
	last     int64
	source   string

	modelMark
}

// A modelHandle is what a receive gave somebody.
type modelHandle struct {
	queue ID
	place Place
	m     *modelMessage
	key   uint64 // of the message at that time
}

func (q *modelQueue) drop(m *modelMessage) {
	is := func(x *modelMessage) bool { return x == m }
	q.messages = slices.DeleteFunc(q.messages, is)
	q.pull(m)
}

// pull takes a message out of what can be received, and its group out of the line if it was the last one.
func (q *modelQueue) pull(m *modelMessage) {
	q.visible = slices.DeleteFunc(q.visible, func(x *modelMessage) bool { return x == m })
	q.line = slices.DeleteFunc(q.line, func(group uint64) bool {
		return !slices.ContainsFunc(q.visible, func(x *modelMessage) bool { return x.group == group })
	})
}

// next is what is received next: the first message of the group whose turn it is, or nil.
func (q *modelQueue) next() *modelMessage {
	if len(q.line) == 0 {
		return nil
	}
	return q.visible[slices.IndexFunc(q.visible, func(x *modelMessage) bool { return x.group == q.line[0] })]
}

func (q *modelQueue) show(m *modelMessage) {
	m.state = visible
	q.visible = append(q.visible, m)
	if !slices.Contains(q.line, m.group) {
		q.line = append(q.line, m.group)
	}
}

func (q *modelQueue) hide(m *modelMessage, as state, until int64) {
	q.pull(m)
	m.state, m.due = as, until
}

func (w *model) advance(q *modelQueue) {
	for _, m := range slices.Clone(q.messages) {
		if m.sent+q.retention <= w.now {
			m.unmark(skippedOld)
			q.drop(m)
		}
	}
	var due []*modelMessage
	for _, m := range q.messages {
		if m.state != visible && m.due <= w.now {
			due = append(due, m)
		}
	}
	slices.SortFunc(due, func(a, b *modelMessage) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.key, b.key))
	})
	for _, m := range due {
		q.show(m)
	}
}

func (w *model) counts(q *modelQueue) Counts {
	var c Counts
	for _, m := range q.messages {
		switch m.state {
		case visible:
			c.Visible++
		case inFlight:
			c.InFlight++
		case delayed:
			c.Delayed++
		}
	}
	c.InFlight += len(q.leaving)
	return c
}

// has reports whether a handle still names a message of the queue.
func (q *modelQueue) has(h modelHandle) bool {
	return slices.Contains(q.messages, h.m) && h.m.key == h.key
}

// A duel plays the same moves on the machine and on the model.
type duel struct {
	player
	model   *model
	handles []modelHandle
	sends   int
}

const (
	duelQueues    = 3
	deadLetters   = ID(1) // of queue 2
	duelRetention = 100   // seconds
)

func newDuel(t *testing.T, seed uint64) *duel {
	d := &duel{
		player: player{rand: rand.New(rand.NewPCG(seed, 1)), machine: NewMachine()},
		model:  &model{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), queues: map[ID]*modelQueue{}},
	}
	d.time = func() int64 { return d.model.now }
	proc := journal.NewSim(seed, journal.SimFaults{}).Open()
	log, err := proc.Log(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := proc.Blob(t.Context(), "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	d.stepper, err = shard.OpenStepper(log, blob, microTime(d.model.now), shard.Hosted{Machine: d.machine})
	if err != nil {
		t.Fatal(err)
	}
	for id := ID(1); id <= duelQueues; id++ {
		if err := d.open(id); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *duel) open(id ID) error {
	d.model.queues[id] = &modelQueue{id: id, retention: seconds(duelRetention), source: fmt.Sprintf("queue %d", id)}
	_, err := d.commit(kindOpen, openCommand(id, duelRetention))
	return err
}

func (d *duel) step() error {
	d.model.now += d.rand.Int64N(4e6)
	q := d.model.queues[1+ID(d.rand.IntN(duelQueues))]
	if d.rand.IntN(4) == 0 {
		return d.redrive(q)
	}
	switch n := d.rand.IntN(100); {
	case n < 30:
		return d.send(q)
	case n < 60:
		return d.receive(q)
	case n < 75:
		return d.delete(q)
	case n < 88:
		return d.hide(q)
	case n < 92:
		return d.touch(q)
	case n < 93:
		return d.purge(q)
	case n < 94:
		if _, err := d.commit(kindDrop, idCommand(q.id)); err != nil {
			return err
		}
		return d.open(q.id)
	case n < 96:
		return d.stepper.Compact(microTime(d.model.now), 20)
	case n < 98:
		return d.stepper.Snapshot()
	default:
		return d.restore()
	}
}

func (d *duel) send(q *modelQueue) error {
	d.model.advance(q)
	var list []parcel
	groups := d.rand.IntN(5) // now and then there are none for long
	for range 1 + d.rand.IntN(5) {
		d.sends++
		m := &modelMessage{payload: fmt.Sprintf("message %d", d.sends), key: d.model.nextKey, sent: d.model.now}
		if q.id == 3 || groups == 0 {
			m.group = d.rand.Uint64N(4)
		}
		d.model.nextKey++
		delay := max(0, d.rand.IntN(20)-10)
		list = append(list, parcel{[]byte(m.payload), delay, m.group})
		q.messages = append(q.messages, m)
		if delay > 0 {
			q.hide(m, delayed, d.model.now+seconds(uint64(delay)))
		} else {
			q.show(m)
		}
	}
	_, err := d.commit(sendCommand(q.id, duelRetention, list))
	return err
}

func (d *duel) receive(q *modelQueue) error {
	d.model.advance(q)
	n, timeout := 1+d.rand.IntN(10), d.rand.IntN(12)
	var to redrive
	if q.id == 2 {
		to = redrive{max: 3, to: deadLetters, local: true, source: q.source}
	}
	answer, err := d.commit(kindReceive, receiveCommand(q.id, duelRetention, n, timeout, to))
	if err != nil {
		return err
	}
	got, ok := answer.([]received)
	if !ok {
		return fmt.Errorf("receive answered %v", answer)
	}
	want := d.modelReceive(q, n, timeout, int(to.max))
	if len(got) != len(want) {
		return fmt.Errorf("received %d messages, want %d", len(got), len(want))
	}
	for i, m := range want {
		g := got[i]
		payload, err := d.stepper.Read(g.ref)
		if err != nil {
			return err
		}
		if string(payload) != m.payload || int(g.receives) != m.receives || g.source != m.source || g.sent.UnixMicro() != m.sent || g.key != m.key {
			return fmt.Errorf("message %d of a receive is %q received %d times from %q, want %q %d times from %q",
				i, payload, g.receives, g.source, m.payload, m.receives, m.source)
		}
		d.handles = append(d.handles, modelHandle{queue: q.id, place: Place{g.slot, g.key}, m: m, key: m.key})
	}
	return nil
}

func (d *duel) modelReceive(q *modelQueue, n, timeout, limit int) []*modelMessage {
	var got []*modelMessage
	for len(got) < n {
		m := q.next()
		if m == nil {
			break
		}
		if limit > 0 && m.receives >= limit {
			m.unmark(skippedMoved)
			q.drop(m)
			m.key = d.model.nextKey
			d.model.nextKey++
			m.source = q.source
			dead := d.model.queues[deadLetters]
			dead.messages = append(dead.messages, m)
			dead.show(m)
			continue
		}
		m.unmark(skippedReceived)
		m.receives++
		m.last = d.model.now
		got = append(got, m)
		q.line = append(q.line[1:], m.group)
		q.hide(m, inFlight, d.model.now+seconds(uint64(timeout)))
	}
	for _, m := range got {
		if timeout == 0 {
			q.show(m)
		}
	}
	return got
}

// handle picks a handle, which may be of another queue, of a message that is gone, or outdated.
func (d *duel) handle() modelHandle {
	if len(d.handles) == 0 {
		return modelHandle{place: Place{7, 1 << 40}, m: &modelMessage{}}
	}
	recent := max(0, len(d.handles)-30)
	return d.handles[recent+d.rand.IntN(len(d.handles)-recent)]
}

func (d *duel) delete(q *modelQueue) error {
	h := d.handle()
	switch {
	case q.has(h):
		h.m.unmark(skippedDeleted)
		q.drop(h.m)
	case slices.Contains(q.leaving, h.m) && h.m.key == h.key:
		h.m.doomed = true
	}
	_, err := d.commit(kindDelete, handlesCommand(q.id, []Place{h.place}))
	return err
}

func (d *duel) hide(q *modelQueue) error {
	d.model.advance(q)
	h, timeout := d.handle(), max(0, d.rand.IntN(30)-10)
	var want error
	switch {
	case !q.has(h):
		want = errNotThere
	case timeout == 0:
		q.hide(h.m, inFlight, 0)
		q.show(h.m)
	default:
		q.hide(h.m, inFlight, d.model.now+seconds(uint64(timeout)))
	}
	answer, err := d.commit(kindHide, hideCommand(q.id, []Place{h.place}, []int{timeout}))
	if err != nil {
		return err
	}
	if got := answer.([]error)[0]; got != want {
		return fmt.Errorf("hide answered %v, want %v", got, want)
	}
	return nil
}

func (d *duel) touch(q *modelQueue) error {
	d.model.advance(q)
	answer, err := d.commit(kindTouch, touchCommand(q.id, duelRetention))
	if err == nil && answer != d.model.counts(q) {
		err = fmt.Errorf("counts are %+v, want %+v", answer, d.model.counts(q))
	}
	return err
}

func (d *duel) purge(q *modelQueue) error {
	var want any
	if q.purged != 0 && d.model.now < q.purged+purgeInterval {
		want = errPurging
	} else {
		for _, m := range q.messages {
			m.unmark(skippedPurged)
		}
		for _, m := range q.leaving {
			m.doomed = true
		}
		q.messages, q.visible, q.line, q.purged = nil, nil, nil, d.model.now
	}
	answer, err := d.commit(kindPurge, idCommand(q.id))
	if err == nil && answer != want {
		err = fmt.Errorf("purge answered %v, want %v", answer, want)
	}
	return err
}

// restore goes on with a machine that comes from a snapshot.
func (d *duel) restore() error {
	before := d.machine.Snapshot(nil)
	restored := NewMachine()
	if err := restored.Restore(before); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if after := restored.Snapshot(nil); !bytes.Equal(before, after) {
		return errors.New("the snapshot of a restored machine differs from the one that it was restored from")
	}
	*d.machine = *restored
	return nil
}

func TestMachineIsTheModel(t *testing.T) {
	const seeds, steps = 60, 600
	for seed := range uint64(seeds) {
		d := newDuel(t, seed)
		for i := range steps {
			if err := d.step(); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, i, err)
			}
		}
		for _, q := range d.model.queues {
			if err := cmp.Or(d.touch(q), d.compareTasks(q.id, q.tasks)); err != nil {
				t.Fatalf("seed %d, at the end: %v", seed, err)
			}
		}
		n := 0
		for _, q := range d.model.queues {
			n += len(q.messages) + len(q.leaving)
		}
		if d.machine.messages.n != n {
			t.Fatalf("seed %d: %d slots are in use for %d messages", seed, d.machine.messages.n, n)
		}
	}
}
