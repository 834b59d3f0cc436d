package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/pattern"
)

// Limits of an explanation of rules that did not match.
const (
	defaultRules = 20    // that are told of
	mostRules    = 200   // that are, if somebody asks for more
	triedRules   = 2_000 // whose patterns are looked at
	maxChanges   = 65_536
)

// A NotMatched is a rule of the bus that the event did not go to.
type NotMatched struct {
	Rule    string               `json:"rule"`
	RuleARN string               `json:"ruleArn"`
	Why     string               `json:"why"`               // in words
	Missing int                  `json:"missing"`           // fields that do not fit; the nearest rules come first
	Changed *time.Time           `json:"changed,omitempty"` // the rule is another since, so that it may have matched or not for other reasons
	Pattern *pattern.Explanation `json:"pattern,omitempty"` // field by field
}

// changes remembers when rules were changed, since the start of the process.
type changes struct {
	mu    sync.Mutex
	since time.Time // what was changed before is not known
	rules map[string]time.Time
}

// follow begins to remember.
func (c *changes) follow(cat *catalog.Catalog, clock rialto.Clock) {
	c.since, c.rules = clock.Now(), make(map[string]time.Time)
	following := false
	cat.Rules.Follow(func(key string, _, _ *catalog.Rule) {
		if !following {
			return // it was there before
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.rules) >= maxChanges {
			c.since = clock.Now()
			clear(c.rules)
		}
		c.rules[key] = clock.Now()
	})
	following = true
}

// after returns when a rule was changed, if that was after a time.
func (c *changes) after(key string, at time.Time) *time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changed, ok := c.rules[key]; ok && changed.After(at) {
		return &changed
	}
	return nil
}

// known reports whether every change after a time is known.
func (c *changes) known(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !at.Before(c.since)
}

// notMatched tells of the rules of a bus, as they are now, that an event did not go to: the nearest first, and at most limit. The
// rest is only counted.
func (x *Explainer) notMatched(ctx context.Context, bus rialto.ARN, event []byte, accepted time.Time, went map[rialto.ARN]bool, late bool, limit int) (list []NotMatched, rest int, err error) {
	scope, name := bus.Scope(), busName(bus)
	for n, e := range x.catalog.Rules.List(catalog.RulesKey(scope, name), "", 0) {
		rule := scope.RuleARN(name, e.Value.Name)
		if went[rule] {
			continue
		}
		if n >= triedRules {
			rest++
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		found := NotMatched{Rule: string(e.Value.Name), RuleARN: rule.String(), Changed: x.changes.after(e.Key, accepted)}
		found.explain(e.Value, event)
		if late && found.Pattern != nil && found.Pattern.Match {
			found.Why = "The rule matches, but the event had expired when it came."
		}
		list = append(list, found)
	}
	slices.SortStableFunc(list, func(a, b NotMatched) int { return cmp.Compare(a.Missing, b.Missing) })
	if len(list) > limit {
		rest += len(list) - limit
		list = list[:limit]
	}
	return list, rest, nil
}

// Reasons that have nothing to do with the fields of an event come after those that have.
const (
	missingNothing = 0
	missingUnknown = 1 << 20
)

// explain finds why a rule did not get an event.
func (n *NotMatched) explain(r *catalog.Rule, event []byte) {
	n.Missing = missingUnknown
	if r.Pattern == nil || *r.Pattern == "" {
		n.Why = "The rule has no event pattern: it is for a schedule."
		return
	}
	if event == nil {
		n.Why = "The event is not kept any more, so the pattern cannot be tried."
		return
	}
	p, err := pattern.Parse([]byte(*r.Pattern))
	if err == nil {
		n.Pattern, err = pattern.Explain(p, event)
	}
	if err != nil {
		n.Why = fmt.Sprintf("The pattern cannot be tried: %s.", err)
		return
	}
	switch {
	case !n.Pattern.Match:
		n.Missing, n.Why = nearest(n.Pattern)
	case !r.Enabled:
		n.Missing, n.Why = missingNothing, "The pattern matches, but the rule is disabled."
	case len(r.Targets) == 0:
		n.Missing, n.Why = missingNothing, "The rule matches, but it has no target."
	default:
		n.Missing, n.Why = missingNothing, "The rule matches as it is now; when the event came, it was not there or was another."
	}
	if !r.Enabled && !n.Pattern.Match {
		n.Why += " The rule is disabled, too."
	}
}

// nearest is what is wrong with the alternative of a pattern that comes nearest to matching.
func nearest(x *pattern.Explanation) (missing int, why string) {
	missing = missingUnknown
	for i := range x.Alternatives {
		a := &x.Alternatives[i]
		var reasons []string
		for _, f := range a.Fields {
			if !f.Match {
				reasons = append(reasons, f.Reason)
			}
		}
		n := len(reasons)
		if n == 0 {
			n, reasons = 1, []string{a.Conflict}
		}
		if n < missing {
			missing, why = n, sentences(reasons)
		}
	}
	return missing, why
}

// sentences joins reasons, each a sentence without its end.
func sentences(reasons []string) string {
	return strings.Join(reasons, "; ") + "."
}

func busName(bus rialto.ARN) rialto.BusName {
	return rialto.BusName(strings.TrimPrefix(bus.Resource, "event-bus/"))
}
