package aws

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// An api is how a service is spoken to.
type api struct {
	host    string // of its endpoint, before region and domain
	signing string // its name in signatures
	name    string // that AWS's errors give it
	json    string // version of the JSON protocol, "1.0" or "1.1"; "" is another protocol
	prefix  string // of X-Amz-Target, in the JSON protocol
	version string // of the query protocol
}

// The services, by their public models.
var (
	sqsAPI       = &api{host: "sqs", signing: "sqs", name: "AmazonSQS", json: "1.0", prefix: "AmazonSQS"}
	snsAPI       = &api{host: "sns", signing: "sns", name: "AmazonSNS", version: "2010-03-31"}
	lambdaAPI    = &api{host: "lambda", signing: "lambda", name: "AWSLambda"}
	kinesisAPI   = &api{host: "kinesis", signing: "kinesis", name: "AmazonKinesis", json: "1.1", prefix: "Kinesis_20131202"}
	firehoseAPI  = &api{host: "firehose", signing: "firehose", name: "AmazonKinesisFirehose", json: "1.1", prefix: "Firehose_20150804"}
	statesAPI    = &api{host: "states", signing: "states", name: "AWSStepFunctions", json: "1.0", prefix: "AWSStepFunctions"}
	logsAPI      = &api{host: "logs", signing: "logs", name: "AWSLogs", json: "1.1", prefix: "Logs_20140328"}
	eventsAPI    = &api{host: "events", signing: "events", name: "AmazonEventBridge", json: "1.1", prefix: "AWSEvents"}
	gatewayAPI   = &api{host: "execute-api", signing: "execute-api", name: "AmazonApiGateway"}
	ecsAPI       = &api{host: "ecs", signing: "ecs", name: "AmazonECS", json: "1.1", prefix: "AmazonEC2ContainerServiceV20141113"}
	batchAPI     = &api{host: "batch", signing: "batch", name: "AWSBatch"}
	buildAPI     = &api{host: "codebuild", signing: "codebuild", name: "AWSCodeBuild", json: "1.1", prefix: "CodeBuild_20161006"}
	pipelineAPI  = &api{host: "codepipeline", signing: "codepipeline", name: "AWSCodePipeline", json: "1.1", prefix: "CodePipeline_20150709"}
	ssmAPI       = &api{host: "ssm", signing: "ssm", name: "AWSSimpleSystemsManagement", json: "1.1", prefix: "AmazonSSM"}
	incidentsAPI = &api{host: "ssm-incidents", signing: "ssm-incidents", name: "AWSSSMIncidents"}
	glueAPI      = &api{host: "glue", signing: "glue", name: "AWSGlue", json: "1.1", prefix: "AWSGlue"}
	redshiftAPI  = &api{host: "redshift-data", signing: "redshift-data", name: "AWSRedshiftDataAPI", json: "1.1", prefix: "RedshiftData"}
	sageMakerAPI = &api{host: "api.sagemaker", signing: "sagemaker", name: "AmazonSageMaker", json: "1.1", prefix: "SageMaker"}
	inspectorAPI = &api{host: "inspector", signing: "inspector", name: "AmazonInspector", json: "1.1", prefix: "InspectorService"}
	appSyncAPI   = &api{host: "appsync-api", signing: "appsync", name: "AWSAppSync"}
	anyObject    = taken("")
)

// A kind is how one sort of resource takes events.
type kind struct {
	service  string // of the ARN
	resource string // what the resource part of the ARN begins with
	api      *api
	one      func(c *call, m *target.Message) (*request, error)    // nil if one goes as many do
	taken    func(a *answer) bool                                  // whether a good status comes with what the service answers; nil is all that it takes
	refused  func(a *answer) *failure                              // an error in an answer whose status is good; nil is never
	many     *many                                                 // nil if the service takes one at a time
	prepare  func(c *call, f *failure, m *target.Message) *request // what has to be made first because a call failed, or nil
	done     []string                                              // errors that say that the message is there already
	timeout  time.Duration                                         // 0 is the default
}

