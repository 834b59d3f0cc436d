// Package deliver brings events to their targets, and does not forget one that was accepted.
//
// An event and the targets it goes to are one command in the log of a shard. Each of its deliveries is then attempted until
// the target has taken it, or until it has failed for good and is in the dead-letter queue:
//
//	Accept ─► log ─► Machine ─► ready ─► lane ─► destination ─► worker: read, shape, send ─► Policy.Next
//	                  ▲  ▲               rate,    circuit,                                     │ verdict
//	                  │  └ timer: again  batch    window                                       ▼
//	                  └───────── log ◄──── with the next accepted events ◄──── outcome: settled · again · dead · dropped
//
// The [Machine] is the state that survives: which deliveries wait, for what and until when. It is small, because the events stay
// in the log. A [Deliverer] does the work: every destination has queues of its own, a lane for each target of a rule, and a window of
// attempts that may be in progress at once, which follows how they go; so one that is slow or dead costs its own window and its own
// backlog, and nobody else. If most attempts fail its circuit opens, and deliveries wait where they are.
//
// What is promised: an event that Accept has answered for reaches each of its targets at least once, or its dead-letter queue
// does, or it waits; across restarts and kills. It may arrive twice, if the process dies between the attempt and the frame that
// tells of it. Outcomes travel in the frames of events that are accepted a moment later, so that a delivery that goes well
// costs no write of its own.
//
// Deliveries of one group, as [Accepted.Orders] says, are attempted one after another, in the order in which they got into the log: each
// when the outcome of the one before is there. A key of [Accepted.Dedupe] lets one event of several be accepted. Both are decided by the
// machine, so that no restart forgets them.
//
// A target can also be a [Retainer]'s, which stores events instead of sending them on: archives are. Its deliveries are not attempted, but
// handed over, and end when the Retainer says so.
//
// Start with [Deliverer.Accept], then machine.go for the states of a delivery, policy.go for what becomes of a failed one, destination.go
// for who is attempted when, and breaker.go for the states of a circuit.
package deliver
