package route

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/tuning"
	"github.com/rialto-events/rialto/target"
)

// A Plan is where an event on a bus goes, and on which terms.
type Plan struct {
	Targets []*target.Sealed // in no particular order
	Orders  []*Order         // for each target, what its deliveries are ordered by, nil for nothing; nil if none is ordered
	Bus     *tuning.Bus      // what the bus asks for; nil if it asks for nothing
	Home    bool             // the events of the bus belong together, because some are ordered or the bus knows them again
}

// An Order is what the deliveries to one target are ordered by.
type Order struct {
	Path jsonpath.Path // to a value in the event
	Salt [8]byte       // tells the target from all others
}

// OrderOf is what the deliveries to a target are ordered by, or nil.
func OrderOf(d *target.Definition) (*Order, error) {
	if d.OrderBy == "" {
		return nil, nil
	}
	path, err := jsonpath.Parse(d.OrderBy)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(d.Rule.String() + "\x00" + d.ID))
	return &Order{Path: path, Salt: [8]byte(sum[:])}, nil
}

// Hash is what stands for a value at the path: deliveries that have it in common come one after another. It is 0 where there is no value,
// and the delivery is on its own.
func (o *Order) Hash(value []byte) uint64 {
	sum, ok := tuning.Hash(o.Salt[:], value)
	if !ok {
		return 0
	}
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// goals are the targets of a rule. They do not change.
type goals struct {
	targets []*target.Sealed
	orders  []*Order // for each target; nil if the rule asks for no order
}

// goalsOf makes the goals of sealed targets of one rule.
func goalsOf(targets []*target.Sealed) (*goals, error) {
	g := &goals{targets: targets}
	if len(targets) == 0 || targets[0].OrderBy == "" {
		return g, nil
	}
	for _, t := range targets {
		o, err := OrderOf(t.Definition)
		if err != nil {
			return nil, err
		}
		g.orders = append(g.orders, o)
	}
	return g, nil
}

// ordered is 1 if the goals have an order.
func (g *goals) ordered() int64 {
	if g == nil || g.orders == nil {
		return 0
	}
	return 1
}

// gather adds goals to a plan. Those of a single rule are handed out as they are; a further rule's go into a copy.
func gather(p Plan, g *goals) Plan {
	n := len(p.Targets)
	if n == 0 {
		return Plan{Targets: slices.Clip(g.targets), Orders: slices.Clip(g.orders)}
	}
	p.Targets = append(p.Targets, g.targets...)
	if p.Orders != nil || g.orders != nil {
		orders := make([]*Order, len(p.Targets))
		copy(orders, p.Orders)
		copy(orders[n:], g.orders)
		p.Orders = orders
	}
	return p
}

// terms are what holds for every event of a bus.
type terms struct {
	bus     atomic.Pointer[tuning.Bus] // nil if the bus asks for nothing
	ordered atomic.Int64               // enabled rules that ask for an order
}

func (t *terms) add(p Plan) Plan {
	p.Bus = t.bus.Load()
	p.Home = p.Orders != nil || t.ordered.Load() > 0 || p.Bus != nil && p.Bus.DedupeBy != nil
	return p
}
