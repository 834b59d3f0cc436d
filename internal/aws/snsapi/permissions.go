package snsapi

import (
	"context"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/policy"
)

// shared are the actions that the owner of a topic may let others do (SNS API, AddPermission).
var shared = []string{
	"*", "AddPermission", "DeleteTopic", "GetDataProtectionPolicy", "GetTopicAttributes", "ListSubscriptionsByTopic", "ListTagsForResource",
	"Publish", "PutDataProtectionPolicy", "RemovePermission", "SetTopicAttributes", "Subscribe",
}

func (f *Front) AddPermission(ctx context.Context, in *AddPermissionInput) (*aws.NoOutput, error) {
	at, err := f.topicOf(ctx, "SNS:AddPermission", "TopicArn", *in.TopicArn)
	if err != nil {
		return nil, err
	}
	if len(in.AWSAccountId) == 0 || slices.ContainsFunc(in.AWSAccountId, func(s string) bool { return len(s) != 12 || strings.Trim(s, "0123456789") != "" }) {
		return nil, invalid("AWSAccountId Reason: Invalid")
	}
	var actions []string
	for _, action := range in.ActionName {
		if !slices.Contains(shared, action) {
			return nil, invalid("Policy statement action out of service scope!")
		}
		actions = append(actions, "SNS:"+action)
	}
	if actions == nil {
		return nil, invalid("ActionName")
	}
	err = f.topics.ChangePolicy(ctx, at, func(text string) (string, error) {
		p := policy.Parse(text)
		if p.Find(*in.Label) >= 0 {
			return "", invalid("Statement already exists")
		}
		if err := p.Allow(*in.Label, in.AWSAccountId, actions, at.ARN().String()); err != nil {
			return "", err
		}
		return p.Text()
	})
	return &aws.NoOutput{}, err
}

func (f *Front) RemovePermission(ctx context.Context, in *RemovePermissionInput) (*aws.NoOutput, error) {
	at, err := f.topicOf(ctx, "SNS:RemovePermission", "TopicArn", *in.TopicArn)
	if err != nil {
		return nil, err
	}
	err = f.topics.ChangePolicy(ctx, at, func(text string) (string, error) {
		p := policy.Parse(text)
		i := p.Find(*in.Label)
		if i < 0 {
			return "", rialto.Errorf(rialto.NotFound, "Statement does not exist")
		}
		p.Statement = slices.Delete(p.Statement, i, i+1)
		return p.Text()
	})
	return &aws.NoOutput{}, err
}
