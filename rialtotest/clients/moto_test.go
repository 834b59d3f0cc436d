//go:build clients

package clients

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/server"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
)

// TestMoto has a server deliver to another emulator of AWS, by which boto3 looks for what arrived.
func TestMoto(t *testing.T) {
	python := find(t, cmp.Or(os.Getenv("PYTHON"), "python3"))
	if text, err := exec.Command(python, "-c", "import boto3, moto.server, flask").CombinedOutput(); err != nil {
		t.Skipf("%s has no moto with its server: %s", python, text)
	}
	moto := startMoto(t, python)

	s, err := server.Open(t.Context(), server.Config{Listen: "127.0.0.1:0", DataDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Remotes: []remote.Remote{
		{Name: "moto", Endpoint: moto},
		{Name: "moto for what is served here, too", Endpoint: moto, Services: []string{"sqs", "events"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}()
	cmd := pythonCommand(t, python, script(t, "moto.py"), moto, "http://"+s.Addr())
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	} else {
		t.Logf("%s", text)
	}
}

// startMoto starts an emulator that ends with the test, and returns its URL.
func startMoto(t *testing.T, python string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close() // moto takes no port 0
	cmd := pythonCommand(t, python, "-m", "moto.server", "-H", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:" + port
	deadline := time.After(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-deadline:
			t.Fatal("moto does not answer")
		case <-tick.C:
			r, err := http.Get(url + "/moto-api/data.json")
			if err == nil {
				_ = r.Body.Close()
				return url
			}
		}
	}
}

// pythonCommand prepares a program that knows of no other credentials than these.
func pythonCommand(t *testing.T, python string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION=us-east-1", "AWS_REGION=us-east-1",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true")
	t.Cleanup(func() {
		cancel()
		if cmd.Process != nil && cmd.ProcessState == nil {
			_ = cmd.Wait()
		}
	})
	return cmd
}
