// Package bench measures rialto: how fast events are matched, accepted and delivered, against something measured in the same
// run, so that the figures mean something on any machine.
//
// The measurements are benchmarks; each also runs once among the ordinary tests, with little work, so that none can rot.
// docs/performance.md has the figures and what they were aimed at. Start with make bench.
package bench
