package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rialto-events/rialto/bench/wire"
)

const (
	accountID = "000000000000"
	region    = "us-east-1"
	role      = "arn:aws:iam::" + accountID + ":role/crash"

	// maxOpen bounds what is acknowledged and has not arrived: enough to keep the server busy, not so much that the last of it
	// takes minutes.
	maxOpen = 10_000
	// visibility is how long a received message stays hidden, in seconds: short, for those whose receiver saw the server die.
	visibility = "5"
	// defineEvery is how often something is defined meanwhile.
	defineEvery = 100 * time.Millisecond
)

// A world is what surrounds the server: who calls it, and where its events go.
type world struct {
	client *wire.Client
	url    string
	ledger *ledger
	line   *line
	hook   *httptest.Server

	mu     sync.Mutex
	up     chan struct{} // closed while the server is up
	failed error         // the first answer that should not have been
}

func newWorld(url string, callers int) *world {
	w := &world{client: wire.New(url, callers+16), url: url, ledger: newLedger(), line: newLine(), up: make(chan struct{})}
	w.hook = httptest.NewServer(http.HandlerFunc(w.serve))
	return w
}

func (w *world) close() {
	w.hook.Close()
	w.client.Close()
}

// serve is the webhook: below /good it takes every event, below /bad none. There, about half are refused for good, and
// the others so that they are tried again. Below /line come the events in line.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server died
	}
	if r.URL.Path == "/line" {
		w.serveLine(rw, body)
		return
	}
	id := eventID(body)
	if r.URL.Path == "/good" {
		w.ledger.arrived(hook, id)
		return
	}
	status := http.StatusServiceUnavailable
	if id != "" && id[len(id)-1]%2 == 0 {
		status = http.StatusBadRequest
	}
	rw.WriteHeader(status)
}

// eventID finds the id of an event without reading all of it.
func eventID(event []byte) string {
	var e struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(event, &e) // what is no event has no id, and will be missed
	return e.ID
}

type object = map[string]any

// define makes everything that the events go through.
func (w *world) define(ctx context.Context) error {
	for _, q := range []string{"direct", "over", "dead", "plain"} {
		if err := w.client.Call(ctx, "AmazonSQS.CreateQueue", object{"QueueName": q, "Attributes": object{"VisibilityTimeout": visibility}}, nil); err != nil {
			return fmt.Errorf("make the queue %s: %w", q, err)
		}
	}
	var connection struct{ ConnectionArn string }
	err := w.client.Call(ctx, "AWSEvents.CreateConnection", object{
		"Name": "program", "AuthorizationType": "API_KEY",
		"AuthParameters": object{"ApiKeyAuthParameters": object{"ApiKeyName": "X-Api-Key", "ApiKeyValue": "secret"}},
	}, &connection)
	if err != nil {
		return fmt.Errorf("make the connection: %w", err)
	}
	var arns [3]string
	for i, name := range []string{"good", "bad", "line"} {
		var d struct{ ApiDestinationArn string }
		err := w.client.Call(ctx, "AWSEvents.CreateApiDestination", object{
			"Name": name, "ConnectionArn": connection.ConnectionArn, "HttpMethod": "POST", "InvocationEndpoint": w.hook.URL + "/" + name,
			"InvocationRateLimitPerSecond": 100_000, // the default of 300 would be what is measured
		}, &d)
		if err != nil {
			return fmt.Errorf("make the API destination %s: %w", name, err)
		}
		arns[i] = d.ApiDestinationArn
	}
	if err := w.client.Call(ctx, "AWSEvents.CreateEventBus", object{"Name": "second"}, nil); err != nil {
		return fmt.Errorf("make the second bus: %w", err)
	}
	return errors.Join(
		w.defineLine(ctx, arns[2]),
		w.rule(ctx, "default",
			object{"Id": "direct", "Arn": queueARN("direct")},
			object{"Id": "hook", "Arn": arns[0], "RoleArn": role},
			object{"Id": "over", "Arn": "arn:aws:events:" + region + ":" + accountID + ":event-bus/second", "RoleArn": role},
			object{"Id": "bad", "Arn": arns[1], "RoleArn": role, "RetryPolicy": object{"MaximumRetryAttempts": 1}, "DeadLetterConfig": object{"Arn": queueARN("dead")}}),
		w.rule(ctx, "second", object{"Id": "over", "Arn": queueARN("over")}))
}

func queueARN(name string) string { return "arn:aws:sqs:" + region + ":" + accountID + ":" + name }

func (w *world) queueURL(name string) string { return w.url + "/" + accountID + "/" + name }

// rule makes a rule that sends everything on a bus to some targets. It has no circuit breaker: one of the targets does nothing but fail,
// and is to go on with that.
func (w *world) rule(ctx context.Context, bus string, targets ...object) error {
	in := object{"Name": "all", "EventBusName": bus, "EventPattern": `{"source":["crash"]}`, "Tags": tag("breaker", "off")}
	err := w.client.Call(ctx, "AWSEvents.PutRule", in, nil)
	if err == nil {
		err = w.client.Call(ctx, "AWSEvents.PutTargets", object{"Rule": "all", "EventBusName": bus, "Targets": targets}, nil)
	}
	if err != nil {
		return fmt.Errorf("make the rule on the bus %s: %w", bus, err)
	}
	return nil
}

// setUp says whether calls make sense now.
func (w *world) setUp(up bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if up {
		close(w.up)
	} else {
		w.up = make(chan struct{})
	}
}

