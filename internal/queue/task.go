package queue

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
)

// Status of a move task (SQS API, ListMessageMoveTasks).
const (
	TaskRunning    = "RUNNING"
	TaskCompleted  = "COMPLETED"
	TaskCancelling = "CANCELLING"
	TaskCancelled  = "CANCELLED"
	TaskFailed     = "FAILED"
)

const (
	maxTasks    = 10 // that are remembered of a queue (SQS API, ListMessageMoveTasks)
	maxTaskRate = 500
	taskHidden  = 60 // seconds for which a task hides what it is about to move
)

// A Task is a move task, as it is now.
type Task struct {
	catalog.MoveTask
	Source Address
}

// Handle names the task, in the form that AWS gives it.
func (t *Task) Handle() string {
	b, _ := json.Marshal(taskHandle{t.ID, t.Source.ARN().String()}) // strings alone
	return base64.StdEncoding.EncodeToString(b)
}

type taskHandle struct {
	ID     string `json:"taskId"`
	Source string `json:"sourceArn"`
}

func parseTaskHandle(handle string) (h taskHandle, ok bool) {
	b, err := base64.StdEncoding.DecodeString(handle)
	return h, err == nil && json.Unmarshal(b, &h) == nil && h.ID != ""
}

// TaskSource is the ARN of the queue whose messages the task of a handle moves, or empty if it is no handle.
func TaskSource(handle string) string {
	h, _ := parseTaskHandle(handle)
	return h.Source
}

// tasks are the move tasks that this process carries out.
type tasks struct {
	mu      sync.Mutex
	moved   map[string]int // by task: how many messages, as long as it runs here
	changed chan struct{}  // has room for a sign that the catalog may have others
}

func newTasks() *tasks { return &tasks{moved: make(map[string]int), changed: make(chan struct{}, 1)} }

func (t *tasks) tell() { tell(t.changed) }

// begin reports whether a task does not run here yet, and from now on does.
func (t *tasks) begin(task *catalog.MoveTask) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, runs := t.moved[task.ID]; runs {
		return false
	}
	t.moved[task.ID] = task.Moved
	return true
}

func (t *tasks) add(id string, n int) (moved int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved[id] += n
	return t.moved[id]
}

func (t *tasks) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.moved, id)
}

