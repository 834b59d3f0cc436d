package sqsapi

import (
	"context"
	"encoding/base64"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/queue"
)

const maxPage = 1000 // queues that one call lists (SQS API, ListQueues)

func (f *Front) CreateQueue(ctx context.Context, in *CreateQueueInput) (*CreateQueueOutput, error) {
	at := queue.Address{Scope: aws.Caller(ctx).Scope, Name: rialto.QueueName(*in.QueueName)}
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
	p, err := pageOf(in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	scope := aws.Caller(ctx).Scope
	names, next := p.cut(f.queues.List(scope, deref(in.QueueNamePrefix), p.after, p.size+1))
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
	p, err := pageOf(in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	names, err := f.queues.DeadLetterSources(at, p.after, p.size+1)
	if err != nil {
		return nil, err
	}
	names, next := p.cut(names)
	return &ListDeadLetterSourceQueuesOutput{QueueUrls: queueURLs(ctx, at.Scope, names), NextToken: next}, nil
}

// A page is the part of a list that is asked for.
type page struct {
	size  int
	paged bool   // whether there is a token for the rest
	after string // the last name of the page before
}

func pageOf(size *int32, token *string) (page, error) {
	p := page{size: maxPage, paged: size != nil}
	if size != nil {
		if *size < 1 || *size > maxPage {
			return p, errParameter(*size, "MaxResults", "Must be an integer from 1 to 1000, if provided.")
		}
		p.size = int(*size)
	}
	if token != nil {
		after, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return p, errParameter(*token, "NextToken", "The token was not returned by an earlier call.")
		}
		p.after = string(after)
	}
	return p, nil
}

// cut takes the page off a list that may have one name more, and makes the token for the next. Without MaxResults there is none.
func (p page) cut(names []rialto.QueueName) ([]rialto.QueueName, *string) {
	if len(names) <= p.size {
		return names, nil
	}
	names = names[:p.size]
	if !p.paged {
		return names, nil
	}
	return names, new(base64.RawURLEncoding.EncodeToString([]byte(names[p.size-1])))
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
	return &aws.NoOutput{}, f.queues.SetTags(ctx, at, in.Tags)
}

func (f *Front) UntagQueue(ctx context.Context, in *UntagQueueInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, errMissing("TagKeys")
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
