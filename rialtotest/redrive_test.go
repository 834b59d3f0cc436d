package rialtotest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto/internal/explain"
	"github.com/rialto-events/rialto/rialtotest"
)

// A redriveAnswer is what the API says of a redrive.
type redriveAnswer struct {
	ID, Status                             string
	Selected, Moved, Failed, Skipped, Left int
	Reasons                                []struct {
		Outcome, Reason string
		Count           int
	}
}

// A lettersAnswer is what the API says of dead letters.
type lettersAnswer struct {
	Total  int
	Groups []struct {
		Queue, Kind, Rule, TargetID, Target, Code, Source string
		Count                                             int
	}
	Letters []letterAnswer
	Next    string
}

type letterAnswer struct {
	ID, Queue, Kind, State, Rule, TargetID, Event, Code, Reason string
	Receives, Redrives                                          int
	Body                                                        *string
	Original                                                    json.RawMessage
}

// call asks rialto's own API for something, and reads the answer into what is given for it.
func call(t *testing.T, srv *rialtotest.Server, method, path, body string, answer any) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"/_rialto/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	cfg := srv.AWS()
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hash, "events", cfg.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer != nil && resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, answer); err != nil {
			t.Fatalf("%s %s answered %s: %v", method, path, b, err)
		}
	}
	return resp.StatusCode, string(bytes.TrimSpace(b))
}

// until asks again and again, until what is answered is as it should be.
func until[T any](t *testing.T, srv *rialtotest.Server, path string, enough func(*T) bool) *T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		is := new(T)
		_, text := call(t, srv, http.MethodGet, path, "", is)
		if enough(is) {
			return is
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s still answers %s", path, text)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func total(n int) func(*lettersAnswer) bool {
	return func(a *lettersAnswer) bool { return a.Total == n }
}

func ended(r *redriveAnswer) bool { return r.Status == "completed" || r.Status == "cancelled" }

// startRedrive starts one and returns its path.
func startRedrive(t *testing.T, srv *rialtotest.Server, body string) string {
	t.Helper()
	var r redriveAnswer
	if status, text := call(t, srv, http.MethodPost, "/redrives", body, &r); status != http.StatusOK {
		t.Fatalf("a redrive of %s answered %d %s", body, status, text)
	}
	return "/redrives/" + r.ID
}

// failing makes a rule whose target is a webhook with a dead-letter queue and without retries, and puts so many events.
func failing(t *testing.T, srv *rialtotest.Server, hook *rialtotest.Webhook, dead *rialtotest.Queue, events int) {
	t.Helper()
	srv.PutRule(t, "orders", `{"source": ["shop"]}`)
	srv.PutTarget(t, "orders", types.Target{
		Id: aws.String("crm"), Arn: aws.String(hook.ARN), RoleArn: aws.String("arn:aws:iam::000000000000:role/r"),
		DeadLetterConfig: &types.DeadLetterConfig{Arn: aws.String(dead.ARN)},
		RetryPolicy:      &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(0)},
		InputTransformer: &types.InputTransformer{
			InputPathsMap: map[string]string{"order": "$.detail.order"}, InputTemplate: aws.String(`{"v1": "<order>"}`),
		},
	})
	var entries []string
	for i := range events {
		entries = append(entries, fmt.Sprintf(`{"Source": "shop", "DetailType": "paid", "Detail": {"order": "o-%d"}}`, i))
	}
	for chunk := range slices.Chunk(entries, 10) {
		srv.PutEvents(t, chunk...)
	}
}

