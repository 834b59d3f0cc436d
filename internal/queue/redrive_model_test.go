package queue

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/shard"
)

// A modelTask is the obvious redrive.
type modelTask struct {
	id       uuid.UUID
	before   uint64
	status   RedriveStatus
	paused   bool
	selected int
	left     int
	leaving  int
	moved    int
	failed   map[string]int
	skipped  map[string]int
}

// modelTasks are the redrives of a queue of either model.
type modelTasks []*modelTask

func (list modelTasks) active() *modelTask {
	if n := len(list); n > 0 && !list[n-1].status.Ended() {
		return list[n-1]
	}
	return nil
}

// A modelMark is what a message of either model has to do with redrives.
type modelMark struct {
	marked *modelTask // it is selected
	doomed bool       // it does not come back from where it is leaving to
}

// unmark counts a message as skipped, if it is selected.
func (m *modelMark) unmark(reason string) {
	t := m.marked
	if m.marked = nil; t == nil || t.status >= RedriveCancelling {
		return
	}
	t.left--
	t.skipped[reason]++
	t.settle()
}

func (t *modelTask) settle() {
	switch {
	case t.leaving > 0:
	case t.status == RedriveRunning && t.left == 0:
		t.status, t.paused = RedriveCompleted, false
	case t.status == RedriveCancelling:
		t.status, t.paused = RedriveCancelled, false
	}
}

// finish counts what became of a message that was leaving. It reports whether the message is in the queue again.
func (t *modelTask) finish(m *modelMark, dec Decision) (back bool) {
	m.marked = nil
	t.leaving--
	switch dec.Outcome {
	case Moved:
		t.moved++
	case Failed:
		t.failed[dec.Reason]++
	default:
		t.skipped[dec.Reason]++
	}
	return dec.Outcome != Moved && !m.doomed
}

// ready is what a command that selects says of whether it is the last, after it has selected.
func (t *modelTask) ready(last bool) {
	if last {
		t.status = RedriveRunning
		t.settle()
	}
}

// A player is a duel about queues of either kind, as far as redrives are the same in both.
type player struct {
	rand    *rand.Rand
	machine *Machine
	stepper *shard.Stepper
	time    func() int64
}

func (p *player) commit(kind shard.Kind, body []byte) (any, error) {
	answers, err := p.stepper.Commit(microTime(p.time()), func(b *shard.Batch) { b.Add(kind, body) })
	if err != nil {
		return nil, err
	}
	return answers[0][0], nil
}

// redrive plays the next move of a redrive, or one that is out of place.
func (d *duel) redrive(q *modelQueue) error {
	t := q.tasks.active()
	if t == nil {
		return d.begin(q.id, &q.tasks, d.model.nextKey)
	}
	switch n := d.rand.IntN(10); {
	case n < 3:
		return d.mark(q, t)
	case n < 6:
		return d.claim(q, t)
	case n < 9:
		return d.decide(q, t)
	}
	return d.control(q.id, t)
}

func (p *player) begin(queue ID, list *modelTasks, nextKey uint64) error {
	t := &modelTask{before: nextKey, failed: map[string]int{}, skipped: map[string]int{}}
	for i := range t.id {
		t.id[i] = byte(p.rand.IntN(256))
	}
	*list = append(*list, t)
	_, err := p.commit(kindBegin, beginCommand(queue, t.id, p.rand.IntN(3), []byte("all")))
	return err
}

// places picks some of the machine's messages, those of other queues among them, and some that are not there.
func (p *player) places() (list []Place) {
	p.machine.messages.each(func(slot uint32, m *message) bool {
		if p.rand.IntN(3) == 0 {
			list = append(list, Place{slot, m.key})
		}
		return true
	})
	return append(list, Place{9, 1 << 40})
}

// at is the message of the queue at a place, if it is one of those.
func at(among []*modelMessage, p Place) *modelMessage {
	i := slices.IndexFunc(among, func(m *modelMessage) bool { return m.key == p.key })
	if i < 0 {
		return nil
	}
	return among[i]
}

func (d *duel) mark(q *modelQueue, t *modelTask) error {
	d.model.advance(q)
	places, last := d.places(), d.rand.IntN(3) == 0
	var want any = errTaskOver
	if t.status == RedriveSelecting {
		want = nil
		for _, p := range places {
			if m := at(q.visible, p); m != nil && m.key < t.before && m.marked != t {
				m.marked = t
				t.selected++
				t.left++
			}
		}
		t.ready(last)
	}
	return d.answers(kindMark, markCommand(q.id, duelRetention, t.id, last, places), want)
}

