package pattern

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A needle looks for a member name in the rest of an event much faster than reading that would find it. If it is not
// there, no such member follows, wherever it may be.
type needle struct {
	text string // an opening quote and the name; empty if the name could be written in several ways
	rare int    // index of the byte of text that is probably the rarest in events
}

func makeNeedle(name string) needle {
	for _, r := range name {
		if r < ' ' || r == '"' || r == '\\' || r == '/' || r == utf8.RuneError {
			return needle{} // may be escaped without a \u, or stand for bytes that are no UTF-8
		}
	}
	n := needle{text: `"` + name}
	for i := range n.text {
		if commonness(n.text[i]) < commonness(n.text[n.rare]) {
			n.rare = i
		}
	}
	return n
}

// commonness orders bytes by how often events have them: quotes, small letters, then digits, capitals and the rest; letters
// as in English.
func commonness(c byte) int {
	const letters = "zjqxkvbpgyfwmcuhdlrsnioate"
	switch {
	case c == '"':
		return 100
	case 'a' <= c && c <= 'z':
		return 50 + strings.IndexByte(letters, c)
	case '0' <= c && c <= '9':
		return 40
	case 'A' <= c && c <= 'Z':
		return 10 + strings.IndexByte(letters, c|0x20)
	default:
		return 20
	}
}

// maxTries is how many places a needle looks at before it gives up.
const maxTries = 16

// absent reports whether no member of the name, nor one that begins with the name and a dot, is in a text without \u
// escapes. It says no when in doubt.
func (n *needle) absent(text []byte) bool {
	if n.text == "" {
		return false
	}
	for range maxTries {
		i := bytes.IndexByte(text, n.text[n.rare])
		if i < 0 {
			return true
		}
		if at := i - n.rare; at >= 0 && at+len(n.text) < len(text) && string(text[at:at+len(n.text)]) == n.text {
			if c := text[at+len(n.text)]; c == '"' || c == '.' {
				return false
			}
		}
		text = text[i+1:]
	}
	return false
}

// hasUnicodeEscape reports whether \u may be in the text; in it, names may be disguised.
func hasUnicodeEscape(text []byte) bool {
	for range maxTries {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		if i+1 >= len(text) || text[i+1] == 'u' {
			return true
		}
		text = text[i+2:]
	}
	return true
}
