// Package journal is where everything durable lives: logs, keys and values, blobs.
//
// It is the only package that knows NATS. A [Journal] is a JetStream server inside the process ([OpenEmbedded]), a JetStream
// cluster ([OpenExternal]), or a simulation in memory whose failures come from a seed ([Sim]); nobody above can tell which.
//
// It promises that what was acknowledged is there when the journal is opened again, or that opening or reading fails with a
// [*DamageError] that names the log and the range. Three things hold that promise: every record of a [Log] is a [Frame] with
// the hash of itself and of its predecessor; a high-water mark beside each log says how far it must reach; and both are
// compared when a log is opened and whenever it is read. docs/formats.md describes what lies on the disk.
//
// Start with [Journal] and [Log].
package journal
