package scheduler

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
)

const (
	aheadFor   = time.Minute      // before it is due the definition of a schedule may be read
	aheadEvery = 10 * time.Second // it is looked for what is due soon, and whenever half of what was held is used up
	aheadMost  = 256 << 10        // definitions that are held for that
	aheadBytes = 128 << 20        // of them; one more may be held than fits
)

// An ahead holds the definitions of schedules that are due soon. Definitions lie in the log as they were made, and those of schedules that are due
// in one second all over it: to read them when they are due would be to read most of the log for every second. So it is read through
// once for many seconds, before they come. What is not here is read when it is due.
type ahead struct {
	mu    sync.Mutex
	held  map[string]definition // by key
	size  int                   // bytes of definitions
	low   int                   // that are held when it is time to look again
	wants chan struct{}         // has a value when it is
}

// A definition is what a schedule of a revision does.
type definition struct {
	revision uint64
	body     []byte
}

func newAhead() *ahead {
	return &ahead{held: make(map[string]definition), wants: make(chan struct{}, 1)}
}

// take takes the definition of a schedule out, nil if it is not held.
func (a *ahead) take(r ready) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := a.held[r.key]
	if !ok {
		return nil
	}
	delete(a.held, r.key)
	a.size -= len(d.body)
	if len(a.held) == a.low {
		select {
		case a.wants <- struct{}{}:
		default:
		}
	}
	if d.revision != r.revision {
		return nil
	}
	return d.body
}

// missing are those of a list that are not held, in the order of the log. Whatever is held and not in the list is forgotten.
func (a *ahead) missing(list []ready) []ready {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.held
	a.held, a.size = make(map[string]definition, len(list)), 0
	rest := slices.DeleteFunc(list, func(r ready) bool {
		d, ok := was[r.key]
		if ok = ok && d.revision == r.revision; ok {
			a.held[r.key] = d
			a.size += len(d.body)
		}
		return ok
	})
	slices.SortFunc(rest, inLog)
	return rest
}

// inLog compares where definitions lie in the log.
func inLog(a, b ready) int {
	return cmp.Or(cmp.Compare(a.ref.Seq, b.ref.Seq), cmp.Compare(a.ref.Off, b.ref.Off))
}

// put takes a definition in, and reports whether there is room for another.
func (a *ahead) put(r ready, body []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held[r.key] = definition{r.revision, bytes.Clone(body)}
	a.size += len(body)
	return a.size < aheadBytes
}

// filled notes that no more is read for now.
func (a *ahead) filled() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.low = len(a.held) / 2
}

var errFull = errors.New("no more can be held")

// readAhead reads definitions before they are due, until ctx ends. That the log cannot be read is not said here, but by whoever fires.
func (h *host) readAhead(ctx context.Context) {
	timer := rialto.Real(h.timers.opts.Clock).NewTimer(aheadEvery)
	defer timer.Stop()
	for {
		list := h.ahead.missing(h.soon(ctx))
		_ = h.shard.Scan(ctx, refsOf(list), func(i int, body []byte) error {
			if !h.ahead.put(list[i], body) {
				return errFull
			}
			return nil
		})
		h.ahead.filled()
		timer.Reset(aheadEvery)
		select {
		case <-timer.C():
		case <-h.ahead.wants:
		case <-ctx.Done():
			return
		}
	}
}

// soon lists what is due soon, the earliest first. The agenda may change between two looks: what is missed then is read when it is due.
func (h *host) soon(ctx context.Context) (list []ready) {
	to := h.timers.opts.Clock.Now().Add(aheadFor)
	for from := earliest; len(list) < aheadMost && from.at <= to.Unix(); {
		var some []ready
		err := h.shard.View(ctx, func() { some, from = h.machine.due(from, to, dueMost) })
		if list = append(list, some...); err != nil {
			return list
		}
	}
	return list
}

func refsOf(list []ready) []shard.Ref {
	refs := make([]shard.Ref, len(list))
	for i := range list {
		refs[i] = list[i].ref
	}
	return refs
}
