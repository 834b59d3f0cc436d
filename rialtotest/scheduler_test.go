package rialtotest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/rialtotest"
)

const scheduleRole = "arn:aws:iam::000000000000:role/scheduler"

// schedule is a schedule with as little as there must be, and an input for a queue.
func schedule(name, expression, arn, input string) *scheduler.CreateScheduleInput {
	return &scheduler.CreateScheduleInput{
		Name: &name, ScheduleExpression: &expression, FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		Target: &types.Target{Arn: &arn, RoleArn: aws.String(scheduleRole), Input: &input},
	}
}

func createSchedule(t *testing.T, srv *rialtotest.Server, in *scheduler.CreateScheduleInput) {
	t.Helper()
	if _, err := srv.Scheduler().CreateSchedule(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// refusal is the code and the message of an error of AWS.
func refusal(err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return fmt.Sprint(err)
}

func getSchedule(t *testing.T, srv *rialtotest.Server, name string) (*scheduler.GetScheduleOutput, error) {
	t.Helper()
	return srv.Scheduler().GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: &name})
}

// A schedule that fires once fires once, whatever happens to the server, and is gone when its message has arrived (spec/scheduler.md 10, 4 and 6).
func TestScheduleOnce(t *testing.T) {
	t.Parallel()
	clock := rialto.NewVirtualClock(time.Date(2025, 1, 15, 9, 30, 0, 0, time.UTC))
	srv := rialtotest.Options{Clock: clock, DataDir: t.TempDir()}.Start(t)
	q := srv.Queue(t, "q")
	templated := schedule("s1", "at(2025-01-15T10:00:00)", q.ARN, "<aws.scheduler.scheduled-time> <aws.scheduler.schedule-arn>")
	templated.ActionAfterCompletion = types.ActionAfterCompletionDelete
	createSchedule(t, srv, templated)
	call := fmt.Sprintf(`{"QueueUrl": %q, "MessageBody": "t=<aws.scheduler.scheduled-time> n=<aws.scheduler.attempt-number>"}`, q.URL)
	createSchedule(t, srv, schedule("s2", "at(2025-01-15T11:00)", "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", call))
	createSchedule(t, srv, schedule("past", "at(2022-12-31T23:59:59)", q.ARN, "past <aws.scheduler.scheduled-time>"))
	if got := q.Next(t).Body; got != "past 2022-12-31T23:59:59Z" {
		t.Errorf("what is past came as %q", got)
	}
	srv.Restart(t)
	clock.AdvanceTo(time.Date(2025, 1, 15, 10, 0, 0, 0, time.UTC))
	if got, want := q.Next(t).Body, "2025-01-15T10:00:00Z arn:aws:scheduler:us-east-1:000000000000:schedule/default/s1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for {
		if _, err := getSchedule(t, srv, "s1"); err != nil {
			if got, want := refusal(err), "ResourceNotFoundException: Schedule s1 does not exist."; got != want {
				t.Errorf("a schedule that was over: %s, want %s", got, want)
			}
			break
		}
	}
	clock.AdvanceTo(time.Date(2025, 1, 15, 11, 0, 0, 0, time.UTC))
	if got, want := q.Next(t).Body, "t=2025-01-15T11:00:00Z n=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	srv.Restart(t)
	clock.Advance(24 * time.Hour)
	if _, err := getSchedule(t, srv, "s2"); err != nil {
		t.Errorf("a schedule that has fired and is not to be deleted: %v", err)
	}
	q.WantNothing(t)
}

// spec/scheduler.md 7 and 10.7.
func TestScheduleDeadLetter(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	dead := srv.Queue(t, "dead")
	in := schedule("s1", "at(2022-12-31T23:59:59)", "arn:aws:sqs:us-east-1:000000000000:missing", "to nobody <aws.scheduler.attempt-number>")
	in.Target.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(0)}
	in.Target.DeadLetterConfig = &types.DeadLetterConfig{Arn: &dead.ARN}
	createSchedule(t, srv, in)
	m := dead.Next(t)
	if m.Body != "to nobody 1" {
		t.Errorf("the dead letter is %q", m.Body)
	}
	got := make(map[string]string)
	for name, a := range m.Attributes {
		got[name] = a
	}
	if len(got["EXECUTION_ID"]) != 16 || got["ERROR_MESSAGE"] == "" {
		t.Errorf("its execution is %q, and its message %q", got["EXECUTION_ID"], got["ERROR_MESSAGE"])
	}
	delete(got, "EXECUTION_ID")
	delete(got, "ERROR_MESSAGE")
	want := map[string]string{
		"ERROR_CODE": "AWS.SimpleQueueService.NonExistentQueue", "IS_PAYLOAD_TRUNCATED": "false", "RETRY_ATTEMPTS": "0",
		"SCHEDULED_TIME": "2022-12-31T23:59:59Z", "SCHEDULE_ARN": "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s1",
		"TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("its attributes (-want +got):\n%s", d)
	}
}

