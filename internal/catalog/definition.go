package catalog

import (
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// Definition is what deliveries to a target of the rule are made by, in the scope of the rule's bus.
func (r *Rule) Definition(s rialto.Scope, t *Target) *target.Definition {
	d := &target.Definition{
		Rule: s.RuleARN(r.Bus, r.Name), RuleName: r.Name,
		ID: t.ID, ARN: t.ARN, RoleARN: deref(t.RoleARN),
		Input: t.Input, InputPath: t.InputPath, Transformer: t.Transformer, HTTP: t.HTTP, SQS: t.SQS,
		Retry: target.DefaultRetry, Parameters: t.Parameters,
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
