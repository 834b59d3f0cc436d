package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/journal/journaltest"
)

var everyFault = journal.SimFaults{CrashBefore: 0.03, CrashAfter: 0.03, LostAck: 0.05, LostWrite: 0.05, Late: 0.05, Unavailable: 0.05}

// A racer is one of several processes that append to the same log, as well as it knows its end.
type racer struct {
	proc *journal.SimJournal
	w    journaltest.Writer
}

// start begins a new process, which reads the log to its end.
func (r *racer) start(sim *journal.Sim) error {
	r.proc = sim.Open()
	l, err := r.proc.Log(context.Background(), "orders")
	if err != nil {
		return err
	}
	r.w = journaltest.Writer{Log: l}
	return r.catchUp()
}

func (r *racer) catchUp() error {
	chain := journal.NewChain("orders", r.w.Last+1)
	return r.w.Log.Read(context.Background(), r.w.Last+1, func(seq uint64, rec []byte) error {
		if _, err := chain.Next(rec); err != nil {
			return err
		}
		r.w.Last, r.w.Prev = seq, journal.HashOf(rec)
		return nil
	})
}

// race lets processes compete for a log through all failures, and returns what happened, in words.
func race(seed uint64) (story []byte, err error) {
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(seed, 2))
	sim := journal.NewSim(seed, everyFault)
	acked := make(map[uint64][]byte)
	racers := make([]racer, 3)
	for i := range racers {
		if err := racers[i].start(sim); err != nil {
			return nil, err
		}
	}
	for step := range 80 {
		i := rnd.IntN(len(racers))
		r := &racers[i]
		rec := r.w.Next(fmt.Appendf(nil, "process %d, step %d", i, step))
		seq, err := r.w.Log.Append(ctx, r.w.Last, rec)
		story = fmt.Appendf(story, "%d %d %v\n", i, seq, err)
		switch {
		case err == nil:
			acked[seq] = rec
			r.w.Last, r.w.Prev = seq, journal.HashOf(rec)
		case errors.Is(err, journal.ErrCrashed):
			if !r.proc.Crashed() {
				return story, errors.New("a crash that left the process alive")
			}
			err = r.start(sim)
			if err != nil {
				return story, err
			}
		case errors.Is(err, journal.ErrConflict), errors.Is(err, journal.ErrUnknown):
			if err := r.catchUp(); err != nil {
				return story, err
			}
		case rialto.KindOf(err) != rialto.Unavailable:
			return story, err
		}
	}
	sim.SetFaults(journal.SimFaults{})
	var end racer
	if err := end.start(sim); err != nil {
		return story, err
	}
	for seq, want := range acked {
		if got, err := end.w.Log.Get(ctx, seq); err != nil || !bytes.Equal(got, want) {
			return story, fmt.Errorf("record %d was acknowledged and is %q, %v", seq, got, err)
		}
	}
	return story, end.w.Log.Scrub(ctx)
}

