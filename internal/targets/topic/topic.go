// Package topic publishes events on SNS topics of the same server.
//
// The payload is the message; there is neither a subject nor are there attributes, as on AWS. What [Topics] refuses is sorted into what
// another attempt may change and what it cannot. Start with [Sender].
package topic

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// Topics takes messages for topics. Package internal/topic has it.
type Topics interface {
	// Deliver publishes the payload on the topic of an ARN for good. The kind of its error is NotFound if the topic is not there, Denied
	// if its policy does not let the rule publish, and Invalid if the topic does not take such a message.
	Deliver(ctx context.Context, arn rialto.ARN, m *target.Message) error
}

// A Sender delivers to topics.
type Sender struct{ topics Topics }

var _ target.Local = (*Sender)(nil)

// New makes a Sender.
func New(topics Topics) *Sender { return &Sender{topics} }

// Local is always so.
func (s *Sender) Local(*target.Definition) bool { return true }

// Send publishes the payload on the topic that the target names.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	arn, err := rialto.ParseARN(m.Definition.ARN)
	if err != nil || arn.Service != "sns" {
		return &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Message: fmt.Sprintf("%s is not the ARN of an SNS topic.", m.Definition.ARN)}
	}
	if err := s.topics.Deliver(ctx, arn, m); err != nil {
		return failure(arn, m, err)
	}
	return nil
}

// answer is how AWS quotes what SNS has answered.
func answer(status int, code string) string {
	return fmt.Sprintf("(Service: AmazonSNS; Status Code: %d; Error Code: %s; Request ID: %s; Proxy: null)", status, code, uuid.NewString())
}

// failure says what an error of the topics means for the delivery, in AWS's words where it has some: they end up in the dead-letter queue,
// and people search for them.
func failure(arn rialto.ARN, m *target.Message, err error) error {
	switch rialto.KindOf(err) {
	case rialto.NotFound:
		return &target.Error{Code: target.CodeNoResource, Permanent: true, Cause: err, Message: "Topic does not exist " + answer(404, "NotFound"),
			Service: &target.ServiceError{Code: "NotFound", Message: "Topic does not exist"}}
	case rialto.Denied:
		return &target.Error{Code: target.CodeNoPermissions, Permanent: true, Cause: err,
			Service: &target.ServiceError{Code: "AuthorizationError", Message: fmt.Sprintf("User: arn:aws:iam::%s:root is not "+
				"authorized to perform: SNS:Publish on resource: %s because no resource-based policy allows the SNS:Publish action", m.Definition.Rule.Account, arn)},
			Message: fmt.Sprintf("User: events.amazonaws.com is not authorized to perform: SNS:Publish on resource: %s "+
				"because no resource-based policy allows the SNS:Publish action ", arn) + answer(403, "AuthorizationError")}
	case rialto.Invalid:
		return &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Cause: err,
			Service: &target.ServiceError{Code: "InvalidParameter", Message: err.Error()},
			Message: fmt.Sprintf("The topic %s refused the message: %s", arn.Resource, err)}
	case rialto.Throttled, rialto.Exceeded:
		return &target.Error{Code: target.CodeThrottling, Message: "The topic takes no more messages at the moment.", Cause: err}
	}
	return &target.Error{Code: target.CodeInternal, Message: fmt.Sprintf("The message could not be published on the topic %s.", arn.Resource), Cause: err}
}
