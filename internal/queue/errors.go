package queue

import (
	"errors"

	"github.com/rialto-events/rialto"
)

// What callers of the service are told, in AWS's words. Codes are names of shapes in the service model of SQS.
var (
	errMissing = rialto.WithCode(rialto.NotFound, "QueueDoesNotExist", "The specified queue does not exist.")
	errFIFO    = rialto.WithCode(rialto.Invalid, "UnsupportedOperation",
		"FIFO queues are not served yet: rialto has standard queues only. Leave out the attribute FifoQueue and the suffix .fifo.")
	errFIFOName = rialto.Errorf(rialto.Invalid, "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "+
		"must end with .fifo suffix and be 1 to 80 in length")
	errName   = rialto.Errorf(rialto.Invalid, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	errHandle = rialto.WithCode(rialto.Invalid, "ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	errFull   = rialto.WithCode(rialto.Exceeded, "OverLimit", "The maximum number of in flight messages is reached.")
)

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

// IsMissing reports whether an error says that the queue is not there.
func IsMissing(err error) bool {
	e, ok := errors.AsType[*rialto.Error](err)
	return ok && e.Code == errMissing.Code
}
