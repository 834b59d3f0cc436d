package sqsapi

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/queue"
)

// Options tunes a [Front]. The zero value is ready to use.
type Options struct {
	// OwnQueuesOnly keeps callers to the queues of their own account. Without it whoever knows a queue's URL may use the queue, which is
	// right where nobody has to prove who they are.
	OwnQueuesOnly bool
}

// A Front serves SQS.
type Front struct {
	queues  *queue.Service
	options Options
}

// New makes a Front over the queues.
func New(queues *queue.Service, opts Options) *Front { return &Front{queues, opts} }

// Service is the API.
func (f *Front) Service() *aws.Service {
	return aws.NewService(&model,
		// queues.go
		aws.Op(f.CreateQueue),
		aws.Op(f.DeleteQueue),
		aws.Op(f.GetQueueUrl),
		aws.Op(f.ListQueues),
		aws.Op(f.ListDeadLetterSourceQueues),
		aws.Op(f.GetQueueAttributes),
		aws.Op(f.SetQueueAttributes),
		aws.Op(f.PurgeQueue),
		aws.Op(f.TagQueue),
		aws.Op(f.UntagQueue),
		aws.Op(f.ListQueueTags),

		// permissions.go
		aws.Op(f.AddPermission),
		aws.Op(f.RemovePermission),

		// send.go, with digest.go
		aws.Op(f.SendMessage),
		aws.Op(f.SendMessageBatch),

		// receive.go, with digest.go
		aws.Op(f.ReceiveMessage),
		aws.Op(f.DeleteMessage),
		aws.Op(f.DeleteMessageBatch),
		aws.Op(f.ChangeMessageVisibility),
		aws.Op(f.ChangeMessageVisibilityBatch),

		// tasks.go
		aws.Op(f.StartMessageMoveTask),
		aws.Op(f.ListMessageMoveTasks),
		aws.Op(f.CancelMessageMoveTask),
	)
}

// queueURL is how the caller reaches a queue.
func queueURL(ctx context.Context, at queue.Address) string {
	return aws.Caller(ctx).BaseURL + "/" + string(at.Scope.Account) + "/" + string(at.Name)
}

func queueURLs(ctx context.Context, scope rialto.Scope, names []rialto.QueueName) []string {
	urls := make([]string, len(names))
	for i, name := range names {
		urls[i] = queueURL(ctx, queue.Address{Scope: scope, Name: name})
	}
	return urls
}

// addressOf reads a queue URL. Account and name are the last two parts of its path, whatever the host; a name alone is a queue
// of the caller. The region is the one that is spoken to.
func (f *Front) addressOf(ctx context.Context, queueURL *string) (queue.Address, error) {
	at := queue.Address{Scope: aws.Caller(ctx).Scope}
	u, err := url.Parse(*queueURL)
	if err != nil || u.Opaque != "" {
		return at, errAddress(*queueURL)
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	name := parts[len(parts)-1]
	if len(parts) > 1 {
		account := parts[len(parts)-2]
		if !isAccount(account) {
			return at, errAddress(*queueURL)
		}
		at.Scope.Account = rialto.AccountID(account)
	}
	if name == "" {
		return at, errAddress(*queueURL)
	}
	at.Name = rialto.QueueName(name)
	return at, f.admit(ctx, at.Scope.Account)
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// admit refuses a caller who may not use the queues of an account.
func (f *Front) admit(ctx context.Context, owner rialto.AccountID) error {
	caller := aws.Caller(ctx)
	if f.options.OwnQueuesOnly && owner != caller.Scope.Account {
		return rialto.Errorf(rialto.Denied, "Access to the resource %s/ is denied.", caller.BaseURL)
	}
	return nil
}

func errAddress(queueURL string) error {
	return rialto.WithCode(rialto.Invalid, "InvalidAddress", "The address %s is not valid for this endpoint.", queueURL)
}

func errMissing(parameter string) error {
	return rialto.WithCode(rialto.Invalid, "MissingRequiredParameterException",
		"The request must contain the parameter %s.", parameter)
}

func errParameter(value any, name, reason string) error {
	return rialto.Errorf(rialto.Invalid, "Value %v for parameter %s is invalid. Reason: %s", value, name, reason)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// number is an optional parameter as the queues take it.
func number(p *int32) *int {
	if p == nil {
		return nil
	}
	return new(int(*p))
}

// text is a member of an output that is left out if it is empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// strings of an enum as strings.
func plain[S ~string](names []S) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = string(n)
	}
	return list
}

// A batch is a request of several entries, each of which is carried out or refused by itself.
type batch struct {
	entry string // what an entry is called, such as "SendMessageBatchRequestEntry"
	ids   []string
}

const (
	maxEntries = 10 // entries of a batch (SQS API, SendMessageBatch)
	maxID      = 80 // characters of an entry's id
)

// check refuses a batch as a whole.
func (b batch) check() error {
	switch n := len(b.ids); {
	case n == 0:
		return rialto.WithCode(rialto.Invalid, "EmptyBatchRequest", "There should be at least one %s in the request.", b.entry)
	case n > maxEntries:
		return rialto.WithCode(rialto.Invalid, "TooManyEntriesInBatchRequest",
			"Maximum number of entries per request are %d. You have sent %d.", maxEntries, n)
	}
	seen := make(map[string]bool)
	for _, id := range b.ids {
		if id == "" || len(id) > maxID || strings.Trim(id, idCharacters) != "" {
			return rialto.WithCode(rialto.Invalid, "InvalidBatchEntryId",
				"A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[id] {
			return rialto.WithCode(rialto.Invalid, "BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
		seen[id] = true
	}
	return nil
}

const idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// failed is the entry of a batch that was refused.
func failed(id string, err error) BatchResultErrorEntry {
	e, ok := errors.AsType[*rialto.Error](err)
	if !ok {
		return BatchResultErrorEntry{Id: &id, SenderFault: new(false), Code: new("InternalError"), Message: new("Internal Service Failure")}
	}
	code, message := e.Code, e.Message
	switch code {
	case "":
		code = "InvalidParameterValue"
	case "MissingRequiredParameterException":
		code = "MissingParameter"
	}
	// The one sentence that differs between a message alone and one in a batch.
	message = strings.Replace(message, "One or more parameters are invalid.", "One or more parameters cannot be validated.", 1)
	return BatchResultErrorEntry{Id: &id, SenderFault: new(true), Code: &code, Message: &message}
}
