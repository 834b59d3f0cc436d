package queue_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/queue"
)

// letters makes a queue with a dead-letter queue in which there are n messages.
func (p *process) letters(n int) {
	p.t.Helper()
	p.create("dead", "VisibilityTimeout", "600")
	p.create("q", "VisibilityTimeout", "0", "RedrivePolicy", fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":1}`, at("dead").ARN()))
	for i := range n {
		p.send("q", fmt.Sprint(i))
	}
	for range n/10 + 1 {
		p.receive("q", queue.ReceiveOptions{Max: 10})
	}
	for p.counts("dead").Visible < n {
		p.receive("q", queue.ReceiveOptions{Max: 10})
		synctest.Wait()
	}
}

func (p *process) task() queue.Task {
	p.t.Helper()
	list, err := p.ListTasks(at("dead").ARN().String(), 1)
	if err != nil || len(list) != 1 {
		p.t.Fatalf("the tasks are %v, %v", list, err)
	}
	return list[0]
}

func (p *process) startTask(destination rialto.QueueName, rate int) *queue.Task {
	p.t.Helper()
	arn := ""
	if destination != "" {
		arn = at(destination).ARN().String()
	}
	task, err := p.StartTask(p.t.Context(), at("dead").ARN().String(), arn, rate)
	must(p.t, err)
	return task
}

func TestTasksMoveDeadLettersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 2)
		p.letters(25)
		p.startTask("", 0)
		synctest.Wait()
		if task := p.task(); task.Status != queue.TaskCompleted || task.Moved != 25 || task.ToMove != 25 {
			t.Errorf("the task is %+v", task)
		}
		var bodies []string
		for p.counts("q").Visible > 0 {
			for _, m := range p.receive("q", queue.ReceiveOptions{Max: 10, Visibility: new(100)}) {
				bodies = append(bodies, m.Body)
				if m.Receives != 1 || m.Source != "" {
					t.Errorf("%s came back with %d receives and the source %q", m.Body, m.Receives, m.Source)
				}
			}
		}
		slices.Sort(bodies)
		if len(slices.Compact(bodies)) != 25 {
			t.Errorf("%q came back", bodies)
		}
		p.stop()
	})
}

func TestTasksKeepTheirRateAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim()
		p := start(t, sim, 1)
		p.create("elsewhere")
		p.letters(30)
		task := p.startTask("elsewhere", 2)
		if _, err := p.StartTask(t.Context(), at("dead").ARN().String(), "", 0); rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("a second task at once got %v", err)
		}
		time.Sleep(3500 * time.Millisecond)
		if now := p.task(); now.Moved != 8 || now.Status != queue.TaskRunning {
			t.Errorf("after 3.5s the task is %+v", now)
		}

		// Another process goes on with it.
		p.stop()
		p = start(t, sim, 1)
		time.Sleep(3500 * time.Millisecond)
		if n := p.counts("elsewhere").Visible; n != 16 {
			t.Errorf("%d messages are elsewhere after 7s, want 16", n)
		}
		moved, err := p.CancelTask(t.Context(), task.Handle())
		must(t, err)
		time.Sleep(time.Second)
		if now := p.task(); now.Status != queue.TaskCancelled || moved == 0 {
			t.Errorf("after %d messages the task is %+v", moved, now)
		}
		if _, err := p.CancelTask(t.Context(), task.Handle()); err == nil {
			t.Error("a task was cancelled twice")
		}

		// One that cannot go on says why, and the messages stay.
		before := p.counts("dead").Visible
		must(t, p.Delete(t.Context(), at("q")))
		p.create("q", "RedrivePolicy", fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":1}`, at("dead").ARN()))
		p.startTask("elsewhere", 2)
		must(t, p.Delete(t.Context(), at("elsewhere")))
		time.Sleep(5 * time.Second)
		if now := p.task(); now.Status != queue.TaskFailed || now.Reason != "AWS.SimpleQueueService.NonExistentQueue" {
			t.Errorf("without its destination the task is %+v", now)
		}
		if after := p.counts("dead").Visible; after < before-4 {
			t.Errorf("%d of %d messages are left", after, before)
		}
		p.stop()
	})
}
