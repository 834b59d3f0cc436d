package snsapi_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/topic"
)

// TestRefused posts what is wrong, and compares the answers with the words of AWS.
func TestRefused(t *testing.T) {
	s := start(t, topic.Options{})
	standard := s.create(t, "topic", nil)
	fifo := s.create(t, "topic.fifo", map[string]string{"FifoTopic": "true"})
	subscription := s.subscribe(t, standard, "sqs", "arn:aws:sqs:us-east-1:000000000000:q", nil)
	text, err := os.ReadFile("testdata/refused.txt")
	must(t, err)

	var call string
	for line := range strings.Lines(string(text)) {
		word, operand, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		operand = strings.TrimSpace(operand)
		switch word {
		case "call":
			call = operand
		case "refused":
			want, prefix := strings.CutSuffix(operand, "*")
			if got := s.answer(t, call, *standard, *fifo, *subscription); got != want && !(prefix && strings.HasPrefix(got, want)) {
				t.Errorf("%s\ngot  %s\nwant %s", call, got, operand)
			}
		}
	}
}

// answer posts a call and returns the status, the code and the first line of the message.
func (s *server) answer(t *testing.T, call, standard, fifo, subscription string) string {
	t.Helper()
	fields := strings.Fields(call)
	form := url.Values{"Version": {"2010-03-31"}, "Action": {fields[0]}}
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		switch arn := strings.TrimSuffix(name, "Arn") + "Arn"; {
		case name != arn || name == "TargetArn":
		case value == "S":
			value = subscription
		case value == "F":
			value = fifo
		case strings.HasPrefix(value, "T"):
			value = standard + value[1:]
		}
		value, err := url.QueryUnescape(value)
		must(t, err)
		name, err = url.QueryUnescape(name)
		must(t, err)
		form.Set(name, value)
	}
	resp, err := http.PostForm(s.url, form)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	var failure struct {
		Error struct{ Code, Message string }
	}
	if err := xml.Unmarshal(body, &failure); err != nil {
		t.Fatalf("%s: %v: %s", call, err, body)
	}
	message, _, _ := strings.Cut(failure.Error.Message, "\n")
	return strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + failure.Error.Code + " " + message)
}