// spec/scheduler.md 2, 3 and 10.3.
func TestScheduleUpdate(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
	in := schedule("s", "rate(1 day)", arn, `{"a":1}`)
	in.State, in.Description = types.ScheduleStateDisabled, aws.String("text")
	in.FlexibleTimeWindow = &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeFlexible, MaximumWindowInMinutes: aws.Int32(15)}
	createSchedule(t, srv, in)
	was, err := getSchedule(t, srv, "s")
	if err != nil {
		t.Fatal(err)
	}
	again := schedule("s", "cron(0 10 * * ? *)", arn, `{"a":2}`)
	_, err = srv.Scheduler().UpdateSchedule(t.Context(), &scheduler.UpdateScheduleInput{
		Name: again.Name, ScheduleExpression: again.ScheduleExpression, FlexibleTimeWindow: again.FlexibleTimeWindow, Target: again.Target,
	})
	if err != nil {
		t.Fatal(err)
	}
	is, err := getSchedule(t, srv, "s")
	if err != nil {
		t.Fatal(err)
	}
	if !is.CreationDate.Equal(*was.CreationDate) || is.LastModificationDate.Before(*was.LastModificationDate) {
		t.Errorf("made at %v and changed at %v, before at %v and %v", is.CreationDate, is.LastModificationDate, was.CreationDate, was.LastModificationDate)
	}
	is.CreationDate, is.LastModificationDate = nil, nil
	is.ResultMetadata = was.ResultMetadata
	want := &scheduler.GetScheduleOutput{
		Arn: aws.String("arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"), GroupName: aws.String("default"), Name: aws.String("s"),
		ScheduleExpression: aws.String("cron(0 10 * * ? *)"), ScheduleExpressionTimezone: aws.String("UTC"), State: types.ScheduleStateEnabled,
		ActionAfterCompletion: types.ActionAfterCompletionNone, FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		Target: &types.Target{Arn: aws.String(arn), RoleArn: aws.String(scheduleRole), Input: aws.String(`{"a":2}`),
			RetryPolicy: &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(86400), MaximumRetryAttempts: aws.Int32(185)}},
		ResultMetadata: was.ResultMetadata,
	}
	gotJSON, _ := json.Marshal(is)
	wantJSON, _ := json.Marshal(want)
	if d := cmp.Diff(string(wantJSON), string(gotJSON)); d != "" {
		t.Errorf("after the update (-want +got):\n%s", d)
	}
}

// spec/scheduler.md 4 and 10, 5, 8 and 9.
func TestScheduleGroups(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	ctx, client := t.Context(), srv.Scheduler()
	create := func(token string) (string, error) {
		out, err := client.CreateScheduleGroup(ctx, &scheduler.CreateScheduleGroupInput{Name: aws.String("g"), ClientToken: &token})
		if err != nil {
			return "", err
		}
		return *out.ScheduleGroupArn, nil
	}
	for _, token := range []string{"one", "one"} {
		if arn, err := create(token); arn != "arn:aws:scheduler:us-east-1:000000000000:schedule-group/g" || err != nil {
			t.Fatalf("made %q, %v", arn, err)
		}
	}
	if _, err := create("two"); refusal(err) != "ConflictException: Schedule group g already exists." {
		t.Errorf("made again: %v", err)
	}
	const arn = "arn:aws:sns:us-east-1:000000000000:t"
	for i, name := range []string{"a1", "a2", "b1", "a3"} {
		in := schedule(name, "rate(1 day)", arn, "x")
		if in.GroupName = aws.String("g"); i%2 == 1 {
			in.State = types.ScheduleStateDisabled
		}
		createSchedule(t, srv, in)
	}
	createSchedule(t, srv, schedule("a1", "rate(1 day)", arn, "x"))
	_, err := client.CreateSchedule(ctx, schedule("a1", "rate(1 day)", arn, "x"))
	if got, want := refusal(err), "ConflictException: Schedule a1 already exists."; got != want {
		t.Errorf("made again: %s, want %s", got, want)
	}
	var names []string
	for token := (*string)(nil); ; {
		out, err := client.ListSchedules(ctx, &scheduler.ListSchedulesInput{
			GroupName: aws.String("g"), NamePrefix: aws.String("a"), State: types.ScheduleStateDisabled, MaxResults: aws.Int32(1), NextToken: token,
		})
		if err != nil || len(out.Schedules) > 1 {
			t.Fatalf("%d schedules, %v", len(out.Schedules), err)
		}
		for _, s := range out.Schedules {
			names = append(names, *s.GroupName+"/"+*s.Name)
		}
		if token = out.NextToken; token == nil {
			break
		}
	}
	if d := cmp.Diff([]string{"g/a2", "g/a3"}, names); d != "" {
		t.Errorf("the list (-want +got):\n%s", d)
	}
	if _, err := client.DeleteScheduleGroup(ctx, &scheduler.DeleteScheduleGroupInput{Name: aws.String("g")}); err != nil {
		t.Fatal(err)
	}
	_, err = client.GetScheduleGroup(ctx, &scheduler.GetScheduleGroupInput{Name: aws.String("g")})
	if got, want := refusal(err), "ResourceNotFoundException: Schedule group g does not exist."; got != want {
		t.Errorf("the group that was deleted: %s, want %s", got, want)
	}
	out, err := client.ListSchedules(ctx, &scheduler.ListSchedulesInput{})
	if err != nil || len(out.Schedules) != 1 {
		t.Errorf("%d schedules are left, %v", len(out.Schedules), err)
	}
	_, err = client.DeleteScheduleGroup(ctx, &scheduler.DeleteScheduleGroupInput{Name: aws.String("default")})
	if got, want := refusal(err), "ValidationException: This operation cannot be performed on schedule group default."; got != want {
		t.Errorf("the default group: %s, want %s", got, want)
	}
	groups, err := client.ListScheduleGroups(ctx, &scheduler.ListScheduleGroupsInput{})
	if err != nil || len(groups.ScheduleGroups) != 1 || *groups.ScheduleGroups[0].Name != "default" {
		t.Errorf("the groups are %+v, %v", groups, err)
	}
}

