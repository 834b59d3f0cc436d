package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

var scope = rialto.Scope{Account: "111122223333", Region: "eu-west-1"}

func at(name rialto.QueueName) queue.Address { return queue.Address{Scope: scope, Name: name} }

// A process is a Service with its shards, over a simulated journal.
type process struct {
	*queue.Service
	t    *testing.T
	logs []journal.Log
	stop func()        // ends everything in order
	end  func()        // tells the service to end, which stop does first
	hook *atomic.Value // a func() that is called after each append
}

// A hookedLog calls the hook of its process after each append.
type hookedLog struct {
	journal.Log
	*process
}

func (l *hookedLog) Append(ctx context.Context, expected uint64, record []byte) (uint64, error) {
	seq, err := l.Log.Append(ctx, expected, record)
	if f, ok := l.hook.Load().(func()); ok {
		f()
	}
	return seq, err
}

func start(t *testing.T, sim *journal.Sim, shards int) *process {
	t.Helper()
	return startBy(t, rialto.SystemClock, sim, shards)
}

// startBy starts a process that goes by a clock.
func startBy(t *testing.T, clock rialto.Clock, sim *journal.Sim, shards int) *process {
	t.Helper()
	j := sim.Open()
	ctx, cancel := context.WithCancel(context.Background())
	kv, err := j.KV(ctx, "catalog")
	must(t, err)
	cat, err := catalog.Open(ctx, kv, catalog.Options{})
	must(t, err)
	p := &process{Service: queue.New(cat, queue.Options{Clock: clock}), t: t, hook: new(atomic.Value)}
	blob, err := j.Blob(ctx, "snapshots")
	must(t, err)
	var owners []*shard.Shard
	for i := range shards {
		log, err := j.Log(ctx, fmt.Sprintf("shard-%d", i))
		must(t, err)
		log = &hookedLog{log, p}
		s, err := shard.Open(ctx, log, blob, []shard.Hosted{p.Host()}, shard.Options{Clock: clock})
		must(t, err)
		p.logs, owners = append(p.logs, log), append(owners, s)
	}
	p.Attach(owners)
	var above, below sync.WaitGroup
	serving, end := context.WithCancel(ctx)
	above.Go(func() { must(t, p.Run(serving)) })
	below.Go(func() { must(t, cat.Run(ctx)) })
	for _, s := range owners {
		below.Go(func() { must(t, s.Run(ctx)) })
	}
	p.end = end
	p.stop = sync.OnceFunc(func() { end(); above.Wait(); cancel(); below.Wait() })
	t.Cleanup(p.stop)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func newSim() *journal.Sim { return journal.NewSim(1, journal.SimFaults{}) }

func (p *process) create(name rialto.QueueName, attributes ...string) {
	p.t.Helper()
	m := make(map[string]string)
	for i := 0; i < len(attributes); i += 2 {
		m[attributes[i]] = attributes[i+1]
	}
	must(p.t, p.Create(p.t.Context(), at(name), m, nil))
}

func (p *process) send(name rialto.QueueName, bodies ...string) {
	p.t.Helper()
	for _, b := range bodies {
		_, err := p.Send(p.t.Context(), at(name), []queue.Draft{{Body: b}})
		must(p.t, err)
	}
}

func (p *process) receive(name rialto.QueueName, opts queue.ReceiveOptions) []queue.Message {
	p.t.Helper()
	got, err := p.Receive(p.t.Context(), at(name), opts)
	must(p.t, err)
	return got
}

// want receives at once and compares the bodies.
func (p *process) want(name rialto.QueueName, bodies ...string) []queue.Message {
	p.t.Helper()
	got := p.receive(name, queue.ReceiveOptions{Max: 10})
	if !slices.Equal(bodiesOf(got), bodies) {
		p.t.Errorf("received %q from %s, want %q", bodiesOf(got), name, bodies)
	}
	return got
}

func bodiesOf(messages []queue.Message) []string {
	var list []string
	for _, m := range messages {
		list = append(list, m.Body)
	}
	return list
}

func (p *process) counts(name rialto.QueueName) queue.Counts {
	p.t.Helper()
	c, err := p.Counts(p.t.Context(), at(name))
	must(p.t, err)
	return c
}

// frames is how many frames all logs have.
func (p *process) frames() (n uint64) {
	p.t.Helper()
	for _, log := range p.logs {
		_, last, err := log.Bounds(p.t.Context())
		must(p.t, err)
		n += last
	}
	return n
}

func TestDelaysAndTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q", "VisibilityTimeout", "10", "DelaySeconds", "2")
		p.send("q", "one")
		_, err := p.Send(t.Context(), at("q"), []queue.Draft{{Body: "at once", Delay: new(0)}, {Body: "late", Delay: new(60)}})
		must(t, err)
		p.want("q", "at once")
		if got, want := p.counts("q"), (queue.Counts{Visible: 0, InFlight: 1, Delayed: 2}); got != want {
			t.Errorf("counts are %+v, want %+v", got, want)
		}
		time.Sleep(2 * time.Second)
		got := p.want("q", "one")
		if m := got[0]; m.Receives != 1 || !m.FirstReceived.Equal(m.Sent.Add(2*time.Second)) {
			t.Errorf("received %d times, first %v after it was sent", m.Receives, m.FirstReceived.Sub(m.Sent))
		}
		errs, err := p.ChangeVisibility(t.Context(), at("q"), []queue.Change{{Handle: got[0].Handle, Seconds: 30}})
		must(t, errors.Join(append(errs, err)...))
		time.Sleep(8 * time.Second)
		p.want("q", "at once")
		time.Sleep(9 * time.Second)
		p.want("q")
		time.Sleep(13 * time.Second)
		if got := p.want("q", "at once", "one"); len(got) == 2 && got[1].Receives != 2 {
			t.Errorf("received %d times, want 2", got[1].Receives)
		}
		p.stop()
	})
}

