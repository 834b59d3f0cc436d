package aws_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

var scope = rialto.Scope{Account: account, Region: region}

func definition(arn string) *target.Definition {
	return &target.Definition{ARN: arn, Rule: scope.RuleARN("default", "paid"), RuleName: "paid", ID: "t"}
}

func TestSender(t *testing.T) {
	for name, s := range fakes {
		t.Run(name, func(t *testing.T) {
			targettest.Run(t, func(t *testing.T) targettest.Subject {
				f := startFake(t, s)
				sender := remote.New([]remote.Remote{f.remote()}, remote.Options{})
				t.Cleanup(sender.Close)
				of := func(behaviour string) *target.Definition { return definition(fmt.Sprintf(s.arn, "res-"+behaviour)) }
				faults := map[targettest.Fault]targettest.Misbehaved{
					targettest.Hangs:   {of("hangs")},
					targettest.Endless: {of("endless")},
					targettest.Cuts:    {of("cuts")},
					targettest.Down:    {of("down"), of("throttles"), of("expired")},
					targettest.Gone:    {of("gone"), of("denies"), of("invalid"), definition("arn:aws:mq:eu-west-1:111122223333:x"), definition("x")},
				}
				if name != "execute-api" { // which may answer anything
					faults[targettest.Garbage] = targettest.Misbehaved{of("garbage")}
				}
				subject := targettest.Subject{Sender: sender, Works: of("works"), Received: f.all, Faults: faults}
				switch name {
				case "sqs", "sns", "kinesis", "firehose":
					subject.Partly = of("partly")
				case "events":
					subject.Prepare = func(m *target.Message) {
						text, _ := json.Marshal(string(m.Payload))
						m.Event = envelope(fmt.Appendf(nil, `{"payload":%s}`, text))
					}
				}
				return subject
			})
		})
	}
}

