package main

// A service is what a model does not tell about one.
type service struct {
	pkg          string              // the package that is written
	part         bool                // only some operations are, without the model variable
	query        map[string]string   // names of lists and maps in forms and XML, by shape; for others it is the element's shape
	pathMember   string              // member that the URL of a query request fills
	errorPrefix  string              // of modelled errors
	commonPrefix string              // of other errors
	kinds        map[string]string   // error codes, by the name of the rialto.Kind, where they are not the usual ones
	errors       map[string]errorRow // what the query protocol makes of modelled errors
	enums        map[string][]string // values in the order of messages, by shape: that of a hash table, recorded on AWS
	shown        map[string][]string // members that messages show though the model has them not, by shape
	patternFirst map[string]bool     // shapes whose messages name the pattern before the length, recorded on AWS
	mayBeEmpty   map[string]bool     // shapes whose least length is not enforced, recorded on AWS
	always       map[string]bool     // members of outputs that are written even if zero
	milliseconds map[string]bool     // times that responses show with milliseconds, as Shape.Member; others are whole seconds
	parameters   bool                // the service names the first missing parameter and checks nothing else up front
	emptyIsThere map[string]bool     // members for which an empty string does not count as a missing parameter
}

type errorRow struct {
	code    string // in the query protocol, if not the shape's name
	status  int    // if not 400
	message string // in the query protocol, if there it is another
}

