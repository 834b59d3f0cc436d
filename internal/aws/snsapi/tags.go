package snsapi

import (
	"context"

	"github.com/rialto-events/rialto"
)

// errNoResource is what operations on tags say of a topic that is not there.
var errNoResource = rialto.WithCode(rialto.NotFound, "ResourceNotFoundException", "Resource does not exist")

// tagged says what an error of the topics means for tags.
func tagged(err error) error {
	if rialto.KindOf(err) == rialto.NotFound {
		return errNoResource
	}
	return err
}

func (f *Front) TagResource(ctx context.Context, in *TagResourceInput) (*TagResourceOutput, error) {
	at, err := f.topicOf(ctx, "SNS:TagResource", "ResourceArn", *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return &TagResourceOutput{}, tagged(f.topics.SetTags(ctx, at, tagsOf(in.Tags)))
}

func (f *Front) UntagResource(ctx context.Context, in *UntagResourceInput) (*UntagResourceOutput, error) {
	at, err := f.topicOf(ctx, "SNS:UntagResource", "ResourceArn", *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &UntagResourceOutput{}, tagged(f.topics.RemoveTags(ctx, at, in.TagKeys))
}

func (f *Front) ListTagsForResource(ctx context.Context, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	at, err := f.topicOf(ctx, "SNS:ListTagsForResource", "ResourceArn", *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags, err := f.topics.Tags(at)
	out := &ListTagsForResourceOutput{Tags: make([]Tag, len(tags))}
	for i := range tags {
		out.Tags[i] = Tag{Key: &tags[i].Key, Value: &tags[i].Value}
	}
	return out, tagged(err)
}
