package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rialto-events/rialto/bench/child"
	"github.com/rialto-events/rialto/bench/wire"
)

const (
	before   = 500                    // events that are put before the destination dies
	patience = 60 * time.Second       // without any progress
	look     = 20 * time.Millisecond  // between two looks at a circuit
	atOnce   = 10                     // events in a call
	overtake = 4 * 64                 // younger events that may overtake one: 64 are under way at once, and one may take longer than others
	padding  = 400                    // bytes, so that an event has about 600
	minShare = 0.99                   // of the parked events come in order; others were attempted, and refused, before
	readyIn  = 10 * time.Second       // a server with a backlog
	onTheWay = 100 * time.Millisecond // after which the server is killed in the middle of something
)

// A trial is one run of the program.
type trial struct {
	config
	out         io.Writer
	site        *child.Site
	client      *wire.Client
	destination *destination
	arn         string // of the API destination
	kills       int
}

// run tells the story once. The error says what is wrong with the server, or with the trial.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	t := &trial{config: c, out: out}
	if t.site, err = child.NewSite(ctx, "outage", c.binary); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, t.site.Close(out, c.keep || err != nil)) }()
	t.client = wire.New(t.site.URL(), 4)
	defer t.client.Close()
	t.destination = newDestination(2*before + t.parked)
	defer t.destination.server.Close()
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	if err := t.story(ctx); err != nil {
		return t.site.WithLog(err)
	}
	return nil
}

// story goes through the phases.
func (t *trial) story(ctx context.Context) error {
	if err := t.define(ctx); err != nil {
		return err
	}
	if err := t.put(ctx, 0, before); err != nil {
		return err
	}
	if err := t.arrive(ctx, before); err != nil {
		return fmt.Errorf("before the outage: %w", err)
	}
	t.say("%d events have arrived; the destination dies", before)
	t.destination.die()
	if err := t.put(ctx, before, 2*before); err != nil {
		return err
	}
	if err := t.until(ctx, "open"); err != nil {
		return err
	}
	first, last := 2*before, 2*before+t.parked
	t.say("the circuit is open; %d events are put", t.parked)
	if err := t.put(ctx, first, first+t.parked/2); err != nil {
		return err
	}
	if err := t.again(ctx, "while events park"); err != nil {
		return err
	}
	if err := t.put(ctx, first+t.parked/2, last); err != nil {
		return err
	}
	c, err := t.circuit(ctx)
	if err != nil {
		return err
	}
	t.say("%d deliveries are parked, the circuit is %s", c.Parked, c.State)
	t.destination.hang() // a probe that takes its time
	if err := t.until(ctx, "half-open"); err != nil {
		return err
	}
	if err := t.again(ctx, "half-open"); err != nil {
		return err
	}
	t.say("the destination is back, and bears %d calls a second at first", weakest)
	began := time.Now()
	t.destination.recover()
	if err := t.arrive(ctx, t.parked/2); err != nil {
		return fmt.Errorf("in the drain: %w", err)
	}
	if err := t.again(ctx, "in the drain"); err != nil {
		return err
	}
	if err := t.arrive(ctx, 0); err != nil {
		return fmt.Errorf("in the drain: %w", err)
	}
	t.say("all have arrived, %s after the destination was back", time.Since(began).Round(100*time.Millisecond))
	if err := t.until(ctx, "closed"); err != nil {
		return err
	}
	return t.verdict(ctx, first, last)
}

type object = map[string]any

