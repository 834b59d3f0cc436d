package shardtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
)

// A World is what stands around machines in a simulation: it proposes commands, carries effects out, and remembers what it
// was promised. One World outlives all the processes of its simulation.
type World interface {
	// Start makes the machines of a new process. Effects that an earlier process was still to carry out are lost.
	Start() []shard.Hosted
	// Step does one thing: it proposes commands or carries out an effect, once or, as the world is, twice. If a commit fails,
	// its commands may or may not be applied later; Step returns that error. Any error of another kind than
	// [rialto.Unavailable] says that something is wrong, and ends the simulation.
	Step(r *rand.Rand, s *shard.Stepper, now time.Time) error
	// Check compares the machines' state with what was promised. It is called when nothing is in doubt any more.
	Check(s *shard.Stepper, now time.Time) error
}

// faults is how often a write goes wrong in a simulation.
var faults = journal.SimFaults{
	CrashBefore: 0.02, CrashAfter: 0.02, LostAck: 0.03, LostWrite: 0.02, Late: 0.02, Unavailable: 0.03,
}

const stepsPerSeed = 60

// Simulate runs a simulation for each of so many seeds. RIALTO_SIM_SEEDS asks for more or fewer seeds, RIALTO_SIM_SEED for one
// alone, the one that a failure has printed.
func Simulate(t *testing.T, seeds int, newWorld func() World) {
	t.Helper()
	if s := os.Getenv("RIALTO_SIM_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("RIALTO_SIM_SEED: %v", err)
		}
		run(t, seed, newWorld())
		return
	}
	if s := os.Getenv("RIALTO_SIM_SEEDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("RIALTO_SIM_SEEDS: %v", err)
		}
		seeds = n
	}
	const groups = 8 // that may run beside each other
	for g := range groups {
		t.Run(fmt.Sprintf("seeds-%d-of-%d", g+1, groups), func(t *testing.T) {
			t.Parallel()
			for seed := g; seed < seeds && !t.Failed(); seed += groups {
				run(t, uint64(seed), newWorld())
			}
		})
	}
}