// A many is how several messages go in one call.
type many struct {
	messages int // at most
	bytes    int // of payloads at most
	request  func(c *call, ms []*target.Message) (*request, error)
	results  func(body []byte, n int) (failures []*failure, ok bool) // one for each message
	order    func(a, b *target.Message) int                          // in which the service wants them; nil is any
	apart    func(ms []*target.Message) bool                         // whether these, in that order, cannot go together; nil is never
}

// kinds is all that can be called (EventBridge user guide, "Event bus targets"), with the limits of each service's API reference. What
// AWS offers beside these, actions on EC2 and alarms, has no public operation.
var kinds = []kind{
	{service: "sqs", api: sqsAPI, one: sendMessage, taken: taken("MessageId"),
		many: &many{messages: 10, bytes: 1 << 20, request: sendMessages, results: sentMessages}},
	{service: "sns", api: snsAPI, one: publish, taken: contains("MessageId"),
		many: &many{messages: 10, bytes: 256 << 10, request: publishAll, results: published}},
	{service: "lambda", resource: "function:", api: lambdaAPI, one: invoke, taken: accepted},
	{service: "kinesis", resource: "stream/", api: kinesisAPI, one: putRecord, taken: taken("SequenceNumber"),
		many: &many{messages: 500, bytes: 5 << 20, request: putRecords, results: records("FailedRecordCount", "Records")}},
	{service: "firehose", resource: "deliverystream/", api: firehoseAPI, one: putToFirehose, taken: taken("RecordId"),
		many: &many{messages: 500, bytes: 4 << 20, request: putAllToFirehose, results: records("FailedPutCount", "RequestResponses")}},
	{service: "states", resource: "stateMachine:", api: statesAPI, one: startExecution, taken: taken("executionArn"), done: []string{"ExecutionAlreadyExists"}},
	{service: "logs", resource: "log-group:", api: logsAPI, taken: anyObject, prepare: createStream,
		many: &many{messages: 1000, bytes: 900_000, request: putLogEvents, results: logged, order: byTime, apart: tooFarApart}},
	{service: "events", resource: "event-bus/", api: eventsAPI, taken: anyObject,
		many: &many{messages: 10, bytes: 200 << 10, request: putEvents, results: records("FailedEntryCount", "Entries")}},
	{service: "execute-api", api: gatewayAPI, one: callGateway, timeout: gatewayTimeout},
	{service: "ecs", resource: "cluster/", api: ecsAPI, one: runTask, taken: anyObject, refused: tasksNotRun},
	{service: "batch", resource: "job-queue/", api: batchAPI, one: submitJob, taken: taken("jobId")},
	{service: "codebuild", resource: "project/", api: buildAPI, one: startBuild, taken: anyObject},
	{service: "codepipeline", api: pipelineAPI, one: startPipeline, taken: taken("pipelineExecutionId")},
	{service: "ssm", resource: "document/", api: ssmAPI, one: sendCommand, taken: taken("Command")},
	{service: "ssm", resource: "automation-definition/", api: ssmAPI, one: startAutomation, taken: taken("AutomationExecutionId")},
	{service: "ssm", resource: "opsitem", api: ssmAPI, one: createOpsItem, taken: taken("OpsItemId")},
	{service: "ssm-incidents", resource: "response-plan/", api: incidentsAPI, one: startIncident, taken: taken("incidentRecordArn")},
	{service: "glue", resource: "workflow/", api: glueAPI, one: startWorkflow, taken: taken("RunId")},
	{service: "redshift", resource: "cluster:", api: redshiftAPI, one: executeStatement, taken: taken("Id")},
	{service: "redshift-serverless", resource: "workgroup/", api: redshiftAPI, one: executeStatement, taken: taken("Id")},
	{service: "sagemaker", resource: "pipeline/", api: sageMakerAPI, one: startModelPipeline, taken: taken("PipelineExecutionArn")},
	{service: "inspector", resource: "target/", api: inspectorAPI, one: startAssessment, taken: taken("assessmentRunArn")},
	{service: "appsync", resource: "endpoints/graphql-api/", api: appSyncAPI, one: callGraphQL, taken: taken("data"), refused: graphQLErrors},
}

