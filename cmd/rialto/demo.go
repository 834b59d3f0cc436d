package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"

	"github.com/rialto-events/rialto/internal/server"
)

const (
	buildTimeout = 20 * time.Second // to make the resources of the demo
	putTimeout   = 10 * time.Second // for one call
	drainTimeout = 12 * time.Second // after the last event, for the deliveries that wait
	leaveTimeout = time.Second      // the same, after an interrupt
	stopTimeout  = 15 * time.Second // for the engine to stop
	maxRate      = 5000             // events a second that one caller may ask for
	minGap       = 10 * time.Millisecond
)

// The CRM is down for a while: from one part of the demo to another, so that what waited arrives before the end.
const (
	downFrom  = 0.25
	downUntil = 0.5
)

func newDemo() *cobra.Command {
	var d demo
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See events flow through rules to queues and webhooks",
		Long: `Starts an engine in a temporary folder on a free port of this machine, and sets up a small shop through the same API that the AWS
SDKs use: two buses, six rules with different filters, three queues, two webhooks and a dead-letter queue. Then it puts payments,
customers, products and claims, and shows which rule took each event where, what the target received, and how long it took.

For a while one webhook is down: watch its circuit open, its events wait, the others not care, and everything arrive once it is up again.
At the end the numbers must add up. Nothing is left behind.`,
		Example: `  rialto demo
  rialto demo --duration 5s --rate 50
  rialto demo > demo.txt`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out = cmd.OutOrStdout()
			return d.run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.DurationVar(&d.duration, "duration", 15*time.Second, "`TIME` Put events for so long.")
	fs.Float64Var(&d.rate, "rate", 6, "`N` Put so many events a second.")
	return cmd
}

// A demo is one performance.
type demo struct {
	duration time.Duration
	rate     float64
	out      io.Writer

	address string
	stage   stage
	hooks   *webhooks
	show    *show
}

func (d *demo) run(ctx context.Context) error {
	if d.duration <= 0 || d.rate <= 0 || d.rate > maxRate {
		return usagef("rialto demo --duration 15s --rate 6", "The duration and the rate are more than nothing, and the rate is %d at most.", maxRate)
	}
	dir, err := os.MkdirTemp("", "rialto-demo-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	srv, err := server.Open(ctx, server.Config{Listen: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		return err
	}
	return d.within(ctx, srv)
}

// within performs while the engine runs. The engine outlives ctx, so that an interrupt, too, ends with the numbers.
func (d *demo) within(ctx context.Context, srv *server.Server) error {
	engine, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(engine) }()
	select {
	case <-srv.Ready():
	case err := <-ended:
		return err
	}
	d.address = srv.Addr()
	err := d.perform(ctx)
	stopEngine()
	select {
	case stopErr := <-ended:
		return errors.Join(err, stopErr)
	case <-time.After(stopTimeout):
		return errors.Join(err, fmt.Errorf("the engine did not stop within %v", stopTimeout))
	}
}

// perform sets the stage, plays, and adds up.
func (d *demo) perform(ctx context.Context) error {
	d.introduce()
	expected, err := newForecast()
	if err != nil {
		return err
	}
	d.show = newShow(d.out, time.Now())
	audience, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	if d.hooks, err = startWebhooks(audience, d.show); err != nil {
		return err
	}
	defer d.hooks.Close()
	if err := d.build(ctx); err != nil {
		return fmt.Errorf("set up the demo: %w", err)
	}
	d.show.began = time.Now()

	var watching, consuming sync.WaitGroup
	watching.Go(d.show.run)
	failed := make(chan error, 8) // has room for whoever may fail
	d.consume(audience, &consuming, failed)
	err = d.play(ctx, audience, expected)
	if err == nil {
		err = d.drain(ctx, audience, failed)
	}
	leave()
	consuming.Wait()
	d.hooks.Close()
	close(d.show.over)
	watching.Wait()
	if err != nil {
		return err
	}
	d.show.summary(colored(d.out))
	d.farewell()
	return nil
}

// introduce says what there is, with the real patterns.
func (d *demo) introduce() {
	w, width := colored(d.out), widthOf(d.out, plainWidth)
	fmt.Fprintf(w, "%s   The engine listens on %s and forgets everything at the end.\n\n", heading.Render("rialto demo"), d.address)
	const nameColumn, toColumn = 16, 15
	fmt.Fprintf(w, "%s\n", heading.Render(fmt.Sprintf("%-*s  %-*s  EVENT PATTERN", nameColumn, "RULE", toColumn, "TARGET")))
	for _, r := range demoRules {
		fmt.Fprintf(w, "%s%s  %-*s  %s\n", named.Render(r.name), spaces(nameColumn-len(r.name)), toColumn, r.to,
			faint.Render(shorten(compact(r.pattern), max(20, width-nameColumn-toColumn-4))))
	}
}

// compact takes the white space out of a JSON text.
func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}

// build makes everything through the API.
func (d *demo) build(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	c := client{endpoint: "http://" + d.address, getenv: func(string) string { return "" }}
	events, err := c.events()
	if err != nil {
		return err
	}
	d.stage.events = events
	d.stage.sqs = sqs.New(sqs.Options{BaseEndpoint: aws.String(c.endpoint), Region: c.region(), Credentials: c.credentials()})
	return d.stage.build(ctx, d.hooks.url)
}

