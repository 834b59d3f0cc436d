package deliver

import (
	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/slab"
)

const (
	// maxRemembered is how many keys of events one shard remembers, at some 100 bytes each. When another one comes, the key that
	// would be forgotten next is forgotten.
	maxRemembered = 1 << 20
	// forgetSteps is how many keys one command forgets at most, so that nobody waits for the end of a million at once.
	forgetSteps = 16
)

// A onceKey stands for events of which one is accepted within some time.
type onceKey = [16]byte

// once remembers which events were accepted, by their keys, each for a time of its own. The zero value remembers none.
//
// A key that is accepted again when its time is over, but it was not forgotten yet, has two entries for a while, an old one and the
// one that counts.
type once struct {
	entries slab.Slab[remembered]
	byKey   map[onceKey]uint32
	names   map[uint32]string // ids that are no UUIDs, by slot
	forget  []uint32          // slots of entries; a heap, whose first is forgotten first
	most    int               // entries that the tables had since they were made
	early   uint64            // keys that were forgotten before their time since the start, for others; not part of the state that survives
}

type remembered struct {
	key   onceKey
	id    uuid.UUID
	until int64  // microseconds; at that time it is forgotten
	at    uint32 // index in the heap
	old   bool   // another entry has the same key, and counts
	named bool   // the id is in names
}

// find returns the id under which an event with that key was accepted, if that is remembered.
func (o *once) find(key onceKey, now int64) (id string, ok bool) {
	slot, ok := o.byKey[key]
	if !ok {
		return "", false
	}
	e := o.entries.Get(slot)
	if e.until <= now {
		return "", false
	}
	if e.named {
		return o.names[slot], true
	}
	return e.id.String(), true
}

// add remembers an event from now until a time.
func (o *once) add(now int64, key onceKey, id string, until int64) {
	for len(o.forget) >= maxRemembered {
		if o.until(0) > now {
			o.early++
		}
		o.drop()
	}
	e := remembered{key: key, until: until}
	parsed, err := uuid.Parse(id)
	if e.named = err != nil || parsed.String() != id; !e.named {
		e.id = parsed
	}
	o.insert(e, id)
	o.up(len(o.forget) - 1)
}

// insert adds an entry at the end of the heap.
func (o *once) insert(e remembered, name string) {
	if o.byKey == nil {
		o.byKey, o.names = make(map[onceKey]uint32), make(map[uint32]string)
	}
	if !e.old {
		if at, ok := o.byKey[e.key]; ok {
			o.entries.Get(at).old = true
		}
	}
	slot, at := o.entries.Add()
	e.at = uint32(len(o.forget))
	*at = e
	if !e.old {
		o.byKey[e.key] = slot
	}
	if e.named {
		o.names[slot] = name
	}
	o.forget = append(o.forget, slot)
	o.most = max(o.most, len(o.forget))
}

// expire forgets a few of the keys whose time is over.
func (o *once) expire(now int64) {
	for range forgetSteps {
		if len(o.forget) == 0 || o.until(0) > now {
			return
		}
		o.drop()
	}
}

// drop forgets the key that is to be forgotten next.
func (o *once) drop() {
	slot, last := o.forget[0], len(o.forget)-1
	e := o.entries.Get(slot)
	if !e.old {
		delete(o.byKey, e.key)
	}
	if e.named {
		delete(o.names, slot)
	}
	o.swap(0, last)
	o.entries.Free(slot)
	o.forget = o.forget[:last]
	o.down(0)
	if last == 0 && o.most >= mapWorth {
		*o = once{early: o.early} // its tables were made for many
	}
}

// release has a key be forgotten next.
func (o *once) release(key onceKey, now int64) {
	slot, ok := o.byKey[key]
	if !ok {
		return
	}
	e := o.entries.Get(slot)
	e.until = min(e.until, now+1) // later than that of any old entry with this key
	o.up(int(e.at))
}

func (o *once) swap(i, j int) {
	o.forget[i], o.forget[j] = o.forget[j], o.forget[i]
	o.entries.Get(o.forget[i]).at, o.entries.Get(o.forget[j]).at = uint32(i), uint32(j)
}

func (o *once) until(i int) int64 { return o.entries.Get(o.forget[i]).until }

// up and down restore the heap around an entry that came or was moved.
func (o *once) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if o.until(parent) <= o.until(i) {
			return
		}
		o.swap(parent, i)
		i = parent
	}
}

func (o *once) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(o.forget); child++ {
			if o.until(child) < o.until(least) {
				least = child
			}
		}
		if least == i {
			return
		}
		o.swap(least, i)
		i = least
	}
}
