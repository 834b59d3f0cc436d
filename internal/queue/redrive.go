package queue

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto/internal/record"
)

// A redrive is a task that takes messages out of a queue and brings them elsewhere. What it is about the machine does not know. It
// marks the messages that are selected, hides those that are about to go, and counts what becomes of each:
//
//	begin ─► selecting ─ mark … ─► running ⇄ paused ─────► completed      all that were selected are decided
//	             └─────────────────────┴─── cancel ─► cancelling ─► cancelled      none is leaving any more
//
//	of a message:   visible and marked ─ claim ─► leaving ─ decide ─► gone, or visible again
//	                         └─► received, deleted, too old, purged …: skipped for that reason
//
// At any time selected = moved + failed + skipped + left + leaving. This is in the log, so it holds after any crash.
type redriveTask struct {
	id       uuid.UUID
	serial   uint32 // what its messages are marked with
	before   uint64 // messages with this key, or a greater one, came after it began
	spec     []byte // what it is about, for those who carry it out
	status   RedriveStatus
	paused   bool
	rate     uint64 // messages a second; 0 is as many as there are
	started  int64  // microseconds
	ended    int64  // or 0
	selected int
	left     int // selected, and in the queue as they were
	leaving  int
	moved    int
	failed   []Tally // by reason, in the order of their first
	skipped  []Tally
}

// A RedriveStatus says how far a redrive is.
type RedriveStatus uint8

// The states of a redrive. In the last two it has ended.
const (
	RedriveSelecting RedriveStatus = iota
	RedriveRunning
	RedriveCancelling
	RedriveCompleted
	RedriveCancelled
)

func (s RedriveStatus) String() string {
	return [...]string{"selecting", "running", "cancelling", "completed", "cancelled"}[s]
}

// Ended reports whether nothing happens any more.
func (s RedriveStatus) Ended() bool { return s >= RedriveCompleted }

// A Tally is how many messages met with something.
type Tally struct {
	Reason string
	N      int
}

const (
	maxRedrivesKept = 10  // of a queue, as of move tasks
	maxReasons      = 20  // that are counted apart
	maxReason       = 300 // bytes of one
	otherReasons    = "other reasons"
	maxSpec         = 64 << 10 // bytes of what a redrive is about
	unmarked        = uint32(0)
	doomed          = ^uint32(0) // the mark of a leaving message that was deleted meanwhile: it does not come back
)

// Why a message that was selected was not brought anywhere, as far as the queue can tell.
const (
	skippedReceived  = "received by a consumer meanwhile"
	skippedHidden    = "not visible when its turn came"
	skippedDeleted   = "deleted meanwhile"
	skippedOld       = "older than the queue keeps messages"
	skippedPurged    = "purged meanwhile"
	skippedMoved     = "moved to the dead-letter queue of this queue"
	skippedCancelled = "the redrive was cancelled before its turn"
)

// An Outcome is what became of a message that was to leave.
type Outcome uint8

// The outcomes. A message that failed or was skipped is in the queue again.
const (
	Moved Outcome = iota
	Failed
	Skipped
)

// What a command for a redrive may answer instead of a result.
var (
	errTaskRuns = errors.New("a redrive of the queue has not ended")
	errNoTask   = errors.New("there is no such redrive")
	errTaskOver = errors.New("the redrive is not in that state")
	errSpec     = errors.New("the redrive is described at too great a length")
)

// redriveNews is the effect that says that a redrive has begun, was changed or has ended.
type redriveNews struct{}

// beginCommand makes the body of a command that begins a redrive.
func beginCommand(queue ID, id uuid.UUID, rate int, spec []byte) []byte {
	b := append(idCommand(queue), id[:]...)
	b = record.AppendUint(b, uint64(rate))
	return record.AppendBytes(b, spec)
}

