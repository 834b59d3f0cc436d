package topic

import (
	"fmt"

	"github.com/rialto-events/rialto"
)

// What callers of the service are told, in AWS's words. Codes are names of shapes in the service model of SNS; without one, the code is
// that of the kind.
var (
	errMissing             = rialto.Errorf(rialto.NotFound, "Topic does not exist")
	errMissingSubscription = rialto.Errorf(rialto.NotFound, "Subscription does not exist")
	errName                = invalid("Topic Name")
	errToken               = invalid("Token")
	errUnknownToken        = rialto.Errorf(rialto.Invalid, "Invalid token")
	errTags                = rialto.WithCode(rialto.Invalid, "TagLimitExceededException", "Could not complete request: tag quota of per resource exceeded")
)

// invalid says that a parameter is at fault, and which.
func invalid(format string, args ...any) *rialto.Error {
	return rialto.Errorf(rialto.Invalid, "Invalid parameter: "+format, args...)
}

// badValue refuses what a message has, in the words of which SNS has a shape of its own.
func badValue(format string, args ...any) *rialto.Error {
	return rialto.WithCode(rialto.Invalid, "InvalidParameterValueException", format, args...)
}

// A reason is why an attribute is refused, such as "RawMessageDelivery: Invalid value [x]. Must be true or false." SNS puts it in other
// words when the attribute is given with others than when it is set alone.
type reason string

func reasonf(format string, args ...any) reason { return reason(fmt.Sprintf(format, args...)) }

// alone is the error of an attribute that is set by itself.
func (r reason) alone() error {
	if r == "" {
		return nil
	}
	return invalid("%s", string(r))
}

// among is the error of an attribute that is given with others.
func (r reason) among() error {
	if r == "" {
		return nil
	}
	return invalid("Attributes Reason: %s", string(r))
}
