package shard

import (
	"container/heap"
	"time"
)

// A timer is an effect that waits for its time.
type timer struct {
	at      time.Time
	machine int // whose handler gets it
	effect  any
}

// A timerHeap has the timer that is due first on top.
type timerHeap []timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timer)) }

func (h *timerHeap) Pop() any {
	old := *h
	last := len(old) - 1
	t := old[last]
	old[last] = timer{}
	*h = old[:last]
	return t
}

// set adds a timer.
func (h *timerHeap) set(t timer) { heap.Push(h, t) }

// due takes the timers off whose time has come, in the order of their times.
func (h *timerHeap) due(now time.Time, yield func(timer)) {
	for len(*h) > 0 && !(*h)[0].at.After(now) {
		yield(heap.Pop(h).(timer))
	}
}
