package universal_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/universal"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

// lines are the cases of a file of test data.
func lines(t *testing.T, name string) (list []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			list = append(list, l)
		}
	}
	return list
}

func TestNames(t *testing.T) {
	for _, l := range lines(t, "names.txt") {
		arn, want, _ := strings.Cut(l, " ")
		want = strings.TrimSpace(want)
		name, err := universal.Parse(arn)
		got := name.Service
		switch {
		case err != nil:
			got = "error " + err.Error()
			if rialto.KindOf(err) != rialto.Invalid {
				t.Errorf("%s: the kind of %v", arn, err)
			}
		case universal.ReadOnly(name.Action):
			got += " " + name.Operation() + " read-only"
		default:
			got += " " + name.Operation()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", arn, got, want)
		}
	}
}

func TestForms(t *testing.T) {
	for _, l := range lines(t, "forms.txt") {
		f := strings.Fields(l)
		if got := universal.FormOf(f[0]); got != f[1] {
			t.Errorf("%s: got %s, want %s", f[0], got, f[1])
		}
	}
}

const (
	account = "111122223333"
	region  = "eu-west-1"
)

var scope = rialto.Scope{Account: account, Region: region}

func definition(call string) *target.Definition {
	return &target.Definition{
		Rule: scope.ARN("scheduler", "schedule/default/nightly"), RuleName: "nightly", ID: "target",
		ARN: "arn:aws:scheduler:::aws-sdk:" + call, RoleARN: "arn:aws:iam::111122223333:role/scheduler",
	}
}

// A world plays all who can answer: the server has the service sqs, somebody else has dynamodb, and sns where it is named; there is a
// function orders. What an operation does is in its name.
type world struct {
	mu    sync.Mutex
	got   [][]byte
	calls []string
}

func (w *world) take(ctx context.Context, who, operation string, payload []byte) error {
	switch {
	case strings.HasPrefix(operation, "Hang"):
		<-ctx.Done()
		return ctx.Err()
	case strings.HasPrefix(operation, "Break"):
		return universal.Refused(500, "InternalFailure", "Internal Service Failure")
	case strings.HasPrefix(operation, "Throttle"):
		return universal.Refused(400, "ThrottlingException", "Rate exceeded")
	case strings.HasPrefix(operation, "Crowd"):
		return universal.Refused(429, "TooManyRequestsException", "Rate exceeded")
	case strings.HasPrefix(operation, "Lose"):
		return universal.Refused(400, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
	case strings.HasPrefix(operation, "Deny"):
		return universal.Refused(403, "AccessDeniedException", "No.")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, append([]byte(nil), payload...))
	w.calls = append(w.calls, who+" "+operation)
	return nil
}

func (w *world) received() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([][]byte(nil), w.got...)
}

type local struct{ *world }

func (local) Serves(service string) bool { return service == "sqs" || service == "sns" }
func (l local) Call(ctx context.Context, c *universal.Call) error {
	return l.take(ctx, "here "+string(c.Scope.Account), c.Operation(), c.Input)
}

type remote struct{ *world }

func (remote) ServesCall(service string, s rialto.Scope) (ok, named bool) {
	return s.Account == account && service != "mq", service == "sns"
}

func (r remote) Call(ctx context.Context, c *universal.Call) (target.Answer, error) {
	return target.Answer{Status: 200}, r.take(ctx, "there "+c.Role, c.Operation(), c.Input)
}

type functions struct{ *world }

func (functions) Knows(arn rialto.ARN) bool {
	return strings.HasPrefix(arn.Resource, "function:orders")
}
func (f functions) Send(ctx context.Context, m *target.Message) error {
	return f.take(ctx, "function "+m.Definition.ARN, "", m.Payload)
}

func start() (*universal.Sender, *world) {
	w := new(world)
	return universal.New(local{w}, remote{w}, functions{w}), w
}

func TestSender(t *testing.T) {
	targettest.Run(t, func(*testing.T) targettest.Subject {
		s, w := start()
		return targettest.Subject{
			Sender: s, Works: definition("sqs:sendMessage"), Received: w.received,
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: {definition("sqs:hang"), definition("dynamodb:hang")},
				targettest.Down:  {definition("sqs:break"), definition("sqs:throttle"), definition("sqs:crowd"), definition("dynamodb:break")},
				targettest.Gone: {definition("sqs:lose"), definition("sqs:deny"), definition("mq:createBroker"), definition("sqs"),
					{Rule: scope.ARN("scheduler", "schedule/default/x"), ARN: "x"}},
			},
		}
	})
}

