package queue

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// bytesEach is what the machine may keep of a message that waits (the budget is 100 for the whole process).
const bytesEach = 90

// TestManyWaiting fills a queue, has some received and deleted, and looks at what the machine keeps, at how long each step of a snapshot
// holds up its owner, and at how long restoring takes. RIALTO_QUEUE_MESSAGES=10000000 asks for the ten million of the budget; times are
// logged alone, bytes are checked.
func TestManyWaiting(t *testing.T) {
	n := 100_000
	if s := os.Getenv("RIALTO_QUEUE_MESSAGES"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	j := journal.NewSim(1, journal.SimFaults{}).Open()
	log, err := j.Log(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := j.Blob(t.Context(), "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	m, now := NewMachine(), time.Unix(1_000_000_000, 0)
	s, err := shard.OpenStepper(log, blob, now, shard.Hosted{Machine: m})
	if err != nil {
		t.Fatal(err)
	}
	do := func(kind shard.Kind, body []byte) any {
		now = now.Add(time.Millisecond)
		answers, err := s.Commit(now, func(b *shard.Batch) { b.Add(kind, body) })
		if err != nil {
			t.Fatal(err)
		}
		return answers[0][0]
	}
	do(kindOpen, openCommand(simQueue, maxSeconds))
	const each = 1000
	_, body := sendCommand(simQueue, maxSeconds, make([]parcel, each)) // what is sent stays in the log, and is not measured
	before := heapBytes()
	for range n / each {
		do(kindSend, body)
	}
	logged := func(what string, began time.Time) { t.Logf("%s: %v", what, time.Since(began).Round(time.Microsecond)) }
	perMessage := float64(heapBytes()-before-uint64(n/each*len(body))) / float64(n)
	t.Logf("%d messages, %.1f bytes each", n, perMessage)
	if perMessage > bytesEach {
		t.Errorf("a message takes %.1f bytes, at most %d are wanted", perMessage, bytesEach)
	}

	began := time.Now()
	view := m.Freeze()
	logged("freeze", began)
	began = time.Now()
	got := do(kindReceive, receiveCommand(simQueue, maxSeconds, 10, 60, redrive{})).([]received)
	do(kindDelete, handlesCommand(simQueue, []Place{{got[0].slot, got[0].key}}))
	logged("receive and delete beside it", began)
	var parts [][]byte
	size := 0
	began = time.Now()
	if err := view.Write(func(part []byte) error { parts, size = append(parts, bytes.Clone(part)), size+len(part); return nil }); err != nil {
		t.Fatal(err)
	}
	logged("write, beside the owner", began)
	view.Thaw()
	t.Logf("%d bytes, %.1f each", size, float64(size)/float64(n))

	is := NewMachine()
	began = time.Now()
	next := func() ([]byte, error) { part := parts[0]; parts = parts[1:]; return part, nil }
	if err := is.RestoreParts(record.NewPartsReader(size, next)); err != nil {
		t.Fatal(err)
	}
	logged("restore", began)
	if visible := is.queues[simQueue].counts().Visible; visible != n {
		t.Errorf("%d messages were restored, want %d", visible, n)
	}
	if c := m.queues[simQueue].counts(); c.Visible != n-10 || c.InFlight != 9 {
		t.Errorf("the queue counts %+v", c)
	}
	began = time.Now()
	do(kindPurge, idCommand(simQueue))
	logged("purge", began)
	if c := m.queues[simQueue].counts(); c != (Counts{}) {
		t.Errorf("the purged queue counts %+v", c)
	}
}

// heapBytes is how much lives in the heap.
func heapBytes() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