// kindOf finds how a resource is called, or nil.
func kindOf(arn rialto.ARN) *kind {
	for i := range kinds {
		k := &kinds[i]
		rest, ok := strings.CutPrefix(arn.Resource, k.resource)
		whole := !strings.HasSuffix(k.resource, "/") && !strings.HasSuffix(k.resource, ":") // otherwise a name follows
		if k.service == arn.Service && ok && (rest != "" || whole) {
			return k
		}
	}
	return nil
}

func served(service string) bool {
	return slices.ContainsFunc(kinds, func(k kind) bool { return k.service == service })
}

func services() []string {
	var list []string
	for _, k := range kinds {
		list = append(list, k.service)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// A request is one before it is signed.
type request struct {
	method string
	host   string // the endpoint's host before region and domain, if it is not the api's
	global bool   // the endpoint's host has no region
	path   string // escaped
	query  url.Values
	header map[string]string
	body   []byte
}

// An object is the body of a request.
type object map[string]any

// json writes a request in the JSON protocol.
func (c *call) json(operation string, body object) (*request, error) {
	return c.document("/", body, map[string]string{
		"Content-Type": "application/x-amz-json-" + c.kind.api.json, "X-Amz-Target": c.kind.api.prefix + "." + operation,
	})
}

// rest writes a request whose body is JSON.
func (c *call) rest(path string, body object) (*request, error) {
	return c.document(path, body, map[string]string{"Content-Type": "application/json"})
}

func (c *call) document(path string, body object, header map[string]string) (*request, error) {
	for name, value := range body {
		if value == nil || value == "" {
			delete(body, name)
		}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, invalid("No request can be made of the parameters of %s.", c.arn)
	}
	return &request{method: http.MethodPost, path: path, header: header, body: b}, nil
}

// form writes a request in the query protocol.
func (c *call) form(operation string, values url.Values) *request {
	values.Set("Action", operation)
	values.Set("Version", c.kind.api.version)
	return &request{method: http.MethodPost, path: "/", body: []byte(values.Encode()),
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}}
}

// name is the resource part of the ARN without what its kind begins with.
func (c *call) name() string { return strings.TrimPrefix(c.arn.Resource, c.kind.resource) }

// taken looks for a member in an answer that is a JSON object; "" is content with the object.
func taken(member string) func(a *answer) bool {
	return func(a *answer) bool {
		var o map[string]json.RawMessage
		if json.Unmarshal(a.body, &o) != nil {
			return false
		}
		_, ok := o[member]
		return ok || member == ""
	}
}

func contains(text string) func(a *answer) bool {
	return func(a *answer) bool { return strings.Contains(string(a.body), "<"+text+">") }
}

func accepted(a *answer) bool { return a.status == http.StatusAccepted }

// records reads one result for each message, in their order, from the list of an answer.
func records(count, list string) func(body []byte, n int) ([]*failure, bool) {
	return func(body []byte, n int) ([]*failure, bool) {
		var o map[string]json.RawMessage
		var failed int
		var results []struct{ ErrorCode, ErrorMessage string }
		if json.Unmarshal(body, &o) != nil || json.Unmarshal(o[count], &failed) != nil || json.Unmarshal(o[list], &results) != nil || len(results) != n {
			return nil, false
		}
		failures := make([]*failure, n)
		for i, r := range results {
			if r.ErrorCode != "" {
				failures[i] = &failure{status: http.StatusOK, code: r.ErrorCode, message: cut(r.ErrorMessage)}
			}
		}
		return failures, true
	}
}

// suffix is the domain of a partition.
func suffix(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

func trimSlash(s string) string { return strings.TrimRight(s, "/") }