var services = map[string]service{
	"events": {
		pkg: "eventsapi",
		enums: map[string][]string{
			"ApiDestinationHttpMethod":    {"HEAD", "POST", "PATCH", "DELETE", "PUT", "GET", "OPTIONS"},
			"ConnectionAuthorizationType": {"BASIC", "OAUTH_CLIENT_CREDENTIALS", "API_KEY"},
			"ArchiveState":                {"CREATE_FAILED", "ENABLED", "UPDATING", "UPDATE_FAILED", "CREATING", "DISABLED"},
		},
		shown:        map[string][]string{"PutEventsRequestEntry": {"KmsKeyIdentifier", "InternalMetadata"}},
		patternFirst: map[string]bool{"ConnectionName": true},
		mayBeEmpty:   map[string]bool{"TraceHeader": true},
		always:       map[string]bool{"FailedEntryCount": true},
		milliseconds: map[string]bool{
			"EventBus.CreationTime":                     true,
			"EventBus.LastModifiedTime":                 true,
			"DescribeEventBusResponse.CreationTime":     true,
			"DescribeEventBusResponse.LastModifiedTime": true,
		},
	},
	"sqs": {
		pkg:          "sqsapi",
		parameters:   true,
		emptyIsThere: map[string]bool{"Id": true}, // an empty one of a batch is InvalidBatchEntryId
		pathMember:   "QueueUrl",
		errorPrefix:  "com.amazonaws.sqs#",
		commonPrefix: "com.amazon.coral.service#",
		query: map[string]string{
			"AWSAccountIdList":              "AWSAccountId",
			"ActionNameList":                "ActionName",
			"AttributeNameList":             "AttributeName",
			"BinaryList":                    "BinaryListValue",
			"MessageAttributeNameList":      "MessageAttributeName",
			"MessageBodyAttributeMap":       "MessageAttribute",
			"MessageBodySystemAttributeMap": "MessageSystemAttribute",
			"MessageSystemAttributeList":    "MessageSystemAttributeName",
			"MessageSystemAttributeMap":     "Attribute",
			"QueueAttributeMap":             "Attribute",
			"QueueUrlList":                  "QueueUrl",
			"StringList":                    "StringListValue",
			"TagKeyList":                    "TagKey",
			"TagMap":                        "Tag",
		},
		kinds: map[string]string{
			"Invalid":   "InvalidParameterValueException",
			"NotFound":  "QueueDoesNotExist",
			"Exists":    "QueueNameExists",
			"Exceeded":  "OverLimit",
			"Throttled": "RequestThrottled",
		},
		errors: map[string]errorRow{
			"BatchEntryIdsNotDistinct": {code: "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
			"BatchRequestTooLong":      {code: "AWS.SimpleQueueService.BatchRequestTooLong"},
			"EmptyBatchRequest":        {code: "AWS.SimpleQueueService.EmptyBatchRequest"},
			"InvalidBatchEntryId":      {code: "AWS.SimpleQueueService.InvalidBatchEntryId"},
			"MessageNotInflight":       {code: "AWS.SimpleQueueService.MessageNotInflight"},
			"OverLimit":                {status: 403},
			"PurgeQueueInProgress":     {code: "AWS.SimpleQueueService.PurgeQueueInProgress", status: 403},
			"QueueDeletedRecently":     {code: "AWS.SimpleQueueService.QueueDeletedRecently"},
			"QueueDoesNotExist": {
				code:    "AWS.SimpleQueueService.NonExistentQueue",
				message: "The specified queue does not exist for this wsdl version.",
			},
			"QueueNameExists":              {code: "QueueAlreadyExists"},
			"ReceiptHandleIsInvalid":       {status: 404},
			"ResourceNotFoundException":    {status: 404},
			"TooManyEntriesInBatchRequest": {code: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
			"UnsupportedOperation":         {code: "AWS.SimpleQueueService.UnsupportedOperation"},
		},
	},
	"scheduler": {
		pkg: "schedulerapi",
		kinds: map[string]string{
			"Exists":   "ConflictException",
			"Conflict": "ConflictException",
			"Exceeded": "ServiceQuotaExceededException",
			"Internal": "InternalServerException",
		},
		milliseconds: map[string]bool{
			"GetScheduleOutput.CreationDate":              true,
			"GetScheduleOutput.LastModificationDate":      true,
			"GetScheduleGroupOutput.CreationDate":         true,
			"GetScheduleGroupOutput.LastModificationDate": true,
			"ScheduleSummary.CreationDate":                true,
			"ScheduleSummary.LastModificationDate":        true,
			"ScheduleGroupSummary.CreationDate":           true,
			"ScheduleGroupSummary.LastModificationDate":   true,
		},
	},
	"sns": {
		pkg: "snsapi",
		kinds: map[string]string{
			"Invalid":   "InvalidParameterException",
			"NotFound":  "NotFoundException",
			"Denied":    "AuthorizationErrorException",
			"Conflict":  "ConcurrentAccessException",
			"Throttled": "ThrottledException",
			"Internal":  "InternalErrorException",
		},
		errors: map[string]errorRow{
			"ValidationException": {code: "ValidationError"}, // recorded on AWS: what the model says is of one operation that is newer
		},
	},
	"secretsmanager": {
		pkg: "secretsapi",
		kinds: map[string]string{
			"Invalid":  "InvalidParameterException",
			"Exists":   "ResourceExistsException",
			"Internal": "InternalServiceError",
		},
	},
}

// namespaces of XML responses, by endpoint prefix.
var namespaces = map[string]string{"sqs": "http://queue.amazonaws.com/doc/2012-11-05/"}

// keyNames are what the query protocol calls the key of a map's entry, by shape, where it is not "Name".
var keyNames = map[string]string{"TagMap": "Key"}

// patterns that Go's syntax cannot say, each with one that matches the same strings.
var patterns = map[string]string{
	`^(?!\s*$).+`: `.*[^\s\x{85}\x{2028}\x{2029}].*`, // not only white space
	`^(?=[/\.\-_A-Za-z0-9]+)((?!aws\.).*)|(\$(\.[\w_-]+(\[(\d+|\*)\])*)*)$`: `([/\.\-_A-Zb-z0-9].*|a|a[^w\n\r\x{85}\x{2028}\x{2029}].*|aw|aw[^s\n\r\x{85}\x{2028}\x{2029}].*|aws|aws[^\.\n\r\x{85}\x{2028}\x{2029}].*)|(\$(\.[\w_-]+(\[(\d+|\*)\])*)*)$`, // not "aws." in front
}
