// Package redact takes secrets out of texts into which the other side may have copied them.
//
// Whoever is called may answer with what it was sent, and answers are shown and kept: in explanations, in dead letters. So what a call
// carries that is not for everybody is taken out of its answer, as it is and as URLs, JSON and HTML spell it. Nobody can know all
// spellings; a destination that turns a secret around shows it. Start with [New].
package redact

import (
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Mark stands for a secret in what is shown.
const Mark = "[redacted]"

// A Redactor takes secrets out of texts. The zero value knows none.
type Redactor struct {
	spellings []string // the longest first
}

// New knows secrets as they are, and as URLs, JSON and HTML spell them. Empty ones count for nothing.
func New(secrets ...string) (r Redactor) {
	for _, s := range secrets {
		if s == "" {
			continue
		}
		escaped, _ := json.Marshal(s)                                                          // of a string, which never fails
		quoted, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, string(utf8.RuneError))) // fails on invalid UTF-8 alone
		r.spellings = append(r.spellings, s, url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s),
			string(escaped[1:len(escaped)-1]), string(quoted[1:len(quoted)-1]))
	}
	slices.SortFunc(r.spellings, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	r.spellings = slices.Compact(r.spellings)
	return r
}

// Window is how much of a text must be there for its first n bytes to be redacted: a secret may begin on the last of them.
func (r Redactor) Window(n int) int {
	if len(r.spellings) == 0 {
		return n
	}
	return n + len(r.spellings[0])
}

// Text is a text without the secrets, as valid UTF-8.
func (r Redactor) Text(s string) string {
	if !r.in(s) {
		return strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	return r.replace(s, len(s))
}

// in reports whether a text has a secret in it. Most have none.
func (r Redactor) in(s string) bool {
	return slices.ContainsFunc(r.spellings, func(secret string) bool { return strings.Contains(s, secret) })
}

// Head is what the first n bytes of a text leave to show, which is n bytes at most.
func (r Redactor) Head(s string, n int) string {
	text := r.replace(s, n)
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// replace replaces the secrets that begin in the first n bytes of a text, and leaves out what comes after these.
func (r Redactor) replace(s string, n int) string {
	var b strings.Builder
	for i := 0; i < min(n, len(s)); {
		found := slices.IndexFunc(r.spellings, func(secret string) bool { return strings.HasPrefix(s[i:], secret) })
		if found >= 0 {
			b.WriteString(Mark)
			i += len(r.spellings[found])
			continue
		}
		b.WriteByte(s[i])
		i++
	}
	return strings.ToValidUTF8(b.String(), string(utf8.RuneError))
}
