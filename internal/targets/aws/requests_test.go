package aws_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	wire "github.com/rialto-events/rialto/internal/aws"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/target"
)

// everything claims what the cases name.
func everything(endpoint string) []remote.Remote {
	return []remote.Remote{
		{Name: "own", Endpoint: endpoint, Services: []string{"sqs", "events", "sns"}, Credentials: remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}},
		{Name: "others", Endpoint: endpoint, Credentials: remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}},
	}
}

var anyUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

func TestRequests(t *testing.T) {
	text, err := os.ReadFile("testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	keys := wire.NewSigV4([]wire.AccessKey{{ID: accessKey, Secret: secretKey, Account: account}}, nil)
	for c := range strings.SplitSeq(string(text), "\n\n") {
		lines := strings.Split(strings.TrimSpace(c), "\n")
		if len(lines) < 4 || strings.HasPrefix(lines[1], "#") {
			continue // the head of the file
		}
		t.Run(strings.TrimPrefix(lines[0], "# "), func(t *testing.T) {
			called := make(chan *http.Request, 1)
			var body []byte
			s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ = io.ReadAll(r.Body)
				if _, err := wire.Identify(r, keys, body); err != nil {
					t.Errorf("the signature: %v", err)
				}
				called <- r
			}))
			defer s.Close()
			sender := remote.New(everything(s.URL), remote.Options{})
			defer sender.Close()
			m := message(nil, string(envelope([]byte(shop))))
			m.Trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
			var call, want string
			headers := map[string]string{}
			for _, l := range lines[1:] {
				key, value, _ := strings.Cut(l, " ")
				switch value = strings.TrimSpace(value); key {
				case "target":
					m.Definition = definition("")
					if err := json.Unmarshal([]byte(value), m.Definition); err != nil {
						t.Fatal(err)
					}
				case "schedule": // the event of an occurrence
					m.Event, m.Definition.Rule = []byte(value), scope.ARN("scheduler", "schedule-group/default")
				case "payload":
					m.Payload = []byte(value)
				case "call":
					call = value
				case "header":
					name, value, _ := strings.Cut(value, ": ")
					headers[name] = value
				case "body":
					want = strings.ReplaceAll(value, "ENDPOINT", s.URL)
				}
			}
			_ = sender.Send(t.Context(), m) // an empty answer is none; what matters is what was asked
			select {
			case r := <-called:
				got := r.Header.Get("X-Amz-Target")
				if got == "" {
					got = r.Method + " " + r.URL.EscapedPath()
					if r.URL.RawQuery != "" {
						got += "?" + r.URL.RawQuery
					}
				}
				if got != call {
					t.Errorf("called %s, want %s", got, call)
				}
				if got := anyUUID.ReplaceAllString(string(body), "UUID"); got != want {
					t.Errorf("sent\n%s, want\n%s", got, want)
				}
				for name, value := range headers {
					got := r.Header.Get(name)
					if name == "Host" {
						got = r.Host
					}
					if got != value {
						t.Errorf("header %s: got %q, want %q", name, got, value)
					}
				}
			default:
				t.Fatal("nothing was called")
			}
		})
	}
}

// TestWhatCannotBeSent is refused for good before anything is called.
func TestWhatCannotBeSent(t *testing.T) {
	sender := remote.New(everything("http://127.0.0.1:1"), remote.Options{})
	text := "x"
	for _, tc := range []struct {
		name string
		d    *target.Definition
		says string
	}{
		{"ECS without its block", definition("arn:aws:ecs:eu-west-1:1:cluster/c"), "Parameter(s) EcsParameters must be specified for target: t."},
		{"an input that is no object", &target.Definition{ARN: "arn:aws:codebuild:eu-west-1:1:project/p", Input: &text}, "not a JSON object of parameters"},
		{"too few path parameters", definition("arn:aws:execute-api:eu-west-1:1:api/prod/GET/*"), "has 1 places for path parameters"},
		{"no method", definition("arn:aws:execute-api:eu-west-1:1:api/prod"), "does not name an API, a stage and a method"},
		{"a header that is AWS's", &target.Definition{ARN: "arn:aws:execute-api:eu-west-1:1:api/prod/GET/", HTTP: &target.HTTP{Headers: map[string]string{"x-amz-date": "x"}}},
			"cannot have the header X-Amz-Date"},
	} {
		err := sender.Send(t.Context(), message(tc.d, `"text"`))
		e, ok := errors.AsType[*target.Error](err)
		if !ok || !e.Permanent || e.Code != target.CodeInvalidParameter || !strings.Contains(e.Message, tc.says) {
			t.Errorf("%s: got %#v, want %s", tc.name, err, tc.says)
		}
	}
}

