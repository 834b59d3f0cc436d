package aws_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/aws"
)

func TestConstraints(t *testing.T) {
	text, err := os.ReadFile("testdata/constraints.txt")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(front{}.handler(aws.Options{}))
	defer srv.Close()

	var source, operation, input string
	cases := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		want, isMessage := strings.CutPrefix(line, "    ")
		switch {
		case line == "":
		case isMessage:
			cases++
			t.Run(operation+", "+source, func(t *testing.T) {
				if got := refusal(t, srv, operation, input); got != strings.ReplaceAll(want, `\n`, "\n") {
					t.Errorf("got\n%s, want\n%s", got, want)
				}
			})
		case line[0] == '#':
			source = line[2:]
		default:
			operation, input, _ = strings.Cut(line, " ")
		}
	}
	if cases < 15 {
		t.Errorf("only %d cases were found", cases)
	}
}

// refusal is the message of the ValidationException that a call ends in, or "accepted".
func refusal(t *testing.T, srv *httptest.Server, operation, input string) string {
	r, err := http.NewRequest(http.MethodPost, srv.URL, strings.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AWSEvents."+operation)
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		return "accepted"
	}
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Type != "ValidationException" || resp.StatusCode != http.StatusBadRequest {
		t.Fatalf("not a ValidationException: %d %s", resp.StatusCode, body)
	}
	return e.Message
}
