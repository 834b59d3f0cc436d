package aws

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rialto-events/rialto/target"
)

// An answer is what a service said.
type answer struct {
	status int
	header http.Header
	body   []byte // up to maxAnswer and one more byte
	now    time.Time
}

func (a *answer) requestID() string {
	for _, name := range []string{"X-Amzn-Requestid", "X-Amz-Request-Id", "Apigw-Requestid"} {
		if id := a.header.Get(name); id != "" {
			return id
		}
	}
	return ""
}

func (a *answer) shown() target.Answer {
	return target.Answer{Status: a.status, Head: cut(string(a.body))}
}

// cut is the beginning of a text, as far as it is kept.
func cut(s string) string {
	if len(s) > target.MaxAnswer {
		s = s[:target.MaxAnswer]
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// A failure is an error of a service, of the whole call or of one message in it.
type failure struct {
	status     int
	code       string
	message    string
	requestID  string
	retryAfter time.Duration
}

// failure is why a call for one message was not what it should be, or nil.
func (a *answer) failure(k *kind) *failure {
	f := a.refusal()
	if f == nil && k.refused != nil {
		f = k.refused(a)
	}
	switch {
	case f != nil:
		return f
	case k.taken != nil && (len(a.body) > maxAnswer || !k.taken(a)):
		return &failure{status: a.status, code: unreadable, message: "The answer is not what " + k.api.name + " answers.", requestID: a.requestID()}
	}
	return nil
}

// unreadable is the code of an answer that is none of the service's.
const unreadable = "SerializationException"

func (a *answer) rubbish(k *kind) error {
	f := failure{status: a.status, code: unreadable, message: "The answer is not what " + k.api.name + " answers.", requestID: a.requestID()}
	return f.outcome(k)
}

// refusal reads an error, as JSON or as XML. There is none if the status is good.
func (a *answer) refusal() *failure {
	if a.status/100 == 2 {
		return nil
	}
	f := &failure{status: a.status, requestID: a.requestID()}
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && seconds > 0 {
		f.retryAfter = min(time.Duration(seconds), maxRetryAfter/time.Second) * time.Second
	}
	var document struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Upper   string `json:"Message"`
		Error   string `json:"errorMessage"`
	}
	if json.Unmarshal(a.body, &document) == nil {
		f.code = plainCode(first(a.header.Get("X-Amzn-Errortype"), document.Type, document.Code))
		f.message = first(document.Message, document.Upper, document.Error)
		// SQS says beside its error what the older protocol called it, and so does AWS in dead letters.
		if older, _, ok := strings.Cut(a.header.Get("X-Amzn-Query-Error"), ";"); ok {
			f.code = older
		}
	} else {
		var response struct {
			Error struct {
				Code, Message string
			}
			Errors struct {
				Error struct{ Code, Message string }
			}
			RequestID string `xml:"RequestId"`
		}
		if xml.Unmarshal(a.body, &response) == nil {
			f.code = first(response.Error.Code, response.Errors.Error.Code)
			f.message = first(response.Error.Message, response.Errors.Error.Message)
			f.requestID = first(f.requestID, response.RequestID)
		}
	}
	f.code = first(f.code, plainCode(a.header.Get("X-Amzn-Errortype")))
	f.message = cut(first(f.message, http.StatusText(a.status)))
	return f
}

// maxRetryAfter bounds what a service may ask for; no delivery lives longer (EventBridge API, RetryPolicy.MaximumEventAgeInSeconds).
const maxRetryAfter = 24 * time.Hour

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// plainCode takes the namespace before an error's name, and what follows it, away: com.amazonaws.sqs#QueueDoesNotExist:http://…
func plainCode(s string) string {
	if _, after, ok := strings.Cut(s, "#"); ok {
		s = after
	}
	s, _, _ = strings.Cut(s, ":")
	return s
}

// A class is what EventBridge makes of errors of services (user guide, "Retry policy" and "Dead-letter queues").
type class struct {
	code      string // for the dead letter
	permanent bool
	codes     []string // of the services
}

// classes are looked through in their order. What none of them has is judged by its status.
var classes = []class{
	{target.CodeThrottling, false, []string{
		"Throttling", "ThrottlingException", "ThrottledException", "Throttled", "RequestThrottled", "RequestThrottledException", "TooManyRequestsException",
		"TooManyRequests", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown", "PriorRequestNotComplete",
		"EC2ThrottledException", "KMSThrottlingException", "KMSThrottling", "KmsThrottled", "OverLimit", "AWS.SimpleQueueService.RequestThrottled",
	}},
	// Whose credentials are wrong or have expired is the operator of this server, and not the owner of the event: it waits for them.
	{target.CodeNoPermissions, false, append(staleCodes,
		"UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature",
		"IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "OptInRequired", "RequestTimeTooSkewed", "InvalidAccessKeyId", "AuthFailure",
	)},
	{target.CodeNoPermissions, true, []string{
		"AccessDenied", "AccessDeniedException", "AccessDeniedFault", "AuthorizationError", "AuthorizationErrorException", "NotAuthorized", "UnauthorizedOperation",
		"NotAuthorizedForSourceException", "KMSAccessDeniedException", "KMSAccessDenied", "KmsAccessDenied", "UnauthorizedException", "Unauthorized",
	}},
	{target.CodeNoResource, true, []string{
		"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue", "NotFound", "NotFoundException", "ResourceNotFoundException",
		"ResourceNotFound", "StateMachineDoesNotExist", "StateMachineDeleting", "ClusterNotFoundException", "PipelineNotFoundException",
		"EntityNotFoundException", "InvalidDocument", "AutomationDefinitionNotFoundException", "NoSuchEntityException",
		"KMSDisabledException", "KMSNotFoundException", "KMSInvalidStateException", "KmsDisabled", "KmsNotFound", "KmsInvalidState",
	}},
	// These have no status of their own where they are about one of many messages.
	{target.CodeInvalidParameter, true, []string{
		"MalformedDetail", "InvalidArgument", "InvalidArgumentException", "ValidationException", "ValidationError", "InvalidParameter", "InvalidParameterValue",
		"InvalidParameterException", "InvalidMessageContents",
	}},
	{target.CodeRejectedInBatch, true, []string{rejectedLine}},
	{target.CodeResourceLimit, false, []string{
		"LimitExceededException", "ExecutionLimitExceeded", "EC2AccessDeniedException", "ENILimitReachedException", "AccountLimitExceededException",
		"ConcurrentPipelineExecutionsLimitExceededException", "ResourceLimitExceeded", "ActiveStatementsExceededException",
		"AutomationExecutionLimitExceededException", "ConcurrentRunsExceededException",
	}},
	{target.CodeCollision, false, []string{"ConflictException", "ResourceConflictException", "ConcurrentModificationException", "OperationAbortedException", "ResourceNotReadyException"}},
	{target.CodeErrorFromTarget, false, []string{
		"InternalError", "InternalFailure", "InternalServerError", "InternalServiceError", "InternalServerException", "InternalException", "ServiceException",
		"ServiceUnavailable", "ServiceUnavailableException", "ServerException", "RequestTimeout", "RequestTimeoutException", unreadable,
	}},
}

// staleCodes say that credentials were good once.
var staleCodes = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}

