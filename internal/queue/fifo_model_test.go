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

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
)

// The model of FIFO queues is the obvious one, too: of every queue a slice of messages in their order, and a look at all of them for
// every question. A group has only what a slice cannot tell: since when it is open.
type fifoModel struct {
	now     int64
	tick    int
	nextKey uint64
	queues  map[ID]*fifoModelQueue
}

type fifoModelQueue struct {
	id       ID
	messages []*fifoModelMessage
	open     map[uint64]int // by group: its turn
	sent     []fifoModelSent
	attempts map[onceKey]*fifoModelAttempt
	tasks    modelTasks
}

type fifoModelMessage struct {
	id       uuid.UUID
	key      uint64
	group    uint64
	sent     int64
	due      int64
	last     int64
	state    state
	receives uint32

	modelMark
}

type fifoModelSent struct {
	key    onceKey
	group  uint64
	scope  scope
	answer posted
	at     int64
}

type fifoModelAttempt struct {
	at, due  int64
	receipts []receipt
	messages []*fifoModelMessage
}

// settle brings the turns up to date after anything has happened to one group.
func (w *fifoModel) settle(q *fifoModelQueue) {
	open := make(map[uint64]bool)
	seen := make(map[uint64]bool)
	for _, m := range q.messages {
		if !seen[m.group] {
			seen[m.group], open[m.group] = true, m.state == visible
		}
		if busyState(m.state) {
			open[m.group] = false
		}
	}
	for g := range q.open {
		if !open[g] {
			delete(q.open, g)
		}
	}
	for g, is := range open {
		if _, was := q.open[g]; is && !was {
			w.tick++
			q.open[g] = w.tick
		}
	}
}

func (w *fifoModel) drop(q *fifoModelQueue, m *fifoModelMessage) {
	q.messages = slices.DeleteFunc(q.messages, func(x *fifoModelMessage) bool { return x == m })
	w.settle(q)
}

func (w *fifoModel) set(q *fifoModelQueue, m *fifoModelMessage, st state, due int64) {
	m.state, m.due = st, due
	w.settle(q)
}

func (w *fifoModel) advance(q *fifoModelQueue) {
	for _, m := range slices.Clone(q.messages) {
		if m.state != leaving && m.sent+seconds(duelRetention) <= w.now {
			m.unmark(skippedOld)
			w.drop(q, m)
		}
	}
	var due []*fifoModelMessage
	for _, m := range q.messages {
		if (m.state == inFlight || m.state == delayed) && m.due <= w.now {
			due = append(due, m)
		}
	}
	slices.SortFunc(due, func(a, b *fifoModelMessage) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.key, b.key)) })
	for _, m := range due {
		w.set(q, m, visible, 0)
	}
}

// first is the group whose turn it is.
func (q *fifoModelQueue) first() (group uint64, ok bool) {
	best := 0
	for g, turn := range q.open {
		if !ok || turn < best {
			group, best, ok = g, turn, true
		}
	}
	return group, ok
}

func (w *fifoModel) receive(q *fifoModelQueue, n, timeout, limit int) (got []*fifoModelMessage) {
	for len(got) < n {
		group, ok := q.first()
		if !ok {
			break
		}
		var of []*fifoModelMessage
		for _, m := range q.messages {
			if m.group == group {
				of = append(of, m)
			}
		}
		taken := 0
		for _, m := range of {
			dead := limit > 0 && int(m.receives) >= limit
			if len(got) == n || m.state != visible || dead && taken > 0 {
				break
			}
			if dead {
				m.unmark(skippedMoved)
				w.drop(q, m)
				m.key, m.sent, m.last = w.nextKey, w.now, w.now
				w.nextKey++
				to := w.queues[fifoDead]
				to.messages = append(to.messages, m)
				w.set(to, m, visible, 0)
				continue
			}
			m.unmark(skippedReceived)
			m.receives++
			m.last = w.now
			w.set(q, m, inFlight, w.now+seconds(uint64(timeout)))
			got = append(got, m)
			taken++
		}
	}
	if timeout == 0 {
		for _, m := range got {
			w.set(q, m, visible, 0)
		}
	}
	return got
}

// find is what the model knows under a key.
func (q *fifoModelQueue) find(key onceKey, group uint64, now int64) (posted, bool) {
	for _, s := range slices.Backward(q.sent) {
		if s.key == key && s.at+dedupeWindow > now && (s.scope == wholeQueue || s.group == group) {
			return s.answer, true
		}
	}
	return posted{}, false
}

