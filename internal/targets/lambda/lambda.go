// Package lambda delivers events to functions. There is no Lambda here to look a function up in: the operator of the server says
// what a function is, by its name or by its ARN, see [Function].
//
//	a URL                 gets a POST of the payload; its status is the outcome
//	an Invoke endpoint    speaks Lambda's Invoke API, as the Lambda Runtime Interface Emulator does in AWS's container images
//	a command             is a program that speaks the Lambda Runtime API, as every Lambda runtime does; rialto runs it
//
// EventBridge invokes asynchronously: Lambda takes the event, and makes two more attempts if the function fails. Here nothing stands
// between rule and function, so the call is synchronous and its result is the outcome of the attempt. A function that fails, takes
// too long or ends is worth another attempt; how many is up to the RetryPolicy of the target, whose dead-letter queue gets
// the event in the end. (A MaximumRetryAttempts of 2 is what Lambda does by itself.) The classes of errors are in outcome.go.
//
// A batch is one invocation with a JSON array of the payloads. A result of {"batchItemFailures":[{"itemIdentifier":ID}]} names the
// events that failed by their ids, as with Lambda's own batches. Start with [New].
package lambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/redact"
	"github.com/rialto-events/rialto/target"
)

// Limits of functions.
const (
	DefaultTimeout   = 30 * time.Second // of an invocation; Lambda's own is 3 s, and a program that runs beside others has to be given more
	MaxTimeout       = 15 * time.Minute // Lambda quotas, "Function timeout"
	DefaultInstances = 10               // of a command, at once
	MaxInstances     = 1000             // Lambda quotas, "Concurrent executions"
	DefaultIdle      = 5 * time.Minute  // that an instance is kept without work

	slotTimeout = 10 * time.Second // that an invocation waits for an instance to become free

	maxResult = 1 << 20 // bytes of a result; Lambda takes 6 MB, but here nobody gets it

	// Of a batch (Lambda quotas: 6 MB in an invocation; Lambda, "Batching behavior": 10,000 records, of which few are wanted).
	mostMessages = 1000
	mostBytes    = 5 << 20
)

// A Function is one of a URL, an InvokeURL and a Command.
type Function struct {
	URL       string            // is sent the payload
	InvokeURL string            // speaks the Invoke API; /2015-03-31/functions/NAME/invocations is added unless it is there
	Headers   map[string]string // of calls to either
	Command   []string          // a program and its arguments
	Dir       string            // that the program runs in; "" is the server's
	Env       map[string]string // of the program, which has little of the server's environment
	Timeout   time.Duration     // of an invocation; 0 is [DefaultTimeout]
	Instances int               // at once; 0 is [DefaultInstances] for a command, and no limit for URLs
	Idle      time.Duration     // after which an instance without work is ended; 0 is [DefaultIdle]
}

// Options tunes a Sender. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	// Output gets the lines that programs print; if it is nil, they go to the Logger.
	Output func(function rialto.ARN, name string, at time.Time, line string)
	// Endpoint is where programs reach AWS's services, so that they need no credentials; "" leaves that to their Env.
	Endpoint string
}

// A Sender delivers to functions. Their URLs are the operator's, not a user's, so that no guard asks where they lead.
type Sender struct {
	functions map[string]invoker // by name or ARN
	timeouts  map[string]time.Duration
	close     []func()
}

var (
	_ target.Batcher = (*Sender)(nil)
	_ target.Timed   = (*Sender)(nil)
)

// An invoker invokes a function. An error is that there is no result.
type invoker interface {
	invoke(ctx context.Context, c *call) (result, error)
}

// A call is one invocation.
type call struct {
	id      string // of the request
	arn     rialto.ARN
	name    string
	alias   string // or version, or empty
	payload []byte
	trace   string
	event   string // id; of a batch, of its first
	timeout time.Duration
	whole   bool // the result decides, so that all of it is needed
}

// A result is what a function, or whatever stands before it, has answered.
type result struct {
	status int
	failed string // what X-Amz-Function-Error says, or empty
	body   []byte // at most maxResult of it
	kind   string // of the error, if it is not in the body
	after  time.Duration

	secrets redact.Redactor // that may be in the body, and are not for everybody
}

// New makes a Sender for functions, each under its name, its ARN, or either with an alias behind a colon. It starts nothing.
func New(functions map[string]Function, o Options) (*Sender, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sender{functions: make(map[string]invoker), timeouts: make(map[string]time.Duration)}
	transport := newTransport()
	s.close = append(s.close, transport.CloseIdleConnections)
	for name, f := range functions {
		if err := f.check(name); err != nil {
			return nil, err
		}
		f = f.withDefaults()
		s.timeouts[name] = f.Timeout
		if len(f.Command) > 0 {
			p := newPool(f, o)
			s.functions[name] = p
			s.close = append(s.close, p.close)
			continue
		}
		e, err := newEndpoint(f, transport)
		if err != nil {
			return nil, rialto.Errorf(rialto.Invalid, "The function %s: %s.", name, err)
		}
		s.functions[name] = e
	}
	return s, nil
}

func (f Function) withDefaults() Function {
	if f.Timeout == 0 {
		f.Timeout = DefaultTimeout
	}
	if f.Instances == 0 && len(f.Command) > 0 {
		f.Instances = DefaultInstances
	}
	if f.Idle == 0 {
		f.Idle = DefaultIdle
	}
	if len(f.Command) > 0 { // which check has found
		path, _ := exec.LookPath(f.Command[0])
		path, _ = filepath.Abs(path)
		f.Command = append([]string{path}, f.Command[1:]...)
	}
	return f
}

