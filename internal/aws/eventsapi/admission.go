package eventsapi

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// A kind is what AWS asks of the targets of a service. Whether the resource is there does not matter, and neither does whether
// rialto can deliver to it: an event that cannot be delivered ends in the dead-letter queue with a sentence that says so.
type kind struct {
	service  string
	resource string   // what the resource part of the ARN begins with
	role     need     // a RoleArn
	blocks   []string // parameter blocks that the kind knows
	must     string   // the block that it cannot be without
	regions  bool     // the target may be in another region than its rule
	global   bool     // the ARN may be without a region
	shared   bool     // the ARN may be without an account, for what AWS itself provides
	own      bool     // AWS has no such thing: its ARNs have a partition of ours
}

// A need says whether something has to be there.
type need uint8

const (
	optional need = iota
	required
	requiredHereOrOnRule
	forbidden
)

// kinds are the targets that AWS accepts, and at the end rialto's own (EventBridge user guide, "Event bus targets"; which of them need a role was recorded).
var kinds = []kind{
	{service: "sqs", regions: true},
	{service: "sns", regions: true},
	{service: "lambda", regions: true},
	{service: "events", resource: busPrefix, role: required, regions: true},
	{service: "events", resource: destinationPrefix, role: required, blocks: []string{httpRequest}},
	{service: "events", resource: "target/"}, // what the console of former days made: create-snapshot, stop-instance …
	{service: "execute-api", blocks: []string{httpRequest}},
	{service: "kinesis", role: requiredHereOrOnRule, blocks: []string{kinesis}},
	{service: "firehose", role: required, regions: true},
	{service: "states", role: required},
	{service: "logs", role: forbidden},
	{service: "ecs", role: required, blocks: []string{ecs}, must: ecs},
	{service: "batch", role: required, blocks: []string{batch}, must: batch},
	{service: "codebuild", role: required},
	{service: "codepipeline", role: required},
	{service: "glue", role: required},
	{service: "inspector", role: required},
	{service: "redshift", role: required, blocks: []string{redshift}},
	{service: "redshift-serverless", role: required, blocks: []string{redshift}},
	{service: "sagemaker", role: required, blocks: []string{sageMaker}},
	{service: "ssm", role: required, blocks: []string{runCommand}, shared: true},
	{service: "ssm-incidents", role: required, global: true},
	{service: "appsync", blocks: []string{appSync}},
	{service: "cloudwatch"},
	{service: "ec2"},
	{service: "nats", regions: true, global: true, shared: true, own: true},
	{service: "kafka", regions: true, global: true, shared: true, own: true},
}

const (
	busPrefix         = "event-bus/"
	destinationPrefix = "api-destination/"
)

// kindOf finds the kind of a target.
func kindOf(s string) (rialto.ARN, kind, error) {
	arn, err := rialto.ParseARN(s)
	if err != nil {
		return arn, kind{}, errBadARN(s)
	}
	known := false
	for _, k := range kinds {
		if k.service != arn.Service || k.own != (arn.Partition == rialto.OwnPartition) {
			continue
		}
		whole := (arn.Region != "" || k.global) && (arn.Account != "" || k.shared)
		if whole && strings.HasPrefix(arn.Resource, k.resource) && arn.Resource != k.resource {
			return arn, k, nil
		}
		known = true
	}
	if known {
		return arn, kind{}, errBadARN(s)
	}
	return arn, kind{}, invalid("%s is not a supported service for a target.", arn.Service)
}

// checkTarget reports why AWS would not take a target for a rule. The constraints of the service model were checked before.
func checkTarget(caller *aws.Request, name ruleName, rule *catalog.Rule, t *Target) error {
	arn, k, err := kindOf(*t.Arn)
	if err != nil {
		return err
	}
	isBus := k.resource == busPrefix
	if caller.Scope.Account != name.bus.Scope.Account && !isBus {
		return invalid("Only EventBus targets are allowed on cross-account PutTargets calls.")
	}
	if !k.own && arn.Partition != partitionOf(name.bus.Scope.Region) && arn.Partition != rialto.Partition {
		return errBadARN(*t.Arn)
	}
	if arn.Region != "" && arn.Region != name.bus.Scope.Region && !k.regions {
		return invalid("Parameter %s is not valid. Reason: The target must be in the region of the rule.", *t.Arn)
	}
	if isBus && *t.Arn == name.bus.ARN().String() {
		return invalid("Parameter %s is not valid. Reason: An event bus cannot be the target of a rule of its own.", *t.Arn)
	}
	if k.resource == destinationPrefix && arn.Account != name.bus.Scope.Account {
		return invalid("Parameter %s is not valid. Reason: The API destination must be in the account of the rule.", *t.Arn)
	}
	return cmp.Or( // the first that is wrong
		checkRole(name, rule, t, k),
		checkBlocks(t, k, arn),
		checkShaping(t, k),
		checkECS(t.EcsParameters, *t.Id, arn),
		checkBatch(t.BatchParameters),
		checkDeadLetter(name.bus.Scope, t.DeadLetterConfig),
	)
}

// partitionOf is the partition in which AWS has a region.
func partitionOf(r rialto.Region) string {
	switch {
	case strings.HasPrefix(string(r), "cn-"):
		return "aws-cn"
	case strings.HasPrefix(string(r), "us-gov-"):
		return "aws-us-gov"
	}
	return rialto.Partition
}

func checkRole(name ruleName, rule *catalog.Rule, t *Target, k kind) error {
	switch {
	case k.role == required && t.RoleArn == nil:
		return invalid("RoleArn is required for target %s.", *t.Arn)
	case k.role == requiredHereOrOnRule && t.RoleArn == nil && rule.RoleARN == nil:
		return invalid("Rule %s does not have RoleArn assigned to invoke target %s.", name.rule, *t.Arn)
	case k.role == forbidden && t.RoleArn != nil:
		return invalid("RoleArn is not supported for target %s.", *t.Arn)
	}
	return nil
}

