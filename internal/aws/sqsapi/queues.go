package sqsapi

import (
	"context"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/queue"
)

const maxPage = 1000 // queues that one call lists (SQS API, ListQueues)

func (f *Front) CreateQueue(ctx context.Context, in *CreateQueueInput) (*CreateQueueOutput, error) {
	at := queue.Address{Scope: aws.Caller(ctx).Scope, Name: rialto.QueueName(*in.QueueName)}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := f.queues.Create(ctx, at, in.Attributes, in.Tags); err != nil {
		return nil, err
	}
	return &CreateQueueOutput{QueueUrl: new(queueURL(ctx, at))}, nil
}

func (f *Front) DeleteQueue(ctx context.Context, in *DeleteQueueInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, f.queues.Delete(ctx, at)
}

func (f *Front) GetQueueUrl(ctx context.Context, in *GetQueueUrlInput) (*GetQueueUrlOutput, error) {
	at := queue.Address{Scope: aws.Caller(ctx).Scope, Name: rialto.QueueName(*in.QueueName)}
	if owner := deref(in.QueueOwnerAWSAccountId); owner != "" {
		at.Scope.Account = rialto.AccountID(owner)
	}
	if err := f.admit(ctx, at.Scope.Account); err != nil {
		return nil, err
	}
	if err := f.queues.Exists(at); err != nil {
		return nil, err
	}
	return &GetQueueUrlOutput{QueueUrl: new(queueURL(ctx, at))}, nil
}

func (f *Front) ListQueues(ctx context.Context, in *ListQueuesInput) (*ListQueuesOutput, error) {
	p, err := pageOf(ctx, in.MaxResults, in.NextToken, deref(in.QueueNamePrefix))
	if err != nil {
		return nil, err
	}
	scope := aws.Caller(ctx).Scope
	names, next := p.cut(f.queues.List(scope, deref(in.QueueNamePrefix), p.After, p.Fetch()))
	out := &ListQueuesOutput{NextToken: next}
	if len(names) > 0 {
		out.QueueUrls = queueURLs(ctx, scope, names)
	}
	return out, nil
}

func (f *Front) ListDeadLetterSourceQueues(ctx context.Context, in *ListDeadLetterSourceQueuesInput) (*ListDeadLetterSourceQueuesOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	p, err := pageOf(ctx, in.MaxResults, in.NextToken, string(at.Name))
	if err != nil {
		return nil, err
	}
	names, err := f.queues.DeadLetterSources(at, p.After, p.Fetch())
	if err != nil {
		return nil, err
	}
	names, next := p.cut(names)
	return &ListDeadLetterSourceQueuesOutput{QueueUrls: queueURLs(ctx, at.Scope, names), NextToken: next}, nil
}

// A page is the part of a list that is asked for.
type page struct {
	aws.Page
	tokens bool // whether there is one for the rest; without MaxResults there is none
}

// pageOf is the page of a list that depends on a name.
func pageOf(ctx context.Context, size *int32, token *string, name string) (page, error) {
	n := int32(maxPage)
	if size != nil {
		if n = *size; n < 1 || n > maxPage {
			return page{}, errParameter(n, "MaxResults", "Must be an integer from 1 to 1000, if provided.")
		}
	}
	p, ok := aws.OpenPage(aws.Caller(ctx), token, int(n), name)
	if !ok {
		return page{}, errParameter(*token, "NextToken", "The token was not returned by an earlier call.")
	}
	return page{p, size != nil}, nil
}

// cut takes the page off a list that may have one name more, and makes the token for the next.
func (p page) cut(names []rialto.QueueName) ([]rialto.QueueName, *string) {
	names, next := aws.CutPage(p.Page, names, func(n rialto.QueueName) string { return string(n) })
	if !p.tokens {
		next = nil
	}
	return names, next
}

func (f *Front) GetQueueAttributes(ctx context.Context, in *GetQueueAttributesInput) (*GetQueueAttributesOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	attributes, err := f.queues.Attributes(ctx, at, plain(in.AttributeNames))
	if err != nil || len(attributes) == 0 {
		return &GetQueueAttributesOutput{}, err
	}
	return &GetQueueAttributesOutput{Attributes: attributes}, nil
}

func (f *Front) SetQueueAttributes(ctx context.Context, in *SetQueueAttributesInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if in.Attributes == nil {
		return nil, errMissing("Attributes")
	}
	return &aws.NoOutput{}, f.queues.SetAttributes(ctx, at, in.Attributes)
}

func (f *Front) PurgeQueue(ctx context.Context, in *PurgeQueueInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, f.queues.Purge(ctx, at)
}

func (f *Front) TagQueue(ctx context.Context, in *TagQueueInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, errMissing("Tags")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, f.queues.SetTags(ctx, at, in.Tags)
}

// Characters of tags (SQS developer guide, "Tag restrictions").
const (
	maxTagKey   = 128
	maxTagValue = 256
)

var (
	errTagKey   = rialto.Errorf(rialto.Invalid, "Tag keys must be between 1 and %d characters in length.", maxTagKey)
	errTagValue = rialto.Errorf(rialto.Invalid, "Tag values must be between 0 and %d characters in length.", maxTagValue)
)

func checkTags(tags map[string]string) error {
	for key, value := range tags {
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey:
			return errTagKey
		case utf8.RuneCountInString(value) > maxTagValue:
			return errTagValue
		}
	}
	return nil
}

func (f *Front) UntagQueue(ctx context.Context, in *UntagQueueInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, errTagKey
	}
	return &aws.NoOutput{}, f.queues.RemoveTags(ctx, at, in.TagKeys)
}

func (f *Front) ListQueueTags(ctx context.Context, in *ListQueueTagsInput) (*ListQueueTagsOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	tags, err := f.queues.Tags(at)
	if err != nil || len(tags) == 0 {
		return &ListQueueTagsOutput{}, err
	}
	return &ListQueueTagsOutput{Tags: tags}, nil
}
