package history

import (
	"container/list"
	"sync"
)

// cacheBytes is how much of segments, as they are stored, stays in memory for whoever reads.
const cacheBytes = 64 << 20

// A cache keeps the segments that were used last, so that one whose blocks are read in turns with those of others is not fetched for each.
type cache struct {
	limit int

	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of *cached, last used first
	bytes int
}

type cached struct {
	key     string
	segment *segment
}

func newCache(limit int) *cache { return &cache{limit: limit, byKey: make(map[string]*list.Element)} }

func (c *cache) get(key string) *segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.byKey[key]
	if !ok {
		return nil
	}
	c.order.MoveToFront(at)
	return at.Value.(*cached).segment
}

func (c *cache) put(key string, s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(key)
	c.byKey[key] = c.order.PushFront(&cached{key, s})
	c.bytes += len(s.data)
	for c.bytes > c.limit && c.order.Len() > 1 {
		c.take(c.order.Back().Value.(*cached).key)
	}
}

func (c *cache) remove(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(key)
}

func (c *cache) take(key string) {
	if at, ok := c.byKey[key]; ok {
		c.bytes -= len(c.order.Remove(at).(*cached).segment.data)
		delete(c.byKey, key)
	}
}
