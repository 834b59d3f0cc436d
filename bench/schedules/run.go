package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto/bench/child"
	"github.com/rialto-events/rialto/bench/wire"
)

const (
	perCall     = 10 // messages that are received or deleted at once
	groups      = 500
	hidden      = 120 // seconds until what was received and not deleted comes back
	emptyFor    = 5 * time.Second
	patience    = 2 * time.Minute // without any schedule that fires
	callTimeout = 20 * time.Second
	layout      = "2006-01-02T15:04:05" // of an at()
)

type object map[string]any

// A trial is one run of the program.
type trial struct {
	config
	out    io.Writer
	site   *child.Site
	calls  *wire.Client
	rest   *http.Client
	ledger *ledger
}

// run makes schedules, waits for them, and kills. The error says what is wrong with the server, or with the trial.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	t := &trial{config: c, out: out, rest: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.callers}}}
	if t.site, err = child.NewSite(ctx, "schedules", c.binary); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, t.site.Close(out, c.keep || err != nil)) }()
	fmt.Fprintf(out, "schedules: %d, due within %s; %d kills, seed %d\n", c.schedules, c.within, c.kills, c.seed)
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	t.calls = wire.New(t.site.URL(), c.callers)
	defer t.calls.Close()
	defer t.rest.CloseIdleConnections()
	if err := t.makeQueue(ctx); err != nil {
		return err
	}
	t.ledger = newLedger(c.schedules, time.Now().Add(c.lead).Truncate(time.Second), c.within)
	if err := t.makeAll(ctx); err != nil {
		return err
	}
	if err := pause(ctx, time.Until(t.ledger.first)); err != nil {
		return err
	}
	if err := t.minute(ctx); err != nil {
		return err
	}
	if err := t.drain(ctx); err != nil {
		return err
	}
	return t.verdict()
}

// queue is the name of the target. One that knows what it got before is an idempotent one.
func (t *trial) queue() string {
	if t.kills > 0 {
		return "due.fifo"
	}
	return "due"
}

func (t *trial) makeQueue(ctx context.Context) error {
	attributes := object{"VisibilityTimeout": strconv.Itoa(hidden)}
	if t.kills > 0 {
		attributes["FifoQueue"], attributes["ContentBasedDeduplication"] = "true", "true"
	}
	return t.call(ctx, "CreateQueue", object{"QueueName": t.queue(), "Attributes": attributes}, nil)
}

func (t *trial) call(ctx context.Context, operation string, in object, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in["QueueUrl"] = t.site.URL() + "/000000000000/" + t.queue()
	return t.calls.Call(ctx, "AmazonSQS."+operation, in, out)
}

// makeAll makes the schedules, by several callers at once, before the first is due.
func (t *trial) makeAll(ctx context.Context) error {
	began := time.Now()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var callers sync.WaitGroup
	for range t.callers {
		callers.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= t.schedules {
					return
				}
				if err := t.make(ctx, n); err != nil {
					stop(err)
				}
			}
		})
	}
	callers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	took := time.Since(began)
	if time.Now().After(t.ledger.first) {
		return fmt.Errorf("making %d schedules took %s, longer than there was until the first is due: give a longer -lead", t.schedules, took.Round(time.Second))
	}
	fmt.Fprintf(t.out, "made in %s, %.0f a second; the first is due in %s\n", took.Round(time.Millisecond), float64(t.schedules)/took.Seconds(),
		time.Until(t.ledger.first).Round(time.Second))
	return nil
}