func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q", "VisibilityTimeout", "5", "ReceiveMessageWaitTimeSeconds", "20")
		begin := time.Now()
		if got := p.receive("q", queue.ReceiveOptions{}); len(got) > 0 || time.Since(begin) != 20*time.Second {
			t.Errorf("received %d after %v, want none after 20s", len(got), time.Since(begin))
		}

		// A message wakes, one that comes back does, too, and so does one whose delay ends.
		for _, comes := range []struct {
			after time.Duration
			how   func()
		}{
			{0, func() { p.send("q", "first") }},
			{5 * time.Second, func() {}},
			{7 * time.Second, func() {
				_, err := p.Send(t.Context(), at("q"), []queue.Draft{{Body: "delayed", Delay: new(7)}})
				must(t, err)
			}},
		} {
			begin := time.Now()
			done := make(chan []queue.Message)
			go func() {
				got := p.receive("q", queue.ReceiveOptions{})
				if time.Since(begin) != comes.after {
					t.Errorf("waited for %v, want %v", time.Since(begin), comes.after)
				}
				done <- got
			}()
			synctest.Wait()
			comes.how()
			got := <-done
			if len(got) != 1 {
				t.Fatalf("received %d messages, want 1", len(got))
			}
			if got[0].Receives == 2 || got[0].Body == "delayed" {
				_, err := p.DeleteMessages(t.Context(), at("q"), []string{got[0].Handle})
				must(t, err)
			}
		}

		// The end of the request, of the queue and of the service end the wait.
		ctx, cancel := context.WithCancel(t.Context())
		ends := make(chan error)
		receive := func(ctx context.Context) {
			go func() {
				got, err := p.Receive(ctx, at("q"), queue.ReceiveOptions{Wait: new(20)})
				if len(got) > 0 {
					t.Errorf("received %q", bodiesOf(got))
				}
				ends <- err
			}()
			synctest.Wait()
		}
		receive(ctx)
		cancel()
		if err := <-ends; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the error of the context", err)
		}
		receive(t.Context())
		must(t, p.Delete(t.Context(), at("q")))
		if err := <-ends; !queue.IsMissing(err) {
			t.Errorf("got %v, want that the queue is missing", err)
		}
		p.create("q")
		receive(t.Context())
		p.stop()
		must(t, <-ends)
	})
}

// setClock is a clock that somebody sets.
type setClock struct {
	rialto.Clock
	by atomic.Int64 // by how much it was set
}

func (c *setClock) Now() time.Time { return c.Clock.Now().Round(0).Add(time.Duration(c.by.Load())) }

