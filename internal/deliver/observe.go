package deliver

import (
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// An Observer is told what happens to deliveries. Its methods are called by those who do the work, several at a time: they must be
// quick and never block, and keep nothing of their arguments that they do not copy, but for definitions, which do not change.
type Observer interface {
	// Attempted is called after each attempt, and after each decision that none is made any more.
	Attempted(a *Attempted)
	// CircuitChanged is called after a circuit has changed its state or its mode, in the order of the changes. The destination
	// stands still meanwhile, so it must not ask the Deliverer anything.
	CircuitChanged(c *Circuit)
}

// Attempted is an attempt that was made, for one delivery.
type Attempted struct {
	Message *target.Message    // as it was sent, with the answer
	For     *target.Definition // whose delivery it is; Message.Definition is another if the dead letter was sent
	Letter  bool               // it was the dead letter that was sent
	Batch   int                // messages that shared the attempt
	Began   time.Time
	Took    time.Duration
	Err     error
	Verdict Verdict
}

// Made reports whether there was an attempt at all. There was none if the event's time to live was over, or if it got too old while the
// circuit was open.
func (a *Attempted) Made() bool { return a.Err != nil || a.Verdict.Action == Done }

// A CircuitState says whether attempts are made.
type CircuitState uint8

const (
	CircuitClosed   CircuitState = iota // attempts are made
	CircuitOpen                         // none is made, deliveries are kept
	CircuitHalfOpen                     // single attempts find out whether the destination is back
)

func (s CircuitState) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// A Circuit is that of one destination, as it is now.
type Circuit struct {
	Scope    rialto.Scope // of the rules
	ARN      string       // of the destination
	State    CircuitState
	Previous CircuitState // the state before, if an Observer is told of a change
	Forced   bool         // by hand; it stays so until it is told otherwise
	Since    time.Time    // of the state
	Reason   string       // why it is in this state, for people
	Parked   int          // deliveries that are kept
	Probe    time.Time    // when the next attempt finds out; zero if the circuit is not open, or forced
}
