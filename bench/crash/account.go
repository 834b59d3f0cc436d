package main

import (
	"fmt"
	"slices"
)

// A sum is what a ledger holds.
type sum struct {
	events     int // acknowledged
	open       int // of these, not yet everywhere
	messages   int // acknowledged
	deletes    int // acknowledged
	duplicates int
	unknown    int // calls without an answer
}

func (l *ledger) sum() sum {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := sum{open: l.open, unknown: l.unknown}
	for _, e := range l.events {
		if e.acknowledged {
			s.events++
		}
		for _, n := range e.seen {
			s.duplicates += max(0, n-1)
		}
	}
	for _, m := range l.messages {
		if m.sent {
			s.messages++
		}
		if m.deleted {
			s.deletes++
		}
	}
	return s
}

// An account is what is not as it should be, or might be noticed, one line each.
type account struct {
	events      []string // acknowledged and not arrived, by way
	messages    []string // acknowledged and never received
	back        []string // received after their delete was acknowledged
	definitions []string // acknowledged and not there
	duplicates  []string // arrived more than once, by way
	perWay      [ways]int
}

// account looks at everything. Defined holds the definitions that are there.
func (l *ledger) account(defined map[string]bool) account {
	l.mu.Lock()
	defer l.mu.Unlock()
	var a account
	for id, e := range l.events {
		for w, n := range e.seen {
			switch {
			case n == 0 && e.acknowledged:
				a.events = append(a.events, fmt.Sprintf("event %s never came by %s", id, wayNames[w]))
			case n > 1:
				a.duplicates = append(a.duplicates, fmt.Sprintf("event %s came %d times by %s", id, n, wayNames[w]))
				a.perWay[w] += n - 1
			}
		}
	}
	for id, m := range l.messages {
		if m.sent && !m.seen {
			a.messages = append(a.messages, fmt.Sprintf("message %s was sent and never received", id))
		}
		if m.back {
			a.back = append(a.back, fmt.Sprintf("message %s was deleted and came back", id))
		}
	}
	for _, name := range l.definitions {
		if !defined[name] {
			a.definitions = append(a.definitions, fmt.Sprintf("the queue %s was made and is not there", name))
		}
	}
	for _, list := range [][]string{a.events, a.messages, a.back, a.duplicates} {
		slices.Sort(list) // maps have no order, reports should
	}
	return a
}
