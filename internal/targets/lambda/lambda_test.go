package lambda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/lambda"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

func definition(name string) *target.Definition {
	return &target.Definition{ARN: "arn:aws:lambda:us-east-1:000000000000:function:" + name}
}

func open(t *testing.T, functions map[string]lambda.Function, o lambda.Options) *lambda.Sender {
	t.Helper()
	s, err := lambda.New(functions, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// program is a function that this binary is, in a mode of serveFunction.
func program(t *testing.T, mode string, env ...string) lambda.Function {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := lambda.Function{Command: []string{self}, Env: map[string]string{"FUNCTION_MODE": mode}}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		f.Env[name] = value
	}
	return f
}

func message(name, payload string) *target.Message {
	return &target.Message{Definition: definition(name), EventID: "e-1", Payload: []byte(payload), Attempt: 1}
}

func TestPrograms(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		file := filepath.Join(t.TempDir(), "received")
		functions := map[string]lambda.Function{"works": program(t, "works", "RECEIVED="+file)}
		for _, mode := range []string{"partly", "hangs", "mute", "endless", "cuts", "garbage", "fails", "exits", "init-error", "forgets"} {
			functions[mode] = program(t, mode)
		}
		return targettest.Subject{
			Sender:   open(t, functions, lambda.Options{}),
			Works:    definition("works"),
			Received: func() [][]byte { return received(file) },
			Partly:   definition("partly"),
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs:   {definition("hangs"), definition("mute")},
				targettest.Endless: {definition("endless")},
				targettest.Cuts:    {definition("cuts")},
				targettest.Garbage: {definition("garbage")},
				targettest.Down:    {definition("fails"), definition("exits"), definition("init-error"), definition("forgets")},
				targettest.Gone:    {definition("none"), definition(""), {ARN: "arn:aws:sqs:us-east-1:000000000000:works"}},
			},
			MaxBytes: 2 << 20,
		}
	})
}

// serve answers calls for the functions behind URLs.
func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// hostile answers by the last part of the path, in the ways that endpoints misbehave.
func hostile(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch mode := r.Header.Get("Mode"); mode {
	case "hangs":
		<-r.Context().Done()
	case "endless":
		for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case "cuts", "garbage":
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		if mode == "garbage" {
			_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.6\r\n"))
		}
		_ = conn.Close()
	default:
		var status int
		fmt.Sscan(mode, &status)
		w.WriteHeader(status)
	}
}

func TestURLs(t *testing.T) {
	for _, kind := range []string{"url", "invoke-url"} {
		t.Run(kind, func(t *testing.T) {
			targettest.Run(t, func(t *testing.T) targettest.Subject {
				var mu sync.Mutex
				var got [][]byte
				works := serve(t, func(w http.ResponseWriter, r *http.Request) {
					b, _ := io.ReadAll(r.Body)
					if want := "/2015-03-31/functions/works/invocations"; kind == "invoke-url" && r.URL.Path != want {
						t.Errorf("called %s, want %s", r.URL.Path, want)
					}
					mu.Lock()
					defer mu.Unlock()
					got = append(got, elements(b)...)
				})
				partly := serve(t, func(w http.ResponseWriter, r *http.Request) {
					b, _ := io.ReadAll(r.Body)
					_, _ = io.WriteString(w, failures(b))
				})
				bad := serve(t, hostile)
				function := func(url, mode string) lambda.Function {
					f := lambda.Function{URL: url, Headers: map[string]string{"Mode": mode}}
					if kind == "invoke-url" {
						f.URL, f.InvokeURL = "", url
					}
					return f
				}
				functions := map[string]lambda.Function{"works": function(works, ""), "partly": function(partly, "")}
				named := func(modes ...string) (all targettest.Misbehaved) {
					for _, mode := range modes {
						functions[mode] = function(bad, mode)
						all = append(all, definition(mode))
					}
					return all
				}
				faults := map[targettest.Fault]targettest.Misbehaved{
					targettest.Hangs:   named("hangs"),
					targettest.Endless: named("endless"),
					targettest.Cuts:    named("cuts"),
					targettest.Garbage: named("garbage"),
					targettest.Down:    named("429", "408", "409", "500", "502", "503", "504"),
					targettest.Gone:    named("301", "400", "401", "403", "404", "410", "413", "415"),
				}
				return targettest.Subject{
					Sender: open(t, functions, lambda.Options{}),
					Works:  definition("works"),
					Received: func() [][]byte {
						mu.Lock()
						defer mu.Unlock()
						return slices.Clone(got)
					},
					Partly:   definition("partly"),
					Faults:   faults,
					MaxBytes: 2 << 20,
				}
			})
		})
	}
}

