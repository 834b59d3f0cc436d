package queue

import (
	"errors"

	"github.com/rialto-events/rialto"
)

// What callers of the service are told, in AWS's words. Codes are names of shapes in the service model of SQS.
var (
	errMissing  = rialto.WithCode(rialto.NotFound, "QueueDoesNotExist", "The specified queue does not exist.")
	errFIFOName = rialto.Errorf(rialto.Invalid, "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "+
		"must end with .fifo suffix and be 1 to 80 in length")
	errName     = rialto.Errorf(rialto.Invalid, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	errHandle   = rialto.WithCode(rialto.Invalid, "ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	errNoGroup  = rialto.WithCode(rialto.Invalid, missingParameter, "The request must contain the parameter MessageGroupId.")
	errNoDedupe = rialto.Errorf(rialto.Invalid,
		"The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	errNotInFlight = rialto.WithCode(rialto.Invalid, "MessageNotInflight", "The specified message isn't in flight.")
	errTooMany     = rialto.WithCode(rialto.Throttled, "OverLimit", "The queue takes no more messages at the moment: "+
		"those of the last five minutes are as many as it can tell from duplicates. Send again later, or slower.")
	errFull = rialto.WithCode(rialto.Exceeded, "OverLimit", "The maximum number of in flight messages is reached.")
)

// missingParameter is the code of a request without a parameter that it must have.
const missingParameter = "MissingRequiredParameterException"

func errAttributeName(name string) error {
	return rialto.WithCode(rialto.Invalid, "InvalidAttributeName", "Unknown Attribute %s.", name)
}

func errAttributeValue(name string) error {
	return rialto.WithCode(rialto.Invalid, "InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

// errParameter refuses the value of a parameter, which does not name the code InvalidParameterValue because that is the usual one.
func errParameter(value any, name, reason string) error {
	return rialto.Errorf(rialto.Invalid, "Value %v for parameter %s is invalid. Reason: %s", value, name, reason)
}

// wrongKind is why a parameter is refused that queues of the other kind have.
const wrongKind = "The request include parameter that is not valid for this queue type."

// errID refuses a parameter that names something.
func errID(value, name string) error {
	return errParameter(value, name, name+" can only include alphanumeric and punctuation characters. 1 to 128 in length.")
}

// expired refuses a handle whose message may have been received by somebody else.
func expired(handle string) error {
	return errParameter(handle, "ReceiptHandle", "The receipt handle has expired.")
}

// IsMissing reports whether an error says that the queue is not there.
func IsMissing(err error) bool {
	e, ok := errors.AsType[*rialto.Error](err)
	return ok && e.Code == errMissing.Code
}