// make makes one schedule.
func (t *trial) make(ctx context.Context, n int) error {
	target := object{
		"Arn": "arn:aws:sqs:us-east-1:000000000000:" + t.queue(), "RoleArn": "arn:aws:iam::000000000000:role/scheduler",
		"Input": fmt.Sprintf(`{"n":%d,"at":"<aws.scheduler.scheduled-time>"}`, n),
	}
	if t.kills > 0 {
		target["SqsParameters"] = object{"MessageGroupId": strconv.Itoa(n % groups)}
	}
	body, err := json.Marshal(object{
		"ScheduleExpression": "at(" + t.ledger.due(n).UTC().Format(layout) + ")", "FlexibleTimeWindow": object{"Mode": "OFF"},
		"ActionAfterCompletion": "DELETE", "Target": target,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.site.URL()+"/schedules/s"+strconv.Itoa(n), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/scheduler/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	resp, err := t.rest.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusOK:
		return nil
	}
	return fmt.Errorf("make schedule %d: %s: %s", n, resp.Status, said)
}

// minute lets the schedules fire, and kills the server as often as is asked, in as many equal parts of the time.
func (t *trial) minute(ctx context.Context) error {
	random := rand.New(rand.NewPCG(t.seed, 0))
	for k := range t.kills {
		part := t.within / time.Duration(t.kills)
		at := t.ledger.first.Add(part*time.Duration(k) + time.Duration(random.Int64N(int64(part))))
		if err := pause(ctx, time.Until(at)); err != nil {
			return err
		}
		t.site.Server.Kill()
		if err := t.site.Start(ctx); err != nil {
			return err
		}
		fmt.Fprintf(t.out, "%3d/%d  killed %s after the first was due; ready again in %s\n", k+1, t.kills, time.Since(t.ledger.first).Round(time.Millisecond),
			t.site.Server.Took.Round(time.Millisecond))
	}
	return pause(ctx, time.Until(t.ledger.first.Add(t.within)))
}

// drain receives what the queue has got, until all is there and nothing more comes, or nothing comes any more.
func (t *trial) drain(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var last atomic.Int64 // when a message came, in nanoseconds
	last.Store(time.Now().UnixNano())
	var consumers sync.WaitGroup
	for range t.callers {
		consumers.Go(func() {
			for ctx.Err() == nil {
				came, err := t.receive(ctx)
				if came > 0 {
					last.Store(time.Now().UnixNano())
				}
				if err != nil && ctx.Err() == nil {
					stop(err)
				}
			}
		})
	}
	err := t.quiet(ctx, &last)
	stop(nil)
	consumers.Wait()
	return err
}

// quiet waits until nothing comes any more.
func (t *trial) quiet(ctx context.Context, last *atomic.Int64) error {
	for {
		if err := pause(ctx, emptyFor/10); err != nil {
			return context.Cause(ctx)
		}
		select {
		case <-t.site.Server.Ended():
			return t.site.WithLog(errors.New("the server ended by itself"))
		default:
		}
		silence := time.Since(time.Unix(0, last.Load()))
		if silence > patience || silence > emptyFor && t.ledger.fired() == t.schedules {
			return nil
		}
	}
}

// receive takes some messages out of the queue.
func (t *trial) receive(ctx context.Context) (came int, err error) {
	var out struct {
		Messages []struct {
			MessageID     string `json:"MessageId"`
			ReceiptHandle string
			Body          string
			Attributes    struct{ SentTimestamp string }
		}
	}
	in := object{"MaxNumberOfMessages": perCall, "WaitTimeSeconds": 1, "AttributeNames": []string{"SentTimestamp"}}
	if err := t.call(ctx, "ReceiveMessage", in, &out); err != nil || len(out.Messages) == 0 {
		return 0, err
	}
	entries := make([]object, len(out.Messages))
	for i, m := range out.Messages {
		var body struct {
			N  *int
			At string
		}
		sent, badTime := strconv.ParseInt(m.Attributes.SentTimestamp, 10, 64)
		if err := json.Unmarshal([]byte(m.Body), &body); err != nil || body.N == nil || badTime != nil {
			return 0, fmt.Errorf("the queue has a message %s of %s, which is none of a schedule", m.Body, m.Attributes.SentTimestamp)
		}
		t.ledger.took(m.MessageID, *body.N, body.At, time.UnixMilli(sent))
		entries[i] = object{"Id": strconv.Itoa(i), "ReceiptHandle": m.ReceiptHandle}
	}
	return len(entries), t.call(ctx, "DeleteMessageBatch", object{"Entries": entries}, nil)
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

// verdict prints what became of everything, and fails if anything is wrong.
func (t *trial) verdict() error {
	l := t.ledger
	l.lost()
	p99 := l.quantile(0.99)
	fmt.Fprintf(t.out, "fired: %d of %d; late p50 %s, p99 %s, at most %s; ready again in %s at most\n", l.fired(), t.schedules,
		l.quantile(0.5), p99, l.quantile(1), t.site.Slowest.Round(time.Millisecond))
	if t.kills == 0 && t.late > 0 && p99 > t.late {
		l.complain("99 of 100 were late by up to %s, and %s is the most that is allowed", p99, t.late)
	}
	if len(l.wrong) > 0 {
		return fmt.Errorf("NOT WELL:\n%s", strings.Join(l.wrong, "\n"))
	}
	fmt.Fprintln(t.out, "all have fired, none twice, none too early")
	return nil
}
