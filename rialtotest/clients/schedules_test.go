//go:build clients

package clients

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSchedulesWithAWSCLI(t *testing.T) {
	find(t, "aws")
	run(t, start(t), 5*time.Minute, find(t, "bash"), script(t, "schedules.sh"))
}

func TestSchedulesWithBoto3(t *testing.T) {
	python := find(t, cmp.Or(os.Getenv("PYTHON"), "python3"))
	p := start(t)
	if text, err := command(t, p, time.Minute, python, "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("%s has no boto3: %s", python, text)
	}
	run(t, p, 5*time.Minute, python, script(t, "schedules.py"))
}

// TestSchedulesWithTerraform applies schedules, a group and rules with schedules, plans again, and destroys all.
func TestSchedulesWithTerraform(t *testing.T) {
	terraform := find(t, "terraform")
	plugins := pluginDirectory(t)
	p := start(t)
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
