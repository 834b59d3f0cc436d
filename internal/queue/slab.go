package queue

import (
	"math/bits"

	"github.com/rialto-events/rialto/internal/shard"
)

// A message is what the machine knows of a message: 80 bytes and no pointers, so that a million of them are a few dozen
// megabytes that the garbage collector does not look into. The body is in the log.
//
// A message is ordered in two ways at once, see [axis]: by when it can be received, and by its age.
type message struct {
	ref      shard.Ref // its payload
	key      uint64    // unique within the machine, growing; a message that changes queues gets a new one
	at       [2]int64  // by axis, in microseconds: when it becomes visible, if it waits; when it was sent
	link     [2]link   // by axis: where it stands in its list or heap
	first    uint32    // milliseconds from sent to the first receive, if there was one
	last     uint32    // milliseconds from sent to the last receive, if there was one
	receives uint32
	queue    uint32 // serial of its queue
	source   uint16 // if it came from another queue for being received too often: index of that queue's ARN in the queue's sources, plus 1
	state    state
	late     bool   // it is in the heap of the age axis, not in the list
	mark     uint32 // serial of the redrive for which it is selected, if that has not ended; or 0
}

// received counts one more receive.
func (m *message) received(now int64) {
	m.last = since(m.at[byAge], now)
	if m.receives == 0 {
		m.first = m.last
	}
	m.receives++
}

// renew has a message count as sent now: in a FIFO queue its age begins anew when it is a dead letter (SQS developer guide, "Using
// dead-letter queues in Amazon SQS").
func (m *message) renew(now int64) { m.at[byAge], m.first, m.last = now, 0, 0 }

// hiddenTooLong reports whether a message would be hidden for longer than it may after one receive.
func (m *message) hiddenTooLong(now, timeout int64) bool {
	return (now-m.at[byAge]-int64(m.last)*1000)/1e6*1e6+timeout > seconds(maxVisibility)
}

// An axis is one of the two orders in which a message stands.
type axis uint8

const (
	byDue axis = iota // visible list, waiting heap or moving list
	byAge             // list of what arrived in the order of its age, or heap of what did not
)

// A link is a message's place: its neighbours in a list, or, in prev alone, its index in a heap.
type link struct{ prev, next uint32 }

// A state says where a message stands on the axis byDue.
type state uint8

const (
	visible  state = iota // in the visible list
	delayed               // in the waiting heap; it has not been visible yet
	inFlight              // in the waiting heap; somebody received it
	moving                // in the moving list; it is on its way to a dead-letter queue on another shard
	leaving               // in the leaving list; a redrive is bringing it elsewhere
)

const none = ^uint32(0) // no slot

const chunkSize = 64 * 64 // messages; two levels of 64-bit words find a free slot

// A slab holds messages in numbered slots. A new message gets the lowest free slot, so that the slots in use, and nothing else,
// determine what happens next.
type slab struct {
	chunks []*chunk // nil where all slots are free
	room   []uint64 // a bit for every chunk with a free slot, the lowest chunk in the lowest bit
	spare  *chunk   // an empty chunk, kept so that a slab that grows and shrinks by one message is cheap
	n      int

	views  int      // that are in use, see freeze
	shared []uint64 // while there are any: a bit for every chunk that they may have, too
}

type chunk struct {
	full     uint64     // a bit for every word of used that has no zero
	used     [64]uint64 // a bit for every slot
	n        int
	members  *[chunkSize]member // of messages that are in groups; nil until there is one
	messages [chunkSize]message
}

// get returns the message in a slot that is in use.
func (s *slab) get(slot uint32) *message {
	return &s.own(slot / chunkSize).messages[slot%chunkSize]
}

// member returns the place in a group of the message in a slot that is in use.
func (s *slab) member(slot uint32) *member {
	c := s.own(slot / chunkSize)
	if c.members == nil {
		c.members = new([chunkSize]member)
	}
	return &c.members[slot%chunkSize]
}

