package rialtotest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/rialtotest"
)

// post sends a body as an SDK would, whatever it holds, and returns what an SDK looks at.
func post(t *testing.T, srv *rialtotest.Server, target, body string) (status int, code, message string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	version := "1.1"
	if strings.HasPrefix(target, "AmazonSQS.") {
		version = "1.0"
	}
	req.Header.Set("Content-Type", "application/x-amz-json-"+version)
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/events/aws4_request, SignedHeaders=host, Signature=00")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s was not answered: %v", target, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Amzn-Requestid") == "" {
		t.Errorf("the answer to %s has no request id", target)
	}
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("the answer to %s is no JSON: %s", target, text)
	}
	return resp.StatusCode, e.Type, e.Message
}

func TestBadRequestsGetAWSsErrors(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	deep := strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000)
	entry := func(detail string) string {
		return `{"Entries":[{"Source":"shop","DetailType":"paid","Detail":` + detail + `}]}`
	}
	for name, c := range map[string]struct {
		target, body, code, message string
	}{
		"an empty body where something is needed": {"AWSEvents.PutEvents", ``, "ValidationException", "entries"},
		"no JSON":               {"AWSEvents.PutEvents", `{"Entries":[{]}`, "SerializationException", ""},
		"half a document":       {"AWSEvents.PutEvents", `{"Entries":[{"Source":"shop"`, "SerializationException", ""},
		"a wrong type":          {"AWSEvents.PutEvents", `{"Entries":"many"}`, "SerializationException", ""},
		"two megabytes":         {"AWSEvents.PutEvents", entry(`"{\"a\":\"` + strings.Repeat("x", 2<<20) + `\"}"`), "ValidationException", "Total size of the entries in the request is over the limit."},
		"100,000 levels":        {"AWSEvents.PutEvents", `{"Entries":` + deep + `}`, "SerializationException", ""},
		"100,000 levels aside":  {"AWSEvents.PutEvents", `{"Unknown":` + deep + `,"Entries":[]}`, "SerializationException", ""},
		"no UTF-8":              {"AWSEvents.PutEvents", entry("\"{\\\"a\\\":\\\"\xff\xfe\\\"}\""), "SerializationException", ""},
		"an unknown operation":  {"AWSEvents.MakeCoffee", `{}`, "UnknownOperationException", ""},
		"an unknown service":    {"AWSCoffee.PutEvents", `{}`, "UnknownOperationException", ""},
		"a deep pattern":        {"AWSEvents.TestEventPattern", `{"EventPattern":"` + strings.Repeat(`{\"a\":`, 600) + `","Event":"{}"}`, "InvalidEventPatternException", ""},
		"an operation to come":  {"AWSEvents.DescribeEndpoint", `{"Name":"e"}`, "UnknownOperationException", ""},
		"no message to a queue": {"AmazonSQS.SendMessage", `{"QueueUrl":"` + srv.URL + `/000000000000/none","MessageBody":"x"}`, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist."},
		"no JSON for a queue":   {"AmazonSQS.SendMessage", `{"QueueUrl":`, "com.amazon.coral.service#SerializationException", ""},
	} {
		status, code, message := post(t, srv, c.target, c.body)
		if status != http.StatusBadRequest || code != c.code || !strings.Contains(message, c.message) {
			t.Errorf("%s: got %d %s %.200q, want 400 %s %q", name, status, code, message, c.code, c.message)
		}
	}
	if status, code, message := post(t, srv, "AWSEvents.PutEvents", entry(`"{}"`)); status != http.StatusOK {
		t.Errorf("after all that, a good request: %d %s %s", status, code, message)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	srv.Queue(t, "q") // answered, so the server is ready
	for _, path := range []string{"/healthz", "/readyz", "/_localstack/health"} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !json.Valid(bytes.TrimSpace(body)) {
			t.Errorf("GET %s: %d %s", path, resp.StatusCode, body)
		}
	}
}
