package server_test

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/rialto-events/rialto/internal/server"
)

// TestTail follows a bus as the command tail does.
func TestTail(t *testing.T) {
	base, _ := start(t, server.Config{})
	query := url.Values{"pattern": {`{"source":["shop"],"detail":{"total":[{"numeric":[">",1]}]}}`}}
	r, err := http.Get(base + "/_rialto/v1/tail?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("tail answers %s", r.Status)
	}
	// The answer's header came, so the tap is there. A request that is not signed sees the default region.
	client := events(base, "us-east-1", "a", "b")
	for _, source := range []string{"bakery", "shop"} {
		put := entries("default")
		put[0].Source = &source
		if _, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: put}); err != nil {
			t.Fatal(err)
		}
	}
	line, err := bufio.NewReader(r.Body).ReadString('\n')
	if err != nil || !strings.Contains(line, `"source":"shop"`) || !strings.HasSuffix(line, `"detail":{"total":42.5}}`+"\n") {
		t.Errorf("the first line is %q, %v", line, err)
	}
}

func TestTailRefuses(t *testing.T) {
	base, _ := start(t, server.Config{})
	for _, tc := range []struct {
		name, query, says string
		status            int
	}{
		{"a pattern that is none", url.Values{"pattern": {`{"source":"shop"}`}}.Encode(), "must be an object or an array", http.StatusBadRequest},
		{"a pattern without end", url.Values{"pattern": {strings.Repeat(" ", 4000) + strings.Repeat("[", 4000)}}.Encode(), "more than 4096", http.StatusBadRequest},
		{"somebody else's bus", url.Values{"bus": {"arn:aws:events:us-east-1:111122223333:event-bus/orders"}}.Encode(), "another account", http.StatusForbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := http.Get(base + "/_rialto/v1/tail?" + tc.query)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			if err != nil || r.StatusCode != tc.status || !strings.Contains(string(body), tc.says) {
				t.Errorf("got %s %s, want %d with %q", r.Status, body, tc.status, tc.says)
			}
		})
	}
}
