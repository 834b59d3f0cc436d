package aws

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// renderer writes a value as the service shows it in a message: PutEventsRequestEntry(time=null, source=a), [a, b], {k=v}.
// That is how Java prints objects, which is what the service is made of.
type renderer struct {
	buf    []byte
	shapes []*Shape
}

func render(v Encodable) string {
	var r renderer
	v.Encode(&r)
	return string(r.buf)
}

// comma separates an item from the one before it. No value ends in one of the marks after which none belongs, save by content of
// the request, where a missing comma in a message does no harm.
func (r *renderer) comma() {
	if len(r.buf) == 0 {
		return
	}
	switch r.buf[len(r.buf)-1] {
	case '(', '[', '{', '=':
	default:
		r.buf = append(r.buf, ", "...)
	}
}

func (r *renderer) BeginStruct(s *Shape) {
	r.comma()
	r.buf = append(append(r.buf, s.Name...), '(')
	r.shapes = append(r.shapes, s)
}

func (r *renderer) Member(i int, present bool) bool {
	m := &r.shapes[len(r.shapes)-1].Members[i]
	r.comma()
	r.buf = append(append(r.buf, lowerCamel(m.Name)...), '=')
	switch {
	case !present:
		r.buf = append(r.buf, "null"...)
	case m.Sensitive:
		r.buf = append(r.buf, "***Sensitive Data Redacted***"...)
		return false
	}
	return present
}

func (r *renderer) EndStruct() {
	for _, name := range r.shapes[len(r.shapes)-1].Hidden {
		r.comma()
		r.buf = append(append(r.buf, lowerCamel(name)...), "=null"...)
	}
	r.buf = append(r.buf, ')')
	r.shapes = r.shapes[:len(r.shapes)-1]
}

func (r *renderer) BeginList() {
	r.comma()
	r.buf = append(r.buf, '[')
}

func (r *renderer) EndList() { r.buf = append(r.buf, ']') }

func (r *renderer) BeginMap() {
	r.comma()
	r.buf = append(r.buf, '{')
}

func (r *renderer) Key(s string) {
	r.comma()
	r.buf = append(append(r.buf, s...), '=')
}

func (r *renderer) EndMap() { r.buf = append(r.buf, '}') }

func (r *renderer) String(s string) {
	r.comma()
	r.buf = append(r.buf, s...)
}

func (r *renderer) Bool(b bool) {
	r.comma()
	r.buf = strconv.AppendBool(r.buf, b)
}

func (r *renderer) Int(n int64) {
	r.comma()
	r.buf = strconv.AppendInt(r.buf, n, 10)
}

func (r *renderer) Time(t time.Time) {
	r.comma()
	r.buf = t.UTC().AppendFormat(r.buf, "Mon Jan 02 15:04:05 UTC 2006")
}

func (r *renderer) Blob(b []byte) {
	r.comma()
	r.buf = base64.StdEncoding.AppendEncode(r.buf, b)
}

// lowerCamel is the name of a member in messages: eventBusName for EventBusName.
func lowerCamel(name string) string {
	first, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(first)) + name[n:]
}