func TestSimRace(t *testing.T) {
	seen := make(map[string]bool)
	for seed := range uint64(1000) {
		story, err := race(seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		again, err := race(seed)
		if err != nil || !bytes.Equal(story, again) {
			t.Fatalf("seed %d went another way the second time", seed)
		}
		for _, what := range []error{journal.ErrConflict, journal.ErrUnknown, journal.ErrCrashed} {
			seen[what.Error()] = seen[what.Error()] || bytes.Contains(story, []byte(what.Error()))
		}
	}
	for what, happened := range seen {
		if !happened {
			t.Errorf("in no story: %s", what)
		}
	}
}

func TestSimFork(t *testing.T) {
	ctx := context.Background()
	sim := journal.NewSim(1, journal.SimFaults{})
	open := func(s *journal.Sim) (journaltest.Writer, journal.KV, journal.Blob) {
		p := s.Open()
		l, _ := p.Log(ctx, "orders")
		kv, _ := p.KV(ctx, "catalog")
		b, err := p.Blob(ctx, "snapshots")
		if err != nil {
			t.Fatal(err)
		}
		return journaltest.Writer{Log: l}, kv, b
	}
	w, kv, blob := open(sim)
	recs := w.Fill(t, 5)
	if _, err := kv.Put(ctx, "a", []byte("before")); err != nil {
		t.Fatal(err)
	}
	fork := sim.Fork(2)
	fw, fkv, fblob := open(fork)
	fw.Last, fw.Prev = w.Last, w.Prev
	theirs := append(recs[:5:5], fw.Append(t, []byte("of the fork")))
	ours := append(recs[:5:5], w.Append(t, []byte("of the origin")))
	if _, err := fkv.Put(ctx, "a", []byte("of the fork")); err != nil {
		t.Fatal(err)
	}
	if err := blob.Put(ctx, "b", []byte("of the origin")); err != nil {
		t.Fatal(err)
	}
	journaltest.WantRecords(t, w.Log, 1, ours)
	journaltest.WantRecords(t, fw.Log, 1, theirs)
	if e, err := kv.Get(ctx, "a"); err != nil || string(e.Value) != "before" {
		t.Errorf("the origin has %q, %v", e.Value, err)
	}
	if _, err := fblob.Get(ctx, "b"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("the fork has a blob: %v", err)
	}
}

// TestSimOutcomes looks at each failure by itself.
func TestSimOutcomes(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name    string
		faults  journal.SimFaults
		want    error
		stored  bool
		crashed bool
	}{
		{"crash before", journal.SimFaults{CrashBefore: 1}, journal.ErrCrashed, false, true},
		{"crash after", journal.SimFaults{CrashAfter: 1}, journal.ErrCrashed, true, true},
		{"lost acknowledgement", journal.SimFaults{LostAck: 1}, journal.ErrUnknown, true, false},
		{"lost write", journal.SimFaults{LostWrite: 1}, journal.ErrUnknown, false, false},
		{"none", journal.SimFaults{}, nil, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sim := journal.NewSim(1, c.faults)
			p := sim.Open()
			l, err := p.Log(ctx, "orders")
			if err != nil {
				t.Fatal(err)
			}
			w := journaltest.Writer{Log: l}
			if _, err := l.Append(ctx, 0, w.Next(nil)); !errors.Is(err, c.want) || p.Crashed() != c.crashed {
				t.Fatalf("append: %v, crashed %v", err, p.Crashed())
			}
			l, err = sim.Open().Log(ctx, "orders")
			if err != nil {
				t.Fatal(err)
			}
			if _, last, err := l.Bounds(ctx); err != nil || (last == 1) != c.stored {
				t.Errorf("the last record is %d, %v", last, err)
			}
		})
	}
}

// TestSimLate lets a write arrive after its writer gave up: it is stored if nobody was quicker, and else it is not.
func TestSimLate(t *testing.T) {
	ctx := context.Background()
	arrived, overtaken := 0, 0
	for seed := range uint64(200) {
		sim := journal.NewSim(seed, journal.SimFaults{Late: 1})
		l, err := sim.Open().Log(ctx, "orders")
		if err != nil {
			t.Fatal(err)
		}
		w := journaltest.Writer{Log: l}
		late := w.Next([]byte("late"))
		if _, err := l.Append(ctx, 0, late); !errors.Is(err, journal.ErrUnknown) {
			t.Fatal(err)
		}
		sim.SetFaults(journal.SimFaults{})
		_, err = l.Append(ctx, 0, w.Next([]byte("in time")))
		for range 100 {
			if _, _, err := l.Bounds(ctx); err != nil {
				t.Fatal(err)
			}
		}
		got, gerr := l.Get(ctx, 1)
		switch {
		case err == nil && gerr == nil && !bytes.Equal(got, late):
			overtaken++
		case errors.Is(err, journal.ErrConflict) && bytes.Equal(got, late):
			arrived++
		default:
			t.Fatalf("seed %d: append %v, record %q, %v", seed, err, got, gerr)
		}
	}
	if arrived == 0 || overtaken == 0 {
		t.Errorf("%d arrived, %d were overtaken", arrived, overtaken)
	}
}

func BenchmarkSimAppend(b *testing.B) {
	l, err := journal.NewSim(1, journal.SimFaults{}).Open().Log(context.Background(), "orders")
	if err != nil {
		b.Fatal(err)
	}
	w := journaltest.Writer{Log: l}
	payload := make([]byte, 200)
	for b.Loop() {
		w.Append(b, payload)
	}
}
