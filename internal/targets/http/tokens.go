package http

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

const (
	// A token is replaced in the background this long before it ends, while it is still used, and not used any more in the last
	// moments, since a call takes time. Of a token that lives for a minute or two, both are a part of its life.
	refreshEarly = time.Minute // AWS's (EventBridge user guide, "Connections")
	lastMoments  = 10 * time.Second

	// tokenPause is how long the authorization server is left alone after it gave no token, or gave one that was refused at once.
	tokenPause    = time.Second
	maxTokenPause = time.Minute // if it asks for more

	maxTokens = 10_000 // connections whose tokens are kept; ten times as many as we expect
)

// tokens gets tokens for connections and keeps them. However many deliveries need one, there is one call at a time for each
// connection, and all share its outcome. The call belongs to none of them: a delivery that gives up harms no other.
type tokens struct {
	lines *lines
	clock rialto.Clock

	life  context.Context // ends with close
	end   context.CancelFunc
	calls sync.WaitGroup

	mu     sync.Mutex
	kept   map[string]*keeper // by ARN of the connection
	closed bool
}

// A keeper has the token of one connection with one set of parameters.
type keeper struct {
	grant       *Grant // the last one that was seen with this fingerprint, which spares most deliveries to compute it
	fingerprint [sha256.Size]byte
	token       string    // empty if there is none
	refresh     time.Time // when to get the next one
	expires     time.Time // when not to use it any more
	fetching    *fetching // nil if there is no call under way

	// After a failure nobody asks again before pause is over.
	pause time.Time
	err   error // of the last call; nil if that got a token
}

// fetching is a call under way. Its results may be read once done is closed.
type fetching struct {
	done  chan struct{}
	token string
	err   error
}

func newTokens(lines *lines, clock rialto.Clock) *tokens {
	t := &tokens{lines: lines, clock: clock, kept: make(map[string]*keeper)}
	t.life, t.end = context.WithCancel(context.Background())
	return t
}

// close ends the calls under way. There are no more tokens.
func (t *tokens) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.end()
	t.calls.Wait()
}

// get returns a token of a connection.
func (t *tokens) get(ctx context.Context, g *Grant) (string, error) {
	return t.replace(ctx, g, "")
}

// replace returns a token of a connection that is another one than the refused. If somebody else has replaced it already, that
// is the token; so of a thousand calls that meet a revoked token, one gets the new one. It returns an empty token if there is none
// to be had that would fare better.
func (t *tokens) replace(ctx context.Context, g *Grant, refused string) (string, error) {
	f, token, err := t.look(g, refused)
	if f == nil {
		return token, err
	}
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// look returns a token that can be used, or an error, or a call to wait for.
func (t *tokens) look(g *Grant, refused string) (f *fetching, token string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.keeper(g)
	now := t.clock.Now()
	if refused != "" && k.token == refused {
		if now.Before(k.pause) {
			return nil, "", nil
		}
		k.token = ""
	}
	usable := k.token != "" && now.Before(k.expires)
	due := !usable || !now.Before(k.refresh)
	wait := now.Before(k.pause) && (usable || k.err != nil)
	if due && k.fetching == nil && !wait {
		if t.closed {
			return nil, "", errClosed
		}
		t.start(k)
	}
	switch {
	case usable:
		return nil, k.token, nil
	case k.fetching != nil:
		return k.fetching, "", nil
	}
	return nil, "", k.err
}

var errClosed = errors.New("the sender is closed")

// keeper is that of a connection. Parameters that have changed make it forget, except those from before the ones that it knows: they are
// of a delivery that was under way when the connection changed.
func (t *tokens) keeper(g *Grant) *keeper {
	k := t.kept[g.Connection]
	if k != nil && (k.grant == g || g.Given.Before(k.grant.Given)) {
		return k
	}
	fingerprint := g.fingerprint()
	if k != nil && k.fingerprint == fingerprint {
		k.grant = g
		return k
	}
	if k == nil && len(t.kept) >= maxTokens {
		for some := range t.kept {
			delete(t.kept, some)
			break
		}
	}
	k = &keeper{grant: g, fingerprint: fingerprint}
	t.kept[g.Connection] = k
	return k
}

// start calls for a token on behalf of whoever needs it.
func (t *tokens) start(k *keeper) {
	f := &fetching{done: make(chan struct{})}
	k.fetching = f
	g := k.grant
	t.calls.Go(func() {
		asked := t.clock.Now() // the lifetime counts from before the answer was on its way
		reply, err := t.fetch(t.life, g)
		t.mu.Lock()
		defer t.mu.Unlock()
		f.token, f.err = reply.AccessToken, err
		k.fetching, k.err = nil, err
		if err == nil {
			k.keep(reply, asked)
		} else {
			k.pause = t.clock.Now().Add(pauseAfter(err))
		}
		close(f.done)
	})
}

func (k *keeper) keep(reply tokenReply, asked time.Time) {
	life := reply.lifetime()
	k.token = reply.AccessToken
	k.refresh = asked.Add(life - min(refreshEarly, life/2))
	k.expires = asked.Add(life - min(lastMoments, life/10))
}

// pauseAfter is how long the authorization server is left alone after an error.
func pauseAfter(err error) time.Duration {
	if e, ok := errors.AsType[*target.Error](err); ok {
		return min(max(tokenPause, e.RetryAfter), maxTokenPause)
	}
	return tokenPause
}

// refusedAtOnce notes that a destination has refused a token that was new. Perhaps it refuses everything, and must not make us ask
// for another token with every delivery.
func (t *tokens) refusedAtOnce(g *Grant, token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.keeper(g); k.token == token {
		k.pause = t.clock.Now().Add(tokenPause)
	}
}
