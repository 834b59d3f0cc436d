package http

import (
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// redacted stands for a secret in what is shown.
const redacted = "[redacted]"

// A redactor takes secrets out of texts into which the other side may have copied them.
type redactor struct {
	spellings []string // the longest first
}

// newRedactor knows secrets as they are, and as URLs, JSON and HTML spell them.
func newRedactor(secrets ...string) (r redactor) {
	for _, s := range secrets {
		if s == "" {
			continue
		}
		escaped, _ := json.Marshal(s) // of a string, which never fails
		quoted := appendQuoted(nil, s)
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

// window is how much of a text must be there for its first n bytes to be redacted: a secret may begin on the last of them.
func (r redactor) window(n int) int {
	if len(r.spellings) == 0 {
		return n
	}
	return n + len(r.spellings[0])
}

// text is a text without the secrets, as valid UTF-8.
func (r redactor) text(s string) string { return r.replace(s, len(s)) }

// head is what the first n bytes of a text leave to show, which is n bytes at most.
func (r redactor) head(s string, n int) string {
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
func (r redactor) replace(s string, n int) string {
	var b strings.Builder
	for i := 0; i < min(n, len(s)); {
		found := slices.IndexFunc(r.spellings, func(secret string) bool { return strings.HasPrefix(s[i:], secret) })
		if found >= 0 {
			b.WriteString(redacted)
			i += len(r.spellings[found])
			continue
		}
		b.WriteByte(s[i])
		i++
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}
