package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A way is one of the ways that every event goes.
type way int

const (
	direct  way = iota // to a queue
	hook               // to a webhook
	over               // to another bus, and from there to a queue
	letters            // to a webhook that fails, and so to a dead-letter queue
	ways
)

var wayNames = [ways]string{"queue", "webhook", "second bus", "dead letters"}

// An event is what is known of one.
type event struct {
	acknowledged bool
	seen         [ways]int
}

func (e *event) everywhere() bool { return !slices.Contains(e.seen[:], 0) }

// A message is what is known of one in a queue.
type message struct {
	sent    bool // SendMessage was acknowledged
	seen    bool
	deleted bool // DeleteMessage was acknowledged
	back    bool // seen after that
}

// A ledger accounts for what the server has acknowledged and for what has arrived. Both may come first.
type ledger struct {
	mu          sync.Mutex
	events      map[string]*event
	messages    map[string]*message
	definitions []string  // queues whose CreateQueue was acknowledged
	unknown     int       // calls without an answer
	open        int       // acknowledged events that are not yet everywhere
	openSent    int       // acknowledged messages that are not yet seen
	moved       time.Time // something arrived that was open
	changed     chan struct{}
}

func newLedger() *ledger {
	return &ledger{events: map[string]*event{}, messages: map[string]*message{}, changed: make(chan struct{}), moved: time.Now()}
}

// acknowledged notes that PutEvents has returned the id of an event.
func (l *ledger) acknowledged(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.event(id)
	e.acknowledged = true
	if !e.everywhere() {
		l.open++
	}
}

// arrived notes that an event has come on one of its ways.
func (l *ledger) arrived(w way, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrive(w, id)
}

func (l *ledger) arrive(w way, id string) {
	e := l.event(id)
	before := e.everywhere()
	e.seen[w]++
	if e.seen[w] == 1 {
		l.moved = time.Now()
	}
	if e.acknowledged && !before && e.everywhere() {
		l.open--
		l.signal()
	}
}

// received notes that a queue has shown a message, which carries an event unless that is empty. A message that is shown again
// because its delete came to nothing is no duplicate; another message with the same event is.
func (l *ledger) received(id string, w way, event string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.message(id)
	first := !m.seen
	m.seen = true
	m.back = m.back || m.deleted
	if first && event != "" {
		l.arrive(w, event)
	}
	if first && m.sent {
		l.openSent--
		l.moved = time.Now()
		l.signal()
	}
}

// sent notes that SendMessage has returned the id of a message.
func (l *ledger) sent(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.message(id)
	m.sent = true
	if !m.seen {
		l.openSent++
	}
}

// deleted notes that the delete of a message was acknowledged.
func (l *ledger) deleted(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.message(id).deleted = true
}

func (l *ledger) defined(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.definitions = append(l.definitions, name)
}

func (l *ledger) unanswered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown++
}

// room waits until fewer than most events and messages are open, so that the server is loaded and not drowned.
func (l *ledger) room(ctx context.Context, most int) error {
	for {
		l.mu.Lock()
		full, changed := l.open+l.openSent >= most, l.changed
		l.mu.Unlock()
		if !full {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// settle waits until nothing is open any more, or nothing has moved for a while.
func (l *ledger) settle(ctx context.Context, patience time.Duration) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		l.mu.Lock()
		settled := l.open+l.openSent == 0 || time.Since(l.moved) > patience
		l.mu.Unlock()
		if settled {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// signal wakes who waits for a change. The caller holds the lock.
func (l *ledger) signal() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledger) event(id string) *event {
	e := l.events[id]
	if e == nil {
		e = &event{}
		l.events[id] = e
	}
	return e
}

func (l *ledger) message(id string) *message {
	m := l.messages[id]
	if m == nil {
		m = &message{}
		l.messages[id] = m
	}
	return m
}
