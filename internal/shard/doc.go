// Package shard runs deterministic state machines over a log.
//
// A shard is one log, one goroutine that owns it, and the machines whose state the log carries (see [Machine]). Whoever
// wants something to happen proposes commands; all that were proposed while the last frame was on its way to the disk go
// into the next one, and a proposer is answered after its frame is committed and applied:
//
//	Propose ──► owner: build a frame ──► log.Append ──► Apply each command ──► answers to the proposers
//	                    ▲   one in flight, one fsync          │
//	                    └── what queued meanwhile             └─► effects ──► the machines' handlers
//
// What was answered survives the process: [Open] loads the newest snapshot, applies what the log holds after it, and lets
// the machines resume. At any time one process owns a shard. A new owner appends a frame of a higher epoch; the former
// one's next append then fails and it stops ([ErrFenced]).
//
// The log does not grow without bound: frames below the newest snapshot and below the oldest payload that is still
// referred to are truncated, and where most of an old range is garbage the few payloads that live in it are carried
// forward into new frames.
//
// Start with [Machine] to write a machine and with [Shard.Propose] to use one.
package shard
