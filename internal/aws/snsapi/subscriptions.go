package snsapi

import (
	"context"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/topic"
	"github.com/rialto-events/rialto/target"
)

// What stands for the ARN of a subscription that is not confirmed yet.
const (
	pendingAnswer = "pending confirmation" // of Subscribe
	pendingListed = "PendingConfirmation"
)

func (f *Front) Subscribe(ctx context.Context, in *SubscribeInput) (*SubscribeOutput, error) {
	at, err := f.topicOf(ctx, "SNS:Subscribe", "TopicArn", *in.TopicArn)
	if err != nil {
		return nil, err
	}
	caller := aws.Caller(ctx)
	u, err := f.topics.Subscribe(ctx, at, topic.Wish{
		Protocol: target.Protocol(*in.Protocol), Endpoint: deref(in.Endpoint), Attributes: in.Attributes,
		Owner: caller.Scope.Account, Principal: caller.Principal,
	})
	if err != nil {
		return nil, err
	}
	if u.Pending() && !deref(in.ReturnSubscriptionArn) {
		return &SubscribeOutput{SubscriptionArn: new(pendingAnswer)}, nil
	}
	return &SubscribeOutput{SubscriptionArn: new(u.Address.ARN().String())}, nil
}

func (f *Front) ConfirmSubscription(ctx context.Context, in *ConfirmSubscriptionInput) (*ConfirmSubscriptionOutput, error) {
	arn, err := rialto.ParseARN(*in.TopicArn)
	at, ok := topic.AddressOf(arn)
	if err != nil || !ok {
		return nil, invalid("Topic")
	}
	lock := strings.EqualFold(deref(in.AuthenticateOnUnsubscribe), "true")
	confirmed, err := f.topics.Confirm(ctx, at, *in.Token, !aws.Caller(ctx).Anonymous, lock)
	if err != nil {
		return nil, err
	}
	return &ConfirmSubscriptionOutput{SubscriptionArn: new(confirmed.ARN().String())}, nil
}

func (f *Front) Unsubscribe(ctx context.Context, in *UnsubscribeInput) (*aws.NoOutput, error) {
	address, err := subscriptionOf(*in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	u, err := f.topics.Subscription(address)
	if err != nil {
		return &aws.NoOutput{}, nil // it has ended
	}
	if caller := aws.Caller(ctx); u.Locked || !caller.Anonymous {
		if err := f.own(ctx, "SNS:Unsubscribe", u); err != nil {
			return nil, err
		}
	}
	return &aws.NoOutput{}, f.topics.Unsubscribe(ctx, address)
}

// subscriptionOf reads the ARN of a subscription.
func subscriptionOf(text string) (topic.SubscriptionAddress, error) {
	arn, err := parseARN("SubscriptionArn", text)
	if err != nil {
		return topic.SubscriptionAddress{}, err
	}
	address, ok := topic.SubscriptionAddressOf(arn)
	if !ok {
		return address, invalid("SubscriptionId")
	}
	return address, nil
}

// own refuses a caller to whom neither the subscription nor its topic belongs.
func (f *Front) own(ctx context.Context, action string, u topic.Subscription) error {
	caller := aws.Caller(ctx)
	if !caller.Anonymous && (caller.Scope.Account == u.Owner || f.topics.Allows(u.Address.Topic, topic.Access{Account: caller.Scope.Account, Action: action})) {
		return nil
	}
	return rialto.Errorf(rialto.Denied, "User: %s is not authorized to perform: %s on resource: %s", caller.Principal, action, u.Address.ARN())
}

// subscription finds the subscription of an ARN, of which the caller wants to do something.
func (f *Front) subscription(ctx context.Context, action, arn string) (topic.Subscription, error) {
	address, err := subscriptionOf(arn)
	if err != nil {
		return topic.Subscription{}, err
	}
	u, err := f.topics.Subscription(address)
	if err != nil {
		return u, err
	}
	return u, f.own(ctx, action, u)
}

func (f *Front) GetSubscriptionAttributes(ctx context.Context, in *GetSubscriptionAttributesInput) (*GetSubscriptionAttributesOutput, error) {
	u, err := f.subscription(ctx, "SNS:GetSubscriptionAttributes", *in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	attributes, err := f.topics.SubscriptionAttributes(u.Address)
	return &GetSubscriptionAttributesOutput{Attributes: attributes}, err
}

func (f *Front) SetSubscriptionAttributes(ctx context.Context, in *SetSubscriptionAttributesInput) (*aws.NoOutput, error) {
	u, err := f.subscription(ctx, "SNS:SetSubscriptionAttributes", *in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, f.topics.SetSubscriptionAttribute(ctx, u.Address, *in.AttributeName, deref(in.AttributeValue))
}

func (f *Front) ListSubscriptions(ctx context.Context, in *ListSubscriptionsInput) (*ListSubscriptionsOutput, error) {
	list, next, err := f.list(ctx, topic.Address{Scope: aws.Caller(ctx).Scope}, in.NextToken)
	return &ListSubscriptionsOutput{Subscriptions: list, NextToken: next}, err
}

func (f *Front) ListSubscriptionsByTopic(ctx context.Context, in *ListSubscriptionsByTopicInput) (*ListSubscriptionsByTopicOutput, error) {
	at, err := f.topicOf(ctx, "SNS:ListSubscriptionsByTopic", "TopicArn", *in.TopicArn)
	if err != nil {
		return nil, err
	}
	if err := f.topics.Exists(at); err != nil {
		return nil, err
	}
	list, next, err := f.list(ctx, at, in.NextToken)
	return &ListSubscriptionsByTopicOutput{Subscriptions: list, NextToken: next}, err
}

func (f *Front) list(ctx context.Context, at topic.Address, token *string) ([]Subscription, *string, error) {
	p, err := pageOf(ctx, token, string(at.Name))
	if err != nil {
		return nil, nil, err
	}
	found, next := aws.CutPage(p, f.topics.Subscriptions(at, p.After, p.Fetch()), topic.Subscription.Key)
	list := make([]Subscription, len(found))
	for i, u := range found {
		list[i] = Subscription{
			SubscriptionArn: new(u.Address.ARN().String()), TopicArn: new(u.Address.Topic.ARN().String()),
			Protocol: new(string(u.Protocol)), Endpoint: &u.Endpoint, Owner: new(string(u.Owner)),
		}
		if u.Pending() {
			list[i].SubscriptionArn = new(pendingListed)
		}
	}
	return list, next, nil
}