// TestClockSetBack sets the clock back by an hour while messages wait: they come when they would have come.
func TestClockSetBack(t *testing.T) {
	for _, how := range []string{"in the same process", "between two"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock, sim := &setClock{Clock: rialto.SystemClock}, newSim()
				p := startBy(t, clock, sim, 1)
				p.create("q", "VisibilityTimeout", "30")
				p.send("q", "received")
				p.want("q", "received")
				_, err := p.Send(t.Context(), at("q"), []queue.Draft{{Body: "delayed", Delay: new(10)}})
				must(t, err)
				if how == "between two" {
					p.stop()
				}
				clock.by.Store(int64(-time.Hour))
				if how == "between two" {
					p = startBy(t, clock, sim, 1)
				}
				began := time.Now()
				for _, want := range []struct {
					body  string
					after time.Duration
				}{{"delayed", 10 * time.Second}, {"received", 30 * time.Second}} {
					got := p.receive("q", queue.ReceiveOptions{Wait: new(20)})
					if got == nil {
						got = p.receive("q", queue.ReceiveOptions{Wait: new(20)})
					}
					late := time.Since(began) - want.after
					if !slices.Equal(bodiesOf(got), []string{want.body}) || late < 0 || late > want.after/10 {
						t.Errorf("received %q after %v, want %s after %v", bodiesOf(got), time.Since(began), want.body, want.after)
					}
				}
				if c := p.counts("q"); c.InFlight != 2 {
					t.Errorf("counts are %+v", c)
				}
				p.stop()
			})
		})
	}
}

func TestWaitingCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q")
		const waiters = 2000
		before := p.frames()
		var mu sync.Mutex
		var got []string
		var group sync.WaitGroup
		for range waiters {
			group.Go(func() {
				messages := p.receive("q", queue.ReceiveOptions{Wait: new(20)})
				mu.Lock()
				defer mu.Unlock()
				got = append(got, bodiesOf(messages)...)
			})
		}
		synctest.Wait()
		if n := p.frames() - before; n != 0 {
			t.Errorf("%d waiters cost %d frames, want none", waiters, n)
		}
		for i := range 100 {
			p.send("q", fmt.Sprint(i))
			synctest.Wait()
		}
		if n := p.frames() - before; n != 200 {
			t.Errorf("100 messages to %d waiters cost %d frames, want 200", waiters, n)
		}
		mu.Lock()
		if len(got) != 100 {
			t.Errorf("%d of 100 messages were received", len(got))
		}
		mu.Unlock()
		group.Wait()
		p.stop()
	})
}

func TestWhoWaitsLongestIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q")
		order := make(chan int, 10)
		for i := range 10 {
			go func() {
				p.receive("q", queue.ReceiveOptions{Wait: new(20)})
				order <- i
			}()
			synctest.Wait()
		}
		for i := range 10 {
			p.send("q", "x")
			if got := <-order; got != i {
				t.Errorf("message %d went to waiter %d", i, got)
			}
		}
		p.stop()
	})
}

func TestDeadLetters(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := newSim()
				p := start(t, sim, shards)
				p.create("dead", "RedriveAllowPolicy", fmt.Sprintf(`{"redrivePermission":"byQueue","sourceQueueArns":["%s"]}`, at("q4").ARN()))
				policy := fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":"2"}`, at("dead").ARN())
				if err := p.Create(t.Context(), at("q"), map[string]string{"RedrivePolicy": policy}, nil); rialto.KindOf(err) != rialto.Invalid {
					t.Errorf("a queue that is not allowed got %v", err)
				}
				// Made without the policy, the queue is on the shard that its name says, not on that of its dead letters.
				p.create("q4", "VisibilityTimeout", "0")
				must(t, p.SetAttributes(t.Context(), at("q4"), map[string]string{"RedrivePolicy": policy}))
				p.send("q4", "poison")
				sent := p.want("q4", "poison")[0]
				p.want("q4", "poison")
				p.want("q4")
				synctest.Wait()
				got := p.want("dead", "poison")
				if m := got[0]; m.ID != sent.ID || m.Receives != 3 || m.Source != at("q4").ARN().String() || !m.Sent.Equal(sent.Sent) {
					t.Errorf("the dead letter is %+v, sent as %+v", m, sent)
				}
				if c := p.counts("q4"); c != (queue.Counts{}) {
					t.Errorf("the source still has %+v", c)
				}
				names, err := p.DeadLetterSources(at("dead"), "", 10)
				must(t, err)
				if !slices.Equal(names, []rialto.QueueName{"q4"}) {
					t.Errorf("the sources are %q", names)
				}

				// Without its dead-letter queue, a message stays where it is.
				must(t, p.Delete(t.Context(), at("dead")))
				p.send("q4", "second")
				for range 4 {
					p.want("q4", "second")
				}
				p.stop()
			})
		})
	}
}

