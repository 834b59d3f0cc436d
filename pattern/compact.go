package pattern

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// MaxNesting is how many objects and arrays may lie in one another in an event. It is the limit of Jackson, by which AWS
// reads events (StreamReadConstraints.DEFAULT_MAX_DEPTH).
const MaxNesting = 1000

// ErrNesting says that a JSON text nests deeper than MaxNesting.
var ErrNesting = errors.New("the JSON nests objects and arrays too deeply")

// A JSONError says that a text is not exactly one JSON value.
type JSONError struct {
	Offset int    // of the byte at which that became clear
	Want   string // what should have been there
}

func (e *JSONError) Error() string {
	return fmt.Sprintf("not JSON: no %s at byte %d", e.Want, e.Offset)
}

// AppendCompact appends a JSON value to dst without the blanks between its tokens. Nothing else changes: members keep their
// order, also duplicate ones, and numbers and escapes their spelling. Only bytes in strings that are no UTF-8 become U+FFFD
// each, as they do wherever Go decodes JSON, so that an event says the same to rules and to targets.
//
// If the text is not exactly one JSON value as RFC 8259 defines it, the error is a [*JSONError], or [ErrNesting] where it
// nests too deeply, and dst is returned as it was.
func AppendCompact(dst, text []byte) ([]byte, error) {
	c := compactor{text: text, dst: dst}
	c.document()
	if c.err != nil {
		return dst, c.err
	}
	return append(c.dst, text[c.from:c.i]...), nil
}

// A compactor is on its way through a text. What it has seen since the last blank it copies at once.
type compactor struct {
	text    []byte
	i       int // position in text
	from    int // text[from:i] is not copied yet
	dst     []byte
	err     error
	depth   int
	objects [(MaxNesting + 63) / 64]uint64 // a bit for each thing that is open, set if it is an object
}

// fail notes what was wanted. Whoever sees c.err set returns.
func (c *compactor) fail(want string) {
	if c.err == nil {
		c.err = &JSONError{c.i, want}
	}
}

// peek returns the next byte that is no blank, or 0 at the end.
func (c *compactor) peek() byte {
	if c.i < len(c.text) && c.text[c.i] > ' ' {
		return c.text[c.i]
	}
	return c.skipBlanks()
}

func (c *compactor) skipBlanks() byte {
	c.copy()
	for ; c.i < len(c.text); c.i++ {
		switch b := c.text[c.i]; b {
		case ' ', '\t', '\r', '\n':
		default:
			c.from = c.i
			return b
		}
	}
	c.from = c.i
	return 0
}

// copy copies what was not yet.
func (c *compactor) copy() {
	c.dst = append(c.dst, c.text[c.from:c.i]...)
	c.from = c.i
}

func (c *compactor) document() {
	for c.err == nil {
		if !c.begin() {
			continue // with the first value of what was opened
		}
		for c.err == nil && c.depth > 0 && !c.separator() {
		}
		if c.depth == 0 {
			break
		}
	}
	if c.err == nil && c.peek() != 0 || c.i < len(c.text) {
		c.fail("end")
	}
}

// begin reads a scalar, or the opening bracket of a value and the first key. It reports whether the value is complete.
func (c *compactor) begin() bool {
	switch b := c.peek(); b {
	case '{':
		c.open(true)
		if c.peek() == '}' {
			c.close()
			return true
		}
		c.key()
		return false
	case '[':
		c.open(false)
		if c.peek() == ']' {
			c.close()
			return true
		}
		return false
	case '"':
		c.string()
	case 't':
		c.literal("true")
	case 'f':
		c.literal("false")
	case 'n':
		c.literal("null")
	default:
		if b != '-' && (b < '0' || b > '9') {
			c.fail("value")
			return true
		}
		c.number()
	}
	return true
}

func (c *compactor) open(object bool) {
	if c.depth == MaxNesting {
		c.err = ErrNesting
		return
	}
	word, mask := &c.objects[c.depth/64], uint64(1)<<(c.depth%64)
	if *word &^= mask; object {
		*word |= mask
	}
	c.depth++
	c.i++
}

