package eventsapi

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/tuning"
)

// A tagged resource is a rule, or a bus if there is no rule.
type tagged struct {
	bus  route.Bus
	rule rialto.RuleName
}

// tagged finds the resource of an ARN. The bus exists.
func (f *Front) tagged(ctx context.Context, s, action string) (tagged, error) {
	caller := aws.Caller(ctx)
	arn, err := rialto.ParseARN(s)
	if err != nil || arn.Service != "events" {
		return tagged{}, errBadARN(s)
	}
	t := tagged{bus: route.Bus{Scope: arn.Scope()}}
	if bus, ok := strings.CutPrefix(arn.Resource, "event-bus/"); ok {
		t.bus.Name = rialto.BusName(bus)
	} else if t.bus.Name, t.rule, ok = parseRuleARN(arn.Resource); !ok || t.rule == "" {
		return tagged{}, errBadARN(s)
	}
	if arn.Region != caller.Scope.Region {
		return tagged{}, invalid("Cross-region api call is not allowed.")
	}
	if t.rule == "" {
		err = f.allow(caller, t.bus, action)
	} else {
		err = f.allowRule(caller, ruleName{t.bus, t.rule}, action)
	}
	return t, cmp.Or(err, f.wantBus(t.bus))
}

// editTags changes the tags of a resource.
func (f *Front) editTags(ctx context.Context, t tagged, change func([]catalog.Tag) ([]catalog.Tag, error)) (err error) {
	defer f.control.lock(t.bus.Scope)()
	if t.rule != "" {
		_, err = f.editRule(ctx, ruleName{t.bus, t.rule}, func(r *catalog.Rule) (err error) {
			if err := wantUnmanaged(r); err != nil {
				return err
			}
			r.Tags, err = change(r.Tags)
			return err
		})
		return err
	}
	_, err = f.editBus(ctx, t.bus, func(b *catalog.Bus) (err error) {
		b.Tags, err = change(b.Tags)
		return err
	})
	return err
}

// TagResource sets tags, in the order in which they come.
func (f *Front) TagResource(ctx context.Context, in *TagResourceInput) (*TagResourceOutput, error) {
	t, err := f.tagged(ctx, *in.ResourceARN, "events:TagResource")
	if err != nil {
		return nil, err
	}
	err = f.editTags(ctx, t, func(tags []catalog.Tag) ([]catalog.Tag, error) {
		if t.rule != "" {
			return f.upsertTags(tags, in.Tags, tuning.CheckRule)
		}
		return f.upsertTags(tags, in.Tags, tuning.CheckBus)
	})
	return &TagResourceOutput{}, err
}

// UntagResource takes tags away, and succeeds also for those that are not there.
func (f *Front) UntagResource(ctx context.Context, in *UntagResourceInput) (*UntagResourceOutput, error) {
	t, err := f.tagged(ctx, *in.ResourceARN, "events:UntagResource")
	if err != nil {
		return nil, err
	}
	err = f.editTags(ctx, t, func(tags []catalog.Tag) ([]catalog.Tag, error) {
		return slices.DeleteFunc(slices.Clone(tags), func(t catalog.Tag) bool { return slices.Contains(in.TagKeys, t.Key) }), nil
	})
	return &UntagResourceOutput{}, err
}

func (f *Front) ListTagsForResource(ctx context.Context, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	t, err := f.tagged(ctx, *in.ResourceARN, "events:ListTagsForResource")
	if err != nil {
		return nil, err
	}
	var tags []catalog.Tag
	if t.rule != "" {
		name := ruleName{t.bus, t.rule}
		r := f.catalog.Rules.Get(name.key())
		if r == nil {
			return nil, name.missing()
		}
		tags = r.Tags
	} else if b := f.settings(t.bus); b != nil {
		tags = b.Tags
	}
	out := &ListTagsForResourceOutput{Tags: make([]Tag, 0, len(tags))}
	for _, t := range tags {
		out.Tags = append(out.Tags, Tag{Key: new(t.Key), Value: new(t.Value)})
	}
	return out, nil
}

// upsertTags puts tags to others: a key that is there gets the new value in its place, a new one comes last.
// The check is for the tags that mean something to rialto.
func (f *Front) upsertTags(tags []catalog.Tag, given []Tag, check func(key, value string) error) ([]catalog.Tag, error) {
	tags = slices.Clone(tags)
	for _, g := range given {
		if strings.HasPrefix(*g.Key, "aws:") {
			return nil, invalid("aws: prefixed tag key names are not allowed for external use.")
		}
		if err := check(*g.Key, *g.Value); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(tags, func(t catalog.Tag) bool { return t.Key == *g.Key }); i >= 0 {
			tags[i].Value = *g.Value
			continue
		}
		tags = append(tags, catalog.Tag{Key: *g.Key, Value: *g.Value})
	}
	if len(tags) > f.limits.Tags {
		return nil, invalid("A resource can have at most %d tags.", f.limits.Tags)
	}
	return tags, nil
}
