package queue

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
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

func (q *modelQueue) active() *modelTask {
	if n := len(q.tasks); n > 0 && !q.tasks[n-1].status.Ended() {
		return q.tasks[n-1]
	}
	return nil
}

// unmark counts a message as skipped, if it is selected.
func (w *model) unmark(m *modelMessage, reason string) {
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

// redrive plays the next move of a redrive, or one that is out of place.
func (d *duel) redrive(q *modelQueue) error {
	t := q.active()
	if t == nil {
		return d.begin(q)
	}
	switch n := d.rand.IntN(10); {
	case n < 3:
		return d.mark(q, t)
	case n < 6:
		return d.claim(q, t)
	case n < 9:
		return d.decide(q, t)
	}
	return d.control(q, t)
}

func (d *duel) begin(q *modelQueue) error {
	t := &modelTask{before: d.model.nextKey, failed: map[string]int{}, skipped: map[string]int{}}
	for i := range t.id {
		t.id[i] = byte(d.rand.IntN(256))
	}
	q.tasks = append(q.tasks, t)
	_, err := d.commit(kindBegin, beginCommand(q.id, t.id, d.rand.IntN(3), []byte("all")))
	return err
}

// places picks some of the machine's messages, those of other queues among them, and some that are not there.
func (d *duel) places() (list []Place) {
	d.machine.messages.each(func(slot uint32, m *message) bool {
		if d.rand.IntN(3) == 0 {
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
		if last {
			t.status = RedriveRunning
			t.settle()
		}
	}
	answer, err := d.commit(kindMark, markCommand(q.id, duelRetention, t.id, last, places))
	if err == nil && answer != want {
		err = fmt.Errorf("mark answered %v, want %v", answer, want)
	}
	return err
}

func (d *duel) claim(q *modelQueue, t *modelTask) error {
	d.model.advance(q)
	places := d.places()
	answer, err := d.commit(kindClaim, claimCommand(q.id, duelRetention, t.id, places))
	if err != nil {
		return err
	}
	if t.status != RedriveRunning || t.paused {
		if answer != errTaskOver {
			err = fmt.Errorf("claim answered %v, want %v", answer, errTaskOver)
		}
		return err
	}
	var want []uint64
	for _, p := range places {
		m := at(q.messages, p)
		switch {
		case m == nil || m.marked != t || t.status != RedriveRunning:
			continue
		case m.state != visible:
			d.model.unmark(m, skippedHidden)
			continue
		}
		want = append(want, m.key)
		q.drop(m)
		m.state = leaving
		q.leaving = append(q.leaving, m)
		t.left--
		t.leaving++
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
	var list []Decision
	for _, p := range d.places() {
		dec := Decision{Place: p, Outcome: Outcome(d.rand.IntN(3)), Reason: fmt.Sprint("reason ", d.rand.IntN(3))}
		list = append(list, dec)
		m := at(q.leaving, p)
		if m == nil {
			continue
		}
		q.leaving = slices.DeleteFunc(q.leaving, func(x *modelMessage) bool { return x == m })
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
		if dec.Outcome != Moved && !m.doomed {
			q.messages = append(q.messages, m)
			q.show(m)
		}
	}
	t.settle()
	_, err := d.commit(kindDecide, decideCommand(q.id, t.id, list))
	return err
}

func (d *duel) control(q *modelQueue, t *modelTask) error {
	what := control(d.rand.IntN(4))
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
	answer, err := d.commit(kindControl, controlCommand(q.id, t.id, what, d.rand.IntN(5)))
	if err == nil && answer != want {
		err = fmt.Errorf("control answered %v, want %v", answer, want)
	}
	return err
}

// compareTasks holds the machine's redrives of a queue against the model's, and their counts against each other.
func (d *duel) compareTasks(q *modelQueue) error {
	tasks := d.machine.queues[q.id].tasks
	if want := min(len(q.tasks), maxRedrivesKept); len(tasks) != want {
		return fmt.Errorf("queue %d has %d redrives, want %d", q.id, len(tasks), want)
	}
	for i, is := range tasks {
		want := q.tasks[len(q.tasks)-len(tasks)+i]
		failed, skipped := sumOf(is.failed), sumOf(is.skipped)
		if is.id != want.id || is.status != want.status || is.paused != want.paused || is.selected != want.selected || is.left != want.left ||
			is.leaving != want.leaving || is.moved != want.moved || !maps.Equal(failed, want.failed) || !maps.Equal(skipped, want.skipped) {
			return fmt.Errorf("a redrive of queue %d is\n%+v, want\n%+v", q.id, is, want)
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
