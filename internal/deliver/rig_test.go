package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// A rig is a Deliverer on a shard over a simulated journal, which can be stopped or killed and started again. It lives in a
// bubble of synctest, where a day takes no time.
type rig struct {
	*Deliverer
	t      *testing.T
	sim    *journal.Sim
	opts   Options
	sender *fakeSender
	logs   *logs

	wrapLog func(journal.Log) journal.Log          // if the shard is not to get the log as it is
	resolve func(*target.Definition) target.Sender // if it is not the fakeSender alone

	proc      *journal.SimJournal
	shard     *shard.Shard
	endRun    func() error // of the Deliverer
	endShard  func() error
	delivered bool // Run was called
}

// newRig starts a rig; the jitter is always half of what it may be.
func newRig(t *testing.T, opts Options) *rig {
	t.Helper()
	r := &rig{t: t, sim: journal.NewSim(1, journal.SimFaults{}), opts: opts, sender: newFakeSender(), logs: new(logs)}
	if r.opts.Rand == nil {
		r.opts.Rand = func() float64 { return 0.5 }
	}
	r.opts.Logger = slog.New(slog.NewTextHandler(r.logs, nil))
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *rig) start() {
	r.t.Helper()
	r.open()
	r.run()
}

// open starts the shard alone.
func (r *rig) open() {
	r.t.Helper()
	r.proc = r.sim.Open()
	log, err := r.proc.Log(context.Background(), "test")
	if err != nil {
		r.t.Fatal(err)
	}
	if r.wrapLog != nil {
		log = r.wrapLog(log)
	}
	blob, err := r.proc.Blob(context.Background(), "snapshots")
	if err != nil {
		r.t.Fatal(err)
	}
	resolve := r.resolve
	if resolve == nil {
		resolve = func(*target.Definition) target.Sender { return r.sender }
	}
	r.Deliverer = New(resolve, r.opts)
	r.shard, err = shard.Open(context.Background(), log, blob, []shard.Hosted{r.Host()}, shard.Options{Clock: r.opts.Clock})
	if err != nil {
		r.t.Fatalf("open the shard: %v", err)
	}
	r.Attach([]*shard.Shard{r.shard})
	r.endShard = inBackground(r.shard.Run)
}

func (r *rig) run() { r.endRun = inBackground(r.Deliverer.Run) }

func inBackground(run func(context.Context) error) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() error { cancel(); return <-done }
}

// stop ends everything in order.
func (r *rig) stop() {
	r.t.Helper()
	if r.endRun != nil {
		if err := r.endRun(); err != nil {
			r.t.Errorf("Run ended with: %v", err)
		}
		r.endRun = nil
	}
	if r.endShard != nil {
		if err := r.endShard(); err != nil {
			r.t.Errorf("the shard ended with: %v", err)
		}
		r.endShard = nil
	}
}

// kill ends everything as kill -9 does: what is not in the log is not there any more.
func (r *rig) kill() {
	r.proc.Crash()
	_ = r.endShard()
	r.endShard = nil
	if r.endRun != nil {
		_ = r.endRun()
		r.endRun = nil
	}
}

// accept accepts an event for some targets.
func (r *rig) accept(id string, targets ...*target.Sealed) {
	r.t.Helper()
	err := r.Accept(context.Background(), []Accepted{newEvent(id, targets...)})
	if err != nil {
		r.t.Fatalf("accept %s: %v", id, err)
	}
}

func newEvent(id string, targets ...*target.Sealed) Accepted {
	return Accepted{
		EventID: id, Event: []byte(`{"id":"` + id + `","detail":{"total":42.50}}`), Bus: simScope.BusARN("orders"), Accepted: time.Now(),
		Trace: "Root=1-5759e988-bd862e3fe1be46a994272793", Hops: target.Hops{SameRegion: 1}, Targets: targets,
	}
}

// waiting is what has not ended.
func (r *rig) waiting() string {
	r.t.Helper()
	ids, err := r.WaitingEvents(context.Background())
	if err != nil {
		r.t.Fatalf("list the waiting events: %v", err)
	}
	return strings.Join(ids, " ")
}

// settle lets things happen that take no longer than outcomes may linger.
func settle() {
	synctest.Wait()
	time.Sleep(2 * linger)
	synctest.Wait()
}

func (r *rig) stat(arn string) Stats {
	r.t.Helper()
	list, err := r.Stats(context.Background())
	if err != nil {
		r.t.Fatalf("read the figures: %v", err)
	}
	for _, s := range list {
		if s.ARN == arn {
			return s
		}
	}
	return Stats{}
}

// A fakeSender does with messages what a test says, by the ARN of the destination, and remembers them. Without a word it takes
// them.
type fakeSender struct {
	mu    sync.Mutex
	does  map[string]func(ctx context.Context, m *target.Message) error
	got   []sent
	rate  float64
	local bool
}

// A sent message is an attempt, with the time when it began.
type sent struct {
	*target.Message
	at time.Time
}

var (
	_ target.Paced = (*fakeSender)(nil)
	_ target.Local = (*fakeSender)(nil)
)

func (s *fakeSender) Local(*target.Definition) bool { return s.local }

func newFakeSender() *fakeSender {
	return &fakeSender{does: make(map[string]func(context.Context, *target.Message) error)}
}

func (s *fakeSender) Pace(*target.Definition) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rate
}

func (s *fakeSender) Send(ctx context.Context, m *target.Message) error {
	s.mu.Lock()
	s.got = append(s.got, sent{m, time.Now()})
	does := s.does[m.Definition.ARN]
	s.mu.Unlock()
	if does == nil {
		return nil
	}
	return does(ctx, m)
}

// when says what becomes of messages to a destination from now on.
func (s *fakeSender) when(arn string, does func(context.Context, *target.Message) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.does[arn] = does
}

// fails is a destination that answers with err.
func fails(err error) func(context.Context, *target.Message) error {
	return func(context.Context, *target.Message) error { return err }
}

// hangs is a destination that never answers.
func hangs(ctx context.Context, _ *target.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

// to returns the attempts for a destination so far.
func (s *fakeSender) to(arn string) []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []sent
	for _, m := range s.got {
		if m.Definition.ARN == arn {
			list = append(list, m)
		}
	}
	return list
}

// logs keeps what was logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logs) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

var (
	errDown = &target.Error{Code: target.CodeConnectionFailure, Message: "The target could not be reached."}
	errBusy = &target.Error{Code: target.CodeThrottling, Message: "Rate exceeded"}
	errGone = &target.Error{Code: target.CodeNoResource, Message: "No such queue.", Permanent: true, Cause: errors.New("secret detail")}
)

// changed is a target with another definition.
func changed(t *testing.T, s *target.Sealed, change func(*target.Definition)) *target.Sealed {
	t.Helper()
	def := *s.Definition
	change(&def)
	sealed, err := target.Seal(&def)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func numbers(list []sent) string {
	var b strings.Builder
	for i, m := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, m.Attempt)
	}
	return b.String()
}
