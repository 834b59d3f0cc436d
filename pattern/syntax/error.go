package syntax

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An Error says why a pattern is refused, in the words of AWS.
//
// AWS reads patterns with the Jackson library, and its messages quote the pattern and say where Jackson stood when the
// trouble was noticed: just after the offending token, as a rule. Clients show these texts to people and compare them in
// tests, so they are reproduced to the column.
type Error struct {
	Reason  string // what is wrong, such as `Empty objects are not allowed`
	Pattern string // the refused pattern
	Line    int    // counted from 1; 0 if the error has no place, as with CIDR blocks and complexity
	Column  int    // counted from 1 in UTF-16 code units, as Java does
}

// Located reports whether the error has a place in the pattern.
func (e *Error) Located() bool { return e.Line > 0 }

// Error is the message AWS answers with.
func (e *Error) Error() string {
	msg := "Event pattern is not valid. Reason: " + e.Reason
	if e.Located() {
		msg += "\n at " + place(e.Pattern, e.Line, e.Column)
	}
	return msg
}

// maxSnippet is how much of the pattern a place quotes, in UTF-16 code units (Jackson's ErrorReportConfiguration).
const maxSnippet = 500

// place names a position as Jackson's JsonLocation does.
func place(pattern string, line, column int) string {
	var b strings.Builder
	b.WriteString(`[Source: (String)"`)
	units, omitted := 0, 0
	for _, r := range pattern {
		if units += utf16.RuneLen(r); units > maxSnippet {
			omitted = utf16Len(pattern) - maxSnippet
			break
		}
		writeVisible(&b, r)
	}
	b.WriteByte('"')
	if omitted > 0 {
		b.WriteString("[truncated " + strconv.Itoa(omitted) + " chars]")
	}
	b.WriteString("; line: " + strconv.Itoa(line) + ", column: " + strconv.Itoa(column) + "]")
	return b.String()
}

// writeVisible writes r, or its escape if it is a control character other than a line break.
func writeVisible(b *strings.Builder, r rune) {
	if !isControl(r) || r == '\r' || r == '\n' {
		b.WriteRune(r)
		return
	}
	const hex = "0123456789ABCDEF"
	b.WriteString(`\u00`)
	b.WriteByte(hex[r>>4])
	b.WriteByte(hex[r&0xF])
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7F && r < 0xA0 }

// describe names a character as Jackson does: ('b' (code 98)).
func describe(r rune) string {
	code := strconv.Itoa(int(r))
	switch {
	case isControl(r):
		return "(CTRL-CHAR, code " + code + ")"
	case r > 0xFF:
		return "'" + string(r) + "' (code " + code + " / 0x" + strconv.FormatInt(int64(r), 16) + ")"
	default:
		return "'" + string(r) + "' (code " + code + ")"
	}
}

// utf16Len counts the UTF-16 code units of s; an invalid byte counts as one.
func utf16Len(s string) int {
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// locate returns the line and the column of a byte offset.
func locate(text string, offset int) (line, column int) {
	line, start := 1, 0
	for i := 0; i < offset; i++ {
		switch {
		case text[i] == '\n':
			line, start = line+1, i+1
		case text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n'):
			line, start = line+1, i+1
		}
	}
	return line, utf16Len(text[start:offset]) + 1
}

// Location names the place of a byte offset in text as AWS does in messages about JSON, which are Jackson's:
//
//	[Source: (String)"hello"; line: 1, column: 1]
func Location(text string, offset int) string {
	line, column := locate(text, offset)
	return place(text, line, column)
}
