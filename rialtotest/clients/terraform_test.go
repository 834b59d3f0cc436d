//go:build clients

package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTerraform applies a configuration, plans again, which must find nothing to do, and destroys everything.
func TestTerraform(t *testing.T) {
	terraform := find(t, "terraform")
	plugins := pluginDirectory(t)
	p := start(t)
	folder := t.TempDir()
	config, err := os.ReadFile(filepath.Join("testdata", "terraform", "main.tf"))
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
	p.wantCalled(t, []string{
		"AWSEvents.CreateEventBus", "AWSEvents.PutRule", "AWSEvents.PutTargets", "AWSEvents.CreateConnection", "AWSEvents.CreateApiDestination",
		"AmazonSQS.CreateQueue", "AWSEvents.DeleteEventBus", "AWSEvents.DeleteRule", "AWSEvents.RemoveTargets", "AWSEvents.DeleteConnection",
		"AWSEvents.DeleteApiDestination", "AWSEvents.CreateArchive", "AWSEvents.DeleteArchive", "AmazonSQS.DeleteQueue",
		"AmazonSNS.CreateTopic", "AmazonSNS.SetTopicAttributes", "AmazonSNS.Subscribe", "AmazonSNS.Unsubscribe", "AmazonSNS.DeleteTopic",
	})
}

// runTerraform runs one of Terraform's commands in a folder, and returns what it prints.
func runTerraform(t *testing.T, p *proxy, terraform, folder string, args ...string) string {
	t.Helper()
	began := time.Now()
	cmd := command(t, p, 15*time.Minute, terraform, append([]string{"-chdir=" + folder}, args...)...)
	cmd.Env = append(cmd.Env, "TF_VAR_endpoint="+p.url, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	text, err := cmd.CombinedOutput()
	t.Logf("terraform %s: %s", args[0], time.Since(began).Round(time.Second))
	if err != nil {
		t.Fatalf("terraform %s: %v\n%s\nThe server answered:\n%s", strings.Join(args, " "), err, text, p.refusals())
	}
	return string(text)
}

// pluginDirectory finds the AWS provider without asking a registry for it: in TF_PLUGIN_DIR, in a filesystem mirror that the
// configuration of Terraform names, or in one of the places where Terraform looks by itself.
func pluginDirectory(t *testing.T) string {
	t.Helper()
	home, _ := os.UserHomeDir() // none is as good as an empty one
	candidates := []string{os.Getenv("TF_PLUGIN_DIR"), os.Getenv("TF_PLUGIN_CACHE_DIR")}
	for _, file := range []string{os.Getenv("TF_CLI_CONFIG_FILE"), filepath.Join(home, ".terraformrc")} {
		candidates = append(candidates, mirrors(file)...)
	}
	candidates = append(candidates,
		filepath.Join(home, ".terraform.d", "plugins"), filepath.Join(home, ".local", "share", "terraform", "plugins"),
		"/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")
	if exe, err := exec.LookPath("terraform"); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(exe), "plugins"))
	}
	for _, dir := range candidates {
		if dir == "" {
			continue
		}
		if found, _ := filepath.Glob(filepath.Join(dir, "*", "hashicorp", "aws", "*")); len(found) > 0 {
			return dir
		}
	}
	t.Skip("the AWS provider of Terraform is not installed: name the folder that holds registry.terraform.io/hashicorp/aws in TF_PLUGIN_DIR")
	return ""
}

// mirrors reads the paths of filesystem mirrors from a configuration of Terraform: lines such as path = "/opt/plugins".
func mirrors(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil // it need not be there
	}
	var paths []string
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && strings.TrimSpace(name) == "path" {
			paths = append(paths, strings.Trim(strings.TrimSpace(value), `"`))
		}
	}
	return paths
}
