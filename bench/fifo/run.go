package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto/bench/child"
	"github.com/rialto-events/rialto/bench/wire"
)

const (
	perCall     = 10 // messages that are sent, received or deleted at once
	hidden      = 3  // seconds until what a lost consumer held comes back
	retryAfter  = 50 * time.Millisecond
	watchEvery  = 100 * time.Millisecond
	emptyFor    = 2 * hidden * time.Second // without a message, and then nothing is left
	callTimeout = 20 * time.Second
)

type object map[string]any

// A message as a consumer gets it.
type message struct {
	MessageID     string `json:"MessageId"`
	ReceiptHandle string
	Body          string
	group, n      int
}

// A trial is one run of the program.
type trial struct {
	config
	out    io.Writer
	site   *child.Site
	calls  *wire.Client
	ledger *ledger
	left   atomic.Int64 // messages that nobody has begun to send
	last   atomic.Int64 // when a message came, in nanoseconds
}

// run sends, receives and kills. The error says what is wrong with the server, or with the trial.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	t := &trial{config: c, out: out, ledger: newLedger(c.groups)}
	t.left.Store(int64(c.messages))
	if t.site, err = child.NewSite(ctx, "fifo", c.binary); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, t.site.Close(out, c.keep || err != nil)) }()
	fmt.Fprintf(out, "fifo: %d messages in %d groups, %d producers, %d consumers, %d kills, seed %d\n",
		c.messages, c.groups, c.producers, c.consumers, c.kills, c.seed)
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	t.calls = wire.New(t.site.URL(), c.producers+c.consumers)
	defer t.calls.Close()
	attributes := object{"FifoQueue": "true", "VisibilityTimeout": strconv.Itoa(hidden)}
	if err := t.call(ctx, "CreateQueue", object{"QueueName": "work.fifo", "Attributes": attributes}, nil); err != nil {
		return err
	}
	began := time.Now()
	if err := t.load(ctx); err != nil {
		return err
	}
	return t.verdict(time.Since(began))
}

// call makes one call, of which nothing is known if it fails.
func (t *trial) call(ctx context.Context, operation string, in object, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in["QueueUrl"] = t.site.URL() + "/000000000000/work.fifo"
	return t.calls.Call(ctx, "AmazonSQS."+operation, in, out)
}

func (t *trial) load(ctx context.Context) error {
	producing, stopProducing := context.WithCancel(ctx)
	consuming, stopConsuming := context.WithCancel(ctx)
	var producers, consumers sync.WaitGroup
	defer func() {
		stopProducing()
		stopConsuming()
		producers.Wait()
		consumers.Wait()
	}()
	for i := range t.producers {
		random := rand.New(rand.NewPCG(t.seed, uint64(1000+i)))
		producers.Go(func() { t.produce(producing, i, random) })
	}
	for i := range t.consumers {
		random := rand.New(rand.NewPCG(t.seed, uint64(2000+i)))
		consumers.Go(func() { t.consume(consuming, random) })
	}
	if err := t.killAll(ctx); err != nil {
		return err
	}
	producers.Wait()
	fmt.Fprintln(t.out, "all is sent; waiting for what is left")
	t.last.Store(time.Now().UnixNano())
	return t.watch(ctx, func() bool { return time.Since(time.Unix(0, t.last.Load())) > emptyFor })
}

// killAll kills the server when equal parts of the work are done.
func (t *trial) killAll(ctx context.Context) error {
	random := rand.New(rand.NewPCG(t.seed, 0))
	for k := range t.kills {
		part := t.messages * 2 * (k + 1) / (t.kills + 1)
		err := t.watch(ctx, func() bool {
			acked, deleted := t.ledger.count()
			return acked+deleted >= part
		})
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(random.IntN(100))*time.Millisecond); err != nil {
			return err
		}
		t.site.Server.Kill()
		if err := t.site.Start(ctx); err != nil {
			return err
		}
		acked, deleted := t.ledger.count()
		fmt.Fprintf(t.out, "%3d/%d  killed; %d acknowledged, %d deleted\n", k+1, t.kills, acked, deleted)
	}
	return nil
}

