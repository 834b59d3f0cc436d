package shard

import (
	"context"
	"errors"
	"sync"
)

// A frameCache keeps the payloads of frames that were written or read last, up to a number of bytes.
type frameCache struct {
	mu     sync.Mutex
	max    int
	bytes  int
	frames map[uint64][]byte
	order  []uint64 // oldest first
	loads  map[uint64]*load
}

// A load is a frame on its way from the log to those who read in it.
type load struct {
	done    chan struct{} // closed when the rest is known
	payload []byte
	err     error
}

func newFrameCache(max int) *frameCache {
	return &frameCache{max: max, frames: make(map[uint64][]byte), loads: make(map[uint64]*load)}
}

// read returns a frame from memory, or by fetch. Of several who want a frame at the same time one fetches it: a backlog that drains
// has many workers in one frame.
func (c *frameCache) read(ctx context.Context, seq uint64, fetch func() ([]byte, error)) ([]byte, error) {
	for {
		payload, l, first := c.find(seq)
		switch {
		case l == nil:
			return payload, nil
		case first:
			l.payload, l.err = fetch()
			c.loaded(seq, l)
			return l.payload, l.err
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !errors.Is(l.err, context.Canceled) && !errors.Is(l.err, context.DeadlineExceeded) {
			return l.payload, l.err
		}
		// Who fetched it was in a hurry, or went away. We need not be.
	}
}

// find returns a frame, or the load that brings it, and whether that is the caller's to do.
func (c *frameCache) find(seq uint64) (payload []byte, l *load, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if payload, ok := c.frames[seq]; ok {
		return payload, nil, false
	}
	l, ok := c.loads[seq]
	if !ok {
		l = &load{done: make(chan struct{})}
		c.loads[seq] = l
	}
	return nil, l, !ok
}

func (c *frameCache) loaded(seq uint64, l *load) {
	if l.err == nil {
		c.put(seq, l.payload)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loads, seq)
	close(l.done)
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