// group is the number of the group of the message in a slot that is in use, in a standard queue.
func (s *slab) group(slot uint32) uint32 {
	if members := s.chunks[slot/chunkSize].members; members != nil {
		return members[slot%chunkSize].group
	}
	return ungrouped
}

// find returns the message with that key if it is in that slot.
func (s *slab) find(slot uint32, key uint64) (*message, bool) {
	if !s.inUse(slot) {
		return nil, false
	}
	m := s.get(slot)
	return m, m.key == key
}

func (s *slab) inUse(slot uint32) bool {
	i := int(slot / chunkSize)
	if i >= len(s.chunks) || s.chunks[i] == nil {
		return false
	}
	word, bit := slot%chunkSize/64, slot%64
	return s.chunks[i].used[word]&(1<<bit) != 0
}

// add takes the lowest free slot. The message in it is zero.
func (s *slab) add() (uint32, *message) {
	i := s.open()
	c := s.own(uint32(i))
	if c == nil {
		c = s.spare
		s.spare = nil
		if c == nil {
			c = new(chunk)
		}
		s.chunks[i] = c
	}
	word := bits.TrailingZeros64(^c.full)
	bit := bits.TrailingZeros64(^c.used[word])
	slot := uint32(i*chunkSize + word*64 + bit)
	s.use(slot)
	return slot, s.get(slot)
}

// open returns the lowest chunk that has a free slot, making one if all are full.
func (s *slab) open() int {
	for w, word := range s.room {
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	s.grow(len(s.chunks) + 1)
	return len(s.chunks) - 1
}

// grow makes room for n chunks.
func (s *slab) grow(n int) {
	for i := len(s.chunks); i < n; i++ {
		s.chunks = append(s.chunks, nil)
		if i/64 == len(s.room) {
			s.room = append(s.room, 0)
		}
		s.room[i/64] |= 1 << (i % 64)
	}
}

// use marks a free slot, whose chunk is there, as in use.
func (s *slab) use(slot uint32) {
	i := slot / chunkSize
	c := s.own(i)
	word, bit := slot%chunkSize/64, slot%64
	c.used[word] |= 1 << bit
	if c.used[word] == ^uint64(0) {
		c.full |= 1 << word
	}
	if c.full == ^uint64(0) {
		s.room[i/64] &^= 1 << (i % 64)
	}
	c.n++
	s.n++
}

// claim takes a particular slot, for a snapshot that is being read. It fails if the slot is in use.
func (s *slab) claim(slot uint32) (*message, bool) {
	s.grow(int(slot/chunkSize) + 1)
	if s.inUse(slot) {
		return nil, false
	}
	if i := slot / chunkSize; s.chunks[i] == nil {
		s.chunks[i] = new(chunk)
	}
	s.use(slot)
	return s.get(slot), true
}

// free gives a slot back.
func (s *slab) free(slot uint32) {
	i := slot / chunkSize
	c := s.own(i)
	word, bit := slot%chunkSize/64, slot%64
	c.messages[slot%chunkSize] = message{}
	if c.members != nil {
		c.members[slot%chunkSize] = member{}
	}
	c.used[word] &^= 1 << bit
	c.full &^= 1 << word
	s.room[i/64] |= 1 << (i % 64)
	c.n--
	s.n--
	if c.n == 0 {
		s.chunks[i] = nil
		s.spare = c
	}
}

// each calls f for every slot in use, in order, until f returns false.
func (s *slab) each(f func(slot uint32, m *message) bool) {
	for i := range s.chunks {
		if !s.eachOf(i, f) {
			return
		}
	}
}

// eachOf is like each, for one chunk. It reports whether f wants to go on.
func (s *slab) eachOf(i int, f func(slot uint32, m *message) bool) bool {
	c := s.chunks[i]
	if c == nil {
		return true
	}
	for word, used := range c.used {
		for ; used != 0; used &= used - 1 {
			slot := uint32(i*chunkSize + word*64 + bits.TrailingZeros64(used))
			if !f(slot, s.get(slot)) {
				return false
			}
		}
	}
	return true
}
