package eventsapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/pattern/syntax"
)

// parsePattern reads an event pattern and reports what is wrong with it as AWS does.
func parsePattern(text string) (*pattern.Pattern, error) {
	p, err := pattern.Parse([]byte(text))
	if refused, ok := errors.AsType[*syntax.Error](err); ok {
		return nil, rialto.WithCode(rialto.Invalid, "InvalidEventPatternException", "%s", refused.Error())
	}
	return p, err
}

// TestEventPattern reports whether a pattern matches an event. What is wrong with the pattern is told before what is wrong with the
// event.
func (f *Front) TestEventPattern(_ context.Context, in *TestEventPatternInput) (*TestEventPatternOutput, error) {
	p, err := parsePattern(*in.EventPattern)
	if err != nil {
		return nil, err
	}
	if err := syntax.CheckEvent([]byte(*in.Event)); err != nil {
		return nil, invalid("%s", err.Error())
	}
	event, err := pattern.AppendCompact(nil, []byte(*in.Event))
	if err != nil {
		return nil, invalid("Parameter Event is not valid.")
	}
	var set pattern.Set
	set.Add(1, p)
	ids, err := set.Match(event, new(pattern.Scratch))
	if err != nil {
		return nil, err
	}
	return &TestEventPatternOutput{Result: new(len(ids) > 0)}, nil
}

// wildcards counts the rules of each bus whose pattern has a wildcard, because AWS limits them. It follows the catalog, as asking
// all rules each time would be slow where there are many.
type wildcards struct {
	mu sync.Mutex
	n  map[route.Bus]int
}

func (w *wildcards) follow(rules *catalog.Table[catalog.Rule]) {
	w.n = make(map[route.Bus]int)
	rules.Follow(func(key string, was, is *catalog.Rule) {
		scope, _ := catalog.SplitKey(key)
		if ruleHasWildcard(was) {
			w.add(route.Bus{Scope: scope, Name: was.Bus}, -1)
		}
		if ruleHasWildcard(is) {
			w.add(route.Bus{Scope: scope, Name: is.Bus}, 1)
		}
	})
}

func (w *wildcards) add(bus route.Bus, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n[bus] += n; w.n[bus] == 0 {
		delete(w.n, bus)
	}
}

func (w *wildcards) on(bus route.Bus) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n[bus]
}

func ruleHasWildcard(r *catalog.Rule) bool {
	if r == nil || r.Pattern == nil || !strings.Contains(*r.Pattern, "wildcard") { // most have none, and are not parsed for it
		return false
	}
	p, err := pattern.Parse([]byte(*r.Pattern))
	return err == nil && hasWildcard(p)
}

func hasWildcard(p *pattern.Pattern) bool {
	return slices.ContainsFunc(p.Alternatives, func(a syntax.Alternative) bool {
		return slices.ContainsFunc(a, func(f syntax.Field) bool { return slices.ContainsFunc(f.Tests, isWildcard) })
	})
}

func isWildcard(t syntax.Test) bool {
	return t.Op == syntax.Wildcard || slices.ContainsFunc(t.Not, isWildcard)
}
