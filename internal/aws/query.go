package aws

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
)

const (
	maxFormParameters = 10_000 // in one request; Amazon's largest calls have some hundreds
	maxFormDepth      = 16     // dots in a parameter's name; the deepest in the models is SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue
)

// A form is the parameters of a query request as a tree: A.1.Name=x is the value "x" at A → 1 → Name.
type form struct {
	value string
	set   bool // whether there is a value here
	kids  map[string]*form
}

func newForm(values url.Values) (*form, error) {
	if len(values) > maxFormParameters {
		return nil, rialto.WithCode(rialto.Invalid, "MalformedQueryString", "The request has more than %d parameters.", maxFormParameters)
	}
	root := &form{}
	for name, v := range values {
		if strings.Count(name, ".") > maxFormDepth {
			return nil, rialto.WithCode(rialto.Invalid, "MalformedQueryString", "The name of a parameter has more than %d parts.", maxFormDepth+1)
		}
		f := root
		for part := range strings.SplitSeq(name, ".") {
			f = f.grow(part)
		}
		f.value, f.set = v[len(v)-1], true
	}
	return root, nil
}

func (f *form) grow(name string) *form {
	kid := f.kids[name]
	if kid == nil {
		kid = &form{}
		if f.kids == nil {
			f.kids = map[string]*form{}
		}
		f.kids[name] = kid
	}
	return kid
}

// items are the kids whose names are numbers, in the order of these. Numbers may be left out.
func (f *form) items() []*form {
	type item struct {
		n int
		f *form
	}
	var items []item
	for name, kid := range f.kids {
		if n, err := strconv.Atoi(name); err == nil && n > 0 {
			items = append(items, item{n, kid})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return a.n - b.n })
	list := make([]*form, len(items))
	for i := range items {
		list[i] = items[i].f
	}
	return list
}

// queryDecoder reads the inputs of the same shapes from a form.
type queryDecoder struct {
	at     *form   // the value that is read next
	member *Member // the member that it belongs to, for the names of lists and maps
	open   []formScope
	err    error
}

// A formScope is a structure, list or map that is open.
type formScope struct {
	f      *form
	shape  *Shape  // of a structure
	member *Member // of a list or map
	items  []*form // of a list or map, those still to come
	next   int     // of a structure, the member to look at next
}

func (d *queryDecoder) Err() error { return d.err }
func (d *queryDecoder) free()      {}

func (d *queryDecoder) top() *formScope { return &d.open[len(d.open)-1] }
func (d *queryDecoder) pop()            { d.open = d.open[:len(d.open)-1] }

func (d *queryDecoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = rialto.WithCode(rialto.Invalid, "MalformedInput", format, args...)
	}
}

func (d *queryDecoder) BeginStruct(s *Shape) {
	d.open = append(d.open, formScope{f: d.at, shape: s})
}

func (d *queryDecoder) NextMember() int {
	if d.err != nil {
		return -1
	}
	scope := d.top()
	for i := scope.next; i < len(scope.shape.Members); i++ {
		m := &scope.shape.Members[i]
		if kid := scope.f.kids[m.query()]; kid != nil {
			scope.next = i + 1
			d.at, d.member = kid, m
			return i
		}
	}
	d.pop()
	return -1
}

// elements is where the elements of the list or map that is read next are.
func (d *queryDecoder) elements() *form {
	if d.member.Item == "" {
		return d.at
	}
	if kid := d.at.kids[d.member.Item]; kid != nil {
		return kid
	}
	return &form{}
}

func (d *queryDecoder) BeginList() {
	items := d.elements().items()
	if d.at.value != "" && len(items) == 0 {
		items = []*form{d.at} // AttributeName=All, without a number, is accepted as a list of one; SDKs write an empty list as AttributeName=
	}
	d.open = append(d.open, formScope{f: d.at, member: d.member, items: items})
}

func (d *queryDecoder) NextItem() bool {
	scope := d.top()
	if d.err != nil || len(scope.items) == 0 {
		d.pop()
		return false
	}
	d.at, d.member = scope.items[0], scope.member
	scope.items = scope.items[1:]
	return true
}

func (d *queryDecoder) BeginMap() {
	items := d.elements().items()
	if d.at.kids[d.member.Key] != nil && len(items) == 0 {
		items = []*form{d.at} // Attribute.Name=x&Attribute.Value=y likewise
	}
	d.open = append(d.open, formScope{f: d.at, member: d.member, items: items})
}

func (d *queryDecoder) NextKey() (string, bool) {
	scope := d.top()
	if d.err != nil || len(scope.items) == 0 {
		d.pop()
		return "", false
	}
	entry := scope.items[0]
	scope.items = scope.items[1:]
	key, value := entry.kids[scope.member.Key], entry.kids[scope.member.Value]
	if key == nil || !key.set {
		d.fail("An entry of %s has no %s.", scope.member.query(), scope.member.Key)
		d.pop()
		return "", false
	}
	if value == nil {
		value = &form{}
	}
	d.at, d.member = value, scope.member
	return key.value, true
}

func (d *queryDecoder) String() string { return d.at.value }

func (d *queryDecoder) Bool() bool {
	switch strings.ToLower(d.at.value) {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	d.fail("Value %q for parameter %s is not a Boolean.", d.at.value, d.member.query())
	return false
}

func (d *queryDecoder) integer(bits int) int64 {
	n, err := strconv.ParseInt(d.at.value, 10, bits)
	if err != nil {
		d.fail("Value %q for parameter %s is not an Integer.", d.at.value, d.member.query())
		return 0
	}
	return n
}

func (d *queryDecoder) Int32() int32 { return int32(d.integer(32)) }
func (d *queryDecoder) Int64() int64 { return d.integer(64) }

func (d *queryDecoder) Time() time.Time {
	t, err := time.Parse(time.RFC3339, d.at.value)
	if err != nil {
		d.fail("Value %q for parameter %s is not a time such as 2026-01-02T15:04:05Z.", d.at.value, d.member.query())
	}
	return t.UTC()
}

func (d *queryDecoder) Blob() []byte {
	b, err := base64.StdEncoding.DecodeString(d.at.value)
	if err != nil {
		d.fail("Value for parameter %s is not Base64.", d.member.query())
	}
	return b
}
