package queue

import (
	"slices"

	"github.com/google/uuid"
)

// Redrives of FIFO queues in the model: what is leaving stays among the messages, since it keeps its place and its group closed.

// redrive plays the next move of a redrive, or one that is out of place.
func (d *fifoDuel) redrive(q *fifoModelQueue) error {
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

// at is the message of the queue at a place, if there is one.
func (q *fifoModelQueue) at(p Place) (*fifoModelMessage, bool) {
	i := slices.IndexFunc(q.messages, func(m *fifoModelMessage) bool { return m.key == p.key })
	if i < 0 {
		return nil, false
	}
	return q.messages[i], true
}

func (d *fifoDuel) mark(q *fifoModelQueue, t *modelTask) error {
	d.model.advance(q)
	places, last := d.places(), d.rand.IntN(3) == 0
	var want any = errTaskOver
	if t.status == RedriveSelecting {
		want = nil
		for _, p := range places {
			if m, ok := q.at(p); ok && m.state == visible && m.key < t.before && m.marked != t {
				m.marked = t
				t.selected++
				t.left++
			}
		}
		t.ready(last)
	}
	return d.answers(kindMark, markCommand(q.id, duelRetention, t.id, last, places), want)
}

func (d *fifoDuel) claim(q *fifoModelQueue, t *modelTask) error {
	d.model.advance(q)
	places := d.places()
	if t.status != RedriveRunning || t.paused {
		return d.answers(kindClaim, claimCommand(q.id, duelRetention, t.id, places), errTaskOver)
	}
	var want []uint64
	for _, p := range places {
		m, ok := q.at(p)
		switch {
		case !ok || m.marked != t || t.status != RedriveRunning:
			continue
		case m.state != visible:
			m.unmark(skippedHidden)
			continue
		}
		want = append(want, m.key)
		m.marked = nil
		d.model.set(q, m, leaving, 0)
		t.left--
		t.leaving++
	}
	return d.claims(claimCommand(q.id, duelRetention, t.id, places), want)
}

func (d *fifoDuel) decide(q *fifoModelQueue, t *modelTask) error {
	list := d.decisions()
	for _, dec := range list {
		m, ok := q.at(dec.Place)
		switch {
		case !ok || m.state != leaving:
		case t.finish(&m.modelMark, dec):
			d.model.set(q, m, visible, 0)
		default:
			d.model.drop(q, m)
		}
	}
	t.settle()
	return d.answers(kindDecide, decideCommand(q.id, t.id, list), nil)
}

// bringBack plays a move task: it sends a dead letter anew, perhaps for the second time, and then, as a rule, deletes the old one in whatever
// state that is by now.
func (d *fifoDuel) bringBack() error {
	from, to := d.model.queues[fifoDead], d.model.queues[fifoSource]
	for _, p := range d.places() {
		m, ok := from.at(p)
		if !ok {
			continue
		}
		d.ids++
		anew := posting{id: uuid.UUID{0: d.ids, 8: 1, 15: 9}, group: m.group, key: moveKey(from.id, m.key), payload: []byte("x")}
		d.model.advance(to)
		want := d.model.post(to, anew, 0, wholeQueue)
		if err := d.posts(sendFIFOCommand(to.id, duelRetention, 0, wholeQueue, []posting{anew}), []posted{want}); err != nil {
			return err
		}
		if d.rand.IntN(4) == 0 {
			return nil // the process has ended in between
		}
		if m.state == leaving {
			m.doomed = true
		} else {
			m.unmark(skippedDeleted)
			d.model.drop(from, m)
		}
		return d.answers(kindDelete, handlesCommand(from.id, []Place{p}), nil)
	}
	return nil
}
