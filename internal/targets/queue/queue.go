// Package queue delivers events to SQS queues of the same node.
//
// A message gets the payload as its body, the group that the target names, the trace header, and, on its way to a dead-letter
// queue, the attributes that tell why. A FIFO queue knows an event that is delivered twice by its content, and must be set up to. What [Queues] refuses is sorted into what another attempt may change and what it cannot.
// Start with [Sender].
package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// Queues takes messages for queues. Package internal/queue has it.
type Queues interface {
	// Deliver puts messages into the queue of an ARN for good, and returns an error or nil for each. The kind of an error is
	// NotFound if the queue is not there, and Invalid if the queue does not take such a message.
	Deliver(ctx context.Context, arn rialto.ARN, ms []*target.Message) []error
}

// Options tunes a Sender. The zero value is ready to use.
type Options struct {
	// OwnQueuesOnly keeps rules to the queues of their own account. AWS asks the policy of the queue, which is not enforced here yet;
	// until it is, this is for servers that tell accounts from each other.
	OwnQueuesOnly bool
}

// A Sender delivers to queues.
type Sender struct {
	queues  Queues
	options Options
}

var (
	_ target.Local   = (*Sender)(nil)
	_ target.Batcher = (*Sender)(nil)
)

// New makes a Sender.
func New(queues Queues, o Options) *Sender { return &Sender{queues, o} }

// Local is always so.
func (s *Sender) Local(*target.Definition) bool { return true }

// What goes into the log at once: as much as spares writing, and little enough that others need not wait for it.
const (
	mostMessages = 256
	mostBytes    = 256 << 10
)

// Most bounds a batch.
func (s *Sender) Most(*target.Definition) (messages, bytes int) { return mostMessages, mostBytes }

// Eager is always so: to take several at once costs the log little more than one.
func (s *Sender) Eager(*target.Definition) bool { return true }

// Send puts the message into the queue that its target names.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	return s.SendBatch(ctx, []*target.Message{m})[0]
}

// SendBatch puts messages into the queue that their target names, in one write.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	if len(ms) == 0 {
		return nil
	}
	def := ms[0].Definition
	arn, err := rialto.ParseARN(def.ARN)
	switch {
	case err != nil || arn.Service != "sqs":
		err = &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Message: fmt.Sprintf("%s is not the ARN of an SQS queue.", def.ARN)}
		return slices.Repeat([]error{err}, len(ms))
	case s.options.OwnQueuesOnly && arn.Account != def.Rule.Account:
		return slices.Repeat([]error{denied(arn, def)}, len(ms))
	}
	errs := s.queues.Deliver(ctx, arn, ms)
	for i, err := range errs {
		if err != nil {
			errs[i] = failure(arn, err)
		}
	}
	return errs
}

// denied says that the policy of a queue allows nothing, in AWS's words (recorded on AWS).
func denied(queue rialto.ARN, by *target.Definition) error {
	service := "events"
	if by.Subscription != nil {
		service = "sns"
	}
	return &target.Error{Code: target.CodeNoPermissions, Permanent: true,
		Service: &target.ServiceError{Code: "AccessDenied", Message: fmt.Sprintf("Access to the resource %s is denied.", queue)},
		Message: fmt.Sprintf("User: %s.amazonaws.com is not authorized to perform: sqs:sendmessage on resource: %s "+
			"because no resource-based policy allows the sqs:sendmessage action ", service, queue) + answer(403, "AccessDenied")}
}

// answer is how AWS quotes what SQS has answered.
func answer(status int, code string) string {
	return fmt.Sprintf("(Service: AmazonSQS; Status Code: %d; Error Code: %s; Request ID: %s; Proxy: null)", status, code, uuid.NewString())
}

// failure says what an error of the queues means for the delivery. That a queue is not there is said in AWS's words, which end up in
// the dead-letter queue (recorded on AWS): people search for them.
func failure(arn rialto.ARN, err error) error {
	switch rialto.KindOf(err) {
	case rialto.NotFound:
		const code, message = "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist or you do not have access to it. "
		return &target.Error{Code: target.CodeNoResource, Permanent: true, Cause: err, Message: message + answer(400, code),
			Service: &target.ServiceError{Code: code, Message: "The specified queue does not exist."}}
	case rialto.Invalid:
		return &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Cause: err, Service: inOwnWords(err),
			Message: fmt.Sprintf("The queue %s refused the message: %s", arn.Resource, err)}
	case rialto.Throttled, rialto.Exceeded:
		return &target.Error{Code: target.CodeThrottling, Message: "The queue takes no more messages at the moment.", Cause: err}
	}
	return &target.Error{Code: target.CodeInternal, Message: fmt.Sprintf("The message could not be stored in the queue %s.", arn.Resource), Cause: err}
}

// inOwnWords is why the queue takes no such message, as SQS says it.
func inOwnWords(err error) *target.ServiceError {
	said := &target.ServiceError{Code: "InvalidParameterValue", Message: err.Error()}
	if e, ok := errors.AsType[*rialto.Error](err); ok {
		said.Message = e.Message
		if e.Code != "" {
			said.Code = e.Code
		}
	}
	return said
}
