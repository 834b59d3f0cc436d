package queue

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/record"
)

const (
	dedupeWindow = 300_000_000 // microseconds in which a message is sent once (SQS developer guide, "Exactly-once processing")
	// maxRemembered is how many messages of the window a queue remembers, at some 90 bytes each: 14,000 a second. A queue that is sent more
	// refuses them, since it could not tell which are duplicates.
	maxRemembered = 4 << 20
	maxAttempts   = 10_000 // receives with an id of their own that a queue remembers
	forgetSteps   = 16     // messages that one command forgets beside those that it brings
)

// A onceKey stands for messages of which one is sent within the window: a hash of the deduplication id, with that of the group if that is
// its scope.
type onceKey [16]byte

// dedupeKey is the key of a deduplication id.
func dedupeKey(id string) onceKey { return keyOf([]byte("id\x00" + id)) }

// moveKey is the key of a message that comes from another queue. To bring it twice changes nothing.
func moveKey(from ID, key uint64) onceKey {
	return keyOf(record.AppendUint(record.AppendUint([]byte("move\x00"), uint64(from)), key))
}

// attemptKey is the key of a receive's id.
func attemptKey(id string) onceKey { return keyOf([]byte("attempt\x00" + id)) }

func keyOf(b []byte) (key onceKey) {
	sum := sha256.Sum256(b)
	copy(key[:], sum[:])
	return key
}

// hashGroup is what stands for the name of a group.
func hashGroup(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])
}

// within is the key in a group of its own.
func (k onceKey) within(group uint64) onceKey {
	const odd = 0x9E3779B97F4A7C15 // spreads a hash over the other half
	binary.BigEndian.PutUint64(k[:8], binary.BigEndian.Uint64(k[:8])^group)
	binary.BigEndian.PutUint64(k[8:], binary.BigEndian.Uint64(k[8:])^group*odd)
	return k
}

// once remembers what was sent within the window, whatever has become of it. Time never goes back in a shard and the window is the
// same for all: whoever came first is forgotten first.
type once struct {
	entries []remembered // in the order in which they came; those before from are forgotten
	from    int
	base    uint64             // entries that were cut off in front
	byKey   map[onceKey]uint64 // where the last entry of a key is, counted from the very first
}

type remembered struct {
	key    onceKey
	id     uuid.UUID
	number uint64 // key of the message that was sent
	until  int64
}

func (o *once) len() int { return len(o.entries) - o.from }

// find returns the message that was sent with a key.
func (o *once) find(key onceKey, now int64) (*remembered, bool) {
	at, ok := o.byKey[key]
	if !ok {
		return nil, false
	}
	e := &o.entries[at-o.base]
	return e, e.until > now
}

func (o *once) add(e remembered) {
	if o.byKey == nil {
		o.byKey = make(map[onceKey]uint64)
	}
	o.byKey[e.key] = o.base + uint64(len(o.entries))
	o.entries = append(o.entries, e)
}

// expire forgets up to n messages whose time is over.
func (o *once) expire(now int64, n int) {
	for ; n > 0 && o.from < len(o.entries) && o.entries[o.from].until <= now; n-- {
		if key := o.entries[o.from].key; o.byKey[key] == o.base+uint64(o.from) {
			delete(o.byKey, key)
		}
		o.from++
	}
	switch {
	case o.from == 0:
	case o.from == len(o.entries):
		*o = once{} // its tables were made for many
	case o.from >= 1024 && o.from > len(o.entries)/2:
		o.entries = append(make([]remembered, 0, len(o.entries)), o.entries[o.from:]...)
		o.base += uint64(o.from)
		o.from = 0
	}
}

// attempts remembers which messages were received under ids that callers have chosen for their receives.
type attempts struct {
	byKey map[onceKey]*attempt
	order []*attempt // the oldest first
}

type attempt struct {
	key    onceKey
	until  int64
	due    int64 // when its messages become visible
	places []receipt
}

func (t *attempts) add(is *attempt) {
	if t.byKey == nil {
		t.byKey = make(map[onceKey]*attempt)
	}
	t.byKey[is.key] = is
	t.order = append(t.order, is)
}

// expire forgets the receives whose time is over, and the oldest if there are too many.
func (t *attempts) expire(now int64) {
	n := 0
	for n < len(t.order) && (t.order[n].until <= now || len(t.order)-n > maxAttempts) {
		if is := t.order[n]; t.byKey[is.key] == is {
			delete(t.byKey, is.key)
		}
		t.order[n] = nil
		n++
	}
	if t.order = t.order[n:]; len(t.order) == 0 {
		*t = attempts{}
	}
}
