package snsapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/topic"
)

// Limits of batches (SNS API, PublishBatch).
const (
	maxEntries = 10
	maxID      = 80      // characters of an entry's id
	maxBatch   = 262_144 // bytes of all messages
)

func (f *Front) PublishBatch(ctx context.Context, in *PublishBatchInput) (*PublishBatchOutput, error) {
	at, err := f.topicOf(ctx, "SNS:Publish", "TopicArn", *in.TopicArn)
	if err != nil {
		return nil, err
	}
	if err := f.topics.Exists(at); err != nil {
		return nil, err
	}
	if err := checkEntries(in.PublishBatchRequestEntries); err != nil {
		return nil, err
	}
	drafts, size := make([]topic.Draft, len(in.PublishBatchRequestEntries)), 0
	for i := range in.PublishBatchRequestEntries {
		path := fmt.Sprintf("publishBatchRequestEntries.%d.member.", i+1)
		if drafts[i], err = draftOf(ctx, path, &in.PublishBatchRequestEntries[i]); err != nil {
			return nil, err
		}
		size += drafts[i].Size()
	}
	if size > maxBatch {
		return nil, rialto.WithCode(rialto.Invalid, "BatchRequestTooLongException", "The length of all the messages put together is more than the limit.")
	}
	receipts, err := f.topics.Publish(ctx, at, drafts)
	if err != nil {
		return nil, err
	}
	out := &PublishBatchOutput{Successful: []PublishBatchResultEntry{}, Failed: []BatchResultErrorEntry{}}
	for i := range receipts {
		r, id := &receipts[i], in.PublishBatchRequestEntries[i].Id
		if r.Err != nil {
			out.Failed = append(out.Failed, failed(id, r.Err))
			continue
		}
		out.Successful = append(out.Successful, PublishBatchResultEntry{Id: id, MessageId: &r.ID, SequenceNumber: text(r.Sequence)})
	}
	return out, nil
}

// checkEntries refuses a batch as a whole.
func checkEntries(entries []PublishBatchRequestEntry) error {
	switch n := len(entries); {
	case n == 0:
		return rialto.WithCode(rialto.Invalid, "EmptyBatchRequestException", "The batch request doesn't contain any entries.")
	case n > maxEntries:
		return rialto.WithCode(rialto.Invalid, "TooManyEntriesInBatchRequestException", "The batch request contains more entries than permissible.")
	}
	seen := make(map[string]bool)
	for _, e := range entries {
		switch id := *e.Id; {
		case id == "" || strings.Trim(id, idCharacters) != "":
			return rialto.WithCode(rialto.Invalid, "InvalidBatchEntryIdException", "The Id of a batch entry in the batch request contains an impermissible character: %s", id)
		case len(id) > maxID:
			return rialto.WithCode(rialto.Invalid, "InvalidBatchEntryIdException", "The Id of a batch entry in the batch request is too long: %s", id)
		case seen[id]:
			return rialto.WithCode(rialto.Invalid, "BatchEntryIdsNotDistinctException", "Two or more batch entries in the request have the same Id.")
		}
		seen[*e.Id] = true
	}
	return nil
}

const idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// failed is the entry of a batch that was refused.
func failed(id *string, err error) BatchResultErrorEntry {
	e, ok := errors.AsType[*rialto.Error](err)
	if !ok {
		return BatchResultErrorEntry{Id: id, SenderFault: new(false), Code: new("InternalError"), Message: new("Internal Service Failure")}
	}
	return BatchResultErrorEntry{Id: id, SenderFault: new(e.Kind == rialto.Invalid), Code: new(aws.QueryCode(&model, err)), Message: &e.Message}
}
