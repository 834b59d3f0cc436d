package syntax

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A token is what the scanner found next.
type token uint8

const (
	noToken     token = iota // the end of the text, or an error
	startObject              // {
	endObject                // }
	startArray               // [
	endArray                 // ]
	fieldName                // "name":
	stringValue
	integer
	float
	trueValue
	falseValue
	nullValue
)

func (t token) isNumber() bool { return t == integer || t == float }

// A scanner splits JSON into tokens the way Jackson's ReaderBasedJsonParser does, because the columns in AWS's messages
// show how far that parser has read:
//
//   - After a field name, the colon and the beginning of its value are already behind it: the whole of a number or a
//     literal, but only the first character of a string, an object or an array.
//   - A string is read to its end when somebody asks for its text, or with the next token.
//   - An unexpected character is reported at its own column, anything else at the column after the last one read.
//
// The first error ends it: every later token is noToken, and err stays.
type scanner struct {
	text  string
	pos   int     // of the next unread byte
	scope []scope // the open objects and arrays, innermost last
	err   *Error

	name    string // the last field name
	ahead   token  // the value of that name, begun together with it
	aheadAt int    // where it begins
	raw     string // the text of the last value: unescaped if a string, verbatim if a number or a literal
	unread  bool   // the last value is a string of which only the opening quote was read
}

// A scope is an object or an array that is open.
type scope struct {
	array bool
	start int  // the offset of its bracket
	begun bool // it has an entry, so a comma comes before the next
}

func (s scope) kind() string {
	if s.array {
		return "Array"
	}
	return "Object"
}

// maxNesting is how deep brackets may nest (Jackson's StreamReadConstraints).
const maxNesting = 1000

// next returns the next token. Inside objects, names and values alternate.
func (s *scanner) next() token {
	if s.err != nil {
		return noToken
	}
	if t := s.ahead; t != noToken {
		s.ahead = noToken
		return s.enter(t, s.aheadAt)
	}
	if s.unread && !s.readString("string value") {
		return noToken
	}
	if !s.skipSpace() {
		if len(s.scope) > 0 {
			in := s.scope[len(s.scope)-1]
			s.fail("Unexpected end-of-input: expected close marker for " + in.kind() + " (start marker at " + s.place(in.start) + ")")
		}
		return noToken
	}
	if c := s.text[s.pos]; c == ']' || c == '}' {
		return s.leave(c)
	}
	if len(s.scope) == 0 {
		return s.value()
	}
	in := &s.scope[len(s.scope)-1]
	if in.begun && !s.separator(',', "was expecting comma to separate "+in.kind()+" entries") {
		return noToken
	}
	in.begun = true
	if in.array {
		return s.value()
	}
	if !s.readName() || !s.separator(':', "was expecting a colon to separate field name and value") {
		return noToken
	}
	s.aheadAt = s.pos
	s.ahead = s.begin()
	if s.err != nil {
		return noToken
	}
	return fieldName
}

// value reads a value that has no name.
func (s *scanner) value() token {
	at := s.pos
	return s.enter(s.begin(), at)
}

// enter makes the scope of an object or array whose bracket is at the offset.
func (s *scanner) enter(t token, at int) token {
	if t == startObject || t == startArray {
		if len(s.scope) == maxNesting {
			s.fail("Document nesting depth (1001) exceeds the maximum allowed (1000, from `StreamReadConstraints.getMaxNestingDepth()`)")
			return noToken
		}
		s.scope = append(s.scope, scope{array: t == startArray, start: at})
	}
	return t
}

// leave closes the innermost scope with the bracket c, if that is its kind.
func (s *scanner) leave(c byte) token {
	s.pos++
	if len(s.scope) == 0 {
		s.fail("Unexpected close marker '" + string(c) + "': expected '" + string(c^']'^'}') + "' (for root starting at " + place(s.text, 1, 0) + ")")
		return noToken
	}
	in := s.scope[len(s.scope)-1]
	want := byte('}')
	if in.array {
		want = ']'
	}
	if c != want {
		s.fail("Unexpected close marker '" + string(c) + "': expected '" + string(want) + "' (for " + in.kind() + " starting at " + s.place(in.start) + ")")
		return noToken
	}
	s.scope = s.scope[:len(s.scope)-1]
	if in.array {
		return endArray
	}
	return endObject
}

// separator reads the comma or colon that must come now, and the space around it; something must follow.
func (s *scanner) separator(want byte, expected string) bool {
	if !s.skipSpace() {
		return s.failBetween()
	}
	if s.text[s.pos] != want {
		return s.unexpected(expected)
	}
	s.pos++
	return s.skipSpace() || s.failBetween()
}

