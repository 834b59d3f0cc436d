package rialtotest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/rialtotest"
)

// beginning is where the clocks of these tests begin.
var beginning = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// standing starts a server whose clock stands.
func standing(t *testing.T) *rialtotest.Server {
	t.Helper()
	return rialtotest.Options{Clock: rialto.NewVirtualClock(beginning)}.Start(t)
}

// counted is how many messages a queue has that can be received.
func counted(t *testing.T, srv *rialtotest.Server, q *rialtotest.Queue) string {
	t.Helper()
	name := sqstypes.QueueAttributeNameApproximateNumberOfMessages
	out, err := srv.SQS().GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []sqstypes.QueueAttributeName{name}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes[string(name)]
}

// received is what a queue has for a receive that does not wait.
func received(t *testing.T, srv *rialtotest.Server, q *rialtotest.Queue, timeout int32) (bodies []string) {
	t.Helper()
	out, err := srv.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: 10, VisibilityTimeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out.Messages {
		bodies = append(bodies, *m.Body)
	}
	return bodies
}

// TestAMonthOfSchedules has every hour of thirty days pass: each fires once, at its time, and a restart in between changes nothing.
func TestAMonthOfSchedules(t *testing.T) {
	t.Parallel()
	srv := standing(t)
	q := srv.Queue(t, "hours")
	if _, err := srv.SQS().SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: &q.URL, Attributes: map[string]string{"MessageRetentionPeriod": "1209600"},
	}); err != nil {
		t.Fatal(err)
	}
	putScheduled(t, srv, &eventbridge.PutRuleInput{Name: aws.String("hourly"), ScheduleExpression: aws.String("cron(0 * * * ? *)")}, q)
	for part := range 3 {
		m := srv.Advance(t, 240*time.Hour)
		if m.Fired != 240 || m.Delivered != 240 || len(m.Left) > 0 {
			t.Errorf("in ten days it was %+v", m)
		}
		srv.Restart(t)
		if now, want := srv.Now(t), beginning.Add(time.Duration(part+1)*240*time.Hour); !now.Equal(want) {
			t.Fatalf("after a restart it is %v, want %v", now, want)
		}
	}
	// A queue keeps a message for 14 days at most.
	if got := counted(t, srv, q); got != "336" {
		t.Errorf("of the last 14 days %s messages are left", got)
	}
	first := fired(t, q, "hourly")
	if want := beginning.Add(16*24*time.Hour + time.Hour); !first.Equal(want) {
		t.Errorf("the first that is left is of %v, want %v", first, want)
	}
}

// TestADayOfRetries has a target fail for a day: its attempts come at their times, and then the dead letter does.
func TestADayOfRetries(t *testing.T) {
	t.Parallel()
	srv := standing(t)
	hook, letters := srv.Webhook(t), srv.Queue(t, "letters")
	hook.Answer(func(int, *rialtotest.Request) int { return http.StatusInternalServerError })
	srv.PutRule(t, "shop", `{"source": ["shop"]}`)
	srv.PutTarget(t, "shop", types.Target{Arn: &hook.ARN, DeadLetterConfig: &types.DeadLetterConfig{Arn: &letters.ARN}})
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{}"}`)
	srv.Advance(t, 23*time.Hour)
	if got := received(t, srv, letters, 0); len(got) > 0 {
		t.Fatalf("after 23 hours there is a dead letter: %q", got)
	}
	if m := srv.Advance(t, 2*time.Hour); m.DeadLetters != 1 || m.Failed < 1 {
		t.Errorf("at the end of the day it was %+v", m)
	}
	if got := received(t, srv, letters, 0); len(got) != 1 || !strings.Contains(got[0], `"source":"shop"`) {
		t.Errorf("the dead letters are %q", got)
	}
}

// TestTimeOfQueues has delays, visibility timeouts and retention go by the clock, and long polls by the real one.
func TestTimeOfQueues(t *testing.T) {
	t.Parallel()
	srv := standing(t)
	q := srv.Queue(t, "q")
	if _, err := srv.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.URL, MessageBody: aws.String("late"), DelaySeconds: 900}); err != nil {
		t.Fatal(err)
	}
	look := func(when string, want int) {
		t.Helper()
		if got := received(t, srv, q, 3600); len(got) != want {
			t.Errorf("%s, it was received %q", when, got)
		}
	}
	look("at once", 0)
	srv.Advance(t, 15*time.Minute-time.Second)
	look("a second too early", 0)
	srv.Advance(t, time.Second)
	look("after its delay", 1)
	srv.Advance(t, time.Hour-time.Second)
	look("while it is hidden", 0)
	srv.Advance(t, time.Second)
	look("after its visibility timeout", 1)
	srv.Advance(t, 4*24*time.Hour)
	if got := counted(t, srv, q); got != "0" {
		t.Errorf("after its retention, the queue has %s messages", got)
	}
	out, err := srv.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.URL, WaitTimeSeconds: 1})
	if err != nil || len(out.Messages) > 0 {
		t.Errorf("a long poll ended with %v, %v", out, err)
	}
}