func TestInvokeAPI(t *testing.T) {
	for _, tc := range []struct {
		name, arn, url string
		answer         http.HandlerFunc
		wantPath       string
		wantCode       string // of the error; empty if there is none
		wantMessage    string
	}{
		{"an alias", "orders:live", "", nil, "/2015-03-31/functions/orders/invocations?Qualifier=live", "", ""},
		{"the Runtime Interface Emulator", "orders", "/2015-03-31/functions/function/invocations", nil, "/2015-03-31/functions/function/invocations", "", ""},
		{"an error of the function", "orders", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Handled")
			_, _ = io.WriteString(w, `{"errorType":"Order.Invalid","errorMessage":"there is no total"}`)
		}, "/2015-03-31/functions/orders/invocations", target.CodeErrorFromTarget, "The function orders failed (Handled): Order.Invalid: there is no total"},
		{"an error from the emulator", "orders", "", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"errorMessage":"division by zero","errorType":"ZeroDivisionError","requestId":"1","stackTrace":[]}`)
		}, "/2015-03-31/functions/orders/invocations", target.CodeErrorFromTarget, "The function orders failed (Unhandled): ZeroDivisionError: division by zero"},
		{"a timeout", "orders", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(w, `{"errorMessage":"2026-03-01T10:00:05Z 1 Task timed out after 3.00 seconds"}`)
		}, "/2015-03-31/functions/orders/invocations", target.CodeTimeout, "The function orders failed (Unhandled): 2026-03-01T10:00:05Z 1 Task timed out after 3.00 seconds"},
		{"throttled", "orders", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "/2015-03-31/functions/orders/invocations", target.CodeThrottling, "The function orders answered with status 429 Too Many Requests."},
	} {
		var path string
		var header http.Header
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			path, header = r.URL.String(), r.Header
			if tc.answer != nil {
				tc.answer(w, r)
			}
		})
		s := open(t, map[string]lambda.Function{"orders": {InvokeURL: url + tc.url, Headers: map[string]string{"X-Stage": "test"}}}, lambda.Options{})
		m := message(tc.arn, `{}`)
		m.Trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
		err := s.Send(t.Context(), m)
		if path != tc.wantPath {
			t.Errorf("%s: called %s, want %s", tc.name, path, tc.wantPath)
		}
		for name, want := range map[string]string{"X-Amz-Invocation-Type": "RequestResponse", "X-Amzn-Trace-Id": m.Trace, "X-Stage": "test", "Rialto-Event-Id": "e-1"} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: the header %s is %q, want %q", tc.name, name, got, want)
			}
		}
		e, _ := err.(*target.Error)
		switch {
		case tc.wantCode == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.wantCode != "" && (e == nil || e.Code != tc.wantCode || e.Message != tc.wantMessage || e.Permanent):
			t.Errorf("%s: got %#v, want %s: %s", tc.name, err, tc.wantCode, tc.wantMessage)
		case tc.name == "throttled" && e.RetryAfter != 7*time.Second:
			t.Errorf("%s: the pause is %s", tc.name, e.RetryAfter)
		}
	}
}

func TestNotConfigured(t *testing.T) {
	err := open(t, nil, lambda.Options{}).Send(t.Context(), message("orders", `{}`))
	e, ok := err.(*target.Error)
	if !ok || e.Code != target.CodeNoResource || !e.Permanent || !strings.Contains(e.Message, "--function orders=http://127.0.0.1:8080") {
		t.Errorf("got %#v, want the permanent error NO_RESOURCE with what to do", err)
	}
}

// The most precise entry counts.
func TestWhichFunction(t *testing.T) {
	answers := func(text string) lambda.Function { return program(t, "answers", "ANSWER="+text) }
	s := open(t, map[string]lambda.Function{
		"orders":      answers("by name"),
		"orders:live": answers("by alias"),
		"arn:aws:lambda:eu-west-1:111122223333:function:orders":      answers("by ARN"),
		"arn:aws:lambda:eu-west-1:111122223333:function:orders:live": answers("by ARN and alias"),
	}, lambda.Options{})
	for arn, want := range map[string]string{
		"arn:aws:lambda:us-east-1:000000000000:function:orders":      "by name",
		"arn:aws:lambda:us-east-1:000000000000:function:orders:test": "by name",
		"arn:aws:lambda:us-east-1:000000000000:function:orders:live": "by alias",
		"arn:aws:lambda:eu-west-1:111122223333:function:orders":      "by ARN",
		"arn:aws:lambda:eu-west-1:111122223333:function:orders:test": "by ARN",
		"arn:aws:lambda:eu-west-1:111122223333:function:orders:live": "by ARN and alias",
	} {
		m := message("", `{}`)
		m.Definition.ARN = arn
		if err := s.Send(t.Context(), m); err != nil || m.Answer.Head != want || m.Answer.Status != 200 {
			t.Errorf("%s was answered %+v, %v; want %s", arn, m.Answer, err, want)
		}
	}
}

// told is what the mode "tells" has told.
type told struct {
	Headers http.Header
	Env     []string
	PID     int
	Payload string
}

func tell(t *testing.T, s *lambda.Sender, m *target.Message) (all told) {
	t.Helper()
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(m.Answer.Head), &all); err != nil && len(m.Answer.Head) < target.MaxAnswer {
		t.Fatalf("%v in %s", err, m.Answer.Head)
	}
	return all
}

// A program is told what Lambda tells it, and nothing of what the server's environment holds.
func TestWhatAProgramIsTold(t *testing.T) {
	t.Setenv("RIALTO_SECRET", "not for you")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nor this")
	file := filepath.Join(t.TempDir(), "told")
	script := `echo "$AWS_LAMBDA_FUNCTION_NAME $AWS_REGION $AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $STAGE ${RIALTO_SECRET:-none} $PWD" > ` + file
	if runtime.GOOS == "windows" {
		t.Skip("has no shell")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := lambda.Function{Command: []string{"sh", "-c", script}, Dir: dir, Env: map[string]string{"STAGE": "test", "AWS_LAMBDA_FUNCTION_NAME": "mine"}}
	s := open(t, map[string]lambda.Function{"orders": f, "tells": program(t, "tells")}, lambda.Options{Endpoint: "http://127.0.0.1:4566"})
	if err := s.Send(t.Context(), message("orders", `{}`)); err == nil {
		t.Error("a program that never asks for work has taken an event")
	}
	b, err := os.ReadFile(file)
	if want := "orders us-east-1 http://127.0.0.1:4566 000000000000 test test none " + dir + "\n"; err != nil || string(b) != want {
		t.Errorf("the environment is %q (%v), want %q", b, err, want)
	}
}

func TestHeadersOfAnInvocation(t *testing.T) {
	var got http.Header
	var mu sync.Mutex
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = r.Header
	})
	python := pythonOrSkip(t)
	s := open(t, map[string]lambda.Function{"relays": {
		Command: []string{python, "testdata/bootstrap.py"}, Env: map[string]string{"RELAY": url}, Timeout: 20 * time.Second,
	}}, lambda.Options{})
	m := message("relays:live", `{"detail":{"total":"42.50 €"}}`)
	m.Trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
	before := time.Now()
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for name, want := range map[string]string{
		"Arn": "arn:aws:lambda:us-east-1:000000000000:function:relays:live", "Trace": m.Trace,
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
	var deadline int64
	fmt.Sscan(got.Get("Deadline"), &deadline)
	if at := time.UnixMilli(deadline); at.Before(before) || at.After(time.Now().Add(20*time.Second)) {
		t.Errorf("the deadline is %s, and the time %s", at, time.Now())
	}
	if got.Get("Request") == "" {
		t.Error("the invocation has no id")
	}
	if m.Answer.Head != `{"total": "42.50 €"}` && m.Answer.Head != `{"total": "42.50 \u20ac"}` {
		t.Errorf("the answer is %s", m.Answer.Head)
	}
}

func pythonOrSkip(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Skip("there is no Python")
	}
	return strings.TrimSpace(string(out))
}

// Functions in other languages are functions, too.
func TestBootstraps(t *testing.T) {
	for name, command := range map[string][]string{"python": {"python3", "testdata/bootstrap.py"}, "node": {"node", "testdata/bootstrap.mjs"}} {
		t.Run(name, func(t *testing.T) {
			if err := exec.Command(command[0], "--version").Run(); err != nil {
				t.Skipf("there is no %s", name)
			}
			s := open(t, map[string]lambda.Function{"f": {Command: command}}, lambda.Options{})
			m := message("f", `{"detail":{"total":42.5}}`)
			if err := s.Send(t.Context(), m); err != nil || strings.ReplaceAll(m.Answer.Head, " ", "") != `{"total":42.5}` {
				t.Errorf("got %+v, %v", m.Answer, err)
			}
			err := s.Send(t.Context(), message("f", `{"detail":{"fail":"no total"}}`))
			if err == nil || !strings.HasSuffix(err.Error(), "Error: no total") || target.Permanent(err) {
				t.Errorf("a failure became %v", err)
			}
			if err := s.Send(t.Context(), message("f", `{"detail":{"total":1}}`)); err != nil {
				t.Errorf("after a failure: %v", err)
			}
		})
	}
}

// pidOf is the process that takes the next event.
func pidOf(t *testing.T, s *lambda.Sender, name string) (pid int) {
	t.Helper()
	m := message(name, `{}`)
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var said struct{ Parent int }
	if err := json.Unmarshal([]byte(m.Answer.Head), &said); err != nil {
		t.Fatalf("%v in %s", err, m.Answer.Head)
	}
	return said.Parent
}

func TestInstancesStayWarm(t *testing.T) {
	s := open(t, map[string]lambda.Function{"f": program(t, "child")}, lambda.Options{})
	if first, second := pidOf(t, s, "f"), pidOf(t, s, "f"); first != second {
		t.Errorf("the second event went to another process: %d, %d", first, second)
	}
}

// Of one instance, two events at once are taken one after the other.
func TestOneInstance(t *testing.T) {
	f := program(t, "child")
	f.Instances = 1
	s := open(t, map[string]lambda.Function{"f": f}, lambda.Options{})
	var wg sync.WaitGroup
	pids := make([]int, 20)
	for i := range pids {
		wg.Go(func() { pids[i] = pidOf(t, s, "f") })
	}
	wg.Wait()
	for _, pid := range pids {
		if pid != pids[0] {
			t.Errorf("there was more than one process: %v", pids)
			break
		}
	}
	// Another account has another process, for which this one has to go.
	m := message("f", `{}`)
	m.Definition.ARN = "arn:aws:lambda:us-east-1:111122223333:function:f"
	if err := s.Send(t.Context(), m); err != nil || strings.Contains(m.Answer.Head, fmt.Sprintf(`"parent":%d}`, pids[0])) {
		t.Errorf("another account was answered %s, %v", m.Answer.Head, err)
	}
	waitGone(t, pids[0])
}

func TestAllBusy(t *testing.T) {
	f := program(t, "hangs")
	f.Instances = 1
	s := open(t, map[string]lambda.Function{"f": f}, lambda.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- s.Send(ctx, message("f", `{}`)) }()
	// Whichever of the two is first, the other waits for the instance until its time is over.
	short, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	second := make(chan error, 1)
	go func() { second <- s.Send(short, message("f", `{}`)) }()
	e, ok := (<-second).(*target.Error)
	if !ok || e.Permanent || e.Code != target.CodeThrottling && e.Code != target.CodeTimeout {
		t.Errorf("got %#v", e)
	}
	cancel()
	if err := <-first; err == nil || target.Permanent(err) {
		t.Errorf("a cancelled invocation is %v", err)
	}
}

func TestTimeout(t *testing.T) {
	f := program(t, "hangs")
	f.Timeout = 50 * time.Millisecond
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection is not seen
		<-r.Context().Done()
	})
	s := open(t, map[string]lambda.Function{"f": f, "u": {URL: url, Timeout: f.Timeout}}, lambda.Options{})
	for _, name := range []string{"f", "u"} {
		err := s.Send(t.Context(), message(name, `{}`))
		e, ok := err.(*target.Error)
		if !ok || e.Code != target.CodeTimeout || e.Permanent || !strings.HasSuffix(e.Message, "Task timed out after 0.05 seconds") {
			t.Errorf("%s: got %#v", name, err)
		}
	}
	if got, want := s.Timeout(definition("f")), 20*time.Second+50*time.Millisecond; got != want {
		t.Errorf("an attempt may take %s, want %s", got, want)
	}
}

// waitGone waits until a process has ended and was reaped.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	giveUp := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		p, _ := os.FindProcess(pid)
		if err := p.Signal(syscall.Signal(0)); err != nil {
			return
		}
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			return // an orphan that was killed, which nobody has asked about
		}
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("process %d lives on", pid)
		}
	}
}

// Close leaves nothing running, neither programs nor what they have started.
func TestNoOrphans(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no groups of processes")
	}
	s, err := lambda.New(map[string]lambda.Function{"f": program(t, "child")}, lambda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := message("f", `{}`)
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	s.Close()
	var pids map[string]int
	if err := json.Unmarshal([]byte(m.Answer.Head), &pids); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		waitGone(t, pid)
	}
	if err := s.Send(t.Context(), m); err == nil || target.Permanent(err) {
		t.Errorf("a send after the end is %v", err)
	}
}

func TestIdleInstancesEnd(t *testing.T) {
	f := program(t, "child")
	f.Idle = time.Millisecond
	waitGone(t, pidOf(t, open(t, map[string]lambda.Function{"f": f}, lambda.Options{}), "f"))
}

// A program that ends at once is not started over and over.
func TestCrashLoop(t *testing.T) {
	var mu sync.Mutex
	starts := 0
	s := open(t, map[string]lambda.Function{"f": program(t, "exits")}, lambda.Options{Output: func(rialto.ARN, string, time.Time, string) {
		mu.Lock()
		defer mu.Unlock()
		starts++
	}})
	for range 200 {
		err := s.Send(t.Context(), message("f", `{}`))
		if err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Fatalf("got %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if starts == 0 || starts > 20 {
		t.Errorf("200 attempts made %d starts", starts)
	}
}

func TestOutputIsBounded(t *testing.T) {
	var mu sync.Mutex
	var said []string
	s, err := lambda.New(map[string]lambda.Function{"f": program(t, "prints")}, lambda.Options{Output: func(_ rialto.ARN, _ string, _ time.Time, line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, line)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), message("f", `{}`)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if len(said) < 500 || len(said) > 5000 || said[0] != "one" || said[1] != "two" {
		t.Fatalf("%d lines, beginning with %.100q", len(said), said[:min(len(said), 3)])
	}
	for _, line := range said {
		if len(line) > 8<<10 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
	if last := said[len(said)-1]; !strings.HasSuffix(last, "lines were left out: a function may print 200 lines a second)") {
		t.Errorf("the last line is %q", last)
	}
}

func TestBatchResults(t *testing.T) {
	batch := func() (ms []*target.Message) {
		for _, id := range []string{"a", "b", "c"} {
			m := message("f", `{"id":"`+id+`"}`)
			m.EventID = id
			ms = append(ms, m)
		}
		return ms
	}
	for _, tc := range []struct{ name, answer, failed string }{
		{"nothing said", ``, ""},
		{"something else", `{"ok":true}`, ""},
		{"a text", `"fine"`, ""},
		{"no JSON", `fine`, ""},
		{"null", `null`, ""},
		{"none failed", `{"batchItemFailures":[]}`, ""},
		{"null failed", `{"batchItemFailures":null}`, ""},
		{"one failed", `{"batchItemFailures":[{"itemIdentifier":"b"}]}`, "b"},
		{"one failed twice", `{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}]}`, "b"},
		{"two failed", `{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"}]}`, "ac"},
		{"an empty name", `{"batchItemFailures":[{"itemIdentifier":""}]}`, "abc"},
		{"another key", `{"batchItemFailures":[{"id":"b"}]}`, "abc"},
		{"a stranger", `{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"x"}]}`, "abc"},
		{"of another shape", `{"batchItemFailures":["b"]}`, "abc"},
		{"cut off", `{"batchItemFailures":[{"itemIdent`, "abc"},
	} {
		s := open(t, map[string]lambda.Function{"f": {URL: serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tc.answer) })}}, lambda.Options{})
		ms, failed := batch(), ""
		for i, err := range s.SendBatch(t.Context(), ms) {
			if err != nil {
				failed += ms[i].EventID
			}
			if ms[i].Answer.Head != tc.answer {
				t.Errorf("%s: the answer is %q", tc.name, ms[i].Answer.Head)
			}
		}
		if failed != tc.failed {
			t.Errorf("%s: failed are %q, want %q", tc.name, failed, tc.failed)
		}
	}
}

