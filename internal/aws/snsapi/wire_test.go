package snsapi_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/aws/awstest"
	"github.com/rialto-events/rialto/internal/topic"
)

func TestWire(t *testing.T) {
	awstest.Replay(t, start(t, topic.Options{}).handler, "testdata/query.txt")
}

var many = regexp.MustCompile(`(.)\*([0-9]+)\z`)

// TestRefusals sends what testdata/refusals.txt says is refused.
func TestRefusals(t *testing.T) {
	s := start(t, topic.Options{})
	arn := s.create(t, "orders", nil)
	fifo := s.create(t, "orders.fifo", map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	sub := s.subscribe(t, arn, "sqs", queueARN, nil)
	b, err := os.ReadFile("testdata/refusals.txt")
	must(t, err)
	_, cases, _ := strings.Cut(string(b), "\n=== ")
	for c := range strings.SplitSeq(cases, "\n=== ") {
		lines := strings.Split(strings.TrimRight(c, "\n"), "\n")
		form := url.Values{"Action": {lines[1]}, "Version": {"2010-03-31"}}
		for _, line := range lines[2 : len(lines)-1] {
			name, value, ok := strings.Cut(strings.TrimSpace(line), " =")
			if !ok {
				t.Fatalf("%s: %q has no value", lines[0], line)
			}
			value = strings.ReplaceAll(strings.TrimPrefix(value, " "), `\n`, "\n")
			if m := many.FindStringSubmatch(value); m != nil {
				n, err := strconv.Atoi(m[2])
				must(t, err)
				value = strings.Repeat(m[1], n)
			}
			if strings.HasSuffix(name, "Arn") {
				value = strings.NewReplacer("arn:", "arn:", "T", *arn, "F", *fifo, "U", *sub).Replace(value)
			}
			form.Set(name, value)
		}
		got, want := s.refusal(t, form), lines[len(lines)-1]
		begins, open := strings.CutSuffix(want, "...")
		if got != want && !(open && strings.HasPrefix(got, begins)) {
			t.Errorf("%s:\n got %s\nwant %s", lines[0], got, want)
		}
	}
}

// refusal is the status, the code and the message that a form is answered with.
func (s *server) refusal(t *testing.T, form url.Values) string {
	t.Helper()
	resp, err := http.PostForm(s.url, form)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	var e struct {
		Error struct{ Code, Message string }
	}
	must(t, xml.Unmarshal(b, &e))
	return fmt.Sprint(resp.StatusCode, " ", e.Error.Code, " ", e.Error.Message)
}
