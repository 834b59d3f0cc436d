package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// A ledger knows for each schedule when it is due, and what came of it.
type ledger struct {
	first  time.Time // the second in which the first is due
	within int       // seconds over which they are spread

	mu    sync.Mutex
	came  []uint8 // how often, by number
	late  []time.Duration
	ids   map[string]bool // of messages that have been seen: one that is received again is not another
	wrong []string
}

const maxWrong = 20 // defects that are named

func newLedger(schedules int, first time.Time, within time.Duration) *ledger {
	return &ledger{first: first, within: max(1, int(within/time.Second)), came: make([]uint8, schedules), ids: make(map[string]bool, schedules)}
}

// due is when a schedule is to fire.
func (l *ledger) due(n int) time.Time { return l.first.Add(time.Duration(n%l.within) * time.Second) }

func (l *ledger) complain(format string, args ...any) {
	if len(l.wrong) < maxWrong {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// took notes that the target has taken what a schedule sent, at a time.
func (l *ledger) took(id string, n int, planned string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids[id] {
		return
	}
	l.ids[id] = true
	if n < 0 || n >= len(l.came) {
		l.complain("schedule %d fired, which nobody made", n)
		return
	}
	due := l.due(n)
	if want := due.UTC().Format(time.RFC3339); planned != want {
		l.complain("schedule %d says that it was planned for %s, and it was for %s", n, planned, want)
	}
	if at.Before(due) {
		l.complain("schedule %d fired %s too early", n, due.Sub(at))
	}
	if l.came[n]++; l.came[n] > 1 {
		l.complain("schedule %d fired %d times", n, l.came[n])
	}
	l.late = append(l.late, at.Sub(due))
}

// fired is how many schedules have fired.
func (l *ledger) fired() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, times := range l.came {
		if times > 0 {
			n++
		}
	}
	return n
}

// lost names the schedules that did not fire.
func (l *ledger) lost() {
	for n, times := range l.came {
		if times == 0 {
			l.complain("schedule %d, due at %s, did not fire", n, l.due(n).UTC().Format(time.RFC3339))
		}
	}
}

// quantile is how late a share of them was at most.
func (l *ledger) quantile(share float64) time.Duration {
	if len(l.late) == 0 {
		return 0
	}
	slices.Sort(l.late)
	return l.late[min(int(share*float64(len(l.late))), len(l.late)-1)]
}