// consume starts a consumer for each queue.
func (d *demo) consume(ctx context.Context, group *sync.WaitGroup, failed chan<- error) {
	start := func(queue string, got func(sqstypes.Message)) {
		group.Go(func() {
			if err := d.stage.consume(ctx, queue, got); err != nil {
				failed <- err
			}
		})
	}
	for _, queue := range []string{toBilling, toCare, toPartners} {
		start(queue, func(m sqstypes.Message) {
			body, now := aws.ToString(m.Body), time.Now()
			d.show.tell(ctx, func(s *show) { s.arrived(refOf(body), queue, body, now) })
		})
	}
	start(circuits, func(m sqstypes.Message) {
		if text, now := circuitOf(m), time.Now(); text != "" {
			d.show.tell(ctx, func(s *show) { s.announce("── "+text+" ──", now) })
		}
	})
	start(deadLetters, func(m sqstypes.Message) {
		body, code, now := aws.ToString(m.Body), codeOf(m), time.Now()
		d.show.tell(ctx, func(s *show) { s.died(refOf(body), toCRM, code, now) })
	})
}

// play puts events at the rate until the time is up, or ctx ends. What is begun is done while there is an audience. A machine
// that is too slow for the rate puts fewer.
func (d *demo) play(ctx, audience context.Context, expected *forecast) error {
	tick := time.NewTicker(max(time.Duration(float64(time.Second)/d.rate), minGap))
	defer tick.Stop()
	story, began, put := newPlot(), time.Now(), 0
	total := int(math.Ceil(d.duration.Seconds() * d.rate))
	for {
		spent := time.Since(began)
		d.direct(audience, float64(spent)/float64(d.duration))
		due := min(total, int(spent.Seconds()*d.rate)+1)
		if spent >= d.duration {
			due = min(due, put+batchEntries)
		}
		for put < due {
			n := min(due-put, batchEntries)
			if err := d.put(audience, story, expected, n); err != nil {
				return err
			}
			put += n
		}
		if spent >= d.duration {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// direct has the CRM fail and recover when its time has come.
func (d *demo) direct(ctx context.Context, part float64) {
	down := part >= downFrom && part < downUntil
	if d.hooks.down.Swap(down) == down {
		return
	}
	text := "── the CRM is back: what has waited for it arrives ──"
	if down {
		text = "── the CRM goes down and answers 503: its events wait, nobody else's do ──"
	}
	now := time.Now()
	d.show.tell(ctx, func(s *show) { s.announce(text, now) })
}

// put puts the next n events in one call.
func (d *demo) put(ctx context.Context, story *plot, expected *forecast, n int) error {
	happenings := make([]happening, n)
	in := &eventbridge.PutEventsInput{}
	for i := range happenings {
		h := &happenings[i]
		*h = story.next()
		ways, err := expected.of(*h)
		if err != nil {
			return err
		}
		in.Entries = append(in.Entries, eventtypes.PutEventsRequestEntry{
			EventBusName: aws.String(shopBus), Source: &h.source, DetailType: &h.detailType, Detail: &h.detail,
		})
		now := time.Now()
		d.show.tell(ctx, func(s *show) { s.putting(h, ways, now) })
	}
	call, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	out, err := d.stage.events.PutEvents(call, in)
	if err != nil {
		return fmt.Errorf("put events: %w", err)
	}
	for i, r := range out.Entries {
		if r.EventId == nil {
			d.show.tell(ctx, func(s *show) { s.notAccepted(&happenings[i], aws.ToString(r.ErrorMessage)) })
		}
	}
	return nil
}

// drain waits for the deliveries that are still on their way, but not for ever: the numbers say what still waits.
func (d *demo) drain(ctx, audience context.Context, failed <-chan error) error {
	d.show.tell(audience, func(s *show) { s.closing = true })
	enough := time.After(drainTimeout)
	interrupted := ctx.Done()
	for {
		select {
		case <-d.show.settled:
			return nil
		case <-enough:
			return nil
		case err := <-failed:
			return err
		case <-interrupted:
			interrupted, enough = nil, time.After(leaveTimeout)
		}
	}
}

// farewell says what came of the bad day, and what to try next.
func (d *demo) farewell() {
	w := colored(d.out)
	if crm := d.show.account(toCRM); crm.retried > 0 {
		fmt.Fprintf(w, "%s was down for %s: %d of its deliveries had to be repeated, the longest took %s. Elsewhere p99 stayed at %s.\n", toCRM,
			millis(time.Duration(float64(d.duration)*(downUntil-downFrom))), crm.retried, millis(crm.lastRetried), millis(d.show.elsewhere(toCRM)))
	}
	fmt.Fprintf(w, "\n%s\n", heading.Render("Try next"))
	for _, line := range []string{
		"serve                               # a server on " + server.DefaultListen + " that keeps what it gets",
		"tail                                # in a second terminal: follow its default bus",
		`put --source shop --detail-type paid --detail '{"total": 250}'`,
	} {
		fmt.Fprintf(w, "  %s %s\n", invocation(), line)
	}
}
