package deliver

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
)

// A CircuitMode says who decides about a circuit.
type CircuitMode uint8

const (
	CircuitAutomatic    CircuitMode = iota // how attempts go
	CircuitForcedOpen                      // somebody: no attempt is made, and everything is kept
	CircuitForcedClosed                    // somebody: every attempt is made
)

func (m CircuitMode) String() string { return [...]string{"auto", "open", "closed"}[m] }

// ParseCircuitMode is the contrary of String.
func ParseCircuitMode(s string) (CircuitMode, error) {
	for m := CircuitAutomatic; m <= CircuitForcedClosed; m++ {
		if m.String() == s {
			return m, nil
		}
	}
	return 0, rialto.Errorf(rialto.Invalid, "%q is no mode of a circuit: it is open, closed or auto.", s)
}

// Force decides about the circuit of a destination, until it is decided otherwise, for the reason and since the time that are
// shown. It may be called before anything is delivered to the destination, and before Run; the Deliverer does not remember it over a
// restart. The observer hears of it, unless Run was not called yet: then it is how it was.
func (d *Deliverer) Force(scope rialto.Scope, arn string, mode CircuitMode, since time.Time, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := place{scope, arn}
	dest, ok := d.destinations[at]
	if !ok && mode == CircuitAutomatic {
		return
	}
	if !ok || !dest.isForced() && mode != CircuitAutomatic {
		dest = d.use(at) // as long as it is forced
	}
	if dest.isForced() && mode == CircuitAutomatic {
		defer d.release(dest)
	}
	dest.force(mode, since, reason)
}

func (d *destination) isForced() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.circuit.mode != CircuitAutomatic
}

func (d *destination) force(mode CircuitMode, since time.Time, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.circuit.state
	if !d.circuit.force(d.now(), mode, reason, d.parked() > 0) {
		d.circuit.reason = cmp.Or(reason, d.circuit.reason)
		return
	}
	if mode != CircuitAutomatic {
		d.circuit.since = since
	}
	if mode == CircuitForcedOpen {
		d.circuit.outage.since = since
	}
	if d.hire == nil {
		d.regate()
		return
	}
	d.changed(was)
	d.staff() // it calls the next
}

// Circuits returns the circuit of every destination that is in use, was lately, or is forced, sorted by scope and ARN. After a start it
// waits until everything that has waited is counted.
func (d *Deliverer) Circuits(ctx context.Context) ([]Circuit, error) {
	if err := d.recovered(ctx); err != nil || ctx.Err() != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Circuit, 0, len(d.destinations))
	for _, dest := range d.destinations {
		dest.mu.Lock()
		list = append(list, dest.snapshot())
		dest.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b Circuit) int {
		return cmp.Or(cmp.Compare(a.Scope.Account, b.Scope.Account), cmp.Compare(a.Scope.Region, b.Scope.Region), cmp.Compare(a.ARN, b.ARN))
	})
	return list, nil
}

// snapshot is the circuit as it is shown. d.mu is held.
func (d *destination) snapshot() Circuit {
	c := &d.circuit
	return Circuit{
		Scope: d.scope, ARN: d.arn, State: c.state, Previous: c.state, Forced: c.mode != CircuitAutomatic, Since: c.since.Round(0), Reason: c.reason,
		Parked: d.parked(), Probe: c.until.Round(0),
	}
}
