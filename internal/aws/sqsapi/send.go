package sqsapi

import (
	"context"
	"errors"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/queue"
)

const traceHeader = string(MessageSystemAttributeNameAWSTraceHeader)

func (f *Front) SendMessage(ctx context.Context, in *SendMessageInput) (*SendMessageOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	draft, err := draftOf(ctx, &SendMessageBatchRequestEntry{
		MessageBody: in.MessageBody, DelaySeconds: in.DelaySeconds, MessageAttributes: in.MessageAttributes,
		MessageSystemAttributes: in.MessageSystemAttributes, MessageDeduplicationId: in.MessageDeduplicationId, MessageGroupId: in.MessageGroupId,
	})
	if err != nil {
		return nil, err
	}
	sent, err := f.queues.Send(ctx, at, []queue.Draft{draft})
	if err != nil {
		return nil, err
	}
	if err := sent[0].Err; err != nil {
		return nil, err
	}
	return &SendMessageOutput{
		MessageId: &sent[0].ID, SequenceNumber: text(sent[0].Sequence), MD5OfMessageBody: bodyDigest(draft.Body),
		MD5OfMessageAttributes: attributesDigest(draft.Attributes), MD5OfMessageSystemAttributes: systemDigest(draft.Trace),
	}, nil
}

func (f *Front) SendMessageBatch(ctx context.Context, in *SendMessageBatchInput) (*SendMessageBatchOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	b := batch{entry: "SendMessageBatchRequestEntry"}
	for _, e := range in.Entries {
		b.ids = append(b.ids, *e.Id)
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	out := new(SendMessageBatchOutput)
	var drafts []queue.Draft
	var entries []string // ids of drafts
	size := 0
	for i := range in.Entries {
		draft, err := draftOf(ctx, &in.Entries[i])
		size += draft.Size()
		if err != nil {
			out.Failed = append(out.Failed, failed(b.ids[i], err))
			continue
		}
		drafts, entries = append(drafts, draft), append(entries, b.ids[i])
	}
	if size > queue.MaxMessageSize {
		return nil, rialto.WithCode(rialto.Invalid, "BatchRequestTooLong",
			"Batch requests cannot be longer than %d bytes. You have sent %d bytes.", queue.MaxMessageSize, size)
	}
	sent, err := f.queues.Send(ctx, at, drafts)
	if err != nil {
		return nil, inBatch(err)
	}
	for i, s := range sent {
		if s.Err != nil {
			out.Failed = append(out.Failed, failed(entries[i], s.Err))
			continue
		}
		d := &drafts[i]
		out.Successful = append(out.Successful, SendMessageBatchResultEntry{
			Id: &entries[i], MessageId: &sent[i].ID, SequenceNumber: text(s.Sequence), MD5OfMessageBody: bodyDigest(d.Body),
			MD5OfMessageAttributes: attributesDigest(d.Attributes), MD5OfMessageSystemAttributes: systemDigest(d.Trace),
		})
	}
	return out, nil
}

// draftOf is the message that a caller sends. What is wrong with the wire is refused here, what is wrong with the message by the queue.
func draftOf(ctx context.Context, in *SendMessageBatchRequestEntry) (queue.Draft, error) {
	d := queue.Draft{
		Body: *in.MessageBody, Group: deref(in.MessageGroupId), Dedupe: deref(in.MessageDeduplicationId), Delay: number(in.DelaySeconds),
		Sender: string(aws.Caller(ctx).Scope.Account), Attributes: make(map[string]queue.Attribute, len(in.MessageAttributes)),
	}
	for name, v := range in.MessageAttributes {
		a, err := attributeOf(name, v)
		if err != nil {
			return d, err
		}
		d.Attributes[name] = a
	}
	for name, v := range in.MessageSystemAttributes {
		if name != traceHeader || deref(v.DataType) != "String" || deref(v.StringValue) == "" {
			return d, rialto.Errorf(rialto.Invalid,
				"Message system attribute '%s' is invalid: the only one that can be sent is %s, of type String.", name, traceHeader)
		}
		d.Trace = *v.StringValue
	}
	return d, nil
}

// inBatch is an error of all messages as a batch has it: a parameter that is missing in an entry is an invalid value of the batch.
func inBatch(err error) error {
	if e, ok := errors.AsType[*rialto.Error](err); ok && e.Code == "MissingRequiredParameterException" {
		return rialto.Errorf(rialto.Invalid, "%s", e.Message)
	}
	return err
}

func attributeOf(name string, v MessageAttributeValue) (queue.Attribute, error) {
	if v.StringListValues != nil || v.BinaryListValues != nil {
		return queue.Attribute{}, rialto.WithCode(rialto.Invalid, "UnsupportedOperation",
			"Message attribute list values in SendMessage operation are not supported.")
	}
	a := queue.Attribute{Type: deref(v.DataType)}
	switch {
	case a.Binary() && v.StringValue != nil:
		return a, rialto.Errorf(rialto.Invalid, "The message attribute '%s' with type 'Binary' must use field 'Binary'.", name)
	case a.Binary():
		a.Value = string(v.BinaryValue)
	case v.BinaryValue != nil:
		return a, rialto.Errorf(rialto.Invalid, "The message attribute '%s' with type '%s' must use field 'String'.", name, a.Type)
	default:
		a.Value = deref(v.StringValue)
	}
	return a, nil
}