// A function that asked for batches gets an array, however many events there are, and of texts strings.
func TestBatchPayload(t *testing.T) {
	var got string
	s := open(t, map[string]lambda.Function{"f": {URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = string(b)
	})}}, lambda.Options{})
	one := message("f", `{ "a":1}`)
	one.Definition.Batch = &target.Batch{Size: 10}
	if err := s.Send(t.Context(), one); err != nil || got != `[{ "a":1}]` {
		t.Errorf("one event arrived as %s, %v", got, err)
	}
	s.SendBatch(t.Context(), []*target.Message{one, message("f", "\"a\"\n\"b\""), message("f", "3")})
	if want := `[{ "a":1},"\"a\"\n\"b\"",3]`; got != want {
		t.Errorf("three arrived as %s, want %s", got, want)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name     string
		function lambda.Function
		want     string
	}{
		{"orders", lambda.Function{}, "The function orders: give one of url, invoke-url and command."},
		{"orders", lambda.Function{URL: "http://x", Command: []string{"sh"}}, "The function orders: give one of url, invoke-url and command."},
		{"orders", lambda.Function{URL: "127.0.0.1:80"}, `The function orders: "127.0.0.1:80" is not a URL such as http://127.0.0.1:8080.`},
		{"orders", lambda.Function{Command: []string{"./none"}}, "The function orders: ./none is not a program that can be run"},
		{"orders", lambda.Function{URL: "http://x", Timeout: time.Hour}, "The function orders: a timeout is at most 15m0s."},
		{"orders", lambda.Function{URL: "http://x", Instances: -1}, "The function orders: it can have 1 to 1000 instances."},
		{"my orders", lambda.Function{URL: "http://x"}, "The function my orders: a function has a name such as orders, orders:live, or an ARN."},
		{"arn:aws:sqs:us-east-1:000000000000:q", lambda.Function{URL: "http://x"}, "is not the ARN of a function"},
	} {
		_, err := lambda.New(map[string]lambda.Function{tc.name: tc.function}, lambda.Options{})
		if rialto.KindOf(err) != rialto.Invalid || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %+v: got %v, want %s", tc.name, tc.function, err, tc.want)
		}
	}
}