// TestErrorsWithAGoodStatus are those of services that say in the body that nothing was done.
func TestErrorsWithAGoodStatus(t *testing.T) {
	for _, tc := range []struct {
		name, arn, parameters, answer string
		permanent                     bool
		says                          string // nothing if all is well
	}{
		{"a task", "arn:aws:ecs:eu-west-1:1:cluster/c", "EcsParameters", `{"tasks":[{}],"failures":[]}`, false, ""},
		{"no task", "arn:aws:ecs:eu-west-1:1:cluster/c", "EcsParameters", `{"tasks":[],"failures":[{"arn":"a","reason":"RESOURCE:MEMORY"}]}`, false,
			"No task was started on a. (Service: AmazonECS; Status Code: 200; Error Code: RESOURCE:MEMORY;"},
		{"data", "arn:aws:appsync:eu-west-1:1:endpoints/graphql-api/x", "AppSyncParameters", `{"data":{}}`, false, ""},
		{"errors", "arn:aws:appsync:eu-west-1:1:endpoints/graphql-api/x", "AppSyncParameters", `{"data":null,"errors":[{"errorType":"Unauthorized","message":"No."}]}`, true,
			"No. (Service: AWSAppSync; Status Code: 200; Error Code: Unauthorized;"},
		{"neither", "arn:aws:appsync:eu-west-1:1:endpoints/graphql-api/x", "AppSyncParameters", `{}`, false, "The answer is not what AWSAppSync answers."},
		{"an entry that is refused", "arn:aws:events:eu-west-1:1:event-bus/b", "", `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"MalformedDetail","ErrorMessage":"Detail is malformed."}]}`, true,
			"Detail is malformed. (Service: AmazonEventBridge;"},
		{"an entry that failed", "arn:aws:events:eu-west-1:1:event-bus/b", "", `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"x"}]}`, false, "x (Service:"},
		{"too few entries", "arn:aws:events:eu-west-1:1:event-bus/b", "", `{"FailedEntryCount":0,"Entries":[]}`, false, "The answer is not what AmazonEventBridge answers."},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tc.answer)) }))
		sender := remote.New(everything(s.URL), remote.Options{})
		d := definition(tc.arn)
		d.Parameters = map[string]json.RawMessage{tc.parameters: json.RawMessage(`{"TaskDefinitionArn":"t","GraphQLOperation":"m"}`)}
		err := sender.Send(t.Context(), message(d, "{}"))
		e, ok := errors.AsType[*target.Error](err)
		if tc.says == "" && err != nil || tc.says != "" && (!ok || e.Permanent != tc.permanent || !strings.Contains(e.Message, tc.says)) {
			t.Errorf("%s: got %#v, want %s", tc.name, err, tc.says)
		}
		sender.Close()
		s.Close()
	}
}

func TestFormats(t *testing.T) {
	f := startFake(t, fakes["sqs"])
	sender := remote.New([]remote.Remote{f.remote()}, remote.Options{})
	defer sender.Close()
	d := definition("arn:aws:sqs:eu-west-1:111122223333:res-works")
	d.Format = target.CloudEventsStructured
	if errs := sender.SendBatch(t.Context(), []*target.Message{message(d, "{}"), message(d, "{}")}); errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	for _, got := range f.all() {
		if !strings.Contains(string(got), `"specversion":"1.0","id":"6b1f","source":"shop","type":"paid"`) {
			t.Errorf("the queue has got %s", got)
		}
	}
	d.Format = target.CloudEventsBinary
	if err := sender.Send(t.Context(), message(d, "{}")); !target.Permanent(err) {
		t.Errorf("in a format that cannot be: %v", err)
	}
}

