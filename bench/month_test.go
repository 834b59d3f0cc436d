package bench

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/rialtotest"
)

// BenchmarkMonth measures how long the minutes of a month take on a virtual clock: in each of them a schedule fires, and its message comes to a
// queue. One op is a minute, so a month is -benchtime 43200x.
func BenchmarkMonth(b *testing.B) {
	minutes(b, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "minutes/s")
}

// minutes has so many pass.
func minutes(tb testing.TB, n int) {
	tb.Helper()
	srv := rialtotest.Options{Clock: rialto.NewVirtualClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}.Start(tb)
	q := srv.Queue(tb, "minutes")
	if _, err := srv.Scheduler().CreateSchedule(tb.Context(), &scheduler.CreateScheduleInput{
		Name: aws.String("minutely"), ScheduleExpression: aws.String("cron(* * * * ? *)"), FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		Target: &types.Target{Arn: &q.ARN, RoleArn: aws.String("arn:aws:iam::000000000000:role/r"), Input: aws.String("<aws.scheduler.scheduled-time>")},
	}); err != nil {
		tb.Fatal(err)
	}
	if b, ok := tb.(*testing.B); ok {
		b.ResetTimer()
	}
	m := srv.Advance(tb, time.Duration(n)*time.Minute)
	if b, ok := tb.(*testing.B); ok {
		b.StopTimer()
	}
	if m.Fired != n || m.Delivered != n || m.Stops < n || len(m.Left) > 0 {
		tb.Errorf("in %d minutes it was %+v", n, m)
	}
}
