package aws_test

import (
	"context"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
)

// The tests of the wire have types of their own, so that they do not wait for the fronts.
//go:generate go run ./generate -service events -models generate/models -package aws_test -out events_gen_test.go -operations CreateArchive,CreateConnection,DeleteRule,DescribeEventBus,DescribeRule,ListArchives,PutEvents,PutTargets
//go:generate go run ./generate -service sqs -models generate/models -package aws_test -out queues_gen_test.go -operations DeleteQueue,GetQueueUrl,ReceiveMessage,SendMessage
//go:generate go run ./generate -service scheduler -models generate/models -package aws_test -out schedules_gen_test.go -operations DeleteSchedule

// Services with a few operations, over types that the generator made.
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
	schedulesModel = aws.Model{
		Name:       "scheduler",
		Operations: []string{"DeleteSchedule", "GetSchedule", "ListSchedules", "UntagResource"},
		Routes: []aws.Route{
			{Method: "DELETE", Path: "/schedules/{Name}", Operation: "DeleteSchedule", Status: 200},
			{Method: "GET", Path: "/schedules/{Name}", Operation: "GetSchedule", Status: 200},
			{Method: "GET", Path: "/schedules", Operation: "ListSchedules", Status: 200},
			{Method: "DELETE", Path: "/tags/{ResourceArn}", Operation: "UntagResource", Status: 204},
		},
		ErrorMember: "Message",
		Kinds:       map[rialto.Kind]string{rialto.Exists: "ConflictException"},
		Errors: map[string]aws.ErrorShape{
			"ResourceNotFoundException": {Status: 404}, "ConflictException": {Status: 409}, "ValidationException": {Status: 400},
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
		aws.NewService(&schedulesModel, aws.Op(deleteSchedule), aws.Op(listSchedules), aws.Op(untagResource)),
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

// deleteSchedule finds nothing, and says what it was asked for.
func deleteSchedule(_ context.Context, in *DeleteScheduleInput) (*DeleteScheduleOutput, error) {
	group := "default"
	if in.GroupName != nil {
		group = *in.GroupName
	}
	return nil, rialto.Errorf(rialto.NotFound, "Schedule %s of %s does not exist.", *in.Name, group)
}

// Two inputs have what the operations above have not, a number and a list in the query. The generator would name some things twice.

// A ListSchedulesInput has a number.
type ListSchedulesInput struct {
	GroupName  string
	MaxResults int32
}

var shapeOfListSchedulesInput = aws.Shape{Members: []aws.Member{{Name: "ScheduleGroup", In: aws.InQuery}, {Name: "MaxResults", In: aws.InQuery}}}

func (v *ListSchedulesInput) Decode(d aws.Decoder) {
	d.BeginStruct(&shapeOfListSchedulesInput)
	for {
		switch d.NextMember() {
		case 0:
			v.GroupName = d.String()
		case 1:
			v.MaxResults = d.Int32()
		default:
			return
		}
	}
}

func (*ListSchedulesInput) Operation() string  { return "ListSchedules" }
func (*ListSchedulesInput) Check(*aws.Checker) {}

// Encode makes it an output, too, which shows what was decoded.
func (v *ListSchedulesInput) Encode(e aws.Encoder) {
	e.BeginStruct(&shapeOfListSchedulesInput)
	e.Member(0, true)
	e.String(v.GroupName)
	e.Member(1, true)
	e.Int(int64(v.MaxResults))
	e.EndStruct()
}

func listSchedules(_ context.Context, in *ListSchedulesInput) (*ListSchedulesInput, error) {
	return in, nil
}

// An UntagResourceInput has a list.
type UntagResourceInput struct {
	ResourceArn string
	TagKeys     []string
}

var shapeOfUntagResourceInput = aws.Shape{Members: []aws.Member{{Name: "ResourceArn", In: aws.InPath}, {Name: "TagKeys", In: aws.InQuery}}}

func (v *UntagResourceInput) Decode(d aws.Decoder) {
	d.BeginStruct(&shapeOfUntagResourceInput)
	for {
		switch d.NextMember() {
		case 0:
			v.ResourceArn = d.String()
		case 1:
			v.TagKeys = aws.DecodeStrings[string](d)
		default:
			return
		}
	}
}

func (*UntagResourceInput) Operation() string  { return "UntagResource" }
func (*UntagResourceInput) Check(*aws.Checker) {}

// untagResource answers with an error that has all that was asked for.
func untagResource(_ context.Context, in *UntagResourceInput) (*aws.NoOutput, error) {
	if len(in.TagKeys) > 1 {
		return nil, rialto.Errorf(rialto.Exists, "%s: %q", in.ResourceArn, in.TagKeys)
	}
	return &aws.NoOutput{}, nil
}
