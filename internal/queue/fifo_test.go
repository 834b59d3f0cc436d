package queue_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/target"
)

// put sends messages that are written group/body; their deduplication ids are their bodies.
func (p *process) put(name rialto.QueueName, messages ...string) (sent []queue.Sent) {
	p.t.Helper()
	for _, text := range messages {
		group, body, _ := strings.Cut(text, "/")
		is, err := p.Send(p.t.Context(), at(name), []queue.Draft{{Body: body, Group: group, Dedupe: body}})
		must(p.t, err)
		sent = append(sent, is...)
	}
	return sent
}

// wantErr checks that an error has a code and a text in it.
func wantErr(t *testing.T, err error, code, text string) {
	t.Helper()
	e, ok := err.(*rialto.Error)
	if !ok || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %v, want the code %q and %q", err, code, text)
	}
}

func (p *process) delete(name rialto.QueueName, messages ...queue.Message) {
	p.t.Helper()
	for _, m := range messages {
		errs, err := p.DeleteMessages(p.t.Context(), at(name), []string{m.Handle})
		must(p.t, err)
		must(p.t, errs[0])
	}
}

func (p *process) hide(name rialto.QueueName, m queue.Message, seconds int) error {
	p.t.Helper()
	errs, err := p.ChangeVisibility(p.t.Context(), at(name), []queue.Change{{Handle: m.Handle, Seconds: seconds}})
	must(p.t, err)
	return errs[0]
}

func TestGroupsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q.fifo", "FifoQueue", "true")
		sent := p.put("q.fifo", "a/a1", "a/a2", "b/b1", "a/a3", "c/c1")
		for i, s := range sent {
			if len(s.Sequence) != 20 || i > 0 && s.Sequence <= sent[i-1].Sequence {
				t.Errorf("the sequence numbers are %v", sent)
			}
		}
		first := p.receive("q.fifo", queue.ReceiveOptions{Max: 2})
		if got := bodiesOf(first); !slices.Equal(got, []string{"a1", "a2"}) {
			t.Fatalf("received %q", got)
		}
		if m := first[1]; m.Group != "a" || m.Dedupe != "a2" || m.Sequence != sent[1].Sequence || m.ID != sent[1].ID {
			t.Errorf("received %+v, sent as %+v", m, sent[1])
		}
		others := p.want("q.fifo", "b1", "c1")
		p.delete("q.fifo", first[0])
		p.want("q.fifo") // a2 is still in flight

		time.Sleep(29 * time.Second)
		must(t, p.hide("q.fifo", first[1], 60)) // the lock of the group is longer with that of a message
		time.Sleep(2 * time.Second)
		p.want("q.fifo", "b1", "c1") // they came back
		must(t, p.hide("q.fifo", first[1], 0))
		again := p.want("q.fifo", "a2", "a3") // in its old place, and the later one behind it
		for i, m := range []queue.Message{first[1], others[0]} {
			errs, err := p.DeleteMessages(t.Context(), at("q.fifo"), []string{m.Handle})
			must(t, err)
			wantErr(t, errs[0], "", fmt.Sprintf("Value %s for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", m.Handle))
			if err := p.hide("q.fifo", m, 5); err == nil {
				t.Errorf("the expired handle %d hides a message", i)
			}
		}
		p.delete("q.fifo", again...)
		p.delete("q.fifo", again...) // to delete them once more is no error
		time.Sleep(31 * time.Second)
		wantErr(t, p.hide("q.fifo", again[0], 5), "", "Message does not exist or is not available for visibility timeout change.")
		last := p.want("q.fifo", "b1", "c1")
		time.Sleep(31 * time.Second)
		wantErr(t, p.hide("q.fifo", last[0], 5), "MessageNotInflight", "")
		p.stop()
	})
}

// TestAFreedGroupWakes lets somebody wait for a group that is in other hands.
func TestAFreedGroupWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q.fifo", "FifoQueue", "true")
		p.put("q.fifo", "a/1", "a/2")
		held := p.receive("q.fifo", queue.ReceiveOptions{})
		got := make(chan []queue.Message)
		go func() { got <- p.receive("q.fifo", queue.ReceiveOptions{Wait: new(20)}) }()
		synctest.Wait()
		frames := p.frames()
		p.delete("q.fifo", held...)
		if bodies := bodiesOf(<-got); !slices.Equal(bodies, []string{"2"}) {
			t.Errorf("received %q", bodies)
		}
		if n := p.frames() - frames; n != 2 {
			t.Errorf("a delete and a receive took %d frames", n)
		}
		p.stop()
	})
}

func TestDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim()
		p := start(t, sim, 1)
		p.create("q.fifo", "FifoQueue", "true")
		first := p.put("q.fifo", "a/x")[0]
		p.delete("q.fifo", p.want("q.fifo", "x")...)
		if again := p.put("q.fifo", "b/x")[0]; again != first {
			t.Errorf("a duplicate of a deleted message is %+v, want %+v", again, first)
		}
		p.stop()

		p = start(t, sim, 1)
		if again := p.put("q.fifo", "a/x")[0]; again != first {
			t.Errorf("a duplicate after a restart is %+v, want %+v", again, first)
		}
		must(t, p.Purge(t.Context(), at("q.fifo")))
		must(t, p.SetAttributes(t.Context(), at("q.fifo"), map[string]string{"DeduplicationScope": "messageGroup"}))
		if again := p.put("q.fifo", "c/x")[0]; again != first {
			t.Errorf("with another scope, a message that was sent before is %+v, want %+v", again, first)
		}
		p.want("q.fifo")
		in := p.put("q.fifo", "a/y", "b/y", "a/y")
		if in[0] == in[1] || in[0] != in[2] {
			t.Errorf("in two groups %+v", in)
		}
		time.Sleep(5*time.Minute - time.Second)
		p.put("q.fifo", "a/y")
		time.Sleep(time.Second)
		p.put("q.fifo", "b/y")
		p.want("q.fifo", "y", "y", "y")
		p.stop()
	})
}

// The digest is that of spec/sqs-sns.md, A5.
func TestKnownByContent(t *testing.T) {
	p := start(t, newSim(), 1)
	p.create("q.fifo", "FifoQueue", "true", "ContentBasedDeduplication", "true")
	draft := queue.Draft{Body: "Test", Group: "g", Attributes: map[string]queue.Attribute{"a": {Type: "String", Value: "1"}}}
	first, err := p.Send(t.Context(), at("q.fifo"), []queue.Draft{draft})
	must(t, err)
	draft.Attributes = nil
	own := draft
	own.Dedupe = "own"
	rest, err := p.Send(t.Context(), at("q.fifo"), []queue.Draft{draft, own})
	must(t, err)
	if rest[0] != first[0] || rest[1] == first[0] {
		t.Errorf("sent as %+v and %+v", first, rest)
	}
	got := p.want("q.fifo", "Test", "Test")
	if got[0].Dedupe != "532eaabd9574880dbf76b9b8cc00832c20a6ec113d682299550d7a6e0f345e25" || got[1].Dedupe != "own" {
		t.Errorf("received with %q and %q", got[0].Dedupe, got[1].Dedupe)
	}
}

func TestAReceiveMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q.fifo", "FifoQueue", "true")
		p.put("q.fifo", "a/1", "a/2", "b/3")
		receive := func(attempt string, want ...string) []queue.Message {
			t.Helper()
			got := p.receive("q.fifo", queue.ReceiveOptions{Max: 2, Attempt: attempt})
			if !slices.Equal(bodiesOf(got), want) {
				t.Errorf("received %q, want %q", bodiesOf(got), want)
			}
			return got
		}
		first := receive("one", "1", "2")
		time.Sleep(20 * time.Second)
		again := receive("one", "1", "2")
		if first[0].Handle != again[0].Handle || again[0].Receives != 1 {
			t.Errorf("received as %+v and again as %+v", first[0], again[0])
		}
		time.Sleep(20 * time.Second)
		receive("two", "3") // the others are hidden anew
		p.delete("q.fifo", first[0])
		receive("one") // a handle was used: this is another receive
		time.Sleep(31 * time.Second)
		receive("one", "2", "3") // all of them are back, and go to whoever comes
		p.stop()
	})
}

// TestDelayOfAFIFOQueue changes the delay of a FIFO queue, which counts for the messages that it has (SQS developer guide, "Amazon SQS delay
// queues"), across a restart, and that of a standard queue, which does not.
func TestDelayOfAFIFOQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim()
		p := start(t, sim, 1)
		delay := func(name rialto.QueueName, seconds string) {
			t.Helper()
			must(t, p.SetAttributes(t.Context(), at(name), map[string]string{"DelaySeconds": seconds}))
		}
		p.create("q.fifo", "FifoQueue", "true", "DelaySeconds", "600")
		p.create("q", "DelaySeconds", "600")
		_, err := p.Send(t.Context(), at("q"), []queue.Draft{{Body: "standard"}})
		must(t, err)
		p.put("q.fifo", "a/1", "a/2", "b/3")
		time.Sleep(5 * time.Second)
		delay("q.fifo", "10")
		delay("q", "0")
		p.want("q")
		time.Sleep(4 * time.Second)
		p.put("q.fifo", "a/4")
		p.want("q.fifo")
		time.Sleep(time.Second)
		held := p.want("q.fifo", "1", "2", "3") // 4 was sent a second ago

		p.delete("q.fifo", held...)
		delay("q.fifo", "0") // whoever shortens it frees what waits
		in := p.want("q.fifo", "4")
		p.put("q.fifo", "b/5", "c/6")
		delay("q.fifo", "60") // whoever lengthens it holds back what nobody has received yet
		must(t, p.hide("q.fifo", in[0], 0))
		p.want("q.fifo", "4")
		if n := p.counts("q.fifo"); n != (queue.Counts{InFlight: 1, Delayed: 2}) {
			t.Errorf("the queue has %+v", n)
		}
		p.stop()

		p = start(t, sim, 1)
		time.Sleep(59 * time.Second)
		p.want("q.fifo", "4") // its visibility timeout has ended
		time.Sleep(time.Second)
		p.want("q.fifo", "5", "6")
		p.stop()
	})
}

