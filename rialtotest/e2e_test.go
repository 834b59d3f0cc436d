package rialtotest_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto/rialtotest"
)

// Tests of the whole server, by the front door: AWS's SDK. What can be said of a part alone is tested there.

func TestAnEventReachesTheTargetsOfTheRulesThatMatch(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	large, small := srv.Queue(t, "large"), srv.Queue(t, "small")
	srv.PutRule(t, "all", `{"source": ["shop"]}`, hook.ARN)
	srv.PutRule(t, "large", `{"detail": {"total": [{"numeric": [">=", 100]}]}}`, large.ARN)
	srv.PutRule(t, "small", `{"detail": {"total": [{"numeric": ["<", 100]}]}}`, small.ARN)

	ids := srv.PutEvents(t,
		`{"Source": "shop", "DetailType": "paid", "Detail": {"order": "o-1",  "total": 250.0}, "Resources": ["r1", "r2"], "Time": "2026-03-01T10:00:05.9Z"}`,
		`{"Source": "shop", "DetailType": "paid", "Detail": {"order": "o-2", "total": 5}}`,
		`{"Source": "other", "DetailType": "nobody wants it", "Detail": {}}`)

	// Members, their order and the text of the detail are as AWS writes them.
	got := large.Want(t, `{"detail": {"order": "o-1"}}`)
	want := `{"version":"0","id":"` + ids[0] + `","detail-type":"paid","source":"shop","account":"000000000000",` +
		`"time":"2026-03-01T10:00:05Z","region":"us-east-1","resources":["r1","r2"],"detail":{"order":"o-1","total":250.0}}`
	if got.Body != want {
		t.Errorf("message\n got %s\nwant %s", got.Body, want)
	}
	small.Want(t, `{"id": "`+ids[1]+`", "detail": {"order": "o-2"}, "resources": []}`)
	hook.Want(t, `{"id": "`+ids[0]+`"}`)
	hook.Want(t, `{"id": "`+ids[1]+`"}`)
	large.WantNothing(t)
	small.WantNothing(t)
	if n := hook.Received(); n != 2 {
		t.Errorf("the webhook got %d requests, want 2", n)
	}
}

