package rialtotest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto/internal/explain"
	"github.com/rialto-events/rialto/rialtotest"
)

// native asks rialto's own API, and returns the status and the body.
func native(t *testing.T, srv *rialtotest.Server, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := srv.AWS()
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const noBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // its SHA-256
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, noBody, "events", cfg.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// explained asks for an event until the answer is as it should be: what happened is noted a moment after it did.
func explained(t *testing.T, srv *rialtotest.Server, id string, enough func(*explain.Answer) bool) *explain.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		status, body := native(t, srv, "/_rialto/v1/events/"+id)
		var a explain.Answer
		if status == http.StatusOK {
			if err := json.Unmarshal([]byte(body), &a); err != nil {
				t.Fatalf("%v in %s", err, body)
			}
			if enough(&a) {
				return &a
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the answer is still %d %s", status, body)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func in(state explain.State) func(*explain.Answer) bool {
	return func(a *explain.Answer) bool { return a.State == state }
}

func TestExplainSaysWhyRulesDidNotMatch(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	q := srv.Queue(t, "q")
	srv.PutRule(t, "paid", `{"detail-type": ["paid"]}`)
	srv.PutTarget(t, "paid", types.Target{Id: aws.String("q"), Arn: &q.ARN, Input: aws.String(`{"say": "hello"}`)})
	srv.PutRule(t, "large", `{"detail-type": ["paid"], "detail": {"total": [{"numeric": [">", 100]}]}}`, q.ARN)
	srv.PutRule(t, "other", `{"source": ["bakery"], "detail-type": ["baked"]}`, q.ARN)
	srv.PutRule(t, "aimless", `{"source": ["shop"]}`)
	id := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {"total": 42.5}}`)[0]

	a := explained(t, srv, id, in(explain.Delivered))
	b := a.Buses[0]
	if len(a.Buses) != 1 || b.Bus != "arn:aws:events:us-east-1:000000000000:event-bus/default" || !strings.Contains(string(b.Event), `"total":42.5`) {
		t.Errorf("the event was on %+v", a.Buses)
	}
	d := b.Deliveries[0]
	if len(b.Deliveries) != 1 || d.Rule != "paid" || d.Target != "q" || d.TargetARN != q.ARN || *d.Payload != `{"say": "hello"}` || d.Cut {
		t.Errorf("it was delivered to %+v", b.Deliveries)
	}
	if len(d.Attempts) != 1 || d.Attempts[0].Number != 1 || d.Attempts[0].Verdict != "done" || d.Attempts[0].Message != "" {
		t.Errorf("the attempts are %+v", d.Attempts)
	}
	got := make(map[string]string)
	var order []string
	for _, n := range b.NotMatched {
		got[n.Rule] = n.Why
		order = append(order, n.Rule)
	}
	want := map[string]string{
		"large":   "detail.total is 42.5, but the pattern wants a number > 100.",
		"other":   `detail-type is "paid", but the pattern wants "baked"; source is "shop", but the pattern wants "bakery".`,
		"aimless": "The rule matches, but it has no target.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"aimless", "large", "other"}, order); diff != "" {
		t.Errorf("the nearest rule does not come first (-want +got):\n%s", diff)
	}

	srv.PutRule(t, "large", `{"detail-type": ["paid"]}`)
	a = explained(t, srv, id, in(explain.Delivered))
	for _, n := range a.Buses[0].NotMatched {
		if changed := n.Changed != nil; changed != (n.Rule == "large") {
			t.Errorf("of the rule %s it is said that it was changed at %v", n.Rule, n.Changed)
		}
	}
}

func TestExplainFollowsAFailingDeliveryThroughARestart(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook, dead := srv.Webhook(t), srv.Queue(t, "dead")
	hook.Answer(func(n int, r *rialtotest.Request) int {
		if strings.Contains(r.Body, "hopeless") {
			return http.StatusNotFound
		}
		return http.StatusServiceUnavailable
	})
	srv.Bus(t, "orders")
	srv.PutRule(t, "orders/all", `{"source": ["shop"]}`)
	srv.PutTarget(t, "orders/all", types.Target{Id: aws.String("hook"), Arn: &hook.ARN, DeadLetterConfig: &types.DeadLetterConfig{Arn: &dead.ARN}})
	ids := srv.PutEvents(t, `{"Source": "shop", "DetailType": "failing", "Detail": {}, "EventBusName": "orders"}`, `{"Source": "shop", "DetailType": "hopeless", "Detail": {}, "EventBusName": "orders"}`,
		`{"Source": "nobody", "DetailType": "unwanted", "Detail": {}, "EventBusName": "orders"}`)

	check := func(when string) {
		t.Helper()
		waits := explained(t, srv, ids[0], func(a *explain.Answer) bool {
			return a.State == explain.Waiting && len(a.Buses) == 1 && len(a.Buses[0].Deliveries) == 1 && len(a.Buses[0].Deliveries[0].Attempts) > 0
		}).Buses[0].Deliveries[0]
		first := waits.Attempts[0]
		if first.Status != http.StatusServiceUnavailable || first.Code != "ERROR_FROM_TARGET" || first.Verdict != "again" || first.Next.IsZero() || waits.Next.IsZero() {
			t.Errorf("%s: the failing delivery is %+v", when, waits)
		}
		lost := explained(t, srv, ids[1], in(explain.Dead)).Buses[0].Deliveries[0]
		if n := len(lost.Attempts); n != 2 || lost.Attempts[0].Verdict != "dead letter" || !lost.Attempts[1].Letter || lost.Attempts[1].Verdict != "done" {
			t.Errorf("%s: the hopeless delivery is %+v", when, lost)
		}
		unwanted := explained(t, srv, ids[2], in(explain.Unmatched))
		if why := unwanted.Buses[0].NotMatched[0].Why; why != `source is "nobody", but the pattern wants "shop".` {
			t.Errorf("%s: the rule does not want the third event: %s", when, why)
		}
		for query, want := range map[string]string{"status=dead&rule=all": ids[1], "status=unmatched&bus=orders": ids[2], "status=waiting&since=1h&target=hook": ids[0]} {
			_, body := native(t, srv, "/_rialto/v1/events?"+query)
			var list struct{ Events []explain.Summary }
			if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Events) != 1 || list.Events[0].ID != want {
				t.Errorf("%s: %s lists %s, want %s alone", when, query, body, want)
			}
		}
	}
	check("before the restart")
	srv.Restart(t)
	check("after the restart")
}

func TestExplainFollowsAnEventFromBusToBus(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	second, q := srv.Bus(t, "second"), srv.Queue(t, "q")
	srv.PutRule(t, "forward", `{"source": ["shop"]}`, second)
	srv.PutRule(t, "second/keep", `{"source": ["shop"]}`, q.ARN)
	id := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {}}`)[0]
	a := explained(t, srv, id, func(a *explain.Answer) bool { return a.State == explain.Delivered && len(a.Buses) == 2 })
	if a.Buses[0].Forwarded || !a.Buses[1].Forwarded || a.Buses[1].Bus != second || a.Buses[1].Deliveries[0].Rule != "keep" {
		t.Errorf("the event was on %+v", a.Buses)
	}
}

func TestExplainSaysWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	q := srv.Queue(t, "q")
	srv.PutRule(t, "all", `{"source": ["shop"]}`, q.ARN)
	id := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {}}`)[0]
	lost := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {}, "EventBusName": "nowhere"}`)[0]
	explained(t, srv, id, in(explain.Delivered))
	for _, tc := range []struct {
		name, id string
		srv      *rialtotest.Server
		says     string
	}{
		{"another account", id, srv.As("111122223333", "us-east-1"), "Nothing is known of the event " + id + " in account 111122223333, region us-east-1. By its id it is from 20"},
		{"another region", id, srv.As("000000000000", "eu-west-1"), "ask with the account and the region of its bus"},
		{"never seen", "019ab3c4-5d6e-7f80-9123-456789abcdef", srv, "or it is forgotten: what was delivered is remembered in memory, 16 MiB of it, at present back to"},
		{"no id", "o-17", srv, `\"o-17\" is no event id`},
	} {
		status, body := native(t, tc.srv, "/_rialto/v1/events/"+tc.id)
		if status != http.StatusNotFound || !strings.Contains(body, tc.says) {
			t.Errorf("%s: got %d %s, want it to say %q", tc.name, status, body, tc.says)
		}
	}
	a := explained(t, srv, lost, in(explain.Unmatched))
	if got := fmt.Sprint(a.Remarks); !strings.Contains(got, "The bus nowhere does not exist.") {
		t.Errorf("of a bus that is not there it is said: %s", got)
	}
	if status, body := native(t, srv, "/_rialto/v1/events?status=broken"); status != http.StatusBadRequest || !strings.Contains(body, "one of [failed dead waiting expired delivered unmatched]") {
		t.Errorf("a status that is none: %d %s", status, body)
	}
}
