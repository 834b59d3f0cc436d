package shard_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// TestScan reads payloads of many frames in the order of the log: all of them, a few that lie close, and such that lie far from each other.
func TestScan(t *testing.T) {
	m := &shelf{}
	s := shardtest.Start(t, shard.Options{}, shard.Hosted{Machine: m})
	const frames, each = 400, 3
	for i := range frames {
		if _, err := s.Propose(t.Context(), func(b *shard.Batch) {
			for j := range each {
				id := uint64(i*each + j)
				b.Add(kindPut, append(record.AppendUint(nil, id), fmt.Sprintf("payload %d", id)...))
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	var all []shard.Ref
	var ids []uint64
	if err := s.View(t.Context(), func() {
		for _, id := range m.ids() {
			ids, all = append(ids, id), append(all, m.items[id].ref)
		}
	}); err != nil || len(all) != frames*each {
		t.Fatalf("%d payloads, %v", len(all), err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, share := range []int{1, 2, 10, 100, 700} { // one of so many is wanted
		var refs []shard.Ref
		var want, got []string
		for i, ref := range all {
			if r.IntN(share) == 0 {
				refs, want = append(refs, ref), append(want, fmt.Sprintf("payload %d", ids[i]))
			}
		}
		err := s.Scan(t.Context(), refs, func(i int, payload []byte) error {
			if string(payload) != want[i] {
				t.Errorf("number %d is %q, want %q", i, payload, want[i])
			}
			got = append(got, string(payload))
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("one of %d: %d payloads of %d, %v", share, len(got), len(want), err)
		}
	}
	enough := errors.New("enough")
	n := 0
	if err := s.Scan(t.Context(), all, func(int, []byte) error {
		if n++; n == 500 {
			return enough
		}
		return nil
	}); err != enough || n != 500 {
		t.Errorf("a scan that was ended at the 500th ended at the %dth: %v", n, err)
	}
}

// TestScanOfATruncatedLog leaves out what is not where it was.
func TestScanOfATruncatedLog(t *testing.T) {
	l := &strangeLog{}
	s, m := open(t, l)
	defer run(t, s)()
	for id := range uint64(200) {
		if err := put(s, id, 10); err != nil {
			t.Fatal(err)
		}
	}
	var all []shard.Ref
	if err := s.View(t.Context(), func() {
		for _, id := range m.ids() {
			all = append(all, m.items[id].ref)
		}
	}); err != nil {
		t.Fatal(err)
	}
	l.first = all[150].Seq
	for _, from := range []int{0, 120, 155} { // in one stretch, and frame by frame
		var got []int
		err := s.Scan(t.Context(), all[from:], func(i int, _ []byte) error {
			got = append(got, from+i)
			return nil
		})
		if want := max(from, 150); err != nil || len(got) != 200-want || got[0] != want {
			t.Errorf("from %d: read %d payloads, %v", from, len(got), err)
		}
	}
}