// waitUp waits until calls make sense.
func (w *world) waitUp(ctx context.Context) error {
	w.mu.Lock()
	up := w.up
	w.mu.Unlock()
	select {
	case <-up:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call calls an operation when the server is up. It reports whether there was a good answer: a server that dies before it answers is
// what this program is about, and one that asks to wait is waited for.
func (w *world) call(ctx context.Context, operation string, in, out any) bool {
	if w.waitUp(ctx) != nil {
		return false
	}
	err := w.client.Call(ctx, operation, in, out)
	if err == nil {
		return true
	}
	refused, ok := errors.AsType[*wire.Error](err)
	switch {
	case ctx.Err() != nil:
	case !ok || refused.Status >= 500 || strings.Contains(refused.Code, "Throttl"):
		w.ledger.unanswered()
		pause(ctx, 5*time.Millisecond) // not to burn the processor on connections that are refused
	default:
		w.fail(fmt.Errorf("%s was refused: %w", operation, err))
	}
	return false
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = err
	}
}

// putEvents puts events, one to three at once, until ctx ends.
func (w *world) putEvents(ctx context.Context, caller int, random *rand.Rand) {
	padding := strings.Repeat("x", 300) // an event has about 500 bytes then
	for n := 0; w.ledger.room(ctx, maxOpen) == nil; n++ {
		var entries []object
		for range 1 + random.IntN(3) {
			entries = append(entries, object{
				"Source": "crash", "DetailType": "loaded", "Detail": fmt.Sprintf(`{"caller":%d,"n":%d,"padding":"%s"}`, caller, n, padding),
			})
		}
		var out struct {
			Entries []struct{ EventID, ErrorCode string }
		}
		if !w.call(ctx, "AWSEvents.PutEvents", object{"Entries": entries}, &out) {
			continue
		}
		for _, e := range out.Entries {
			if e.ErrorCode == "" {
				w.ledger.acknowledged(e.EventID)
			}
		}
	}
}

// send sends messages to a queue until ctx ends.
func (w *world) send(ctx context.Context, caller int) {
	for n := 0; w.ledger.room(ctx, maxOpen) == nil; n++ {
		var out struct{ MessageID string }
		if w.call(ctx, "AmazonSQS.SendMessage", object{"QueueUrl": w.queueURL("plain"), "MessageBody": fmt.Sprintf("%d of %d", n, caller)}, &out) {
			w.ledger.sent(out.MessageID)
		}
	}
}

// defineMore makes queues until ctx ends.
func (w *world) defineMore(ctx context.Context) {
	for n := 0; pause(ctx, defineEvery) == nil; n++ {
		name := fmt.Sprintf("defined-%06d", n)
		if w.call(ctx, "AmazonSQS.CreateQueue", object{"QueueName": name}, nil) {
			w.ledger.defined(name)
		}
	}
}

// receive takes messages from a queue until ctx ends. Some of them are put back first, and deleted when they come again.
func (w *world) receive(ctx context.Context, queue string, on way, random *rand.Rand) {
	url := w.queueURL(queue)
	for ctx.Err() == nil {
		var got struct{ Messages []received }
		if !w.call(ctx, "AmazonSQS.ReceiveMessage", object{"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}, &got) {
			continue
		}
		var done []received
		for _, m := range got.Messages {
			event := ""
			if queue != "plain" {
				event = eventID([]byte(m.Body))
			}
			w.ledger.received(m.MessageID, on, event)
			if random.IntN(50) == 0 {
				w.call(ctx, "AmazonSQS.ChangeMessageVisibility", object{"QueueUrl": url, "ReceiptHandle": m.ReceiptHandle, "VisibilityTimeout": 0}, nil)
				continue
			}
			done = append(done, m)
		}
		w.delete(ctx, url, done)
	}
}

type received struct{ MessageID, ReceiptHandle, Body string }

// delete deletes messages, a single one with a call of its own.
func (w *world) delete(ctx context.Context, url string, messages []received) {
	switch len(messages) {
	case 0:
		return
	case 1:
		if w.call(ctx, "AmazonSQS.DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": messages[0].ReceiptHandle}, nil) {
			w.ledger.deleted(messages[0].MessageID)
		}
		return
	}
	var entries []object
	for i, m := range messages {
		entries = append(entries, object{"Id": strconv.Itoa(i), "ReceiptHandle": m.ReceiptHandle})
	}
	var out struct {
		Successful []struct{ ID string }
	}
	if !w.call(ctx, "AmazonSQS.DeleteMessageBatch", object{"QueueUrl": url, "Entries": entries}, &out) {
		return
	}
	for _, s := range out.Successful {
		if i, err := strconv.Atoi(s.ID); err == nil && i < len(messages) {
			w.ledger.deleted(messages[i].MessageID)
		}
	}
}

// queues lists the queues whose names begin with a prefix.
func (w *world) queues(ctx context.Context, prefix string) (map[string]bool, error) {
	names := map[string]bool{}
	for token := ""; ; {
		var out struct {
			QueueUrls []string
			NextToken string
		}
		in := object{"QueueNamePrefix": prefix, "MaxResults": 1000}
		if token != "" {
			in["NextToken"] = token
		}
		if err := w.client.Call(ctx, "AmazonSQS.ListQueues", in, &out); err != nil {
			return nil, fmt.Errorf("list the queues: %w", err)
		}
		for _, url := range out.QueueUrls {
			names[url[strings.LastIndexByte(url, '/')+1:]] = true
		}
		if token = out.NextToken; token == "" {
			return names, nil
		}
	}
}

// pause waits for a while, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
