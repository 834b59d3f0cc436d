// Package catalog keeps what users have defined: buses, rules with their targets, connections, API destinations,
// queues, archives, topics with their subscriptions, groups of schedules.
//
// Each kind of resource is a [Table] from keys to values. All of it lives in one bucket of the journal and is held in memory
// as well, so that reads are quick and never fail. A change is first in the journal, then in memory, then known to whoever
// follows the table, and only then does the call that made it return: the next request sees it, and so does the next event.
// A change that another node made arrives by the same way.
//
// Values are handed out as they are held: they must not be changed. Whoever changes a resource makes a new value; [Table.Edit]
// sees to it that nobody else's change is lost. Start with [Open] and [Table].
package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

// A Catalog holds one table for each kind of resource.
type Catalog struct {
	Buses        *Table[Bus]
	Rules        *Table[Rule]
	Connections  *Table[Connection]
	Destinations *Table[Destination]
	Queues       *Table[Queue]
	Circuits     *Table[Circuit]
	Archives     *Table[Archive]
	Topics       *Table[Topic]
	Subscribers  *Table[Subscription]
	Outages      *Table[Outage]
	Groups       *Table[ScheduleGroup] // of schedules

	kv     journal.KV
	log    *slog.Logger
	clock  rialto.Clock
	tables map[string]applier // by the first part of the key

	mu      sync.Mutex
	applied uint64        // the highest revision that the tables show
	moved   chan struct{} // closed when the tables change; nil if nobody waits
}

// An applier is a table of any type.
type applier interface {
	apply(key string, value []byte, rev uint64, deleted bool) error
}

// Options tunes a Catalog. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
}

// Open reads the catalog. Changes are taken in while [Catalog.Run] runs; until then every write waits.
func Open(ctx context.Context, kv journal.KV, opts Options) (*Catalog, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	c := &Catalog{kv: kv, log: opts.Logger, clock: opts.Clock, tables: make(map[string]applier)}
	c.Buses = newTable[Bus](c, "bus")
	c.Rules = newTable[Rule](c, "rule")
	c.Connections = newTable[Connection](c, "connection")
	c.Destinations = newTable[Destination](c, "destination")
	c.Queues = newTable[Queue](c, "queue")
	c.Circuits = newTable[Circuit](c, "circuit")
	c.Archives = newTable[Archive](c, "archive")
	c.Topics = newTable[Topic](c, "topic")
	c.Subscribers = newTable[Subscription](c, "subscription")
	c.Outages = newTable[Outage](c, "outage")
	c.Groups = newTable[ScheduleGroup](c, "schedulegroup")
	entries, err := kv.List(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	for _, e := range entries {
		if err := c.take(e); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Run takes changes in until ctx ends. It returns early only if the catalog cannot be trusted any more.
func (c *Catalog) Run(ctx context.Context) error {
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		before := c.revision()
		err := c.kv.Watch(ctx, "", before, c.take)
		_, damaged := errors.AsType[*journal.DamageError](err)
		if err == nil || damaged || errors.Is(err, errForeign) || errors.Is(err, journal.ErrClosed) {
			return err
		}
		if c.revision() > before {
			wait = minPause
		}
		c.log.Warn("catalog not followed, trying again", "err", err)
		t := rialto.Real(c.clock).NewTimer(wait)
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// Pauses between two tries to follow the bucket.
const (
	minPause = 10 * time.Millisecond
	maxPause = time.Second
)

// errForeign says that an entry is not of this version's making.
var errForeign = errors.New("an entry of the catalog cannot be read")

// revision is the highest revision that the tables show.
func (c *Catalog) revision() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applied
}

// take brings one entry of the bucket into its table.
func (c *Catalog) take(e journal.Entry) error {
	kind, key, _ := strings.Cut(e.Key, "/")
	t, ok := c.tables[kind]
	if !ok {
		return fmt.Errorf("%w: %q was written by a newer version", errForeign, e.Key)
	}
	if err := t.apply(key, e.Value, e.Rev, e.Deleted); err != nil {
		return fmt.Errorf("%w: %q: %w", errForeign, e.Key, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied = max(c.applied, e.Rev)
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
	return nil
}

// until returns once a condition holds, which is asked for whenever the tables change.
func (c *Catalog) until(ctx context.Context, holds func() bool) error {
	for {
		c.mu.Lock()
		if c.moved == nil {
			c.moved = make(chan struct{})
		}
		moved := c.moved
		c.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unavailable says that a change could not be written down, or that this is not known.
func unavailable(key string, err error) error {
	if e, ok := errors.AsType[*rialto.Error](err); ok && e.Kind != rialto.Conflict && e.Kind != rialto.Exists {
		return &rialto.Error{Kind: e.Kind, Message: "The change could not be stored: " + e.Message, Cause: fmt.Errorf("write %s: %w", key, err)}
	}
	return fmt.Errorf("write %s: %w", key, err)
}

// encode writes a definition as JSON. The placeholders of templates stay as they are: as HTML they would have six times the size.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	b := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if err == nil && len(b) > journal.MaxValue {
		return nil, rialto.Errorf(rialto.Exceeded, "The definition has %d bytes, more than the %d that one resource may have.", len(b), journal.MaxValue)
	}
	return b, err
}
