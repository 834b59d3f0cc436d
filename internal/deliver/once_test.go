package deliver

import (
	"encoding/binary"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/slab"
)

// onceCases are stories of events that all go to one target. An event has the key of the first letter of its id, and is remembered
// for so long as the number behind its colon says, in seconds. Behind the arrow stands what each is answered: its own id if it is
// accepted, the id of the earlier one if not.
var onceCases = []struct{ name, story string }{
	{"within the window, and after it", `
		put a1:60      -> a1
		pass 59s
		put a2:60 b1:5 -> a1 b1
		pass 1s
		put a3:60      -> a3
		put a4:60      -> a3`},
	{"in the same frame", `
		put a1:60 a2:60 b1:60 a3:60 -> a1 a1 b1 a1`},
	{"the window of the first counts", `
		put a1:10 -> a1
		put a2:99 -> a1
		pass 10s
		put a3:1  -> a3`},
	{"windows end in their own order", `
		put a1:3600 b1:1 c1:60 d1:5 -> a1 b1 c1 d1
		pass 5s
		put a2:1 b2:1 c2:1 d2:1     -> a1 b2 c1 d2
		pass 1h
		put a3:1 b3:1 c3:1 d3:1     -> a3 b3 c3 d3`},
	{"a restart remembers", `
		put a1:60 b1:1 -> a1 b1
		pass 2s
		put b2:60      -> b2
		restart
		put a2:60 b3:1 -> a1 b2
		snapshot
		restart
		put a3:60 b4:1 -> a1 b2
		pass 1m
		put a4:60 b5:1 -> a4 b5`},
	{"events without a key", `
		put x1:0 x2:0 a1:60 x3:0 -> x1 x2 a1 x3`},
	{"ids that are UUIDs", `
		put a0000000-3d52-9a4c-77aa-0e9d3b1c2f10:60 -> a0000000-3d52-9a4c-77aa-0e9d3b1c2f10
		put a1:60                                   -> a0000000-3d52-9a4c-77aa-0e9d3b1c2f10
		put b0000000-3D52-9A4C-77AA-0E9D3B1C2F10:60 -> b0000000-3D52-9A4C-77AA-0E9D3B1C2F10
		snapshot
		restart
		put a2:60 b1:60 -> a0000000-3d52-9a4c-77aa-0e9d3b1c2f10 b0000000-3D52-9A4C-77AA-0E9D3B1C2F10`},
}

func TestOnce(t *testing.T) {
	for _, c := range onceCases {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			b.commit(kindDefine, testTarget("billing", true).JSON)
			for line := range strings.Lines(strings.TrimSpace(c.story)) {
				says, want, _ := strings.Cut(strings.TrimSpace(line), "->")
				before := b.machine.events.Len()
				got, accepted := b.onceStep(strings.Fields(says))
				if strings.Join(got, " ") != strings.TrimSpace(want) {
					t.Fatalf("%s: answered %q, want %q", line, got, want)
				}
				if n := b.machine.events.Len() - before; n != accepted || len(b.take()) != accepted && says != "restart" {
					t.Fatalf("%s: %d events are kept, want %d", line, n, accepted)
				}
			}
		})
	}
}

// onceStep returns what each event was answered, and how many were accepted.
func (b *bed) onceStep(words []string) (answers []string, accepted int) {
	b.t.Helper()
	switch verb, args := words[0], words[1:]; verb {
	case "put":
		var proposals []func(*shard.Batch)
		for _, arg := range args {
			id, window, _ := strings.Cut(arg, ":")
			seconds, err := time.ParseDuration(window + "s")
			if err != nil {
				b.t.Fatal(err)
			}
			e := newEvent(id, testTarget("billing", true))
			e.Dedupe = Dedupe{Key: [16]byte{id[0]}, Window: seconds}
			proposals = append(proposals, func(batch *shard.Batch) { batch.Add(acceptCommand(&e)) })
		}
		results, err := b.stepper.Commit(b.now, proposals...)
		if err != nil {
			b.t.Fatal(err)
		}
		for i, r := range results {
			id, _, _ := strings.Cut(args[i], ":")
			if r[0] == nil {
				accepted++
			} else {
				id = string(r[0].(duplicate))
			}
			answers = append(answers, id)
		}
	case "pass":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			b.t.Fatal(err)
		}
		b.pass(d)
	case "snapshot":
		if err := b.stepper.Snapshot(); err != nil {
			b.t.Fatal(err)
		}
	case "restart":
		b.restart()
		b.take()
	}
	return answers, accepted
}

// TestOnceRefused refuses an event with a key: the key is not remembered.
func TestOnceRefused(t *testing.T) {
	to := testTarget("billing", true)
	b := newBed(t)
	e := newEvent("e1", to)
	e.Dedupe = Dedupe{Key: [16]byte{1}, Window: time.Hour}
	if got := b.commit(acceptCommand(&e)); got != errUndefined {
		t.Fatalf("answered %v, want %v", got, errUndefined)
	}
	b.commit(kindDefine, to.JSON)
	if got := b.commit(acceptCommand(&e)); got != nil {
		t.Errorf("answered %v, want that it is accepted", got)
	}
}

// TestOnceMany remembers more keys than there is room for, and forgets them all in the end.
func TestOnceMany(t *testing.T) {
	const more, budget = 1000, 128 // bytes for each key
	key := func(i int) (k onceKey) {
		binary.BigEndian.PutUint64(k[:], uint64(i)*0x9e3779b97f4a7c15)
		return k
	}
	before := heapBytes()
	var o once
	for i := range maxRemembered + more {
		now := int64(i)
		o.expire(now)
		o.add(now, key(i), "6b1f0f0e-3d52-7a4c-87aa-0e9d3b1c2f10", now+10*maxRemembered+int64(i%3))
	}
	each := float64(heapBytes()-before) / maxRemembered
	t.Logf("%.0f bytes for each key", each)
	if n := len(o.forget); n != maxRemembered || len(o.byKey) != n || o.entries.Len() != n {
		t.Errorf("%d entries for %d keys, want %d", n, len(o.byKey), maxRemembered)
	}
	if o.early != more {
		t.Errorf("%d keys were forgotten early, want %d", o.early, more)
	}
	if each > budget {
		t.Errorf("%.0f bytes for each key, want at most %d", each, budget)
	}
	for _, i := range []int{0, more - 5, more + 5, maxRemembered} {
		if _, ok := o.find(key(i), maxRemembered); ok != (i >= more) {
			t.Errorf("key %d is remembered: %v", i, ok)
		}
	}
	began := len(o.forget)
	if o.expire(20 * maxRemembered); len(o.forget) < began-forgetSteps {
		t.Errorf("%d keys were forgotten at once", began-len(o.forget))
	}
	for len(o.forget) > 0 {
		o.expire(20 * maxRemembered)
	}
	if o.early != more {
		t.Errorf("keys whose time was over count as forgotten early: %d", o.early-more)
	}
	if o.byKey != nil || o.names != nil || o.forget != nil || !reflect.DeepEqual(o.entries, slab.Slab[remembered]{}) {
		t.Error("the memory for many keys was not given back")
	}
}

func heapBytes() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
