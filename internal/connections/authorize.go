package connections

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
)

// How long a connection goes on being authorised whose authorization server gives no token. AWS's number is not known; these let a
// server be restarted, and tell the owner of a wrong secret within three minutes.
const (
	authorizeAttempts = 10
	authorizePause    = time.Second // after the first attempt, and doubled after each
	maxAuthorizePause = 30 * time.Second
)

const (
	maxAuthorizing = 32  // connections whose authorization servers are asked at the same time
	maxReason      = 512 // bytes of the reason of a state (EventBridge API, ConnectionStateReason)
)

// noticed are the connections that have changed since somebody looked.
type noticed struct {
	signal chan struct{} // has a value if there are any

	mu   sync.Mutex
	keys map[string]bool
}

func (n *noticed) add(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keys == nil {
		n.keys = make(map[string]bool)
	}
	n.keys[key] = true
	select {
	case n.signal <- struct{}{}:
	default:
	}
}

func (n *noticed) take() map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	keys := n.keys
	n.keys = nil
	return keys
}

// Run seals anew what old keys have sealed, and then authorises connections until ctx ends. It can be called once.
func (s *Service) Run(ctx context.Context) error {
	s.sealAnew(ctx)
	s.catalog.Connections.Follow(func(key string, was, is *catalog.Connection) {
		if authorizing(was) || authorizing(is) {
			s.noticed.add(key)
		}
	})
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs, room := make(map[string]*job), make(chan struct{}, maxAuthorizing)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.noticed.signal:
		}
		for key := range s.noticed.take() {
			c, before := s.catalog.Connections.Get(key), jobs[key]
			if before != nil {
				if authorizing(c) && !before.over && before.of(c) {
					continue
				}
				before.over = true
				before.cancel()
			}
			if !authorizing(c) {
				continue
			}
			j := &job{service: s, key: key, connection: c, room: room, ended: make(chan struct{})}
			j.scope, _ = catalog.SplitKey(key)
			var life context.Context
			life, j.cancel = context.WithCancel(ctx)
			jobs[key] = j
			running.Go(func() {
				defer close(j.ended)
				if before != nil {
					<-before.ended // so that what becomes of a connection is told in its order
				}
				j.run(ctx, life)
			})
		}
		maps.DeleteFunc(jobs, func(_ string, j *job) bool { return j.over && j.hasEnded() })
	}
}

func authorizing(c *catalog.Connection) bool { return c != nil && c.State == catalog.Authorizing }

// A job authorises one connection with one set of parameters.
type job struct {
	service    *Service
	key        string
	scope      rialto.Scope
	connection *catalog.Connection
	room       chan struct{}
	cancel     context.CancelFunc
	over       bool          // it was called off, or has done what it was for; [Service.Run] knows
	ended      chan struct{} // closed
}

func (j *job) hasEnded() bool {
	select {
	case <-j.ended:
		return true
	default:
		return false
	}
}

// of reports whether a connection still is the one that is being authorised.
func (j *job) of(c *catalog.Connection) bool {
	return c.ID == j.connection.ID && bytes.Equal(c.Secrets, j.connection.Secrets) && given(c).Equal(given(j.connection))
}

// run ends when the connection is authorised, or is not going to be, or when its life ends because the connection has changed. What
// came of an attempt is written all the same then: it may be that very change.
func (j *job) run(ctx, life context.Context) {
	for attempt, pause := 1, authorizePause; ; attempt, pause = attempt+1, min(2*pause, maxAuthorizePause) {
		err := j.ask(life)
		if life.Err() != nil {
			return
		}
		state := catalog.Authorizing
		switch {
		case err == nil:
			state = catalog.Authorized
		case target.Permanent(err) || attempt >= authorizeAttempts:
			state = catalog.Deauthorized
		}
		if j.settle(ctx, state, err) {
			return
		}
		wait := pause
		if e, ok := errors.AsType[*target.Error](err); ok {
			wait = max(wait, min(e.RetryAfter, maxAuthorizePause))
		}
		timer := j.service.wire.NewTimer(wait)
		select {
		case <-timer.C():
		case <-life.Done():
			timer.Stop()
			return
		}
	}
}

// ask gets a token, which the deliveries of the connection use, too.
func (j *job) ask(ctx context.Context) error {
	var d http.Destination
	if err := j.service.directory.authorize(&d, j.connection, j.scope); err != nil {
		return &target.Error{Code: target.CodeInternal, Message: "The secrets of the connection cannot be opened: give them again with UpdateConnection.", Permanent: true, Cause: err}
	}
	select {
	case j.room <- struct{}{}:
		defer func() { <-j.room }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return j.service.sender.Authorize(ctx, d.Auth.Grant)
}

// settle writes down how an attempt ended, and reports whether it was the last one. What cannot be written is tried again later.
func (j *job) settle(ctx context.Context, state string, err error) (last bool) {
	s := j.service
	var changed, late bool // late: somebody was faster
	c, writeErr := s.edit(ctx, j.scope, j.connection.Name, func(c *catalog.Connection) error {
		changed, late = false, !authorizing(c) || !j.of(c)
		if late {
			return catalog.Unchanged
		}
		var reason *string
		if err != nil {
			reason = new(cut(http.Reason(err), maxReason))
		}
		if c.State == state && c.StateReason != nil && reason != nil && *c.StateReason == *reason {
			return catalog.Unchanged
		}
		c.State, c.StateReason, changed = state, reason, true
		if state == catalog.Authorized {
			c.Authorized = s.clock.Now()
		}
		return nil
	})
	if ctx.Err() != nil && writeErr != nil || rialto.KindOf(writeErr) == rialto.NotFound {
		return true
	}
	if writeErr != nil {
		s.log.Warn("state of a connection not written, trying again", "connection", j.connection.Name, "err", writeErr)
		return false
	}
	if err != nil && changed {
		s.log.Warn("connection not authorized", "connection", c.Name, "state", state, "err", err)
	}
	if changed {
		s.news.Settled(ctx, j.scope, c)
	}
	return late || state != catalog.Authorizing
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 { // within a letter
		n--
	}
	return s[:n]
}
