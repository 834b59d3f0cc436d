package rialtotest_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rialto-events/rialto/rialtotest"
)

// Tests of what users ask for by tags (README, "What tags can ask for").

// tag sets tags of a resource, given as key and value in turn.
func tag(t *testing.T, srv *rialtotest.Server, arn string, pairs ...string) {
	t.Helper()
	if _, err := srv.Events().TagResource(t.Context(), &eventbridge.TagResourceInput{ResourceARN: &arn, Tags: tags(pairs...)}); err != nil {
		t.Fatal(err)
	}
}

func tags(pairs ...string) (list []types.Tag) {
	for pair := range slices.Chunk(pairs, 2) {
		list = append(list, types.Tag{Key: aws.String(pair[0]), Value: aws.String(pair[1])})
	}
	return list
}

// TestAFailingEventHoldsBackItsKeyAlone orders by a tag. While the first order of one customer fails, the customer's second one waits,
// and those of others pass.
func TestAFailingEventHoldsBackItsKeyAlone(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	tag(t, srv, srv.PutRule(t, "orders", `{"source": ["shop"]}`, hook.ARN), "rialto:order-by", "$.detail.customer", "rialto:breaker", "off")

	var mu sync.Mutex
	broken := true
	var taken []string // bodies that were answered with 200
	hook.Answer(func(_ int, r *rialtotest.Request) int {
		mu.Lock()
		defer mu.Unlock()
		if broken && strings.Contains(r.Body, `"customer":"stuck"`) {
			return http.StatusServiceUnavailable
		}
		taken = append(taken, r.Body)
		return http.StatusOK
	})
	srv.PutEvents(t,
		`{"Source": "shop", "DetailType": "ordered", "Detail": {"customer": "stuck", "n": 1}}`,
		`{"Source": "shop", "DetailType": "ordered", "Detail": {"customer": "stuck", "n": 2}}`,
		`{"Source": "shop", "DetailType": "ordered", "Detail": {"customer": "fine", "n": 1}}`,
		`{"Source": "shop", "DetailType": "ordered", "Detail": {"customer": "fine", "n": 2}}`,
		`{"Source": "shop", "DetailType": "ordered", "Detail": {"n": 0}}`)
	hook.Want(t, `{"detail": {"customer": "stuck", "n": 1}}`)
	hook.Want(t, `{"detail": {"customer": "fine", "n": 2}}`)
	hook.Want(t, `{"detail": {"n": 0}}`)
	mu.Lock()
	broken = false
	mu.Unlock()
	hook.Want(t, `{"detail": {"customer": "stuck", "n": 2}}`)

	mu.Lock()
	defer mu.Unlock()
	for _, customer := range []string{"stuck", "fine"} {
		at := func(n string) int {
			return slices.IndexFunc(taken, func(body string) bool { return strings.Contains(body, `"customer":"`+customer+`","n":`+n) })
		}
		if first, second := at("1"), at("2"); first < 0 || second < first {
			t.Errorf("of the customer %s, the first order was taken as number %d, the second as number %d", customer, first, second)
		}
	}
}

// TestARateThatIsTakenAwayIsGone lifts the limits of a rule whose events wait for one another: those that waited for their turn do not
// bring them back.
func TestARateThatIsTakenAwayIsGone(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	rule := srv.PutRule(t, "orders", `{"source": ["shop"]}`, hook.ARN)
	tag(t, srv, rule, "rialto:order-by", "$.detail.customer", "rialto:rate", "1/h")
	for n := range 10 {
		srv.PutEvents(t, fmt.Sprintf(`{"Source": "shop", "DetailType": "ordered", "Detail": {"customer": "one", "n": %d}}`, n))
	}
	hook.Want(t, `{"detail": {"n": 0}}`)
	_, err := srv.Events().UntagResource(t.Context(), &eventbridge.UntagResourceInput{ResourceARN: &rule, TagKeys: []string{"rialto:rate"}})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 10; n++ {
		hook.Want(t, fmt.Sprintf(`{"detail": {"n": %d}}`, n))
	}
}

