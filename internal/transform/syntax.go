package transform

import "bytes"

// acceptable reports whether a text is what a template may become: one JSON value, or JSON strings one after the other, which is
// how AWS writes texts of several lines.
func acceptable(text []byte) bool {
	r := reader{text: text}
	return r.acceptable()
}

// A reader checks JSON. When a check has failed, at is the offset that AWS's messages name: where the token began that Jackson
// had read last. That is the bad token itself in an array or at the top, the name before it in an object, and the previous token
// where punctuation is wrong.
//
// It keeps the open brackets in a slice, so that no nesting is too deep for it.
type reader struct {
	text []byte
	pos  int
	at   int
	name func([]byte) // if not nil, is called with each name of an object as it is written
}

func (r *reader) acceptable() bool {
	r.space()
	lines := r.peek() == '"'
	for r.value() {
		r.space()
		if r.pos == len(r.text) {
			return true
		}
		if !lines || r.peek() != '"' {
			r.at = r.pos
			return false
		}
	}
	return false
}

// single reads a text that is one value.
func (r *reader) single() bool {
	if !r.value() {
		return false
	}
	r.space()
	if r.pos < len(r.text) {
		r.at = r.pos
		return false
	}
	return true
}

// value reads one value.
func (r *reader) value() bool {
	var open []byte // the brackets that are not closed yet
	named := false  // a name stands before the value
	for {
		opened, ok := r.begin(named)
		if !ok {
			return false
		}
		if opened != 0 {
			open = append(open, opened)
			r.space()
			if c := r.peek(); c != '}' && c != ']' {
				if named = opened == '{'; named && !r.readName() {
					return false
				}
				continue
			}
		}
		if open, ok = r.end(open); !ok {
			return false
		}
		if len(open) == 0 {
			return true
		}
		if named = open[len(open)-1] == '{'; named && !r.readName() {
			return false
		}
	}
}

// begin reads a string, a number or a word, or the bracket with which a value begins.
func (r *reader) begin(named bool) (opened byte, ok bool) {
	r.space()
	start := r.pos
	switch c := r.peek(); {
	case c == '{' || c == '[':
		r.pos++
		opened, ok = c, true
	case c == '"':
		ok = r.readString()
		named = false // Jackson has begun the string before it finds what is wrong in it
	case c == '-' || '0' <= c && c <= '9':
		ok = r.number() && (named || !r.inWord())
	default:
		ok = r.word("true") || r.word("false") || r.word("null")
	}
	if start < len(r.text) && (ok || !named) {
		r.at = start
	}
	return opened, ok
}

// end reads what comes after a value, up to the next value of an object or array that is still open.
func (r *reader) end(open []byte) (still []byte, ok bool) {
	for len(open) > 0 {
		r.space()
		switch c := r.peek(); c {
		case ',':
			r.pos++
			r.space()
			return open, true
		case '}', ']':
			r.at = r.pos
			r.pos++
			if open[len(open)-1] != c-2 { // each closing bracket comes two after its opening one
				return open, false
			}
			open = open[:len(open)-1]
		default:
			return open, false
		}
	}
	return open, true
}

// readName reads a name and the colon after it.
func (r *reader) readName() bool {
	start := r.pos
	if r.peek() != '"' || !r.readString() {
		return false
	}
	r.at = start
	if r.name != nil {
		r.name(r.text[start+1 : r.pos-1])
	}
	r.space()
	if r.peek() != ':' {
		return false
	}
	r.pos++
	return true
}

// readString reads a string, whose quote is next.
func (r *reader) readString() bool {
	for r.pos++; r.pos < len(r.text); r.pos++ {
		switch c := r.text[r.pos]; {
		case c == '"':
			r.pos++
			return true
		case c < 0x20:
			return false
		case c == '\\':
			r.pos++
			switch c := r.peek(); {
			case c == 'u':
				if !r.hex4() {
					return false
				}
			case c == 0 || bytes.IndexByte([]byte(`"\/bfnrt`), c) < 0:
				return false
			}
		}
	}
	return false
}

// hex4 reads the digits of a \u, and leaves the position on the last.
func (r *reader) hex4() bool {
	for range 4 {
		r.pos++
		if c := r.peek(); (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// number reads a number.
func (r *reader) number() bool {
	if r.peek() == '-' {
		r.pos++
	}
	if r.peek() == '0' {
		r.pos++
	} else if !r.digits() {
		return false
	}
	if r.peek() == '.' {
		r.pos++
		if !r.digits() {
			return false
		}
	}
	if r.peek()|0x20 == 'e' {
		r.pos++
		if c := r.peek(); c == '+' || c == '-' {
			r.pos++
		}
		return r.digits()
	}
	return true
}

// digits reads digits and reports whether there was one.
func (r *reader) digits() bool {
	start := r.pos
	for c := r.peek(); '0' <= c && c <= '9'; c = r.peek() {
		r.pos++
	}
	return r.pos > start
}

// word reads the word, if it is next.
func (r *reader) word(w string) bool {
	if !bytes.HasPrefix(r.text[r.pos:], []byte(w)) {
		return false
	}
	r.pos += len(w)
	return !r.inWord()
}

// inWord reports whether a word goes on.
func (r *reader) inWord() bool {
	c := r.peek()
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

func (r *reader) space() {
	for c := r.peek(); c == ' ' || c == '\n' || c == '\t' || c == '\r'; c = r.peek() {
		r.pos++
	}
}

// peek is the next byte, or 0 at the end.
func (r *reader) peek() byte {
	if r.pos == len(r.text) {
		return 0
	}
	return r.text[r.pos]
}
