package deliver

import (
	"context"
	"errors"
	"fmt"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// A Retainer stores events instead of bringing them anywhere: an archive is a target, and its deliveries are the Retainer's. They are
// not attempted, have no lane, no circuit, no greatest age and no dead letter. Each waits, and the log keeps its event, until the Retainer
// settles it with [Deliverer.Settle].
type Retainer interface {
	// Retains reports whether deliveries by a definition are the Retainer's. Of one definition it always says the same.
	Retains(d *target.Definition) bool
	// Retain hands deliveries by a definition over. Those of one shard come with growing keys: as events are accepted, and at the start
	// all that were not settled before, the oldest first. The shard's owner calls it, so it must be quick; it may keep the list.
	Retain(d *target.Definition, list []Retained)
}

// A Retained is a delivery that a [Retainer] has: 32 bytes, since many may wait.
type Retained struct {
	Key   uint64 // of the event: unique within the shard, growing, across restarts
	ref   shard.Ref
	Shard uint32 // which of the shards that Attach was told of
	slot  uint32
}

// Size is about how many bytes the event has.
func (r Retained) Size() int { return int(r.ref.Len) }

func (h *host) retained(a attempt) Retained {
	return Retained{Key: a.key, ref: a.ref, Shard: h.index, slot: a.slot}
}

// kept is what of a list of attempts is the Retainer's, by definition.
type kept []keptBy

type keptBy struct {
	binding *binding
	list    []Retained
}

func (k *kept) add(b *binding, r Retained) {
	for i := range *k {
		if (*k)[i].binding == b {
			(*k)[i].list = append((*k)[i].list, r)
			return
		}
	}
	*k = append(*k, keptBy{b, []Retained{r}})
}

func (k kept) handOver(to Retainer) {
	for _, by := range k {
		to.Retain(by.binding.def, by.list)
	}
}

var (
	// ErrSettled says that a delivery has ended already.
	ErrSettled = errEnded
	// ErrUnreadable says that the log has an event no more, or not as it was. To try again is of no use.
	ErrUnreadable = errors.New("the event cannot be read from the log")
)

// ReadRetained reads the event of a delivery that a [Retainer] has, without its targets. The error is [ErrSettled] if it has ended
// and its event is not where it was, and wraps [ErrUnreadable] if nobody will read it any more.
func (d *Deliverer) ReadRetained(ctx context.Context, r Retained) (*Accepted, error) {
	h := d.hosts[r.Shard]
	payload, err := h.read(ctx, r.ref, func(m *Machine) (shard.Ref, bool) {
		found, ok := m.find(handle{r.slot, r.Key})
		if !ok {
			return shard.Ref{}, false
		}
		return m.events.Get(found.event).ref, true
	})
	if err == nil {
		var e *Accepted
		if e, err = readEvent(payload); err == nil {
			return e, nil
		}
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if _, damaged := errors.AsType[*journal.DamageError](err); damaged {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return nil, fmt.Errorf("read event %d of %s: %w", r.Key, h.shard.Name(), err)
}

// settleAtOnce is how many deliveries are settled by one command at most.
const settleAtOnce = 4096

// Settle ends deliveries, which their [Retainer] has stored. It does not wait until that is in the log: what a crash forgets is handed
// out again at the next start.
func (d *Deliverer) Settle(list []Retained) {
	for len(list) > 0 {
		n := 1
		for n < min(len(list), settleAtOnce) && list[n].Shard == list[0].Shard {
			n++
		}
		d.hosts[list[0].Shard].outcomes.add(false, func(o *outcomes) {
			for _, r := range list[:n] {
				o.settled = appendHandle(o.settled, handle{r.slot, r.Key})
			}
		})
		list = list[n:]
	}
}

// HandedOut returns when everything that was accepted before the call was handed to the [Retainer].
func (d *Deliverer) HandedOut(ctx context.Context) error {
	for _, h := range d.hosts {
		if err := h.shard.View(ctx, func() {}); err != nil {
			return fmt.Errorf("wait for what was accepted in %s: %w", h.shard.Name(), err)
		}
	}
	return nil
}