// TestTheSameEventIsAcceptedOnce puts an event again: within a request, in the next one, after a restart, and by way of another bus.
func TestTheSameEventIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	bus, queue := srv.Bus(t, "orders"), srv.Queue(t, "orders")
	tag(t, srv, bus, "rialto:dedupe-by", "detail.order", "rialto:dedupe-window", "1h")
	srv.PutRule(t, "orders/all", `{"source": ["shop"]}`, queue.ARN)
	tag(t, srv, srv.PutRule(t, "forward", `{"source": ["shop"]}`, bus), "rialto:order-by", "source")

	const event = `{"Source": "shop", "DetailType": "ordered", "EventBusName": "orders", "Detail": {"order": "o-1", "try": 1}}`
	again := strings.Replace(event, "1}", "2}", 1)
	ids := srv.PutEvents(t, event, again)
	ids = append(ids, srv.PutEvents(t, again)...)
	srv.Restart(t)
	ids = append(ids, srv.PutEvents(t, again)...)
	if len(slices.Compact(slices.Clone(ids))) != 1 {
		t.Errorf("the ids are %q, want four times that of the first", ids)
	}
	queue.Want(t, `{"id": "`+ids[0]+`", "detail": {"try": 1}}`)

	// What comes over another bus is known again, too. It is in order, so the event after it shows that it has been there.
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "ordered", "Detail": {"order": "o-1"}}`,
		`{"Source": "shop", "DetailType": "ordered", "Detail": {"order": "o-2"}}`)
	second := queue.Want(t, `{"detail": {"order": "o-2"}}`)
	if other := srv.PutEvents(t, strings.Replace(event, "o-1", "o-2", 1))[0]; !strings.Contains(second.Body, other) {
		t.Errorf("put after it was forwarded, the event is %s, want that of %s", other, second.Body)
	}
	// An event without the value is never a duplicate.
	plain := `{"Source": "shop", "DetailType": "ordered", "EventBusName": "orders", "Detail": {}}`
	if ids := srv.PutEvents(t, plain, plain); ids[0] == ids[1] {
		t.Error("two events without the value are one")
	}
	queue.Want(t, `{"detail": {}}`)
	queue.Want(t, `{"detail": {}}`)

	_, err := srv.Events().UntagResource(t.Context(), &eventbridge.UntagResourceInput{ResourceARN: &bus, TagKeys: []string{"rialto:dedupe-by"}})
	if err != nil {
		t.Fatal(err)
	}
	if id := srv.PutEvents(t, again)[0]; id == ids[0] {
		t.Error("after the tag is gone, the event is still known")
	}
	queue.Want(t, `{"detail": {"order": "o-1", "try": 2}}`)
	queue.WantNothing(t)
}

func TestAnEventPastItsTimeToLiveGoesNowhere(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	queue := srv.Queue(t, "orders")
	if _, err := srv.Events().CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{
		Name: aws.String("orders"), Tags: tags("rialto:ttl-from", "$.detail.ttl", "team", "checkout"),
	}); err != nil {
		t.Fatal(err)
	}
	srv.PutRule(t, "orders/all", `{"source": ["shop"]}`, queue.ARN)
	ids := srv.PutEvents(t,
		`{"Source": "shop", "DetailType": "late", "EventBusName": "orders", "Detail": {"ttl": "2026-01-01T00:00:00Z"}}`,
		`{"Source": "shop", "DetailType": "late", "EventBusName": "orders", "Detail": {"ttl": 60}, "Time": "2026-01-01T00:00:00Z"}`,
		`{"Source": "shop", "DetailType": "in time", "EventBusName": "orders", "Detail": {"ttl": "PT1H"}}`,
		`{"Source": "shop", "DetailType": "for ever", "EventBusName": "orders", "Detail": {"ttl": "whenever"}}`)
	if len(ids) != 4 || ids[0] == "" {
		t.Errorf("the ids are %q; events that come too late have one, too", ids)
	}
	queue.Want(t, `{"detail-type": "in time"}`)
	queue.Want(t, `{"detail-type": "for ever"}`)
	queue.WantNothing(t)
}

func TestTagsThatSayNothingAreRefused(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	rule, bus := srv.PutRule(t, "all", `{"source": ["shop"]}`), srv.Bus(t, "orders")
	for _, c := range []struct {
		arn, key, value, want string // an empty ARN is that of a rule which PutRule is to make
	}{
		{"", "rialto:batch", "100", `Tag rialto:batch with the value "100" is not valid. Reason: it takes a number of events from 2 to 10000 and how ` +
			`long the first of them waits at most, up to 5m, such as 100/5s, and may add the size of all from 1KB to 6MB, such as 100/5s/256KB.`},
		{rule, "rialto:timeout", "30", `Tag rialto:timeout with the value "30" is not valid. Reason: it takes a time from 100ms to 15m, such as 30s.`},
		{rule, "rialto:oder-by", "$.detail.id", `Tag rialto:oder-by with the value "$.detail.id" is not valid. Reason: the tags of rialto that rules ` +
			`can have are rialto:order-by, rialto:batch, rialto:timeout, rialto:concurrency, rialto:rate, rialto:breaker, rialto:format and rialto:replay-on-close.`},
		{bus, "rialto:rate", "5/s", `Tag rialto:rate with the value "5/s" is not valid. Reason: the tags of rialto that event buses can have are ` +
			`rialto:dedupe-by, rialto:dedupe-window and rialto:ttl-from.`},
	} {
		var err error
		if c.arn == "" {
			_, err = srv.Events().PutRule(t.Context(), &eventbridge.PutRuleInput{
				Name: aws.String("bad"), EventPattern: aws.String(`{"source": ["shop"]}`), Tags: tags("team", "checkout", c.key, c.value),
			})
		} else {
			_, err = srv.Events().TagResource(t.Context(), &eventbridge.TagResourceInput{ResourceARN: &c.arn, Tags: tags("team", "checkout", c.key, c.value)})
		}
		failure, ok := errors.AsType[smithy.APIError](err)
		if !ok || failure.ErrorCode() != "ValidationException" || failure.ErrorMessage() != c.want {
			t.Errorf("%s=%s: got %v, want\n%s", c.key, c.value, err, c.want)
		}
	}
	for _, arn := range []string{rule, bus} {
		if out, err := srv.Events().ListTagsForResource(t.Context(), &eventbridge.ListTagsForResourceInput{ResourceARN: &arn}); err != nil || len(out.Tags) != 0 {
			t.Errorf("the tags of %s are %+v, %v, though each call was refused", arn, out, err)
		}
	}
	if _, err := srv.Events().DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("bad")}); err == nil {
		t.Error("the rule with a bad tag was made")
	}
}

// TestATraceOfTheW3CTravels puts an event with a traceparent, over two buses, to an endpoint and a queue.
func TestATraceOfTheW3CTravels(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook, queue, bus := srv.Webhook(t), srv.Queue(t, "orders"), srv.Bus(t, "orders")
	srv.PutRule(t, "forward", `{"source": ["shop"]}`, bus)
	srv.PutRule(t, "orders/all", `{"source": ["shop"]}`, hook.ARN, queue.ARN)
	const (
		parent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
		xray   = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;TraceState=dd=s:2%3Bo:rum"
	)
	_, err := srv.Events().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("shop"), DetailType: aws.String("traced"), Detail: aws.String(`{}`)},
		{Source: aws.String("shop"), DetailType: aws.String("its own"), Detail: aws.String(`{}`),
			TraceHeader: aws.String("Root=1-11111111-222222222222222222222222;Parent=3333333333333333;Sampled=0")},
	}}, eventbridge.WithAPIOptions(smithyhttp.AddHeaderValue("traceparent", parent), smithyhttp.AddHeaderValue("tracestate", "dd=s:2;o:rum")))
	if err != nil {
		t.Fatal(err)
	}
	got := hook.Want(t, `{"detail-type": "traced"}`).Header
	for name, want := range map[string]string{"Traceparent": parent, "Tracestate": "dd=s:2;o:rum", "X-Amzn-Trace-Id": xray} {
		if got.Get(name) != want {
			t.Errorf("the header %s is %q, want %q", name, got.Get(name), want)
		}
	}
	if got := hook.Want(t, `{"detail-type": "its own"}`).Header.Get("Traceparent"); got != "00-11111111222222222222222222222222-3333333333333333-00" {
		t.Errorf("the traceparent made of a header of X-Ray is %q", got)
	}
	if got := queue.Want(t, `{"detail-type": "traced"}`).System["AWSTraceHeader"]; got != xray {
		t.Errorf("AWSTraceHeader is %q, want %q", got, xray)
	}
}