// TestTheOperatorsSecretsAreNotShown: what configures a function is not for those whose rules call it, even if the function tells.
func TestTheOperatorsSecretsAreNotShown(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
		told, _ := json.Marshal(map[string]string{"errorType": "Told", "errorMessage": fmt.Sprint(r.Header, r.URL.RawQuery)})
		_, _ = w.Write(told)
	})
	secret := func(path string) lambda.Function {
		return lambda.Function{
			URL:     strings.Replace(url, "http://", "http://operator:pa55word@", 1) + path + "?code=c0de-of-it",
			Headers: map[string]string{"X-Token": "Bearer t0ken-of-it", "Mode": "live"},
		}
	}
	down := secret("/down")
	down.URL = "http://t0ken-of-it@127.0.0.1:1/down?code=c0de-of-it"
	s := open(t, map[string]lambda.Function{"tells": secret("/tells"), "fails": secret("/fails"), "down": down}, lambda.Options{})
	for name, want := range map[string]string{"tells": "live", "fails": "[redacted]", "down": "http://127.0.0.1:1/down."} {
		m := message(name, "{}")
		err := s.Send(t.Context(), m)
		shown := fmt.Sprint(m.Answer.Head, " ", err)
		for _, secret := range []string{"pa55word", "c0de-of-it", "t0ken-of-it", "b3BlcmF0b3I6cGE1NXdvcmQ="} {
			if strings.Contains(shown, secret) {
				t.Errorf("%s shows the secret %s: %s", name, secret, shown)
			}
		}
		if !strings.Contains(shown, want) {
			t.Errorf("%s shows no %s: %s", name, want, shown)
		}
	}
}
