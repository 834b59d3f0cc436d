package rialtotest_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/rialto-events/rialto/rialtotest"
)

// archive makes an archive of the default bus and returns its ARN.
func archive(t *testing.T, srv *rialtotest.Server, name, pattern string) string {
	t.Helper()
	in := &eventbridge.CreateArchiveInput{ArchiveName: &name, EventSourceArn: aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default")}
	if pattern != "" {
		in.EventPattern = &pattern
	}
	out, err := srv.Events().CreateArchive(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.ArchiveArn
}

func wantCount(t *testing.T, srv *rialtotest.Server, name string, want int64) {
	t.Helper()
	out, err := srv.Events().DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if out.EventCount != want || (out.SizeBytes > 0) != (want > 0) {
		t.Errorf("archive %s has %d events of %d bytes, want %d events", name, out.EventCount, out.SizeBytes, want)
	}
}

// startReplay replays the year 2026 of an archive to the default bus.
func startReplay(t *testing.T, srv *rialtotest.Server, name, archiveARN string, filters ...string) {
	t.Helper()
	out, err := srv.Events().StartReplay(t.Context(), &eventbridge.StartReplayInput{
		ReplayName: &name, EventSourceArn: &archiveARN,
		EventStartTime: aws.Time(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), EventEndTime: aws.Time(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)),
		Destination: &types.ReplayDestination{Arn: aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default"), FilterArns: filters},
	})
	if err != nil || out.State != types.ReplayStateStarting {
		t.Fatalf("StartReplay: %+v, %v", out, err)
	}
}

// replayEnds waits for the end of a replay.
func replayEnds(t *testing.T, srv *rialtotest.Server, name string) *eventbridge.DescribeReplayOutput {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		out, err := srv.Events().DescribeReplay(t.Context(), &eventbridge.DescribeReplayInput{ReplayName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if out.ReplayEndTime != nil {
			return out
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("the replay %s is still %s", name, out.State)
		}
	}
}

// TestReplayAtOnce: what was put a moment ago is in the archive, and in a replay of it.
func TestReplayAtOnce(t *testing.T) {
	srv := rialtotest.Start(t)
	hook, other := srv.Webhook(t), srv.Webhook(t)
	rule := srv.PutRule(t, "orders", `{"source": ["shop"]}`, hook.ARN)
	srv.PutRule(t, "others", `{"source": ["shop"]}`, other.ARN)
	from := archive(t, srv, "all", "")
	archive(t, srv, "none", `{"source": ["nobody"]}`)

	ids := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{\"n\": 1.50}", "Resources": ["a\"b"], "Time": "2026-03-01T10:00:05Z"}`)
	wantCount(t, srv, "all", 1)
	wantCount(t, srv, "none", 0)
	startReplay(t, srv, "again", from, rule)
	hook.Want(t, fmt.Sprintf(`{"id": %q, "detail": {"n": 1.5}}`, ids[0]))
	body := hook.Want(t, `{"replay-name": "again", "source": "shop", "time": "2026-03-01T10:00:05Z", "region": "us-east-1", "resources": ["a\"b"]}`).Body
	var event struct{ ID string }
	if err := json.Unmarshal([]byte(body), &event); err != nil || event.ID == ids[0] || event.ID == "" {
		t.Errorf("the replayed event is %s (%v)", body, err)
	}
	end := replayEnds(t, srv, "again")
	if end.State != types.ReplayStateCompleted || !end.EventLastReplayedTime.Equal(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("the replay is %+v", end)
	}
	wantCount(t, srv, "all", 1) // what is replayed is not archived
	other.Want(t, `{"id": "`+ids[0]+`"}`)
	if n := other.Received(); n != 1 {
		t.Errorf("the rule that was not asked for got %d events", n)
	}
}

// TestReplayAcrossRestarts: archives and replays go on where they were.
func TestReplayAcrossRestarts(t *testing.T) {
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	from := archive(t, srv, "all", "")
	const n = 200
	for i := range n / 10 {
		var entries []string
		for j := range 10 {
			entries = append(entries, fmt.Sprintf(`{"Source": "shop", "DetailType": "paid", "Detail": "{\"n\": %d}", "Time": "2026-03-01T10:%02d:05Z"}`, i*10+j, i))
		}
		srv.PutEvents(t, entries...)
	}
	srv.PutRule(t, "orders", `{"source": ["shop"], "replay-name": [{"exists": true}]}`, hook.ARN)
	srv.Restart(t)
	wantCount(t, srv, "all", n)
	startReplay(t, srv, "again", from)
	srv.Restart(t)
	if end := replayEnds(t, srv, "again"); end.State != types.ReplayStateCompleted {
		t.Errorf("the replay is %+v", end)
	}
	seen := make(map[string]bool)
	for i := range n {
		seen[string(hook.Want(t, fmt.Sprintf(`{"replay-name": "again", "detail": {"n": %d}}`, i)).Body)] = true
	}
	if len(seen) != n {
		t.Errorf("%d different events came", len(seen))
	}
	wantCount(t, srv, "all", n)
	if _, err := srv.Events().DeleteArchive(t.Context(), &eventbridge.DeleteArchiveInput{ArchiveName: aws.String("all")}); err != nil {
		t.Fatal(err)
	}
}
