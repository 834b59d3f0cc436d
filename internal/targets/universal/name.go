package universal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
)

// A Name is what a universal target calls.
type Name struct {
	Service string // as SDKs call it, in small letters and without blanks, such as "cognitoidentityprovider"
	Action  string // such as "sendMessage"
}

// Parse reads the ARN of a universal target. Whose ARN is of EventBridge Scheduler in another way is told that it is no service for a
// target, in AWS's words.
func Parse(s string) (Name, error) {
	arn, err := rialto.ParseARN(s)
	if err != nil {
		return Name{}, rialto.Errorf(rialto.Invalid, "Provided Arn is not in correct format.")
	}
	call, ok := strings.CutPrefix(arn.Resource, resource)
	if arn.Service != "scheduler" || arn.Region != "" || arn.Account != "" || !ok {
		return Name{}, rialto.Errorf(rialto.Invalid, "%s is not a supported service for a target", arn.Service)
	}
	service, action, ok := strings.Cut(call, ":")
	if !ok || !letters(service) || !letters(action) {
		return Name{}, rialto.Errorf(rialto.Invalid, "Provided Arn is not in correct format.")
	}
	return Name{service, action}, nil
}

// resource is what the resource of a universal target begins with.
const resource = "aws-sdk:"

// Is reports whether an ARN is that of a universal target.
func Is(arn rialto.ARN) bool {
	return arn.Service == "scheduler" && strings.HasPrefix(arn.Resource, resource)
}

// letters reports whether s may be a name: it becomes part of others.
func letters(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsDigit(r) }) < 0
}

// Operation is the action as service models call it: SendMessage for sendMessage.
func (n Name) Operation() string { return strings.ToUpper(n.Action[:1]) + n.Action[1:] }

func (n Name) String() string {
	return "arn:" + rialto.Partition + ":scheduler:::" + resource + n.Service + ":" + n.Action
}

// readOnly are the beginnings of actions that change nothing, which schedules cannot call (EventBridge Scheduler user guide, "Using
// universal targets").
var readOnly = []string{
	"get", "describe", "list", "poll", "receive", "search", "scan", "query", "select", "read", "lookup", "discover", "validate", "batchGet",
	"batchDescribe", "batchRead", "transactGet", "adminGet", "adminList", "testMigration", "retrieve", "testConnection", "translateDocument",
	"isAuthorized", "invokeModel",
}

// ReadOnly reports whether an action is one of those that schedules cannot call.
func ReadOnly(action string) bool {
	if action == "" {
		return false
	}
	action = strings.ToLower(action[:1]) + action[1:]
	for _, beginning := range readOnly {
		if strings.HasPrefix(action, beginning) {
			return true
		}
	}
	return false
}

// forms are the calls that templated targets stand for, by the services of their ARNs (EventBridge Scheduler user guide, "Using templated
// targets").
var forms = map[string]Name{
	"codebuild":    {"codebuild", "startBuild"},
	"codepipeline": {"codepipeline", "startPipelineExecution"},
	"ecs":          {"ecs", "runTask"},
	"events":       {"eventbridge", "putEvents"},
	"firehose":     {"firehose", "putRecord"},
	"inspector":    {"inspector", "startAssessmentRun"},
	"kinesis":      {"kinesis", "putRecord"},
	"lambda":       {"lambda", "invoke"},
	"sagemaker":    {"sagemaker", "startPipelineExecution"},
	"sns":          {"sns", "publish"},
	"sqs":          {"sqs", "sendMessage"},
	"states":       {"sfn", "startExecution"},
}

// FormOf is the universal form of a templated target, as dead letters of schedules name it; whatever else it gets, it returns as it is.
func FormOf(target string) string {
	arn, err := rialto.ParseARN(target)
	if err != nil {
		return target
	}
	form, ok := forms[arn.Service]
	if !ok {
		return target
	}
	return form.String()
}

// Templated reports whether the ARNs of a service can be targets of schedules as they are.
func Templated(service string) bool {
	_, ok := forms[service]
	return ok
}
