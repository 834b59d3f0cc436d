package aws

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// This file writes the requests of the services that take one event and start something with it.

// invoke calls a function asynchronously: whether it succeeds is a matter of the function's own retries (EventBridge user guide).
func invoke(c *call, m *target.Message) (*request, error) {
	name := c.name()
	query := url.Values{}
	if function, alias, ok := strings.Cut(name, ":"); ok {
		name = function
		query.Set("Qualifier", alias)
	}
	header := map[string]string{"Content-Type": "application/json", "X-Amz-Invocation-Type": "Event"}
	if m.Trace != "" {
		header["X-Amzn-Trace-Id"] = m.Trace
	}
	function := c.arn
	function.Resource = c.kind.resource + name
	return &request{method: "POST", path: "/2015-03-31/functions/" + strings.ReplaceAll(url.PathEscape(function.String()), ":", "%3A") + "/invocations",
		query: query, header: header, body: m.Payload}, nil
}

// startExecution names the execution after the delivery, so that a second attempt finds what the first one may have started.
func startExecution(c *call, m *target.Message) (*request, error) {
	body := object{"stateMachineArn": c.arn.String(), "input": string(m.Payload), "name": m.EventID + "_" + nameOf(m)}
	if m.Trace != "" {
		body["traceHeader"] = m.Trace
	}
	return c.json("StartExecution", body)
}

// nameOf is a UUID that is the same for each attempt of a delivery, and another one for every other: also when the event is replayed.
func nameOf(m *target.Message) string {
	accepted, _ := m.Accepted.UTC().MarshalText()
	d := m.Definition
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(d.Rule.String()+"\x00"+d.ID+"\x00"+m.EventID+"\x00"+string(accepted)+"\x00"+strconv.Itoa(m.Redrives))).String()
}

// runTask runs a task. The event is not a part of it, unless the target's input makes overrides of it.
func runTask(c *call, m *target.Message) (*request, error) {
	p, err := c.parameters("EcsParameters", m)
	if err != nil {
		return nil, err
	}
	body := lowerFirst(p)
	move(body, "taskDefinitionArn", "taskDefinition")
	move(body, "taskCount", "count")
	body["cluster"] = c.arn.String()
	startedBy := "events-rule/" + string(c.d.RuleName)
	if scheduled(c.d) {
		schedule := scheduleOf(m)
		startedBy = "chronos-schedule/" + schedule[strings.LastIndexByte(schedule, '/')+1:] // as AWS writes it
	}
	body["startedBy"] = truncate(startedBy, maxStartedBy)
	if shaped(m) {
		overrides, err := input(m)
		if err != nil {
			return nil, err
		}
		body["overrides"] = overrides
	}
	return c.json("RunTask", body)
}

const maxStartedBy = 36 // characters (EventBridge writes no more; ECS API reference, RunTask)

// tasksNotRun is why no task was started, which the answer says beside a good status.
func tasksNotRun(a *answer) *failure {
	var o struct {
		Tasks    []json.RawMessage
		Failures []struct{ Arn, Reason, Detail string }
	}
	if json.Unmarshal(a.body, &o) != nil || len(o.Tasks) > 0 || len(o.Failures) == 0 {
		return nil
	}
	f := o.Failures[0]
	return &failure{status: a.status, code: cut(f.Reason), message: cut(first(f.Detail, "No task was started on "+f.Arn+".")), requestID: a.requestID()}
}

// submitJob puts a job into a queue. The target's input may override what the parameters say.
func submitJob(c *call, m *target.Message) (*request, error) {
	p, err := c.parameters("BatchParameters", m)
	if err != nil {
		return nil, err
	}
	body := lowerFirst(p)
	body["jobQueue"] = c.arn.String()
	if err := override(body, m, "ContainerOverrides", "DependsOn", "Parameters"); err != nil {
		return nil, err
	}
	return c.rest("/v1/submitjob", body)
}

func startBuild(c *call, m *target.Message) (*request, error) {
	body := object{}
	if shaped(m) {
		overrides, err := input(m)
		if err != nil {
			return nil, err
		}
		body = overrides
	}
	operation := "StartBuild"
	if body["buildType"] == "BATCH" {
		operation = "StartBuildBatch"
	}
	delete(body, "buildType")
	body["projectName"] = c.name()
	return c.json(operation, body)
}

func startPipeline(c *call, m *target.Message) (*request, error) {
	body := object{}
	if err := override(body, m, "Variables", "SourceRevisions"); err != nil {
		return nil, err
	}
	body["name"] = c.name()
	body["clientRequestToken"] = nameOf(m)
	return c.json("StartPipelineExecution", body)
}