// TestRetentionOfArchives has an archive of a day forget what is older, by the clock.
func TestRetentionOfArchives(t *testing.T) {
	t.Parallel()
	srv := standing(t)
	_, err := srv.Events().CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{
		ArchiveName: aws.String("day"), EventSourceArn: aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default"), RetentionDays: aws.Int32(1),
	})
	if err != nil {
		t.Fatal(err)
	}
	count := func() int64 {
		t.Helper()
		out, err := srv.Events().DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: aws.String("day")})
		if err != nil {
			t.Fatal(err)
		}
		return out.EventCount
	}
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{}"}`)
	srv.Advance(t, 23*time.Hour)
	if n := count(); n != 1 {
		t.Errorf("after 23 hours the archive has %d events", n)
	}
	srv.Advance(t, 3*time.Hour)
	if n := count(); n != 0 {
		t.Errorf("after 26 hours the archive has %d events", n)
	}
}

// TestTheClockIsAsked holds what is refused, and that a real clock cannot be moved.
func TestTheClockIsAsked(t *testing.T) {
	t.Parallel()
	ask := func(srv *rialtotest.Server, body string) (status int, message string) {
		t.Helper()
		resp, err := http.Post(srv.URL+"/_rialto/v1/clock/advance", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var said struct{ Message string }
		if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, said.Message
	}
	virtual, actual := standing(t), rialtotest.Start(t)
	for _, c := range []struct {
		srv        *rialtotest.Server
		body, want string
	}{
		{actual, `{"by": "1h"}`, "--clock=virtual"},
		{virtual, `{}`, "Say by how much"},
		{virtual, `{"by": "1h", "to": "2030-01-01T00:00:00Z"}`, "Say by how much"},
		{virtual, `{"by": "soon"}`, `"soon" is not a time by which the clock can be moved`},
		{virtual, `{"by": "-1h"}`, `"-1h" is not a time by which the clock can be moved`},
		{virtual, `{"to": "2020-01-01T00:00:00Z"}`, "never goes back"},
		{virtual, `{"at": "2030-01-01T00:00:00Z"}`, "The body is not the JSON"},
	} {
		if status, message := ask(c.srv, c.body); status != http.StatusBadRequest || !strings.Contains(message, c.want) {
			t.Errorf("%s: got %d %q, want 400 with %q", c.body, status, message, c.want)
		}
	}
	if now := virtual.Now(t); !now.Equal(beginning) {
		t.Errorf("the clock shows %v", now)
	}
}

// TestSchedulesByTheClock has schedules of every sort fire while the clock is moved, each at its time, and those that are over are gone with the move.
func TestSchedulesByTheClock(t *testing.T) {
	t.Parallel()
	srv := standing(t)
	q := srv.Queue(t, "q")
	hourly := schedule("hourly", "rate(1 hour)", q.ARN, "hourly <aws.scheduler.scheduled-time>")
	hourly.StartDate, hourly.EndDate = aws.Time(beginning.Add(time.Hour)), aws.Time(beginning.Add(5*time.Hour))
	hourly.ActionAfterCompletion = schedulertypes.ActionAfterCompletionDelete
	once := schedule("once", "at(2026-01-01T02:30:00)", q.ARN, "once <aws.scheduler.scheduled-time>")
	once.ActionAfterCompletion = schedulertypes.ActionAfterCompletionDelete
	zone := schedule("zone", "cron(30 1 * * ? *)", q.ARN, "zone <aws.scheduler.scheduled-time>")
	zone.ScheduleExpressionTimezone = aws.String("Europe/Berlin")
	spread := schedule("spread", "at(2026-01-01T03:00:00)", q.ARN, "spread <aws.scheduler.scheduled-time>")
	spread.FlexibleTimeWindow = &schedulertypes.FlexibleTimeWindow{Mode: schedulertypes.FlexibleTimeWindowModeFlexible, MaximumWindowInMinutes: aws.Int32(60)}
	for _, in := range []*scheduler.CreateScheduleInput{hourly, once, zone, spread} {
		createSchedule(t, srv, in)
	}
	if m := srv.Advance(t, 23*time.Hour); m.Fired != 8 || m.Delivered != 8 || len(m.Left) > 0 {
		t.Errorf("in a day it was %+v", m)
	}
	var got []string
	spreadAt := 0
	for i := range 8 {
		body := q.Next(t).Body
		if body == "spread 2026-01-01T03:00:00Z" {
			spreadAt = i
			continue
		}
		got = append(got, body)
	}
	q.WantNothing(t)
	want := []string{
		"zone 2026-01-01T00:30:00Z", "hourly 2026-01-01T01:00:00Z", "hourly 2026-01-01T02:00:00Z", "once 2026-01-01T02:30:00Z",
		"hourly 2026-01-01T03:00:00Z", "hourly 2026-01-01T04:00:00Z", "hourly 2026-01-01T05:00:00Z",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("they came as (-want +got):\n%s", d)
	}
	if spreadAt != 4 && spreadAt != 5 {
		t.Errorf("the one with a window from 03:00 to 04:00 came as number %d", spreadAt)
	}
	for _, name := range []string{"hourly", "once"} {
		if _, err := getSchedule(t, srv, name); refusal(err) != "ResourceNotFoundException: Schedule "+name+" does not exist." {
			t.Errorf("%s, which is over: %v", name, err)
		}
	}
}

// TestTheClockAndAHangingTarget has a target not answer: the clock goes on without it, and says so; what it does at last counts.
func TestTheClockAndAHangingTarget(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Options{Clock: rialto.NewVirtualClock(beginning), MoveWait: 50 * time.Millisecond}.Start(t)
	hook, q := srv.Webhook(t), srv.Queue(t, "q")
	release := make(chan struct{})
	hook.Answer(func(int, *rialtotest.Request) int { <-release; return http.StatusOK })
	srv.PutRule(t, "shop", `{"source": ["shop"]}`, hook.ARN)
	createSchedule(t, srv, schedule("hourly", "cron(0 * * * ? *)", q.ARN, "x"))
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{}"}`)
	if m := srv.Advance(t, 10*time.Hour); !slices.Equal(m.Left, []string{"deliveries"}) || m.Fired != 10 || m.Delivered != 10 {
		t.Errorf("while a target hangs it was %+v", m)
	}
	if now := srv.Now(t); !now.Equal(beginning.Add(10 * time.Hour)) {
		t.Errorf("the clock shows %v", now)
	}
	close(release)
	hook.Want(t, `{"source": "shop"}`)
	if m := srv.Advance(t, time.Hour); len(m.Left) > 0 || m.Fired != 1 || m.Failed > 0 {
		t.Errorf("when it hangs no more it was %+v", m)
	}
}

// TestWhoLeavesStopsTheClock has a client go away while it moves the clock: it stays at the stop that it has reached, and until then nobody else
// can move it.
func TestWhoLeavesStopsTheClock(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Options{Clock: rialto.NewVirtualClock(beginning), MoveWait: time.Minute}.Start(t)
	hook := srv.Webhook(t)
	came, release := make(chan struct{}), make(chan struct{})
	hook.Answer(func(n int, _ *rialtotest.Request) int {
		if n == 1 {
			close(came)
		}
		<-release
		return http.StatusOK
	})
	putScheduled(t, srv, &eventbridge.PutRuleInput{Name: aws.String("hourly"), ScheduleExpression: aws.String("cron(0 * * * ? *)")})
	srv.PutTarget(t, "hourly", types.Target{Arn: &hook.ARN})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/_rialto/v1/clock/advance", strings.NewReader(`{"by": "5h"}`))
		_, err := http.DefaultClient.Do(req)
		left <- err
	}()
	<-came
	const taken = "Somebody else is moving the clock"
	if status, text := call(t, srv, http.MethodPost, "/clock/advance", `{"by": "1h"}`, nil); status != http.StatusBadRequest || !strings.Contains(text, taken) {
		t.Errorf("a second move at the same time got %d %s", status, text)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	// Nobody tells a client that has gone when the server has noticed. A move that is refused for its goal is so only if nobody else moves the clock.
	for text := taken; strings.Contains(text, taken); {
		_, text = call(t, srv, http.MethodPost, "/clock/advance", `{"to": "2020-01-01T00:00:00Z"}`, nil)
	}
	if now := srv.Now(t); !now.Equal(beginning.Add(time.Hour)) {
		t.Errorf("the clock shows %v, want the first stop", now)
	}
	close(release)
	if m := srv.Advance(t, 4*time.Hour); m.Fired != 4 || len(m.Left) > 0 {
		t.Errorf("the rest of the move was %+v", m)
	}
	if n := hook.Received(); n != 5 {
		t.Errorf("the target was called %d times, want 5", n)
	}
}

// TestReplaysByTheClock has a replay go as fast as its events came, while the clock is moved.
func TestReplaysByTheClock(t *testing.T) {
	t.Parallel()
	srv := standing(t)
	q := srv.Queue(t, "again")
	archive(t, srv, "all", `{"source": ["shop"]}`)
	for n := range 3 {
		srv.PutEvents(t, fmt.Sprintf(`{"Source": "shop", "DetailType": "paid", "Detail": "{\"n\": %d}"}`, n))
		srv.Advance(t, time.Hour)
	}
	srv.PutRule(t, "again", `{"replay-name": [{"exists": true}]}`, q.ARN)
	change(t, srv, "/replays", `{"name": "r", "archive": "all", "speed": {"times": 1}}`, nil)
	for _, step := range []struct {
		by   time.Duration
		want int
	}{{59 * time.Minute, 1}, {time.Minute, 1}, {59 * time.Minute, 0}, {time.Minute, 1}, {time.Hour, 0}} {
		srv.Advance(t, step.by)
		if got := received(t, srv, q, 12*3600); len(got) != step.want {
			t.Errorf("at %v came %q, want %d", srv.Now(t), got, step.want)
		}
	}
	if is := until(t, srv, "/replays/r", (*replayState).over); is.State != "COMPLETED" || is.Put != 3 {
		t.Errorf("the replay ended as %+v", is)
	}
}
