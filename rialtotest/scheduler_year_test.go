package rialtotest_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/rialtotest"
)

// A calendarCase is an expression, and what it means said otherwise: whether it fires when the clocks of its zone show a time.
type calendarCase struct {
	expression string
	fires      func(wall time.Time) bool
}

// at reports whether a clock shows an hour and a minute.
func at(t time.Time, hour, minute int) bool { return t.Hour() == hour && t.Minute() == minute }

func weekday(t time.Time) bool { return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday }

// lastDay is the last day of a month.
func lastDay(t time.Time) int { return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day() }

// nth reports whether a day is the nth of its weekday in the month.
func nth(t time.Time, day time.Weekday, n int) bool {
	return t.Weekday() == day && (t.Day()-1)/7 == n-1
}

// nearest is the weekday that is next to a day of the month of t, in the same month.
func nearest(t time.Time, day int) int {
	d := time.Date(t.Year(), t.Month(), day, 0, 0, 0, 0, time.UTC)
	switch {
	case d.Weekday() == time.Saturday && day == 1:
		return 3
	case d.Weekday() == time.Saturday:
		return day - 1
	case d.Weekday() == time.Sunday && day == lastDay(t):
		return day - 2
	case d.Weekday() == time.Sunday:
		return day + 1
	}
	return day
}

// calendarCases are the examples of spec/scheduler.md 5.2 and 5.5.
var calendarCases = []calendarCase{
	{"cron(0/15 * * * ? *)", func(t time.Time) bool { return t.Minute()%15 == 0 }},
	{"cron(0/30 20-2 ? * MON-FRI *)", func(t time.Time) bool { return t.Minute()%30 == 0 && (t.Hour() >= 20 || t.Hour() <= 2) && weekday(t) }},
	{"cron(0/10 8-9 ? * MON-FRI *)", func(t time.Time) bool { return t.Minute()%10 == 0 && (t.Hour() == 8 || t.Hour() == 9) && weekday(t) }},
	{"cron(0-15/5 8-8 ? * 2,4,6 *)", func(t time.Time) bool {
		return t.Hour() == 8 && t.Minute() <= 15 && t.Minute()%5 == 0 && slices.Contains([]time.Weekday{time.Monday, time.Wednesday, time.Friday}, t.Weekday())
	}},
	{"cron(0 10 * * ? *)", func(t time.Time) bool { return at(t, 10, 0) }},
	{"cron(0 9 * * ?)", func(t time.Time) bool { return at(t, 9, 0) }},
	{"cron(5,35 14 * * ? *)", func(t time.Time) bool { return at(t, 14, 5) || at(t, 14, 35) }},
	{"cron(30 1 * * ? *)", func(t time.Time) bool { return at(t, 1, 30) }},
	{"cron(30 2 * * ? *)", func(t time.Time) bool { return at(t, 2, 30) }},
	{"cron(0 18 ? * MON-FRI *)", func(t time.Time) bool { return at(t, 18, 0) && weekday(t) }},
	{"cron(0 8 1 * ? *)", func(t time.Time) bool { return at(t, 8, 0) && t.Day() == 1 }},
	{"cron(15 10 ? * 6L *)", func(t time.Time) bool { return at(t, 10, 15) && t.Weekday() == time.Friday && t.Day()+7 > lastDay(t) }},
	{"cron(0 9 ? * 2#1 *)", func(t time.Time) bool { return at(t, 9, 0) && nth(t, time.Monday, 1) }},
	{"cron(0 9 ? * 3#2 *)", func(t time.Time) bool { return at(t, 9, 0) && nth(t, time.Tuesday, 2) }},
	{"cron(0 2 ? * SAT#3 *)", func(t time.Time) bool { return at(t, 2, 0) && nth(t, time.Saturday, 3) }},
	{"cron(0 12 ? * 2#5 *)", func(t time.Time) bool { return at(t, 12, 0) && nth(t, time.Monday, 5) }},
	{"cron(0 0 L * ? *)", func(t time.Time) bool { return at(t, 0, 0) && t.Day() == lastDay(t) }},
	{"cron(0 9 1W * ? *)", func(t time.Time) bool { return at(t, 9, 0) && t.Day() == nearest(t, 1) }},
	{"cron(0 9 15W * ? *)", func(t time.Time) bool { return at(t, 9, 0) && t.Day() == nearest(t, 15) }},
	{"cron(0 12 29 2 ? *)", func(t time.Time) bool { return at(t, 12, 0) && t.Day() == 29 && t.Month() == time.February }},
	{"cron(0 12 31 * ? *)", func(t time.Time) bool { return at(t, 12, 0) && t.Day() == 31 }},
	{"cron(0 6 1/10 * ? *)", func(t time.Time) bool { return at(t, 6, 0) && t.Day()%10 == 1 }},
	{"cron(0 0 1 1/3 ? *)", func(t time.Time) bool { return at(t, 0, 0) && t.Day() == 1 && t.Month()%3 == 1 }},
	{"cron(0 0 ? JAN,JUL SUN *)", func(t time.Time) bool {
		return at(t, 0, 0) && t.Weekday() == time.Sunday && (t.Month() == time.January || t.Month() == time.July)
	}},
	{"cron(0 9 ? * FRI-MON *)", func(t time.Time) bool {
		return at(t, 9, 0) && slices.Contains([]time.Weekday{time.Friday, time.Saturday, time.Sunday, time.Monday}, t.Weekday())
	}},
	{"cron(30 23 31 12 ? 2025)", func(t time.Time) bool {
		return at(t, 23, 30) && t.Day() == 31 && t.Month() == time.December && t.Year() == 2025
	}},
}