// TestStopBetweenTwoSteps ends the service in order after every single frame while messages move from shard to shard, to the
// dead-letter queue and back by a task. Only a kill may leave a message in both queues.
func TestStopBetweenTwoSteps(t *testing.T) {
	for _, way := range []string{"there", "back"} {
		for n := int64(1); n < 30; n++ {
			synctest.Test(t, func(t *testing.T) {
				sim := newSim()
				p := start(t, sim, 3)
				policy := fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":"1"}`, at("dead").ARN())
				p.create("dead")
				p.create("q4", "VisibilityTimeout", "0") // on another shard than dead
				must(t, p.SetAttributes(t.Context(), at("q4"), map[string]string{"RedrivePolicy": policy}))
				p.send("q4", "a", "b", "c")
				var appends atomic.Int64
				stopLater := func() {
					p.hook.Store(func() {
						if appends.Add(1) == n {
							p.end()
						}
					})
				}
				if way == "there" {
					stopLater()
				}
				for range 4 {
					p.receive("q4", queue.ReceiveOptions{Max: 10})
				}
				synctest.Wait()
				if way == "back" {
					p.create("back")
					stopLater()
					_, err := p.StartTask(t.Context(), at("dead").ARN().String(), at("back").ARN().String(), 0)
					must(t, err)
					synctest.Wait()
				}
				p.stop()

				p = start(t, sim, 3)
				time.Sleep(2 * time.Minute) // what was about to move is visible again, and has moved
				var bodies []string
				for _, name := range []rialto.QueueName{"dead", "back"} {
					if p.Exists(at(name)) == nil {
						bodies = append(bodies, bodiesOf(p.receive(name, queue.ReceiveOptions{Max: 10, Visibility: new(100)}))...)
					}
				}
				slices.Sort(bodies)
				if !slices.Equal(bodies, []string{"a", "b", "c"}) {
					t.Errorf("%s, ended after %d frames: the messages are %q", way, n, bodies)
				}
				p.stop()
			})
		}
	}
}

// TestDeadLettersInACircle gives queues each other, or themselves, as dead-letter queues, and lets somebody wait at each. A message
// that was received too often everywhere must not go round and round.
func TestDeadLettersInACircle(t *testing.T) {
	for _, circle := range [][]rialto.QueueName{{"q"}, {"q", "r"}, {"q4", "dead"}} {
		for _, shards := range []int{1, 3} {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, newSim(), shards)
				for _, name := range circle {
					p.create(name, "VisibilityTimeout", "0")
				}
				for i, name := range circle {
					to := circle[(i+1)%len(circle)]
					policy := fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":"1"}`, at(to).ARN())
					must(t, p.SetAttributes(t.Context(), at(name), map[string]string{"RedrivePolicy": policy}))
				}
				p.create("before", "VisibilityTimeout", "0")
				policy := fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":"1"}`, at(circle[0]).ARN())
				must(t, p.SetAttributes(t.Context(), at("before"), map[string]string{"RedrivePolicy": policy}))
				p.send("before", "poison")
				p.want("before", "poison")
				p.want("before")
				synctest.Wait()
				p.want(circle[0], "poison") // who is not in the circle can send letters there
				before := p.frames()
				var group sync.WaitGroup
				for _, name := range circle {
					group.Go(func() { p.receive(name, queue.ReceiveOptions{Wait: new(20)}) })
				}
				group.Wait()
				if n := p.frames() - before; n > 50 {
					t.Errorf("%q on %d shards: %d frames while two waited for 20 seconds", circle, shards, n)
				}
				p.stop()
			})
		}
	}
}

func TestAQueueThatNobodyUsesForgetsOldMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q", "MessageRetentionPeriod", "3600")
		p.send("q", "old")
		must(t, p.SetAttributes(t.Context(), at("q"), map[string]string{"MessageRetentionPeriod": "60"}))
		before := p.frames()
		time.Sleep(5 * time.Minute)
		if n := p.frames() - before; n != 1 {
			t.Errorf("%d frames were written while nobody used the queue, want 1", n)
		}
		if c := p.counts("q"); c != (queue.Counts{}) {
			t.Errorf("counts are %+v", c)
		}
		p.stop()
	})
}

func TestOrphansGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		must(t, p.OpenOrphan(t.Context(), 77))
		holds := func() bool {
			t.Helper()
			there, err := p.Holds(t.Context(), 77)
			must(t, err)
			return there
		}
		time.Sleep(9 * time.Minute)
		if !holds() {
			t.Error("a queue that the catalog may still hear of is gone")
		}
		time.Sleep(3 * time.Minute)
		if holds() {
			t.Error("an orphan is still there")
		}
		p.stop()
	})
}

