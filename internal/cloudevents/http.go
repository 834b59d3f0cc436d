package cloudevents

import (
	"strings"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
)

// prefix is what the names of headers begin with that are attributes (CloudEvents HTTP binding, section 3.1.3.1).
const prefix = "ce-"

// Header is the attributes as headers of a request whose body are the data: names in lower case, values percent-encoded. Messages
// of NATS have the same.
func (e *Event) Header() map[string]string {
	h := make(map[string]string, 8+len(e.Extensions))
	for name, value := range e.Attributes() {
		h[prefix+name] = escape(value, plainInHeader)
	}
	if e.DataContentType != "" {
		h["content-type"] = e.DataContentType
	}
	return h
}

// plainInHeader are the characters that a header holds as they are (CloudEvents HTTP binding, section 3.1.3.2).
func plainInHeader(c byte) bool { return 0x21 <= c && c <= 0x7e && c != '"' && c != '%' }

func parseBinary(header map[string][]string, body []byte) (*Event, error) {
	e := &Event{Extensions: map[string]string{}, DataContentType: first(header, "Content-Type")}
	if len(body) > 0 {
		e.Data = body
	}
	if err := checkVersion(first(header, "Ce-Specversion")); err != nil {
		return nil, err
	}
	for key, values := range header {
		if len(key) <= len(prefix) || !strings.EqualFold(key[:len(prefix)], prefix) || len(values) == 0 {
			continue
		}
		name := strings.ToLower(key[len(prefix):])
		if name == "specversion" || name == "datacontenttype" {
			continue
		}
		if len(values) > 1 {
			return nil, rialto.Errorf(rialto.Invalid, "The header %s%s is there %d times.", prefix, name, len(values))
		}
		value, ok := decodeHeader(values[0])
		if !ok {
			return nil, rialto.Errorf(rialto.Invalid, "The header %s%.100s is not UTF-8.", prefix, name)
		}
		e.set(name, value)
	}
	return e, e.Check()
}

// first is the first value of a header.
func first(header map[string][]string, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// decodeHeader reads the value of a header: quotes around it are taken off, then escapes are resolved (CloudEvents HTTP binding,
// section 3.1.3.2). A percent sign that begins no escape is one: the SDK for Go escapes nothing.
func decodeHeader(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s[1 : len(s)-1])
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String(), utf8.ValidString(b.String())
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}

// unquote takes the backslashes off a quoted string (RFC 9110, section 5.6.4).
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