// define makes the rule, its target, and a queue that hears of circuits.
func (t *trial) define(ctx context.Context) error {
	const account = "arn:aws:%s:us-east-1:000000000000:%s"
	var connection struct{ ConnectionArn string }
	var d struct{ ApiDestinationArn string }
	for _, call := range []struct {
		operation string
		in        func() object
		out       any
	}{
		{"AWSEvents.CreateConnection", func() object {
			return object{"Name": "weak", "AuthorizationType": "API_KEY",
				"AuthParameters": object{"ApiKeyAuthParameters": object{"ApiKeyName": "X-Api-Key", "ApiKeyValue": "secret"}}}
		}, &connection},
		{"AWSEvents.CreateApiDestination", func() object {
			return object{"Name": "weak", "ConnectionArn": connection.ConnectionArn, "HttpMethod": "POST",
				"InvocationEndpoint": t.destination.server.URL, "InvocationRateLimitPerSecond": healthy}
		}, &d},
		{"AWSEvents.PutRule", func() object { return object{"Name": "all", "EventPattern": `{"source":["outage"]}`} }, nil},
		{"AWSEvents.PutTargets", func() object {
			return object{"Rule": "all", "Targets": []object{{"Id": "weak", "Arn": d.ApiDestinationArn, "RoleArn": fmt.Sprintf(account, "iam", "role/outage")}}}
		}, nil},
		{"AmazonSQS.CreateQueue", func() object { return object{"QueueName": "circuits"} }, nil},
		{"AWSEvents.PutRule", func() object {
			return object{"Name": "circuits", "EventPattern": `{"source":["rialto"],"detail-type":[{"prefix":"Destination Circuit "}]}`}
		}, nil},
		{"AWSEvents.PutTargets", func() object {
			return object{"Rule": "circuits", "Targets": []object{{"Id": "queue", "Arn": fmt.Sprintf(account, "sqs", "circuits")}}}
		}, nil},
	} {
		if err := t.client.Call(ctx, call.operation, call.in(), call.out); err != nil {
			return fmt.Errorf("%s: %w", call.operation, err)
		}
	}
	t.arn = d.ApiDestinationArn
	return nil
}

// put puts the events from a number up to another, one call after the other: their numbers are the order in which they are accepted.
func (t *trial) put(ctx context.Context, from, to int) error {
	filler := strings.Repeat("x", padding)
	for n := from; n < to; {
		var entries []object
		for i := n; i < min(n+atOnce, to); i++ {
			entries = append(entries, object{"Source": "outage", "DetailType": "numbered", "Detail": fmt.Sprintf(`{"n":%d,"filler":"%s"}`, i, filler)})
		}
		var out struct{ FailedEntryCount int }
		if err := t.client.Call(ctx, "AWSEvents.PutEvents", object{"Entries": entries}, &out); err != nil {
			return fmt.Errorf("put events: %w", err)
		}
		if out.FailedEntryCount > 0 {
			return fmt.Errorf("%d of %d events were refused", out.FailedEntryCount, len(entries))
		}
		n += len(entries)
	}
	return nil
}

