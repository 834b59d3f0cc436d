package queue

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A command as a log has it.
type loggedCommand struct {
	kind shard.Kind
	body []byte
}

func logged(kind shard.Kind, body []byte) loggedCommand { return loggedCommand{kind, body} }

// goldenCommands is one command of every kind, and what some of them need. They come a second after one another.
func goldenCommands() []loggedCommand {
	payload := (&Draft{
		Body: "body", Sender: "000000000000", Group: "g", Trace: "Root=1",
		Attributes: map[string]Attribute{"b": {"Binary", "\x00\xff"}, "a": {"String", "text"}},
	}).encode(uuid.MustParse("6b1f0f0e-3d52-4a4c-97aa-0e9d3b1c2f10"))
	small := (&Draft{Body: "x"}).encode(uuid.UUID{15: 1})
	at := []Place{{0, 0}}
	return []loggedCommand{
		{kindOpen, openCommand(300, 345600)},
		{kindOpen, openCommand(301, 60)},
		{kindOpen, openCommand(302, 60)},
		logged(sendCommand(300, 345600, []parcel{{payload: payload}, {payload: small}, {payload: small, delay: 900}})),
		{kindReceive, receiveCommand(300, 345600, 10, 30, redrive{})},
		{kindHide, hideCommand(300, at, []int{0})},
		{kindReceive, receiveCommand(300, 345600, 1, 30, redrive{max: 1, to: 301, local: true, source: "arn:aws:sqs:us-east-1:000000000000:q"})},
		{kindHide, hideCommand(300, []Place{{1, 1}}, []int{0})},
		{kindReceive, receiveCommand(300, 345600, 1, 30, redrive{max: 1, to: 400, source: "arn:aws:sqs:us-east-1:000000000000:q"})},
		{kindStay, handlesCommand(300, []Place{{1, 1}})},
		{kindMoved, handlesCommand(300, []Place{{1, 1}})},
		logged(acceptCommand(301, 60, []move{{source: "arn:aws:sqs:us-east-1:000000000000:r", sent: 1_772_323_100_000_000, first: 10, last: 20, receives: 2}}, [][]byte{small})),
		{kindTouch, touchCommand(301, 60)},
		{kindPurge, idCommand(302)},
		{kindDelete, handlesCommand(300, []Place{{1, 1}})},
		{kindDrop, idCommand(302)},
	}
}

// redriveCommands is one of every kind that redrives have brought, after goldenCommands.
func redriveCommands() []loggedCommand {
	letter := (&Draft{
		Body: "shaped", Attributes: map[string]Attribute{"ERROR_CODE": {"String", "TIMEOUT"}},
		Origin: &target.Origin{
			EventID: "e-1", Event: []byte("{}"), Bus: rialto.Scope{Account: "000000000000", Region: "us-east-1"}.BusARN("b"),
			Rule:     rialto.Scope{Account: "000000000000", Region: "us-east-1"}.RuleARN("b", "r"),
			TargetID: "t", Accepted: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Trace: "Root=1", Hops: target.Hops{SameRegion: 1}, Redrives: 2,
		},
	}).encode(uuid.UUID{15: 2})
	task := uuid.UUID{0: 7, 15: 7}
	at := []Place{{1, 5}, {3, 6}, {4, 7}, {5, 8}}
	return []loggedCommand{
		{kindOpen, openCommand(303, 3600)},
		logged(sendCommand(303, 3600, slices.Repeat([]parcel{{payload: letter}}, 5))),
		{kindBegin, beginCommand(303, task, 20, []byte(`{"code":"TIMEOUT"}`))},
		{kindMark, markCommand(303, 3600, task, false, at[:1])},
		{kindMark, markCommand(303, 3600, task, true, at[1:])},
		{kindControl, controlCommand(303, task, controlRate, 50)},
		{kindClaim, claimCommand(303, 3600, task, at[:3])},
		{kindDecide, decideCommand(303, task, []Decision{{at[0], Moved, ""}, {at[1], Failed, "too large"}})},
		{kindControl, controlCommand(303, task, controlPause, 0)},
	}
}