// StartTask begins to move the messages of a dead-letter queue: to the queue of an ARN or, if that is empty, each to where it came from,
// so many a second or, if that is 0, without a pause.
func (s *Service) StartTask(ctx context.Context, source, destination string, rate int) (*Task, error) {
	at, d, err := s.resource(source, "SourceArn")
	if err != nil {
		return nil, err
	}
	if destination != "" {
		_, to, err := s.resource(destination, "DestinationArn")
		if err != nil {
			return nil, err
		}
		if to.fifo != d.fifo {
			return nil, errParameter(destination, "DestinationArn", "The destination queue must be of the same type as the source queue.")
		}
	}
	if rate < 0 || rate > maxTaskRate {
		return nil, errParameter(rate, "MaxNumberOfMessagesPerSecond", "Must be an integer from 1 to 500, if provided.")
	}
	if names, err := s.DeadLetterSources(at, "", 1); err != nil || len(names) == 0 {
		return nil, rialto.Errorf(rialto.Invalid, "Source queue must be configured as a Dead Letter Queue.")
	}
	counts, err := s.Counts(ctx, d.Address)
	if err != nil {
		return nil, err
	}
	task := catalog.MoveTask{
		ID: uuid.NewString(), Destination: destination, Rate: rate, Status: TaskRunning, ToMove: counts.Visible, Started: s.clock.Now().UTC(),
	}
	err = s.edit(ctx, at, func(q *catalog.Queue) error {
		if slices.ContainsFunc(q.Tasks, func(t catalog.MoveTask) bool { return active(&t) }) {
			return rialto.Errorf(rialto.Invalid,
				"There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
		}
		q.Tasks = append(slices.Clone(q.Tasks), task)
		q.Tasks = q.Tasks[max(0, len(q.Tasks)-maxTasks):]
		return nil
	})
	return &Task{task, at}, err
}

func active(t *catalog.MoveTask) bool { return t.Status == TaskRunning || t.Status == TaskCancelling }

// resource finds the queue of an ARN that is the value of a parameter.
func (s *Service) resource(arn, parameter string) (Address, *definition, error) {
	parsed, err := rialto.ParseARN(arn)
	if err != nil {
		return Address{}, nil, rialto.Errorf(rialto.Invalid,
			"You must use this format to specify the %s: arn:<partition>:<service>:<region>:<account-id>:<resource-id>", parameter)
	}
	if at, ok := AddressOf(parsed); ok {
		if d, ok := s.index.find(at); ok {
			return at, d, nil
		}
	}
	return Address{}, nil, rialto.WithCode(rialto.NotFound, "ResourceNotFoundException",
		"The resource that you specified for the %s parameter doesn't exist.", parameter)
}

// ListTasks returns up to n move tasks of a queue, the newest first.
func (s *Service) ListTasks(source string, n int) ([]Task, error) {
	at, d, err := s.resource(source, "SourceArn")
	if err != nil {
		return nil, err
	}
	if n < 1 || n > maxTasks {
		return nil, errParameter(n, "MaxResults", "Must be an integer from 1 to 10, if provided.")
	}
	var list []Task
	for _, t := range slices.Backward(d.entry.Tasks) {
		if len(list) < n {
			list = append(list, Task{s.progress(t), at})
		}
	}
	return list, nil
}

// progress is a task with the number that it has moved by now.
func (s *Service) progress(t catalog.MoveTask) catalog.MoveTask {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	if n, runs := s.tasks.moved[t.ID]; runs {
		t.Moved = n
	}
	return t
}

// CancelTask ends a move task and returns how many messages it has moved.
func (s *Service) CancelTask(ctx context.Context, handle string) (moved int, err error) {
	h, ok := parseTaskHandle(handle)
	if !ok {
		return 0, rialto.Errorf(rialto.Invalid, "Value for parameter TaskHandle is invalid.")
	}
	at, _, err := s.resource(h.Source, "SourceArn")
	if err != nil {
		return 0, err
	}
	err = s.edit(ctx, at, func(q *catalog.Queue) error {
		i := slices.IndexFunc(q.Tasks, func(t catalog.MoveTask) bool { return t.ID == h.ID })
		switch {
		case i < 0:
			return rialto.WithCode(rialto.NotFound, "ResourceNotFoundException", "Task does not exist.")
		case q.Tasks[i].Status != TaskRunning:
			return rialto.WithCode(rialto.Invalid, "UnsupportedOperation", "A task can only be cancelled while its status is RUNNING.")
		}
		q.Tasks = slices.Clone(q.Tasks)
		q.Tasks[i].Status = TaskCancelling
		moved = s.progress(q.Tasks[i]).Moved
		return nil
	})
	return moved, err
}

// runTasks carries out the move tasks of the catalog until ctx ends: those that are started, and those that an earlier process has
// left behind.
func (s *Service) runTasks(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		for _, d := range s.index.withTasks() {
			for _, t := range d.entry.Tasks {
				if active(&t) && s.tasks.begin(&t) {
					group.Go(func() { s.runTask(ctx, d.Address, t) })
				}
			}
		}
		select {
		case <-s.tasks.changed:
		case <-ctx.Done():
			return
		}
	}
}

// hasTask reports whether the queue has a task that stands at one of those.
func (d *definition) hasTask(id string, status ...string) bool {
	return slices.ContainsFunc(d.entry.Tasks, func(t catalog.MoveTask) bool { return t.ID == id && slices.Contains(status, t.Status) })
}

// errCancelled ends a task that somebody has cancelled.
var errCancelled = errors.New("cancelled")

// runTask carries out one task and writes down how it ended.
func (s *Service) runTask(ctx context.Context, at Address, t catalog.MoveTask) {
	defer s.tasks.end(t.ID)
	if d, ok := s.index.find(at); !ok || !d.hasTask(t.ID, TaskRunning, TaskCancelling) {
		return // it ended after it was looked up
	}
	err := s.moveAll(ctx, at, t)
	if ctx.Err() != nil {
		return // it stays as it is, for the next process
	}
	moved := s.tasks.add(t.ID, 0)
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		edited := s.edit(ctx, at, func(q *catalog.Queue) error {
			i := slices.IndexFunc(q.Tasks, func(x catalog.MoveTask) bool { return x.ID == t.ID })
			if i < 0 {
				return catalog.Unchanged
			}
			q.Tasks = slices.Clone(q.Tasks)
			q.Tasks[i].Moved = moved
			q.Tasks[i].Status, q.Tasks[i].Reason = ending(err)
			return nil
		})
		if edited == nil || IsMissing(edited) || s.pause(ctx, wait) != nil {
			return
		}
	}
}