func TestAWebhookIsCalledAsAnAPIDestinationIs(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	srv.PutRule(t, "all", `{"source": ["shop"]}`, hook.ARN)
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {}, "TraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793"}`)
	got := hook.Want(t, `{"detail-type": "paid"}`)
	for name, want := range map[string]string{
		rialtotest.KeyName: rialtotest.KeyValue,
		"Content-Type":     "application/json; charset=utf-8",
		"User-Agent":       "Amazon/EventBridge/ApiDestinations",
		"Range":            "bytes=0-1048575",
		"X-Amzn-Trace-Id":  "Root=1-5759e988-bd862e3fe1be46a994272793",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("header %s is %q, want %q", name, v, want)
		}
	}
	if got.Method != "POST" || got.URL != "/" {
		t.Errorf("the request was %s %s, want POST /", got.Method, got.URL)
	}
}

func TestParametersOfConnectionAndTargetAreMerged(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	connection, err := srv.Events().CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
		Name: aws.String("crm"), AuthorizationType: types.ConnectionAuthorizationTypeBasic,
		AuthParameters: &types.CreateConnectionAuthRequestParameters{
			BasicAuthParameters: &types.CreateConnectionBasicAuthRequestParameters{Username: aws.String("ada"), Password: aws.String("a pass word")},
			InvocationHttpParameters: &types.ConnectionHttpParameters{
				HeaderParameters:      []types.ConnectionHeaderParameter{{Key: aws.String("X-Tenant"), Value: aws.String("of the connection")}},
				QueryStringParameters: []types.ConnectionQueryStringParameter{{Key: aws.String("v"), Value: aws.String("3")}},
				BodyParameters:        []types.ConnectionBodyParameter{{Key: aws.String("token"), Value: aws.String("t-1"), IsValueSecret: true}},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := srv.Destination(t, "crm", *connection.ConnectionArn, hook.URL+"/customers/*?v=1&format=json")
	srv.PutRule(t, "crm", `{"source": ["shop"]}`)
	srv.PutTarget(t, "crm", types.Target{
		Arn: aws.String(arn),
		InputTransformer: &types.InputTransformer{
			InputPathsMap: map[string]string{"id": "$.detail.id"}, InputTemplate: aws.String(`{"customer": <id>, "token": "of the target"}`),
		},
		HttpParameters: &types.HttpParameters{
			PathParameterValues:   []string{"$.detail.id"},
			HeaderParameters:      map[string]string{"X-Tenant": "of the target", "X-Type": "$.detail-type", "User-Agent": "cannot be"},
			QueryStringParameters: map[string]string{"v": "2", "page": "1"},
		},
	})
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "registered", "Detail": {"id": "c/17"}}`)

	got := hook.Want(t, `{"customer": "c/17", "token": "t-1"}`)
	for name, want := range map[string]string{
		"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("ada:a pass word")),
		"X-Tenant":      "of the connection", // which beats the target
		"X-Type":        "registered",
		"User-Agent":    "Amazon/EventBridge/ApiDestinations",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("header %s is %q, want %q", name, v, want)
		}
	}
	r, err := http.NewRequest(got.Method, got.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "/customers/c%2F17"; r.URL.EscapedPath() != want {
		t.Errorf("path is %s, want %s", r.URL.EscapedPath(), want)
	}
	want := map[string][]string{"v": {"3"}, "format": {"json"}, "page": {"1"}}
	if diff := cmp.Diff(want, map[string][]string(r.URL.Query())); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

func TestAnEventGoesFromBusToBusOnce(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	second, third := srv.Bus(t, "second"), srv.Bus(t, "third")
	onSecond, onThird, dead := srv.Queue(t, "on-second"), srv.Queue(t, "on-third"), srv.Queue(t, "dead")
	srv.PutRule(t, "forward", `{"source": ["shop"]}`, second)
	srv.PutRule(t, "second/keep", `{"source": ["shop"]}`, onSecond.ARN)
	forward := srv.PutRule(t, "second/forward", `{"source": ["shop"]}`)
	srv.PutTarget(t, "second/forward", types.Target{Arn: &third, DeadLetterConfig: &types.DeadLetterConfig{Arn: &dead.ARN}})
	srv.PutRule(t, "third/keep", `{"source": ["shop"]}`, onThird.ARN)

	id := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {}}`)[0]

	got := onSecond.Want(t, `{"id": "`+id+`", "account": "000000000000", "region": "us-east-1"}`)
	letter := dead.Want(t, `{"id": "`+id+`"}`)
	if letter.Body != got.Body {
		t.Errorf("the dead letter is\n%s\nwant the event\n%s", letter.Body, got.Body)
	}
	want := map[string]string{
		"RULE_ARN": forward, "TARGET_ARN": third, "ERROR_CODE": "THIRD_ACCOUNT_HOP_DETECTED",
		"ERROR_MESSAGE": "Event ingestion rejected for event " + id + " because an event can be sent to an event bus target only once. " +
			"This event was previously delivered to an event bus target.",
	}
	if diff := cmp.Diff(want, letter.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	onThird.WantNothing(t)
}

func TestAnotherRegionGivesAnEventANewID(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	ireland := srv.As("000000000000", "eu-west-1")
	far := ireland.Bus(t, "far")
	q := ireland.Queue(t, "q")
	ireland.PutRule(t, "far/keep", `{"source": ["shop"]}`, q.ARN)
	srv.PutRule(t, "forward", `{"source": ["shop"]}`, far)
	id := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {"n": 1}}`)[0]
	got := q.Want(t, `{"region": "us-east-1", "account": "000000000000", "detail": {"n": 1}}`)
	if strings.Contains(got.Body, id) {
		t.Errorf("the event kept its id: %s", got.Body)
	}
}

