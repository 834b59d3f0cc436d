package eventsapi

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/cron"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/tuning"
	"github.com/rialto-events/rialto/pattern"
)

// A ruleName names a rule on a bus.
type ruleName struct {
	bus  route.Bus
	rule rialto.RuleName
}

func (n ruleName) key() string { return catalog.RuleKey(n.bus.Scope, n.bus.Name, n.rule) }

func (n ruleName) arn() string { return n.bus.Scope.RuleARN(n.bus.Name, n.rule).String() }

func (n ruleName) missing() error {
	return notFound("Rule %s does not exist on EventBus %s.", n.rule, n.bus.Name)
}

// ruleOf finds which rule a call names and wants to do an action on. Its bus exists; whether the rule does is not looked at. Calls
// about all rules of a bus name none.
func (f *Front) ruleOf(ctx context.Context, bus *string, rule *string, action string) (ruleName, error) {
	b, err := f.named(ctx, bus)
	if err != nil {
		return ruleName{}, err
	}
	name := ruleName{b, rialto.RuleName(deref(rule))}
	return name, cmp.Or(f.allowRule(aws.Caller(ctx), name, action), f.wantBus(b))
}

// editRule changes a rule that exists. The rule that change gets is a copy.
func (f *Front) editRule(ctx context.Context, name ruleName, change func(*catalog.Rule) error) (*catalog.Rule, error) {
	return f.catalog.Rules.Edit(ctx, name.key(), func(was *catalog.Rule) (*catalog.Rule, error) {
		if was == nil {
			return nil, name.missing()
		}
		is := *was
		return &is, change(&is)
	})
}

// wantUnmanaged reports a rule that belongs to a service, and is therefore not for users to change.
func wantUnmanaged(r *catalog.Rule) error {
	if r.ManagedBy == nil {
		return nil
	}
	return rialto.WithCode(rialto.Invalid, "ManagedRuleException", "%s is a managed rule.", r.Name)
}

// wantForce is wantUnmanaged for calls that can be forced.
func wantForce(r *catalog.Rule, force *bool) error {
	if r.ManagedBy == nil || deref(force) {
		return nil
	}
	return rialto.WithCode(rialto.Invalid, "ManagedRuleException", "%s is a managed rule. Set 'force' parameter to true to override.", r.Name)
}

// PutRule makes a rule or replaces it: what is not given is cleared, but targets and tags stay.
func (f *Front) PutRule(ctx context.Context, in *PutRuleInput) (*PutRuleOutput, error) {
	p, err := f.checkTrigger(in)
	if err != nil {
		return nil, err
	}
	caller := aws.Caller(ctx)
	bus, err := ingest.ParseBus(caller.Scope, deref(in.EventBusName))
	if err != nil {
		return nil, err
	}
	bus.Scope.Region = caller.Scope.Region // unlike everywhere else, that of an ARN does not matter (recorded on AWS)
	name := ruleName{bus, rialto.RuleName(*in.Name)}
	if err := f.allowRule(caller, name, "events:PutRule"); err != nil {
		return nil, err
	}
	if in.ScheduleExpression != nil && bus.Name != rialto.DefaultBus {
		return nil, invalid("ScheduleExpression is supported only on the default event bus.")
	}
	if err := f.wantBus(bus); err != nil {
		return nil, err
	}
	tags, err := f.upsertTags(nil, in.Tags, tuning.CheckRule)
	if err != nil {
		return nil, err
	}

	defer f.control.lock(bus.Scope)()
	if err := f.wantBus(bus); err != nil { // again, since it may have been deleted before the lock was ours
		return nil, err
	}
	if err := f.wantRoom(name, p); err != nil {
		return nil, err
	}
	_, err = f.catalog.Rules.Edit(ctx, name.key(), func(was *catalog.Rule) (*catalog.Rule, error) {
		is := &catalog.Rule{Name: name.rule, Bus: bus.Name, CreatedBy: caller.Scope.Account, Tags: tags}
		if was != nil {
			if err := wantUnmanaged(was); err != nil {
				return nil, err
			}
			is.CreatedBy, is.Targets, is.Tags = was.CreatedBy, was.Targets, was.Tags
		}
		state := RuleStateEnabled
		if in.State != nil {
			state = *in.State
		}
		setState(is, state)
		is.Pattern, is.Schedule, is.Description, is.RoleARN = in.EventPattern, in.ScheduleExpression, in.Description, in.RoleArn
		return is, nil
	})
	if err != nil {
		return nil, err
	}
	return &PutRuleOutput{RuleArn: new(name.arn())}, nil
}

