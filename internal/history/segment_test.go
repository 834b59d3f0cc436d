package history

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/journal"
)

var update = flag.Bool("update", false, "write the golden files of the present version anew")

// goldenEvents are what the golden segment has: two blocks, events of equal times, two shards, an event from before 1970.
func goldenEvents() []Entry {
	var list []Entry
	for i := range 40 {
		at := testStart.Add(time.Duration(i/3) * time.Second)
		if i == 0 {
			at = time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)
		}
		e := testEvent(i, at, testStart.Add(time.Duration(i)*7*time.Minute), strings.Repeat(fmt.Sprint(i), 1500))
		list = append(list, Entry{
			Position: Position{Time: at.UnixMicro(), Accepted: e.Accepted.UnixMicro(), Shard: uint32(i % 2), Key: uint64(1 + i*3)}, Event: e.Event,
		})
	}
	return sorted(list)
}

// TestGoldenFiles reads what every version has written.
func TestGoldenFiles(t *testing.T) {
	segmentFile, ledgerFile := filepath.Join("testdata", "segment-1.bin"), filepath.Join("testdata", "ledger-1.bin")
	if *update {
		w := newSegmentWriter("golden-id")
		for _, e := range goldenEvents() {
			w.add(e)
		}
		data, info := w.finish()
		info.name = "0123456789abcdef"
		l := &ledger{serial: 7, imported: 300, marks: []uint64{0, 118}, segments: []segmentInfo{info}}
		if err := os.WriteFile(segmentFile, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(ledgerFile, l.append(nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(segmentFile)
	if err != nil {
		t.Fatal(err)
	}
	seg, err := parseSegment(data, "golden-id")
	if err != nil {
		t.Fatal(err)
	}
	var got []Entry
	for i := range seg.blocks {
		list, err := seg.read(i)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, list...)
	}
	if err := same(got, goldenEvents()); err != nil {
		t.Error(err)
	}
	if len(seg.blocks) != 2 || len(seg.cells) != 5 {
		t.Errorf("the segment has %d blocks and events of %d hours, instead of 2 and 5", len(seg.blocks), len(seg.cells))
	}
	if _, err := parseSegment(data, "another-id"); err == nil {
		t.Error("a segment is read that is another archive's")
	}

	stored, err := os.ReadFile(ledgerFile)
	if err != nil {
		t.Fatal(err)
	}
	l, err := parseLedger(stored)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(l.append(nil), stored) {
		t.Error("the ledger is not the same when it is written again")
	}
	if got, want := l.total(noSpan.last), totalOf(goldenEvents()); got != want {
		t.Errorf("the ledger counts %+v instead of %+v", got, want)
	}
	if l.serial != 7 || l.imported != 300 {
		t.Errorf("the ledger has the serial number %d, and %d imported events", l.serial, l.imported)
	}
	if !l.sealed(1, 117) || l.sealed(1, 118) || l.sealed(0, 0) || l.sealed(2, 0) {
		t.Error("the marks of the ledger are not what was written")
	}
	if i := &l.segments[0]; i.stored != int64(len(data)) || i.time.first != goldenEvents()[0].Position.Time || !slices.Equal(i.cells, seg.cells) {
		t.Errorf("the ledger says of the segment %+v", i)
	}
}

// TestEveryFlippedBitIsFound changes each byte of a segment. It is refused as a whole, or one of its blocks is, or nothing has changed.
func TestEveryFlippedBitIsFound(t *testing.T) {
	w := newSegmentWriter("an-id")
	list := goldenEvents()
	for _, e := range list {
		w.add(e)
	}
	data, _ := w.finish()
	for i := range data {
		data[i] ^= 1 << (i % 8)
		broken := false
		seg, err := parseSegment(data, "an-id")
		if broken = err != nil; err == nil {
			for n := range seg.blocks {
				if _, err := seg.read(n); err != nil {
					broken = true
				}
			}
		}
		if !broken {
			t.Errorf("byte %d of %d was changed, and nobody has found it", i, len(data))
		}
		data[i] ^= 1 << (i % 8)
	}
}

// FuzzSegment reads what may be anything: it must not crash, nor take more memory than its limits say.
func FuzzSegment(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "segment-1.bin"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	w := newSegmentWriter("golden-id")
	w.add(goldenEvents()[0])
	small, _ := w.finish()
	f.Add(small)
	f.Fuzz(func(t *testing.T, data []byte) {
		seg, err := parseSegment(data, "golden-id")
		if err != nil {
			seg, err = parseSegment(resealed(data), "golden-id")
		}
		if err != nil {
			return
		}
		for i := range seg.blocks {
			if list, err := seg.read(i); err == nil && int64(len(list)) != seg.blocks[i].Events {
				t.Errorf("block %d has %d events, and %d are read", i, seg.blocks[i].Events, len(list))
			}
		}
	})
}

// resealed gives data the hashes that it should have, so that what lies behind them is tried, too.
func resealed(data []byte) []byte {
	tail := len(data) - segmentTail
	if tail < segmentHeader {
		return data
	}
	data = slices.Clone(data)
	start := tail - int(binary.BigEndian.Uint32(data[tail:]))
	if start < segmentHeader {
		return data
	}
	sum := journal.Sum(slices.Concat(data[:segmentHeader], data[start:tail+4]))
	copy(data[tail+4:], sum[:])
	return data
}

// FuzzLedger reads what may be anything, and writes what it has read: the same is read again.
func FuzzLedger(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "ledger-1.bin"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLedger(data)
		if err != nil {
			return
		}
		once := l.append(nil)
		again, err := parseLedger(once)
		if err != nil || !bytes.Equal(again.append(nil), once) {
			t.Errorf("a ledger that was read cannot be written: %v", err)
		}
	})
}