// fifoCommands is one of every kind that FIFO queues have brought, after redriveCommands.
func fifoCommands() []loggedCommand {
	message := func(n byte, group string) posting {
		d := &Draft{Body: "x", Group: group, Dedupe: string('a' + rune(n))}
		id := uuid.UUID{0: 9, 15: n}
		return posting{id, hashGroup(d.Group), dedupeKey(d.Dedupe), d.encode(id)}
	}
	letter := &Draft{Body: "x", Group: "g", Dedupe: "z", Origin: &target.Origin{EventID: "e", Event: []byte("y")}}
	source := "arn:aws:sqs:us-east-1:000000000000:r.fifo"
	return []loggedCommand{
		{kindOpenFIFO, openFIFOCommand(304, 3600)},
		{kindSendFIFO, sendFIFOCommand(304, 3600, 0, wholeQueue, []posting{message(1, "g"), message(2, "g"), message(3, "h"), message(1, "h")})},
		{kindSendFIFO, sendFIFOCommand(304, 3600, 900, eachGroup, []posting{message(4, "i")})},
		{kindReceiveFIFO, receiveFIFOCommand(304, 3600, 2, 30, redrive{}, attemptKey("a"))},
		{kindReceiveFIFO, receiveFIFOCommand(304, 3600, 2, 60, redrive{}, attemptKey("a"))},
		{kindReceive, receiveCommand(304, 3600, 1, 30, redrive{})},
		{kindHideFIFO, hideFIFOCommand(304, []receipt{{Place{7, 11}, 1}}, []int{0})},
		{kindDeleteFIFO, deleteFIFOCommand(304, []receipt{{Place{4, 9}, 1}})},
		{kindAcceptFIFO, acceptFIFOCommand(304, 3600, []move{{from: 300, key: 7, group: hashGroup("j"), source: source, receives: 3}},
			[][]byte{letter.encode(uuid.UUID{15: 3})})},
	}
}

// groupCommands is one of every kind that groups of standard queues and purges bit by bit have brought, after fifoCommands.
func groupCommands() []loggedCommand {
	message := func(n byte, group string) parcel {
		return parcel{payload: (&Draft{Body: "x", Group: group}).encode(uuid.UUID{0: 10, 15: n}), group: groupHash(group)}
	}
	return []loggedCommand{
		{kindOpen, openCommand(305, 3600)},
		logged(sendCommand(305, 3600, []parcel{message(1, "g"), message(2, "g"), message(3, ""), message(4, "h")})),
		logged(acceptCommand(305, 3600, []move{{group: hashGroup("h"), source: "arn:aws:sqs:us-east-1:000000000000:r", sent: 1_772_323_100_000_000, receives: 2}},
			[][]byte{message(5, "h").payload})),
		{kindReceive, receiveCommand(305, 3600, 2, 30, redrive{})},
		{kindClear, clearCommand(10)},
	}
}

// delayCommands is what retroactive delays of FIFO queues have brought, after groupCommands.
func delayCommands() []loggedCommand {
	message := func(n byte, group string) posting {
		d := &Draft{Body: "x", Group: group, Dedupe: string('a' + rune(n))}
		id := uuid.UUID{0: 11, 15: n}
		return posting{id, hashGroup(d.Group), dedupeKey(d.Dedupe), d.encode(id)}
	}
	return []loggedCommand{
		{kindOpenFIFO, openFIFOCommand(306, 3600)},
		{kindSendFIFO, sendFIFOCommand(306, 3600, 900, wholeQueue, []posting{message(1, "g")})},
		{kindSendFIFO, sendFIFOCommand(306, 3600, 0, wholeQueue, []posting{message(2, "g"), message(3, "h")})},
		{kindDelayFIFO, delayFIFOCommand(306, 3600, 2)},
	}
}

// versions are the formats that were written so far. Each adds commands to those of the one before.
var versions = []struct {
	name     string
	commands func() []loggedCommand
}{
	{"1", goldenCommands},
	{"2", func() []loggedCommand { return append(goldenCommands(), redriveCommands()...) }},
	{"3", func() []loggedCommand { return slices.Concat(goldenCommands(), redriveCommands(), fifoCommands()) }},
	{"4", func() []loggedCommand {
		return slices.Concat(goldenCommands(), redriveCommands(), fifoCommands(), groupCommands())
	}},
	{"5", func() []loggedCommand {
		return slices.Concat(goldenCommands(), redriveCommands(), fifoCommands(), groupCommands(), delayCommands())
	}},
}

