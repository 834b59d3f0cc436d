package rialtotest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/rialtotest"
)

// A jumpClock is the system's, until it jumps ahead.
type jumpClock struct {
	mu     sync.Mutex
	ahead  time.Duration
	timers map[*jumpTimer]time.Time // when those that run are due
}

type jumpTimer struct {
	clock *jumpClock
	*time.Timer
}

func (c *jumpClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().UTC().Add(c.ahead)
}

func (c *jumpClock) NewTimer(d time.Duration) rialto.Timer {
	t := &jumpTimer{c, time.NewTimer(d)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timers[t] = time.Now().Add(c.ahead + d)
	return t
}

func (t *jumpTimer) C() <-chan time.Time { return t.Timer.C }

func (t *jumpTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.timers, t)
	return t.Timer.Stop()
}

func (t *jumpTimer) Reset(d time.Duration) {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.clock.timers[t] = time.Now().Add(t.clock.ahead + d)
	t.Timer.Reset(d)
}

// jump lets time pass. Timers that fired already are due, and stay so; those that nobody stops are forgotten when they are.
func (c *jumpClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	now := time.Now().Add(c.ahead)
	for t, due := range c.timers {
		if due.Before(now.Add(-d)) {
			delete(c.timers, t)
			continue
		}
		t.Timer.Reset(max(0, due.Sub(now)))
	}
}

func setCircuit(t *testing.T, srv *rialtotest.Server, arn, mode string) {
	t.Helper()
	u := srv.URL + "/_rialto/v1/circuits/" + url.PathEscape(arn)
	req, err := http.NewRequest(http.MethodPut, u, strings.NewReader(`{"mode":"`+mode+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("set the circuit: %s", resp.Status)
	}
}

// TestReplayOnClose has a circuit open for longer than events may wait. When it closes, after a restart, its target gets those that had become too
// old by a replay, and the others as always: each once. Nobody else gets anything again, and no later start does it again.
func TestReplayOnClose(t *testing.T) {
	clock := &jumpClock{timers: make(map[*jumpTimer]time.Time)}
	srv := rialtotest.Options{Clock: clock}.Start(t)
	hook, audit := srv.Webhook(t), srv.Webhook(t)
	archive(t, srv, "all", "")
	rule := srv.PutRule(t, "shop", `{"source": ["shop"]}`)
	srv.PutTarget(t, "shop", types.Target{Arn: &hook.ARN, RetryPolicy: &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(3600)}})
	srv.PutTarget(t, "shop", types.Target{Id: aws.String("audit"), Arn: &audit.ARN})
	tag(t, srv, rule, "rialto:replay-on-close", "all")
	put := func(names ...string) {
		t.Helper()
		for _, name := range names {
			srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {"name": "`+name+`"}}`)
			if got := audit.Want(t, `{"detail": {"name": "`+name+`"}}`); strings.Contains(got.Body, "replay-name") {
				t.Errorf("another target got %s", got.Body)
			}
		}
	}
	put("before")
	hook.Want(t, `{"detail": {"name": "before"}}`)
	setCircuit(t, srv, hook.ARN, "open")
	put("old-1", "old-2")
	clock.jump(90 * time.Minute)
	put("young")
	srv.Restart(t)
	setCircuit(t, srv, hook.ARN, "auto")
	put("fresh-1", "fresh-2") // three attempts that go well close it
	got := map[string]string{}
	for range 5 {
		var e struct {
			Replay string `json:"replay-name"`
			Detail struct{ Name string }
		}
		if err := json.Unmarshal([]byte(hook.Want(t, `{}`).Body), &e); err != nil {
			t.Fatal(err)
		}
		if _, twice := got[e.Detail.Name]; twice {
			t.Errorf("event %s came twice", e.Detail.Name)
		}
		got[e.Detail.Name] = e.Replay
	}
	replays, err := srv.Events().ListReplays(t.Context(), &eventbridge.ListReplaysInput{})
	if err != nil || len(replays.Replays) != 1 {
		t.Fatalf("the replays are %+v, %v", replays, err)
	}
	name := *replays.Replays[0].ReplayName
	for event, want := range map[string]string{"old-1": name, "old-2": name, "young": "", "fresh-1": "", "fresh-2": ""} {
		if is, ok := got[event]; !ok || is != want {
			t.Errorf("event %s came: %t, by the replay %q, want %q", event, ok, is, want)
		}
	}
	if end := replayEnds(t, srv, name); end.State != types.ReplayStateCompleted || !strings.Contains(*end.Description, "expired for target target of rule shop") {
		t.Errorf("the replay ended %s: %s", end.State, *end.Description)
	}
	srv.Restart(t)
	put("later")
	hook.Want(t, `{"detail": {"name": "later"}}`)
	if n, others := hook.Received(), audit.Received(); n != 7 || others != 7 {
		t.Errorf("of 7 events the target got %d, and another one %d", n, others)
	}
	if replays, err = srv.Events().ListReplays(t.Context(), &eventbridge.ListReplaysInput{}); err != nil || len(replays.Replays) != 1 {
		t.Errorf("after another start the replays are %+v, %v", replays, err)
	}
}