func TestATargetReceivesWhatItsInputSays(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	q := srv.Queue(t, "q")
	event := `{"Source": "shop", "DetailType": "paid", "Time": "2026-03-01T10:00:05Z", "Detail": {"order": "o-17", "total": 42.50, "items": [{"sku": "A"}, {"sku": "B"}]}}`
	for name, c := range map[string]struct {
		target types.Target
		want   string
	}{
		"a constant": {types.Target{Input: aws.String(`{"say":  "hello"}`)}, `{"say":  "hello"}`},
		"a part":     {types.Target{InputPath: aws.String("$.detail.order")}, `"o-17"`},
		"an object": {types.Target{InputTransformer: &types.InputTransformer{
			InputPathsMap: map[string]string{"id": "$.detail.order", "t": "$.detail.total", "skus": "$.detail.items[*].sku", "none": "$.detail.none"},
			InputTemplate: aws.String(`{"ref":"orders/<id>","total":<t>,"rule":<aws.events.rule-name>,"skus":<skus>,"none":<none>}`),
		}}, `{"ref":"orders/o-17","total":42.50,"rule":"an-object","skus":["A","B"],"none":""}`},
		"a text": {types.Target{InputTransformer: &types.InputTransformer{
			InputPathsMap: map[string]string{"id": "$.detail.order"}, InputTemplate: aws.String("\"Order <id> is paid.\"\n\"Thanks.\""),
		}}, "\"Order o-17 is paid.\"\n\"Thanks.\""},
		"reserved variables": {types.Target{InputTransformer: &types.InputTransformer{
			InputTemplate: aws.String(`{"e":<aws.events.event>,"rule":"<aws.events.rule-arn>"}`),
		}}, `{"e":{"id":"ID","account":"000000000000","detailType":"paid","time":1772359205000,"source":"shop","region":"us-east-1",` +
			`"resources":[],"version":"0"},"rule":"arn:aws:events:us-east-1:000000000000:rule/reserved-variables"}`},
	} {
		rule := strings.ReplaceAll(name, " ", "-")
		srv.PutRule(t, rule, `{"source": ["shop"]}`)
		c.target.Arn = &q.ARN
		srv.PutTarget(t, rule, c.target)
		id := srv.PutEvents(t, event)[0]
		want := strings.ReplaceAll(c.want, "ID", id)
		if got := q.Want(t, want); got.Body != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got.Body, want)
		}
		removeRule(t, srv, rule)
	}
}

func removeRule(t *testing.T, srv *rialtotest.Server, rule string) {
	t.Helper()
	ctx, client := t.Context(), srv.Events()
	targets, err := client.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, target := range targets.Targets {
		ids = append(ids, *target.Id)
	}
	if _, err := client.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &rule, Ids: ids}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &rule}); err != nil {
		t.Fatal(err)
	}
}