// TestFormats keeps the formats of docs/formats.md readable: commands that a version has written are still written the same way, and
// still lead to the state that its snapshot tells.
func TestFormats(t *testing.T) {
	for i, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			var written bytes.Buffer
			for _, c := range v.commands() {
				fmt.Fprintf(&written, "%02x %x\n", c.kind, c.body)
			}
			newest := *update && i == len(versions)-1
			golden := goldenFile(t, "testdata/commands-"+v.name+".golden", written.String(), newest)
			if golden != written.String() {
				t.Errorf("commands are written as\n%swant\n%s", written.String(), golden)
			}
			m := played(t, golden)
			state := m.Snapshot(nil)
			snapshot := goldenFile(t, "testdata/snapshot-"+v.name+".golden", hex.EncodeToString(state)+"\n", newest)
			b, err := hex.DecodeString(strings.TrimSpace(snapshot))
			if err != nil {
				t.Fatal(err)
			}
			restored := NewMachine()
			if err := restored.Restore(b); err != nil {
				t.Fatalf("read the snapshot: %v", err)
			}
			if again := restored.Snapshot(nil); !bytes.Equal(again, state) {
				t.Errorf("the commands lead to\n%x\nand the snapshot to\n%x", state, again)
			}
			if i == len(versions)-1 && !bytes.Equal(b, state) {
				t.Errorf("the snapshot is written as\n%x\nwant\n%x", state, b)
			}
		})
	}
}

// goldenFile reads a file, which is written first if it is to be brought up to date.
func goldenFile(t *testing.T, name, is string, update bool) string {
	t.Helper()
	if update {
		if err := os.WriteFile(name, []byte(is), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// played is a machine to which commands were given, a second after one another.
func played(t *testing.T, commands string) *Machine {
	t.Helper()
	m := NewMachine()
	proc := journal.NewSim(1, journal.SimFaults{}).Open()
	log, err := proc.Log(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := proc.Blob(t.Context(), "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s, err := shard.OpenStepper(log, blob, now, shard.Hosted{Machine: m})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(commands) {
		var c loggedCommand
		if _, err := fmt.Sscanf(line, "%x %x", &c.kind, &c.body); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		now = now.Add(time.Second)
		answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(c.kind, c.body) })
		if err != nil {
			t.Fatal(err)
		}
		if err, failed := answers[0][0].(error); failed {
			t.Errorf("%s answered %v", strings.TrimSpace(line), err)
		}
	}
	return m
}

func FuzzApply(f *testing.F) {
	for _, c := range slices.Concat(goldenCommands(), redriveCommands(), fifoCommands(), delayCommands()) {
		f.Add(byte(c.kind), c.body)
	}
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		m := NewMachine()
		proc := journal.NewSim(1, journal.SimFaults{}).Open()
		log, _ := proc.Log(t.Context(), "test")
		blob, _ := proc.Blob(t.Context(), "snapshots")
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		s, err := shard.OpenStepper(log, blob, now, shard.Hosted{Machine: m})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Commit(now, func(b *shard.Batch) {
			for _, c := range slices.Concat(goldenCommands()[:6], redriveCommands()[:7], fifoCommands()[:6]) {
				b.Add(c.kind, c.body)
			}
			b.Add(kindFirst+shard.Kind(kind)%(kindLast-kindFirst+1), body)
		})
		if err != nil {
			t.Fatal(err)
		}
		before := m.Snapshot(nil)
		if err := m.Restore(before); err != nil {
			t.Fatalf("the state cannot be read back: %v", err)
		}
		if !bytes.Equal(before, m.Snapshot(nil)) {
			t.Fatal("the state that was read back is another")
		}
	})
}

func FuzzRestore(f *testing.F) {
	for _, v := range versions {
		if b, err := os.ReadFile("testdata/snapshot-" + v.name + ".golden"); err == nil {
			if b, err := hex.DecodeString(strings.TrimSpace(string(b))); err == nil {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := NewMachine()
		if m.Restore(b) == nil {
			m.Snapshot(nil)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add((&Draft{Body: "x", Attributes: map[string]Attribute{"a": {"String", "b"}}}).encode(uuid.UUID{}))
	f.Add((&Draft{Body: "x", Origin: &target.Origin{EventID: "e", Event: []byte("y"), Redrives: 3}}).encode(uuid.UUID{}))
	f.Add((&Draft{Body: "x", Origin: &target.Origin{EventID: "e", Event: []byte("x"), Definition: []byte("{}")}}).encode(uuid.UUID{}))
	f.Add((&Draft{Body: "x", Group: "g", Dedupe: "d"}).encode(uuid.UUID{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		id := uuid.MustParse(m.ID)
		again, err := decode(m.encode(id))
		if err != nil || again.Body != m.Body || again.ID != m.ID || again.Dedupe != m.Dedupe || len(again.Attributes) != len(m.Attributes) ||
			!reflect.DeepEqual(again.Origin, m.Origin) {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
	})
}

func FuzzParseHandle(f *testing.F) {
	f.Add(formatHandle(300, Place{7, 9}, 2))
	f.Fuzz(func(t *testing.T, handle string) {
		if _, err := parseHandle(300, handle); err != nil {
			return
		}
		if _, err := parseHandle(301, handle); err == nil {
			t.Fatal("the handle is good for two queues")
		}
	})
}
