// Package universal delivers to universal targets: schedules of EventBridge Scheduler that call an operation of any service of AWS, with
// their input as its request.
//
//	arn:aws:scheduler:::aws-sdk:sqs:sendMessage    {"QueueUrl":"…","MessageBody":"good morning"}
//
// Who answers is decided call by call: a remote that names the service, the server itself if it serves it, a function that it
// runs, or a remote that stands for everything else. A call that nobody answers ends for good and says how to change that. What is
// answered is looked at for one thing: whether it was done. Errors keep the words of the service, which dead letters of schedules show.
//
// [Parse], [ReadOnly] and [FormOf] are for those who check and name such targets. The deliveries start with [New].
package universal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// A Call is one call of an operation.
type Call struct {
	Name
	Scope rialto.Scope // the schedule's: whose account calls, and the region that is spoken to
	Role  string       // ARN of the role that the target names
	Input []byte       // the request, in the SDKs' spelling
	Token string       // the same for each attempt of a delivery, and for nothing else
}

// A Local calls operations of services that are in this server.
type Local interface {
	// Serves reports whether a service is.
	Serves(service string) bool
	// Call makes a call. Its errors are those of [Refused], or worth another attempt.
	Call(ctx context.Context, c *Call) error
}

// A Remote calls operations of services that are elsewhere.
type Remote interface {
	// ServesCall reports whether it can be asked; named is that whoever configured it has named the service.
	ServesCall(service string, scope rialto.Scope) (ok, named bool)
	// Call makes a call. Its errors are of the type [*target.Error], or worth another attempt.
	Call(ctx context.Context, c *Call) (target.Answer, error)
}

// Functions invokes functions that this server runs.
type Functions interface {
	target.Sender
	Knows(function rialto.ARN) bool
}

// A Sender delivers to universal targets.
type Sender struct {
	local     Local
	remote    Remote
	functions Functions
}

var (
	_ target.Local = (*Sender)(nil)
	_ target.Timed = (*Sender)(nil)
)

// New makes a Sender.
func New(l Local, r Remote, f Functions) *Sender { return &Sender{l, r, f} }

// Send makes the call that the target is.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	name, err := Parse(m.Definition.ARN)
	if err != nil {
		return &target.Error{Code: target.CodeInvalidParameter, Message: err.Error(), Permanent: true}
	}
	if function, ok := s.function(name, m.Definition, m.Payload); ok {
		return InOwnWords(s.invoke(ctx, function, m))
	}
	c := &Call{Name: name, Scope: m.Definition.Rule.Scope(), Role: m.Definition.RoleARN, Input: m.Payload, Token: token(m)}
	switch away, named := s.remote.ServesCall(name.Service, c.Scope); {
	case named, away && !s.local.Serves(name.Service):
		answer, err := s.remote.Call(ctx, c)
		m.Answer = answer
		return InOwnWords(err)
	case s.local.Serves(name.Service):
		return InOwnWords(s.local.Call(ctx, c))
	}
	return nobody(name, c.Scope)
}

// nobody says how there can be somebody.
func nobody(n Name, scope rialto.Scope) error {
	message := fmt.Sprintf("rialto does not serve %s itself, and no remote claims it for the account %s in %s. To have %s called in a real account or another "+
		"emulator, add one under \"remotes\" in the file of settings: name: %s, accounts: [%q].", n.Service, scope.Account, scope.Region, n.Action, n.Service, scope.Account)
	if n == forms["lambda"] {
		message += " A function can also be run here: start the server with --function NAME=./PROGRAM or --function NAME=URL."
	}
	return &target.Error{Code: target.CodeNoResource, Message: message, Permanent: true}
}

// token names a delivery, whatever the attempt.
func token(m *target.Message) string {
	d := m.Definition
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(d.Rule.String()+"\x00"+d.ID+"\x00"+m.EventID+"\x00"+m.Accepted.UTC().Format(time.RFC3339Nano))).String()
}

// Local reports whether the call stays in this server.
func (s *Sender) Local(d *target.Definition) bool {
	name, err := Parse(d.ARN)
	if err != nil || !s.local.Serves(name.Service) {
		return false
	}
	_, named := s.remote.ServesCall(name.Service, d.Rule.Scope())
	return !named
}

