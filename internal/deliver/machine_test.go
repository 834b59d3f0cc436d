package deliver

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A bed is a machine on a shard that a test steps by hand.
type bed struct {
	t       testing.TB
	sim     *journal.Sim
	machine *Machine
	stepper *shard.Stepper
	now     time.Time
	asked   []attempt // handed out
	held    int       // as the machine has said
}

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{t: t, sim: journal.NewSim(1, journal.SimFaults{}), now: accepted}
	b.restart()
	return b
}

// restart goes on with another process, which knows the log, and a snapshot if one was made.
func (b *bed) restart() {
	b.t.Helper()
	b.machine, b.asked, b.held = newMachine(), nil, 0
	proc := b.sim.Open()
	log, err := proc.Log(context.Background(), "test")
	if err != nil {
		b.t.Fatal(err)
	}
	blob, err := proc.Blob(context.Background(), "snapshots")
	if err != nil {
		b.t.Fatal(err)
	}
	b.stepper, err = shard.OpenStepper(log, blob, b.now, shard.Hosted{Machine: b.machine, Handler: b.handle})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) handle(effects []any) {
	for _, e := range effects {
		switch e := e.(type) {
		case ready:
			b.asked = append(b.asked, e...)
		case alarm:
			b.asked = append(b.asked, b.machine.due(e)...)
		case held:
			b.held = int(e)
		}
	}
}

// commit commits one command and returns its result.
func (b *bed) commit(kind shard.Kind, body []byte) any {
	b.t.Helper()
	answers, err := b.stepper.Commit(b.now, func(batch *shard.Batch) { batch.Add(kind, body) })
	if err != nil {
		b.t.Fatal(err)
	}
	return answers[0][0]
}

// accept accepts an event for targets that the machine learns first, and returns what was handed out.
func (b *bed) accept(id string, targets ...*target.Sealed) []attempt {
	b.t.Helper()
	for _, s := range targets {
		b.commit(kindDefine, s.JSON)
	}
	b.asked = nil
	e := newEvent(id, targets...)
	if got := b.commit(acceptCommand(&e)); got != nil {
		b.t.Fatalf("accept %s: %v", id, got)
	}
	if len(b.asked) != len(targets) {
		b.t.Fatalf("%d deliveries of %s were handed out, want %d", len(b.asked), id, len(targets))
	}
	return b.take()
}

// take takes what was handed out.
func (b *bed) take() []attempt {
	asked := b.asked
	b.asked = nil
	return asked
}

// again postpones an attempt.
func (b *bed) again(a attempt, after time.Duration) {
	b.t.Helper()
	p := postponed{handle: a.handle, letter: a.letter != nil, made: int(a.made) + 1, until: b.now.Add(after), code: "X"}
	if got := b.commit(kindAgain, appendPostponed(nil, p)); got != nil {
		b.t.Fatalf("again: %v", got)
	}
}

// pass lets time pass.
func (b *bed) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.stepper.Ring(b.now)
}

func (b *bed) settled(a attempt) int {
	b.t.Helper()
	return b.commit(kindSettled, appendHandle(nil, a.handle)).(int)
}

func (b *bed) dead(a attempt) {
	b.t.Helper()
	b.commit(kindDead, appendDead(nil, a.handle, letter{code: "X", message: "x"}))
}

