package schedulerapi

import (
	"context"

	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/scheduler"
)

func (f *Front) CreateSchedule(ctx context.Context, in *CreateScheduleInput) (*CreateScheduleOutput, error) {
	scope := aws.Caller(ctx).Scope
	d, err := f.definition(scope, (*request)(in))
	if err != nil {
		return nil, err
	}
	arn, err := f.schedules.Create(ctx, scope, d, deref(in.ClientToken))
	if err != nil {
		return nil, err
	}
	return &CreateScheduleOutput{ScheduleArn: new(arn.String())}, nil
}

func (f *Front) UpdateSchedule(ctx context.Context, in *UpdateScheduleInput) (*UpdateScheduleOutput, error) {
	scope := aws.Caller(ctx).Scope
	d, err := f.definition(scope, (*request)(in))
	if err != nil {
		return nil, err
	}
	arn, err := f.schedules.Update(ctx, scope, d, deref(in.ClientToken))
	if err != nil {
		return nil, err
	}
	return &UpdateScheduleOutput{ScheduleArn: new(arn.String())}, nil
}

// name is where the caller looks for a schedule.
func name(ctx context.Context, group, schedule *string) scheduler.ScheduleName {
	return scheduler.ScheduleName{Scope: aws.Caller(ctx).Scope, Group: groupOr(group), Name: *schedule}
}

func (f *Front) GetSchedule(ctx context.Context, in *GetScheduleInput) (*GetScheduleOutput, error) {
	is, err := f.schedules.Get(ctx, name(ctx, in.GroupName, in.Name))
	if err != nil {
		return nil, err
	}
	t, err := showTarget(&is.Target)
	if err != nil {
		return nil, err
	}
	return &GetScheduleOutput{
		Arn: new(is.ARN().String()), GroupName: &is.ScheduleName.Group, Name: &is.ScheduleName.Name, Description: is.Description,
		ScheduleExpression: &is.Expression, ScheduleExpressionTimezone: &is.Zone, StartDate: moment(is.Start), EndDate: moment(is.End),
		FlexibleTimeWindow: showWindow(is.Window), State: new(stateOf(is.Enabled)), ActionAfterCompletion: new(actionOf(is.Delete)),
		KmsKeyArn: is.KMSKey, Target: t, CreationDate: &is.Created, LastModificationDate: &is.Modified,
	}, nil
}

func (f *Front) DeleteSchedule(ctx context.Context, in *DeleteScheduleInput) (*DeleteScheduleOutput, error) {
	return &DeleteScheduleOutput{}, f.schedules.Delete(ctx, name(ctx, in.GroupName, in.Name), deref(in.ClientToken))
}

func (f *Front) ListSchedules(ctx context.Context, in *ListSchedulesInput) (*ListSchedulesOutput, error) {
	q := scheduler.Query{Group: deref(in.GroupName), Prefix: deref(in.NamePrefix)}
	if in.State != nil {
		q.State = new(*in.State == ScheduleStateEnabled)
	}
	p, err := open(ctx, in.NextToken, in.MaxResults, q.Group, q.Prefix, string(deref(in.State)))
	if err != nil {
		return nil, err
	}
	list, err := f.schedules.List(ctx, aws.Caller(ctx).Scope, q, p.After, p.Fetch())
	if err != nil {
		return nil, err
	}
	list, next := aws.CutPage(p, list, func(s scheduler.Shown) string { return s.ARN().String() })
	out := &ListSchedulesOutput{Schedules: make([]ScheduleSummary, len(list)), NextToken: next}
	for i := range list {
		is := &list[i]
		out.Schedules[i] = ScheduleSummary{
			Arn: new(is.ARN().String()), GroupName: &is.ScheduleName.Group, Name: &is.ScheduleName.Name, State: new(stateOf(is.Enabled)),
			CreationDate: &is.Created, LastModificationDate: &is.Modified, Target: &TargetSummary{Arn: &is.Target.ARN},
		}
	}
	return out, nil
}
