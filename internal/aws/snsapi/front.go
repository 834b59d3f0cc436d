package snsapi

import (
	"context"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/topic"
)

// A Front serves SNS.
type Front struct{ topics *topic.Service }

// New makes a Front over the topics.
func New(topics *topic.Service) *Front { return &Front{topics} }

// Service is the API.
func (f *Front) Service() *aws.Service {
	return aws.NewService(&model,
		// topics.go
		aws.Op(f.CreateTopic),
		aws.Op(f.DeleteTopic),
		aws.Op(f.ListTopics),
		aws.Op(f.GetTopicAttributes),
		aws.Op(f.SetTopicAttributes),
		aws.Op(f.GetDataProtectionPolicy),
		aws.Op(f.PutDataProtectionPolicy),

		// tags.go
		aws.Op(f.TagResource),
		aws.Op(f.UntagResource),
		aws.Op(f.ListTagsForResource),

		// permissions.go
		aws.Op(f.AddPermission),
		aws.Op(f.RemovePermission),

		// subscriptions.go
		aws.Op(f.Subscribe),
		aws.Open(aws.Op(f.ConfirmSubscription)),
		aws.Open(aws.Op(f.Unsubscribe)),
		aws.Op(f.GetSubscriptionAttributes),
		aws.Op(f.SetSubscriptionAttributes),
		aws.Op(f.ListSubscriptions),
		aws.Op(f.ListSubscriptionsByTopic),

		// publish.go
		aws.Op(f.Publish),
		aws.Op(f.PublishBatch),

		// absent.go
		aws.Op(f.GetSMSAttributes),
		aws.Op(f.GetSMSSandboxAccountStatus),
		aws.Op(f.ListOriginationNumbers),
		aws.Op(f.ListPhoneNumbersOptedOut),
		aws.Op(f.ListPlatformApplications),
		aws.Op(f.ListSMSSandboxPhoneNumbers),
	)
}

func invalid(format string, args ...any) error {
	return rialto.Errorf(rialto.Invalid, "Invalid parameter: "+format, args...)
}

// parseARN reads the ARN in a parameter of that name.
func parseARN(name, text string) (rialto.ARN, error) {
	if n := strings.Count(text, ":") + 1; n < 6 {
		return rialto.ARN{}, invalid("%s Reason: An ARN must have at least 6 elements, not %d", name, n)
	}
	arn, err := rialto.ParseARN(text)
	if err != nil || arn.Service != "sns" {
		return arn, invalid("%s", name)
	}
	return arn, nil
}

// topicOf reads the ARN of a topic, of which the caller wants to do something. The topic is of the region that is spoken to.
func (f *Front) topicOf(ctx context.Context, action, name, text string) (topic.Address, error) {
	arn, err := parseARN(name, text)
	if err != nil {
		return topic.Address{}, err
	}
	at, ok := topic.AddressOf(arn)
	if !ok || at.Scope.Region != aws.Caller(ctx).Scope.Region {
		return at, invalid("%s", name)
	}
	return at, f.admit(ctx, action, at)
}

// admit refuses a caller who may not do something with a topic.
func (f *Front) admit(ctx context.Context, action string, at topic.Address) error {
	caller := aws.Caller(ctx)
	if caller.Anonymous || f.topics.Allows(at, topic.Access{Account: caller.Scope.Account, Action: action}) {
		return nil
	}
	return rialto.Errorf(rialto.Denied, "User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
		caller.Principal, action, at.ARN(), action)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// text is a member of an output that is left out if it is empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

const maxPage = 100 // topics or subscriptions that one call lists (SNS API, ListTopics)

// pageOf is the page of a list that depends on a name.
func pageOf(ctx context.Context, token *string, name string) (aws.Page, error) {
	p, ok := aws.OpenPage(aws.Caller(ctx), token, maxPage, name)
	if !ok {
		return p, invalid("NextToken Reason: The token was not returned by an earlier call")
	}
	return p, nil
}
