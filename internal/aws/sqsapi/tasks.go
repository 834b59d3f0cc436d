package sqsapi

import (
	"context"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/queue"
)

func (f *Front) StartMessageMoveTask(ctx context.Context, in *StartMessageMoveTaskInput) (*StartMessageMoveTaskOutput, error) {
	if n := in.MaxNumberOfMessagesPerSecond; n != nil && *n < 1 {
		return nil, errParameter(*n, "MaxNumberOfMessagesPerSecond", "Must be an integer from 1 to 500, if provided.")
	}
	if err := f.admitTo(ctx, *in.SourceArn, deref(in.DestinationArn)); err != nil {
		return nil, err
	}
	task, err := f.queues.StartTask(ctx, *in.SourceArn, deref(in.DestinationArn), int(deref(in.MaxNumberOfMessagesPerSecond)))
	if err != nil {
		return nil, err
	}
	return &StartMessageMoveTaskOutput{TaskHandle: new(task.Handle())}, nil
}

// admitTo is admit for the queues of ARNs. What is no ARN is for the service to refuse.
func (f *Front) admitTo(ctx context.Context, arns ...string) error {
	for _, text := range arns {
		if arn, err := rialto.ParseARN(text); err == nil {
			if err := f.admit(ctx, arn.Account); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Front) ListMessageMoveTasks(ctx context.Context, in *ListMessageMoveTasksInput) (*ListMessageMoveTasksOutput, error) {
	n := 1
	if in.MaxResults != nil {
		n = int(*in.MaxResults)
	}
	if err := f.admitTo(ctx, *in.SourceArn); err != nil {
		return nil, err
	}
	tasks, err := f.queues.ListTasks(*in.SourceArn, n)
	if err != nil {
		return nil, err
	}
	out := &ListMessageMoveTasksOutput{Results: []ListMessageMoveTasksResultEntry{}}
	for i := range tasks {
		out.Results = append(out.Results, taskEntry(&tasks[i]))
	}
	return out, nil
}

func taskEntry(t *queue.Task) ListMessageMoveTasksResultEntry {
	e := ListMessageMoveTasksResultEntry{
		Status: &t.Status, SourceArn: new(t.Source.ARN().String()), DestinationArn: text(t.Destination), FailureReason: text(t.Reason),
		ApproximateNumberOfMessagesMoved: new(int64(t.Moved)), ApproximateNumberOfMessagesToMove: new(int64(t.ToMove)),
		StartedTimestamp: new(t.Started.UnixMilli()),
	}
	if t.Status == queue.TaskRunning {
		e.TaskHandle = new(t.Handle())
	}
	if t.Rate > 0 {
		e.MaxNumberOfMessagesPerSecond = new(int32(t.Rate))
	}
	return e
}

func (f *Front) CancelMessageMoveTask(ctx context.Context, in *CancelMessageMoveTaskInput) (*CancelMessageMoveTaskOutput, error) {
	if err := f.admitTo(ctx, queue.TaskSource(*in.TaskHandle)); err != nil {
		return nil, err
	}
	moved, err := f.queues.CancelTask(ctx, *in.TaskHandle)
	if err != nil {
		return nil, err
	}
	return &CancelMessageMoveTaskOutput{ApproximateNumberOfMessagesMoved: new(int64(moved))}, nil
}
