package aws_test

import (
	"context"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
)

// The tests of the wire have types of their own, so that they do not wait for the fronts.
//go:generate go run ./generate -service events -models generate/models -package aws_test -out events_gen_test.go -operations CreateArchive,CreateConnection,DeleteRule,DescribeEventBus,DescribeRule,ListArchives,PutEvents,PutTargets
//go:generate go run ./generate -service sqs -models generate/models -package aws_test -out queues_gen_test.go -operations DeleteQueue,GetQueueUrl,ReceiveMessage,SendMessage

// Two services with a few operations, over types that the generator made.
var (
	eventsModel = aws.Model{
		Name: "events", TargetPrefix: "AWSEvents", JSONVersion: "1.1",
		Operations: []string{"CreateArchive", "CreateConnection", "DeleteRule", "DescribeRule", "ListArchives", "ListRules", "PutEvents", "PutTargets"},
		Errors:     map[string]aws.ErrorShape{"ResourceNotFoundException": {}, "InternalException": {Status: 500}},
	}
	queuesModel = aws.Model{
		Name: "sqs", TargetPrefix: "AmazonSQS", JSONVersion: "1.0",
		Operations: []string{"DeleteQueue", "GetQueueUrl", "SendMessage"},
		Version:    "2012-11-05", Namespace: "http://queue.amazonaws.com/doc/2012-11-05/", PathMember: "QueueUrl",
		ErrorPrefix: "com.amazonaws.sqs#", CommonPrefix: "com.amazon.coral.service#",
		Kinds: map[rialto.Kind]string{rialto.NotFound: "QueueDoesNotExist"},
		Errors: map[string]aws.ErrorShape{
			"QueueDoesNotExist": {QueryCode: "AWS.SimpleQueueService.NonExistentQueue", QueryMessage: "The specified queue does not exist for this wsdl version."},
			"OverLimit":         {Status: 403},
		},
	}
)

// A front is the functions of the operations.
type front struct {
	putEvents    func(context.Context, *PutEventsInput) (*PutEventsOutput, error)
	describeRule func(context.Context, *DescribeRuleInput) (*DescribeRuleOutput, error)
	getQueueURL  func(context.Context, *GetQueueUrlInput) (*GetQueueUrlOutput, error)
}

func (f front) handler(opt aws.Options) *aws.Handler {
	if f.putEvents == nil {
		f.putEvents = putNothing
	}
	if f.describeRule == nil {
		f.describeRule = func(context.Context, *DescribeRuleInput) (*DescribeRuleOutput, error) {
			return &DescribeRuleOutput{}, nil
		}
	}
	if f.getQueueURL == nil {
		f.getQueueURL = func(ctx context.Context, in *GetQueueUrlInput) (*GetQueueUrlOutput, error) {
			return &GetQueueUrlOutput{QueueUrl: new(aws.Caller(ctx).BaseURL + "/" + string(aws.Caller(ctx).Scope.Account) + "/" + *in.QueueName)}, nil
		}
	}
	return aws.NewHandler(opt,
		aws.NewService(&eventsModel,
			aws.Op(f.putEvents), aws.Op(f.describeRule), aws.Op(deleteRule),
			aws.Op(nothing[CreateArchiveInput, CreateArchiveOutput]),
			aws.Op(nothing[CreateConnectionInput, CreateConnectionOutput]),
			aws.Op(nothing[ListArchivesInput, ListArchivesOutput]),
			aws.Op(nothing[PutTargetsInput, PutTargetsOutput]),
		),
		aws.NewService(&queuesModel, aws.Op(f.getQueueURL), aws.Op(deleteQueue)),
	)
}

// nothing is an operation that takes everything and does nothing.
func nothing[I, O any](context.Context, *I) (*O, error) { return new(O), nil }

func putNothing(context.Context, *PutEventsInput) (*PutEventsOutput, error) {
	return &PutEventsOutput{}, nil
}

func deleteRule(context.Context, *DeleteRuleInput) (*aws.NoOutput, error) {
	return &aws.NoOutput{}, nil
}

func deleteQueue(context.Context, *DeleteQueueInput) (*aws.NoOutput, error) {
	return &aws.NoOutput{}, nil
}
