package shard_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// Kinds of the shelf's commands.
const (
	kindPut  shard.Kind = 0xf0 // id, payload: keeps a payload until an alarm takes it away
	kindTake shard.Kind = 0xf1 // id
)

// A shelf is the smallest machine that uses all of a shard: payloads in the log, effects, timers. It keeps how often each id
// was put, so that a command applied twice shows.
type shelf struct {
	items map[uint64]item
}

type item struct {
	ref  shard.Ref
	puts uint64
	due  time.Time
}

// expired is the effect that an item's time has come.
type expired struct{ id uint64 }

func (m *shelf) Name() string                 { return "shelf" }
func (m *shelf) Kinds() (first, l shard.Kind) { return kindPut, kindTake }

func (m *shelf) Apply(tx *shard.Tx, kind shard.Kind, body []byte) any {
	r := record.NewReader(body)
	id := r.Uint()
	it, had := m.items[id]
	if kind == kindTake {
		if had {
			tx.Release(it.ref)
			delete(m.items, id)
		}
		return had
	}
	if had {
		tx.Release(it.ref)
	}
	it.ref = tx.Ref(len(body)-r.Len(), len(body))
	it.puts++
	it.due = tx.Now().Add(10 * time.Second)
	tx.Retain(it.ref)
	tx.EmitAt(it.due, expired{id})
	m.items[id] = it
	return it.puts
}

func (m *shelf) ids() []uint64 {
	ids := make([]uint64, 0, len(m.items))
	for id := range m.items {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (m *shelf) Snapshot(dst []byte) []byte {
	dst = append(dst, 1)
	dst = record.AppendUint(dst, uint64(len(m.items)))
	for _, id := range m.ids() {
		it := m.items[id]
		dst = record.AppendUint(dst, id)
		dst = shard.AppendRef(dst, it.ref)
		dst = record.AppendUint(dst, it.puts)
		dst = record.AppendTime(dst, it.due)
	}
	return dst
}

func (m *shelf) Restore(b []byte) error {
	m.items = make(map[uint64]item)
	if b == nil {
		return nil
	}
	r := record.NewReader(b)
	r.Byte()
	for range r.Count() {
		id := r.Uint()
		m.items[id] = item{shard.ReadRef(r), r.Uint(), r.Time()}
	}
	return r.Err()
}

func (m *shelf) Resume(tx *shard.Tx) {
	for _, id := range m.ids() {
		tx.EmitAt(m.items[id].due, expired{id})
	}
}

func (m *shelf) Live(before uint64, yield func([]byte, shard.Ref) bool) {
	for _, id := range m.ids() {
		if ref := m.items[id].ref; ref.Seq < before && !yield(record.AppendUint(nil, id), ref) {
			return
		}
	}
}

func (m *shelf) Carried(tx *shard.Tx, key []byte, ref shard.Ref) {
	id := record.NewReader(key).Uint()
	if it, ok := m.items[id]; ok {
		tx.Release(it.ref)
		it.ref = ref
		tx.Retain(ref)
		m.items[id] = it
	}
}

// shelfWorld puts and takes items, each id once, and remembers what was acknowledged and what is in doubt.
type shelfWorld struct {
	machine *shelf
	next    uint64
	put     map[uint64]bool // acknowledged and not taken; false while one of both is in doubt
	due     []expired
}

func (w *shelfWorld) Start() []shard.Hosted {
	w.machine, w.due = &shelf{}, nil
	return []shard.Hosted{{Machine: w.machine, Handler: func(effects []any) {
		for _, e := range effects {
			w.due = append(w.due, e.(expired))
		}
	}}}
}

func payloadOf(id uint64) []byte { return bytes.Repeat([]byte{byte(id)}, int(id%97)) }

func (w *shelfWorld) Step(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	if len(w.due) > 0 && r.IntN(2) == 0 {
		e := w.due[0]
		if r.IntN(4) > 0 { // else the effect is carried out again some time
			w.due = w.due[1:]
		}
		w.put[e.id] = false
		_, err := s.Commit(now, func(b *shard.Batch) { b.Add(kindTake, record.AppendUint(nil, e.id)) })
		if err == nil {
			delete(w.put, e.id)
		}
		return err
	}
	var proposals []func(*shard.Batch)
	first := w.next
	for range 1 + r.IntN(4) {
		id := w.next
		w.next++
		w.put[id] = false
		body := append(record.AppendUint(nil, id), payloadOf(id)...)
		proposals = append(proposals, func(b *shard.Batch) { b.Add(kindPut, body) })
	}
	answers, err := s.Commit(now, proposals...)
	if err != nil {
		return err
	}
	for i, a := range answers {
		if puts := a[0].(uint64); puts != 1 {
			return fmt.Errorf("item %d was put %d times", first+uint64(i), puts)
		}
		w.put[first+uint64(i)] = true
	}
	return nil
}

func (w *shelfWorld) Check(s *shard.Stepper, _ time.Time) error {
	for id, sure := range w.put {
		if _, ok := w.machine.items[id]; sure && !ok {
			return fmt.Errorf("item %d was acknowledged and is lost", id)
		}
	}
	for id, it := range w.machine.items {
		if it.puts != 1 {
			return fmt.Errorf("item %d was put %d times", id, it.puts)
		}
		if _, known := w.put[id]; !known {
			return fmt.Errorf("item %d was taken and is back", id)
		}
		got, err := s.Read(it.ref)
		if err != nil || !bytes.Equal(got, payloadOf(id)) {
			return fmt.Errorf("item %d: payload %x, %v; want %x", id, got, err, payloadOf(id))
		}
	}
	return nil
}

func TestSimulation(t *testing.T) {
	shardtest.Simulate(t, 10_000, func() shardtest.World { return &shelfWorld{put: make(map[uint64]bool)} })
}
