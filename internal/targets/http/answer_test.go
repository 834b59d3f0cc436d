package http_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
)

// packed packs a text.
func packed(t testing.TB, text string, with func(io.Writer) io.WriteCloser) string {
	t.Helper()
	var b bytes.Buffer
	w := with(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// answered makes a call to an endpoint that answers with a text, and returns what is shown of it.
func answered(t *testing.T, d http.Destination, encoding, body string) target.Answer {
	t.Helper()
	e := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		if encoding != "" {
			w.Header().Set("Content-Encoding", encoding)
		}
		io.WriteString(w, body)
	}))
	t.Cleanup(e.Close)
	d.Endpoint, d.Method = e.URL, "POST"
	m := to("arn:d")
	if err := newSender(t, directory{"arn:d": d}, loopback).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m.Answer
}

func TestAnswersAreShown(t *testing.T) {
	gz := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	zl := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	fl := func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f }
	long := strings.Repeat("ü", 1000)
	for name, c := range map[string]struct{ encoding, body, want string }{
		"none":                 {"", "", ""},
		"short":                {"", "no such order", "no such order"},
		"long":                 {"", long, strings.Repeat("ü", 512)},
		"not a letter's start": {"", "x" + long, "x" + strings.Repeat("ü", 511)},
		"not a text":           {"", "a\xff\xfeb", "a\uFFFDb"},
		"gzip":                 {"gzip", packed(t, "unpacked", gz), "unpacked"},
		"deflate, as it is":    {"deflate", packed(t, "unpacked", fl), "unpacked"},
		"deflate, as in zlib":  {"deflate", packed(t, "unpacked", zl), "unpacked"},
		"gzip that is none":    {"gzip", "plain", ""},
		"gzip of 64 MiB":       {"gzip", packed(t, strings.Repeat("x", 1<<26), gz), strings.Repeat("x", 1024)},
		"gzip that is cut off": {"gzip", packed(t, "unpacked", gz)[:20], "unpacked"[:0]},
		"not asked for":        {"br", "as it is", "as it is"},
		"gzip of nothing":      {"gzip", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := answered(t, http.Destination{}, c.encoding, c.body)
			if got.Status != 200 || !strings.HasPrefix(got.Head, c.want) || len(got.Head) > target.MaxAnswer || c.want == "" && name != "gzip that is cut off" && got.Head != "" {
				t.Errorf("got %d %q, want %q", got.Status, got.Head, c.want)
			}
		})
	}
}

// TestAnswersHoldNoSecrets has endpoints send back what they got, as debuggers, proxies and error pages do.
func TestAnswersHoldNoSecrets(t *testing.T) {
	const secret = `p&ss "w<rd/1`
	d := http.Destination{
		Auth:    http.Auth{Type: http.APIKey, Name: "X-Key", Value: secret},
		Headers: []http.Parameter{{Key: "X-A", Value: "hush-header", Secret: true}, {Key: "X-B", Value: "shown"}},
		Query:   []http.Parameter{{Key: "q", Value: "hush-query", Secret: true}},
		Body:    []http.Parameter{{Key: "b", Value: "hush-body", Secret: true}},
	}
	for name, body := range map[string]string{
		"plain":       `key=` + secret + ` shown`,
		"in a URL":    `/x?key=p%26ss+%22w%3Crd%2F1&q=hush-query shown`,
		"in a path":   `/p&ss%20%22w%3Crd%2F1 shown`,
		"JSON":        `{"a":"p&ss \"w<rd/1","b":"p\u0026ss \"w\u003crd/1"} shown`,
		"HTML":        `<p>p&amp;ss &#34;w&lt;rd/1 shown`,
		"all of them": `hush-header hush-query hush-body shown`,
		"at the edge": strings.Repeat("x", 1015) + ` shown ` + secret + secret,
		"many":        strings.Repeat(secret, 500) + ` shown`,
	} {
		got := answered(t, d, "", body).Head
		for _, piece := range []string{"ss ", "ss+", "w<", "w%3C", "hush", `p&`, "26ss", "amp;ss"} {
			if strings.Contains(got, piece) {
				t.Errorf("%s: the answer shows %q: %s", name, piece, got)
			}
		}
		if !strings.Contains(got, "[redacted]") && name != "at the edge" || !strings.Contains(got, "shown") && name != "many" {
			t.Errorf("%s: the answer is %s", name, got)
		}
	}

	basic := http.Destination{Auth: http.Auth{Type: http.Basic, Name: "ada", Value: "lovelace"}}
	if got := answered(t, basic, "", "Authorization: Basic YWRhOmxvdmVsYWNl for ada, lovelace"); got.Head != "Authorization: Basic [redacted] for ada, [redacted]" {
		t.Errorf("basic: %s", got.Head)
	}
	token := answers(t, 200, `{"access_token":"tok-1"}`)
	oauth := http.Destination{Auth: http.Auth{Type: http.OAuth, Grant: &http.Grant{
		Connection: "arn:c", Endpoint: token, Method: "POST", ClientID: "me", ClientSecret: "s3cret", Body: []http.Parameter{{Key: "x", Value: "hush", Secret: true}},
	}}}
	if got := answered(t, oauth, "", "tok-1 s3cret hush me"); got.Head != "[redacted] [redacted] [redacted] me" {
		t.Errorf("OAuth: %s", got.Head)
	}
}

// FuzzAnswer packs and breaks answers: what is shown is short, valid, and holds no secret.
func FuzzAnswer(f *testing.F) {
	type sent struct {
		body     []byte
		encoding string
	}
	var next atomic.Pointer[sent]
	e := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Encoding", next.Load().encoding)
		w.Write(next.Load().body)
	}))
	f.Cleanup(e.Close)
	s := newSender(f, directory{"arn:d": {Endpoint: e.URL, Method: "POST", Auth: http.Auth{Type: http.APIKey, Name: "X-Key", Value: "s3cret"}}}, loopback)
	f.Add([]byte("s3cret"), "")
	f.Add([]byte(strings.Repeat("é", 511)+"as3cret"), "identity")
	f.Add([]byte(packed(f, "s3crets3", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })), "gzip")
	f.Add([]byte{0x78, 0x9c}, "deflate")
	f.Fuzz(func(t *testing.T, b []byte, enc string) {
		next.Store(&sent{b, strings.Map(func(r rune) rune {
			if r < 'a' || r > 'z' {
				return -1
			}
			return r
		}, enc)})
		m := to("arn:d")
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if a := m.Answer; len(a.Head) > target.MaxAnswer || !utf8.ValidString(a.Head) || strings.Contains(a.Head, "s3cret") {
			t.Errorf("the answer is %q", a.Head)
		}
	})
}
