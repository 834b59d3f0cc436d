package schedulerapi

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/scheduler"
	"github.com/rialto-events/rialto/internal/targets/universal"
	"github.com/rialto-events/rialto/target"
)

// Names of the blocks of parameters. Each is for targets of one service.
const (
	ecsBlock       = "EcsParameters"
	eventsBlock    = "EventBridgeParameters"
	kinesisBlock   = "KinesisParameters"
	sageMakerBlock = "SageMakerPipelineParameters"
	sqsBlock       = "SqsParameters"
)

// A block of parameters, of those that a target has.
type block struct {
	name    string
	service string // for whose targets it is
	given   bool
}

func blocksOf(t *Target) []block {
	return []block{
		{ecsBlock, "ecs", t.EcsParameters != nil},
		{eventsBlock, "events", t.EventBridgeParameters != nil},
		{kinesisBlock, "kinesis", t.KinesisParameters != nil},
		{sageMakerBlock, "sagemaker", t.SageMakerPipelineParameters != nil},
		{sqsBlock, "sqs", t.SqsParameters != nil},
	}
}

// jsonInput are the services whose templated targets take nothing but JSON as an input.
var jsonInput = map[string]bool{"lambda": true, "states": true, "events": true, "ecs": true, "codebuild": true, "codepipeline": true, "sagemaker": true}

// targetOf checks a target, and is what schedules keep of it. The texts were recorded on AWS, where nothing else is said.
func targetOf(scope rialto.Scope, t *Target) (scheduler.Target, error) {
	is := scheduler.Target{ARN: *t.Arn, RoleARN: *t.RoleArn, Input: t.Input, Retry: target.DefaultRetry}
	arn, err := rialto.ParseARN(*t.Arn)
	if err != nil {
		return is, invalid("Provided Arn is not in correct format.") // AWS's text is not known for sure
	}
	service := arn.Service
	if universal.Is(arn) || arn.Service == "scheduler" {
		service = ""
		if err := checkUniversal(t); err != nil {
			return is, err
		}
	} else if err := checkTemplated(scope, arn, t); err != nil {
		return is, err
	}
	for _, b := range blocksOf(t) {
		if b.given && b.service != service {
			return is, invalid("Parameters %s not supported for the target", b.name)
		}
	}
	if err := checkParameters(arn, service, t); err != nil {
		return is, err
	}
	if p := t.RetryPolicy; p != nil {
		if p.MaximumRetryAttempts != nil {
			is.Retry.MaxAttempts = int(*p.MaximumRetryAttempts)
		}
		if p.MaximumEventAgeInSeconds != nil {
			is.Retry.MaxAge = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
		}
	}
	if p := t.DeadLetterConfig; p != nil {
		is.DeadLetter = new(deref(p.Arn))
	}
	if p := t.SqsParameters; p != nil {
		is.SQS = &target.SQS{MessageGroupID: deref(p.MessageGroupId)}
	}
	is.Parameters = parametersOf(t)
	return is, nil
}

func checkUniversal(t *Target) error {
	call, err := universal.Parse(*t.Arn)
	switch {
	case err != nil:
		return err
	case universal.ReadOnly(call.Action):
		return invalid("%s API is not supported", call.Action)
	case t.Input == nil:
		return invalid("You must provide an input to set this target for your schedule")
	}
	return checkJSON(t.Input)
}

func checkJSON(input *string) error {
	if input != nil && !json.Valid([]byte(*input)) {
		return invalid("JSON syntax error in input for the target")
	}
	return nil
}

func checkTemplated(scope rialto.Scope, arn rialto.ARN, t *Target) error {
	switch {
	case !universal.Templated(arn.Service):
		return invalid("%s is not a supported service for a target", arn.Service)
	case arn.Region != "" && arn.Region != scope.Region:
		return invalid("The target ARN provided does not match the current region %s.", scope.Region)
	case jsonInput[arn.Service]:
		return checkJSON(t.Input)
	}
	return nil
}

// checkParameters refuses blocks that lack something or are absent, of those that the target's service has.
func checkParameters(arn rialto.ARN, service string, t *Target) error {
	absent := func(name string) error { return invalid("Parameters %s must be specified", name) }
	switch service {
	case "sqs":
		fifo := strings.HasSuffix(arn.Resource, ".fifo")
		switch p := t.SqsParameters; {
		case fifo && (p == nil || p.MessageGroupId == nil):
			return absent(sqsBlock)
		case !fifo && p != nil && p.MessageGroupId != nil:
			return invalid("Parameters MessageGroupId not valid for the target")
		}
	case "events":
		if t.EventBridgeParameters == nil {
			return absent(eventsBlock)
		}
	case "kinesis":
		if t.KinesisParameters == nil {
			return absent(kinesisBlock)
		}
	case "ecs":
		p := t.EcsParameters
		if p == nil {
			return absent(ecsBlock)
		}
		if deref(p.LaunchType) == LaunchTypeFargate && p.NetworkConfiguration == nil {
			return invalid("Parameter NetworkConfiguration must be specified for the target when launch type is FARGATE")
		}
	}
	return nil
}

// parametersOf takes over the blocks that are kept, as they stand on the wire.
func parametersOf(t *Target) map[string]json.RawMessage {
	kept := make(map[string]json.RawMessage)
	if p := t.EcsParameters; p != nil {
		full := *p
		full.TaskCount = cmp.Or(p.TaskCount, new(int32(1)))
		kept[ecsBlock] = aws.JSON(&full)
	}
	aws.KeepJSON(kept, eventsBlock, t.EventBridgeParameters)
	aws.KeepJSON(kept, kinesisBlock, t.KinesisParameters)
	aws.KeepJSON(kept, sageMakerBlock, t.SageMakerPipelineParameters)
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// showTarget is a target as the API shows it, with what is meant by default.
func showTarget(t *scheduler.Target) (_ *Target, err error) {
	is := &Target{Arn: &t.ARN, RoleArn: &t.RoleARN, Input: t.Input, RetryPolicy: &RetryPolicy{
		MaximumRetryAttempts: new(int32(t.Retry.MaxAttempts)), MaximumEventAgeInSeconds: new(int32(t.Retry.MaxAge / time.Second)),
	}}
	if t.DeadLetter != nil {
		is.DeadLetterConfig = new(DeadLetterConfig)
		if *t.DeadLetter != "" {
			is.DeadLetterConfig.Arn = t.DeadLetter
		}
	}
	if t.SQS != nil {
		is.SqsParameters = new(SqsParameters)
		if t.SQS.MessageGroupID != "" {
			is.SqsParameters.MessageGroupId = &t.SQS.MessageGroupID
		}
	}
	for name, b := range t.Parameters {
		switch name {
		case ecsBlock:
			is.EcsParameters, err = aws.ParseJSON[EcsParameters](b)
		case eventsBlock:
			is.EventBridgeParameters, err = aws.ParseJSON[EventBridgeParameters](b)
		case kinesisBlock:
			is.KinesisParameters, err = aws.ParseJSON[KinesisParameters](b)
		case sageMakerBlock:
			is.SageMakerPipelineParameters, err = aws.ParseJSON[SageMakerPipelineParameters](b)
		}
		if err != nil {
			return nil, err
		}
	}
	return is, nil
}
