package schedulerapi

import (
	"context"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
)

func (f *Front) CreateScheduleGroup(ctx context.Context, in *CreateScheduleGroupInput) (*CreateScheduleGroupOutput, error) {
	arn, err := f.schedules.CreateGroup(ctx, aws.Caller(ctx).Scope, *in.Name, merge(nil, in.Tags), deref(in.ClientToken))
	if err != nil {
		return nil, err
	}
	return &CreateScheduleGroupOutput{ScheduleGroupArn: new(arn.String())}, nil
}

func (f *Front) GetScheduleGroup(ctx context.Context, in *GetScheduleGroupInput) (*GetScheduleGroupOutput, error) {
	scope := aws.Caller(ctx).Scope
	g, err := f.schedules.Group(scope, *in.Name)
	if err != nil {
		return nil, err
	}
	return &GetScheduleGroupOutput{
		Arn: new(g.ARN(scope).String()), Name: &g.Name, State: new(groupState(g)), CreationDate: &g.Created, LastModificationDate: &g.Modified,
	}, nil
}

func groupState(g *catalog.ScheduleGroup) ScheduleGroupState {
	if g.Deleting {
		return ScheduleGroupStateDeleting
	}
	return ScheduleGroupStateActive
}

func (f *Front) DeleteScheduleGroup(ctx context.Context, in *DeleteScheduleGroupInput) (*DeleteScheduleGroupOutput, error) {
	return &DeleteScheduleGroupOutput{}, f.schedules.DeleteGroup(ctx, aws.Caller(ctx).Scope, *in.Name, deref(in.ClientToken))
}

func (f *Front) ListScheduleGroups(ctx context.Context, in *ListScheduleGroupsInput) (*ListScheduleGroupsOutput, error) {
	p, err := open(ctx, in.NextToken, in.MaxResults, deref(in.NamePrefix))
	if err != nil {
		return nil, err
	}
	scope := aws.Caller(ctx).Scope
	found := f.schedules.Groups(scope, deref(in.NamePrefix), p.After, p.Fetch())
	found, next := aws.CutPage(p, found, func(g *catalog.ScheduleGroup) string { return g.Name })
	out := &ListScheduleGroupsOutput{ScheduleGroups: make([]ScheduleGroupSummary, len(found)), NextToken: next}
	for i, g := range found {
		out.ScheduleGroups[i] = ScheduleGroupSummary{
			Arn: new(g.ARN(scope).String()), Name: &g.Name, State: new(groupState(g)), CreationDate: &g.Created, LastModificationDate: &g.Modified,
		}
	}
	return out, nil
}

// tagged is the group of an ARN, which the model has checked.
func tagged(text string) (rialto.Scope, string, error) {
	arn, err := rialto.ParseARN(text)
	name, ok := strings.CutPrefix(arn.Resource, "schedule-group/")
	if err != nil || !ok {
		return rialto.Scope{}, "", invalid("Provided ResourceArn is not valid.")
	}
	return arn.Scope(), name, nil
}

// own is the group of an ARN, if it is the caller's.
func own(ctx context.Context, text string) (rialto.Scope, string, error) {
	scope, name, err := tagged(text)
	if err == nil && scope != aws.Caller(ctx).Scope {
		err = rialto.Errorf(rialto.NotFound, "Schedule group %s does not exist.", name)
	}
	return scope, name, err
}

func (f *Front) TagResource(ctx context.Context, in *TagResourceInput) (*TagResourceOutput, error) {
	scope, name, err := own(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &TagResourceOutput{}, f.schedules.Tag(ctx, scope, name, func(tags []catalog.Tag) ([]catalog.Tag, error) {
		tags = merge(tags, in.Tags)
		if len(tags) > maxTags {
			return nil, invalid("The limit of %d tags for this resource has been exceeded.", maxTags) // AWS's text is not known
		}
		return tags, nil
	})
}

const maxTags = 50 // of a resource (Scheduler user guide, "Tagging")

func (f *Front) UntagResource(ctx context.Context, in *UntagResourceInput) (*UntagResourceOutput, error) {
	scope, name, err := own(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &UntagResourceOutput{}, f.schedules.Tag(ctx, scope, name, func(tags []catalog.Tag) ([]catalog.Tag, error) {
		return slices.DeleteFunc(slices.Clone(tags), func(t catalog.Tag) bool { return slices.Contains(in.TagKeys, t.Key) }), nil
	})
}

func (f *Front) ListTagsForResource(ctx context.Context, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	scope, name, err := own(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	g, err := f.schedules.Group(scope, name)
	if err != nil {
		return nil, err
	}
	out := &ListTagsForResourceOutput{Tags: make([]Tag, len(g.Tags))}
	for i := range g.Tags {
		out.Tags[i] = Tag{Key: &g.Tags[i].Key, Value: &g.Tags[i].Value}
	}
	return out, nil
}

// merge adds tags to a list, in the place of those of the same key.
func merge(tags []catalog.Tag, more []Tag) []catalog.Tag {
	tags = slices.Clone(tags)
	for _, t := range more {
		is := catalog.Tag{Key: *t.Key, Value: *t.Value}
		if i := slices.IndexFunc(tags, func(was catalog.Tag) bool { return was.Key == is.Key }); i >= 0 {
			tags[i] = is
		} else {
			tags = append(tags, is)
		}
	}
	return tags
}
