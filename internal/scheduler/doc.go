// Package scheduler makes things happen at their time, once.
//
// [Timers] keep schedules: a key, a definition that means something to its [Owner], and the time at which it is due next. They live in
// a machine on the shards (ADR 21), so that an occurrence is over in the very frame that has its events: a crash
// at any instant neither skips one nor makes it twice. A schedule at rest costs memory, and nothing else; a million of them are no work for the
// garbage collector, and what is due within a minute is read from the log before.
//
// [Rules] are the schedules of rules, and [Schedules] those of EventBridge Scheduler, with their groups. Start with [Timers.Put] and [Owner].
package scheduler
