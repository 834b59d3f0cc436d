package schedulerapi_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/rialtotest"
)

// TestRequests sends schedules, right and wrong ones, and compares the answers with the words of AWS: each is to be made, and to take the place of
// one that is there. The requests are written by hand, since AWS's own clients refuse to send some of them.
func TestRequests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	srv := rialtotest.Options{Clock: rialto.NewVirtualClock(time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC))}.Start(t)
	var base, with string
	n := 0
	for line := range strings.Lines(string(text)) {
		word, operand, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		operand = strings.TrimLeft(operand, " ")
		switch word {
		case "base":
			base = operand
			if got := send(t, srv, http.MethodPost, "there", base); got != "accepted" {
				t.Fatalf("the request without anything beside it: %s", got)
			}
		case "with":
			with = operand
		case "refused", "accepted":
			n++
			patch := object(t, with)
			name, _ := patch["Name"].(string) // which is in the path of a request
			delete(patch, "Name")
			request, err := json.Marshal(merge(object(t, base), patch))
			if err != nil {
				t.Fatal(err)
			}
			want, prefix := strings.CutSuffix(strings.TrimSpace(word+" "+operand), "*")
			for _, c := range []struct{ method, name string }{{http.MethodPost, cmp.Or(name, fmt.Sprintf("s%d", n))}, {http.MethodPut, cmp.Or(name, "there")}} {
				if got := send(t, srv, c.method, c.name, string(request)); got != want && !(prefix && strings.HasPrefix(got, want)) {
					t.Errorf("%s with %s\ngot  %s\nwant %s", c.method, with, got, want)
				}
			}
		case "", "#":
		default:
			t.Errorf("unknown line %q", line)
		}
	}
	if n == 0 {
		t.Error("there is no case")
	}
}

// send sends a request for a schedule, and says in a line how it was answered.
func send(t *testing.T, srv *rialtotest.Server, method, name, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"/schedules/"+url.PathEscape(name), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		return "accepted"
	}
	var failure map[string]string
	if err := json.Unmarshal(answer, &failure); err != nil {
		t.Errorf("the answer to %s is %s: %v", body, answer, err)
	}
	return fmt.Sprintf("refused %d %s %s", resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"), failure["Message"])
}

func object(t *testing.T, text string) (o map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

// merge applies a merge patch.
func merge(is, patch map[string]any) map[string]any {
	is = maps.Clone(is)
	if is == nil {
		is = make(map[string]any)
	}
	for name, value := range patch {
		switch v := value.(type) {
		case nil:
			delete(is, name)
		case map[string]any:
			inner, _ := is[name].(map[string]any)
			is[name] = merge(inner, v)
		default:
			is[name] = v
		}
	}
	return is
}
