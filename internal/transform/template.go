package transform

import (
	"bytes"
	"strings"
	"time"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/target"
)

// A template is a text with placeholders, cut at them. How values are written into it depends on its kind, which its first
// character decides (recorded on AWS):
//
//	{"ref": "orders/<id>", "total": <t>}      an object: values become JSON, and stay JSON inside quotes
//	"Order <id> over <t>"                     a text: values are written as they read, quotes and all
//
// Arrays and lone placeholders are texts too, so that [<id>] is no JSON if the value is a string. AWS behaves so.
type template struct {
	object bool
	parts  []part
}

// A part is a piece of the template as it stands, or a placeholder.
type part struct {
	text   string // the piece, or the placeholder with its angle brackets
	name   string // of the placeholder, or empty
	quoted bool   // the placeholder stands inside a JSON string

	value func(event []byte, ingested time.Time) (value []byte, ok bool) // of the placeholder, as JSON; nil if it is nobody's
}

// isObject reports whether a template is an object template.
func isObject(template string) bool {
	return strings.HasPrefix(strings.TrimLeft(template, " \t\r\n"), "{")
}

// split cuts a template into its parts.
func split(template string) []part {
	var parts []part
	quoted, start := false, 0
	for i := 0; i < len(template); i++ {
		switch template[i] {
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				i++
			}
		case '<':
			n := placeholderLen(template[i:])
			if n == 0 {
				continue
			}
			if i > start {
				parts = append(parts, part{text: template[start:i]})
			}
			parts = append(parts, part{text: template[i : i+n], name: template[i+1 : i+n-1], quoted: quoted})
			start = i + n
			i = start - 1
		}
	}
	if start < len(template) {
		parts = append(parts, part{text: template[start:]})
	}
	return parts
}

// placeholderLen is the length of the placeholder at the beginning of s, or 0 if there is none. Names have the characters of keys
// of the InputPathsMap, and the dots of the reserved ones.
func placeholderLen(s string) int {
	if s[0] != '<' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '>' && i > 1:
			return i + 1
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		default:
			return 0
		}
	}
	return 0
}

func compileTemplate(def *target.Definition) (*template, error) {
	t := &template{object: isObject(def.Transformer.Template), parts: split(def.Transformer.Template)}
	for i := range t.parts {
		p := &t.parts[i]
		if p.name == "" {
			continue
		}
		if variable, ok := reserved[p.name]; ok {
			p.value = variable(def)
			continue
		}
		text, ok := def.Transformer.Paths[p.name]
		if !ok {
			continue // without an InputPathsMap AWS takes any placeholder, and leaves it as it is (recorded on AWS)
		}
		path, err := jsonpath.Parse(text)
		if err != nil {
			return nil, err
		}
		p.value = func(event []byte, _ time.Time) ([]byte, bool) { return path.Find(event) }
	}
	return t, nil
}

// render fills the template.
func (t *template) render(event []byte, ingested time.Time) ([]byte, error) {
	out := make([]byte, 0, 512)
	for _, p := range t.parts {
		if p.value == nil {
			out = append(out, p.text...)
			continue
		}
		value, ok := p.value(event, ingested)
		if t.object {
			out = appendJSON(out, value, ok, p.quoted)
		} else if ok {
			out = appendPlain(out, value)
		}
	}
	if len(bytes.TrimLeft(out, " \t\r\n")) == 0 {
		return nil, ErrEmpty
	}
	if !acceptable(out) {
		return out, &target.Error{Code: target.CodeInvalidJSON, Message: "Invalid input for target.", Permanent: true}
	}
	return out, nil
}

// appendJSON writes a value into an object template. Inside quotes a string loses its own; an object keeps its quotes and so
// breaks the string that it is put into (recorded on AWS).
func appendJSON(out, value []byte, ok, quoted bool) []byte {
	switch {
	case !ok && quoted:
		return out
	case !ok:
		return append(out, `""`...)
	case quoted && value[0] == '"' && len(value) >= 2:
		return append(out, value[1:len(value)-1]...)
	}
	return append(out, value...)
}

// appendPlain writes a value into a text. Objects and arrays lose every quote (recorded on AWS).
func appendPlain(out, value []byte) []byte {
	if value[0] == '"' {
		return jsonpath.AppendText(out, value)
	}
	for _, c := range value {
		if c != '"' {
			out = append(out, c)
		}
	}
	return out
}
