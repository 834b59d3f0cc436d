package aws

import (
	"errors"
	"net/http"

	"github.com/rialto-events/rialto"
)

// kindCodes is the one table that turns what went wrong into what AWS calls it. A Model may name its own in Kinds, and an error
// that carries a code keeps it.
var kindCodes = map[rialto.Kind]string{
	rialto.Internal:    "InternalFailure",
	rialto.Invalid:     "ValidationException",
	rialto.NotFound:    "ResourceNotFoundException",
	rialto.Exists:      "ResourceAlreadyExistsException",
	rialto.Denied:      "AccessDeniedException",
	rialto.Conflict:    "ConcurrentModificationException",
	rialto.Exceeded:    "LimitExceededException",
	rialto.Throttled:   "ThrottlingException",
	rialto.Unavailable: "ServiceUnavailable",
}

const unknownOperation = "UnknownOperationException"

// commonErrors are those that every service has: what the query protocol calls them, and its HTTP status. In JSON they are 400,
// but for the one that is a matter of HTTP.
var commonErrors = map[string]struct {
	queryCode string
	status    int
}{
	"MissingAuthenticationTokenException": {"MissingAuthenticationToken", http.StatusForbidden},
	"IncompleteSignatureException":        {"IncompleteSignature", http.StatusForbidden},
	"UnrecognizedClientException":         {"InvalidClientTokenId", http.StatusForbidden},
	"InvalidSignatureException":           {"SignatureDoesNotMatch", http.StatusForbidden},
	"ExpiredTokenException":               {"ExpiredToken", http.StatusForbidden},
	"AccessDeniedException":               {"AccessDenied", http.StatusForbidden},
	"ThrottlingException":                 {"Throttling", http.StatusBadRequest},
	"ValidationException":                 {"ValidationError", http.StatusBadRequest},
	"InvalidParameterValueException":      {"InvalidParameterValue", http.StatusBadRequest},
	"MissingRequiredParameterException":   {"MissingParameter", http.StatusBadRequest},
	"SerializationException":              {"MalformedInput", http.StatusBadRequest},
	unknownOperation:                      {"InvalidAction", http.StatusBadRequest},
	"RequestEntityTooLargeException":      {"RequestEntityTooLarge", http.StatusRequestEntityTooLarge},
}

// A failure is an error as the wire shows it.
type failure struct {
	kind         rialto.Kind
	code         string // the shape's name, or the name of a common error
	queryCode    string // the same to the query protocol
	message      string
	queryMessage string
	modelled     bool // whether the service's model has it
	status       int  // of a JSON response
	queryStatus  int
}

// failureOf turns an error into what a client of the service sees. Whatever is not a [rialto.Error] is shown as an internal
// failure without its text, which is for the log alone.
func failureOf(m *Model, err error) failure {
	f := failure{kind: rialto.Internal, message: "Internal Service Failure"}
	if e, ok := errors.AsType[*rialto.Error](err); ok {
		f.kind, f.code, f.message = e.Kind, e.Code, e.Message
	}
	if f.code == "" {
		f.code = m.Kinds[f.kind]
	}
	if f.code == "" {
		f.code = kindCodes[f.kind]
	}
	f.queryCode, f.queryMessage = f.code, f.message
	f.status = statusOf(f.kind)
	f.queryStatus = f.status
	if shape, ok := m.Errors[f.code]; ok {
		f.modelled = true
		if shape.QueryCode != "" {
			f.queryCode = shape.QueryCode
		}
		if shape.QueryMessage != "" {
			f.queryMessage = shape.QueryMessage
		}
		if shape.Status != 0 {
			f.status, f.queryStatus = shape.Status, shape.Status
		}
	} else if common, ok := commonErrors[f.code]; ok {
		f.queryCode, f.queryStatus = common.queryCode, common.status
		if common.status == http.StatusRequestEntityTooLarge {
			f.status = common.status
		}
	}
	return f
}

func statusOf(k rialto.Kind) int {
	switch k {
	case rialto.Internal:
		return http.StatusInternalServerError
	case rialto.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// fault says whose an error is, as XML and the header X-Amzn-Query-Error put it.
func fault(status int) string {
	if status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// QueryCode is what the query protocol of a service calls an error, for fronts that tell of errors within a good answer.
func QueryCode(m *Model, err error) string { return failureOf(m, err).queryCode }
