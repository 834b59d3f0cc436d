// Package history keeps events for later: what archives have kept, by time, on the disk, until it is too old.
//
// An archive is a target of its managed rule. Its deliveries come from package deliver, which keeps each event in its shard's log until
// the delivery is settled; here they wait in memory, and are sealed together into a segment:
//
//	deliver ─► Retain ─► pending ──── 4 MiB, 5 s, Flush ────► seal: read, sort by time, compress
//	                        ▲                                    │ 1. the segment, a blob
//	                        │ handed out again,                  │ 2. the ledger of the archive: segments, and marks
//	                        │ above the marks                    ▼ 3. Settle
//	                   deliver, after a crash ◄──────────── settled: the log lets go of the events
//
// The ledger is one entry of a bucket, replaced by compare and swap, and that is the moment at which events are in the archive: it names the
// segments and, for each shard, the greatest key of an event that was ever sealed. Keys of an archive and a shard are sealed in growing order.
// So what is handed out again after a crash with a key up to the mark is in a segment, and is settled without being written again; what has
// a greater key is not, and is. Each event is in the archive once. Merging small segments, and removing old ones, replaces the
// ledger in the same way; blobs that no ledger names are removed at the start.
//
// What is promised: an event that was accepted is counted by [Service.Count] and found after [Service.Flush], at once. A damaged segment is
// an error that names archive, segment and range of time, and is never served, while the rest is. Retention counts from acceptance: an event
// is kept for as long as was asked for, and for an hour more at most. Archives share nothing, not even those of one bus.
//
// Start with [Service.Read], then store.go for how events get in, segment.go for how they lie, and ledger.go.
package history