// sendCommand runs a command on the instances that the target names.
func sendCommand(c *call, m *target.Message) (*request, error) {
	p, err := c.parameters("RunCommandParameters", m)
	if err != nil {
		return nil, err
	}
	body := object{"DocumentName": c.documentName(), "Targets": p["RunCommandTargets"]}
	if err := documentParameters(body, m); err != nil {
		return nil, err
	}
	return c.json("SendCommand", body)
}

// documentName is how SSM takes the document of an ARN: by its name in the account, by its ARN if another account shares it.
func (c *call) documentName() string {
	if c.arn.Account == "" || c.arn.Account == c.d.Rule.Account {
		return c.name()
	}
	return c.arn.String()
}

func startAutomation(c *call, m *target.Message) (*request, error) {
	name, version, _ := strings.Cut(c.name(), ":")
	body := object{"DocumentName": name, "DocumentVersion": version, "ClientToken": nameOf(m)}
	if err := documentParameters(body, m); err != nil {
		return nil, err
	}
	return c.json("StartAutomationExecution", body)
}

// documentParameters takes the target's input as the parameters of a document: lists of strings by name.
func documentParameters(body object, m *target.Message) error {
	if !shaped(m) {
		return nil
	}
	in, err := input(m)
	if err != nil {
		return err
	}
	parameters := object{}
	for name, value := range in {
		if _, list := value.([]any); !list {
			value = []any{value}
		}
		parameters[name] = value
	}
	body["Parameters"] = parameters
	return nil
}

// createOpsItem opens an item for operators. Its title and its source are those of the event.
func createOpsItem(c *call, m *target.Message) (*request, error) {
	body := object{
		"Title": truncate(textAt("$.detail-type", m), maxOpsTitle), "Source": truncate("EventBridge: "+textAt("$.source", m), maxOpsSource),
		"Description": truncate(string(m.Payload), maxOpsDescription),
	}
	if shaped(m) {
		in, err := input(m)
		if err != nil {
			return nil, err
		}
		for _, name := range []string{"Title", "Description", "Source", "Category", "Severity", "Priority", "OperationalData"} {
			for given, value := range in {
				if strings.EqualFold(given, name) {
					body[name] = value
				}
			}
		}
	}
	return c.json("CreateOpsItem", body)
}

// Characters that CreateOpsItem takes (Systems Manager API reference).
const (
	maxOpsTitle       = 1024
	maxOpsSource      = 128
	maxOpsDescription = 2048
)

func startIncident(c *call, m *target.Message) (*request, error) {
	body := object{"responsePlanArn": c.arn.String(), "clientToken": nameOf(m)}
	if err := override(body, m, "Title", "Impact", "RelatedItems"); err != nil {
		return nil, err
	}
	return c.rest("/startIncident", body)
}

// startWorkflow starts a workflow of Glue. EventBridge itself notifies it by an operation that is not public.
func startWorkflow(c *call, _ *target.Message) (*request, error) {
	return c.json("StartWorkflowRun", object{"Name": c.name()})
}

// executeStatement runs SQL on a cluster or a workgroup.
func executeStatement(c *call, m *target.Message) (*request, error) {
	p, err := c.parameters("RedshiftDataParameters", m)
	if err != nil {
		return nil, err
	}
	move(p, "SecretManagerArn", "SecretArn")
	p["ClientToken"] = nameOf(m)
	if c.arn.Service == "redshift" {
		p["ClusterIdentifier"] = c.name()
	} else {
		p["WorkgroupName"] = c.arn.String()
	}
	if _, several := p["Sqls"]; several {
		return c.json("BatchExecuteStatement", p)
	}
	return c.json("ExecuteStatement", p)
}

func startModelPipeline(c *call, m *target.Message) (*request, error) {
	p, err := c.parameters("SageMakerPipelineParameters", m)
	if err != nil {
		return nil, err
	}
	body := object{"PipelineName": c.name(), "ClientRequestToken": nameOf(m)}
	if list, ok := p["PipelineParameterList"]; ok {
		body["PipelineParameters"] = list
	}
	return c.json("StartPipelineExecution", body)
}

func startAssessment(c *call, m *target.Message) (*request, error) {
	return c.json("StartAssessmentRun", object{"assessmentTemplateArn": c.arn.String(), "assessmentRunName": m.EventID + "_" + nameOf(m)})
}

