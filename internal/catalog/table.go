package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

// A Table holds the resources of one kind, by key. The key functions, such as [BusKey], make keys; those of a scope begin
// with [ScopeKey].
type Table[T any] struct {
	catalog *Catalog
	prefix  string // of keys in the bucket, such as "rule/"

	mu        sync.RWMutex
	entries   map[string]Entry[T]
	keys      []string // sorted
	followers []func(key string, was, is *T)
}

// An Entry is a resource with its key. Value must not be changed.
type Entry[T any] struct {
	Key   string
	Value *T
	rev   uint64
}

func newTable[T any](c *Catalog, kind string) *Table[T] {
	t := &Table[T]{catalog: c, prefix: kind + "/", entries: make(map[string]Entry[T])}
	c.tables[kind] = t
	return t
}

// Get returns the resource of a key, or nil.
func (t *Table[T]) Get(key string) *T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.entries[key].Value
}

// List returns up to n resources, sorted by key, whose keys begin with prefix and come after the key after; n of 0 is all.
func (t *Table[T]) List(prefix, after string, n int) []Entry[T] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, _ := slices.BinarySearch(t.keys, prefix)
	if after >= prefix {
		var found bool
		if i, found = slices.BinarySearch(t.keys, after); found {
			i++
		}
	}
	var list []Entry[T]
	for ; i < len(t.keys) && strings.HasPrefix(t.keys[i], prefix) && (n == 0 || len(list) < n); i++ {
		list = append(list, t.entries[t.keys[i]])
	}
	return list
}

// Count is how many keys begin with prefix.
func (t *Table[T]) Count(prefix string) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, _ := slices.BinarySearch(t.keys, prefix)
	n := 0
	for ; i+n < len(t.keys) && strings.HasPrefix(t.keys[i+n], prefix); n++ {
	}
	return n
}

// Edit changes one resource. It calls f with the present value, nil if there is none, and stores what f returns: a new value, or
// nil to delete. If somebody else changes the resource meanwhile, f is called again. An error of f is returned as it is, and
// nothing is changed; [Unchanged] does the same without being an error.
//
// When Edit returns, every reader and every follower knows the change.
func (t *Table[T]) Edit(ctx context.Context, key string, f func(was *T) (is *T, err error)) (*T, error) {
	for {
		t.mu.RLock()
		e := t.entries[key]
		t.mu.RUnlock()
		is, err := f(e.Value)
		if errors.Is(err, Unchanged) {
			return e.Value, nil
		}
		if err != nil {
			return nil, err
		}
		if is == nil && e.Value == nil {
			return nil, nil
		}
		seen, err := t.write(ctx, key, e, is)
		if errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrExists) {
			if err := t.reread(ctx, key, e); err != nil {
				return nil, unavailable(key, err)
			}
			continue
		}
		if err != nil {
			return nil, unavailable(key, err)
		}
		if err := t.catalog.until(ctx, seen); err != nil {
			return nil, &rialto.Error{Kind: rialto.Unavailable, Message: "The change is stored, but it is not known to be in force yet.", Cause: err}
		}
		return is, nil
	}
}

// Unchanged is what the function given to [Table.Edit] returns if nothing is to be stored.
var Unchanged = errors.New("unchanged")

// write stores a new value over a former entry. It returns what tells whether the table shows it.
func (t *Table[T]) write(ctx context.Context, key string, was Entry[T], is *T) (seen func() bool, err error) {
	kv, path := t.catalog.kv, t.prefix+key
	if is == nil {
		return func() bool { return t.revision(key) != was.rev }, kv.Delete(ctx, path, was.rev)
	}
	b, err := encode(is)
	if err != nil {
		return nil, err
	}
	var rev uint64
	if was.Value == nil {
		rev, err = kv.Create(ctx, path, b)
	} else {
		rev, err = kv.Update(ctx, path, b, was.rev)
	}
	return func() bool { return t.catalog.revision() >= rev }, err
}

// reread waits until the table shows another entry than the one that a write was based on in vain.
func (t *Table[T]) reread(ctx context.Context, key string, was Entry[T]) error {
	return t.catalog.until(ctx, func() bool { return t.revision(key) != was.rev })
}

// revision is that of a key's entry, or 0.
func (t *Table[T]) revision(key string) uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.entries[key].rev
}

// Follow calls f for every resource there is, and from then on for each change before the call that made it returns: with
// nil for was if the resource is new, and nil for is if it was deleted. Calls come one at a time; f must be quick, and must not
// call the table's Edit.
func (t *Table[T]) Follow(f func(key string, was, is *T)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range t.keys {
		f(key, nil, t.entries[key].Value)
	}
	t.followers = append(t.followers, f)
}

func (t *Table[T]) apply(key string, value []byte, rev uint64, deleted bool) error {
	var is *T
	if !deleted {
		is = new(T)
		if err := json.Unmarshal(value, is); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	was, had := t.entries[key]
	switch {
	case had && was.rev >= rev:
		return nil // read before
	case is != nil:
		t.entries[key] = Entry[T]{key, is, rev}
		if i, found := slices.BinarySearch(t.keys, key); !found {
			t.keys = slices.Insert(t.keys, i, key)
		}
	case had:
		delete(t.entries, key)
		i, _ := slices.BinarySearch(t.keys, key)
		t.keys = slices.Delete(t.keys, i, i+1)
	}
	if had || is != nil {
		for _, f := range t.followers {
			f(key, was.Value, is)
		}
	}
	return nil
}