// TestWhatIsSaidTwice says outcomes again after the delivery has gone on.
func TestWhatIsSaidTwice(t *testing.T) {
	to := testTarget("billing", true)
	t.Run("settled", func(t *testing.T) {
		b := newBed(t)
		a := b.accept("e1", to)[0]
		if n := b.settled(a); n != 1 {
			t.Errorf("%d deliveries ended, want 1", n)
		}
		other := b.accept("e2", to)[0]
		if other.slot != a.slot {
			t.Fatalf("the next delivery has slot %d, want %d again", other.slot, a.slot)
		}
		if n := b.settled(a); n != 0 {
			t.Errorf("%d deliveries ended, want none", n)
		}
	})
	t.Run("again, after another attempt", func(t *testing.T) {
		b := newBed(t)
		first := b.accept("e1", to)[0]
		b.again(first, time.Second)
		b.pass(time.Second)
		second := b.take()[0]
		b.again(first, time.Hour)
		b.pass(24 * time.Hour)
		if got := b.take(); len(got) != 0 {
			t.Errorf("handed out %+v, while an attempt is being made", got)
		}
		b.again(second, time.Second)
		b.pass(2 * time.Second)
		if got := b.take(); len(got) != 1 || got[0].made != 2 {
			t.Errorf("handed out %+v, want the third attempt", got)
		}
	})
	t.Run("again, after it has died", func(t *testing.T) {
		b := newBed(t)
		a := b.accept("e1", to)[0]
		b.dead(a)
		l := b.take()[0]
		b.again(a, time.Second)
		b.pass(time.Minute)
		if got := b.take(); len(got) != 0 {
			t.Errorf("handed out %+v, while an attempt is being made", got)
		}
		b.again(l, time.Hour)
		b.pass(2 * time.Hour)
		if got := b.take(); len(got) != 1 || got[0].made != 1 || got[0].letter == nil {
			t.Errorf("handed out %+v, want the second attempt of the letter", got)
		}
	})
	t.Run("dead", func(t *testing.T) {
		b := newBed(t)
		a := b.accept("e1", to)[0]
		b.dead(a)
		b.dead(a)
		if got := b.take(); len(got) != 1 {
			t.Errorf("handed out %+v, want one letter", got)
		}
	})
	t.Run("dead, of a target without a dead-letter queue", func(t *testing.T) {
		b := newBed(t)
		b.dead(b.accept("e1", testTarget("other", false))[0])
		if n := b.machine.deliveries.Len(); n != 0 || len(b.asked) > 0 {
			t.Errorf("%d deliveries are left, handed out %v", n, b.asked)
		}
	})
}

// TestAlarmsOfOthers lets deliveries end while they wait, and others take their slots before the alarm rings.
func TestAlarmsOfOthers(t *testing.T) {
	to := testTarget("billing", false)
	b := newBed(t)
	a := b.accept("e1", to)[0]
	b.again(a, time.Second)
	b.settled(a)
	same := b.accept("e2", to)[0]
	b.again(same, time.Second)
	b.pass(time.Second)
	if got := b.take(); len(got) != 1 || got[0].handle != same.handle {
		t.Errorf("handed out %+v, want e2 once", got)
	}
	b.again(attempt{handle: same.handle, made: 1}, time.Second)
	b.settled(same)
	later := b.accept("e3", to)[0]
	b.again(later, time.Minute)
	b.pass(time.Second)
	if got := b.take(); len(got) != 0 {
		t.Errorf("handed out %+v before its time", got)
	}
	b.pass(time.Minute)
	if got := b.take(); len(got) != 1 || got[0].handle != later.handle {
		t.Errorf("handed out %+v, want e3", got)
	}
}

// TestCarriedLate carries payloads that nobody needs any more.
func TestCarriedLate(t *testing.T) {
	to := testTarget("billing", true)
	b := newBed(t)
	a := b.accept("e1", to)[0]
	b.dead(a)
	l := b.take()[0]
	event := b.machine.deliveries.Get(a.slot).event
	b.settled(l)
	other := b.accept("e2", to)[0]
	b.dead(other)
	b.take()
	ref, letters := b.machine.events.Get(event).ref, fmt.Sprint(b.machine.letters)
	for _, key := range [][]byte{
		appendCarryKey(nil, carriesEvent, event, a.key), appendCarryKey(nil, carriesLetter, a.slot, a.key),
		appendCarryKey(nil, carriesEvent, 999, a.key), appendCarryKey(nil, carriesLetter, 999, a.key), appendCarryKey(nil, 7, event, other.key), nil,
	} {
		b.commit(0x02, append(record.AppendBytes([]byte{byte(kindFirst)}, key), "payload"...))
	}
	if got := b.machine.events.Get(event).ref; got != ref || fmt.Sprint(b.machine.letters) != letters {
		t.Errorf("the payload of another event was taken: %v, %v", got, b.machine.letters)
	}
}