// check says what is wrong with a function, before anything depends on it.
func (f Function) check(name string) error {
	wrong := func(format string, args ...any) error {
		return rialto.Errorf(rialto.Invalid, "The function %s: %s", name, fmt.Sprintf(format, args...))
	}
	if arn, err := rialto.ParseARN(name); err == nil {
		if arn.Service != "lambda" || !strings.HasPrefix(arn.Resource, "function:") {
			return wrong("%s is not the ARN of a function, such as arn:aws:lambda:us-east-1:000000000000:function:orders.", name)
		}
	} else if n, _, _ := strings.Cut(name, ":"); n == "" || strings.ContainsAny(name, "/ ") {
		return wrong("a function has a name such as orders, orders:live, or an ARN.")
	}
	ways := 0
	for _, is := range []bool{f.URL != "", f.InvokeURL != "", len(f.Command) > 0} {
		if is {
			ways++
		}
	}
	switch {
	case ways != 1:
		return wrong("give one of url, invoke-url and command.")
	case f.Timeout < 0 || f.Timeout > MaxTimeout:
		return wrong("a timeout is at most %s.", MaxTimeout)
	case f.Instances < 0 || f.Instances > MaxInstances:
		return wrong("it can have 1 to %d instances.", MaxInstances)
	case f.Idle < 0:
		return wrong("an idle time is not negative.")
	case len(f.Command) > 0:
		if _, err := exec.LookPath(f.Command[0]); err != nil {
			return wrong("%s is not a program that can be run: %v.", f.Command[0], err)
		}
	}
	return nil
}

// Close ends all instances, and waits until they have ended.
func (s *Sender) Close() {
	for _, end := range s.close {
		end()
	}
}

// Knows reports whether a function is configured, so that somebody else may be asked for others.
func (s *Sender) Knows(arn rialto.ARN) bool {
	_, ok := s.find(arn)
	return ok
}

// find is the entry of a function: under its ARN, or under its name for any account and region; those with the alias come first.
func (s *Sender) find(arn rialto.ARN) (key string, ok bool) {
	qualified := strings.TrimPrefix(arn.Resource, "function:")
	name, _, _ := strings.Cut(qualified, ":")
	bare := arn
	bare.Resource = "function:" + name
	for _, key := range []string{arn.String(), bare.String(), qualified, name} {
		if _, ok := s.functions[key]; ok {
			return key, true
		}
	}
	return "", false
}

// Timeout is how long an attempt may take: the invocation, and what may come before it.
func (s *Sender) Timeout(d *target.Definition) time.Duration {
	arn, err := rialto.ParseARN(d.ARN)
	if err != nil {
		return 0
	}
	key, ok := s.find(arn)
	if !ok {
		return 0
	}
	return slotTimeout + initTimeout + s.timeouts[key]
}

// Most bounds a batch.
func (s *Sender) Most(*target.Definition) (messages, bytes int) { return mostMessages, mostBytes }

// Send invokes the function once. Where the rule asks for batches, a function gets an array even for one event.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	if m.Definition.Batch != nil {
		return s.SendBatch(ctx, []*target.Message{m})[0]
	}
	r, err := s.invoke(ctx, m, m.Payload, false)
	if err == nil {
		m.Answer = r.answer()
		err = r.outcome(nameOf(m))
	}
	return err
}

// SendBatch invokes the function once, for all messages.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	if len(ms) == 0 {
		return nil
	}
	errs := make([]error, len(ms))
	r, err := s.invoke(ctx, ms[0], array(ms), true)
	if err == nil {
		err = r.outcome(nameOf(ms[0]))
		for _, m := range ms {
			m.Answer = r.answer()
		}
	}
	if err == nil {
		r.partial(ms, errs)
		return errs
	}
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// invoke finds the function and invokes it within its time. An error says why there is no result.
func (s *Sender) invoke(ctx context.Context, m *target.Message, payload []byte, whole bool) (result, error) {
	arn, err := rialto.ParseARN(m.Definition.ARN)
	qualified, ok := strings.CutPrefix(arn.Resource, "function:")
	name, alias, _ := strings.Cut(qualified, ":")
	if err != nil || arn.Service != "lambda" || !ok || name == "" {
		return result{}, &target.Error{Code: target.CodeInvalidParameter, Permanent: true,
			Message: fmt.Sprintf("%s is not the ARN of a function, such as arn:aws:lambda:us-east-1:000000000000:function:orders.", m.Definition.ARN)}
	}
	key, ok := s.find(arn)
	if !ok {
		return result{}, &target.Error{Code: target.CodeNoResource, Permanent: true,
			Message: fmt.Sprintf("Function not found: %s. Start the server with --function %s=http://127.0.0.1:8080, or with --function %s=./%s "+
				"for a program that speaks the Lambda Runtime API, or name the function under functions: in its file of settings.", arn, name, name, name)}
	}
	timeout := m.Definition.Timeout
	if timeout <= 0 {
		timeout = s.timeouts[key]
	}
	arn.Resource = "function:" + qualified
	return s.functions[key].invoke(ctx, &call{
		id: uuid.NewString(), arn: arn, name: name, alias: alias, payload: payload, trace: m.Trace, event: m.EventID, timeout: timeout, whole: whole,
	})
}

func nameOf(m *target.Message) string {
	_, name, _ := strings.Cut(m.Definition.ARN, ":function:")
	return name
}

// newTransport makes the transport for all URLs; it is the operator who knows where they lead.
func newTransport() *http.Transport {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// abandoned is the error of an attempt whose caller has had enough, which is nobody's fault.
func abandoned(ctx context.Context) error {
	return fmt.Errorf("invoke the function: %w", context.Cause(ctx))
}

var errTooLong = errors.New("the time of the invocation is over")
