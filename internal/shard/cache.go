package shard

import "sync"

// A frameCache keeps the payloads of frames that were written or read last, up to a number of bytes.
type frameCache struct {
	mu     sync.Mutex
	max    int
	bytes  int
	frames map[uint64][]byte
	order  []uint64 // oldest first
}

func newFrameCache(max int) *frameCache {
	return &frameCache{max: max, frames: make(map[uint64][]byte)}
}

func (c *frameCache) put(seq uint64, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.frames[seq]; ok || len(payload) > c.max {
		return
	}
	c.frames[seq] = payload
	c.order = append(c.order, seq)
	for c.bytes += len(payload); c.bytes > c.max; c.order = c.order[1:] {
		c.bytes -= len(c.frames[c.order[0]])
		delete(c.frames, c.order[0])
	}
}

func (c *frameCache) get(seq uint64) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.frames[seq]
	return p, ok
}
