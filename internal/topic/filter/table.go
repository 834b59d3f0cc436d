package filter

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/pattern"
)

// A Table is the policies of a topic, in an order. It reads a message once, whatever their number.
type Table struct {
	size       int
	all        []int // the places of those that want every message
	attributes pattern.Set
	names      map[string]bool // of attributes that policies may ask for
	body       pattern.Set
}

// NewTable makes a table of policies. One that is nil wants every message.
func NewTable(policies []*Policy) *Table {
	t := &Table{size: len(policies), names: make(map[string]bool)}
	for i, p := range policies {
		switch {
		case p == nil || p.pattern == nil:
			t.all = append(t.all, i)
		case p.scope == MessageBody:
			t.body.Add(pattern.ID(i), p.pattern)
		default:
			t.attributes.Add(pattern.ID(i), p.pattern)
			for _, a := range p.pattern.Alternatives {
				for _, f := range a {
					t.names[f.Path] = true
				}
			}
		}
	}
	return t
}

// Match returns the places of the policies that want the message, from the first to the last.
func (t *Table) Match(n *notification.Notification) []int {
	if len(t.all) == t.size {
		return t.all
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	found := slices.Clone(t.all)
	if t.attributes.Len() > 0 {
		s.text = t.appendAttributes(s.text[:0], s, n.Attributes)
		found = s.match(&t.attributes, s.text, found)
	}
	if t.body.Len() > 0 {
		var err error
		if s.text, err = s.appendJSON(s.text[:0], n.Message); err == nil {
			found = s.match(&t.body, s.text, found)
		}
	}
	slices.Sort(found)
	return found
}

// A scratch is the working memory of a match.
type scratch struct {
	pattern pattern.Scratch
	text    []byte // what is matched
	compact []byte // a text on its way there
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// match appends the places of the policies that match an object. What is no object, and what is contrived to be hard, matches none.
func (s *scratch) match(set *pattern.Set, object []byte, found []int) []int {
	ids, err := set.Match(object, &s.pattern)
	if err != nil {
		return found
	}
	for _, id := range ids {
		found = append(found, int(id))
	}
	return found
}

// appendJSON appends a JSON text with its numbers rounded, if it is one.
func (s *scratch) appendJSON(dst []byte, text string) ([]byte, error) {
	var err error
	s.compact = append(s.compact[:0], text...)
	end := len(s.compact)
	if s.compact, err = pattern.AppendCompact(s.compact, s.compact[:end:end]); err != nil {
		return dst, err
	}
	return appendRounded(dst, s.compact[end:]), nil
}

// appendAttributes appends the attributes that policies ask for as an object.
func (t *Table) appendAttributes(dst []byte, s *scratch, attributes map[string]notification.Attribute) []byte {
	dst = append(dst, '{')
	for name, a := range attributes {
		if !t.names[name] || a.IsBinary() {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		dst = s.appendValue(dst, a)
	}
	return append(dst, '}')
}

// appendValue appends the value of an attribute: a number, the elements of an array, or text, which is also what is not what its type says.
func (s *scratch) appendValue(dst []byte, a notification.Attribute) []byte {
	switch kind(a.Type) {
	case array:
		if with, err := s.appendJSON(dst, a.String); err == nil && with[len(dst)] == '[' {
			return with
		}
	case number:
		if with, ok := appendNumeral(dst, a.String); ok {
			return with
		}
	}
	return appendQuoted(dst, a.String)
}

func appendQuoted(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) // writes U+FFFD for what is no UTF-8, and complains of nothing else
	return dst
}

// A valueKind is how the value of an attribute is read.
type valueKind int

const (
	plain valueKind = iota
	number
	array
)

// kind is the kind of a type, which may have a name of the user's own behind a dot.
func kind(name string) valueKind {
	head, tail, _ := strings.Cut(name, ".")
	switch {
	case head == "Number":
		return number
	case head == "String" && (tail == "Array" || strings.HasPrefix(tail, "Array.")):
		return array
	}
	return plain
}

// appendNumeral appends the value of an attribute of type Number, which may be written in ways that JSON does not know, such as +1 or .5.
func appendNumeral(dst []byte, text string) ([]byte, bool) {
	text = strings.TrimSpace(text)
	for i := range len(text) {
		if !inNumber(text[i]) {
			return dst, false
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return dst, false
	case comparable(v):
		return strconv.AppendFloat(dst, v, 'f', decimals, 64), true
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64), true
}