func run(t *testing.T, seed uint64, w World) {
	t.Helper()
	life := &life{world: w, rand: rand.New(rand.NewPCG(seed, 0)), sim: journal.NewSim(seed, faults), now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	if err := life.run(); err != nil {
		t.Errorf("seed %d: %v\nrun it again with RIALTO_SIM_SEED=%d go test -run '^%s$'", seed, err, seed, rootName(t))
	}
}

func rootName(t *testing.T) string {
	name, _, _ := bytes.Cut([]byte(t.Name()), []byte("/"))
	return string(name)
}

// A life is one simulation: a journal, and the processes that follow one another over it.
type life struct {
	world World
	rand  *rand.Rand
	sim   *journal.Sim
	now   time.Time

	proc     *journal.SimJournal
	machines []shard.Hosted
	stepper  *shard.Stepper // nil while no process runs

	snapshot func() error                                          // writes the one that was taken, or nil
	compact  func(now time.Time, bytes int) (done bool, err error) // carries what was listed, or nil
}

func (l *life) run() error {
	for range stepsPerSeed {
		if err := l.step(); err != nil {
			return err
		}
	}
	l.sim.SetFaults(journal.SimFaults{})
	if err := l.replace(); err != nil {
		return err
	}
	return l.world.Check(l.stepper, l.now)
}

func (l *life) step() error {
	l.moveClock()
	if l.stepper == nil {
		return l.replace()
	}
	var err error
	switch n := l.rand.IntN(100); {
	case n < 3: // kill -9
		l.proc.Crash()
		return l.replace()
	case n < 5: // somebody else takes over; the present owner learns it at its next append
		return l.replace()
	case n < 12:
		err = l.writeSnapshot()
	case n < 17:
		err = l.carryOn()
	case n < 25:
		l.stepper.Ring(l.now)
	default:
		err = l.world.Step(l.rand, l.stepper, l.now)
	}
	switch {
	case l.proc.Crashed():
		return l.replace()
	case errors.Is(err, shard.ErrFenced):
		return fmt.Errorf("the only owner was fenced off: %w", err)
	case err != nil && (isDamage(err) || rialto.KindOf(err) != rialto.Unavailable):
		return err
	}
	return nil // the write was refused; the process goes on
}

// writeSnapshot takes a snapshot, and writes it at once or some steps later.
func (l *life) writeSnapshot() error {
	if l.snapshot == nil {
		l.snapshot = l.stepper.StartSnapshot()
		if l.rand.IntN(2) == 0 {
			return nil
		}
	}
	write := l.snapshot
	l.snapshot = nil
	return write()
}

// carryOn lists what lives in old frames, and carries it forward, a part now and others some steps later.
func (l *life) carryOn() error {
	if l.compact == nil {
		l.compact = l.stepper.StartCompact(l.rand.Uint64N(8))
	}
	bytes := 1 << 20
	if l.rand.IntN(2) == 0 {
		bytes = l.rand.IntN(200)
	}
	done, err := l.compact(l.now, bytes)
	if done || err != nil {
		l.compact = nil
	}
	return err
}

func isDamage(err error) bool {
	_, ok := errors.AsType[*journal.DamageError](err)
	return ok
}

// moveClock lets time pass, a little as a rule, and now and then an hour in either direction.
func (l *life) moveClock() {
	switch l.rand.IntN(40) {
	case 0:
		l.now = l.now.Add(time.Hour)
	case 1:
		l.now = l.now.Add(-time.Hour)
	default:
		l.now = l.now.Add(time.Duration(l.rand.IntN(2000)) * time.Millisecond)
	}
}

// replace starts a new process, which takes over from the present one, and compares what they know.
func (l *life) replace() error {
	former, formerMachines := l.stepper, l.machines
	for range 100 { // a start may crash, too
		proc := l.sim.Open()
		machines := l.world.Start()
		log, blob, err := open(proc)
		if err != nil {
			if proc.Crashed() {
				continue
			}
			return err
		}
		s, err := shard.OpenStepper(log, blob, l.now, machines...)
		switch {
		case proc.Crashed():
			continue
		case err != nil && isDamage(err):
			return fmt.Errorf("recovery: %w", err)
		case err != nil:
			continue // refused; try again
		}
		if err := l.mustBeFenced(former); err != nil {
			return err
		}
		l.proc, l.machines, l.stepper = proc, machines, s
		l.snapshot, l.compact = nil, nil
		return sameState(log, former, formerMachines, machines)
	}
	return errors.New("no process came up in 100 tries")
}

func open(j journal.Journal) (journal.Log, journal.Blob, error) {
	log, err := j.Log(context.Background(), "test")
	if err != nil {
		return nil, nil, err
	}
	blob, err := j.Blob(context.Background(), "snapshots")
	return log, blob, err
}

// sameState lets the former owner read what is in the log beyond what it knows, and compares its state with that of the new
// owner, which has come from a snapshot.
func sameState(log journal.Log, former *shard.Stepper, was, is []shard.Hosted) error {
	if former == nil {
		return nil
	}
	if err := former.CatchUp(log); err != nil {
		return fmt.Errorf("the former owner cannot read on: %w", err)
	}
	for i := range is {
		a, b := was[i].Machine.Snapshot(nil), is[i].Machine.Snapshot(nil)
		if !bytes.Equal(a, b) {
			return fmt.Errorf("machine %s after recovery differs from before:\nbefore %x\nafter  %x", is[i].Machine.Name(), a, b)
		}
	}
	return nil
}

// mustBeFenced lets the former owner, which may still be alive, try to write.
func (l *life) mustBeFenced(former *shard.Stepper) error {
	if former == nil || l.proc.Crashed() {
		return nil
	}
	_, err := former.Commit(l.now, func(b *shard.Batch) { b.Add(0x01, []byte("former owner")) })
	if err == nil {
		return errors.New("a former owner could still write")
	}
	return nil
}
