package main

import (
	"slices"
	"time"
)

// A leg is the delivery of one event to one receiver.
type leg struct {
	event    *happening
	rule, to string
	began    time.Time // when the event was put
	attempts int       // that the receiver turned down and that are followed by another
	state    legState
	took     time.Duration // from being put to arriving, or to the dead-letter queue
	said     string        // what was received, or why it never will be
}

type legState uint8

const (
	legWaiting legState = iota
	legDelivered
	legDead
)

// A ledger holds every delivery that is due and what became of it.
type ledger struct {
	legs     map[[2]string]*leg // by event and receiver
	events   int                // accepted
	unwanted int                // of these, that no rule wants
	waiting  int                // deliveries that have not ended
	refused  int                // events that were not accepted
	repeated int                // deliveries of what had been delivered
	strays   int                // deliveries that were not due
}

func newLedger() *ledger { return &ledger{legs: map[[2]string]*leg{}} }

// expect enters an event that is about to be put.
func (l *ledger) expect(h *happening, ways []way, now time.Time) []*leg {
	legs := make([]*leg, len(ways))
	for i, w := range ways {
		legs[i] = &leg{event: h, rule: w.rule, to: w.to, began: now}
		l.legs[[2]string{h.ref, w.to}] = legs[i]
	}
	l.events++
	l.waiting += len(ways)
	if len(ways) == 0 {
		l.unwanted++
	}
	return legs
}

// forget takes back an event that was not accepted.
func (l *ledger) forget(h *happening, legs []*leg) {
	l.events--
	l.refused++
	if len(legs) == 0 {
		l.unwanted--
	}
	for _, leg := range legs {
		delete(l.legs, [2]string{h.ref, leg.to})
	}
	l.waiting -= len(legs)
}

// settle notes the end of a delivery, and returns it unless it had ended or was never due.
func (l *ledger) settle(ref, to string, state legState, said string, now time.Time) *leg {
	leg := l.legs[[2]string{ref, to}]
	switch {
	case leg == nil:
		l.strays++
		return nil
	case leg.state != legWaiting:
		l.repeated++
		return nil
	}
	leg.state, leg.said, leg.took = state, said, now.Sub(leg.began)
	l.waiting--
	return leg
}

// turnedDown notes that the receiver answered an attempt with an error, after which there will be another one, or none.
func (l *ledger) turnedDown(ref, to, said string, again bool) {
	leg := l.legs[[2]string{ref, to}]
	if leg == nil || leg.state != legWaiting {
		return
	}
	leg.said = said
	if again {
		leg.attempts++
	}
}

// An account is what became of the deliveries to one receiver, or to all.
type account struct {
	accepted, delivered, waiting, dead int
	retried                            int // deliveries that were turned down at least once
	p50, p99                           time.Duration
	lastRetried                        time.Duration // the longest that a delivery took that was turned down before
}

// account adds up the deliveries to a receiver; "" is all. The percentiles are of deliveries that arrived at the first attempt:
// how long the others took is the receiver's doing.
func (l *ledger) account(to string) account {
	var a account
	var took []time.Duration
	for _, leg := range l.legs {
		if to != "" && leg.to != to {
			continue
		}
		a.accepted++
		switch leg.state {
		case legWaiting:
			a.waiting++
		case legDead:
			a.dead++
		case legDelivered:
			a.delivered++
			if leg.attempts == 0 {
				took = append(took, leg.took)
			} else {
				a.lastRetried = max(a.lastRetried, leg.took)
			}
		}
		if leg.attempts > 0 {
			a.retried++
		}
	}
	slices.Sort(took)
	a.p50, a.p99 = percentile(took, 50), percentile(took, 99)
	return a
}

// percentile is the smallest value that p in a hundred do not exceed; 0 if there is none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// elsewhere is the 99th percentile of what arrived at the first attempt at other receivers than one.
func (l *ledger) elsewhere(than string) time.Duration {
	var took []time.Duration
	for _, leg := range l.legs {
		if leg.to != than && leg.state == legDelivered && leg.attempts == 0 {
			took = append(took, leg.took)
		}
	}
	slices.Sort(took)
	return percentile(took, 99)
}
