// Package redrive shows dead letters and brings their events back to the targets that did not take them.
//
// A dead letter is a message in an SQS queue with what package deliver knew of the delivery hidden beside it (its [target.Origin]).
// A redrive selects such messages, and hands each event over as a new delivery to the rule's target, the topic's subscriber, or the schedule's
// target, as it is defined now:
//
//	Start ─► begin ─► select: read, filter, mark
//	                     └─► claim a few ─► look up the target ─► deliver.Accept ─► decide: gone, or back with a reason
//	                                └────────────── at the rate ──────────────────────┘
//
// What is promised: a redrive goes on after a restart or a kill; no letter is lost; none is handed over twice; and the counts add up
// at any moment. Selection, claims and decisions are commands of the queue's machine, and the event is accepted under a key that is the
// message's id. run.go has what happens if the process dies between any two of these steps.
//
// Start with [Service].
package redrive