// checkTrigger checks what makes a rule fire. It returns the pattern, or nil if there is none.
func (f *Front) checkTrigger(in *PutRuleInput) (*pattern.Pattern, error) {
	text, schedule := deref(in.EventPattern), deref(in.ScheduleExpression)
	if text == "" && schedule == "" {
		return nil, invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	if schedule != "" {
		if _, err := cron.ParseRule(schedule); err != nil {
			return nil, err
		}
		if in.State != nil && *in.State == RuleStateEnabledWithAllCloudtrailManagementEvents {
			return nil, invalid("Parameter State is not valid. Reason: %s is not supported for a rule with a ScheduleExpression.", *in.State)
		}
	}
	if text == "" {
		return nil, nil
	}
	if utf8.RuneCountInString(text) > f.limits.PatternLength {
		return nil, invalid("Parameter EventPattern for rule %s exceeds limit of %d.", *in.Name, f.limits.PatternLength)
	}
	return parsePattern(text)
}

// wantRoom checks the limits of a bus before it gets a rule or a rule gets another pattern.
func (f *Front) wantRoom(name ruleName, p *pattern.Pattern) error {
	was := f.catalog.Rules.Get(name.key())
	if was == nil && f.catalog.Rules.Count(catalog.RulesKey(name.bus.Scope, name.bus.Name)) >= f.limits.Rules {
		return errTooMany()
	}
	if p != nil && hasWildcard(p) && !ruleHasWildcard(was) && f.wildcards.on(name.bus) >= f.limits.WildcardRules {
		return errTooMany()
	}
	return nil
}

func (f *Front) DescribeRule(ctx context.Context, in *DescribeRuleInput) (*DescribeRuleOutput, error) {
	name, err := f.ruleOf(ctx, in.EventBusName, in.Name, "events:DescribeRule")
	if err != nil {
		return nil, err
	}
	r := f.catalog.Rules.Get(name.key())
	if r == nil {
		return nil, name.missing()
	}
	return &DescribeRuleOutput{
		Name: text(r.Name), Arn: new(name.arn()), EventPattern: r.Pattern, ScheduleExpression: r.Schedule, State: new(RuleState(r.State)),
		Description: r.Description, RoleArn: r.RoleARN, ManagedBy: r.ManagedBy, EventBusName: text(r.Bus), CreatedBy: text(r.CreatedBy),
	}, nil
}

func (f *Front) EnableRule(ctx context.Context, in *EnableRuleInput) (*aws.NoOutput, error) {
	return f.setRuleState(ctx, in.EventBusName, in.Name, RuleStateEnabled, "events:EnableRule")
}

func (f *Front) DisableRule(ctx context.Context, in *DisableRuleInput) (*aws.NoOutput, error) {
	return f.setRuleState(ctx, in.EventBusName, in.Name, RuleStateDisabled, "events:DisableRule")
}

func (f *Front) setRuleState(ctx context.Context, bus, rule *string, state RuleState, action string) (*aws.NoOutput, error) {
	name, err := f.ruleOf(ctx, bus, rule, action)
	if err != nil {
		return nil, err
	}
	defer f.control.lock(name.bus.Scope)()
	_, err = f.editRule(ctx, name, func(r *catalog.Rule) error {
		setState(r, state)
		return wantUnmanaged(r)
	})
	return &aws.NoOutput{}, err
}

func setState(r *catalog.Rule, s RuleState) {
	r.State, r.Enabled = string(s), s != RuleStateDisabled
}

// DeleteRule succeeds also when there is nothing to delete.
func (f *Front) DeleteRule(ctx context.Context, in *DeleteRuleInput) (*aws.NoOutput, error) {
	name, err := f.ruleOf(ctx, in.EventBusName, in.Name, "events:DeleteRule")
	if err != nil {
		return nil, err
	}
	defer f.control.lock(name.bus.Scope)()
	_, err = f.catalog.Rules.Edit(ctx, name.key(), func(was *catalog.Rule) (*catalog.Rule, error) {
		if was == nil {
			return nil, nil
		}
		if err := wantForce(was, in.Force); err != nil {
			return nil, err
		}
		if len(was.Targets) > 0 {
			return nil, invalid("Rule can't be deleted since it has targets.")
		}
		return nil, nil
	})
	return &aws.NoOutput{}, err
}

func (f *Front) ListRules(ctx context.Context, in *ListRulesInput) (*ListRulesOutput, error) {
	name, err := f.ruleOf(ctx, in.EventBusName, nil, "events:ListRules")
	if err != nil {
		return nil, err
	}
	bus := name.bus
	l := listing{in.NextToken, in.Limit, []string{bus.ARN().String(), deref(in.NamePrefix)}, badToken}
	rules, next, err := page(ctx, l, func(after string, n int) []*catalog.Rule {
		keys := catalog.RulesKey(bus.Scope, bus.Name)
		return values(f.catalog.Rules.List(keys+deref(in.NamePrefix), keys+after, n))
	}, func(r *catalog.Rule) string { return string(r.Name) })
	if err != nil {
		return nil, err
	}
	out := &ListRulesOutput{Rules: make([]Rule, 0, len(rules)), NextToken: next}
	for _, r := range rules {
		out.Rules = append(out.Rules, Rule{
			Name: text(r.Name), Arn: new(ruleName{bus, r.Name}.arn()), EventPattern: r.Pattern, State: new(RuleState(r.State)),
			Description: r.Description, ScheduleExpression: r.Schedule, RoleArn: r.RoleARN, ManagedBy: r.ManagedBy, EventBusName: text(r.Bus),
		})
	}
	return out, nil
}

func (f *Front) ListRuleNamesByTarget(ctx context.Context, in *ListRuleNamesByTargetInput) (*ListRuleNamesByTargetOutput, error) {
	if _, err := rialto.ParseARN(*in.TargetArn); err != nil {
		return nil, errBadARN(*in.TargetArn)
	}
	name, err := f.ruleOf(ctx, in.EventBusName, nil, "events:ListRuleNamesByTarget")
	if err != nil {
		return nil, err
	}
	bus := name.bus
	l := listing{in.NextToken, in.Limit, []string{bus.ARN().String(), *in.TargetArn}, badTokenValue}
	names, next, err := page(ctx, l, func(after string, n int) []string {
		return f.rulesWithTarget(bus, *in.TargetArn, after, n)
	}, func(name string) string { return name })
	if names == nil {
		names = []string{}
	}
	return &ListRuleNamesByTargetOutput{RuleNames: names, NextToken: next}, err
}

// rulesWithTarget names up to n rules of a bus that have a target of exactly this ARN and whose names come after another.
func (f *Front) rulesWithTarget(bus route.Bus, arn, after string, n int) (names []string) {
	keys := catalog.RulesKey(bus.Scope, bus.Name)
	for _, r := range f.catalog.Rules.List(keys, keys+after, 0) {
		if len(names) == n {
			break
		}
		if slices.ContainsFunc(r.Value.Targets, func(t catalog.Target) bool { return t.ARN == arn }) {
			names = append(names, string(r.Value.Name))
		}
	}
	return names
}

// parseRuleARN reads the ARN of a rule: rule/NAME on the default bus, rule/BUS/NAME on others. The name of a partner's bus has
// slashes of its own.
func parseRuleARN(resource string) (bus rialto.BusName, rule rialto.RuleName, ok bool) {
	path, ok := strings.CutPrefix(resource, "rule/")
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return rialto.BusName(path[:i]), rialto.RuleName(path[i+1:]), ok
	}
	return rialto.DefaultBus, rialto.RuleName(path), ok
}
