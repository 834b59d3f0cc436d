package aws

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// renderer writes a value as the service shows it in a message: PutEventsRequestEntry(time=null, source=a), [a, b], {k=v}.
// That is how Java prints objects, which is what the service is made of. The zero value is ready to use.
type renderer struct {
	buf    []byte
	shapes []*Shape
	inside bool // whether something stands before the next item, so that a comma must come between
}

// maxShown is how many bytes of a value a message shows, lest a small request make a huge answer.
const maxShown = 64 << 10

// shown is what was rendered.
func (r *renderer) shown() string {
	if len(r.buf) > maxShown {
		return strings.ToValidUTF8(string(r.buf[:maxShown]), "") + "..."
	}
	return string(r.buf)
}

// put writes something before which a comma may belong.
func (r *renderer) put(s string) {
	if r.inside {
		r.buf = append(r.buf, ", "...)
	}
	r.buf = append(r.buf, s...)
	r.inside = true
}

func (r *renderer) open(s string, mark byte) {
	r.put(s)
	r.buf = append(r.buf, mark)
	r.inside = false
}

func (r *renderer) close(mark byte) {
	r.buf = append(r.buf, mark)
	r.inside = true
}

func (r *renderer) BeginStruct(s *Shape) {
	r.open(s.Name, '(')
	r.shapes = append(r.shapes, s)
}

func (r *renderer) Member(i int, present bool) bool {
	m := &r.shapes[len(r.shapes)-1].Members[i]
	r.open(lowerCamel(m.Name), '=')
	switch {
	case !present:
		r.put("null")
	case m.Sensitive:
		r.put("***Sensitive Data Redacted***")
		return false
	}
	return present
}

func (r *renderer) EndStruct() {
	for _, name := range r.shapes[len(r.shapes)-1].Hidden {
		r.put(lowerCamel(name) + "=null")
	}
	r.shapes = r.shapes[:len(r.shapes)-1]
	r.close(')')
}

func (r *renderer) BeginList()   { r.open("", '[') }
func (r *renderer) EndList()     { r.close(']') }
func (r *renderer) BeginMap()    { r.open("", '{') }
func (r *renderer) Key(s string) { r.open(s, '=') }
func (r *renderer) EndMap()      { r.close('}') }

func (r *renderer) String(s string)  { r.put(s) }
func (r *renderer) Bool(b bool)      { r.put(strconv.FormatBool(b)) }
func (r *renderer) Int(n int64)      { r.put(strconv.FormatInt(n, 10)) }
func (r *renderer) Blob(b []byte)    { r.put(base64.StdEncoding.EncodeToString(b)) }
func (r *renderer) Time(t time.Time) { r.put(t.UTC().Format("Mon Jan 02 15:04:05 UTC 2006")) }

// lowerCamel is the name of a member in messages: eventBusName for EventBusName.
func lowerCamel(name string) string {
	first, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(first)) + name[n:]
}