// mostTime is what the longest of functions may take, with what comes before it (Lambda quotas, "Function timeout").
const mostTime = 16 * time.Minute

// Timeout lets the functions that this server runs end by their own limits: which of them is called stands in the input of each schedule.
func (s *Sender) Timeout(d *target.Definition) time.Duration {
	if name, err := Parse(d.ARN); err == nil && name == forms["lambda"] {
		return mostTime
	}
	return 0
}

// An invocation is what Invoke takes, as far as functions here take it.
type invocation struct {
	FunctionName   string
	Qualifier      string
	InvocationType string
	Payload        json.RawMessage
	arn            rialto.ARN
}

// function reads the call of a function that this server runs.
func (s *Sender) function(name Name, d *target.Definition, input []byte) (*invocation, bool) {
	if name != forms["lambda"] {
		return nil, false
	}
	in := new(invocation)
	if json.Unmarshal(input, in) != nil || in.FunctionName == "" {
		return nil, false
	}
	in.arn = functionARN(in.FunctionName, in.Qualifier, d.Rule.Scope())
	return in, s.functions.Knows(in.arn)
}

// functionARN is the ARN of a function that may be named in four ways: name, name:alias, account:function:name, and its ARN (Lambda API,
// Invoke).
func functionARN(name, qualifier string, scope rialto.Scope) rialto.ARN {
	arn, err := rialto.ParseARN(name)
	if err != nil {
		account, partial, ok := strings.Cut(name, ":function:")
		if ok {
			scope.Account, name = rialto.AccountID(account), partial
		}
		arn = scope.ARN("lambda", "function:"+name)
	}
	if qualifier != "" {
		arn.Resource += ":" + qualifier
	}
	return arn
}

// invoke invokes a function with what the input says. As with templated targets, its result is the outcome of the attempt.
func (s *Sender) invoke(ctx context.Context, in *invocation, m *target.Message) error {
	if in.InvocationType == "DryRun" {
		return nil // it is there
	}
	d := *m.Definition
	d.ARN, d.Input = in.arn.String(), nil
	invoked := *m
	invoked.Definition, invoked.Payload = &d, in.payload()
	err := s.functions.Send(ctx, &invoked)
	m.Answer = invoked.Answer
	return err
}

// payload is the text of a string, or other JSON as it is; without one a function gets an empty object.
func (in *invocation) payload() []byte {
	var text string
	switch {
	case json.Unmarshal(in.Payload, &text) == nil && text != "":
		return []byte(text)
	case len(in.Payload) == 0 || text == "" && in.Payload[0] == '"' || string(in.Payload) == "null":
		return []byte("{}")
	}
	return in.Payload
}

// Refused is the error of a call that a service has refused, with the service's code and message. What is broken or overloaded is worth
// another attempt, and nothing else is (specification of EventBridge Scheduler, "Retry and dead letters").
func Refused(status int, code, message string) error {
	e := &target.Error{Code: code, Message: message, Permanent: true, Service: &target.ServiceError{Code: code, Message: message}}
	switch {
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, strings.Contains(code, "Throttl"), code == "OverLimit", code == "RequestLimitExceeded":
		e.Permanent = false
	}
	return e
}

// Codes and texts of Scheduler's own (EventBridge Scheduler user guide, "Configuring a dead-letter queue").
const (
	CodeInternal    = "AWS.Scheduler.InternalServerError"
	MessageInternal = "Unexpected error occurred while processing the request"
)

// InOwnWords is an error of a target as dead letters of schedules have it: with the code and the message of the service. What is our own
// fault has Scheduler's.
func InOwnWords(err error) error {
	e, ok := err.(*target.Error)
	if err == nil || !ok {
		return err
	}
	own := *e
	switch {
	case e.Service != nil:
		own.Code, own.Message = e.Service.Code, e.Service.Message
	case e.Code == target.CodeInternal || e.Code == target.CodeUnknown:
		own.Code, own.Message = CodeInternal, MessageInternal
	case e.Code == target.CodeTimeout || e.Code == target.CodeConnectionFailure:
		own.Code = CodeInternal
	}
	return &own
}
