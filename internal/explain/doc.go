// Package explain answers the question "why did this event not arrive?".
//
// A [Recorder] is told of every event that is accepted and of every attempt that is made, and notes both in memory at the price of two or
// three microseconds. What went well is forgotten when its share of memory is full. What failed at least once is kept for a day, and so is,
// in a smaller share, what no rule wanted; both are written to a log of the journal, at most once a second, and are there again
// after a restart. The last second before a kill -9 may be missing. Whoever works is never kept waiting: what comes faster than it
// can be written is counted and left out.
//
//	ingest  ─ Accepted ──┐                  ┌ recent     delivered, or on its way; the oldest goes first
//	deliver ─ Attempted ─┼─► shelf (by id) ─┼ failures   for a day ──┐
//	                     │                  └ unmatched  for a day ──┴─► log "explain"
//	                     └─ sixteen shelves, each with a lock of its own
//
// An [Explainer] makes an answer of a record when somebody asks: it looks at the rules as they are then to say which of them do not
// want the event and why, and asks package deliver what still waits. Start with [Recorder.Accepted] and [Explainer.Explain].
package explain
