package scheduler

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// A plan is the definition of a schedule in a simulation: it fires every so many seconds after the first time, so often.
type plan struct {
	first, every int64
	times        int64
	late         int64
	over         int64 // 1 if it is to be deleted in the end
}

func (p plan) body() []byte {
	b := record.AppendInt(nil, p.first)
	b = record.AppendInt(b, p.every)
	b = record.AppendInt(b, p.times)
	b = record.AppendInt(b, p.late)
	return record.AppendInt(b, p.over)
}

func readPlan(b []byte) plan {
	r := record.NewReader(b)
	return plan{r.Int(), r.Int(), r.Int(), r.Int(), r.Int()}
}

func (p plan) due(n int64) Due {
	if n >= p.times {
		return Due{Over: p.over == 1}
	}
	t := time.Unix(p.first+n*p.every, 0).UTC()
	return Due{Time: t, At: t.Add(time.Duration(p.late) * time.Second)}
}

// A simWorld keeps schedules, and fires them as a host does.
type simWorld struct {
	machine *Machine
	taken   *shardtest.Taken  // by revision: for when it has fired
	sure    map[string]uint64 // revision of what must be there; 0 must not; a key in doubt is missing
}

func newSimWorld() shardtest.World {
	return &simWorld{sure: make(map[string]uint64)}
}

func (w *simWorld) Start() []shard.Hosted {
	w.machine, w.taken = newMachine(), shardtest.NewTaken()
	return []shard.Hosted{{Machine: w.machine, Handler: func([]any) {}}, {Machine: w.taken}}
}

func (w *simWorld) Step(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	key := fmt.Sprintf("rule|home|r%d", r.IntN(6))
	switch r.IntN(10) {
	case 8:
		_, err := w.commit(s, now, nil, kindRelease, keysCommand(w.held()))
		return err
	case 9:
		return w.clear(s, now)
	case 0, 1:
		return w.put(r, s, now, key)
	case 2:
		delete(w.sure, key)
		answer, err := w.commit(s, now, nil, kindDelete, deleteCommand(key, revisionAny))
		if err == nil && answer != nil && !errors.Is(answer.(error), errAbsent) {
			return answer.(error)
		}
		if err == nil {
			w.sure[key] = 0
		}
		return err
	case 3:
		return s.Compact(now, uint64(r.IntN(4)))
	}
	return w.fire(r, s, now)
}

func (w *simWorld) put(r *rand.Rand, s *shard.Stepper, now time.Time, key string) error {
	p := plan{first: now.Unix() + r.Int64N(5), every: 1 + r.Int64N(3), times: 1 + r.Int64N(6), late: r.Int64N(3) * r.Int64N(2), over: r.Int64N(2)}
	revision := [...]uint64{revisionNone, revisionAny, w.sure[key]}[r.IntN(3)]
	was, known := w.sure[key]
	delete(w.sure, key)
	answer, err := w.commit(s, now, nil, kindPut, putCommand(key, revision, p.due(0), p.body()))
	if err != nil {
		return err
	}
	got, ok := answer.(uint64)
	switch refused, _ := answer.(error); {
	case ok:
		if known && revision == revisionNone && was != 0 {
			return fmt.Errorf("%s was made although it was there", key)
		}
		w.sure[key] = got
	case errors.Is(refused, errThere) || errors.Is(refused, errAbsent) || errors.Is(refused, errChanged):
		if known {
			w.sure[key] = was
		}
	default:
		return fmt.Errorf("put answered %v", answer)
	}
	return nil
}

// fire fires some of what is due, or all of it.
func (w *simWorld) fire(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	var list []ready
	next := w.machine.due(now, 1+r.IntN(4), func(slot uint32) { list = append(list, w.machine.ready(slot)) })
	if err := w.inOrder(list, next, now); err != nil || len(list) == 0 {
		return err
	}
	var moves []firing
	var takes [][]byte
	for _, is := range list {
		definition, err := s.Read(is.ref)
		if err != nil {
			return err
		}
		p := readPlan(definition)
		n := (is.due.Unix() - p.first) / p.every
		if r.IntN(4) == 0 {
			hold := p.due(n)
			hold.Held = true
			moves = append(moves, firing{is.key, is.revision, is.due, hold})
			continue
		}
		moves = append(moves, firing{is.key, is.revision, is.due, p.due(n + 1)})
		takes = append(takes, shardtest.Take(fmt.Sprint(is.revision), is.due.Unix()))
	}
	_, err := w.commit(s, now, takes, kindFire, fireCommand(moves))
	return err
}