// answers commits a command and checks its answer.
func (p *player) answers(kind shard.Kind, body []byte, want any) error {
	answer, err := p.commit(kind, body)
	if err == nil && answer != want {
		err = fmt.Errorf("kind %#x answered %v, want %v", kind, answer, want)
	}
	return err
}

func (d *duel) claim(q *modelQueue, t *modelTask) error {
	d.model.advance(q)
	places := d.places()
	if t.status != RedriveRunning || t.paused {
		return d.answers(kindClaim, claimCommand(q.id, duelRetention, t.id, places), errTaskOver)
	}
	var want []uint64
	for _, p := range places {
		m := at(q.messages, p)
		switch {
		case m == nil || m.marked != t || t.status != RedriveRunning:
			continue
		case m.state != visible:
			m.unmark(skippedHidden)
			continue
		}
		want = append(want, m.key)
		q.drop(m)
		m.state = leaving
		q.leaving = append(q.leaving, m)
		t.left--
		t.leaving++
	}
	return d.claims(claimCommand(q.id, duelRetention, t.id, places), want)
}

// claims commits a claim and checks which messages it takes.
func (p *player) claims(body []byte, want []uint64) error {
	answer, err := p.commit(kindClaim, body)
	if err != nil {
		return err
	}
	var got []uint64
	for _, r := range answer.([]received) {
		got = append(got, r.key)
	}
	if !slices.Equal(got, want) {
		err = fmt.Errorf("claimed %v, want %v", got, want)
	}
	return err
}

func (d *duel) decide(q *modelQueue, t *modelTask) error {
	list := d.decisions()
	for _, dec := range list {
		m := at(q.leaving, dec.Place)
		if m == nil {
			continue
		}
		q.leaving = slices.DeleteFunc(q.leaving, func(x *modelMessage) bool { return x == m })
		if t.finish(&m.modelMark, dec) {
			q.messages = append(q.messages, m)
			q.show(m)
		}
	}
	t.settle()
	return d.answers(kindDecide, decideCommand(q.id, t.id, list), nil)
}

// decisions decides about some messages, as chance will have it.
func (p *player) decisions() (list []Decision) {
	for _, at := range p.places() {
		list = append(list, Decision{Place: at, Outcome: Outcome(p.rand.IntN(3)), Reason: fmt.Sprint("reason ", p.rand.IntN(3))})
	}
	return list
}

func (p *player) control(queue ID, t *modelTask) error {
	what := control(p.rand.IntN(4))
	var want any
	switch {
	case t.status >= RedriveCancelling:
		want = errTaskOver
	case what == controlPause:
		t.paused = true
	case what == controlResume:
		t.paused = false
	case what == controlCancel:
		t.status = RedriveCancelling
		if t.left > 0 {
			t.skipped[skippedCancelled] += t.left
		}
		t.left = 0
		t.settle()
	}
	return p.answers(kindControl, controlCommand(queue, t.id, what, p.rand.IntN(5)), want)
}

// compareTasks holds the machine's redrives of a queue against the model's, and their counts against each other.
func (p *player) compareTasks(queue ID, list modelTasks) error {
	tasks := p.machine.queues[queue].tasks
	if want := min(len(list), maxRedrivesKept); len(tasks) != want {
		return fmt.Errorf("queue %d has %d redrives, want %d", queue, len(tasks), want)
	}
	for i, is := range tasks {
		want := list[len(list)-len(tasks)+i]
		failed, skipped := sumOf(is.failed), sumOf(is.skipped)
		if is.id != want.id || is.status != want.status || is.paused != want.paused || is.selected != want.selected || is.left != want.left ||
			is.leaving != want.leaving || is.moved != want.moved || !maps.Equal(failed, want.failed) || !maps.Equal(skipped, want.skipped) {
			return fmt.Errorf("a redrive of queue %d is\n%+v, want\n%+v", queue, is, want)
		}
		if err := is.addsUp(); err != nil {
			return err
		}
	}
	return nil
}

func sumOf(list []Tally) map[string]int {
	sums := make(map[string]int)
	for _, t := range list {
		sums[t.Reason] += t.N
	}
	return sums
}

// addsUp checks that every selected message is counted once.
func (t *redriveTask) addsUp() error {
	sum := t.moved + t.left + t.leaving
	for _, list := range [][]Tally{t.failed, t.skipped} {
		for _, entry := range list {
			sum += entry.N
		}
	}
	if sum != t.selected || t.left < 0 || t.leaving < 0 {
		return fmt.Errorf("%d messages were selected, and %d are accounted for: %+v", t.selected, sum, t)
	}
	return nil
}
