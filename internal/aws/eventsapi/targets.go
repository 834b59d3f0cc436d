package eventsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/target"
)

// PutTargets makes targets or replaces them. One that AWS would not take fails them all.
func (f *Front) PutTargets(ctx context.Context, in *PutTargetsInput) (*PutTargetsOutput, error) {
	bus, err := f.named(ctx, in.EventBusName)
	if err != nil {
		return nil, err
	}
	name := ruleName{bus, rialto.RuleName(*in.Rule)}
	for i := range in.Targets { // a policy may allow some
		if err := f.allowTarget(aws.Caller(ctx), name, "events:PutTargets", *in.Targets[i].Arn); err != nil {
			return nil, err
		}
	}
	if err := f.wantBus(bus); err != nil {
		return nil, err
	}
	targets := make([]catalog.Target, len(in.Targets))
	for i := range in.Targets {
		id := *in.Targets[i].Id
		if slices.ContainsFunc(in.Targets[:i], func(t Target) bool { return *t.Id == id }) {
			return nil, invalid("Parameter targets is not valid. Reason: More than one target with Id '%s' is provided.", id)
		}
		targets[i] = targetOf(&in.Targets[i])
	}

	defer f.control.lock(name.bus.Scope)()
	_, err = f.editRule(ctx, name, func(r *catalog.Rule) error {
		if err := wantUnmanaged(r); err != nil {
			return err
		}
		for i := range in.Targets {
			if err := checkTarget(aws.Caller(ctx), name, r, &in.Targets[i]); err != nil {
				return err
			}
		}
		r.Targets = upsertTargets(r.Targets, targets)
		if len(r.Targets) > f.limits.Targets {
			return errTooMany()
		}
		return nil
	})
	return &PutTargetsOutput{FailedEntries: []PutTargetsResultEntry{}}, err
}

// upsertTargets puts targets to others, and keeps them sorted.
func upsertTargets(targets, given []catalog.Target) []catalog.Target {
	targets = slices.Clone(targets)
	for _, t := range given {
		i, there := findTarget(targets, t.ID)
		if there {
			targets[i] = t
		} else {
			targets = slices.Insert(targets, i, t)
		}
	}
	return targets
}

func findTarget(targets []catalog.Target, id string) (int, bool) {
	return slices.BinarySearchFunc(targets, id, func(t catalog.Target, id string) int { return cmp.Compare(t.ID, id) })
}

// RemoveTargets succeeds also for targets that are not there.
func (f *Front) RemoveTargets(ctx context.Context, in *RemoveTargetsInput) (*RemoveTargetsOutput, error) {
	name, err := f.ruleOf(ctx, in.EventBusName, in.Rule, "events:RemoveTargets")
	if err != nil {
		return nil, err
	}
	defer f.control.lock(name.bus.Scope)()
	_, err = f.editRule(ctx, name, func(r *catalog.Rule) error {
		if err := wantForce(r, in.Force); err != nil {
			return err
		}
		r.Targets = slices.DeleteFunc(slices.Clone(r.Targets), func(t catalog.Target) bool { return slices.Contains(in.Ids, t.ID) })
		return nil
	})
	return &RemoveTargetsOutput{FailedEntries: []RemoveTargetsResultEntry{}}, err
}

