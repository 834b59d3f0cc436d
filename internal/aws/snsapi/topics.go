package snsapi

import (
	"context"
	"encoding/json"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/topic"
)

func (f *Front) CreateTopic(ctx context.Context, in *CreateTopicInput) (*CreateTopicOutput, error) {
	at := topic.Address{Scope: aws.Caller(ctx).Scope, Name: rialto.TopicName(*in.Name)}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := checkProtection(deref(in.DataProtectionPolicy)); err != nil {
		return nil, err
	}
	p := topic.Plan{Attributes: in.Attributes, Tags: tagsOf(in.Tags), Protection: deref(in.DataProtectionPolicy)}
	if err := f.topics.Create(ctx, at, p); err != nil {
		return nil, err
	}
	return &CreateTopicOutput{TopicArn: new(at.ARN().String())}, nil
}

func (f *Front) DeleteTopic(ctx context.Context, in *DeleteTopicInput) (*aws.NoOutput, error) {
	at, err := f.topicOf(ctx, "SNS:DeleteTopic", "TopicArn", *in.TopicArn)
	if err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, f.topics.Delete(ctx, at)
}

func (f *Front) ListTopics(ctx context.Context, in *ListTopicsInput) (*ListTopicsOutput, error) {
	p, err := pageOf(ctx, in.NextToken, "")
	if err != nil {
		return nil, err
	}
	scope := aws.Caller(ctx).Scope
	names, next := aws.CutPage(p, f.topics.List(scope, p.After, p.Fetch()), func(n rialto.TopicName) string { return string(n) })
	out := &ListTopicsOutput{Topics: make([]Topic, len(names)), NextToken: next}
	for i, name := range names {
		out.Topics[i].TopicArn = new(scope.TopicARN(name).String())
	}
	return out, nil
}

func (f *Front) GetTopicAttributes(ctx context.Context, in *GetTopicAttributesInput) (*GetTopicAttributesOutput, error) {
	at, err := f.topicOf(ctx, "SNS:GetTopicAttributes", "TopicArn", *in.TopicArn)
	if err != nil {
		return nil, err
	}
	attributes, err := f.topics.Attributes(at)
	return &GetTopicAttributesOutput{Attributes: attributes}, err
}

func (f *Front) SetTopicAttributes(ctx context.Context, in *SetTopicAttributesInput) (*aws.NoOutput, error) {
	at, err := f.topicOf(ctx, "SNS:SetTopicAttributes", "TopicArn", *in.TopicArn)
	if err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, f.topics.SetAttribute(ctx, at, *in.AttributeName, deref(in.AttributeValue))
}

func (f *Front) GetDataProtectionPolicy(ctx context.Context, in *GetDataProtectionPolicyInput) (*GetDataProtectionPolicyOutput, error) {
	at, err := f.topicOf(ctx, "SNS:GetDataProtectionPolicy", "ResourceArn", *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	policy, err := f.topics.Protection(at)
	return &GetDataProtectionPolicyOutput{DataProtectionPolicy: &policy}, err
}

func (f *Front) PutDataProtectionPolicy(ctx context.Context, in *PutDataProtectionPolicyInput) (*aws.NoOutput, error) {
	at, err := f.topicOf(ctx, "SNS:PutDataProtectionPolicy", "ResourceArn", *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if err := checkProtection(*in.DataProtectionPolicy); err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, f.topics.SetProtection(ctx, at, *in.DataProtectionPolicy)
}

const maxProtection = 30 << 10 // bytes of a data-protection policy (SNS API, PutDataProtectionPolicy)

// checkProtection refuses what is no data-protection policy. It is only kept: rialto neither masks messages nor looks for secrets in them.
func checkProtection(policy string) error {
	var members map[string]json.RawMessage
	if policy != "" && (len(policy) > maxProtection || json.Unmarshal([]byte(policy), &members) != nil) {
		return invalid("DataProtectionPolicy Reason: it must be a JSON object of at most %d bytes", maxProtection)
	}
	return nil
}

func tagsOf(tags []Tag) []catalog.Tag {
	if tags == nil {
		return nil
	}
	list := make([]catalog.Tag, len(tags))
	for i, t := range tags {
		list[i] = catalog.Tag{Key: *t.Key, Value: *t.Value}
	}
	return list
}

// checkTags refuses tags of which two are for one key. How long they may be, the model says.
func checkTags(tags []Tag) error {
	seen := make(map[string]bool)
	for _, t := range tags {
		if seen[*t.Key] {
			return invalid("Duplicated keys are not allowed.")
		}
		seen[*t.Key] = true
	}
	return nil
}
