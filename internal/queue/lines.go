package queue

import (
	chain "container/list"
	"sync"
)

// lines holds who waits for messages, queue by queue, whoever waits longest in front.
//
// A waiter is in its line whenever it looks for messages and finds none: a wake that comes while it looks is not lost. A wake takes
// waiters out of the line and leaves a token with each; one that finds nothing in spite of it goes back to the front.
type lines struct {
	mu      sync.Mutex
	byQueue map[ID]*chain.List // of *waiter; never empty
}

type waiter struct {
	queue ID
	woken chan struct{}  // has room for the token
	place *chain.Element // in the line; nil after a wake
}

func newLines() *lines { return &lines{byQueue: make(map[ID]*chain.List)} }

// join makes a waiter at the end of a queue's line.
func (l *lines) join(queue ID) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &waiter{queue: queue, woken: make(chan struct{}, 1)}
	w.place = l.line(queue).PushBack(w)
	return w
}

// rejoin puts a waiter that took its token to the front.
func (l *lines) rejoin(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.place = l.line(w.queue).PushFront(w)
}

func (l *lines) line(queue ID) *chain.List {
	line, ok := l.byQueue[queue]
	if !ok {
		line = chain.New()
		l.byQueue[queue] = line
	}
	return line
}

// leave takes a waiter away. A token that it has not used goes to the next.
func (l *lines) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.place != nil {
		l.remove(w)
		return
	}
	select {
	case <-w.woken:
		l.wakeLocked(w.queue, 1)
	default:
	}
}

func (l *lines) remove(w *waiter) {
	line := l.byQueue[w.queue]
	line.Remove(w.place)
	w.place = nil
	if line.Len() == 0 {
		delete(l.byQueue, w.queue)
	}
}

// wake tells the first n of a queue's line to look again.
func (l *lines) wake(queue ID, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked(queue, n)
}

func (l *lines) wakeLocked(queue ID, n int) {
	for ; n > 0 && l.byQueue[queue] != nil; n-- {
		w := l.byQueue[queue].Front().Value.(*waiter)
		l.remove(w)
		w.woken <- struct{}{}
	}
}