func (f *Front) ListTargetsByRule(ctx context.Context, in *ListTargetsByRuleInput) (*ListTargetsByRuleOutput, error) {
	name, err := f.ruleOf(ctx, in.EventBusName, in.Rule, "events:ListTargetsByRule")
	if err != nil {
		return nil, err
	}
	r := f.catalog.Rules.Get(name.key())
	if r == nil {
		return nil, name.missing()
	}
	l := listing{in.NextToken, in.Limit, []string{name.arn()}, badToken}
	targets, next, err := page(ctx, l, func(after string, n int) []catalog.Target {
		i, there := findTarget(r.Targets, after)
		if there {
			i++
		}
		return r.Targets[i:min(i+n, len(r.Targets))]
	}, func(t catalog.Target) string { return t.ID })
	if err != nil {
		return nil, err
	}
	out := &ListTargetsByRuleOutput{Targets: make([]Target, len(targets)), NextToken: next}
	for i := range targets {
		if out.Targets[i], err = showTarget(&targets[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// targetOf is a target as the catalog has it.
func targetOf(t *Target) catalog.Target {
	is := catalog.Target{ID: *t.Id, ARN: *t.Arn, RoleARN: t.RoleArn, Input: t.Input, InputPath: t.InputPath, Parameters: parametersOf(t)}
	if p := t.InputTransformer; p != nil {
		is.Transformer = &target.Transformer{Paths: p.InputPathsMap, Template: *p.InputTemplate}
	}
	if p := t.HttpParameters; p != nil {
		is.HTTP = &target.HTTP{PathParameters: p.PathParameterValues, Headers: p.HeaderParameters, Query: p.QueryStringParameters}
	}
	if p := t.SqsParameters; p != nil {
		is.SQS = &target.SQS{MessageGroupID: deref(p.MessageGroupId)}
	}
	if p := t.RetryPolicy; p != nil {
		is.Retry = &catalog.RetryPolicy{MaxAttempts: p.MaximumRetryAttempts, MaxAge: p.MaximumEventAgeInSeconds}
	}
	if p := t.DeadLetterConfig; p != nil {
		is.DeadLetter = &catalog.DeadLetter{ARN: p.Arn}
	}
	return is
}

// showTarget is a target as the API shows it.
func showTarget(t *catalog.Target) (Target, error) {
	is := Target{Id: new(t.ID), Arn: new(t.ARN), RoleArn: t.RoleARN, Input: t.Input, InputPath: t.InputPath}
	if p := t.Transformer; p != nil {
		is.InputTransformer = &InputTransformer{InputPathsMap: p.Paths, InputTemplate: new(p.Template)}
		if p.Paths == nil && t.Archive != "" {
			is.InputTransformer.InputPathsMap = map[string]string{} // shown although it is empty (recorded on AWS)
		}
	}
	if p := t.HTTP; p != nil {
		is.HttpParameters = &HttpParameters{PathParameterValues: p.PathParameters, HeaderParameters: p.Headers, QueryStringParameters: p.Query}
	}
	if p := t.SQS; p != nil {
		is.SqsParameters = &SqsParameters{MessageGroupId: text(p.MessageGroupID)}
	}
	if p := t.Retry; p != nil {
		is.RetryPolicy = &RetryPolicy{MaximumRetryAttempts: p.MaxAttempts, MaximumEventAgeInSeconds: p.MaxAge}
	}
	if p := t.DeadLetter; p != nil {
		is.DeadLetterConfig = &DeadLetterConfig{Arn: p.ARN}
	}
	return is, showParameters(&is, t.Parameters)
}

// Names of the parameter blocks that rialto keeps for targets of other services, and hands out again.
const (
	appSync     = "AppSyncParameters"
	batch       = "BatchParameters"
	ecs         = "EcsParameters"
	kinesis     = "KinesisParameters"
	redshift    = "RedshiftDataParameters"
	runCommand  = "RunCommandParameters"
	sageMaker   = "SageMakerPipelineParameters"
	httpRequest = "HttpParameters"
	sqsMessage  = "SqsParameters"
)

// parametersOf takes over the blocks that are kept, as they stand on the wire.
func parametersOf(t *Target) map[string]json.RawMessage {
	kept := make(map[string]json.RawMessage)
	if p := t.EcsParameters; p != nil {
		full := *p // these are shown with what they mean by default (recorded on AWS)
		full.TaskCount = cmp.Or(p.TaskCount, new(int32(1)))
		full.EnableECSManagedTags = cmp.Or(p.EnableECSManagedTags, new(false))
		full.EnableExecuteCommand = cmp.Or(p.EnableExecuteCommand, new(false))
		kept[ecs] = aws.JSON(&full)
	}
	aws.KeepJSON(kept, appSync, t.AppSyncParameters)
	aws.KeepJSON(kept, batch, t.BatchParameters)
	aws.KeepJSON(kept, kinesis, t.KinesisParameters)
	aws.KeepJSON(kept, redshift, t.RedshiftDataParameters)
	aws.KeepJSON(kept, runCommand, t.RunCommandParameters)
	aws.KeepJSON(kept, sageMaker, t.SageMakerPipelineParameters)
	if len(kept) == 0 {
		return nil
	}
	return kept
}

func showParameters(t *Target, kept map[string]json.RawMessage) (err error) {
	for name, b := range kept {
		switch name {
		case appSync:
			t.AppSyncParameters, err = aws.ParseJSON[AppSyncParameters](b)
		case batch:
			t.BatchParameters, err = aws.ParseJSON[BatchParameters](b)
		case ecs:
			t.EcsParameters, err = aws.ParseJSON[EcsParameters](b)
		case kinesis:
			t.KinesisParameters, err = aws.ParseJSON[KinesisParameters](b)
		case redshift:
			t.RedshiftDataParameters, err = aws.ParseJSON[RedshiftDataParameters](b)
		case runCommand:
			t.RunCommandParameters, err = aws.ParseJSON[RunCommandParameters](b)
		case sageMaker:
			t.SageMakerPipelineParameters, err = aws.ParseJSON[SageMakerPipelineParameters](b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