// markCommand makes the body of a command that selects messages. last says that these are all.
func markCommand(queue ID, retention int, id uuid.UUID, last bool, places []Place) []byte {
	b := record.AppendUint(idCommand(queue), uint64(retention))
	b = append(b, id[:]...)
	if last {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return appendPlaces(b, places)
}

// claimCommand makes the body of a command that takes selected messages out of sight. The result is a []received, of those that could be.
func claimCommand(queue ID, retention int, id uuid.UUID, places []Place) []byte {
	b := record.AppendUint(idCommand(queue), uint64(retention))
	b = append(b, id[:]...)
	return appendPlaces(b, places)
}

func appendPlaces(b []byte, places []Place) []byte {
	b = record.AppendUint(b, uint64(len(places)))
	for _, p := range places {
		b = appendHandle(b, p.slot, p.key)
	}
	return b
}

// decideCommand makes the body of a command that ends the leaving of messages.
func decideCommand(queue ID, id uuid.UUID, list []Decision) []byte {
	b := append(idCommand(queue), id[:]...)
	b = record.AppendUint(b, uint64(len(list)))
	for _, d := range list {
		b = appendHandle(b, d.slot, d.key)
		b = append(b, byte(d.Outcome))
		b = record.AppendString(b, d.Reason)
	}
	return b
}

// A control is what may be done to a redrive while it lasts.
type control byte

const (
	controlPause control = iota
	controlResume
	controlCancel
	controlRate
)

func controlCommand(queue ID, id uuid.UUID, what control, rate int) []byte {
	b := append(idCommand(queue), id[:]...)
	return record.AppendUint(append(b, byte(what)), uint64(rate))
}

func (a *apply) taskID() (id uuid.UUID) {
	for i := range id {
		id[i] = a.r.Byte()
	}
	return id
}

// task is the redrive of an ID, if the queue has it.
func (q *queue) task(id uuid.UUID) (*redriveTask, bool) {
	i := slices.IndexFunc(q.tasks, func(t *redriveTask) bool { return t.id == id })
	if i < 0 {
		return nil, false
	}
	return q.tasks[i], true
}

// active is the redrive that has not ended, or nil.
func (q *queue) active() *redriveTask {
	if n := len(q.tasks); n > 0 && !q.tasks[n-1].status.Ended() {
		return q.tasks[n-1]
	}
	return nil
}

func (a *apply) begin(q *queue) any {
	id, rate, spec := a.taskID(), a.r.Uint(), a.r.Bytes()
	switch {
	case a.r.Err() != nil:
		return nil
	case len(spec) > maxSpec:
		return errSpec
	}
	if _, said := q.task(id); said {
		return nil
	}
	if q.active() != nil {
		return errTaskRuns
	}
	a.nextTask++
	q.tasks = append(q.tasks, &redriveTask{
		id: id, serial: a.nextTask, before: a.nextKey, spec: slices.Clone(spec), rate: rate, started: a.now,
	})
	q.tasks = slices.Clone(q.tasks[max(0, len(q.tasks)-maxRedrivesKept):])
	a.tx.Emit(redriveNews{})
	return nil
}

func (a *apply) mark(q *queue) any {
	q.retention = seconds(a.r.Uint())
	id, last := a.taskID(), a.r.Byte() == 1
	a.wake(q, a.advance(q))
	t, ok := q.task(id)
	if !ok {
		return errNoTask
	}
	if t.status != RedriveSelecting {
		return errTaskOver
	}
	for range a.r.Count() {
		slot, key := uint32(a.r.Uint()), a.r.Uint()
		if a.r.Err() != nil {
			return nil
		}
		m, ok := a.find(q, slot, key)
		if !ok || m.state != visible || m.key >= t.before || m.mark == t.serial {
			continue
		}
		m.mark = t.serial
		t.selected++
		t.left++
	}
	if last && a.r.Err() == nil {
		t.status = RedriveRunning
		a.tx.Emit(redriveNews{})
		a.settle(t)
	}
	return nil
}

// marks is the redrive for which a message is selected and not decided yet, or nil.
func (q *queue) marks(m *message) *redriveTask {
	if t := q.active(); t != nil && m.mark == t.serial && t.status < RedriveCancelling {
		return t
	}
	return nil
}

// unmark counts a message as skipped, if it is selected.
func (a *apply) unmark(q *queue, m *message, reason string) {
	t := q.marks(m)
	if t == nil {
		return
	}
	m.mark = unmarked
	t.left--
	t.skipped = tally(t.skipped, reason, 1)
	a.settle(t)
}

// settle ends a redrive of which nothing is left.
func (a *apply) settle(t *redriveTask) {
	switch {
	case t.leaving > 0:
		return
	case t.status == RedriveRunning && t.left == 0:
		t.status = RedriveCompleted
	case t.status == RedriveCancelling:
		t.status = RedriveCancelled
	default:
		return
	}
	t.ended, t.paused = a.now, false
	a.tx.Emit(redriveNews{})
}

func tally(list []Tally, reason string, n int) []Tally {
	if n == 0 {
		return list
	}
	reason = strings.Clone(reason[:min(len(reason), maxReason)])
	i := slices.IndexFunc(list, func(t Tally) bool { return t.Reason == reason })
	if i < 0 && len(list) >= maxReasons {
		reason = otherReasons
		i = slices.IndexFunc(list, func(t Tally) bool { return t.Reason == reason })
	}
	if i >= 0 {
		list[i].N += n
		return list
	}
	return append(list, Tally{reason, n})
}

func (a *apply) claim(q *queue) any {
	q.retention = seconds(a.r.Uint())
	id := a.taskID()
	shown := a.advance(q)
	t, ok := q.task(id)
	if !ok {
		return errNoTask
	}
	if t.status != RedriveRunning || t.paused {
		return errTaskOver
	}
	var got []received
	for range a.r.Count() {
		slot, key := uint32(a.r.Uint()), a.r.Uint()
		if a.r.Err() != nil {
			break
		}
		m, ok := a.find(q, slot, key)
		switch {
		case !ok || q.marks(m) != t:
			continue // counted already
		case m.state != visible:
			a.unmark(q, m, skippedHidden)
			continue
		}
		q.unlink(&a.messages, slot)
		q.unage(&a.messages, slot)
		m.mark, m.at[byDue] = unmarked, a.now
		q.hold(&a.messages, slot, leaving, &q.leaving)
		t.left--
		t.leaving++
		got = append(got, q.received(slot, m))
	}
	a.wake(q, min(shown, q.shown()))
	return got
}

func (a *apply) decide(q *queue) any {
	t, ok := q.task(a.taskID())
	if !ok {
		return errNoTask
	}
	shown := 0
	for range a.r.Count() {
		slot, key := uint32(a.r.Uint()), a.r.Uint()
		outcome, reason := Outcome(a.r.Byte()), a.r.String()
		if a.r.Err() != nil {
			break
		}
		m, ok := a.find(q, slot, key)
		if !ok || m.state != leaving {
			continue // said twice
		}
		q.unlink(&a.messages, slot)
		t.leaving--
		switch outcome {
		case Moved:
			t.moved++
		case Failed:
			t.failed = tally(t.failed, reason, 1)
		default:
			t.skipped = tally(t.skipped, reason, 1)
		}
		if outcome == Moved || m.mark == doomed {
			q.part(&a.messages, slot)
			a.tx.Release(m.ref)
			a.messages.free(slot)
			continue
		}
		m.at[byDue] = 0
		q.age(&a.messages, slot)
		q.show(&a.messages, slot)
		shown++
	}
	q.tidy()
	a.wake(q, shown)
	a.settle(t)
	return nil
}

func (a *apply) control(q *queue) any {
	t, ok := q.task(a.taskID())
	if !ok {
		return errNoTask
	}
	what, rate := control(a.r.Byte()), a.r.Uint()
	switch {
	case a.r.Err() != nil:
		return nil
	case t.status >= RedriveCancelling:
		return errTaskOver
	}
	switch what {
	case controlPause:
		t.paused = true
	case controlResume:
		t.paused = false
	case controlRate:
		t.rate = rate
	case controlCancel:
		t.status = RedriveCancelling
		t.skipped = tally(t.skipped, skippedCancelled, t.left)
		t.left = 0
		a.settle(t)
	default:
		return errUnknown
	}
	a.tx.Emit(redriveNews{})
	return nil
}

// forsake counts everything that is selected as skipped.
func (a *apply) forsake(q *queue, reason string) {
	if t := q.active(); t != nil && t.left > 0 {
		t.skipped = tally(t.skipped, reason, t.left)
		t.left = 0
		a.settle(t)
	}
}

// appendTask appends a redrive to a snapshot.
func appendTask(b []byte, t *redriveTask) []byte {
	b = append(b, t.id[:]...)
	b = record.AppendUint(b, uint64(t.serial))
	b = record.AppendUint(b, t.before)
	b = record.AppendBytes(b, t.spec)
	b = append(b, byte(t.status), yes(t.paused))
	for _, n := range []uint64{t.rate, uint64(t.selected), uint64(t.left), uint64(t.leaving), uint64(t.moved)} {
		b = record.AppendUint(b, n)
	}
	b = record.AppendInt(record.AppendInt(b, t.started), t.ended)
	for _, list := range [][]Tally{t.failed, t.skipped} {
		b = record.AppendUint(b, uint64(len(list)))
		for _, entry := range list {
			b = record.AppendUint(record.AppendString(b, entry.Reason), uint64(entry.N))
		}
	}
	return b
}

// yes is a byte that says yes or no.
func yes(is bool) byte {
	if is {
		return 1
	}
	return 0
}

// readTask reads what appendTask wrote.
func readTask(r *record.Reader) (*redriveTask, error) {
	t := new(redriveTask)
	for i := range t.id {
		t.id[i] = r.Byte()
	}
	t.serial, t.before, t.spec = uint32(r.Uint()), r.Uint(), slices.Clone(r.Bytes())
	t.status, t.paused = RedriveStatus(r.Byte()), r.Byte() == 1
	t.rate = r.Uint()
	t.selected, t.left, t.leaving, t.moved = int(r.Uint()), int(r.Uint()), int(r.Uint()), int(r.Uint())
	t.started, t.ended = r.Int(), r.Int()
	for _, list := range []*[]Tally{&t.failed, &t.skipped} {
		for range r.Count() {
			*list = append(*list, Tally{r.String(), int(r.Uint())})
		}
	}
	if t.status > RedriveCancelled {
		return nil, errSnapshot
	}
	return t, r.Err()
}

// A Redrive is a redrive of a queue, as it is now.
type Redrive struct {
	ID       uuid.UUID
	Queue    Address
	Spec     []byte // what it is about, as it was begun
	Status   RedriveStatus
	Paused   bool
	Rate     int // messages a second; 0 is as many as there are
	Started  time.Time
	Ended    time.Time // zero if it has not
	Selected int       // moved, failed, skipped and those that are left
	Left     int
	Moved    int
	Failed   []Tally
	Skipped  []Tally
}

// shown is the redrive as others see it.
func (t *redriveTask) shown(at Address) Redrive {
	r := Redrive{
		ID: t.id, Queue: at, Spec: slices.Clone(t.spec), Status: t.status, Paused: t.paused, Rate: int(t.rate),
		Started: microTime(t.started), Selected: t.selected, Left: t.left + t.leaving, Moved: t.moved,
		Failed: slices.Clone(t.failed), Skipped: slices.Clone(t.skipped),
	}
	if t.ended != 0 {
		r.Ended = microTime(t.ended)
	}
	return r
}
