// Package replay puts what an archive has kept onto a bus again.
//
//	history ─► read: by time ─► pace ─► prepare: new id, replay-name, rules ─► deliver.AcceptAlong ─► the log of a shard
//	                                                                            one frame: events, and how far the replay is
//
// A replay is durable. How far it is, its position in the archive, is committed in the very frame of the events that it puts, so that after
// a crash it goes on with the next one: none is skipped and none is put twice. All of this is the state of a [Machine], which lives on
// the shard of the bus that the events go to; one goroutine for each replay that has not ended does the work, and does nothing that it could
// not do again. Records of replays are kept for 90 days after their end.
//
// What was in the archive when the replay began is what it puts: by the events' own time, those of equal time as they were accepted. That
// is the order in which they are accepted again. The order in which they arrive is that of deliveries, which is none unless the rule, or the
// [Spec] of the replay, asks for one.
//
// Start with [Service.Start], then run.go for how it is carried out.
package replay