func TestRedriveOfASelection(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook, dead := srv.Webhook(t), srv.Queue(t, "dead")
	hook.Answer(func(_ int, r *rialtotest.Request) int {
		if strings.HasSuffix(r.Body, `-0"}`) || strings.HasSuffix(r.Body, `-1"}`) || strings.HasSuffix(r.Body, `-2"}`) {
			return http.StatusBadRequest // for good
		}
		panic(http.ErrAbortHandler) // the connection breaks, which is another error
	})
	failing(t, srv, hook, dead, 10)
	all := until(t, srv, "/dead-letters?queue=dead", total(10))
	if len(all.Groups) != 2 || all.Groups[0].Count+all.Groups[1].Count != 10 {
		t.Fatalf("the groups are %+v", all.Groups)
	}
	code := ""
	for _, g := range all.Groups {
		if g.Kind != "rule" || g.TargetID != "crm" || g.Rule != "arn:aws:events:us-east-1:000000000000:rule/orders" || g.Target != hook.ARN {
			t.Errorf("a group is %+v", g)
		}
		if g.Count == 7 {
			code = g.Code
		}
	}
	if code == "" {
		t.Fatalf("no group has seven letters: %+v", all.Groups)
	}

	// What a client of SQS sees of a letter is what AWS says, and no more.
	seen := all.Letters[0]
	var one letterAnswer
	call(t, srv, http.MethodGet, "/dead-letters/"+seen.ID, "", &one)
	if one.Body == nil || !strings.HasPrefix(*one.Body, `{"v1": "o-`) || !strings.Contains(string(one.Original), one.Event) || one.Receives != 0 {
		t.Errorf("a letter is shown as %+v", one)
	}

	// The target is mended: it takes what it gets, and is to get something else.
	hook.Answer(func(int, *rialtotest.Request) int { return http.StatusOK })
	srv.PutTarget(t, "orders", types.Target{
		Id: aws.String("crm"), Arn: aws.String(hook.ARN), RoleArn: aws.String("arn:aws:iam::000000000000:role/r"),
		InputTransformer: &types.InputTransformer{
			InputPathsMap: map[string]string{"order": "$.detail.order"}, InputTemplate: aws.String(`{"v2": "<order>"}`),
		},
	})
	before := hook.Received()
	path := startRedrive(t, srv, `{"queue": "dead", "filter": {"code": "`+code+`"}}`)
	r := until(t, srv, path, ended)
	if r.Status != "completed" || r.Selected != 7 || r.Moved != 7 || r.Failed+r.Skipped+r.Left != 0 {
		t.Errorf("the redrive is %+v", r)
	}
	for i := 3; i < 10; i++ {
		hook.Want(t, fmt.Sprintf(`{"v2": "o-%d"}`, i))
	}
	if n := hook.Received() - before; n != 7 {
		t.Errorf("the webhook got %d requests by the redrive, want 7", n)
	}
	// Who asks for an event is told of both lives of its delivery.
	for _, l := range all.Letters {
		if l.Code != code {
			continue
		}
		a := explained(t, srv, l.Event, in(explain.Delivered))
		tries := a.Buses[0].Deliveries[0].Attempts
		if last := tries[len(tries)-1]; tries[0].Redrive != 0 || last.Redrive != 1 || last.Number != 1 || last.Letter {
			t.Errorf("the attempts for %s are %+v", l.Event, tries)
		}
		break
	}
	left := until(t, srv, "/dead-letters?queue=dead", total(3))
	for _, l := range left.Letters {
		if l.Code == code || l.State != "visible" || l.Receives != 0 {
			t.Errorf("left in the queue is %+v", l)
		}
	}
}