// A rate fires at once and then at its pace; with a start and an end it keeps to them (spec/scheduler.md 5.3 and 5.6).
func TestScheduleRate(t *testing.T) {
	t.Parallel()
	begin := time.Date(2025, 1, 15, 9, 30, 0, 0, time.UTC)
	clock := rialto.NewVirtualClock(begin)
	srv := rialtotest.Options{Clock: clock}.Start(t)
	q := srv.Queue(t, "q")
	createSchedule(t, srv, schedule("now", "rate(10 minutes)", q.ARN, "now <aws.scheduler.scheduled-time>"))
	later := schedule("later", "rate(10 minutes)", q.ARN, "later <aws.scheduler.scheduled-time>")
	later.StartDate, later.EndDate = aws.Time(begin.Add(15*time.Minute)), aws.Time(begin.Add(35*time.Minute))
	later.ActionAfterCompletion = types.ActionAfterCompletionDelete
	createSchedule(t, srv, later)
	for _, want := range []string{"now 09:30", "now 09:40", "later 09:45", "now 09:50", "later 09:55", "now 10:00", "later 10:05", "now 10:10", "now 10:20"} {
		name, at, _ := strings.Cut(want, " ")
		due, _ := time.Parse("15:04", at)
		clock.AdvanceTo(time.Date(2025, 1, 15, due.Hour(), due.Minute(), 0, 0, time.UTC))
		if got := q.Next(t).Body; got != name+" 2025-01-15T"+at+":00Z" {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	for {
		if _, err := getSchedule(t, srv, "later"); err != nil {
			break
		}
	}
}

// While a group is paused none of its schedules fires; one that fires once does so when the group goes on. Both outlast a restart.
func TestSchedulePause(t *testing.T) {
	t.Parallel()
	begin := time.Date(2025, 1, 15, 9, 30, 0, 0, time.UTC)
	clock := rialto.NewVirtualClock(begin)
	srv := rialtotest.Options{Clock: clock, DataDir: t.TempDir()}.Start(t)
	q := srv.Queue(t, "q")
	pause := func(paused bool) {
		t.Helper()
		body := strings.NewReader(fmt.Sprintf(`{"paused": %t}`, paused))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+"/_rialto/v1/schedule-groups/default", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("pause: %v, %v", resp, err)
		}
		_ = resp.Body.Close()
	}
	createSchedule(t, srv, schedule("often", "cron(0/10 * * * ? *)", q.ARN, "often <aws.scheduler.scheduled-time>"))
	createSchedule(t, srv, schedule("once", "at(2025-01-15T09:55:00)", q.ARN, "once <aws.scheduler.scheduled-time>"))
	pause(true)
	clock.Advance(20 * time.Minute)
	srv.Restart(t)
	clock.Advance(10 * time.Minute)
	q.WantNothing(t)
	pause(false)
	if got := q.Next(t).Body; got != "once 2025-01-15T09:55:00Z" {
		t.Errorf("got %q", got)
	}
	clock.Advance(5 * time.Minute)
	clock.AdvanceTo(begin.Add(40 * time.Minute))
	if got := q.Next(t).Body; got != "often 2025-01-15T10:10:00Z" {
		t.Errorf("got %q", got)
	}
	q.WantNothing(t)
}
