package catalog

import (
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/tuning"
	"github.com/rialto-events/rialto/target"
)

// Tuning is what the tags of the rule ask for. The error tells of those that cannot be read; the others count.
func (r *Rule) Tuning() (tuning.Rule, error) { return tuning.ForRule(pairs(r.Tags)) }

// Tuning is what the tags of the bus ask for. The error tells of those that cannot be read; the others count.
func (b *Bus) Tuning() (tuning.Bus, error) { return tuning.ForBus(pairs(b.Tags)) }

func pairs(tags []Tag) tuning.Tags {
	return func(yield func(key, value string) bool) {
		for _, t := range tags {
			if !yield(t.Key, t.Value) {
				return
			}
		}
	}
}

// Definition is what deliveries to a target of the rule are made by, in the scope of the rule's bus. Tags that cannot be read, which
// [Rule.Tuning] tells of, are left out.
func (r *Rule) Definition(s rialto.Scope, t *Target) *target.Definition {
	if t.Archive != "" {
		return &target.Definition{Rule: s.RuleARN(r.Bus, r.Name), RuleName: r.Name, ID: t.ID, ARN: t.Archive, Retry: target.DefaultRetry}
	}
	tuned, _ := r.Tuning()
	d := &target.Definition{
		Rule: s.RuleARN(r.Bus, r.Name), RuleName: r.Name,
		ID: t.ID, ARN: t.ARN, RoleARN: deref(t.RoleARN),
		Input: t.Input, InputPath: t.InputPath, Transformer: t.Transformer, HTTP: t.HTTP, SQS: t.SQS,
		Retry: target.DefaultRetry, Parameters: t.Parameters,
		OrderBy: tuned.OrderBy, Batch: tuned.Batch, Timeout: tuned.Timeout, Concurrency: tuned.Concurrency, Rate: tuned.Rate,
		Breaker: tuned.Breaker, Format: tuned.Format,
	}
	if d.Breaker == nil && tuned.ReplayOnClose != "" {
		d.Breaker = new(target.Breaker) // what is not kept by a circuit would not expire, but fail, and not be replayed
	}
	if d.RoleARN == "" {
		d.RoleARN = deref(r.RoleARN)
	}
	if p := t.Retry; p != nil {
		if p.MaxAttempts != nil {
			d.Retry.MaxAttempts = int(*p.MaxAttempts)
		}
		if p.MaxAge != nil {
			d.Retry.MaxAge = time.Duration(*p.MaxAge) * time.Second
		}
	}
	if t.DeadLetter != nil {
		d.DeadLetter = deref(t.DeadLetter.ARN)
	}
	return d
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