func TestRedriveFailsAgain(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook, dead := srv.Webhook(t), srv.Queue(t, "dead")
	hook.Answer(func(int, *rialtotest.Request) int { return http.StatusBadRequest })
	failing(t, srv, hook, dead, 3)
	first := until(t, srv, "/dead-letters?queue=dead", total(3))

	r := until(t, srv, startRedrive(t, srv, `{"queue": "dead"}`), ended)
	if r.Selected != 3 || r.Moved != 3 { // what comes back is not moved a second time
		t.Errorf("the redrive is %+v", r)
	}
	again := until(t, srv, "/dead-letters?queue=dead", func(a *lettersAnswer) bool {
		return a.Total == 3 && !slices.ContainsFunc(a.Letters, func(l letterAnswer) bool { return l.Redrives != 1 })
	})
	ids := func(list []letterAnswer) (ids []string) {
		for _, l := range list {
			ids = append(ids, l.Event)
		}
		slices.Sort(ids)
		return ids
	}
	if !slices.Equal(ids(first.Letters), ids(again.Letters)) {
		t.Errorf("events %q became %q", ids(first.Letters), ids(again.Letters))
	}
	if n := hook.Received(); n != 6 {
		t.Errorf("the webhook got %d requests, want 6", n)
	}

	// AWS's own task does not know where dead letters of rules come from.
	_, err := srv.SQS().StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(dead.ARN)})
	if err == nil || !strings.Contains(err.Error(), "Source queue must be configured as a Dead Letter Queue.") {
		t.Errorf("a move task of dead letters of a rule got %v", err)
	}

	// One is with a consumer, and is left alone.
	if _, err := srv.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(dead.URL), VisibilityTimeout: 600}); err != nil {
		t.Fatal(err)
	}
	// Somebody has sent a message to the queue that is no dead letter.
	if _, err := srv.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(dead.URL), MessageBody: aws.String("hello")}); err != nil {
		t.Fatal(err)
	}
	// The rule goes: nothing can come back, and nothing is lost.
	if _, err := srv.Events().RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("orders"), Ids: []string{"crm"}}); err != nil {
		t.Fatal(err)
	}
	r = until(t, srv, startRedrive(t, srv, `{"queue": "dead"}`), ended)
	if r.Selected != 3 || r.Skipped != 3 || len(r.Reasons) != 2 {
		t.Errorf("the redrive without a target is %+v", r)
	}
	srv.Restart(t)
	if after := until(t, srv, path0(r), ended); after.Skipped != 3 {
		t.Errorf("after a restart the redrive is %+v", after)
	}

	// To another queue they go as the events that they are.
	other := srv.Queue(t, "other")
	r = until(t, srv, startRedrive(t, srv, `{"queue": "dead", "to": "`+other.ARN+`"}`), ended)
	if r.Selected != 3 || r.Moved != 2 || r.Skipped != 1 {
		t.Errorf("the redrive to another queue is %+v", r)
	}
	other.Want(t, `{"source": "shop"}`)
	other.Want(t, `{"source": "shop"}`)
	other.WantNothing(t)
	until(t, srv, "/dead-letters", total(1)) // of all queues: the one in flight, as hello may be somebody's work
	kinds := until(t, srv, "/dead-letters?queue=dead", total(2))
	if k := []string{kinds.Letters[0].Kind, kinds.Letters[1].Kind}; !slices.Contains(k, "sent") || !slices.Contains(k, "rule") {
		t.Errorf("left are %+v", kinds.Letters)
	}
}

func path0(r *redriveAnswer) string { return "/redrives/" + r.ID }

func TestRedriveIsPausedAndCancelled(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	hook, dead := srv.Webhook(t), srv.Queue(t, "dead")
	hook.Answer(func(int, *rialtotest.Request) int { return http.StatusBadRequest })
	failing(t, srv, hook, dead, 40)
	until(t, srv, "/dead-letters?queue=dead", total(40))
	hook.Answer(func(int, *rialtotest.Request) int { return http.StatusOK })
	path := startRedrive(t, srv, `{"queue": "dead", "rate": 20}`)
	until(t, srv, path, func(r *redriveAnswer) bool { return r.Moved > 0 })
	call(t, srv, http.MethodPost, path+"/pause", "", nil)
	paused := until(t, srv, path, func(r *redriveAnswer) bool { return r.Status == "paused" })
	if paused.Selected != 40 || paused.Moved+paused.Left != 40 {
		t.Errorf("paused, the redrive is %+v", paused)
	}
	if status, text := call(t, srv, http.MethodPost, "/redrives", `{"queue": "dead"}`, nil); status == http.StatusOK {
		t.Errorf("a second redrive at once got %s", text)
	}
	srv.Restart(t)
	if now := until(t, srv, path, func(r *redriveAnswer) bool { return r.Status == "paused" }); now.Moved+now.Left != 40 {
		t.Errorf("after a restart the redrive is %+v", now)
	}
	call(t, srv, http.MethodPost, path+"/rate", `{"rate": 50}`, nil)
	call(t, srv, http.MethodPost, path+"/resume", "", nil)
	until(t, srv, path, func(r *redriveAnswer) bool { return r.Moved > paused.Moved+3 })
	call(t, srv, http.MethodPost, path+"/cancel", "", nil)
	end := until(t, srv, path, ended)
	if end.Status != "cancelled" || end.Moved+end.Skipped != 40 || end.Failed != 0 || end.Skipped == 0 {
		t.Errorf("cancelled, the redrive is %+v", end)
	}
	until(t, srv, "/dead-letters?queue=dead", total(end.Skipped))
	for range end.Moved {
		hook.Want(t, `{}`)
	}
}

