//go:build clients

package clients

import (
	"cmp"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startScheduler starts a server, or skips the test if that has no EventBridge Scheduler.
func startScheduler(t *testing.T) *proxy {
	t.Helper()
	p := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/schedule-groups/default", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/scheduler/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Skipf("there is no EventBridge Scheduler: %s", resp.Status)
	}
	return p
}

func TestSchedulesWithAWSCLI(t *testing.T) {
	find(t, "aws")
	run(t, startScheduler(t), 5*time.Minute, find(t, "bash"), script(t, "schedules.sh"))
}

func TestSchedulesWithBoto3(t *testing.T) {
	python := find(t, cmp.Or(os.Getenv("PYTHON"), "python3"))
	p := startScheduler(t)
	if text, err := command(t, p, time.Minute, python, "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("%s has no boto3: %s", python, text)
	}
	run(t, p, 5*time.Minute, python, script(t, "schedules.py"))
}

// TestSchedulesWithTerraform applies schedules, a group and rules with schedules, plans again, and destroys all.
func TestSchedulesWithTerraform(t *testing.T) {
	terraform := find(t, "terraform")
	plugins := pluginDirectory(t)
	p := startScheduler(t)
	folder := t.TempDir()
	config, err := os.ReadFile(filepath.Join("testdata", "terraform-schedules", "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "main.tf"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	step := func(args ...string) string { return runTerraform(t, p, terraform, folder, args...) }
	step("init", "-input=false", "-no-color", "-plugin-dir="+plugins)
	step("apply", "-input=false", "-no-color", "-auto-approve")
	if text := step("plan", "-input=false", "-no-color", "-detailed-exitcode"); !strings.Contains(text, "No changes.") {
		t.Errorf("the second plan wants changes:\n%s", text)
	}
	step("destroy", "-input=false", "-no-color", "-auto-approve")
}
