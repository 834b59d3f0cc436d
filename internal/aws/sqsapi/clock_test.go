package sqsapi_test

import (
	"sync"
	"time"

	"github.com/rialto-events/rialto"
)

// A clock is the system's with a difference that tests make larger. Its timers do not know: no test here waits for one.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func newClock() *clock { return new(clock) }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return rialto.SystemClock.Now().Add(c.ahead)
}

func (c *clock) NewTimer(d time.Duration) rialto.Timer { return rialto.SystemClock.NewTimer(d) }

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}
