package sqsapi

import (
	"context"
	"strconv"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/queue"
)

func (f *Front) ReceiveMessage(ctx context.Context, in *ReceiveMessageInput) (*ReceiveMessageOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	system, err := systemNames(in)
	if err != nil {
		return nil, err
	}
	opts := queue.ReceiveOptions{Max: 1, Attempt: deref(in.ReceiveRequestAttemptId), Visibility: number(in.VisibilityTimeout), Wait: number(in.WaitTimeSeconds)}
	if n := in.MaxNumberOfMessages; n != nil {
		opts.Max = int(*n)
		if opts.Max < 1 {
			return nil, errParameter(*n, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
		}
	}
	messages, err := f.queues.Receive(ctx, at, opts)
	if err != nil && ctx.Err() != nil {
		return new(ReceiveMessageOutput), nil // the caller has gone, or the server ends: no failure, and no messages
	}
	if err != nil {
		return nil, err
	}
	out := new(ReceiveMessageOutput)
	for i := range messages {
		out.Messages = append(out.Messages, shown(&messages[i], system, in.MessageAttributeNames))
	}
	return out, nil
}

// A system attribute is one that the service gives a message. Those that are empty are not shown.
var systemAttributes = map[MessageSystemAttributeName]func(m *queue.Message) string{
	MessageSystemAttributeNameSenderId:                         func(m *queue.Message) string { return m.Sender },
	MessageSystemAttributeNameSentTimestamp:                    func(m *queue.Message) string { return strconv.FormatInt(m.Sent.UnixMilli(), 10) },
	MessageSystemAttributeNameApproximateReceiveCount:          func(m *queue.Message) string { return strconv.Itoa(m.Receives) },
	MessageSystemAttributeNameApproximateFirstReceiveTimestamp: func(m *queue.Message) string { return strconv.FormatInt(m.FirstReceived.UnixMilli(), 10) },
	MessageSystemAttributeNameAWSTraceHeader:                   func(m *queue.Message) string { return m.Trace },
	MessageSystemAttributeNameDeadLetterQueueSourceArn:         func(m *queue.Message) string { return m.Source },
	MessageSystemAttributeNameMessageGroupId:                   func(m *queue.Message) string { return m.Group },
	MessageSystemAttributeNameMessageDeduplicationId:           func(m *queue.Message) string { return m.Dedupe },
	MessageSystemAttributeNameSequenceNumber:                   func(m *queue.Message) string { return m.Sequence },
}

// systemNames lists the system attributes that are asked for, by either of the two parameters that can.
func systemNames(in *ReceiveMessageInput) ([]MessageSystemAttributeName, error) {
	asked := in.MessageSystemAttributeNames
	for _, name := range in.AttributeNames {
		asked = append(asked, MessageSystemAttributeName(name))
	}
	var names []MessageSystemAttributeName
	for _, name := range asked {
		if name == MessageSystemAttributeNameAll {
			names = names[:0]
			for name := range systemAttributes {
				names = append(names, name)
			}
			return names, nil
		}
		if systemAttributes[name] == nil {
			return nil, rialto.WithCode(rialto.Invalid, "InvalidAttributeName", "Unknown Attribute %s.", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// shown is a message as the caller wants to see it.
func shown(m *queue.Message, system []MessageSystemAttributeName, user []string) Message {
	out := Message{MessageId: &m.ID, ReceiptHandle: &m.Handle, MD5OfBody: bodyDigest(m.Body), Body: &m.Body}
	for _, name := range system {
		if value := systemAttributes[name](m); value != "" {
			if out.Attributes == nil {
				out.Attributes = make(map[string]string)
			}
			out.Attributes[string(name)] = value
		}
	}
	chosen := make(map[string]queue.Attribute)
	for name, a := range m.Attributes {
		if !wanted(name, user) {
			continue
		}
		if out.MessageAttributes == nil {
			out.MessageAttributes = make(map[string]MessageAttributeValue)
		}
		chosen[name] = a
		out.MessageAttributes[name] = attributeValue(a)
	}
	out.MD5OfMessageAttributes = attributesDigest(chosen)
	return out
}

// wanted reports whether a user attribute is asked for: by name, by what stands before ".*", or because all are.
func wanted(name string, asked []string) bool {
	for _, a := range asked {
		prefix, isPrefix := strings.CutSuffix(a, ".*")
		if a == name || a == "All" || isPrefix && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func attributeValue(a queue.Attribute) MessageAttributeValue {
	v := MessageAttributeValue{DataType: &a.Type}
	if a.Binary() {
		v.BinaryValue = []byte(a.Value)
	} else {
		v.StringValue = &a.Value
	}
	return v
}

func (f *Front) DeleteMessage(ctx context.Context, in *DeleteMessageInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	errs, err := f.queues.DeleteMessages(ctx, at, []string{*in.ReceiptHandle})
	if err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, errs[0]
}

func (f *Front) DeleteMessageBatch(ctx context.Context, in *DeleteMessageBatchInput) (*DeleteMessageBatchOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	b := batch{entry: "DeleteMessageBatchRequestEntry"}
	var handles []string
	for _, e := range in.Entries {
		b.ids, handles = append(b.ids, *e.Id), append(handles, *e.ReceiptHandle)
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	errs, err := f.queues.DeleteMessages(ctx, at, handles)
	if err != nil {
		return nil, err
	}
	out := new(DeleteMessageBatchOutput)
	for i, err := range errs {
		if err != nil {
			out.Failed = append(out.Failed, failed(b.ids[i], err))
			continue
		}
		out.Successful = append(out.Successful, DeleteMessageBatchResultEntry{Id: &b.ids[i]})
	}
	return out, nil
}

func (f *Front) ChangeMessageVisibility(ctx context.Context, in *ChangeMessageVisibilityInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	errs, err := f.queues.ChangeVisibility(ctx, at, []queue.Change{{Handle: *in.ReceiptHandle, Seconds: int(*in.VisibilityTimeout)}})
	if err != nil {
		return nil, err
	}
	return &aws.NoOutput{}, errs[0]
}

func (f *Front) ChangeMessageVisibilityBatch(ctx context.Context, in *ChangeMessageVisibilityBatchInput) (*ChangeMessageVisibilityBatchOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	b := batch{entry: "ChangeMessageVisibilityBatchRequestEntry"}
	var changes []queue.Change
	for _, e := range in.Entries {
		b.ids, changes = append(b.ids, *e.Id), append(changes, queue.Change{Handle: *e.ReceiptHandle, Seconds: int(deref(e.VisibilityTimeout))})
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	errs, err := f.queues.ChangeVisibility(ctx, at, changes)
	if err != nil {
		return nil, err
	}
	out := new(ChangeMessageVisibilityBatchOutput)
	for i, err := range errs {
		if err != nil {
			out.Failed = append(out.Failed, failed(b.ids[i], err))
			continue
		}
		out.Successful = append(out.Successful, ChangeMessageVisibilityBatchResultEntry{Id: &b.ids[i]})
	}
	return out, nil
}
