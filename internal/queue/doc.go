// Package queue keeps SQS queues, standard and FIFO: what AWS documents of them, durably, on the shards.
//
// What a queue is called and how it is set up is in the catalog. The messages are the state of a [Machine], one on every shard; all
// messages of a queue are on one of them:
//
//	Send ───► command ──► Apply ─┬─► visible ──Receive──► in flight ──Delete──► gone
//	                             │      ▲                     │
//	                             └─► delayed                  ├── timeout: visible again
//	                                                          └── too many receives: dead-letter queue
//
// What Send answered is received at least once, or expires: it survives the process. A receive is a command too, so that a
// message stays hidden, and its receive count counts, across a restart. Everything that only time does (a delay or a visibility
// timeout that ends, a message that gets too old) is a function of the time of the next command and is never written down.
// Bodies stay in the log; the machine remembers where.
//
// In a FIFO queue a message stands in a group besides, and a receive takes from the group whose turn it is; what was sent within five
// minutes is remembered, so that a duplicate is none.
//
// Start with [Service], which is what everybody uses, and with machine.go for how a queue works; group.go, fifo.go and once.go have what
// FIFO queues add.
package queue
