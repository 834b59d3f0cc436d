package snsapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/topic"
)

func (f *Front) Publish(ctx context.Context, in *PublishInput) (*PublishOutput, error) {
	at, err := f.publishTo(ctx, in)
	if err != nil {
		return nil, err
	}
	draft, err := draftOf(ctx, "", &PublishBatchRequestEntry{
		Message: in.Message, Subject: in.Subject, MessageStructure: in.MessageStructure, MessageAttributes: in.MessageAttributes,
		MessageDeduplicationId: in.MessageDeduplicationId, MessageGroupId: in.MessageGroupId,
	})
	if err != nil {
		return nil, err
	}
	receipts, err := f.topics.Publish(ctx, at, []topic.Draft{draft})
	if err != nil {
		return nil, err
	}
	if err := receipts[0].Err; err != nil {
		return nil, err
	}
	return &PublishOutput{MessageId: &receipts[0].ID, SequenceNumber: text(receipts[0].Sequence)}, nil
}

// publishTo is the topic that a message goes to.
func (f *Front) publishTo(ctx context.Context, in *PublishInput) (topic.Address, error) {
	switch {
	case deref(in.PhoneNumber) != "":
		return topic.Address{}, invalid("PhoneNumber Reason: rialto sends no text messages")
	case in.TopicArn != nil && in.TargetArn != nil:
		return topic.Address{}, invalid("TopicArn or TargetArn Reason: only one of them may be given")
	case in.TopicArn != nil:
		return f.topicOf(ctx, "SNS:Publish", "TopicArn", *in.TopicArn)
	case in.TargetArn == nil:
		return topic.Address{}, invalid("TopicArn or TargetArn Reason: no value for required parameter")
	case strings.Contains(*in.TargetArn, ":endpoint/"):
		return topic.Address{}, invalid("TargetArn Reason: No endpoint found for the target arn specified")
	}
	return f.topicOf(ctx, "SNS:Publish", "TargetArn", *in.TargetArn)
}

// draftOf is the message that a caller publishes. The path leads to it in a batch, and is empty for one alone. What is wrong with the wire
// is refused here, what is wrong with the message by the topics.
func draftOf(ctx context.Context, path string, in *PublishBatchRequestEntry) (topic.Draft, error) {
	d := topic.Draft{
		Subject: in.Subject, Message: *in.Message, Structured: deref(in.MessageStructure) == "json",
		Group: in.MessageGroupId, Dedupe: in.MessageDeduplicationId, Trace: aws.Caller(ctx).Trace,
	}
	if s := deref(in.MessageStructure); s != "" && s != "json" {
		return d, invalid("MessageStructure")
	}
	for _, name := range slices.Sorted(maps.Keys(in.MessageAttributes)) {
		v := in.MessageAttributes[name]
		if v.DataType == nil {
			return d, rialto.WithCode(rialto.Invalid, "ValidationException", "1 validation error detected: Value null at "+
				"'%smessageAttributes.%s.member.dataType' failed to satisfy constraint: Member must not be null", path, name)
		}
		if d.Attributes == nil {
			d.Attributes = make(map[string]notification.Attribute, len(in.MessageAttributes))
		}
		d.Attributes[name] = notification.Attribute{Type: *v.DataType, String: deref(v.StringValue), Binary: v.BinaryValue}
	}
	return d, nil
}
