package rialtotest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/rialtotest"
)

// run moves a clock by a minute for every millisecond of the real one, until the test ends.
func run(t *testing.T, clock *rialto.VirtualClock) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-tick.C:
				clock.Advance(time.Minute)
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		tick.Stop()
		close(stop)
		<-done
	})
}

// putScheduled makes a rule with a schedule, or changes one.
func putScheduled(t *testing.T, srv *rialtotest.Server, in *eventbridge.PutRuleInput, to ...*rialtotest.Queue) {
	t.Helper()
	if _, err := srv.Events().PutRule(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	for _, q := range to {
		_, err := srv.Events().PutTargets(t.Context(), &eventbridge.PutTargetsInput{
			Rule: in.Name, Targets: []types.Target{{Id: aws.String("q"), Arn: &q.ARN}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fired is when the next event in a queue says that it happened.
func fired(t *testing.T, q *rialtotest.Queue, rule string) time.Time {
	t.Helper()
	m := q.Want(t, `{"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "account": "000000000000", "region": "us-east-1",
		"resources": ["arn:aws:events:us-east-1:000000000000:rule/`+rule+`"], "detail": {}}`)
	var event struct{ Time time.Time }
	if err := json.Unmarshal([]byte(m.Body), &event); err != nil {
		t.Fatal(err)
	}
	return event.Time
}

func TestScheduledRule(t *testing.T) {
	t.Parallel()
	clock := rialto.NewVirtualClock(time.Date(2025, 1, 15, 9, 30, 0, 0, time.UTC))
	options := rialtotest.Options{Clock: clock, DataDir: t.TempDir()}
	quarters := &eventbridge.PutRuleInput{Name: aws.String("quarters"), ScheduleExpression: aws.String("cron(0/15 * * * ? *)")}
	var last time.Time
	t.Run("fires each time once", func(t *testing.T) {
		srv := options.Start(t)
		own, others := srv.Queue(t, "own"), srv.Queue(t, "others")
		run(t, clock)
		srv.PutRule(t, "ticks", `{"source": ["aws.events"]}`, others.ARN) // hears of the schedules of others
		putScheduled(t, srv, quarters, own)
		last = fired(t, own, "quarters")
		for range 20 {
			if next := fired(t, own, "quarters"); !next.Equal(last.Add(15 * time.Minute)) {
				t.Fatalf("after %v the rule has fired for %v", last, next)
			} else {
				last = next
			}
		}
		if first := fired(t, others, "quarters"); first.Minute()%15 != 0 {
			t.Errorf("the rule has fired for %v", first)
		}
	})
	clock.Advance(100 * 24 * time.Hour)
	t.Run("fires once for the time in which nothing ran", func(t *testing.T) {
		srv := options.Start(t)
		own := srv.Queue(t, "own")
		back, late := clock.Now().Add(-24*time.Hour), last
		for late.Before(back) { // some of the first life were not looked at
			next := fired(t, own, "quarters")
			if !next.After(late) {
				t.Fatalf("after %v the rule has fired for %v", late, next)
			}
			late = next
		}
		if now := clock.Now(); now.Sub(late) >= 15*time.Minute || now.Before(late) {
			t.Errorf("at %v the rule has fired for %v", now, late)
		}
		own.WantNothing(t)
		clock.AdvanceTo(late.Add(15 * time.Minute))
		if next := fired(t, own, "quarters"); !next.Equal(late.Add(15 * time.Minute)) {
			t.Errorf("after %v the rule has fired for %v", late, next)
		}
	})
}

func TestScheduledRuleIsChanged(t *testing.T) {
	t.Parallel()
	clock := rialto.NewVirtualClock(time.Date(2025, 1, 15, 9, 30, 0, 0, time.UTC))
	srv := rialtotest.Options{Clock: clock}.Start(t)
	q := srv.Queue(t, "q")
	run(t, clock)
	rule := func(expression string, state types.RuleState, pattern *string) {
		putScheduled(t, srv, &eventbridge.PutRuleInput{
			Name: aws.String("r"), ScheduleExpression: &expression, State: state, EventPattern: pattern,
		}, q)
	}
	// A rule that matches its own event gets it once.
	rule("rate(7 minutes)", types.RuleStateEnabled, aws.String(`{"source": ["aws.events"]}`))
	first := fired(t, q, "r")
	for range 5 {
		next := fired(t, q, "r")
		if next.Sub(first) != 7*time.Minute {
			t.Fatalf("after %v the rule has fired for %v", first, next)
		}
		first = next
	}
	rule("rate(7 minutes)", types.RuleStateDisabled, nil)
	disabled := clock.Now()
	// What was under way may still come; nothing new may.
	rule("rate(1 day)", types.RuleStateEnabled, nil)
	enabled := clock.Now()
	for {
		next := fired(t, q, "r")
		if next.Before(disabled.Add(time.Hour)) {
			continue
		}
		if next.Before(enabled.Add(-time.Hour).Add(24 * time.Hour)) {
			t.Errorf("disabled at %v and enabled at %v, the rule has fired for %v", disabled, enabled, next)
		}
		if after := fired(t, q, "r"); after.Sub(next) != 24*time.Hour {
			t.Errorf("after %v the rule has fired for %v", next, after)
		}
		break
	}
	if _, err := srv.Events().RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("r"), Ids: []string{"q"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Events().DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("r")}); err != nil {
		t.Fatal(err)
	}
}
