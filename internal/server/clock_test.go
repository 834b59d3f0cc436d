package server_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/rialto-events/rialto/internal/server"
)

// TestSignaturesAndAVirtualClock has a server verify signatures whose clock is years behind: clients sign by their own clocks, which are real, and
// only one who has a key moves the clock.
func TestSignaturesAndAVirtualClock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	keys := "[shop]\naws_access_key_id = AKSHOP\naws_secret_access_key = secret\naws_account_id = 111122223333\n"
	if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	beginning := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	url, _ := start(t, server.Config{Credentials: file, Virtual: true, ClockStart: beginning})
	client := events(url, "eu-west-1", "AKSHOP", "secret")
	if _, err := client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("daily"), ScheduleExpression: aws.String("cron(0 12 * * ? *)")}); err != nil {
		t.Fatal(err)
	}
	const body = `{"by": "240h"}`
	advance := func(secret string, signed time.Time) (status int, fired int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/_rialto/v1/clock/advance", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if secret != "" {
			key := aws.Credentials{AccessKeyID: "AKSHOP", SecretAccessKey: secret}
			if err := v4.NewSigner().SignHTTP(t.Context(), key, req, fmt.Sprintf("%x", sha256.Sum256([]byte(body))), "events", "eu-west-1", signed); err != nil {
				t.Fatal(err)
			}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var m struct{ Fired int }
		if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		return resp.StatusCode, m.Fired
	}
	for _, c := range []struct {
		name, secret string
		signed       time.Time
		status       int
	}{
		{"one who does not sign", "", time.Time{}, http.StatusForbidden},
		{"a wrong secret", "guessed", time.Now(), http.StatusForbidden},
		{"one who signs by the virtual clock", "secret", beginning, http.StatusForbidden},
	} {
		if status, _ := advance(c.secret, c.signed); status != c.status {
			t.Errorf("%s got %d, want %d", c.name, status, c.status)
		}
	}
	if status, fired := advance("secret", time.Now()); status != http.StatusOK || fired != 10 {
		t.Errorf("a move got %d, and schedules fired %d times", status, fired)
	}
	if _, err := client.ListRules(t.Context(), &eventbridge.ListRulesInput{}); err != nil {
		t.Errorf("after the move: %v", err)
	}
}