func (f *failure) stale() bool { return slices.Contains(staleCodes, f.code) }

// exists reports that what was to be made is there.
func (f *failure) exists() bool { return f.code == "ResourceAlreadyExistsException" }

func isDenied(code string) bool { return code == "AccessDenied" || code == "AccessDeniedException" }

// outcome is what a failure means for the delivery.
func (f *failure) outcome(k *kind) error {
	if slices.Contains(k.done, f.code) {
		return nil
	}
	e := &target.Error{Message: f.text(k), RetryAfter: f.retryAfter}
	if f.code != "" && f.code != unreadable {
		e.Service = &target.ServiceError{Code: f.code, Message: f.message}
	}
	for _, c := range classes {
		if slices.Contains(c.codes, f.code) {
			e.Code, e.Permanent = c.code, c.permanent
			return e
		}
	}
	switch s := f.status; {
	case s == http.StatusTooManyRequests:
		e.Code = target.CodeThrottling
	case s >= 500 || s == http.StatusRequestTimeout:
		e.Code = target.CodeErrorFromTarget
	case s == http.StatusForbidden || s == http.StatusUnauthorized:
		e.Code, e.Permanent = target.CodeNoPermissions, true
	case s == http.StatusNotFound:
		e.Code, e.Permanent = target.CodeNoResource, true
	case s/100 == 4:
		e.Code, e.Permanent = target.CodeInvalidParameter, true
	default:
		e.Code, e.Permanent = target.CodeErrorFromTarget, s/100 == 3
	}
	return e
}

// text is the error as AWS writes it into dead letters.
func (f *failure) text(k *kind) string {
	return fmt.Sprintf("%s (Service: %s; Status Code: %d; Error Code: %s; Request ID: %s; Proxy: null)",
		f.message, k.api.name, f.status, f.code, f.requestID)
}