// watch waits until something is so.
func (t *trial) watch(ctx context.Context, is func() bool) error {
	for !is() {
		if err := pause(ctx, watchEvery); err != nil {
			return err
		}
		select {
		case <-t.site.Server.Ended():
			return t.site.WithLog(errors.New("the server ended by itself"))
		default:
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// produce sends messages of the groups that are one producer's, in order: a group's next ones when those before were answered.
func (t *trial) produce(ctx context.Context, i int, random *rand.Rand) {
	for t.left.Add(-perCall) > -perCall && ctx.Err() == nil {
		group := i + t.producers*random.IntN((t.groups-i+t.producers-1)/t.producers)
		first := t.ledger.begin(group, perCall)
		t.send(ctx, group, first)
		if random.IntN(10) == 0 {
			t.send(ctx, group, first)
		}
	}
}

func (t *trial) send(ctx context.Context, group, first int) {
	var entries []object
	for n := first; n < first+perCall; n++ {
		body := fmt.Sprintf("%d/%d", group, n)
		entries = append(entries, object{"Id": strconv.Itoa(n), "MessageBody": body, "MessageGroupId": strconv.Itoa(group), "MessageDeduplicationId": body})
	}
	for ctx.Err() == nil {
		var out struct {
			Successful []struct {
				ID        string `json:"Id"`
				MessageID string `json:"MessageId"`
			}
		}
		if t.call(ctx, "SendMessageBatch", object{"Entries": entries}, &out) == nil && len(out.Successful) == perCall {
			for _, s := range out.Successful {
				n, _ := strconv.Atoi(s.ID)
				t.ledger.sent(group, n, s.MessageID)
			}
			return
		}
		_ = pause(ctx, retryAfter)
	}
}

// consume receives, and deletes what it got: most of the time all of it, now and then the first few, and sometimes nothing.
func (t *trial) consume(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		var out struct{ Messages []message }
		called := time.Now()
		err := t.call(ctx, "ReceiveMessage", object{"MaxNumberOfMessages": perCall, "WaitTimeSeconds": 1}, &out)
		if err != nil {
			_ = pause(ctx, retryAfter)
			continue
		}
		if len(out.Messages) == 0 {
			continue
		}
		t.last.Store(time.Now().UnixNano())
		for i := range out.Messages {
			out.Messages[i].read()
		}
		t.ledger.received(called, out.Messages)
		switch random.IntN(40) {
		case 0: // it crashes
		case 1:
			t.delete(ctx, out.Messages[:random.IntN(len(out.Messages))])
		default:
			t.delete(ctx, out.Messages)
		}
	}
}

// read takes a body apart.
func (m *message) read() {
	group, n, _ := strings.Cut(m.Body, "/")
	var bad, worse error
	m.group, bad = strconv.Atoi(group)
	if m.n, worse = strconv.Atoi(n); bad != nil || worse != nil {
		m.group = -1
	}
}

func (t *trial) delete(ctx context.Context, list []message) {
	if len(list) == 0 {
		return
	}
	var entries []object
	for i, m := range list {
		entries = append(entries, object{"Id": strconv.Itoa(i), "ReceiptHandle": m.ReceiptHandle})
	}
	t.ledger.deleting(list)
	var out struct {
		Successful []struct {
			ID string `json:"Id"`
		}
	}
	if t.call(ctx, "DeleteMessageBatch", object{"Entries": entries}, &out) != nil {
		return // some may be gone
	}
	for _, s := range out.Successful {
		i, _ := strconv.Atoi(s.ID)
		t.ledger.settled(list[i], true)
	}
}

// verdict prints what became of everything, and fails if anything is wrong.
func (t *trial) verdict(took time.Duration) error {
	l := t.ledger
	l.lost()
	fmt.Fprintf(t.out, "acknowledged: %d messages, %d of them once more; deleted: %d; received again: %d; in %s\n",
		l.acked, l.duplicates, l.deleted, l.again, took.Round(time.Millisecond))
	if len(l.wrong) > 0 {
		return fmt.Errorf("NOT WELL:\n%s", strings.Join(l.wrong, "\n"))
	}
	fmt.Fprintln(t.out, "every group is in order, nothing is there twice, nothing is lost")
	return nil
}
