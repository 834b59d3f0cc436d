package lambda

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

const (
	initTimeout = 10 * time.Second // for a program to ask for work (Lambda developer guide, "Init phase")
	stopTimeout = 2 * time.Second  // to end after SIGTERM (Lambda developer guide, "Shutdown phase")
	pipeTimeout = time.Second      // for what a program has started to let go of its output
	memorySize  = 128              // megabytes that a function is told it has; nothing holds it to that
)

// An instance is a process of a function, and the Runtime API that it talks to on an address of its own:
//
//	invoke ──work──► GET …/invocation/next        the process takes an invocation
//	       ◄─answer─ POST …/invocation/ID/response, or …/error
type instance struct {
	pool   *pool
	arn    rialto.ARN
	name   string
	cmd    *exec.Cmd
	api    *http.Server
	work   chan *invocation
	ended  chan struct{} // closed when the process has ended
	exit   error         // how; to be read when it has ended
	expiry *time.Timer   // while it is idle; guarded by pool.mu

	mu       sync.Mutex
	current  *invocation // that the process works on
	asked    bool        // it has asked for work
	initSaid *result     // what it reported instead of asking
}

// An invocation is a call that a process works on.
type invocation struct {
	*call
	deadline time.Time     // to be read when taken is closed
	taken    chan struct{} // closed when the process has it
	answer   chan result   // has room for one
}

// Why a process did not take an invocation, which another one therefore can.
var (
	errEnded = errors.New("the process ended before it asked for work")
	errMute  = errors.New("the process does not ask for work")
)

// newInstance starts a process.
func newInstance(p *pool, c *call) (*instance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, &target.Error{Code: target.CodeInternal, Cause: err, Message: fmt.Sprintf("The function %s cannot be started: no port is free.", c.name)}
	}
	i := &instance{pool: p, arn: c.arn, name: c.name, work: make(chan *invocation), ended: make(chan struct{})}
	i.api = &http.Server{Handler: i.runtimeAPI(), ReadHeaderTimeout: initTimeout, MaxHeaderBytes: 64 << 10}
	out := newOutput(p.options, c.arn, c.name)
	i.cmd = exec.Command(p.function.Command[0], p.function.Command[1:]...)
	i.cmd.Dir, i.cmd.Env = p.function.Dir, environment(p, c, l.Addr().String())
	i.cmd.Stdout, i.cmd.Stderr = out, out
	i.cmd.WaitDelay = pipeTimeout
	ownGroup(i.cmd)
	started := make(chan error, 1)
	p.ended.Go(func() {
		defer holdThread()()
		err := i.cmd.Start()
		started <- err
		if err == nil {
			i.exit = i.cmd.Wait()
			killGroup(i.cmd) // what the process has started
		}
		out.flush()
		close(i.ended)
		_ = i.api.Close()
		_ = l.Close() // unless it was served
	})
	if err := <-started; err != nil {
		return nil, &target.Error{Code: target.CodeNoResource, Cause: err, Message: fmt.Sprintf("The function %s cannot be started: %v.", c.name, err)}
	}
	p.ended.Go(func() { _ = i.api.Serve(l) })
	return i, nil
}

// passedOn are the variables of the server that programs have, too. Others may hold secrets that are none of their business.
var passedOn = []string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "SystemRoot", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// environment is what Lambda sets (Lambda developer guide, "Defined runtime environment variables"), over what is configured, over how
// AWS's services are reached. A server that asks for signatures gives no credentials out: they have to be configured.
func environment(p *pool, c *call, api string) []string {
	env := make(map[string]string)
	for _, name := range passedOn {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	if p.options.Endpoint != "" {
		env["AWS_ENDPOINT_URL"] = p.options.Endpoint
		env["AWS_ACCESS_KEY_ID"] = string(c.arn.Account) // an access key that is a number is the account
		env["AWS_SECRET_ACCESS_KEY"] = "test"
	}
	env["TZ"] = ":UTC"
	maps.Copy(env, p.function.Env)
	maps.Copy(env, map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          api,
		"AWS_LAMBDA_FUNCTION_NAME":        c.name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(memorySize),
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + c.name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      c.id,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_REGION":                      string(c.arn.Region),
		"AWS_DEFAULT_REGION":              string(c.arn.Region),
	})
	if env["_HANDLER"] == "" {
		env["_HANDLER"] = "handler"
	}
	if env["LAMBDA_TASK_ROOT"] == "" {
		env["LAMBDA_TASK_ROOT"] = p.function.Dir
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// invoke hands the call to the process and waits for its answer. A process that does not answer in time is killed: what it would do
// next is not known.
func (i *instance) invoke(ctx context.Context, c *call) (result, error) {
	in := &invocation{call: c, taken: make(chan struct{}), answer: make(chan result, 1)}
	starting := time.NewTimer(initTimeout)
	defer starting.Stop()
	select {
	case i.work <- in:
	case <-i.ended:
		return result{}, errEnded
	case <-starting.C:
		return result{}, errMute
	case <-ctx.Done():
		return result{}, i.leave(ctx, c)
	}
	<-in.taken
	running := time.NewTimer(time.Until(in.deadline))
	defer running.Stop()
	select {
	case r := <-in.answer:
		return r, nil
	case <-i.ended:
		select {
		case r := <-in.answer: // its last words
			return r, nil
		default:
		}
		return result{}, &target.Error{Code: target.CodeErrorFromTarget,
			Message: fmt.Sprintf("The function %s failed (Unhandled): Runtime.ExitError: RequestId: %s Error: Runtime exited %s", c.name, c.id, exited(i.exit))}
	case <-running.C:
		i.kill()
		return result{}, timedOut(c)
	case <-ctx.Done():
		return result{}, i.leave(ctx, c)
	}
}

// leave ends a process whose answer nobody waits for any more.
func (i *instance) leave(ctx context.Context, c *call) error {
	i.kill()
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return timedOut(c)
	}
	return abandoned(ctx)
}

func exited(err error) string {
	if err == nil {
		return "with error: exit status 0"
	}
	return "with error: " + err.Error()
}

// whyNot tells why a process never asked for work.
func (i *instance) whyNot(c *call, why error) error {
	i.mu.Lock()
	said := i.initSaid
	i.mu.Unlock()
	if said != nil {
		return said.outcome(c.name)
	}
	text := fmt.Sprintf("Runtime.ExitError: it ended before it asked for work, %s.", exited(i.exit))
	if why == errMute {
		text = fmt.Sprintf("Runtime.InitTimeout: it did not ask for work within %s.", initTimeout)
	}
	return &target.Error{Code: target.CodeErrorFromTarget,
		Message: fmt.Sprintf("The function %s failed (Unhandled): %s It has to speak the Lambda Runtime API.", c.name, text)}
}

// ready reports whether the process has ever asked for work.
func (i *instance) ready() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func (i *instance) alive() bool {
	select {
	case <-i.ended:
		return false
	default:
		return true
	}
}

// stop asks the process to end, and kills it if it does not.
func (i *instance) stop() {
	if !i.alive() {
		return
	}
	terminateGroup(i.cmd)
	i.pool.ended.Go(func() {
		timer := time.NewTimer(stopTimeout)
		defer timer.Stop()
		select {
		case <-i.ended:
		case <-timer.C:
			i.kill()
		}
	})
}

// kill ends the process and what it has started.
func (i *instance) kill() {
	if i.alive() {
		killGroup(i.cmd)
	}
}
