package main

import (
	"fmt"
	"sync"
	"time"
)

// A ledger knows every message: it is told before a delete is tried, so what it takes for present is present.
type ledger struct {
	mu         sync.Mutex
	groups     [][]entry // by group and number
	acked      int       // messages whose sending was answered
	deleted    int       // whose deletion was answered
	duplicates int       // answers that were given once more
	again      int       // messages that came again because nobody had deleted them
	wrong      []string
}

// An entry is what is known of a message.
type entry struct {
	id      string // MessageId, once an answer or a receive has told it
	acked   bool
	got     bool
	state   state
	deleted time.Time // when the answer was there
}

type state uint8

const (
	present state = iota
	inDoubt       // somebody tries to delete it, or has tried and got no answer
	gone
)

const maxWrong = 20 // defects that are named

func newLedger(groups int) *ledger { return &ledger{groups: make([][]entry, groups)} }

func (l *ledger) complain(format string, args ...any) {
	if len(l.wrong) < maxWrong {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// begin makes room for the next n messages of a group and returns the first of their numbers.
func (l *ledger) begin(group, n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := len(l.groups[group])
	l.groups[group] = append(l.groups[group], make([]entry, n)...)
	return first
}

// known compares the id of a message with the one that it had before.
func (l *ledger) known(group, n int, id string) *entry {
	e := &l.groups[group][n]
	if e.id != "" && e.id != id {
		l.complain("message %d of group %d is there twice, as %s and as %s", n, group, e.id, id)
	}
	e.id = id
	return e
}

// sent notes the answer to a message that was sent.
func (l *ledger) sent(group, n int, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.known(group, n, id)
	if e.acked {
		l.duplicates++
		return
	}
	e.acked = true
	l.acked++
}

// received checks what one receive, which was called at a time, has brought.
func (l *ledger) received(called time.Time, list []message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := make(map[int]int) // by group, the number behind the last message of this receive
	for _, m := range list {
		if m.group < 0 || m.group >= len(l.groups) || m.n < 0 || m.n >= len(l.groups[m.group]) {
			l.complain("%s came, which nobody sent", m.Body)
			continue
		}
		e := l.known(m.group, m.n, m.MessageID)
		if e.state == gone && e.deleted.Before(called) {
			l.complain("message %d of group %d was deleted and came back", m.n, m.group)
		}
		if m.n < next[m.group] {
			l.complain("message %d of group %d came behind number %d", m.n, m.group, next[m.group]-1)
		}
		for n := m.n - 1; n >= next[m.group]; n-- {
			switch l.groups[m.group][n].state {
			case present:
				l.complain("message %d of group %d came while number %d is there", m.n, m.group, n)
			case gone:
				n = -1 // what is before it was looked at when that came
			}
		}
		next[m.group] = m.n + 1
		if e.got {
			l.again++
		}
		e.got = true
	}
}

// deleting says that somebody is about to delete messages.
func (l *ledger) deleting(list []message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range list {
		if e := &l.groups[m.group][m.n]; e.state == present {
			e.state = inDoubt
		}
	}
}

// settled notes how the deletion of a message was answered. One that was refused says nothing: an earlier call may have deleted it.
func (l *ledger) settled(m message, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.groups[m.group][m.n]
	if done && e.state != gone {
		e.state, e.deleted = gone, time.Now()
		l.deleted++
	}
}

// lost names the messages that were acknowledged and never came.
func (l *ledger) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for g, list := range l.groups {
		for n, e := range list {
			if e.acked && !e.got {
				l.complain("message %d of group %d was acknowledged and is lost", n, g)
			}
		}
	}
}

func (l *ledger) count() (acked, deleted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked, l.deleted
}
