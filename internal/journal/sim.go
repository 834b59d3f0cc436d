package journal

import (
	"errors"
	"math/rand/v2"
)

// ErrCrashed is what a simulated journal says to a process that is dead.
var ErrCrashed = errors.New("the simulated process has crashed")

// SimFaults says how often a write goes wrong, each as a probability between 0 and 1. The zero value never fails.
type SimFaults struct {
	CrashBefore float64 // the process dies; the write never happened
	CrashAfter  float64 // the process dies; the write happened
	LostAck     float64 // ErrUnknown; the write happened
	LostWrite   float64 // ErrUnknown; the write never happened
	Late        float64 // ErrUnknown; the write happens at some later call of anybody, if what it expects is still so
	Unavailable float64 // the write is refused, cleanly
}

// A Sim is a journal in memory that outlives the simulated processes which use it. Failures come from a seeded source, so that
// a run can be repeated. It starts no goroutine and knows no time.
//
//	sim := journal.NewSim(seed, journal.SimFaults{LostAck: 0.01})
//	a := sim.Open()        // one process
//	b := sim.Open()        // another; both may open the same log, and the expected sequence decides
//	a.Crash()              // its logs now answer ErrCrashed
//	later := sim.Fork(7)   // what survives of everything so far, to go on with another seed
type Sim struct {
	rand   *rand.Rand
	faults SimFaults
}

// A SimJournal is the journal as one simulated process sees it.
type SimJournal struct{ Journal }

// NewSim makes an empty simulated journal.
func NewSim(seed uint64, faults SimFaults) *Sim { return nil }

// Open starts a simulated process.
func (s *Sim) Open() *SimJournal { return nil }

// Fork copies what has survived so far; the copy fails by a seed of its own. It costs little: records are shared.
func (s *Sim) Fork(seed uint64) *Sim { return nil }

// SetFaults changes what goes wrong from now on.
func (s *Sim) SetFaults(f SimFaults) { s.faults = f }

// Crash ends the process: every call from now on fails with [ErrCrashed]. What it has written stays.
func (j *SimJournal) Crash() {}

// Crashed reports whether the process is dead, by [SimJournal.Crash] or by a failure.
func (j *SimJournal) Crashed() bool { return false }
