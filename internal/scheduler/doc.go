// Package scheduler makes things happen at their time, once.
//
// [Timers] keep schedules: a key, a definition that means something to its [Owner], and the time at which it is due next. They live in
// a machine on the shards (ADR 21), so that an occurrence is over in the very frame that has its events: a crash
// at any instant neither skips one nor makes it twice. A schedule at rest costs memory, and nothing else.
//
// [Rules] are the schedules of rules. Start with [Timers.Put] and [Owner].
package scheduler