func (c *compactor) close() {
	c.depth--
	c.i++
}

// separator reads what comes behind a value: a comma, and in objects the next key, or a closing bracket. It reports whether
// another value follows.
func (c *compactor) separator() bool {
	object := c.objects[(c.depth-1)/64]>>((c.depth-1)%64)&1 != 0
	switch b := c.peek(); {
	case b == ',':
		c.i++
		if object {
			c.key()
		}
		return true
	case b == '}' && object, b == ']' && !object:
		c.close()
	case object:
		c.fail("comma or closing brace")
	default:
		c.fail("comma or closing bracket")
	}
	return false
}

// key reads a key and its colon.
func (c *compactor) key() {
	if c.err != nil {
		return
	}
	if c.peek() != '"' {
		c.fail("key")
		return
	}
	c.string()
	if c.err == nil && c.peek() != ':' {
		c.fail("colon")
		return
	}
	c.i++
}

// string reads a string from its opening quote on.
func (c *compactor) string() {
	text, i := c.text, c.i+1
	for {
		for i+8 <= len(text) {
			w := binary.LittleEndian.Uint64(text[i:])
			// Bytes below 32 have borrowed from the highest bit, and those that are not ASCII have it.
			if found := bytesEqual(w, '"') | bytesEqual(w, '\\') | (w-lows*' ')&highs | w&highs; found != 0 {
				i += bits.TrailingZeros64(found) / 8
				break
			}
			i += 8
		}
		for i < len(text) && ordinary[text[i]] {
			i++
		}
		if c.i = i; i == len(text) {
			c.fail("closing quote")
			return
		}
		switch b := text[i]; {
		case b == '"':
			c.i++
			return
		case b == '\\':
			c.escape()
		case b < ' ':
			c.fail("character of a string")
		default:
			c.character()
		}
		if c.err != nil {
			return
		}
		i = c.i
	}
}

// ordinary are the ASCII characters that stand for themselves in a string.
var ordinary = func() (table [256]bool) {
	for b := ' '; b < utf8.RuneSelf; b++ {
		table[b] = b != '"' && b != '\\'
	}
	return table
}()

func (c *compactor) escape() {
	rest := c.text[c.i+1:]
	if len(rest) == 0 {
		c.fail("escape sequence")
		return
	}
	switch rest[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		c.i += 2
	case 'u':
		for k := 1; k <= 4; k++ {
			if k >= len(rest) || !isHex(rest[k]) {
				c.fail("escape sequence")
				return
			}
		}
		c.i += 6
	default:
		c.fail("escape sequence")
	}
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

// character reads a character that is not ASCII.
func (c *compactor) character() {
	r, size := utf8.DecodeRune(c.text[c.i:])
	if r == utf8.RuneError && size == 1 {
		c.copy()
		c.dst = append(c.dst, "\uFFFD"...)
		c.from++
	}
	c.i += size
}

func (c *compactor) literal(word string) {
	if end := c.i + len(word); end <= len(c.text) && string(c.text[c.i:end]) == word {
		c.i = end
		return
	}
	c.fail(word)
}

func (c *compactor) number() {
	text, i := c.text, c.i
	if text[i] == '-' {
		i++
	}
	start := i
	if i = skipDigits(text, i); i == start {
		c.i = i
		c.fail("digit")
		return
	}
	if text[start] == '0' {
		i = start + 1 // no other digit may follow, and if one does, it is not what comes behind a value
	}
	if i < len(text) && text[i] == '.' {
		start = i + 1
		if i = skipDigits(text, start); i == start {
			c.i = i
			c.fail("digit")
			return
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		start = i
		if i = skipDigits(text, start); i == start {
			c.i = i
			c.fail("digit")
			return
		}
	}
	c.i = i
}

func skipDigits(text []byte, i int) int {
	for i < len(text) && text[i]-'0' <= 9 {
		i++
	}
	return i
}