func (s *scanner) failBetween() bool {
	return s.fail("Unexpected end-of-input within/between " + s.scope[len(s.scope)-1].kind() + " entries")
}

// begin reads the beginning of the value at pos: all of it, unless it is a string, an object or an array.
func (s *scanner) begin() token {
	const aValue = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
	switch c := s.text[s.pos]; c {
	case '"':
		s.pos++
		s.unread = true
		return stringValue
	case '{':
		s.pos++
		return startObject
	case '[':
		s.pos++
		return startArray
	case 't':
		return s.literal("true", trueValue)
	case 'f':
		return s.literal("false", falseValue)
	case 'n':
		return s.literal("null", nullValue)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number()
	case '}':
		s.unexpected("expected a value")
	case '+':
		s.pos++
		s.unexpectedInNumber("JSON spec does not allow numbers to have plus signs: enable `JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow", s.pos-1)
	default:
		if r := s.peek(); isIdentifier(r) && !unicode.IsDigit(r) {
			s.badToken(s.pos)
		} else {
			s.unexpected("expected a valid value " + aValue)
		}
	}
	return noToken
}

// literal reads true, false or null.
func (s *scanner) literal(word string, t token) token {
	start := s.pos
	for i := range len(word) {
		if s.pos == len(s.text) || s.text[s.pos] != word[i] {
			return s.badToken(start)
		}
		s.pos++
	}
	if s.pos < len(s.text) && isIdentifier(s.peek()) {
		return s.badToken(start)
	}
	s.raw = word
	return t
}

// badToken reports the word from start on, of which the part up to pos was read.
func (s *scanner) badToken(start int) token {
	const most = 256 // characters of the word (Jackson's ErrorReportConfiguration)
	suffix := ""
	for n := utf16Len(s.text[start:s.pos]); s.pos < len(s.text); {
		r, size := utf8.DecodeRuneInString(s.text[s.pos:])
		if !isIdentifier(r) {
			break
		}
		s.pos += size
		if n += utf16.RuneLen(r); n >= most {
			suffix = "..."
			break
		}
	}
	s.fail("Unrecognized token '" + s.text[start:s.pos] + suffix + "': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')")
	return noToken
}

// isIdentifier reports whether Java takes r for a part of an identifier.
func isIdentifier(r rune) bool {
	return r == '$' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || r > 0x7F && unicode.In(r, unicode.Nl, unicode.Sc, unicode.Pc, unicode.Mn, unicode.Mc)
}

// number reads a number to its end.
func (s *scanner) number() token {
	start := s.pos
	if s.text[s.pos] == '-' {
		s.pos++
		if !s.digitFollows() {
			s.unexpectedInNumber("expected digit (0-9) to follow minus sign, for valid numeric value", s.pos)
			return noToken
		}
	}
	if s.text[s.pos] == '0' {
		s.pos++
		if s.digitFollows() {
			s.fail("Invalid numeric value: Leading zeroes not allowed")
			return noToken
		}
	} else {
		s.digits()
	}
	t := integer
	if s.pos < len(s.text) && s.text[s.pos] == '.' {
		t = float
		s.pos++
		if !s.digits() {
			s.unexpectedInNumber("Decimal point not followed by a digit", s.pos)
			return noToken
		}
	}
	if s.pos < len(s.text) && s.text[s.pos]|0x20 == 'e' {
		t = float
		s.pos++
		if s.pos < len(s.text) && (s.text[s.pos] == '+' || s.text[s.pos] == '-') {
			s.pos++
		}
		if !s.digits() {
			s.unexpectedInNumber("Exponent indicator not followed by a digit", s.pos)
			return noToken
		}
	}
	s.raw = s.text[start:s.pos]
	return t
}

func (s *scanner) digitFollows() bool {
	return s.pos < len(s.text) && '0' <= s.text[s.pos] && s.text[s.pos] <= '9'
}

// digits reads digits and reports whether there was one.
func (s *scanner) digits() bool {
	start := s.pos
	for s.digitFollows() {
		s.pos++
	}
	return s.pos > start
}

// readName reads a field name.
func (s *scanner) readName() bool {
	if s.text[s.pos] != '"' {
		return s.unexpected("was expecting double-quote to start field name")
	}
	s.pos++
	name, ok := s.string("name")
	s.name = name
	return ok
}

// readString reads the rest of the string whose quote was read, if it is not read yet.
func (s *scanner) readString(what string) bool {
	s.unread = false
	text, ok := s.string(what)
	s.raw = text
	return ok
}