// TestForgetInTheSameFrame forgets a definition right before a command that uses it.
func TestForgetInTheSameFrame(t *testing.T) {
	to, other := testTarget("billing", false), testTarget("other", false)
	b := newBed(t)
	b.commit(kindDefine, other.JSON)
	b.settled(b.accept("e1", to)[0])
	b.now = b.now.Add(25 * time.Hour)
	e := newEvent("e2", other, to)
	answers, err := b.stepper.Commit(b.now, func(batch *shard.Batch) {
		batch.Add(kindForget, forgetCommand([]target.Key{to.Key}))
		batch.Add(acceptCommand(&e))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := answers[0][1].(error); !errors.Is(got, errUndefined) {
		t.Errorf("accept answered %v, want %v", answers[0][1], errUndefined)
	}
	if b.machine.deliveries.Len() != 0 || b.machine.events.Len() != 0 {
		t.Error("a part of the event was taken")
	}
	b.accept("e2", other, to)
	b.now = b.now.Add(25 * time.Hour)
	b.commit(kindForget, forgetCommand([]target.Key{to.Key, other.Key}))
	if b.machine.targets.Len() != 2 {
		t.Error("a definition in use was forgotten")
	}
}

// TestForgetLater counts the time that a definition stays from the end of its last delivery.
func TestForgetLater(t *testing.T) {
	to := testTarget("billing", false)
	b := newBed(t)
	a := b.accept("e1", to)[0]
	b.now = b.now.Add(30 * time.Hour)
	b.settled(a)
	b.commit(kindForget, forgetCommand([]target.Key{to.Key}))
	if b.machine.targets.Len() != 1 {
		t.Error("a definition was forgotten that was used just now")
	}
	b.now = b.now.Add(24 * time.Hour)
	b.commit(kindForget, forgetCommand([]target.Key{to.Key}))
	if b.machine.targets.Len() != 0 {
		t.Error("a definition was kept that nobody has used for a day")
	}
}

// A goldenCommand is a line of a golden file.
type goldenCommand struct {
	name string
	kind shard.Kind
	body []byte
}

// golden are commands of every kind that a version of the format has, in the order of a log.
func golden(version int) []goldenCommand {
	var list []goldenCommand
	add := func(name string, kind shard.Kind, body []byte) { list = append(list, goldenCommand{name, kind, body}) }
	accept := func(name string, e Accepted) {
		kind, body := acceptCommand(&e)
		add(name, kind, body)
	}
	to := testTarget("billing", true)
	e := newEvent("6b1f0f0e-3d52-9a4c-77aa-0e9d3b1c2f10", to)
	e.Accepted = accepted
	add("define", kindDefine, to.JSON)
	accept("accept", e)
	accept("accept", e)
	add("again", kindAgain, appendPostponed(nil, postponed{handle: handle{0, 0}, made: 3, until: accepted.Add(time.Minute), code: "THROTTLING"}))
	add("dead", kindDead, appendDead(nil, handle{1, 1}, letter{code: "TIMEOUT", message: "Too slow.", exhausted: exhaustedAttempts, retries: 185}))
	add("again, a letter", kindAgain, appendPostponed(nil, postponed{handle: handle{1, 1}, letter: true, made: 1, until: accepted.Add(time.Hour), code: "THROTTLING"}))
	accept("accept", e)
	accept("accept", e)
	add("settled", kindSettled, appendHandle(nil, handle{2, 2}))
	add("dropped", kindDropped, appendHandle(nil, handle{3, 3}))
	add("forget", kindForget, forgetCommand([]target.Key{to.Key}))
	if version < 2 {
		return list
	}
	ordered := e
	ordered.Orders = []uint64{0x0123456789abcdef}
	accept("accept terms, ordered", ordered)
	accept("accept terms, held", ordered)
	mortal := e
	mortal.Expires = accepted.Add(time.Minute)
	accept("accept terms, for a minute", mortal)
	once := e
	once.Dedupe = Dedupe{Key: [16]byte([]byte("sixteen bytes: 1")), Window: 5 * time.Minute}
	accept("accept terms, once", once)
	accept("accept terms, a duplicate", once)
	once.EventID, once.Dedupe.Key[15] = "no UUID", '2'
	once.Orders, once.Expires = ordered.Orders, mortal.Expires
	accept("accept terms, all of them", once)
	if version < 3 {
		return list
	}
	back := e
	back.Redrives, back.Redriven = 3, accepted.Add(time.Hour)
	back.Dedupe = Dedupe{Key: [16]byte([]byte("sixteen bytes: 3")), Window: 5 * time.Minute}
	accept("accept terms, redriven", back)
	add("release", kindRelease, releaseCommand([][16]byte{once.Dedupe.Key, back.Dedupe.Key}))
	return list
}

// newestGolden is the version of the commands that this program writes.
const newestGolden = 4

// TestGolden holds the formats of commands and of snapshots: what is in the file of a version must be read for ever, and what this
// program writes must be in one.
func TestGolden(t *testing.T) {
	for version, left := range []int{1: 2, 2: 7, 3: 8, 4: 8} {
		if version == 0 {
			continue
		}
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			b := newBed(t)
			var commands strings.Builder
			for _, c := range golden(version) {
				b.commit(c.kind, c.body)
				fmt.Fprintf(&commands, "%02x %x  # %s\n", byte(c.kind), c.body, c.name)
			}
			file := fmt.Sprintf("testdata/commands.v%d.txt", version)
			if *update && version == newestGolden {
				all := fmt.Appendf(nil, "%ssnapshot %x\n", commands.String(), b.machine.Snapshot(nil))
				if err := os.WriteFile(file, all, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			written, state, _ := strings.Cut(string(got), "snapshot ")
			if written != commands.String() {
				t.Errorf("the format has changed: give it a new version, and keep the old file\ngot\n%s\nwant\n%s", commands.String(), written)
			}
			snapshot, err := hex.DecodeString(strings.TrimSpace(state))
			if err != nil {
				t.Fatal(err)
			}
			read := newMachine()
			if err := read.Restore(snapshot); err != nil {
				t.Fatalf("read the snapshot: %v", err)
			}
			if read.deliveries.Len() != left || len(read.letters) != 1 {
				t.Errorf("the snapshot is read as %d deliveries and %d letters", read.deliveries.Len(), len(read.letters))
			}
			if version < 2 { // it does not say when the events were accepted
				for _, e := range b.machine.events.All() {
					e.from = 0
				}
			}
			if version < 4 { // nor when they end
				b.machine.mortal, b.machine.last = nil, 0
				for _, def := range b.machine.targets.All() {
					(*def).pulse = pulse{}
				}
			}
			if !bytes.Equal(read.Snapshot(nil), b.machine.Snapshot(nil)) {
				t.Error("the snapshot is read as another state than that of the commands")
			}
			if version == newestGolden && !bytes.Equal(read.Snapshot(nil), snapshot) {
				t.Error("the snapshot is written in another way than it was")
			}
		})
	}
}

// FuzzCommands lets any bytes be commands: the machine answers, does not panic, and has a state that a snapshot can hold. The
// input is a list of commands, each a kind, a length and so many bytes.
func FuzzCommands(f *testing.F) {
	var all []byte
	for _, c := range golden(newestGolden) {
		one := append([]byte{byte(c.kind)}, record.AppendBytes(nil, c.body)...)
		all = append(all, one...)
		f.Add(bytes.Clone(all))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		b := newBed(t)
		for r := record.NewReader(input); r.Len() > 0; {
			kind, body := shard.Kind(r.Byte()), r.Bytes()
			if r.Err() != nil {
				break
			}
			if kind < kindFirst || kind > kindLast {
				continue
			}
			b.commit(kind, body)
			b.pass(time.Second)
		}
		state := b.machine.Snapshot(nil)
		again := newMachine()
		if err := again.Restore(state); err != nil {
			t.Fatalf("the state cannot be restored: %v\n%x", err, state)
		}
		if got := again.Snapshot(nil); !bytes.Equal(got, state) {
			t.Fatalf("the restored state differs:\n%x\n%x", state, got)
		}
	})
}

// FuzzRestore lets any bytes be a snapshot: it is refused, or what comes out is the same.
func FuzzRestore(f *testing.F) {
	b := newBed(f)
	for _, c := range golden(newestGolden) {
		b.commit(c.kind, c.body)
		f.Add(b.machine.Snapshot(nil))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		m := newMachine()
		if m.Restore(input) != nil {
			return
		}
		state, again := m.Snapshot(nil), newMachine()
		if err := again.Restore(state); err != nil || !bytes.Equal(again.Snapshot(nil), state) {
			t.Fatalf("restored twice it differs, %v:\n%x\n%x", err, state, again.Snapshot(nil))
		}
	})
}

