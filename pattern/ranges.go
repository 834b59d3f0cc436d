package pattern

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/rialto-events/rialto/pattern/syntax"
)

// ranges finds the ranges that a number lies in, in time that grows with their number found and hardly with that of all.
//
// New ranges go to an unsorted tail. When that is full it becomes a run, and runs of about the same size become one, so that
// there are few of them, each about twice as long as the next (a log-structured merge). Readers have a snapshot.
type ranges struct{ snapshot atomic.Pointer[rangeSnapshot] }

type rangeSnapshot struct {
	runs []rangeRun
	tail []rangeItem
}

type rangeItem struct {
	syntax.Range
	conj *conj
}

// A rangeRun is sorted by the low ends. The tops make an interval tree of it: the middle of any half that bisection comes to
// has the highest end of that half.
type rangeRun struct {
	items []rangeItem
	tops  []float64
}

const rangeTail = 16 // ranges are read through about as fast as the first steps of a search are made

// add files a conjunction under a range.
func (r *ranges) add(within syntax.Range, c *conj) {
	old := r.load()
	s := &rangeSnapshot{runs: old.runs, tail: append(old.tail, rangeItem{within, c})}
	if len(s.tail) == rangeTail {
		items := slices.Clone(s.tail)
		n := len(old.runs)
		for ; n > 0 && len(old.runs[n-1].items) < 2*len(items); n-- {
			items = append(items[:len(items):len(items)], old.runs[n-1].items...)
		}
		s.runs = append(old.runs[:n:n], makeRun(items))
		s.tail = nil
	}
	r.snapshot.Store(s)
}

func (r *ranges) load() *rangeSnapshot {
	if s := r.snapshot.Load(); s != nil {
		return s
	}
	return new(rangeSnapshot)
}

// tidy drops what is dead.
func (r *ranges) tidy() {
	dead := func(i rangeItem) bool { return !i.conj.rule.alive() }
	old, s := r.load(), new(rangeSnapshot)
	for _, run := range old.runs {
		if items := slices.DeleteFunc(slices.Clone(run.items), dead); len(items) > 0 {
			s.runs = append(s.runs, makeRun(items))
		}
	}
	s.tail = slices.DeleteFunc(slices.Clone(old.tail), dead)
	r.snapshot.Store(s)
}

func makeRun(items []rangeItem) rangeRun {
	slices.SortFunc(items, func(a, b rangeItem) int { return cmp.Compare(a.Low, b.Low) })
	run := rangeRun{items, make([]float64, len(items))}
	run.setTops(0, len(items))
	return run
}

func (r *rangeRun) setTops(from, to int) {
	if from == to {
		return
	}
	mid := (from + to) / 2
	top := r.items[mid].High
	for _, half := range [...][2]int{{from, mid}, {mid + 1, to}} {
		if r.setTops(half[0], half[1]); half[0] < half[1] {
			top = max(top, r.tops[(half[0]+half[1])/2])
		}
	}
	r.tops[mid] = top
}

// find tries the conjunctions filed under ranges that v lies in.
func (r *ranges) find(s *Scratch, v float64) {
	snapshot := r.snapshot.Load()
	if snapshot == nil {
		return
	}
	for i := range snapshot.runs {
		run := &snapshot.runs[i]
		run.find(s, v, 0, len(run.items))
	}
	for i := range snapshot.tail {
		if t := &snapshot.tail[i]; t.Contains(v) {
			s.try(t.conj)
		}
	}
}

func (r *rangeRun) find(s *Scratch, v float64, from, to int) {
	for from < to {
		mid := (from + to) / 2
		if r.tops[mid] < v {
			return
		}
		r.find(s, v, from, mid)
		item := &r.items[mid]
		if item.Low > v {
			return
		}
		if item.Contains(v) {
			s.try(item.conj)
		}
		from = mid + 1
	}
}
