package sqsapi

import (
	"context"

	"github.com/rialto-events/rialto/internal/queue"
)

func (f *Front) StartMessageMoveTask(ctx context.Context, in *StartMessageMoveTaskInput) (*StartMessageMoveTaskOutput, error) {
	if n := in.MaxNumberOfMessagesPerSecond; n != nil && *n < 1 {
		return nil, errParameter(*n, "MaxNumberOfMessagesPerSecond", "Must be an integer from 1 to 500, if provided.")
	}
	task, err := f.queues.StartTask(ctx, *in.SourceArn, deref(in.DestinationArn), int(deref(in.MaxNumberOfMessagesPerSecond)))
	if err != nil {
		return nil, err
	}
	return &StartMessageMoveTaskOutput{TaskHandle: new(task.Handle())}, nil
}

func (f *Front) ListMessageMoveTasks(_ context.Context, in *ListMessageMoveTasksInput) (*ListMessageMoveTasksOutput, error) {
	n := 1
	if in.MaxResults != nil {
		n = int(*in.MaxResults)
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
	moved, err := f.queues.CancelTask(ctx, *in.TaskHandle)
	if err != nil {
		return nil, err
	}
	return &CancelMessageMoveTaskOutput{ApproximateNumberOfMessagesMoved: new(int64(moved))}, nil
}