// busy is how many of the cases fire so often that the short run has them in two zones only.
const busy = 4

// calendarZones change their clocks in many ways: by an hour, by half of one and by two; at midnight and at noon of UTC; in both halves of the year;
// for a month of fasting; or never.
var calendarZones = []string{
	"America/Los_Angeles", "Europe/Berlin", "UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Auckland",
	"America/Havana", "America/St_Johns", "Antarctica/Troll", "Africa/Casablanca", "Pacific/Chatham", "Atlantic/Azores",
}

// TestScheduleYear runs every example in every zone on a clock that is moved by half a day at a time, across changes of the clocks. What arrives has
// to be what somebody who looks at a clock of the zone each minute would have noted. A time that is shown twice counts once.
// RIALTO_SCHEDULE_DAYS=365 makes it a year.
func TestScheduleYear(t *testing.T) {
	t.Parallel()
	begin, days, all := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC), 40, false
	if text := os.Getenv("RIALTO_SCHEDULE_DAYS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		begin, days, all = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), n, true
	}
	clock := rialto.NewVirtualClock(begin)
	srv := rialtotest.Options{Clock: clock}.Start(t)
	q := srv.Queue(t, "q")
	type watcher struct {
		name  string
		zone  *time.Location
		fires func(time.Time) bool
		last  time.Time // that the clocks have shown
	}
	var watchers []*watcher
	for z, zone := range calendarZones {
		for i, c := range calendarCases {
			if !all && i < busy && z > 1 {
				continue
			}
			location, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("case-%d-zone-%d", i, z)
			in := schedule(name, c.expression, q.ARN, name+" <aws.scheduler.scheduled-time>")
			in.ScheduleExpressionTimezone = &zone
			createSchedule(t, srv, in)
			watchers = append(watchers, &watcher{name: name, zone: location, fires: c.fires, last: wallOf(begin.In(location))})
		}
	}
	const step = 12 * time.Hour
	total := 0
	for now := begin; now.Before(begin.AddDate(0, 0, days)); now = now.Add(step) {
		var want []string
		for minute := now.Add(time.Minute); !minute.After(now.Add(step)); minute = minute.Add(time.Minute) {
			for _, w := range watchers {
				wall := wallOf(minute.In(w.zone))
				if !wall.After(w.last) {
					continue // shown before
				}
				if w.last = wall; w.fires(wall) {
					want = append(want, w.name+" "+minute.Format(time.RFC3339))
				}
			}
		}
		clock.AdvanceTo(now.Add(step))
		got := take(t, srv, q, len(want))
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("until %v (-want +got):\n%s", now.Add(step), d)
		}
		total += len(got)
	}
	q.WantNothing(t)
	t.Logf("%d occurrences of %d schedules in %d days", total, len(watchers), days)
}

// wallOf is what a clock shows, written as UTC.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
}

// takers take messages at the same time.
const takers = 8

// takePatience bounds how long they do, for what half a day makes.
const takePatience = 2 * time.Minute

// take takes so many messages out of a queue, which must come.
func take(t *testing.T, srv *rialtotest.Server, q *rialtotest.Queue, n int) (bodies []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), takePatience)
	defer cancel()
	client := srv.SQS()
	var mu sync.Mutex
	var all sync.WaitGroup
	for taker := range takers {
		share := (n + taker) / takers
		all.Go(func() {
			for share > 0 {
				got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
					QueueUrl: &q.URL, MaxNumberOfMessages: int32(min(share, 10)), WaitTimeSeconds: 20,
				})
				if err != nil {
					t.Error(err)
					return
				}
				var done []sqstypes.DeleteMessageBatchRequestEntry
				mu.Lock()
				for i, m := range got.Messages {
					bodies = append(bodies, *m.Body)
					done = append(done, sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
				}
				mu.Unlock()
				if share -= len(done); len(done) == 0 {
					continue
				}
				if _, err := client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.URL, Entries: done}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return bodies
}