// arrive waits until no more than some of the events that were put are missing.
func (t *trial) arrive(ctx context.Context, missing int) error {
	if missing == before { // before the outage: those that are not put yet are missing
		missing += t.parked
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		left, changed := t.destination.left()
		if left <= missing {
			return nil
		}
		timer.Reset(patience)
		select {
		case <-changed:
		case <-timer.C:
			return fmt.Errorf("nothing has arrived for %s, and %d events are missing", patience, left)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A circuit is what the server says of one.
type circuit struct {
	ARN    string `json:"arn"`
	State  string `json:"state"`
	Parked int    `json:"parked"`
}

func (t *trial) circuit(ctx context.Context) (circuit, error) {
	var list struct{ Circuits []circuit }
	if err := t.get(ctx, "circuits", &list); err != nil {
		return circuit{}, err
	}
	for _, c := range list.Circuits {
		if c.ARN == t.arn {
			return c, nil
		}
	}
	return circuit{}, fmt.Errorf("the server knows of no circuit of %s", t.arn)
}

// get reads from the server's own API.
func (t *trial) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.site.URL()+"/_rialto/v1/"+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// until waits for a state of the circuit.
func (t *trial) until(ctx context.Context, state string) error {
	end := time.Now().Add(patience)
	for {
		c, err := t.circuit(ctx)
		if err != nil {
			return err
		}
		if c.State == state {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the circuit is %s, not %s, after %s", c.State, state, patience)
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
}

// again kills the server and starts it again.
func (t *trial) again(ctx context.Context, when string) error {
	if !t.kill {
		return nil
	}
	if err := pause(ctx, onTheWay); err != nil {
		return err
	}
	t.site.Server.Kill()
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	t.kills++
	t.say("killed %s; ready again in %d ms", when, t.site.Server.Took.Milliseconds())
	return nil
}

func (t *trial) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

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

// verdict says what came of it, and fails if that is not as it should be.
func (t *trial) verdict(ctx context.Context, first, last int) error {
	changes, err := t.changes(ctx)
	if err != nil {
		return err
	}
	left, err := t.waiting(ctx)
	if err != nil {
		return err
	}
	y := t.destination.tally(first, last)
	inOrder := 0
	for _, late := range y.late {
		if late < overtake {
			inOrder++
		}
	}
	t.say("duplicates %d; refused by the weak destination %d; overtaken by at most %d of those parked; ready in %d ms at most",
		y.duplicates, y.refused, y.late[len(y.late)-1], t.site.Slowest.Milliseconds())
	t.say("told on the default bus: %d opened, %d half-opened, %d closed", changes["Opened"], changes["Half-Opened"], changes["Closed"])
	var wrong []error
	if len(y.missing) > 0 {
		wrong = append(wrong, fmt.Errorf("%d events were acknowledged and never arrived, the first of them number %d", len(y.missing), y.missing[0]))
	}
	if left > 0 {
		wrong = append(wrong, fmt.Errorf("%d deliveries are left although all have arrived", left))
	}
	if y.falls > 0 {
		wrong = append(wrong, fmt.Errorf("the destination was given twice what it bore %d times: a second outage", y.falls))
	}
	if share := float64(inOrder) / float64(len(y.late)); share < minShare {
		wrong = append(wrong, fmt.Errorf("of the parked events %.1f %% came in order, not %.1f %%", 100*share, 100*minShare))
	}
	if t.site.Slowest > readyIn {
		wrong = append(wrong, fmt.Errorf("the server took %s to be ready", t.site.Slowest))
	}
	for _, change := range []string{"Opened", "Half-Opened", "Closed"} {
		if changes[change] == 0 {
			wrong = append(wrong, fmt.Errorf("the default bus had no event %q", "Destination Circuit "+change))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	t.say("outage: %d events, %d kills, nothing is lost and nothing is left", len(t.destination.seen), t.kills)
	return nil
}

// waiting is how many deliveries to the destination have not ended; the outcomes of the last ones may be on their way.
func (t *trial) waiting(ctx context.Context) (left int, err error) {
	for end := time.Now().Add(patience); ; {
		var list struct {
			Destinations []struct {
				ARN               string
				Waiting, InFlight int
			}
		}
		if err := t.get(ctx, "destinations", &list); err != nil {
			return 0, err
		}
		left = 0
		for _, d := range list.Destinations {
			if d.ARN == t.arn {
				left += d.Waiting + d.InFlight
			}
		}
		if left == 0 || time.Now().After(end) {
			return left, nil
		}
		if err := pause(ctx, look); err != nil {
			return 0, err
		}
	}
}

// changes counts what the default bus was told, by the last word of the detail type.
func (t *trial) changes(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	for {
		var got struct {
			Messages []struct{ Body, ReceiptHandle string }
		}
		err := t.client.Call(ctx, "AmazonSQS.ReceiveMessage", object{
			"QueueUrl": t.site.URL() + "/000000000000/circuits", "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1,
		}, &got)
		if err != nil {
			return nil, err
		}
		if len(got.Messages) == 0 {
			return counts, nil
		}
		for _, m := range got.Messages {
			var event struct {
				DetailType string `json:"detail-type"`
			}
			if err := json.Unmarshal([]byte(m.Body), &event); err != nil {
				return nil, err
			}
			counts[strings.TrimPrefix(event.DetailType, "Destination Circuit ")]++
		}
	}
}
