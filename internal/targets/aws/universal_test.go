package aws_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rialto-events/rialto"
	wire "github.com/rialto-events/rialto/internal/aws"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/internal/targets/universal"
	"github.com/rialto-events/rialto/target"
)

// TestCalls makes universal calls in each protocol, and reads what is refused.
func TestCalls(t *testing.T) {
	keys := wire.NewSigV4([]wire.AccessKey{{ID: accessKey, Secret: secretKey, Account: account}}, nil)
	var called, sent string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if who, err := wire.Identify(r, keys, body); err != nil || who.Scope.Region != region {
			t.Errorf("the signature: %v", err)
		}
		called, sent = r.Method+" "+r.URL.EscapedPath()+" "+r.Header.Get("X-Amz-Target"), string(body)
		if strings.Contains(sent, "missing") {
			w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"message":"Requested resource not found"}`)
		}
	}))
	defer s.Close()
	sender := remote.New([]remote.Remote{{Name: "x", Endpoint: s.URL, Credentials: remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}}}, remote.Options{})
	defer sender.Close()
	for _, tc := range []struct{ service, action, input, call, body string }{
		{"dynamodb", "putItem", `{"TableName":"t"}`, "POST / DynamoDB_20120810.PutItem", `{"TableName":"t"}`},
		{"sfn", "startExecution", `{"StateMachineArn":"m","Input":"{}"}`, "POST / AWSStepFunctions.StartExecution", `{"input":"{}","stateMachineArn":"m"}`},
		{"ec2", "startInstances", `{"InstanceIds":["i-1"]}`, "POST / ", "Action=StartInstances&InstanceId.1=i-1&Version=2016-11-15"},
		{"lambda", "invoke", `{"FunctionName":"f","Payload":"{\"a\":1}"}`, "POST /2015-03-31/functions/f/invocations ", `{"a":1}`},
		{"iam", "deleteUser", `{"UserName":"u"}`, "POST / ", "Action=DeleteUser&UserName=u&Version=2010-05-08"},
	} {
		_, err := sender.Call(t.Context(), &universal.Call{Name: universal.Name{Service: tc.service, Action: tc.action}, Scope: scope, Input: []byte(tc.input)})
		if err != nil || called != tc.call || sent != tc.body {
			t.Errorf("%s:%s: called %s with %s, %v", tc.service, tc.action, called, sent, err)
		}
	}
	for _, tc := range []struct{ service, action, input, code string }{
		{"dynamodb", "putItem", `{"TableName":"missing"}`, "ResourceNotFoundException"},
		{"ec2", "startInstances", `{"Instances":[]}`, "ValidationException"},
		{"ec2", "startMachines", `{}`, "UnknownOperationException"},
	} {
		_, err := sender.Call(t.Context(), &universal.Call{Name: universal.Name{Service: tc.service, Action: tc.action}, Scope: scope, Input: []byte(tc.input)})
		e, ok := errors.AsType[*target.Error](err)
		if !ok || !e.Permanent || e.Service == nil || e.Service.Code != tc.code {
			t.Errorf("%s:%s %s: got %#v", tc.service, tc.action, tc.input, err)
		}
	}
}

// TestWhoServesCalls: what rialto serves itself has to be named, in either spelling.
func TestWhoServesCalls(t *testing.T) {
	s := remote.New([]remote.Remote{
		{Name: "named", Accounts: []rialto.AccountID{"1"}, Services: []string{"states", "sqs"}},
		{Name: "all", Accounts: []rialto.AccountID{"2"}},
	}, remote.Options{OwnOnly: true})
	for _, tc := range []struct {
		service   string
		account   rialto.AccountID
		ok, named bool
	}{
		{"sfn", "1", true, true}, {"sqs", "1", true, true}, {"dynamodb", "1", false, false},
		{"dynamodb", "2", true, false}, {"sqs", "2", false, false}, {"secretsmanager", "2", false, false}, {"scheduler", "2", false, false}, {"sfn", "3", false, false},
	} {
		ok, named := s.ServesCall(tc.service, rialto.Scope{Account: tc.account, Region: region})
		if ok != tc.ok || named != tc.named {
			t.Errorf("%s of %s: got %t, %t", tc.service, tc.account, ok, named)
		}
	}
}

// TestCallsNeedToBeNamed: where accounts are told apart, a remote of everybody's is not for every call.
func TestCallsNeedToBeNamed(t *testing.T) {
	for name, r := range map[string]remote.Remote{
		"everybody's": {Name: "x"}, "one's": {Name: "x", Accounts: []rialto.AccountID{account}}, "a caller's": {Name: "x", Callers: []rialto.AccountID{account}},
	} {
		r.Endpoint = "http://127.0.0.1:1"
		s := remote.New([]remote.Remote{r}, remote.Options{OwnOnly: true})
		_, err := s.Call(t.Context(), &universal.Call{Name: universal.Name{Service: "iam", Action: "createUser"}, Scope: scope, Input: []byte(`{}`)})
		e, ok := errors.AsType[*target.Error](err)
		if denied := ok && e.Code == target.CodeNoPermissions; denied != (name == "everybody's") {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
}
