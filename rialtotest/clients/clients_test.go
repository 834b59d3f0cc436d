//go:build clients

package clients

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto/rialtotest"
)

// The clients run one after another: each is a heavy program, and measures the server's answers by its own patience.

func TestAWSCLI(t *testing.T) {
	aws := find(t, "aws")
	p := start(t)
	t.Log(output(t, command(t, p, 5*time.Minute, aws, "--version")))
	run(t, p, 20*time.Minute, find(t, "bash"), script(t, "cli.sh"))
	p.wantCalled(t, everyOperation(t))
}

func TestBoto3(t *testing.T) {
	python := cmp.Or(os.Getenv("PYTHON"), "python3")
	p := start(t)
	version := command(t, p, time.Minute, find(t, python), "-c", "import boto3; print('boto3', boto3.__version__)")
	if text, err := version.CombinedOutput(); err != nil {
		t.Skipf("%s has no boto3: %s", python, text)
	} else {
		t.Logf("%s", text)
	}
	run(t, p, 5*time.Minute, find(t, python), script(t, "boto.py"))
	p.wantCalled(t, everyOperation(t))
}

func TestJavaScriptSDK(t *testing.T) {
	p := start(t)
	runNode(t, p, "sdk.mjs", "@aws-sdk/client-eventbridge@3", "@aws-sdk/client-sqs@3", "@aws-sdk/client-sns@3")
	want := []string{"AWSEvents.PutEvents", "AmazonSNS.Subscribe", "AmazonSNS.Publish", "AmazonSNS.PublishBatch", "AmazonSNS.SetSubscriptionAttributes"}
	for _, op := range everyOperation(t) {
		if strings.HasPrefix(op, "AmazonSQS.") {
			want = append(want, op)
		}
	}
	p.wantCalled(t, want)
}

// TestWorker has sqs-consumer, the library by which many services in JavaScript read their queues, work through one.
func TestWorker(t *testing.T) {
	p := start(t)
	runNode(t, p, "worker.mjs", "@aws-sdk/client-sqs@3", "sqs-consumer@12", "sqs-producer@6")
	p.wantCalled(t, []string{
		"AmazonSQS.SendMessageBatch", "AmazonSQS.ReceiveMessage", "AmazonSQS.DeleteMessage", "AmazonSQS.DeleteMessageBatch",
		"AmazonSQS.ChangeMessageVisibility", "AmazonSQS.ChangeMessageVisibilityBatch", "AmazonSQS.GetQueueAttributes",
	})
}

// runNode runs a script with packages from npm, or skips the test if they cannot be had.
func runNode(t *testing.T, p *proxy, name string, packages ...string) {
	t.Helper()
	node, npm := find(t, "node"), find(t, "npm")
	folder := t.TempDir()
	install := command(t, p, 5*time.Minute, npm, append([]string{"install", "--prefix", folder, "--no-audit", "--no-fund"}, packages...)...)
	if text, err := install.CombinedOutput(); err != nil {
		t.Skipf("%v cannot be installed: %v\n%s", packages, err, text)
	}
	// Node looks for packages beside the script.
	text, err := os.ReadFile(script(t, name))
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(folder, name)
	if err := os.WriteFile(at, text, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, p, 2*time.Minute, node, at)
}

// find finds a program, or skips the test.
func find(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a client and fails the test if it fails.
func run(t *testing.T, p *proxy, limit time.Duration, name string, args ...string) {
	t.Helper()
	cmd := command(t, p, limit, name, args...)
	text, err := cmd.CombinedOutput()
	t.Logf("%s", text)
	if err != nil {
		t.Errorf("%s: %v\nThe server answered:\n%s", strings.Join(append([]string{filepath.Base(name)}, args...), " "), err, p.refusals())
	}
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, text)
	}
	return strings.TrimSpace(string(text))
}

// command prepares a client that knows of no other server, and of no other credentials, than these.
func command(t *testing.T, p *proxy, limit time.Duration, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 10 * time.Second
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env,
		"AWS_ENDPOINT_URL="+p.url, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
		"HOOK_URL="+p.hook.URL, "DOOR_URL="+p.door)
	return cmd
}

// A proxy stands between client and server and keeps count.
type proxy struct {
	url  string
	hook *rialtotest.Webhook
	door string // the URL of a door

	mu      sync.Mutex
	good    map[string]int // answered with 200, by operation
	refused []string
}

// start starts a server and a proxy before it.
func start(t *testing.T) *proxy {
	t.Helper()
	srv := rialtotest.Start(t)
	target, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	knocks := httptest.NewServer(make(door, 100))
	t.Cleanup(knocks.Close)
	p := &proxy{hook: srv.Webhook(t), door: knocks.URL, good: map[string]int{}}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the URLs of queues are made of it
		},
		ModifyResponse: p.note,
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forward.ServeHTTP(w, withOperation(r))
	}))
	t.Cleanup(front.Close)
	p.url = front.URL
	return p
}

// A door is a web server at which topics knock: it takes what is posted, and hands it out to who asks, in order.
type door chan []byte

func (d door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if body, err := io.ReadAll(r.Body); err == nil {
			d <- body
		}
		return
	}
	select {
	case body := <-d:
		_, _ = w.Write(body)
	case <-r.Context().Done():
	}
}

type operationKey struct{}

// withOperation keeps with a request which operation it calls. That of the older protocol, in which SNS is spoken, stands in its body.
func withOperation(r *http.Request) *http.Request {
	operation := cmp.Or(r.Header.Get("X-Amz-Target"), r.Method+" "+r.URL.Path)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, malformed := url.ParseQuery(string(body))
		if service := queryServices[form.Get("Version")]; err == nil && malformed == nil && service != "" {
			operation = service + "." + form.Get("Action")
		}
	}
	return r.WithContext(context.WithValue(r.Context(), operationKey{}, operation))
}

// queryServices are those that are spoken to in the older protocol, by the version of their model.
var queryServices = map[string]string{"2010-03-31": "AmazonSNS"}

// note counts an answer.
func (p *proxy) note(resp *http.Response) error {
	operation := resp.Request.Context().Value(operationKey{}).(string)
	p.mu.Lock()
	defer p.mu.Unlock()
	if resp.StatusCode == http.StatusOK {
		p.good[operation]++
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	p.refused = append(p.refused, operation+": "+resp.Status+" "+string(body))
	return nil
}

func (p *proxy) refusals() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.refused, "\n")
}

// wantCalled fails the test for every operation that was not called with success.
func (p *proxy) wantCalled(t *testing.T, operations []string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, op := range operations {
		if p.good[op] == 0 {
			t.Errorf("%s was never called with success", op)
		}
	}
	var others []string
	for op := range p.good {
		if strings.Contains(op, ".") && !slices.Contains(operations, op) {
			others = append(others, op)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		t.Logf("also called: %v", others)
	}
}
