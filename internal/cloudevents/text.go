package cloudevents

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// literal is a string as an extension has it: as it is or, where CloudEvents does not allow that, as a JSON string.
func literal(s string) string {
	if isText(s) && s[0] != '"' {
		return s
	}
	return string(appendString(nil, s))
}

// unliteral is the string that [literal] has written.
func unliteral(s string) string {
	var out string
	if strings.HasPrefix(s, `"`) && json.Unmarshal([]byte(s), &out) == nil {
		return out
	}
	return s
}

// appendString appends s as a JSON string. What CloudEvents forbids is escaped, too, so that the result may be an attribute.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x10000 && forbidden(r):
			b = fmt.Appendf(b, `\u%04x`, r)
		case forbidden(r):
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// isURIReference reports whether s is a URI or a relative reference (RFC 3986, section 4.1). Sources such as com.shop.orders are.
func isURIReference(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if !isUnreserved(c) && strings.IndexByte(":/?#@!$&'()*+,;=%[]", c) < 0 {
			return false
		}
	}
	u, err := url.Parse(s)
	if err != nil || strings.ContainsAny(u.EscapedPath()+u.RawQuery+u.EscapedFragment()+u.Opaque, "[]") || strings.Count(s, "#") > 1 {
		return false
	}
	return wellEscaped(s)
}

// wellEscaped reports whether every percent sign begins an escape.
func wellEscaped(s string) bool {
	for {
		_, rest, found := strings.Cut(s, "%")
		if !found {
			return true
		}
		if len(rest) < 2 || !isHex(rest[0]) || !isHex(rest[1]) {
			return false
		}
		s = rest[2:]
	}
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// percentEncode writes everything but what is unreserved in a URI as %XX. The result is a reference without a scheme and a host.
func percentEncode(s string) string { return escape(s, isUnreserved) }

// escape writes the bytes that are not plain as %XX.
func escape(s string, plain func(byte) bool) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// isName reports whether s may be the name of an attribute.
func isName(s string) bool {
	return 0 < len(s) && len(s) <= maxName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}