func TestDeadLettersSayWhatHappened(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	refuses, fails := srv.Webhook(t), srv.Webhook(t)
	refuses.Answer(func(int, *rialtotest.Request) int { return http.StatusNotFound })
	fails.Answer(func(int, *rialtotest.Request) int { return http.StatusServiceUnavailable })
	dead := srv.Queue(t, "dead")
	const trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
	for name, c := range map[string]struct {
		target  types.Target
		body    string // empty: the event
		want    map[string]string
		message string // a regular expression
	}{
		"an endpoint that refuses": {
			target: types.Target{Arn: &refuses.ARN, Input: aws.String(`{"shaped": true}`)}, body: `{"shaped": true}`,
			want: map[string]string{"ERROR_CODE": "ERROR_FROM_TARGET"}, message: `404`,
		},
		"an endpoint that fails": {
			target:  types.Target{Arn: &fails.ARN, RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(1)}},
			want:    map[string]string{"ERROR_CODE": "ERROR_FROM_TARGET", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "1"},
			message: `503`,
		},
		"a queue that is not there": {
			target: types.Target{Arn: aws.String("arn:aws:sqs:us-east-1:000000000000:gone")},
			want:   map[string]string{"ERROR_CODE": "NO_RESOURCE"}, message: `^The specified queue does not exist`,
		},
		"a kind that is not served": {
			target: types.Target{Arn: aws.String("arn:aws:lambda:us-east-1:000000000000:function:f")},
			want:   map[string]string{"ERROR_CODE": "NO_RESOURCE"}, message: `lambda`,
		},
		"a template that gives no JSON": {
			target: types.Target{Arn: &dead.ARN, InputTransformer: &types.InputTransformer{
				InputPathsMap: map[string]string{"o": "$.detail"}, InputTemplate: aws.String(`{"broken":"<o>"}`),
			}},
			body: `{"broken":"{"order":"o-1"}"}`, want: map[string]string{"ERROR_CODE": "INVALID_JSON"}, message: `^Invalid input for target\.$`,
		},
	} {
		rule := strings.ReplaceAll(name, " ", "-")
		arn := srv.PutRule(t, rule, `{"source": ["`+rule+`"]}`)
		c.target.DeadLetterConfig = &types.DeadLetterConfig{Arn: &dead.ARN}
		srv.PutTarget(t, rule, c.target)
		id := srv.PutEvents(t, `{"Source": "`+rule+`", "DetailType": "paid", "Detail": {"order": "o-1"}, "TraceHeader": "`+trace+`"}`)[0]
		wanted := c.body
		if wanted == "" {
			wanted = `{"id": "` + id + `"}`
		}
		letter := dead.Want(t, wanted)
		if !regexp.MustCompile(c.message).MatchString(letter.Attributes["ERROR_MESSAGE"]) {
			t.Errorf("%s: ERROR_MESSAGE is %q, want a match of %s", name, letter.Attributes["ERROR_MESSAGE"], c.message)
		}
		c.want["RULE_ARN"], c.want["TARGET_ARN"], c.want["ERROR_MESSAGE"] = arn, *c.target.Arn, letter.Attributes["ERROR_MESSAGE"]
		if diff := cmp.Diff(c.want, letter.Attributes); diff != "" {
			t.Errorf("%s: attributes (-want +got):\n%s", name, diff)
		}
		if got := letter.System["AWSTraceHeader"]; got != trace {
			t.Errorf("%s: AWSTraceHeader is %q, want %q", name, got, trace)
		}
	}
}

func TestRetriesGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	var mu sync.Mutex
	healthy := false
	hook.Answer(func(int, *rialtotest.Request) int {
		mu.Lock()
		defer mu.Unlock()
		if healthy {
			return http.StatusOK
		}
		return http.StatusInternalServerError
	})
	srv.PutRule(t, "all", `{"source": ["shop"]}`, hook.ARN)
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {"order": "o-1"}}`)
	first := hook.Want(t, `{"detail": {"order": "o-1"}}`)
	removeRule(t, srv, "all") // what was accepted goes on without it

	srv.Restart(t)
	mu.Lock()
	healthy = true
	mu.Unlock()

	for status := 0; status != http.StatusOK; {
		again := hook.Want(t, `{"detail": {"order": "o-1"}}`)
		if again.Body != first.Body {
			t.Fatalf("attempts differ:\n%s\n%s", first.Body, again.Body)
		}
		status = again.Status
	}
}

func TestAChangedRuleIsInForceForTheNextPutEvents(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	q := srv.Queue(t, "q")
	const generations = 25
	for i := range generations {
		srv.PutRule(t, "rule", fmt.Sprintf(`{"detail": {"generation": [%d]}}`, i), q.ARN)
		srv.PutEvents(t,
			fmt.Sprintf(`{"Source": "shop", "DetailType": "new", "Detail": {"generation": %d}}`, i),
			fmt.Sprintf(`{"Source": "shop", "DetailType": "old", "Detail": {"generation": %d}}`, i-1),
			fmt.Sprintf(`{"Source": "shop", "DetailType": "old", "Detail": {"generation": %d}}`, i+1))
	}
	if _, err := srv.Events().DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("rule")}); err != nil {
		t.Fatal(err)
	}
	srv.PutEvents(t, fmt.Sprintf(`{"Source": "shop", "DetailType": "disabled", "Detail": {"generation": %d}}`, generations-1))
	if _, err := srv.Events().EnableRule(t.Context(), &eventbridge.EnableRuleInput{Name: aws.String("rule")}); err != nil {
		t.Fatal(err)
	}
	srv.PutEvents(t, fmt.Sprintf(`{"Source": "shop", "DetailType": "enabled", "Detail": {"generation": %d}}`, generations-1))
	for i := range generations {
		q.Want(t, fmt.Sprintf(`{"detail-type": "new", "detail": {"generation": %d}}`, i))
	}
	q.Want(t, `{"detail-type": "enabled"}`)
	q.WantNothing(t)
}

func TestAccountsAndRegionsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	queues := map[string]*rialtotest.Queue{}
	views := map[string]*rialtotest.Server{
		"one": srv, "other account": srv.As("111122223333", "us-east-1"), "other region": srv.As("000000000000", "eu-west-1"),
	}
	for name, view := range views {
		queues[name] = view.Queue(t, "q")
		view.PutRule(t, "all", `{"source": ["shop"]}`, queues[name].ARN)
	}
	for name, view := range views {
		view.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {"by": "`+name+`"}}`)
	}
	for name, q := range queues {
		q.Want(t, `{"detail": {"by": "`+name+`"}}`)
		q.WantNothing(t)
	}
	views["other account"].Bus(t, "theirs")
	for _, name := range []string{"one", "other region"} {
		buses, err := views[name].Events().ListEventBuses(t.Context(), &eventbridge.ListEventBusesInput{})
		if err != nil {
			t.Fatal(err)
		}
		if len(buses.EventBuses) != 1 {
			t.Errorf("%s sees %d buses, want the default bus alone", name, len(buses.EventBuses))
		}
	}
}

