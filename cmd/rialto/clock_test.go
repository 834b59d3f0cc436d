package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto/bench/child"
)

// TestKilledInAMove kills the server while its clock is moved. The next one goes on there: no minute is left out, and none comes again but the last
// ones, whose arrival may not have been stored.
func TestKilledInAMove(t *testing.T) {
	beginning := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	binary, err := exec.LookPath("rialto") // where TestMain has put it
	if err != nil {
		t.Fatal(err)
	}
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	dir, said := t.TempDir(), new(bytes.Buffer)
	serve := func() *child.Process {
		t.Helper()
		p, err := child.Start(t.Context(), binary, dir, address, said, "--clock", "virtual", "--clock-start", beginning.Format(time.RFC3339))
		if err != nil {
			t.Fatalf("start the server: %v\n%s", err, said)
		}
		t.Cleanup(p.Kill)
		return p
	}
	url := "http://" + address
	now := func() time.Time {
		t.Helper()
		resp, err := http.Get(url + "/_rialto/v1/clock")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var is struct{ Now time.Time }
		if err := json.NewDecoder(resp.Body).Decode(&is); err != nil {
			t.Fatal(err)
		}
		return is.Now
	}
	move := func(to time.Time) (status int, err error) {
		resp, err := http.Post(url+"/_rialto/v1/clock/advance", "application/json", strings.NewReader(`{"to": "`+to.Format(time.RFC3339)+`"}`))
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}

	server := serve()
	keys := credentials.NewStaticCredentialsProvider("test", "test", "")
	queues := sqs.New(sqs.Options{BaseEndpoint: &url, Region: "us-east-1", Credentials: keys})
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("minutes")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scheduler.New(scheduler.Options{BaseEndpoint: &url, Region: "us-east-1", Credentials: keys}).CreateSchedule(t.Context(), &scheduler.CreateScheduleInput{
		Name: aws.String("minutely"), ScheduleExpression: aws.String("cron(* * * * ? *)"), FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		Target: &types.Target{
			Arn: aws.String("arn:aws:sqs:us-east-1:000000000000:minutes"), RoleArn: aws.String("arn:aws:iam::000000000000:role/r"),
			Input: aws.String("<aws.scheduler.scheduled-time>"),
		},
	}); err != nil {
		t.Fatal(err)
	}
	moved := make(chan error)
	go func() {
		_, err := move(beginning.Add(365 * 24 * time.Hour)) // which takes longer than it is given
		moved <- err
	}()
	for now().Before(beginning.Add(4 * time.Hour)) {
	}
	server.Kill()
	if err := <-moved; err == nil {
		t.Fatal("the move was over before the server was killed")
	}

	serve()
	killed := now()
	if killed.Before(beginning.Add(4 * time.Hour)) {
		t.Errorf("the next server begins at %v, which is past", killed)
	}
	end := killed.Add(time.Hour).Truncate(time.Minute)
	if status, err := move(end); status != http.StatusOK || err != nil {
		t.Fatalf("the next move: %d, %v", status, err)
	}
	came := make(map[string]int)
	for {
		out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 43200})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			break
		}
		for _, m := range out.Messages {
			came[*m.Body]++
		}
	}
	for at := beginning.Add(time.Minute); !at.After(end); at = at.Add(time.Minute) {
		n := came[at.Format(time.RFC3339)]
		delete(came, at.Format(time.RFC3339))
		if n == 0 || n > 1 && (at.After(killed) || at.Before(killed.Add(-5*time.Minute))) {
			t.Errorf("%v came %d times; the server was killed at %v", at, n, killed)
		}
	}
	if len(came) > 0 {
		t.Errorf("besides, there came %v", came)
	}
}
