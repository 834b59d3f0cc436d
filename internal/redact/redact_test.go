package redact_test

import (
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/redact"
)

func TestText(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"as it is", `key a/b+"c" here`, "key [redacted] here"},
		{"in JSON", `{"key":"a/b+\"c\""}`, `{"key":"[redacted]"}`},
		{"in a query", "?key=a%2Fb%2B%22c%22&x=1", "?key=[redacted]&x=1"},
		{"in HTML", "<p>a/b+&#34;c&#34;</p>", "<p>[redacted]</p>"},
		{"one that begins with another", "password password-2", "[redacted] [redacted]"},
		{"nothing", "nothing is in here", "nothing is in here"},
		{"no UTF-8", "a\xffb", "a\uFFFDb"},
	} {
		if got := redact.New(`a/b+"c"`, "", "password", "password-2").Text(tc.text); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestHead: a secret that begins before the end of what is shown is taken out, wherever it ends.
func TestHead(t *testing.T) {
	r := redact.New("password")
	for n := range 24 {
		text := "1234567890password"
		got := r.Head(text[:min(len(text), r.Window(n))], n)
		if len(got) > n || strings.Contains(got, "p") || !strings.HasPrefix("1234567890[redacted]", got) {
			t.Errorf("the first %d bytes are shown as %q", n, got)
		}
	}
	if got := new(redact.Redactor).Head("äöü", 3); got != "ä" {
		t.Errorf("half a letter is shown: %q", got)
	}
}