func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q")
		p.send("q", "a", "b")
		p.receive("q", queue.ReceiveOptions{})
		must(t, p.Purge(t.Context(), at("q")))
		if c := p.counts("q"); c != (queue.Counts{}) {
			t.Errorf("counts are %+v after a purge", c)
		}
		if err := p.Purge(t.Context(), at("q")); err == nil || err.Error() != "Only one PurgeQueue operation on q is allowed every 60 seconds." {
			t.Errorf("a second purge got %v", err)
		}
		time.Sleep(time.Minute)
		must(t, p.Purge(t.Context(), at("q")))
		p.stop()
	})
}

func TestEveryLifeOfANameIsAnother(t *testing.T) {
	sim := newSim()
	p := start(t, sim, 2)
	p.create("q")
	p.send("q", "of the first life")
	old := p.want("q", "of the first life")[0]
	must(t, p.Delete(t.Context(), at("q")))
	if _, err := p.Send(t.Context(), at("q"), []queue.Draft{{Body: "x"}}); !queue.IsMissing(err) {
		t.Errorf("a send to a deleted queue got %v", err)
	}
	p.create("q")
	p.want("q")
	p.send("q", "of the second")
	errs, err := p.DeleteMessages(t.Context(), at("q"), []string{old.Handle})
	must(t, err)
	if e, ok := errors.AsType[*rialto.Error](errs[0]); !ok || e.Code != "ReceiptHandleIsInvalid" {
		t.Errorf("a handle of the first life got %v", errs[0])
	}
	p.stop()
	start(t, sim, 2).want("q", "of the second")
}

func TestDeliver(t *testing.T) {
	p := start(t, newSim(), 1)
	p.create("q")
	arn := at("q").ARN()
	deliver := func(to string, m *target.Message) error {
		return p.Deliver(t.Context(), at(rialto.QueueName(to)).ARN(), []*target.Message{m})[0]
	}
	must(t, deliver("q", &target.Message{
		Definition: &target.Definition{ARN: arn.String(), SQS: &target.SQS{MessageGroupID: "g1"}},
		Payload:    []byte(`{"id":1}`), Trace: "Root=1-5759e988-bd862e3fe1be46a994272793",
		Attributes: map[string]target.Attribute{
			"ERROR_CODE": {Type: "String", Value: "NO_RESOURCE"}, "ERROR_MESSAGE": {Type: "String", Value: "bad\x00byte"}, "EMPTY": {Type: "String"},
		},
	}))
	m := p.want("q", `{"id":1}`)[0]
	if m.Group != "g1" || m.Trace != "Root=1-5759e988-bd862e3fe1be46a994272793" || len(m.Attributes) != 2 ||
		m.Attributes["ERROR_CODE"] != (queue.Attribute{Type: "String", Value: "NO_RESOURCE"}) ||
		m.Attributes["ERROR_MESSAGE"].Value != "bad\uFFFDbyte" {
		t.Errorf("received %+v", m)
	}
	must(t, deliver("q", &target.Message{ // a group that is a path is taken from the event
		Definition: &target.Definition{ARN: arn.String(), SQS: &target.SQS{MessageGroupID: "$.detail.tenant"}},
		Payload:    []byte("shaped"), Event: []byte(`{"detail":{"tenant":"t-1"}}`),
	}))
	if m := p.want("q", "shaped")[0]; m.Group != "t-1" {
		t.Errorf("the group is %q, want that of the event", m.Group)
	}
	large := []byte(strings.Repeat("x", queue.MaxMessageSize+1))
	if err := deliver("q", &target.Message{Payload: large}); rialto.KindOf(err) != rialto.Invalid {
		t.Errorf("a message that is too large gives %v", err)
	}
	origin := &target.Origin{Bus: scope.BusARN("b"), Rule: scope.RuleARN("b", "r")}
	must(t, deliver("q", &target.Message{Payload: []byte("a\x1bb\xff"), Origin: origin}))
	p.want("q", "a\uFFFDb\uFFFD")
	must(t, deliver("q", &target.Message{Payload: large, Origin: origin}))
	must(t, deliver("q", &target.Message{Payload: []byte(strings.Repeat("x", 20*len(large))), Origin: origin})) // as transformers make of large events
	if err := deliver("elsewhere", &target.Message{Payload: []byte("x")}); rialto.KindOf(err) != rialto.NotFound {
		t.Errorf("a delivery to a missing queue got %v", err)
	}
}
