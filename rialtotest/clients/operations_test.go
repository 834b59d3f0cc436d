package clients

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/rialtotest"
)

// TestOperationsAreListed asks a server for every operation of the service models: the list of those that clients must call has to
// have all that it serves, and no other.
func TestOperationsAreListed(t *testing.T) {
	srv := rialtotest.Start(t)
	var served []string
	for model, service := range map[string]string{"events.json": "AWSEvents", "sqs.json": "AmazonSQS", "secretsmanager.json": "secretsmanager", "sns.json": "AmazonSNS"} {
		for _, operation := range operationsOf(t, model) {
			if target := service + "." + operation; serves(t, srv, target) {
				served = append(served, target)
			}
		}
	}
	listed := operations(t, true)
	for _, op := range served {
		if !slices.Contains(listed, op) {
			t.Errorf("%s is served, and not in testdata/operations.txt", op)
		}
	}
	for _, op := range listed {
		if !slices.Contains(served, op) {
			t.Errorf("%s is in testdata/operations.txt, and not served", op)
		}
	}
}

func operationsOf(t *testing.T, model string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "internal", "aws", "generate", "models", model))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Operations map[string]json.RawMessage `json:"operations"`
	}
	if err := json.Unmarshal(text, &m); err != nil || len(m.Operations) == 0 {
		t.Fatalf("the model %s has %d operations, %v", model, len(m.Operations), err)
	}
	var names []string
	for name := range m.Operations {
		names = append(names, name)
	}
	return names
}

// serves reports whether a server knows an operation: what it says about an empty request does not matter.
func serves(t *testing.T, srv *rialtotest.Server, target string) bool {
	t.Helper()
	action, query := strings.CutPrefix(target, "AmazonSNS.")
	body := "{}"
	if query {
		body = "Version=2010-03-31&Action=" + action
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if query {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		req.Header.Set("X-Amz-Target", target)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return !strings.Contains(string(text), "UnknownOperationException") && !strings.Contains(string(text), "<Code>InvalidAction</Code>")
}

// everyOperation lists what rialto serves and each client must have called with success.
func everyOperation(t *testing.T) []string { return operations(t, false) }

// operations reads testdata/operations.txt. A line that begins with a minus is of an operation that always refuses.
func operations(t *testing.T, refusing bool) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "operations.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		line, refuses := strings.CutPrefix(strings.TrimSpace(line), "-")
		if line != "" && !strings.HasPrefix(line, "#") && (refusing || !refuses) {
			list = append(list, line)
		}
	}
	return list
}
