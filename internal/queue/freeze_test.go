package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// busy is a machine on a shard, with a queue of so many messages.
func busy(t *testing.T, n int) (*Machine, *shard.Shard) {
	t.Helper()
	m := NewMachine()
	s := shardtest.Start(t, shard.Options{}, shard.Hosted{Machine: m})
	commit(t, s, kindOpen, openCommand(simQueue, maxSeconds))
	commit(t, s, kindOpen, openCommand(simDead, maxSeconds))
	list := make([]parcel, 1000)
	for i := range list {
		list[i] = parcel{payload: []byte("a message"), delay: i % 20 / 19}
	}
	kind, body := sendCommand(simQueue, maxSeconds, list)
	for range n / len(list) {
		commit(t, s, kind, body)
	}
	return m, s
}

func commit(t *testing.T, s *shard.Shard, kind shard.Kind, body []byte) any {
	t.Helper()
	results, err := s.Propose(context.Background(), func(b *shard.Batch) { b.Add(kind, body) })
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

// TestFreeze writes the state of one moment while the machine goes on, by way of two views of different moments.
func TestFreeze(t *testing.T) {
	m, s := busy(t, 20_000)
	r := rand.New(rand.NewPCG(1, 0))
	const fifo = ID(9)
	commit(t, s, kindOpenFIFO, openFIFOCommand(fifo, maxSeconds))
	work := func() {
		for range 300 {
			name := fmt.Sprint(r.IntN(1000))
			commit(t, s, kindSendFIFO, sendFIFOCommand(fifo, maxSeconds, 0, wholeQueue,
				[]posting{{group: uint64(r.IntN(9)), key: dedupeKey(name), payload: []byte(name)}}))
			commit(t, s, kindReceiveFIFO, receiveFIFOCommand(fifo, maxSeconds, 3, r.IntN(2), redrive{}, attemptKey(fmt.Sprint(r.IntN(3)))))
			got := commit(t, s, kindReceive, receiveCommand(simQueue, maxSeconds, 10, r.IntN(3), redrive{max: 2, to: simDead, local: true})).([]received)
			for _, g := range got {
				if r.IntN(2) == 0 {
					commit(t, s, kindDelete, handlesCommand(simQueue, []Place{{g.slot, g.key}}))
				}
			}
			kind, body := sendCommand(simQueue, maxSeconds, []parcel{{[]byte{1, 2, 3}, r.IntN(2), uint64(r.IntN(4))}})
			commit(t, s, kind, body)
		}
	}
	type moment struct {
		want  []byte
		live  int
		view  shard.Frozen
		wrote chan error
	}
	freeze := func() *moment {
		is := &moment{wrote: make(chan error, 1)}
		if err := s.View(t.Context(), func() {
			is.want, is.view = m.Snapshot(nil), m.Freeze()
			m.Live(1<<60, func([]byte, shard.Ref) bool { is.live++; return true })
		}); err != nil {
			t.Fatal(err)
		}
		return is
	}
	write := func(is *moment) {
		var got []byte
		err := is.view.Write(func(part []byte) error { got = append(got, part...); return nil })
		live := 0
		is.view.Live(1<<60, func([]byte, shard.Ref) bool { live++; return true })
		switch {
		case err == nil && !bytes.Equal(got, is.want):
			err = fmt.Errorf("the state of that moment had %d bytes, and %d others were written", len(is.want), len(got))
		case err == nil && live != is.live:
			err = fmt.Errorf("%d payloads live, want %d", live, is.live)
		}
		is.wrote <- err
	}
	first := freeze()
	work()
	second := freeze()
	go write(first)
	go write(second)
	work()
	for _, is := range []*moment{first, second} {
		if err := <-is.wrote; err != nil {
			t.Error(err)
		}
		if err := s.View(t.Context(), is.view.Thaw); err != nil {
			t.Fatal(err)
		}
		work()
	}
	if m.messages.shared != nil {
		t.Error("messages are still shared")
	}
}

// TestParts restores a state from parts, cut anywhere.
func TestParts(t *testing.T) {
	m, s := busy(t, 40_000) // more than is handed on at once
	var whole []byte
	var view shard.Frozen
	if err := s.View(t.Context(), func() { whole, view = m.Snapshot(nil), m.Freeze() }); err != nil {
		t.Fatal(err)
	}
	var parts [][]byte
	if err := view.Write(func(part []byte) error { parts = append(parts, bytes.Clone(part)); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(parts) < 2 || !bytes.Equal(bytes.Join(parts, nil), whole) {
		t.Fatalf("%d parts are another state", len(parts))
	}
	is := NewMachine()
	next := func() ([]byte, error) { part := parts[0]; parts = parts[1:]; return part, nil }
	if err := is.RestoreParts(record.NewPartsReader(len(whole), next)); err != nil || !bytes.Equal(is.Snapshot(nil), whole) {
		t.Errorf("the state that was restored is another: %v", err)
	}
	full := errors.New("the disk is full")
	if err := view.Write(func([]byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("writing parts that nobody takes: %v", err)
	}
}
