// Package tuning reads what users ask for by tags: order, batches, limits, breakers and formats on rules, deduplication and times to
// live on buses. AWS's API has no member for any of it, but every tool can set tags.
//
// All tags whose keys begin with [Prefix] are rialto's, and every other one is left alone. A tag stands for itself: none needs
// another, and no two contradict each other. What is not understood is an error that says which tag, which value, and what it may
// be; a key that nobody knows is one, too, so that a slip of the pen is not taken for a wish. [CheckRule] and [CheckBus] decide
// whether a tag may be set. [ForRule] and [ForBus] read those that were.
//
// [Expiry] and [AppendKey] say what the values mean to which the paths of such tags lead in an event.
package tuning

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/target"
)

// Prefix is what the keys of rialto's tags begin with.
const Prefix = "rialto:"

// A Rule is what a rule asks of the deliveries to its targets. The zero value asks for nothing.
type Rule struct {
	OrderBy     string // a path that [jsonpath.Parse] takes, or ""
	Batch       *target.Batch
	Timeout     time.Duration
	Concurrency int
	Rate        float64 // per second
	Breaker     *target.Breaker
	Format      target.Format

	ReplayOnClose string // an archive that makes up for what expired while a target's circuit was open, or ""
}

// A Bus is what a bus asks of the events that reach it. The zero value asks for nothing.
type Bus struct {
	DedupeBy     *jsonpath.Path // nil is not at all
	DedupeWindow time.Duration
	TTLFrom      *jsonpath.Path // nil is that no event expires
}

// Tags are the tags of a resource: keys with their values.
type Tags = iter.Seq2[string, string]

// A setting is a tag that rialto knows on resources of one kind.
type setting[T any] struct {
	key   string // after the prefix
	takes string // what the value may be, as the rest of a sentence
	set   func(to *T, value string) bool
}

var ruleSettings = []setting[Rule]{
	{"order-by", takesPath, func(r *Rule, v string) bool {
		p, ok := parsePath(v)
		r.OrderBy = p.String()
		return ok
	}},
	{"batch", takesBatch, func(r *Rule, v string) (ok bool) {
		r.Batch, ok = parseBatch(v)
		return ok
	}},
	{"timeout", takesTimeout, func(r *Rule, v string) (ok bool) {
		r.Timeout, ok = parseDuration(v, minTimeout, maxTimeout)
		return ok
	}},
	{"concurrency", takesConcurrency, func(r *Rule, v string) (ok bool) {
		r.Concurrency, ok = parseCount(v, 1, maxConcurrency)
		return ok
	}},
	{"rate", takesRate, func(r *Rule, v string) (ok bool) {
		r.Rate, ok = parseRate(v)
		return ok
	}},
	{"breaker", takesBreaker, func(r *Rule, v string) (ok bool) {
		r.Breaker, ok = parseBreaker(v)
		return ok
	}},
	{"format", takesFormat, func(r *Rule, v string) bool {
		r.Format = target.Format(v)
		return slices.Contains(formats, r.Format)
	}},
	{"replay-on-close", takesArchive, func(r *Rule, v string) (ok bool) {
		r.ReplayOnClose, ok = parseArchive(v)
		return ok
	}},
}

var busSettings = []setting[Bus]{
	{"dedupe-by", takesPath, func(b *Bus, v string) bool {
		p, ok := parsePath(v)
		b.DedupeBy = &p
		return ok
	}},
	{"dedupe-window", takesDedupeWindow, func(b *Bus, v string) (ok bool) {
		b.DedupeWindow, ok = parseDuration(v, minDedupeWindow, MaxDedupeWindow)
		return ok
	}},
	{"ttl-from", takesPath, func(b *Bus, v string) bool {
		p, ok := parsePath(v)
		b.TTLFrom = &p
		return ok
	}},
}

// CheckRule reports a tag of rialto's that rules cannot have, or whose value cannot be read.
func CheckRule(key, value string) error { return apply(ruleSettings, "rules", new(Rule), key, value) }

// CheckBus reports a tag of rialto's that buses cannot have, or whose value cannot be read.
func CheckBus(key, value string) error {
	return apply(busSettings, "event buses", new(Bus), key, value)
}

// ForRule reads the tags of a rule. The error, if any, joins one for each tag that is not valid; the others count all the same.
func ForRule(tags Tags) (Rule, error) { return read(ruleSettings, "rules", tags) }

// ForBus reads the tags of a bus. The error, if any, joins one for each tag that is not valid; the others count all the same.
func ForBus(tags Tags) (Bus, error) {
	b, err := read(busSettings, "event buses", tags)
	if b.DedupeBy != nil && b.DedupeWindow == 0 {
		b.DedupeWindow = defaultDedupeWindow
	}
	return b, err
}

func read[T any](settings []setting[T], kind string, tags Tags) (all T, err error) {
	for key, value := range tags {
		with := all
		if bad := apply(settings, kind, &with, key, value); bad != nil {
			err = errors.Join(err, bad)
			continue
		}
		all = with
	}
	return all, err
}

// apply sets what one tag says.
func apply[T any](settings []setting[T], kind string, to *T, key, value string) error {
	if len(key) < len(Prefix) || !strings.EqualFold(key[:len(Prefix)], Prefix) {
		return nil
	}
	i := slices.IndexFunc(settings, func(s setting[T]) bool { return key == Prefix+s.key })
	if i < 0 {
		var known []string
		for _, s := range settings {
			known = append(known, Prefix+s.key)
		}
		last := len(known) - 1
		return rialto.Errorf(rialto.Invalid, "Tag %s with the value %q is not valid. Reason: the tags of rialto that %s can have are %s and %s.",
			key, value, kind, strings.Join(known[:last], ", "), known[last])
	}
	if s := &settings[i]; !s.set(to, value) {
		return rialto.Errorf(rialto.Invalid, "Tag %s with the value %q is not valid. Reason: it takes %s.", key, value, s.takes)
	}
	return nil
}
