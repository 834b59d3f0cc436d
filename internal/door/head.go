package door

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

const (
	maxHead   = 16 << 10 // bytes; the SDKs need about one thousand
	maxFields = 64       // the SDKs send about a dozen
	maxDigits = 6        // of a body's length, enough for maxRequest
)

// A head is the beginning of a plain request.
type head struct {
	path   string
	host   string
	length int // of the body
	header http.Header
	values []string // room for those of the header, one for each name
	url    url.URL
}

// parse reads a head with the empty line at its end. It reports false for everything that is not of the plainest form; then somebody else has to
// read it. A line is "Name: value" with letters, digits and hyphens in the name, each name once, and printable ASCII in the value.
func (h *head) parse(text string) bool {
	if len(text) > maxHead || !strings.HasSuffix(text, "\r\n\r\n") {
		return false
	}
	line, rest, _ := strings.Cut(text, "\r\n")
	path, ok := strings.CutPrefix(line, "POST ")
	if !ok {
		return false
	}
	if path, ok = strings.CutSuffix(path, " HTTP/1.1"); !ok || !plainPath(path) {
		return false
	}
	h.path, h.host, h.length = path, "", -1
	if h.header == nil {
		h.header, h.values = make(http.Header), make([]string, 0, maxFields)
	}
	clear(h.header)
	h.values = h.values[:0]
	for {
		if line, rest, _ = strings.Cut(rest, "\r\n"); line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !plainName(name) || !plainValue(value) || !h.add(textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " ")) {
			return false
		}
	}
	return rest == "" && h.host != "" && h.length >= 0 && h.header["X-Amz-Target"] != nil
}

// add takes a field of the header, unless it says something about the connection or the body that is beyond us.
func (h *head) add(name, value string) bool {
	switch name {
	case "Host":
		if h.host != "" || !plainHost(value) {
			return false
		}
		h.host = value
		return true
	case "Content-Length":
		if h.length = number(value); h.length < 0 {
			return false
		}
	case "Connection":
		if !strings.EqualFold(value, "keep-alive") {
			return false
		}
	case "Transfer-Encoding", "Trailer", "Expect", "Upgrade", "Pragma":
		return false
	}
	if _, twice := h.header[name]; twice || len(h.values) == maxFields {
		return false
	}
	h.values = append(h.values, value)
	h.header[name] = h.values[len(h.values)-1 : len(h.values) : len(h.values)]
	return true
}

// fill writes the head into a request.
func (h *head) fill(r *http.Request) {
	h.url = url.URL{Path: h.path}
	r.URL, r.RequestURI, r.Host, r.Header, r.ContentLength = &h.url, h.path, h.host, h.header, int64(h.length)
}

// A set of bytes.
type set [256]bool

func setOf(members string) *set {
	s := new(set)
	for _, c := range []byte(members) {
		s[c] = true
	}
	return s
}

func (s *set) holds(text string) bool {
	for i := range len(text) {
		if !s[text[i]] {
			return false
		}
	}
	return true
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

var (
	inPath = setOf(alphanumeric + "/-_.~")
	inName = setOf(alphanumeric + "-")
	inHost = setOf(alphanumeric + "-.:[]")
)

// plainPath reports whether a path means what it says, without escapes, a query, or a host in front.
func plainPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.Contains(s, "//") && inPath.holds(s)
}

func plainName(s string) bool { return s != "" && inName.holds(s) }

func plainHost(s string) bool { return s != "" && inHost.holds(s) }

func plainValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// number is a length in its shortest form, or -1.
func number(s string) int {
	if s == "" || len(s) > maxDigits || len(s) > 1 && s[0] == '0' {
		return -1
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// A body that has come already.
type body struct{ all, rest []byte }

var _ io.ReadCloser = (*body)(nil)

func (b *body) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error { return nil }

// Bytes is all of the body, for those who know that it is there. It is good until the handler returns.
func (b *body) Bytes() []byte { return b.all }