func TestAnUnknownBusSwallowsEvents(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	ids := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {}, "EventBusName": "nowhere"}`)
	if len(ids) != 1 || ids[0] == "" {
		t.Errorf("ids are %q, want one", ids)
	}
	_, err := srv.Events().PutRule(t.Context(), &eventbridge.PutRuleInput{
		Name: aws.String("r"), EventBusName: aws.String("nowhere"), EventPattern: aws.String(`{"source": ["shop"]}`),
	})
	missing, ok := errors.AsType[*types.ResourceNotFoundException](err)
	if !ok || aws.ToString(missing.Message) != "Event bus nowhere does not exist." {
		t.Errorf("a rule on it: %v", err)
	}
}

func TestEntriesAreRefusedOneByOne(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	entry := func(source, detail string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{Source: aws.String(source), DetailType: aws.String("t"), Detail: aws.String(detail)}
	}
	out, err := srv.Events().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		entry("shop", `{}`), entry("", `{}`), entry("shop", `[1]`), entry("aws.s3", `{}`), entry("shop", `{"a":`),
		entry("shop", strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000)),
		entry("shop", `{"ok": true}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range out.Entries {
		got = append(got, aws.ToString(e.ErrorCode))
		if (e.EventId == nil) == (e.ErrorCode == nil) {
			t.Errorf("an entry has neither an id nor an error, or both: %v", e)
		}
	}
	want := []string{"", "InvalidArgument", "MalformedDetail", "NotAuthorizedForSourceException", "MalformedDetail", "MalformedDetail", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if out.FailedEntryCount != 5 {
		t.Errorf("FailedEntryCount is %d, want 5", out.FailedEntryCount)
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	orders := srv.Bus(t, "orders")
	q := srv.Queue(t, "q")
	srv.PutRule(t, "orders/all", `{"source": ["shop"]}`, q.ARN)
	hook := srv.Webhook(t)
	srv.PutRule(t, "orders/hook", `{"source": ["shop"]}`, hook.ARN)
	srv.PutEvents(t, `{"EventBusName": "`+orders+`", "Source": "shop", "DetailType": "paid", "Detail": {"n": 1}}`)
	hook.Want(t, `{"detail": {"n": 1}}`)

	srv.Restart(t)
	srv.PutEvents(t, `{"EventBusName": "orders", "Source": "shop", "DetailType": "paid", "Detail": {"n": 2}}`)
	hook.Want(t, `{"detail": {"n": 2}}`) // the secret of the connection is there, too
	q.Want(t, `{"detail": {"n": 1}}`)
	q.Want(t, `{"detail": {"n": 2}}`)

	srv.Restart(t)
	q.WantNothing(t)
}

func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()
	const callers, each = 24, 20
	srv := rialtotest.Start(t)
	q := srv.Queue(t, "q")
	hook := srv.Webhook(t)
	srv.PutRule(t, "all", `{"source": ["shop"]}`, q.ARN, hook.ARN)
	var wg sync.WaitGroup
	ids := make([][]string, callers)
	for caller := range callers {
		wg.Go(func() {
			for i := range each {
				ids[caller] = append(ids[caller], srv.PutEvents(t, fmt.Sprintf(`{"Source": "shop", "DetailType": "paid", "Detail": {"caller": %d, "i": %d}}`, caller, i))...)
				if i%10 == 0 { // definitions change meanwhile
					srv.PutRule(t, fmt.Sprintf("of-%d", caller), fmt.Sprintf(`{"detail": {"caller": [%d], "none": [%d]}}`, caller, i), q.ARN)
				}
			}
		})
	}
	wg.Wait()
	for _, id := range slices.Concat(ids...) {
		q.Want(t, `{"id": "`+id+`"}`)
		hook.Want(t, `{"id": "`+id+`"}`)
	}
	q.WantNothing(t)
}

func TestASlowDestinationHoldsUpNobody(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	slow, quick := srv.Webhook(t), srv.Webhook(t)
	release := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(release) }))
	slow.Answer(func(int, *rialtotest.Request) int { <-release; return http.StatusOK })
	srv.PutRule(t, "both", `{"source": ["shop"]}`, slow.ARN, quick.ARN)
	start := time.Now()
	for i := range 30 {
		srv.PutEvents(t, fmt.Sprintf(`{"Source": "shop", "DetailType": "paid", "Detail": {"i": %d}}`, i))
	}
	for i := range 30 {
		quick.Want(t, fmt.Sprintf(`{"detail": {"i": %d}}`, i))
	}
	// An attempt may take five seconds: who had to wait for one would be later than that.
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the quick one had everything after %s", took)
	}
}

