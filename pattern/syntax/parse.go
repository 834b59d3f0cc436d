package syntax

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limits on what Parse takes. AWS's own, 4096 characters, is checked with the shape of the request.
const (
	MaxSize   = 64 << 10 // bytes of a pattern
	maxFields = 1 << 19  // fields of all alternatives together, so that $or cannot multiply a long pattern into gigabytes
)

// Parse reads an event pattern. Its errors are of type [*Error].
//
// As in AWS's engine, every occurrence of a duplicate key is checked and the last one counts. A dot in a field's name
// means the same as a nested object. What looks like an $or but is none, is a field of that name if it can be one.
func Parse(text []byte) (*Pattern, error) { return ParseUpTo(MaxSize, text) }

// ParseUpTo is [Parse] with another limit on the size, for those who speak the same language under other limits.
func ParseUpTo(maxSize int, text []byte) (*Pattern, error) {
	p := &parser{s: scanner{text: string(text)}}
	if err := p.check(maxSize); err != nil {
		return nil, err
	}
	root, err := p.document()
	if err != nil && p.sawOr {
		root, err = p.withoutOr(err)
	}
	if err != nil {
		return nil, err
	}
	alternatives, err := expand(root)
	if err != nil {
		return nil, p.unlocated("%s", err)
	}
	if tooComplex(alternatives) {
		return nil, p.unlocated("Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character")
	}
	return &Pattern{Text: p.s.text, Alternatives: alternatives}, nil
}

// A parser turns tokens into a group. Its methods follow AWS's compiler step by step, since what that has read when it
// complains decides the column of the message.
type parser struct {
	s       scanner
	plainOr bool // $or is a name like others
	sawOr   bool
}

const tooFewBranches = "There must have at least 2 Objects in $or relationship."

// withoutOr reads the pattern again, as it was read before there was $or. If that fails too, the error of the first
// reading stands, except that a single branch is answered as AWS has been seen to answer it, with the second error.
func (p *parser) withoutOr(first error) (group, error) {
	e, ok := errors.AsType[*Error](first)
	if !ok || !e.Located() {
		return nil, first
	}
	again := &parser{s: scanner{text: p.s.text}, plainOr: true}
	root, err := again.document()
	if err != nil && e.Reason != tooFewBranches {
		err = first
	}
	return root, err
}

// check looks at the text as a whole.
func (p *parser) check(maxSize int) error {
	if n := len(p.s.text); n > maxSize {
		p.s.text = "" // too long to quote
		return p.unlocated("the pattern has %d bytes, more than %d", n, maxSize)
	}
	for i, r := range p.s.text {
		if _, size := utf8.DecodeRuneInString(p.s.text[i:]); r == utf8.RuneError && size == 1 {
			return p.s.errorAt(i, fmt.Sprintf("Invalid UTF-8 start byte 0x%x", p.s.text[i]))
		}
	}
	return nil
}

// CheckJSON reports what AWS would say of a text that is no JSON, or no UTF-8, whatever it means.
func CheckJSON(text []byte) error {
	p := &parser{s: scanner{text: string(text)}}
	if err := p.check(len(text)); err != nil {
		return err
	}
	for p.s.next() != noToken {
	}
	return p.syntaxError()
}

func (p *parser) document() (group, error) {
	if p.s.next() != startObject {
		return nil, p.errorf("Filter is not an object")
	}
	var root group
	if err := p.object(&root, nil, false); err != nil {
		return nil, err
	}
	if p.s.next() != noToken || p.s.err != nil {
		return nil, p.errorf("Only one object is allowed")
	}
	return root, nil
}

// object reads the fields of the object that was opened under path, nested ones too, into g.
func (p *parser) object(g *group, path []string, inOr bool) error {
	fields := 0
	for ; ; fields++ {
		switch p.s.next() {
		case endObject:
			if fields == 0 {
				return p.errorf("Empty objects are not allowed")
			}
			return nil
		case fieldName:
			if err := p.field(g, path, inOr); err != nil {
				return err
			}
		default:
			return p.s.err
		}
	}
}

// field reads the value of the field whose name was read.
func (p *parser) field(g *group, path []string, inOr bool) error {
	name := p.s.name
	if name == "$or" && !p.plainOr {
		p.sawOr = true
		return p.or(g, path)
	}
	if inOr && reserved[name] {
		return p.errorf("%s is Ruler reserved fieldName which cannot be used inside $or.", name)
	}
	path = append(path[:len(path):len(path)], name)
	switch p.s.next() {
	case startObject:
		return p.object(g, path, inOr)
	case startArray:
		tests, err := p.tests()
		if err != nil {
			return err
		}
		g.add(path, tests)
		return nil
	default:
		return p.errorf(`"%s" must be an object or an array`, name)
	}
}

// or reads the array of $or.
func (p *parser) or(g *group, path []string) error {
	if p.s.next() != startArray {
		return p.errorf("It must be an Array followed with $or.")
	}
	var branches []group
	for {
		switch p.s.next() {
		case endArray:
			if len(branches) < 2 {
				return p.errorf(tooFewBranches)
			}
			g.addOr(branches)
			return nil
		case startObject:
			var b group
			if err := p.object(&b, path, true); err != nil {
				return err
			}
			branches = append(branches, b)
		default:
			return p.errorf("Only JSON object is allowed in array of $or relationship.")
		}
	}
}

// tests reads the items of a field's array.
func (p *parser) tests() ([]Test, error) {
	var tests []Test
	for {
		var t Test
		switch p.s.next() {
		case endArray:
			if len(tests) == 0 {
				return nil, p.errorf("Empty arrays are not allowed")
			}
			return tests, nil
		case startObject:
			var err error
			if t, err = p.operator(); err != nil {
				return nil, err
			}
		case stringValue:
			t = Test{Op: Equal, Text: p.s.valueText()}
		case integer, float:
			t = equalNumber(p.s.valueText())
		case nullValue:
			t = Test{Op: EqualNull}
		case trueValue:
			t = Test{Op: EqualTrue}
		case falseValue:
			t = Test{Op: EqualFalse}
		default:
			return nil, p.errorf("Match value must be String, number, true, false, or null")
		}
		tests = append(tests, t)
	}
}

// reserved are the names that no field inside $or may have: the operators that exist and some that AWS keeps for later.
var reserved = setOf("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric",
	"cidr", "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after", "date-on-or-after",
	"date-before", "date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range")

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// errorf makes an error at the position reached, unless the text was not JSON: then that is what is wrong.
func (p *parser) errorf(format string, args ...any) error {
	if p.s.err != nil {
		return p.s.err
	}
	return p.s.errorAt(p.s.pos, fmt.Sprintf(format, args...))
}

// unlocated makes an error without a place: AWS checks some things after it has put its parser away.
func (p *parser) unlocated(format string, args ...any) error {
	if p.s.err != nil {
		return p.s.err
	}
	return &Error{Reason: fmt.Sprintf(format, args...), Pattern: p.s.text}
}
