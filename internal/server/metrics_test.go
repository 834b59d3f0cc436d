package server_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/rialto-events/rialto/internal/server"
)

// TestMetricsAreServed reads them where they are, and where they must not be.
func TestMetricsAreServed(t *testing.T) {
	url, _ := start(t, server.Config{})
	if _, err := events(url, "us-east-1", "a", "b").PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/metrics", "/_rialto/metrics"} {
		status, body := fetch(t, url+path)
		if want := `rialto_events_ingested_total{account="000000000000",bus="default",region="us-east-1"}`; status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s answers %d without %s:\n%s", path, status, want, body)
		}
	}
}

func TestMetricsAreNotForStrangers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("[shop]\naws_access_key_id = AK\naws_secret_access_key = secret\naws_account_id = 111122223333\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url, _ := start(t, server.Config{Credentials: file})
	if status, body := fetch(t, url+"/metrics"); status != http.StatusForbidden || strings.Contains(body, "rialto_") {
		t.Errorf("an unsigned request for metrics gets %d %s", status, body)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := l.Addr().String()
	l.Close()
	url, _ = start(t, server.Config{Credentials: file, MetricsListen: own})
	if status, body := fetch(t, "http://"+own+"/metrics"); status != http.StatusOK || !strings.Contains(body, "rialto_build_info") {
		t.Errorf("the address of the metrics answers %d %s", status, body)
	}
	if status, body := fetch(t, url+"/metrics"); status == http.StatusOK || strings.Contains(body, "rialto_build_info") {
		t.Errorf("metrics with an address of their own are served elsewhere, too: %d %s", status, body)
	}
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}
