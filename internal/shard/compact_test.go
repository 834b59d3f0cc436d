package shard_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

const (
	fewBytes = 64 << 10 // that the shards of these tests care about
	ofItem   = 500      // bytes
)

// TestLength lets most items go in the patterns that are hard on a log, which can only be truncated at its head, and nobody writes any
// more. The disk comes down to 2.5 times what lives, and what lives can be read.
func TestLength(t *testing.T) {
	const n = 4000
	for _, c := range []struct {
		name string
		stay func(id uint64) bool
	}{
		{"all", func(uint64) bool { return true }},
		{"none", func(uint64) bool { return false }},
		{"the first", func(id uint64) bool { return id == 0 }},
		{"the last", func(id uint64) bool { return id == n-1 }},
		{"one in ten", func(id uint64) bool { return id%10 == 0 }},
		{"every second", func(id uint64) bool { return id%2 == 0 }},
		{"the old third", func(id uint64) bool { return id < n/3 }},
		{"the young third", func(id uint64) bool { return id >= n-n/3 }},
		{"the old third and one in fifty", func(id uint64) bool { return id < n/3 || id%50 == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk(t)
				s, m := d.open(t)
				end := run(t, s)
				for id := range uint64(n) {
					if err := put(s, id, ofItem); err != nil {
						t.Fatal(err)
					}
				}
				living := int64(0)
				for id := range uint64(n) {
					if c.stay(id) {
						living += ofItem
						continue
					}
					if _, err := s.Propose(t.Context(), func(b *shard.Batch) { b.Add(kindTake, record.AppendUint(nil, id)) }); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if got, most := d.bytes(t), living*5/2+6*fewBytes; got > most {
					t.Errorf("%d bytes are on the disk, at most %d are wanted for %d that live", got, most, living)
				}
				d.check(t, s, m, c.stay, n)
				if err := end(); err != nil {
					t.Fatal(err)
				}
				s, m = d.open(t)
				end = run(t, s)
				d.check(t, s, m, c.stay, n)
				if err := end(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestTurnover replaces items again and again, in an order in which the oldest stay longest: the log is never much longer than it may be,
// also while it is written.
func TestTurnover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, rounds = 1000, 30
		d := newDisk(t)
		s, m := d.open(t)
		end := run(t, s)
		for id := range uint64(n) {
			if err := put(s, id, ofItem); err != nil {
				t.Fatal(err)
			}
		}
		most := int64(0)
		for i := range uint64(rounds * n) {
			if err := put(s, n/2+i*7919%(n/2), ofItem); err != nil { // the first half stays as it is
				t.Fatal(err)
			}
			if i%100 == 0 {
				time.Sleep(100 * time.Millisecond)
				most = max(most, d.bytes(t))
			}
		}
		if limit := int64(n*ofItem*5/2 + 6*fewBytes); most > limit {
			t.Errorf("there were %d bytes on the disk, at most %d are wanted", most, limit)
		}
		d.check(t, s, m, func(uint64) bool { return true }, n)
		if err := end(); err != nil {
			t.Fatal(err)
		}
	})
}

// A disk is what a shard has written.
type disk struct {
	log  journal.Log
	blob journal.Blob
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	j := journal.NewSim(1, journal.SimFaults{}).Open()
	log, err := j.Log(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := j.Blob(t.Context(), "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	return &disk{log, blob}
}

func (d *disk) open(t *testing.T) (*shard.Shard, *shelf) {
	t.Helper()
	m := &shelf{}
	s, err := shard.Open(t.Context(), d.log, d.blob, []shard.Hosted{{Machine: m}}, shard.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Scale(fewBytes, fewBytes)
	return s, m
}

// bytes is the size of all that is kept.
func (d *disk) bytes(t *testing.T) (n int64) {
	t.Helper()
	err := d.log.Read(t.Context(), 1, func(_ uint64, record []byte) error { n += int64(len(record)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	names, err := d.blob.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := d.blob.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		n += int64(len(b))
	}
	return n
}

// check reads the items.
func (d *disk) check(t *testing.T, s *shard.Shard, m *shelf, stay func(uint64) bool, n uint64) {
	t.Helper()
	want := bytes.Repeat([]byte{'x'}, ofItem)
	for id := range n {
		it, there := m.items[id]
		if there != stay(id) {
			t.Fatalf("item %d: there is %v, want %v", id, there, stay(id))
		}
		if !there {
			continue
		}
		if got, err := s.Read(context.Background(), it.ref); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("item %d is %q, %v", id, got, err)
		}
	}
}