// callGraphQL makes the mutation that the target names, with its input as the variables.
func callGraphQL(c *call, m *target.Message) (*request, error) {
	p, err := c.parameters("AppSyncParameters", m)
	if err != nil {
		return nil, err
	}
	body := object{"query": p["GraphQLOperation"]}
	if err := override(body, m); err != nil {
		return nil, err
	}
	in, err := input(m)
	if err != nil {
		return nil, err
	}
	body["variables"] = in
	req, err := c.rest("/graphql", body)
	if req != nil {
		req.host = c.name() + "." + c.kind.api.host
	}
	return req, err
}

// graphQLErrors is why a mutation was not carried out: GraphQL has the status 200 for errors, too.
func graphQLErrors(a *answer) *failure {
	var o struct {
		Errors []struct{ ErrorType, Message string }
	}
	if json.Unmarshal(a.body, &o) != nil || len(o.Errors) == 0 {
		return nil
	}
	return &failure{status: a.status, code: cut(o.Errors[0].ErrorType), message: cut(o.Errors[0].Message), requestID: a.requestID()}
}

// shaped reports whether the target's input made something else of the event. A schedule may have an input or none, which stands in its event.
func shaped(m *target.Message) bool {
	d := m.Definition
	if scheduled(d) {
		_, given := inputPath.Find(m.Event)
		return given
	}
	return d.Input != nil && *d.Input != "" || d.InputPath != nil || d.Transformer != nil
}

// scheduled reports whether a definition is of schedules: the group of these stands where a rule would be, or one of them.
func scheduled(d *target.Definition) bool { return d.Rule.Service == "scheduler" }

// scheduleOf is the ARN of the schedule that a message comes from, which is the resource of its event.
func scheduleOf(m *target.Message) string {
	if arn := textAt("$.resources[0]", m); arn != "" {
		return arn
	}
	return m.Definition.Rule.String()
}

var inputPath = func() jsonpath.Path {
	p, err := jsonpath.Parse("$.input")
	if err != nil {
		panic(err) // it stands in the program
	}
	return p
}()

// input is the payload as the object that parameters are taken from.
func input(m *target.Message) (object, error) {
	var o object
	if err := decode(m.Payload, &o); err != nil || o == nil {
		return nil, &target.Error{Code: target.CodeInvalidParameter, Permanent: true, Message: "The input for the target is not a JSON object of parameters."}
	}
	return o, nil
}

// override takes members of the target's input over into a request, by whichever case their names have.
func override(body object, m *target.Message, names ...string) error {
	if !shaped(m) || len(names) == 0 {
		return nil
	}
	in, err := input(m)
	if err != nil {
		return err
	}
	for _, name := range names {
		for given, value := range in {
			if strings.EqualFold(given, name) {
				body[lower(name)] = lowerValues(map[string]any{name: value}).(map[string]any)[lower(name)]
			}
		}
	}
	return nil
}

// parameters is a block of the target. Values that are wholly a path are those of the event.
func (c *call) parameters(name string, m *target.Message) (object, error) {
	var o object
	if err := decode(c.d.Parameters[name], &o); err != nil || o == nil {
		return nil, invalid("Parameter(s) %s must be specified for target: %s.", name, c.d.ID)
	}
	for key, value := range o {
		o[key] = dynamic(value, m.Event)
	}
	return o, nil
}

// decode reads JSON so that numbers keep their spelling.
func decode(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	return d.Decode(v)
}

// dynamic replaces strings that are wholly a path, at any depth.
func dynamic(v any, event []byte) any {
	switch v := v.(type) {
	case string:
		return transform.Value(v, event)
	case []any:
		for i := range v {
			v[i] = dynamic(v[i], event)
		}
	case map[string]any:
		for key := range v {
			v[key] = dynamic(v[key], event)
		}
	}
	return v
}

// lowerFirst is a block as the services write it whose members begin with a small letter.
func lowerFirst(o object) object { return lowerValues(map[string]any(o)).(map[string]any) }

func lowerValues(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = lowerValues(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			if name == "Parameters" || name == "parameters" { // whose names are the user's
				out[lower(name)] = value
			} else {
				out[lower(name)] = lowerValues(value)
			}
		}
		return out
	}
	return v
}

func lower(name string) string {
	r, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[size:]
}

func move(o object, from, to string) {
	if v, ok := o[from]; ok {
		delete(o, from)
		o[to] = v
	}
}

func truncate(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most])
	}
	return s
}

// textAt is the string to which a path leads in the event.
func textAt(path string, m *target.Message) string {
	p, err := jsonpath.Parse(path)
	if err != nil {
		return ""
	}
	value, _ := p.Find(m.Event)
	return string(jsonpath.AppendText(nil, value))
}