// TestWhoAnswers: a remote that names the service, then the server itself, then whoever stands for all.
func TestWhoAnswers(t *testing.T) {
	for _, tc := range []struct{ call, input, who, payload string }{
		{"sqs:sendMessage", `{"QueueUrl":"q"}`, "here 111122223333 SendMessage", `{"QueueUrl":"q"}`},
		{"sns:publish", `{}`, "there arn:aws:iam::111122223333:role/scheduler Publish", `{}`},
		{"dynamodb:putItem", `{}`, "there arn:aws:iam::111122223333:role/scheduler PutItem", `{}`},
		{"lambda:invoke", `{"FunctionName":"orders","Payload":"{\"a\":1}"}`, "function arn:aws:lambda:eu-west-1:111122223333:function:orders ", `{"a":1}`},
		{"lambda:invoke", `{"FunctionName":"orders","Qualifier":"live"}`, "function arn:aws:lambda:eu-west-1:111122223333:function:orders:live ", `{}`},
		{"lambda:invoke", `{"FunctionName":"444455556666:function:orders","Payload":{"a": 1}}`, "function arn:aws:lambda:eu-west-1:444455556666:function:orders ", `{"a": 1}`},
		{"lambda:invoke", `{"FunctionName":"arn:aws:lambda:us-east-1:111122223333:function:orders","Payload":""}`, "function arn:aws:lambda:us-east-1:111122223333:function:orders ", `{}`},
		{"lambda:invoke", `{"FunctionName":"other"}`, "there arn:aws:iam::111122223333:role/scheduler Invoke", `{"FunctionName":"other"}`},
		{"lambda:invoke", `{"FunctionName":"orders","InvocationType":"DryRun"}`, "", ""},
	} {
		s, w := start()
		d := definition(tc.call)
		d.Input = &tc.input
		err := s.Send(t.Context(), &target.Message{Definition: d, EventID: "e", Payload: []byte(tc.input), Attempt: 1})
		if err != nil {
			t.Errorf("%s %s: %v", tc.call, tc.input, err)
		}
		if who := strings.Join(w.calls, ", "); who != tc.who || tc.who != "" && string(w.got[0]) != tc.payload {
			t.Errorf("%s %s: %q answered, with %s", tc.call, tc.input, who, w.got)
		}
		if got, want := s.Timeout(d) > 0, tc.call == "lambda:invoke"; got != want {
			t.Errorf("%s %s: a timeout of its own is %t", tc.call, tc.input, got)
		}
		if got, want := s.Local(d), strings.HasPrefix(tc.who, "here"); got != want {
			t.Errorf("%s: local is %t", tc.call, got)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	s, _ := start()
	for call, says := range map[string]string{
		"mq:createBroker": `accounts: ["444455556666"]`,
		"lambda:invoke":   "--function NAME=./PROGRAM",
	} {
		d := definition(call)
		d.Rule.Account = "444455556666"
		err := s.Send(t.Context(), &target.Message{Definition: d, Payload: []byte(`{}`)})
		if e, ok := errors.AsType[*target.Error](err); !ok || !e.Permanent || e.Code != target.CodeNoResource || !strings.Contains(e.Message, says) {
			t.Errorf("%s: got %#v, want %s", call, err, says)
		}
	}
}

// TestOwnWords holds what dead letters of schedules say (EventBridge Scheduler user guide, "Configuring a dead-letter queue").
func TestOwnWords(t *testing.T) {
	said := &target.ServiceError{Code: "AWS.SimpleQueueService.NonExistentQueue", Message: "The specified queue does not exist."}
	plain := errors.New("broken pipe")
	for _, tc := range []struct {
		err           error
		code, message string
	}{
		{&target.Error{Code: target.CodeNoResource, Message: "long", Permanent: true, Service: said}, said.Code, said.Message},
		{&target.Error{Code: target.CodeInternal, Message: "x"}, "AWS.Scheduler.InternalServerError", "Unexpected error occurred while processing the request"},
		{&target.Error{Code: target.CodeTimeout, Message: "too late"}, "AWS.Scheduler.InternalServerError", "too late"},
		{&target.Error{Code: target.CodeNoResource, Message: "add a remote", Permanent: true}, target.CodeNoResource, "add a remote"},
	} {
		e, ok := errors.AsType[*target.Error](universal.InOwnWords(tc.err))
		if !ok || e.Code != tc.code || e.Message != tc.message || e.Permanent != target.Permanent(tc.err) {
			t.Errorf("%v: got %#v", tc.err, e)
		}
	}
	if universal.InOwnWords(plain) != plain || universal.InOwnWords(nil) != nil {
		t.Error("another error was changed")
	}
}

// TestTokens are the same for each attempt, and for nothing else.
func TestTokens(t *testing.T) {
	seen := map[string]string{}
	for name, m := range map[string]*target.Message{
		"first": {EventID: "a", Attempt: 1}, "again": {EventID: "a", Attempt: 2}, "next": {EventID: "b", Attempt: 1},
	} {
		m.Definition, m.Payload = definition("dynamodb:putItem"), []byte("{}")
		caught := new(tokens)
		if err := universal.New(local{new(world)}, caught, functions{new(world)}).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		seen[name] = caught.token
	}
	if seen["first"] != seen["again"] || seen["first"] == seen["next"] || seen["first"] == "" {
		t.Errorf("the tokens are %v", seen)
	}
}

type tokens struct{ token string }

func (*tokens) ServesCall(string, rialto.Scope) (ok, named bool) { return true, false }
func (t *tokens) Call(_ context.Context, c *universal.Call) (target.Answer, error) {
	t.token = c.Token
	return target.Answer{}, nil
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:scheduler:::aws-sdk:sqs:sendMessage")
	f.Add("arn:aws:scheduler:::aws-sdk::")
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := universal.Parse(s); err == nil {
			_ = universal.ReadOnly(name.Action)
			if again, err := universal.Parse(name.String()); err != nil || again != name || name.Operation() == "" {
				t.Errorf("%q: %+v, %v", s, name, err)
			}
		}
		universal.FormOf(s)
	})
}

// FuzzInvoke feeds inputs to what reads the calls of functions.
func FuzzInvoke(f *testing.F) {
	f.Add(`{"FunctionName":"orders","Payload":"{}"}`)
	f.Add(`{"FunctionName":"orders","Payload":[1]}`)
	f.Fuzz(func(t *testing.T, input string) {
		s, w := start()
		d := definition("lambda:invoke")
		d.Input = &input
		s.Timeout(d)
		_ = s.Send(t.Context(), &target.Message{Definition: d, Payload: []byte(input)})
		if len(w.got) == 1 && strings.HasPrefix(w.calls[0], "function") && len(w.got[0]) == 0 {
			t.Errorf("%q: a function gets nothing", input)
		}
	})
}