// held are the keys of those that are held.
func (w *simWorld) held() []string {
	return w.machine.pick("rule|home|", "", 100, func(e *entry) bool { return e.held })
}

// clear deletes the schedules that are over. It asks for others, too, which stay.
func (w *simWorld) clear(s *shard.Stepper, now time.Time) error {
	over := w.machine.pick("rule|home|", "", 100, func(e *entry) bool { return e.over })
	for _, key := range over {
		delete(w.sure, key)
	}
	_, err := w.commit(s, now, nil, kindSweep, keysCommand(append(over, w.machine.pick("rule|home|", "", 100, nil)...)))
	if err != nil {
		return err
	}
	for _, key := range over {
		w.sure[key] = 0
	}
	return nil
}

// inOrder checks that what is due was found, the earliest first, and nothing else.
func (w *simWorld) inOrder(list []ready, next, now time.Time) error {
	var want []int64
	for _, e := range w.machine.entries.All() {
		if e.index >= 0 {
			want = append(want, e.at())
		}
	}
	slices.Sort(want)
	for i, is := range list {
		if e := w.machine.entries.at(is.key); e.at() != want[i] || e.at() > now.Unix() {
			return fmt.Errorf("at %d, number %d that is due is %s, due at %d, of %v", now.Unix(), i, is.key, e.at(), want)
		}
	}
	if n := len(list); n == len(want) != next.IsZero() || n < len(want) && next.Unix() != want[n] {
		return fmt.Errorf("after %d of %v the next is at %v", n, want, next)
	}
	return nil
}

func (w *simWorld) commit(s *shard.Stepper, now time.Time, takes [][]byte, kind shard.Kind, body []byte) (any, error) {
	answers, err := s.Commit(now, func(b *shard.Batch) {
		for _, t := range takes {
			b.Add(shardtest.KindTake, t)
		}
		b.Add(kind, body)
	})
	if err != nil {
		return nil, err
	}
	return answers[0][len(takes)], nil
}

// Check holds what has fired against the definitions that are there: each occurrence up to the next one, once.
func (w *simWorld) Check(s *shard.Stepper, now time.Time) error {
	for key, revision := range w.sure {
		if e := w.machine.entries.at(key); revision == 0 != (e == nil) || e != nil && e.revision != revision {
			return fmt.Errorf("%s has %+v, not revision %d", key, e, revision)
		}
	}
	var keys []string
	for slot, e := range w.machine.entries.All() {
		key := string(w.machine.entries.keyOf(slot))
		keys = append(keys, key)
		definition, err := s.Read(e.ref)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		p := readPlan(definition)
		next := e.next()
		if next.Time.IsZero() && next.Over != (p.over == 1) || next.Held != (e.index < 0 && !next.Time.IsZero()) {
			return fmt.Errorf("%s is next %+v, with the plan %+v", key, next, p)
		}
		var want []int64
		for n := int64(0); n < p.times && (next.Time.IsZero() || p.first+n*p.every < next.Time.Unix()); n++ {
			want = append(want, p.first+n*p.every)
		}
		if got := w.taken.By(fmt.Sprint(e.revision)); !slices.Equal(got, want) {
			return fmt.Errorf("%s has fired at %v, not at %v", key, got, want)
		}
	}
	slices.Sort(keys)
	if got := w.machine.pick("rule|home|", "", 100, nil); !slices.Equal(got, keys) {
		return fmt.Errorf("the list has %q, not %q", got, keys)
	}
	return nil
}

func TestSimulation(t *testing.T) { shardtest.Simulate(t, 3_000, newSimWorld) }