// ending is how a task that ended with err is shown.
func ending(err error) (status, reason string) {
	switch {
	case err == nil:
		return TaskCompleted, ""
	case errors.Is(err, errCancelled):
		return TaskCancelled, ""
	case IsMissing(err):
		return TaskFailed, "AWS.SimpleQueueService.NonExistentQueue"
	}
	return TaskFailed, err.Error()
}

// moveAll moves as many messages as there were when the task began, or until none is left: a message that comes back, because what
// failed fails again, is not moved twice.
func (s *Service) moveAll(ctx context.Context, at Address, t catalog.MoveTask) error {
	for left := t.ToMove - t.Moved; left > 0; {
		d, err := s.find(at)
		if err != nil {
			return err
		}
		if d.hasTask(t.ID, TaskCancelling) {
			return errCancelled
		}
		n := min(left, maxReceive)
		if t.Rate > 0 {
			n = min(n, t.Rate)
		}
		moved, err := s.moveSome(ctx, d, t, n)
		s.tasks.add(t.ID, moved)
		left -= moved
		var rest time.Duration
		switch {
		case rialto.KindOf(err) == rialto.Unavailable:
			rest = maxPause
		case err != nil || moved == 0:
			return err
		case t.Rate > 0:
			rest = time.Duration(moved) * time.Second / time.Duration(t.Rate)
		}
		if err := s.pause(ctx, rest); err != nil {
			return err
		}
	}
	return nil
}

// moveSome moves up to n messages. Each is sent anew, as AWS does it, with an id of its own, and deleted then: after a crash in between
// it is there twice, and never lost. A FIFO queue knows it again, if that is within five minutes.
func (s *Service) moveSome(ctx context.Context, d *definition, t catalog.MoveTask, n int) (moved int, err error) {
	alone := *d
	alone.redrive = nil // a dead letter that is moved back is not a receive too many
	messages, err := s.look(ctx, &alone, ReceiveOptions{Max: n, Visibility: new(taskHidden)}, false)
	if err != nil {
		return 0, err
	}
	for i := range messages {
		err := ctx.Err()
		if err == nil {
			err = s.moveOne(ctx, d, t, &messages[i])
		}
		if err != nil {
			var changes []Change
			for _, m := range messages[i:] {
				changes = append(changes, Change{Handle: m.Handle}) // it stays, and can be received again
			}
			_, _ = s.ChangeVisibility(ctx, d.Address, changes) // or it will be later
			return moved, err
		}
		moved++
	}
	return moved, nil
}

func (s *Service) moveOne(ctx context.Context, d *definition, t catalog.MoveTask, m *Message) error {
	to := t.Destination
	if to == "" {
		to = m.Source
	}
	if to == "" {
		return errNoSource
	}
	_, target, err := s.resource(to, "DestinationArn")
	if err != nil {
		return errMissing
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	p, err := parseHandle(d.id, m.Handle)
	if err != nil {
		return err
	}
	kind, body := sendCommand(target.id, target.retention, []parcel{{m.encode(id), 0, groupHash(m.Group)}})
	if target.fifo {
		// Its own deduplication id is not looked at: it was sent with that before. To be moved twice is what must not happen.
		kind, body = kindSendFIFO, sendFIFOCommand(target.id, target.retention, 0, wholeQueue,
			[]posting{{id, hashGroup(m.Group), moveKey(d.id, p.key), m.encode(id)}})
	}
	ctx, end := s.step(ctx)
	defer end()
	if _, err := s.host(target).insist(ctx, kind, body); err != nil {
		return err
	}
	return s.end(ctx, s.host(d), kindDelete, []move{{from: d.id, slot: p.slot, key: p.key}})
}

var errNoSource = errors.New("CouldNotDetermineMessageSource")