func TestALargeEventArrivesWhole(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	q, dead, hook := srv.Queue(t, "q"), srv.Queue(t, "dead"), srv.Webhook(t)
	srv.PutRule(t, "all", `{"source": ["shop"]}`, hook.ARN)
	srv.PutTarget(t, "all", types.Target{Id: aws.String("queue"), Arn: &q.ARN, DeadLetterConfig: &types.DeadLetterConfig{Arn: &dead.ARN}})
	const envelope = 400 // bytes, at most
	for _, size := range []int{100_000, 300_000, 1<<20 - envelope} {
		text := strings.Repeat("x", size-len(`{"text": ""}`))
		srv.PutEvents(t, fmt.Sprintf(`{"Source": "shop", "DetailType": "large-%d", "Detail": {"text": "%s"}}`, size, text))
		want := fmt.Sprintf(`{"detail-type": "large-%d", "detail": {"text": "%s"}}`, size, text)
		q.Want(t, want)
		hook.Want(t, want)
	}
	// The largest that is accepted is too large for a queue as soon as the rest of the event is around it.
	text := strings.Repeat("x", 1<<20-len(`shophuge{"text": ""}`)-1)
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "huge", "Detail": {"text": "`+text+`"}}`)
	hook.Want(t, `{"detail-type": "huge"}`)
	dead.Want(t, `{"detail-type": "huge"}`) // a dead letter may be larger than other messages
	q.WantNothing(t)
}

func TestADeepEventArrivesWhole(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	q := srv.Queue(t, "q")
	srv.PutRule(t, "all", `{"source": ["shop"]}`, q.ARN)
	detail := strings.Repeat(`{"a":`, 900) + `"ü\u0000\ud83d\ude00"` + strings.Repeat(`}`, 900)
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "deep", "Detail": `+detail+`}`)
	q.Want(t, `{"detail-type": "deep", "detail": `+detail+`}`)
}
