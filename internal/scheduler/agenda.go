package scheduler

import (
	"container/heap"
	"iter"
	"time"
)

// An agenda has the schedules that are due at some time, by the second in which they are to fire. Those of one second are in no order.
type agenda struct {
	seconds map[int64]*second
	order   secondHeap
}

// A second of an agenda.
type second struct {
	at    int64
	index int // in the heap
	slots []uint32
}

func (s *second) time() time.Time { return time.Unix(s.at, 0).UTC() }

// add takes the schedule of a slot in, and reports whether nothing else is due as early.
func (a *agenda) add(entries *store, slot uint32) (first bool) {
	e := entries.Get(slot)
	s := a.seconds[e.at()]
	if s == nil {
		s = &second{at: e.at()}
		if a.seconds == nil {
			a.seconds = make(map[int64]*second)
		}
		a.seconds[s.at] = s
		heap.Push(&a.order, s)
		first = s.index == 0
	}
	e.index = int32(len(s.slots))
	s.slots = append(s.slots, slot)
	return first
}

// remove takes the schedule of a slot out, if it is in.
func (a *agenda) remove(entries *store, slot uint32) {
	e := entries.Get(slot)
	if e.index < 0 {
		return
	}
	s := a.seconds[e.at()]
	last := len(s.slots) - 1
	moved := s.slots[last]
	s.slots[e.index] = moved
	entries.Get(moved).index = e.index
	s.slots = s.slots[:last]
	e.index = -1
	if last == 0 {
		delete(a.seconds, s.at)
		heap.Remove(&a.order, s.index)
	}
}

// inOrder yields the seconds, the earliest first. Nothing may change meanwhile.
func (a *agenda) inOrder() iter.Seq[*second] {
	return func(yield func(*second) bool) {
		// The heap stays as it is, so its top is walked.
		front := frontier{of: a.order}
		if len(a.order) > 0 {
			front.at = []int{0}
		}
		for len(front.at) > 0 {
			i := heap.Pop(&front).(int)
			if !yield(a.order[i]) {
				return
			}
			for _, child := range [...]int{2*i + 1, 2*i + 2} {
				if child < len(a.order) {
					heap.Push(&front, child)
				}
			}
		}
	}
}

// A secondHeap has the earliest second first.
type secondHeap []*second

func (h secondHeap) Len() int           { return len(h) }
func (h secondHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h secondHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *secondHeap) Push(x any) {
	s := x.(*second)
	s.index = len(*h)
	*h = append(*h, s)
}

func (h *secondHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}

// A frontier has places in a heap, that of the earliest second first.
type frontier struct {
	of secondHeap
	at []int
}

func (f frontier) Len() int           { return len(f.at) }
func (f frontier) Less(i, j int) bool { return f.of.Less(f.at[i], f.at[j]) }
func (f frontier) Swap(i, j int)      { f.at[i], f.at[j] = f.at[j], f.at[i] }
func (f *frontier) Push(x any)        { f.at = append(f.at, x.(int)) }

func (f *frontier) Pop() any {
	last := len(f.at) - 1
	i := f.at[last]
	f.at = f.at[:last]
	return i
}
