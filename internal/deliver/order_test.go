package deliver

import (
	"fmt"
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// orderCases are stories of one target. A delivery is ordered by the first letter of its event's id, unless that is an x. What is
// handed out stands behind the arrow, a letter with an exclamation mark.
var orderCases = []struct{ name, story string }{
	{"one after another", `
		accept a1 a2 a3 -> a1
		settled a1      -> a2
		settled a2      -> a3
		settled a3`},
	{"the others go on", `
		accept a1 a2 b1 x1 x2 b2 -> a1 b1 x1 x2
		settled b1               -> b2
		again a1 1m
		settled b2
		accept b3 x3             -> b3 x3
		accept a3
		settled b3 x1 x2 x3
		pass 1m                  -> a1
		settled a1               -> a2
		settled a2               -> a3
		settled a3`},
	{"a dead letter holds back nobody", `
		accept a1 a2 a3 -> a1
		dead a1         -> a2 a1!
		settled a2      -> a3
		again a1! 1h
		dead a3         -> a3!
		accept a4       -> a4
		settled a4 a3!
		pass 1h         -> a1!
		settled a1!`},
	{"what is dropped holds back nobody", `
		accept a1 a2 -> a1
		dropped a1   -> a2
		dropped a2`},
	{"a restart hands out heads", `
		accept a1 a2 b1 b2 x1 -> a1 b1 x1
		again b1 1m
		restart               -> a1 x1
		settled a1            -> a2
		snapshot
		accept a3
		restart               -> a2 x1
		pass 1m               -> b1
		settled b1 a2         -> b2 a3
		dead a3               -> a3!
		accept a4             -> a4
		snapshot
		restart               -> b2 x1 a3! a4
		settled x1 a3! b2 a4`},
	{"what is said twice is said of the head alone", `
		accept a1 a2 a3 -> a1
		settled a1      -> a2
		settled a1
		again a1 1s
		dead a1
		pass 1m
		settled a2      -> a3
		settled a3`},
	{"no attempt of one that is held is put off", `
		accept a1 a2 -> a1
		again a2 1s
		pass 1m
		settled a1   -> a2
		settled a2`},
	{"one that is held ends", `
		accept a1 a2 a3 a4 -> a1
		dropped a3
		settled a1         -> a2
		dropped a4
		accept a5
		settled a2         -> a5
		dead a5            -> a5!
		settled a5!`},
	{"one that is held dies", `
		accept a1 a2 a3 -> a1
		dead a2         -> a2!
		settled a1      -> a3
		settled a2! a3`},
	{"a slot is used again by one that is held", `
		accept x1 a1 -> x1 a1
		again x1 1s
		settled x1
		accept a2
		pass 1m
		settled a1   -> a2
		settled a2`},
	{"several end in one frame", `
		accept a1 b1 a2 b2 -> a1 b1
		settled a1 b1      -> a2 b2
		settled a2 b2
		accept a3          -> a3
		settled a3`},
}

func TestOrder(t *testing.T) {
	for _, c := range orderCases {
		t.Run(c.name, func(t *testing.T) {
			s := &orderStory{bed: newBed(t), to: testTarget("billing", true), handles: make(map[string]handle), made: make(map[string]uint32)}
			s.commit(kindDefine, s.to.JSON)
			for line := range strings.Lines(strings.TrimSpace(c.story)) {
				says, want, _ := strings.Cut(strings.TrimSpace(line), "->")
				s.step(strings.Fields(says))
				if got := strings.Join(s.handedOut(), " "); got != strings.TrimSpace(want) {
					t.Fatalf("%s: handed out %q, want %q", line, got, strings.TrimSpace(want))
				}
				if (s.held > 0) != (s.machine.orders.held > 0) {
					t.Fatalf("%s: %d deliveries are held, and the machine has said %d", line, s.machine.orders.held, s.held)
				}
			}
			o := &s.machine.orders
			if s.machine.deliveries.Len() != 0 || o.groups.Len() != 0 || len(o.byHash) != 0 || o.held != 0 {
				t.Errorf("at the end %d deliveries in %d groups are left, %d of them held", s.machine.deliveries.Len(), o.groups.Len(), o.held)
			}
		})
	}
}

type orderStory struct {
	*bed
	to      *target.Sealed
	handles map[string]handle
	made    map[string]uint32
}

func (s *orderStory) step(words []string) {
	verb, args := words[0], words[1:]
	var commands []func(*shard.Batch)
	each := func(kind shard.Kind, body func(id string, h handle) []byte) {
		var all []byte
		for _, id := range args {
			all = append(all, body(id, s.handles[strings.TrimSuffix(id, "!")])...)
		}
		commands = append(commands, func(b *shard.Batch) { b.Add(kind, all) })
	}
	switch verb {
	case "accept":
		for _, id := range args {
			e := newEvent(id, s.to)
			if id[0] != 'x' {
				e.Orders = []uint64{hashOf(id[:1])}
			}
			s.handles[id] = handle{key: s.machine.nextKey + uint64(len(commands))}
			commands = append(commands, func(b *shard.Batch) { b.Add(acceptCommand(&e)) })
		}
	case "settled":
		each(kindSettled, func(_ string, h handle) []byte { return appendHandle(nil, h) })
	case "dropped":
		each(kindDropped, func(_ string, h handle) []byte { return appendHandle(nil, h) })
	case "dead":
		each(kindDead, func(_ string, h handle) []byte { return appendDead(nil, h, letter{code: "X", message: "x"}) })
	case "again":
		after, err := time.ParseDuration(args[1])
		if err != nil {
			s.t.Fatal(err)
		}
		args = args[:1]
		each(kindAgain, func(id string, h handle) []byte {
			return appendPostponed(nil, postponed{handle: h, letter: strings.HasSuffix(id, "!"), made: int(s.made[id]) + 1, until: s.now.Add(after), code: "X"})
		})
	case "pass":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.pass(d)
	case "snapshot":
		if err := s.stepper.Snapshot(); err != nil {
			s.t.Fatal(err)
		}
	case "restart":
		s.restart()
	default:
		s.t.Fatalf("nobody knows how to %s", verb)
	}
	if _, err := s.stepper.Commit(s.now, commands...); err != nil {
		s.t.Fatal(err)
	}
	s.learnSlots()
}

// learnSlots completes the handles of events that were accepted, each of which has one delivery.
func (s *orderStory) learnSlots() {
	for slot, d := range s.machine.deliveries.All() {
		for id, h := range s.handles {
			if h.key == s.machine.events.Get(d.event).key {
				s.handles[id] = handle{slot, h.key}
			}
		}
	}
}

// handedOut names what was handed out since the last call.
func (s *orderStory) handedOut() []string {
	var ids []string
	for _, a := range s.take() {
		for id, h := range s.handles {
			if h != a.handle {
				continue
			}
			if a.ordered != (id[0] != 'x' && a.letter == nil) {
				s.t.Errorf("the attempt of %s says ordered: %v", id, a.ordered)
			}
			if a.letter != nil {
				id += "!"
			}
			s.made[id] = a.made
			ids = append(ids, id)
		}
	}
	return ids
}

func hashOf(key string) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, key)
	return h.Sum64()
}
