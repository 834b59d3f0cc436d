package scheduler

import (
	"container/heap"
	"iter"
)

// An agenda has the schedules that are due at some time, by the second in which they are to fire. Those of one second are in no order.
type agenda struct {
	slots map[int64]*slot // by second
	order slotHeap
}

// A slot is one second.
type slot struct {
	at      int64
	index   int // in the heap
	entries []*entry
}

// add takes a schedule in, and reports whether nothing else is due as early.
func (a *agenda) add(e *entry) (first bool) {
	s := a.slots[e.at()]
	if s == nil {
		s = &slot{at: e.at()}
		if a.slots == nil {
			a.slots = make(map[int64]*slot)
		}
		a.slots[s.at] = s
		heap.Push(&a.order, s)
		first = s.index == 0
	}
	e.index = int32(len(s.entries))
	s.entries = append(s.entries, e)
	return first
}

// remove takes a schedule out, if it is in.
func (a *agenda) remove(e *entry) {
	if e.index < 0 {
		return
	}
	s := a.slots[e.at()]
	last := len(s.entries) - 1
	s.entries[e.index] = s.entries[last]
	s.entries[e.index].index = e.index
	s.entries[last] = nil
	s.entries = s.entries[:last]
	e.index = -1
	if last == 0 {
		delete(a.slots, s.at)
		heap.Remove(&a.order, s.index)
	}
}

// inOrder yields the seconds, the earliest first. Nothing may change meanwhile.
func (a *agenda) inOrder() iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
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

// A slotHeap has the earliest second first.
type slotHeap []*slot

func (h slotHeap) Len() int           { return len(h) }
func (h slotHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h slotHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *slotHeap) Push(x any) {
	s := x.(*slot)
	s.index = len(*h)
	*h = append(*h, s)
}

func (h *slotHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}

// A frontier has places in a heap, that of the earliest second first.
type frontier struct {
	of slotHeap
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