// envelope is an event with a detail.
func envelope(detail []byte) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"6b1f","detail-type":"paid","source":"shop","account":"111122223333","time":"2026-03-01T10:00:05Z",`+
		`"region":"eu-west-1","resources":["r"],"detail":%s}`, detail)
}

const shop = `{"orderId":"o-17","n":42,"o":{"a":1},"none":null}`

func message(d *target.Definition, payload string) *target.Message {
	return &target.Message{Definition: d, EventID: "6b1f", Event: envelope([]byte(shop)), Payload: []byte(payload), Attempt: 1,
		Accepted: time.Date(2026, 3, 1, 10, 0, 5, 0, time.UTC)}
}

// TestErrorTexts are the forms of spec/eventbridge.md, 6.1, recorded on AWS.
func TestErrorTexts(t *testing.T) {
	for _, tc := range []struct {
		service, behaviour string
		code               string
		permanent          bool
		text               string
	}{
		{"sqs", "gone", target.CodeNoResource, true,
			"It is not there. (Service: AmazonSQS; Status Code: 400; Error Code: AWS.SimpleQueueService.NonExistentQueue; Request ID: req-1; Proxy: null)"},
		{"sqs", "denies", target.CodeNoPermissions, true, "User is not authorized (Service: AmazonSQS; Status Code: 403; Error Code: AccessDeniedException; Request ID: req-1; Proxy: null)"},
		{"sns", "gone", target.CodeNoResource, true, "It is not there. (Service: AmazonSNS; Status Code: 400; Error Code: NotFound; Request ID: req-1; Proxy: null)"},
		{"lambda", "gone", target.CodeNoResource, true, "It is not there. (Service: AWSLambda; Status Code: 400; Error Code: ResourceNotFoundException; Request ID: req-1; Proxy: null)"},
		{"kinesis", "throttles", target.CodeThrottling, false, "Rate exceeded (Service: AmazonKinesis; Status Code: 400; Error Code: ThrottlingException; Request ID: req-1; Proxy: null)"},
		{"states", "invalid", target.CodeInvalidParameter, true, "It is not valid. (Service: AWSStepFunctions; Status Code: 400; Error Code: ValidationException; Request ID: req-1; Proxy: null)"},
		{"states", "expired", target.CodeNoPermissions, false, "is expired (Service: AWSStepFunctions; Status Code: 403; Error Code: ExpiredTokenException; Request ID: req-1; Proxy: null)"},
		{"events", "down", target.CodeErrorFromTarget, false, "An internal error occurred. (Service: AmazonEventBridge; Status Code: 500;"},
	} {
		f := startFake(t, fakes[tc.service])
		sender := remote.New([]remote.Remote{f.remote()}, remote.Options{})
		m := message(definition(fmt.Sprintf(f.service.arn, "res-"+tc.behaviour)), `{}`)
		err := sender.Send(t.Context(), m)
		e, ok := errors.AsType[*target.Error](err)
		if !ok || e.Code != tc.code || e.Permanent != tc.permanent || !strings.Contains(e.Message, tc.text) {
			t.Errorf("%s %s: got %#v, want %s, permanent %t: %s", tc.service, tc.behaviour, err, tc.code, tc.permanent, tc.text)
		}
		if m.Answer.Status == 0 || m.Answer.Head == "" {
			t.Errorf("%s %s: the answer was not kept: %+v", tc.service, tc.behaviour, m.Answer)
		}
		sender.Close()
	}
}

func TestRouting(t *testing.T) {
	remotes := []remote.Remote{
		{Name: "queues", Accounts: []rialto.AccountID{"1"}, Services: []string{"sqs"}},
		{Name: "europe", Accounts: []rialto.AccountID{"2"}, Regions: []rialto.Region{"eu-west-1"}},
	}
	s := remote.New(remotes, remote.Options{})
	for _, tc := range []struct {
		arn  string
		want bool
	}{
		{"arn:aws:sqs:us-east-1:1:q", true},
		{"arn:aws:kinesis:us-east-1:1:stream/s", false},
		{"arn:aws:kinesis:eu-west-1:2:stream/s", true},
		{"arn:aws:kinesis:us-east-1:2:stream/s", false},
		{"arn:aws:sqs:eu-west-1:2:q", false},              // rialto's own, unless it is named
		{"arn:aws:events:eu-west-1:2:event-bus/b", false}, // the same
		{"arn:aws:sns:eu-west-1:2:t", false},              // the same
		{"arn:aws:ssm:eu-west-1::document/AWS-Run", true}, // of nobody's account
		{"arn:aws:lambda:eu-west-1:3:function:f", false},
	} {
		arn, err := rialto.ParseARN(tc.arn)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Claims(arn); got != tc.want {
			t.Errorf("%s: claimed is %t", tc.arn, got)
		}
	}
	err := s.Send(t.Context(), message(definition("arn:aws:sns:us-east-1:3:t"), "{}"))
	e, ok := errors.AsType[*target.Error](err)
	if !ok || e.Code != target.CodeNoResource || !e.Permanent || !strings.Contains(e.Message, `add one under "remotes"`) {
		t.Errorf("got %#v", err)
	}
}

// TestCallers keeps the credentials of a remote to those whose account it is of, where accounts are told apart.
func TestCallers(t *testing.T) {
	f := startFake(t, fakes["sqs"])
	for _, tc := range []struct {
		name    string
		callers []rialto.AccountID
		ownOnly bool
		rule    rialto.AccountID
		denied  bool
	}{
		{"own account", nil, true, account, false},
		{"another", nil, true, "000000000001", true},
		{"another that is named", []rialto.AccountID{"000000000001"}, true, "000000000001", false},
		{"another, where anybody is believed", nil, false, "000000000001", false},
	} {
		r := f.remote()
		r.Callers = tc.callers
		s := remote.New([]remote.Remote{r}, remote.Options{OwnOnly: tc.ownOnly})
		d := definition(fmt.Sprintf(f.service.arn, "res-works"))
		d.Rule.Account = tc.rule
		err := s.Send(t.Context(), message(d, "{}"))
		if e, ok := errors.AsType[*target.Error](err); (err != nil) != tc.denied || tc.denied && (!ok || e.Code != target.CodeNoPermissions || !e.Permanent) {
			t.Errorf("%s: got %v", tc.name, err)
		}
		s.Close()
	}
}

func TestPartitionKeys(t *testing.T) {
	f := startFake(t, fakes["kinesis"])
	// recorded on AWS, spec/eventbridge.md, 5.3
	for path, want := range map[string]string{
		"$.detail.orderId": `"o-17"`, "$.detail.n": "42", "$.detail.o": `{"a":1}`, "$.detail.none": "{}", "$.detail.missing": "{}", "": "6b1f_",
	} {
		var key string
		f.service.payloads = func(_ *http.Request, body []byte) []string {
			var o struct{ PartitionKey string }
			_ = json.Unmarshal(body, &o)
			key = o.PartitionKey
			return nil
		}
		d := definition(fmt.Sprintf(f.service.arn, "res-works"))
		if path != "" {
			d.Parameters = map[string]json.RawMessage{"KinesisParameters": json.RawMessage(`{"PartitionKeyPath":"` + path + `"}`)}
		}
		sender := remote.New([]remote.Remote{f.remote()}, remote.Options{})
		if err := sender.Send(t.Context(), message(d, "{}")); err != nil || key != want && !(path == "" && strings.HasPrefix(key, want)) {
			t.Errorf("path %q: got %q, %v, want %q", path, key, err, want)
		}
		sender.Close()
	}
}