// TestAShorterDelayWakes lets somebody wait for a message until its delay is taken away.
func TestAShorterDelayWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newSim(), 1)
		p.create("q.fifo", "FifoQueue", "true", "DelaySeconds", "600")
		p.put("q.fifo", "a/1")
		got := make(chan []queue.Message)
		go func() { got <- p.receive("q.fifo", queue.ReceiveOptions{Wait: new(20)}) }()
		synctest.Wait()
		began := time.Now()
		must(t, p.SetAttributes(t.Context(), at("q.fifo"), map[string]string{"DelaySeconds": "0"}))
		if bodies := bodiesOf(<-got); !slices.Equal(bodies, []string{"1"}) || time.Since(began) > time.Second {
			t.Errorf("received %q after %v", bodies, time.Since(began))
		}
		p.stop()
	})
}

// TestDeadLettersOfAFIFOQueue moves a group to the dead-letter queue, on the same shard and on another, and back by a task.
func TestDeadLettersOfAFIFOQueue(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, newSim(), shards)
				p.create("dead.fifo", "FifoQueue", "true", "VisibilityTimeout", "0")
				p.create("q4.fifo", "FifoQueue", "true", "VisibilityTimeout", "0")
				must(t, p.SetAttributes(t.Context(), at("q4.fifo"), map[string]string{
					"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":1}`, at("dead.fifo").ARN())}))
				p.put("q4.fifo", "a/1", "a/2", "b/3", "a/4")
				p.want("q4.fifo", "1", "2", "4", "3")
				time.Sleep(time.Second)
				for range 5 {
					p.want("q4.fifo")
					synctest.Wait()
				}
				got := p.want("dead.fifo", "1", "2", "4", "3")
				if m := got[0]; m.Group != "a" || m.Dedupe != "1" || m.Receives != 2 || m.Source != at("q4.fifo").ARN().String() || time.Since(m.Sent) > time.Second {
					t.Errorf("a dead letter is %+v", m)
				}
				if _, err := p.StartTask(t.Context(), at("dead.fifo").ARN().String(), "", 0); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				p.want("q4.fifo", "1", "2", "4", "3") // although they were sent with the same ids a minute ago
				p.stop()
			})
		})
	}
}

func TestATaskKeepsToItsType(t *testing.T) {
	p := start(t, newSim(), 1)
	p.create("dead.fifo", "FifoQueue", "true")
	p.create("q.fifo", "FifoQueue", "true", "RedrivePolicy", fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":1}`, at("dead.fifo").ARN()))
	p.create("q")
	_, err := p.StartTask(t.Context(), at("dead.fifo").ARN().String(), at("q").ARN().String(), 0)
	wantErr(t, err, "", "The destination queue must be of the same type as the source queue.")
}

// TestDeliverToAFIFOQueue delivers events of a rule, one of them twice.
func TestDeliverToAFIFOQueue(t *testing.T) {
	p := start(t, newSim(), 1)
	p.create("q.fifo", "FifoQueue", "true", "ContentBasedDeduplication", "true")
	p.create("own.fifo", "FifoQueue", "true")
	deliver := func(name rialto.QueueName, m *target.Message) error {
		arn := at(name).ARN()
		m.Definition = &target.Definition{ARN: arn.String(), SQS: &target.SQS{MessageGroupID: "$.detail.order"}}
		return p.Deliver(context.Background(), arn, []*target.Message{m})[0]
	}
	for _, body := range []string{"1", "2", "1"} {
		must(t, deliver("q.fifo", &target.Message{Payload: []byte(body), Event: []byte(`{"detail":{"order":"o-1"}}`)}))
	}
	if m := p.want("q.fifo", "1", "2")[0]; m.Group != "o-1" {
		t.Errorf("the group is %q", m.Group)
	}
	wantErr(t, deliver("q.fifo", &target.Message{Payload: []byte("1"), Event: []byte(`{}`)}), "MissingRequiredParameterException", "MessageGroupId")
	must(t, deliver("own.fifo", &target.Message{Payload: []byte("1"), Group: "g", Dedupe: "d"}))
	wantErr(t, deliver("own.fifo", &target.Message{Payload: []byte("1"), Group: "g"}), "", "ContentBasedDeduplication")
	p.want("own.fifo", "1")
	// Of several at once, those that are at fault are refused alone.
	def := &target.Definition{ARN: at("own.fifo").ARN().String()}
	errs := p.Deliver(t.Context(), at("own.fifo").ARN(), []*target.Message{
		{Definition: def, Payload: []byte("no group"), Dedupe: "1"}, {Definition: def, Payload: []byte("good"), Group: "h", Dedupe: "2"},
		{Definition: def, Payload: []byte("not told from others"), Group: "h"}, {Definition: def, Payload: []byte("good, too"), Group: "h", Dedupe: "4"},
	})
	for i, want := range []bool{true, false, true, false} {
		if refused := rialto.KindOf(errs[i]) == rialto.Invalid && errs[i] != nil; refused != want {
			t.Errorf("message %d: %v", i, errs[i])
		}
	}
	p.want("own.fifo", "good", "good, too")
}
