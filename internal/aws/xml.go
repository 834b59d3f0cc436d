package aws

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"strconv"
	"time"
)

// xmlEncoder writes the responses of the query protocol. A list or map is flat, which is to say that its element, by the name of the
// member, repeats; or it is an element of its own, in which others repeat that are all called [Member.Item].
type xmlEncoder struct {
	buf  bytes.Buffer
	open []xmlScope
}

// An xmlScope is what is being written: the members of a structure, the items of a list or the entries of a map.
type xmlScope struct {
	shape   *Shape  // of a structure
	member  *Member // the one being written
	mapping bool
}

// element is what the values in the scope are called, or the entries of a map.
func (s *xmlScope) element() string {
	if s.shape == nil && s.member.Item != "" {
		return s.member.Item
	}
	return s.member.query()
}

func (e *xmlEncoder) top() *xmlScope { return &e.open[len(e.open)-1] }
func (e *xmlEncoder) pop()           { e.open = e.open[:len(e.open)-1] }

func (e *xmlEncoder) start(name string) { e.buf.WriteString("<" + name + ">") }
func (e *xmlEncoder) end(name string)   { e.buf.WriteString("</" + name + ">") }

// before and after write the element around a value; in a map, the entry's key stands before it.
func (e *xmlEncoder) before() {
	if len(e.open) == 0 {
		return
	}
	if s := e.top(); s.mapping {
		e.start(s.member.Value)
	} else {
		e.start(s.element())
	}
}

func (e *xmlEncoder) after() {
	if len(e.open) == 0 {
		return
	}
	if s := e.top(); s.mapping {
		e.end(s.member.Value)
		e.end(s.element())
	} else {
		e.end(s.element())
	}
}

func (e *xmlEncoder) text(s string) {
	e.before()
	e.escape(s)
	e.after()
}

func (e *xmlEncoder) escape(s string) { _ = xml.EscapeText(&e.buf, []byte(s)) } // a bytes.Buffer takes everything

func (e *xmlEncoder) BeginStruct(s *Shape) {
	e.before()
	e.open = append(e.open, xmlScope{shape: s})
}

func (e *xmlEncoder) Member(i int, present bool) bool {
	e.top().member = &e.top().shape.Members[i]
	return present
}

func (e *xmlEncoder) EndStruct() {
	e.pop()
	e.after()
}

func (e *xmlEncoder) BeginList() { e.begin(xmlScope{member: e.top().member}) }
func (e *xmlEncoder) EndList()   { e.close() }

func (e *xmlEncoder) BeginMap() { e.begin(xmlScope{member: e.top().member, mapping: true}) }
func (e *xmlEncoder) EndMap()   { e.close() }

// begin begins a list or a map.
func (e *xmlEncoder) begin(s xmlScope) {
	if s.member.Item != "" {
		e.start(s.member.query())
	}
	e.open = append(e.open, s)
}

func (e *xmlEncoder) close() {
	if m := e.top().member; m.Item != "" {
		e.end(m.query())
	}
	e.pop()
}

func (e *xmlEncoder) Key(key string) {
	m := e.top().member
	e.start(e.top().element())
	e.start(m.Key)
	e.escape(key)
	e.end(m.Key)
}

func (e *xmlEncoder) String(s string)  { e.text(s) }
func (e *xmlEncoder) Bool(b bool)      { e.text(strconv.FormatBool(b)) }
func (e *xmlEncoder) Int(n int64)      { e.text(strconv.FormatInt(n, 10)) }
func (e *xmlEncoder) Blob(b []byte)    { e.text(base64.StdEncoding.EncodeToString(b)) }
func (e *xmlEncoder) Time(t time.Time) { e.text(t.UTC().Format("2006-01-02T15:04:05.000Z")) }