func TestDeadLettersOfOthersAreNotShown(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	dead := srv.Queue(t, "dead")
	other := srv.As("111122223333", "us-east-1")
	for _, tc := range []struct{ method, path, body string }{
		{http.MethodGet, "/dead-letters?queue=" + dead.ARN, ""},
		{http.MethodPost, "/redrives", `{"queue": "` + dead.ARN + `"}`},
	} {
		if status, text := call(t, other, tc.method, tc.path, tc.body, nil); status != http.StatusForbidden {
			t.Errorf("%s %s answered another account with %d %s", tc.method, tc.path, status, text)
		}
	}
	for _, tc := range []struct{ body, says string }{
		{`{"queue": "none"}`, "does not exist"},
		{`{}`, "which queue"},
		{`{"queue": "dead", "rate": -1}`, "rate"},
		{`{"queue": "dead", "to": "nowhere"}`, "not an ARN"},
		{`{"queue": "dead", "to": "` + dead.ARN + `"}`, "already"},
		{`{"queue": "dead", "to": "arn:aws:sqs:us-east-1:111122223333:q"}`, "another account"},
		{`{"queue": "dead", "fliter": {}}`, "fliter"},
	} {
		if status, text := call(t, srv, http.MethodPost, "/redrives", tc.body, nil); status == http.StatusOK || !strings.Contains(text, tc.says) {
			t.Errorf("%s was answered with %d %s", tc.body, status, text)
		}
	}
}

// TestRedriveOfSchedules brings occurrences back to the target of their schedule: to the one that it has now, or, if it was deleted after it had
// fired, to the one that it had.
func TestRedriveOfSchedules(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	dead, now := srv.Queue(t, "dead"), srv.Queue(t, "now")
	was := "arn:aws:sqs:us-east-1:000000000000:was"
	for _, name := range []string{"stays", "goes"} {
		in := schedule(name, "at(2022-12-31T23:59:59)", was, name+" <aws.scheduler.scheduled-time> <aws.scheduler.attempt-number>")
		in.Target.DeadLetterConfig = &schedulertypes.DeadLetterConfig{Arn: &dead.ARN}
		if name == "goes" {
			in.ActionAfterCompletion = schedulertypes.ActionAfterCompletionDelete
		}
		createSchedule(t, srv, in)
	}
	list := until(t, srv, "/dead-letters", total(2))
	for _, l := range list.Letters {
		if l.Kind != "schedule" || !strings.HasPrefix(l.Rule, "arn:aws:scheduler:us-east-1:000000000000:schedule/default/") || l.Code != "AWS.SimpleQueueService.NonExistentQueue" {
			t.Errorf("a letter is %+v", l)
		}
	}
	until(t, srv, "/schedules", func(a *struct{ Schedules []struct{ Name string } }) bool {
		return len(a.Schedules) == 1 && a.Schedules[0].Name == "stays"
	})

	in := schedule("stays", "at(2022-12-31T23:59:59)", now.ARN, "another input")
	if _, err := srv.Scheduler().UpdateSchedule(t.Context(), &scheduler.UpdateScheduleInput{
		Name: in.Name, ScheduleExpression: in.ScheduleExpression, FlexibleTimeWindow: in.FlexibleTimeWindow, Target: in.Target,
	}); err != nil {
		t.Fatal(err)
	}
	before := srv.Queue(t, "was")
	srv.Restart(t)
	r := until(t, srv, startRedrive(t, srv, `{"queue": "dead"}`), ended)
	if r.Status != "completed" || r.Moved != 2 || r.Failed+r.Skipped != 0 {
		t.Errorf("the redrive is %+v", r)
	}
	for _, c := range []struct {
		q    *rialtotest.Queue
		want string
	}{{now, "stays 2022-12-31T23:59:59Z 1"}, {before, "goes 2022-12-31T23:59:59Z 1"}} {
		if got := c.q.Next(t).Body; got != c.want {
			t.Errorf("the queue %s got %q, want %q", c.q.Name, got, c.want)
		}
	}
	if list := until(t, srv, "/dead-letters?queue=dead", total(0)); len(list.Groups) > 0 {
		t.Errorf("what is left is %+v", list.Groups)
	}
}