// waitingSnapshot is the snapshot of a machine in which so many deliveries wait, in the next 22 minutes. If there are groups, the first
// of each waits, and the others for that one.
func waitingSnapshot(t testing.TB, deliveries, groups int) []byte {
	m := newMachine()
	m.codeIndex("THROTTLING")
	to := testTarget("billing", true)
	slot, at := m.targets.Add()
	*at = &definition{Sealed: to, slot: slot}
	m.byKey[to.Key] = *at
	for i := range deliveries {
		place, e := m.events.Add()
		*e = event{
			ref: shard.Ref{Seq: uint64(i/200 + 1), Off: uint32(i % 200 * 1200), Len: 1200}, key: m.nextKey, left: 1,
			from: uint32(accepted.Unix() + int64(i/1000)),
		}
		m.nextKey++
		slot, d := m.deliveries.Add()
		*d = delivery{event: place}
		if groups > 0 {
			m.join(slot, d, uint64(i%groups+1)*0x9e3779b97f4a7c15)
		}
		if m.turn(slot, d) {
			d.due, d.made, d.code = accepted.UnixMicro()+int64(i)*1319*1_000_000/int64(deliveries), 12, 1
		}
	}
	return m.Snapshot(nil)
}

// TestMillionWaiting measures the memory of a million waiting deliveries, each of an event of its own, with what makes them ring. The
// budget of the whole server is 400 bytes each, and ten seconds to recover all.
func TestMillionWaiting(t *testing.T) {
	const deliveries = 1_000_000
	for _, c := range []struct {
		name   string
		groups int
		budget float64 // bytes each
	}{
		{"in no order", 0, 80},
		{"one after another", 1, 70},
		{"in a thousand groups", 1000, 70},
		{"each in a group of its own", deliveries, 140},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := waitingSnapshot(t, deliveries, c.groups)
			before := heapBytes()
			m := newMachine()
			began := time.Now()
			if err := m.Restore(state); err != nil {
				t.Fatal(err)
			}
			for slot, d := range m.deliveries.All() { // as Resume does, for which a shard would be needed
				if m.turn(slot, d) {
					m.alarms[alarmAt(d.due)] = append(m.alarms[alarmAt(d.due)], slot)
				}
			}
			restored := time.Since(began)
			each := float64(heapBytes()-before) / deliveries
			began = time.Now()
			again := m.Snapshot(make([]byte, 0, len(state)))
			t.Logf("%.0f bytes each; %.1f MB of snapshot, restored in %v, written in %v", each, float64(len(state))/1e6, restored, time.Since(began))
			if each > c.budget {
				t.Errorf("%.0f bytes for each waiting delivery, want at most %.0f", each, c.budget)
			}
			if !bytes.Equal(again, state) {
				t.Error("the snapshot is written in another way than it was read")
			}
			runtime.KeepAlive(m)
			runtime.KeepAlive(state)
		})
	}
}