// checkBlocks reports a parameter block that is missing or out of place. SqsParameters are tolerated anywhere.
func checkBlocks(t *Target, k kind, arn rialto.ARN) error {
	given := []struct {
		name  string
		there bool
	}{
		{kinesis, t.KinesisParameters != nil},
		{runCommand, t.RunCommandParameters != nil},
		{ecs, t.EcsParameters != nil},
		{batch, t.BatchParameters != nil},
		{httpRequest, t.HttpParameters != nil},
		{redshift, t.RedshiftDataParameters != nil},
		{sageMaker, t.SageMakerPipelineParameters != nil},
		{appSync, t.AppSyncParameters != nil},
		{"RetryPolicy", t.RetryPolicy != nil && k.resource == busPrefix}, // forwarding has fixed ones
	}
	for _, b := range given {
		if b.there && !slices.Contains(k.blocks, b.name) {
			return invalid("Parameter(s) %s not supported for target: %s.", b.name, *t.Id)
		}
		if !b.there && k.must == b.name {
			return errNoBlock(b.name, *t.Id)
		}
	}
	if isFIFO(arn) && t.SqsParameters == nil {
		return errNoBlock(sqsMessage, *t.Id)
	}
	return nil
}

func errNoBlock(name, id string) error {
	return invalid("Parameter(s) %s must be specified for target: %s.", name, id)
}

func isFIFO(arn rialto.ARN) bool {
	return arn.Service == "sqs" && strings.HasSuffix(arn.Resource, ".fifo")
}

// checkShaping checks what a target is to receive.
func checkShaping(t *Target, k kind) error {
	switch {
	case k.resource == busPrefix && (t.Input != nil || t.InputPath != nil || t.InputTransformer != nil):
		return invalid("Modifying the input for target %s is not supported", *t.Id)
	case k.service == "logs" && (t.Input != nil || t.InputPath != nil):
		return invalid("Input and InputPath are not valid forms of input for target %s. "+
			"The only valid form of input is InputTransformer.", *t.Id)
	case k.service == "ecs" && t.InputPath != nil:
		return invalid("InputPath is not a valid form of input for target %s.", *t.Id)
	}
	var tr *target.Transformer
	if p := t.InputTransformer; p != nil {
		tr = &target.Transformer{Paths: p.InputPathsMap, Template: *p.InputTemplate}
	}
	return transform.Check(*t.Id, t.Input, t.InputPath, tr)
}

// maxTasks is how many tasks one event may start (recorded on AWS).
const maxTasks = 10

func checkECS(p *EcsParameters, id string, cluster rialto.ARN) error {
	if p == nil {
		return nil
	}
	var network AwsVpcConfiguration
	if n := p.NetworkConfiguration; n != nil && n.AwsvpcConfiguration != nil {
		network = *n.AwsvpcConfiguration
		if n := len(network.Subnets); n < 1 || n > 16 {
			return invalid("Parameter Subnets is not valid. Reason: size must be in between 1 and 16")
		}
		if len(network.SecurityGroups) > 5 {
			return invalid("Parameter SecurityGroups is not valid. Reason: size must be in between 0 and 5")
		}
	}
	launch := deref(p.LaunchType)
	switch {
	case launch == LaunchTypeFargate && p.NetworkConfiguration == nil:
		return invalid("Parameter NetworkConfiguration must be specified for target %s when launch type is FARGATE", id)
	case launch == LaunchTypeEc2 && p.PlatformVersion != nil:
		return invalid("Parameter PlatformVersion for target %s is not supported when launch type is EC2", id)
	case launch == LaunchTypeEc2 && network.AssignPublicIp != nil:
		return invalid("Parameter AssignPublicIp for target %s is not supported when launch type is EC2", id)
	case deref(p.TaskCount) > maxTasks:
		return invalid("Parameter(s) TaskCount not valid for target: %s.", id)
	}
	if task, err := rialto.ParseARN(*p.TaskDefinitionArn); err != nil {
		return errBadARN(*p.TaskDefinitionArn)
	} else if task.Region != cluster.Region {
		return invalid("Region of %s does not match region of %s", task, cluster)
	}
	return nil
}

func checkBatch(p *BatchParameters) error {
	if p == nil {
		return nil
	}
	if a := p.ArrayProperties; a != nil && a.Size != nil && (*a.Size < 2 || *a.Size > 10_000) {
		return invalid("Parameter ArrayProperties is not valid. Reason: Size must be in between 2 and 10000.")
	}
	if r := p.RetryStrategy; r != nil && r.Attempts != nil && (*r.Attempts < 1 || *r.Attempts > 10) {
		return invalid("Parameter RetryStrategy is not valid. Reason: Attempts must be in between 1 and 10.")
	}
	return nil
}

// checkDeadLetter checks that a dead-letter queue, of a target or of a bus, is a standard queue in the region.
func checkDeadLetter(s rialto.Scope, c *DeadLetterConfig) error {
	if c == nil || c.Arn == nil {
		return nil
	}
	arn, err := rialto.ParseARN(*c.Arn)
	switch {
	case err != nil:
		return errBadARN(*c.Arn)
	case arn.Service != "sqs":
		return invalid("%s is not supported as a dead letter resource", arn.Service)
	case isFIFO(arn):
		return invalid("SQS FIFO is not supported by Dead Letter Queues")
	case arn.Region != s.Region:
		return invalid("Parameter %s is not valid. Reason: The dead-letter queue must be in the same region.", *c.Arn)
	}
	return nil
}