// TestAnAttemptThatWasLost: the execution that an earlier attempt has started is the one that the next one finds.
func TestAnAttemptThatWasLost(t *testing.T) {
	var names []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o struct{ Name string }
		_ = json.NewDecoder(r.Body).Decode(&o)
		names = append(names, o.Name)
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"__type":"ExecutionAlreadyExists","message":"Execution Already Exists"}`))
	}))
	defer s.Close()
	sender := remote.New(everything(s.URL), remote.Options{})
	defer sender.Close()
	d := definition("arn:aws:states:eu-west-1:1:stateMachine:m")
	for attempt := range 2 {
		m := message(d, "{}")
		m.Attempt = attempt + 1
		if err := sender.Send(t.Context(), m); err != nil {
			t.Error(err)
		}
	}
	replayed := message(d, "{}")
	replayed.Accepted = replayed.Accepted.Add(time.Hour)
	_ = sender.Send(t.Context(), replayed)
	if names[0] != names[1] || names[0] == names[2] {
		t.Errorf("the executions are named %v", names)
	}
}

// TestLogs makes the stream that is not there, keeps the order of times, and knows which lines were refused.
func TestLogs(t *testing.T) {
	var calls []string
	made := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328.")
		body, _ := io.ReadAll(r.Body)
		calls = append(calls, operation)
		switch {
		case operation == "CreateLogStream":
			made = true
		case !made:
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"__type":"ResourceNotFoundException","message":"The specified log stream does not exist."}`))
		default:
			if old, new := strings.Index(string(body), "old"), strings.Index(string(body), "new"); old > new {
				t.Errorf("not in the order of their times: %s", body)
			}
			_, _ = w.Write([]byte(`{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1}}`))
		}
	}))
	defer s.Close()
	sender := remote.New(everything(s.URL), remote.Options{})
	defer sender.Close()
	d := definition("arn:aws:logs:eu-west-1:1:log-group:g")
	d.Transformer = &target.Transformer{Template: "x"}
	ms := []*target.Message{message(d, `{"timestamp":2000,"message":"new"}`), message(d, `{"timestamp":1000,"message":"old"}`)}
	errs := sender.SendBatch(t.Context(), ms)
	e, ok := errors.AsType[*target.Error](errs[1])
	if errs[0] != nil || !ok || !e.Permanent || e.Code != target.CodeRejectedInBatch {
		t.Errorf("got %v", errs)
	}
	if got := strings.Join(calls, " "); got != "PutLogEvents CreateLogStream PutLogEvents" {
		t.Errorf("called %s", got)
	}
}

// FuzzAnswers looks for an answer that breaks whoever reads it: services are elsewhere, and an emulator may answer anything.
func FuzzAnswers(f *testing.F) {
	for _, s := range fakes {
		for _, many := range []bool{false, true} {
			status, body := s.answer([]string{"a", `"refuse":true`}, many)
			f.Add(status, "x", []byte(body))
		}
	}
	f.Add(400, "com.amazonaws.sqs#QueueDoesNotExist:x", []byte(`{"__type":"x#y:z","message":"m"}`))
	f.Add(403, "", []byte(`<ErrorResponse><Error><Code>c</Code></Error></ErrorResponse>`))
	f.Add(200, "", []byte(`{"rejectedLogEventsInfo":{"tooNewLogEventStartIndex":-1,"tooOldLogEventEndIndex":9}}`))
	f.Fuzz(func(_ *testing.T, status int, kind string, body []byte) {
		remote.ReadAnswer(status, http.Header{"X-Amzn-Errortype": {kind}, "X-Amzn-Query-Error": {kind}, "Retry-After": {kind}}, body, 2)
	})
}