// A fifoDuel plays the same moves on the machine and on the model.
type fifoDuel struct {
	player
	model *fifoModel
	held  []fifoHeld
	ids   byte
}

type fifoHeld struct {
	queue ID
	receipt
	m *fifoModelMessage
}

const (
	fifoSource = ID(1)
	fifoDead   = ID(2)
	fifoGroups = 4
)

func newFIFODuel(t *testing.T, seed uint64) *fifoDuel {
	d := &fifoDuel{
		player: player{rand: rand.New(rand.NewPCG(seed, 3)), machine: NewMachine()},
		model:  &fifoModel{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), queues: map[ID]*fifoModelQueue{}},
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
	for _, id := range []ID{fifoSource, fifoDead} {
		d.model.queues[id] = &fifoModelQueue{id: id, open: map[uint64]int{}, attempts: map[onceKey]*fifoModelAttempt{}}
		if _, err := d.commit(kindOpenFIFO, openFIFOCommand(id, duelRetention)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *fifoDuel) step() error {
	d.model.now += d.rand.Int64N(3e6)
	if d.rand.IntN(200) == 0 {
		d.model.now += dedupeWindow
	}
	q := d.model.queues[fifoSource]
	if d.rand.IntN(4) == 0 {
		q = d.model.queues[fifoDead]
	}
	if d.rand.IntN(5) == 0 {
		return d.redrive(q)
	}
	switch n := d.rand.IntN(100); {
	case n < 30:
		return d.send(q)
	case n < 55:
		return d.receive(q)
	case n < 67:
		return d.delete(q)
	case n < 75:
		return d.hide(q)
	case n < 79:
		return d.bringBack()
	case n < 82:
		return d.delay(q)
	case n < 85:
		return d.accept(q)
	case n < 90:
		return d.touch(q)
	case n < 91:
		return d.purge(q)
	case n < 95:
		return d.stepper.Compact(microTime(d.model.now), 20)
	case n < 97:
		return d.stepper.Snapshot()
	}
	return d.restore()
}

func (d *fifoDuel) send(q *fifoModelQueue) error {
	d.model.advance(q)
	by, delay := scope(d.rand.IntN(8)/7), max(0, d.rand.IntN(20)-15)
	var list []posting
	var want []posted
	for range 1 + d.rand.IntN(4) {
		d.ids++
		p := posting{
			id: uuid.UUID{0: d.ids, 8: byte(d.rand.IntN(256)), 15: byte(q.id)}, group: hashGroup(fmt.Sprint(d.rand.IntN(fifoGroups))),
			key: dedupeKey(fmt.Sprint(d.rand.IntN(200))), payload: []byte("x"),
		}
		list = append(list, p)
		want = append(want, d.model.post(q, p, delay, by))
	}
	return d.posts(sendFIFOCommand(q.id, duelRetention, delay, by, list), want)
}

// post takes a message, if it is none that was sent before.
func (w *fifoModel) post(q *fifoModelQueue, p posting, delay int, by scope) posted {
	if was, ok := q.find(p.key, p.group, w.now); ok {
		return was
	}
	m := &fifoModelMessage{id: p.id, key: w.nextKey, group: p.group, sent: w.now}
	w.nextKey++
	is := posted{p.id, m.key}
	q.sent = append(q.sent, fifoModelSent{p.key, p.group, by, is, w.now})
	q.messages = append(q.messages, m)
	if delay > 0 {
		w.set(q, m, delayed, w.now+seconds(uint64(delay)))
	} else {
		w.set(q, m, visible, 0)
	}
	return is
}

// posts commits a send and checks its answer.
func (d *fifoDuel) posts(body []byte, want []posted) error {
	answer, err := d.commit(kindSendFIFO, body)
	if err != nil {
		return err
	}
	if got, ok := answer.([]posted); !ok || !slices.Equal(got, want) {
		return fmt.Errorf("send answered %v, want %v", answer, want)
	}
	return nil
}

func (d *fifoDuel) receive(q *fifoModelQueue) error {
	d.model.advance(q)
	n, timeout := 1+d.rand.IntN(10), d.rand.IntN(12)
	var to redrive
	if q.id == fifoSource {
		to = redrive{max: 3, to: fifoDead, local: true, source: "source"}
	}
	kind, body := kindReceive, receiveCommand(q.id, duelRetention, n, timeout, to)
	var want []*fifoModelMessage
	if d.rand.IntN(2) == 0 {
		attempt := attemptKey(fmt.Sprint(d.rand.IntN(3)))
		kind, body = kindReceiveFIFO, receiveFIFOCommand(q.id, duelRetention, n, timeout, to, attempt)
		want = d.modelAttempt(q, attempt, n, timeout, int(to.max))
	} else {
		want = d.model.receive(q, n, timeout, int(to.max))
	}
	answer, err := d.commit(kind, body)
	if err != nil {
		return err
	}
	got, ok := answer.([]received)
	if !ok || len(got) != len(want) {
		return fmt.Errorf("receive answered %v, want %d messages", answer, len(want))
	}
	for i, m := range want {
		if g := got[i]; g.key != m.key || g.receives != m.receives || g.sent.UnixMicro() != m.sent {
			return fmt.Errorf("message %d of a receive has the key %d and was received %d times, want %d and %d", i, g.key, g.receives, m.key, m.receives)
		}
		d.held = append(d.held, fifoHeld{q.id, receipt{Place{got[i].slot, m.key}, m.receives}, m})
	}
	return nil
}

func (d *fifoDuel) modelAttempt(q *fifoModelQueue, key onceKey, n, timeout, limit int) []*fifoModelMessage {
	if is := q.attempts[key]; is != nil && is.at+dedupeWindow > d.model.now {
		untouched := true
		for i, m := range is.messages {
			untouched = untouched && m.state == inFlight && m.key == is.receipts[i].key && m.receives == is.receipts[i].receives &&
				m.due == is.due && slices.Contains(q.messages, m)
		}
		if untouched {
			is.due = d.model.now + seconds(uint64(timeout))
			for _, m := range is.messages {
				if timeout > 0 {
					d.model.set(q, m, inFlight, is.due)
				} else {
					d.model.set(q, m, visible, 0)
				}
			}
			return is.messages
		}
	}
	got := d.model.receive(q, n, timeout, limit)
	if len(got) > 0 && timeout > 0 {
		is := &fifoModelAttempt{at: d.model.now, due: d.model.now + seconds(uint64(timeout)), messages: got}
		for _, m := range got {
			is.receipts = append(is.receipts, receipt{Place{0, m.key}, m.receives})
		}
		q.attempts[key] = is
	}
	return got
}

// pick picks a receipt, which may be of another queue, outdated, or of a message that is gone, and says what is to be answered.
func (d *fifoDuel) pick(q *fifoModelQueue) (h fifoHeld, want error) {
	if len(d.held) == 0 {
		return fifoHeld{receipt: receipt{Place{7, 1 << 40}, 1}}, errNotThere
	}
	recent := max(0, len(d.held)-20)
	h = d.held[recent+d.rand.IntN(len(d.held)-recent)]
	switch {
	case !slices.Contains(q.messages, h.m) || h.m.key != h.key || h.m.state == leaving:
		want = errNotThere
	case h.m.receives != h.receives:
		want = errExpired
	case h.m.state != inFlight:
		want = errVisible
	}
	return h, want
}

func (d *fifoDuel) delete(q *fifoModelQueue) error {
	d.model.advance(q)
	h, want := d.pick(q)
	if want == nil {
		d.model.drop(q, h.m)
	}
	return d.answered(kindDeleteFIFO, deleteFIFOCommand(q.id, []receipt{h.receipt}), want)
}

func (d *fifoDuel) hide(q *fifoModelQueue) error {
	d.model.advance(q)
	h, want := d.pick(q)
	timeout := max(0, d.rand.IntN(30)-10)
	if want == nil && timeout > 0 {
		d.model.set(q, h.m, inFlight, d.model.now+seconds(uint64(timeout)))
	} else if want == nil {
		d.model.set(q, h.m, visible, 0)
	}
	return d.answered(kindHideFIFO, hideFIFOCommand(q.id, []receipt{h.receipt}, []int{timeout}), want)
}

func (d *fifoDuel) answered(kind shard.Kind, body []byte, want error) error {
	answer, err := d.commit(kind, body)
	if err != nil {
		return err
	}
	if got := answer.([]error)[0]; got != want {
		return fmt.Errorf("kind %#x answered %v, want %v", kind, got, want)
	}
	return nil
}

// accept brings a message from elsewhere, perhaps for the second time.
func (d *fifoDuel) accept(q *fifoModelQueue) error {
	d.model.advance(q)
	m := move{from: 9, key: d.rand.Uint64N(200), group: hashGroup(fmt.Sprint(d.rand.IntN(fifoGroups))), receives: 1, source: "elsewhere"}
	key := moveKey(m.from, m.key)
	if _, ok := q.find(key, 0, d.model.now); !ok {
		is := &fifoModelMessage{key: d.model.nextKey, group: m.group, sent: d.model.now, receives: 1}
		d.model.nextKey++
		q.sent = append(q.sent, fifoModelSent{key: key, at: d.model.now})
		q.messages = append(q.messages, is)
		d.model.set(q, is, visible, 0)
	}
	_, err := d.commit(kindAcceptFIFO, acceptFIFOCommand(q.id, duelRetention, []move{m}, [][]byte{[]byte("moved")}))
	return err
}

func (d *fifoDuel) touch(q *fifoModelQueue) error {
	d.model.advance(q)
	var want Counts
	for _, m := range q.messages {
		switch m.state {
		case visible:
			want.Visible++
		case inFlight, leaving:
			want.InFlight++
		case delayed:
			want.Delayed++
		}
	}
	answer, err := d.commit(kindTouch, touchCommand(q.id, duelRetention))
	if err == nil && answer != want {
		err = fmt.Errorf("counts are %+v, want %+v", answer, want)
	}
	return err
}

func (d *fifoDuel) purge(q *fifoModelQueue) error {
	is := d.machine.queues[q.id]
	if is.purged != 0 && d.model.now < is.purged+purgeInterval {
		return nil
	}
	var rest []*fifoModelMessage
	for _, m := range q.messages {
		m.unmark(skippedPurged)
		if m.state == leaving {
			m.doomed = true
			rest = append(rest, m)
		}
	}
	q.messages, q.open = rest, map[uint64]int{} // nothing is open: what is left is leaving
	q.attempts = map[onceKey]*fifoModelAttempt{}
	_, err := d.commit(kindPurge, idCommand(q.id))
	return err
}

// delay changes the delay of a queue, which counts for what nobody has received yet.
func (d *fifoDuel) delay(q *fifoModelQueue) error {
	d.model.advance(q)
	delay := max(0, d.rand.IntN(30)-5)
	for _, m := range slices.Clone(q.messages) {
		due := m.sent + seconds(uint64(delay))
		switch early := due > d.model.now; {
		case early && (m.state == delayed || m.state == visible && m.receives == 0):
			d.model.set(q, m, delayed, due)
		case m.state == delayed:
			d.model.set(q, m, visible, 0)
		}
	}
	return d.answers(kindDelayFIFO, delayFIFOCommand(q.id, duelRetention, delay), nil)
}

// restore goes on with a machine that comes from a snapshot.
func (d *fifoDuel) restore() error {
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

// compare holds what the machine says of its groups against the messages that it has.
func (d *fifoDuel) compare(q *fifoModelQueue) error {
	is := d.machine.queues[q.id]
	var line []uint64
	for number := is.groups.first; number != none; number = is.groups.all[number].next {
		line = append(line, is.groups.all[number].hash)
	}
	var want []uint64
	for g := range q.open {
		want = append(want, g)
	}
	slices.SortFunc(want, func(a, b uint64) int { return cmp.Compare(q.open[a], q.open[b]) })
	if !slices.Equal(line, want) {
		return fmt.Errorf("queue %d has the open groups %x, want %x", q.id, line, want)
	}
	all := make(map[uint64]bool)
	for _, m := range q.messages {
		all[m.group] = true
	}
	if len(is.groups.byHash) != len(all) {
		return fmt.Errorf("queue %d has %d groups, want %d", q.id, len(is.groups.byHash), len(all))
	}
	return nil
}

func TestFIFOIsTheModel(t *testing.T) {
	const seeds, steps = 60, 600
	for seed := range uint64(seeds) {
		d := newFIFODuel(t, seed)
		for i := range steps {
			err := d.step()
			for _, q := range d.model.queues {
				err = cmp.Or(err, d.compare(q))
			}
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, i, err)
			}
		}
		n := 0
		for _, q := range d.model.queues {
			if err := cmp.Or(d.touch(q), d.compareTasks(q.id, q.tasks)); err != nil {
				t.Fatalf("seed %d, at the end: %v", seed, err)
			}
			n += len(q.messages)
		}
		if d.machine.messages.n != n {
			t.Fatalf("seed %d: %d slots are in use for %d messages", seed, d.machine.messages.n, n)
		}
	}
}