// valueText is the text of the last value. Asking for that of a string moves the position to its end.
func (s *scanner) valueText() string {
	if s.unread {
		s.readString("string value")
	}
	return s.raw
}

// string reads to the closing quote, and unescapes.
func (s *scanner) string(what string) (string, bool) {
	var b strings.Builder
	start := s.pos
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			b.WriteString(s.text[start:s.pos])
			s.pos++
			return b.String(), true
		case c == '\\':
			b.WriteString(s.text[start:s.pos])
			if !s.escape(&b) {
				return "", false
			}
			start = s.pos
		case c < 0x20:
			return "", s.failAt(s.pos, "Illegal unquoted character ("+describe(rune(c))+"): has to be escaped using backslash to be included in "+what)
		default:
			s.pos++
		}
	}
	if what == "name" {
		return "", s.fail("Unexpected end-of-input in field name")
	}
	return "", s.fail("Unexpected end-of-input: was expecting closing quote for a string value")
}

// escape reads an escape sequence. Half of a surrogate pair becomes U+FFFD, as everywhere in Go.
func (s *scanner) escape(b *strings.Builder) bool {
	s.pos++
	if s.pos == len(s.text) {
		return s.failEscape()
	}
	c := s.peek()
	s.pos += utf8.RuneLen(c)
	switch c {
	case '"', '\\', '/':
		b.WriteRune(c)
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		r, ok := s.hex()
		if !ok {
			return false
		}
		if utf16.IsSurrogate(r) {
			r = s.surrogate(r)
		}
		b.WriteRune(r)
	default:
		return s.fail("Unrecognized character escape " + describe(c))
	}
	return s.err == nil
}

// surrogate completes the pair that begins with the unit high, if its other half follows.
func (s *scanner) surrogate(high rune) rune {
	if !strings.HasPrefix(s.text[s.pos:], `\u`) {
		return utf8.RuneError
	}
	back := s.pos
	s.pos += 2
	low, ok := s.hex()
	if !ok {
		return utf8.RuneError
	}
	r := utf16.DecodeRune(high, low)
	if r == utf8.RuneError {
		s.pos = back // not a pair: the second escape stands for itself
	}
	return r
}

// hex reads four hexadecimal digits.
func (s *scanner) hex() (rune, bool) {
	var r rune
	for range 4 {
		if s.pos == len(s.text) {
			return 0, s.failEscape()
		}
		c := s.text[s.pos]
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, s.unexpected("expected a hex-digit for character escape sequence")
		}
		s.pos++
	}
	return r, true
}

func (s *scanner) failEscape() bool {
	return s.fail("Unexpected end-of-input in character escape sequence")
}

// skipSpace reports whether anything follows.
func (s *scanner) skipSpace() bool {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			s.pos++
		case c < 0x20:
			return s.failAt(s.pos, "Illegal character ("+describe(rune(c))+`): only regular white space (\r, \n, \t) is allowed between tokens`)
		case c == '/':
			return s.unexpected("maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not enabled for parser)")
		default:
			return true
		}
	}
	return false
}

// peek is the character at pos.
func (s *scanner) peek() rune {
	r, _ := utf8.DecodeRuneInString(s.text[s.pos:])
	return r
}

// unexpected reports the character at pos, and reads it.
func (s *scanner) unexpected(expected string) bool {
	r := s.peek()
	s.failAt(s.pos, "Unexpected character ("+describe(r)+"): "+expected)
	s.pos += utf8.RuneLen(r)
	return false
}

func (s *scanner) unexpectedInNumber(expected string, at int) bool {
	if at == len(s.text) {
		return s.fail("Unexpected end-of-input in a Number value")
	}
	s.pos = at
	return s.failAt(at, "Unexpected character ("+describe(s.peek())+") in numeric value: "+expected)
}

// fail reports an error at the position reached.
func (s *scanner) fail(reason string) bool { return s.failAt(s.pos, reason) }

// failAt reports an error, unless there was one before. It is always false, for the callers' convenience.
func (s *scanner) failAt(offset int, reason string) bool {
	if s.err == nil {
		s.err = s.errorAt(offset, reason)
	}
	return false
}

func (s *scanner) errorAt(offset int, reason string) *Error {
	line, column := locate(s.text, offset)
	return &Error{Reason: reason, Pattern: s.text, Line: line, Column: column}
}

func (s *scanner) place(offset int) string {
	line, column := locate(s.text, offset)
	return place(s.text, line, column)
}
