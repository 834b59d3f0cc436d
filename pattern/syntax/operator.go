package syntax

import (
	"errors"
	"math"
	"strings"
)

const (
	onlyOneKey = "Only one key allowed in match expression"
	tooMany    = "Too many elements in numeric expression"
)

// operator reads a match expression, such as {"prefix": "a"}, whose brace was read.
func (p *parser) operator() (Test, error) {
	if p.s.next() != fieldName {
		return Test{}, p.errorf("Match expression name not found")
	}
	switch name := p.s.name; name {
	case "exactly":
		return p.stringTest(Equal, "exact match pattern must be a string")
	case "prefix":
		return p.affix(Prefix, PrefixFold, "prefix", "Prefix")
	case "suffix":
		return p.affix(Suffix, SuffixFold, "suffix", "Suffix")
	case "equals-ignore-case":
		return p.stringTest(EqualFold, "equals-ignore-case match pattern must be a string")
	case "wildcard":
		return p.wildcard()
	case "numeric":
		return p.numeric()
	case "cidr":
		return p.cidr()
	case "exists":
		return p.exists()
	case "anything-but":
		return p.anythingBut()
	default:
		return Test{}, p.errorf("Unrecognized match type %s", name)
	}
}

// end reads the brace that ends a match expression.
func (p *parser) end(t Test, otherwise string) (Test, error) {
	if p.s.next() != endObject {
		return Test{}, p.errorf("%s", otherwise)
	}
	return t, nil
}

// stringTest reads a string operand.
func (p *parser) stringTest(op Op, otherwise string) (Test, error) {
	if p.s.next() != stringValue {
		return Test{}, p.errorf("%s", otherwise)
	}
	return p.end(Test{Op: op, Text: p.s.valueText()}, onlyOneKey)
}

// affix reads the operand of prefix or suffix: a string or {"equals-ignore-case": string}.
func (p *parser) affix(op, fold Op, name, title string) (Test, error) {
	switch p.s.next() {
	case stringValue:
		return p.end(Test{Op: op, Text: p.s.valueText()}, onlyOneKey)
	case startObject:
		if p.s.next() != fieldName {
			return Test{}, p.errorf("%s expression name not found", title)
		}
		if p.s.name != "equals-ignore-case" {
			return Test{}, p.errorf("Unsupported %s pattern: %s", name, p.s.name)
		}
		t, err := p.stringTest(fold, "equals-ignore-case match pattern must be a string")
		if err != nil {
			return Test{}, err
		}
		return p.end(t, onlyOneKey)
	default:
		return Test{}, p.errorf("%s match pattern must be a string", name)
	}
}

func (p *parser) exists() (Test, error) {
	switch p.s.next() {
	case trueValue:
		return p.end(Test{Op: Exists}, onlyOneKey)
	case falseValue:
		return p.end(Test{Op: Absent}, onlyOneKey)
	default:
		return Test{}, p.errorf("exists match pattern must be either true or false.")
	}
}

func (p *parser) wildcard() (Test, error) {
	if p.s.next() != stringValue {
		return Test{}, p.errorf("wildcard match pattern must be a string")
	}
	t, err := wildcard(p.s.valueText())
	if err != nil {
		return Test{}, p.errorf("%s", err)
	}
	return p.end(t, onlyOneKey)
}

func (p *parser) cidr() (Test, error) {
	if p.s.next() != stringValue {
		return Test{}, p.errorf("prefix match pattern must be a string") // sic
	}
	text := p.s.valueText()
	if p.s.err != nil {
		return Test{}, p.s.err
	}
	net, err := parseNet(text)
	if err != nil {
		return Test{}, p.unlocated("%s", err)
	}
	return p.end(Test{Op: CIDR, Text: text, Net: net}, onlyOneKey)
}

// numeric reads ["=", n], one bound, or a lower and an upper bound.
func (p *parser) numeric() (Test, error) {
	if p.s.next() != startArray {
		return Test{}, p.errorf("Value of numeric must be an array.")
	}
	r, err := p.numericRange()
	if err != nil {
		return Test{}, err
	}
	return p.end(Test{Op: Numeric, Range: r}, tooMany)
}

func (p *parser) numericRange() (Range, error) {
	none := Range{Low: math.Inf(-1), High: math.Inf(1)}
	if t := p.s.next(); t != stringValue {
		return none, p.errorf("Invalid member in numeric match: %s", p.text(t))
	}
	op := p.s.valueText()
	bound := p.s.next()
	name, known := map[string]string{"=": "equals", "<": "<", "<=": "<=", ">": ">", ">=": ">="}[op]
	if !known {
		return none, p.errorf("Unrecognized numeric range operator: %s", op)
	}
	if !bound.isNumber() {
		return none, p.errorf("Value of %s must be numeric", name)
	}
	first := p.s.valueText()
	next := p.s.next()
	r := none
	if next != endArray {
		if op != ">" && op != ">=" {
			return none, p.errorf(tooMany)
		}
		top, second, err := p.upperBound(next)
		if err != nil {
			return none, err
		}
		return p.between(op, first, top, second)
	}
	n := ParseNumber(first)
	if !n.Comparable {
		return none, p.errorf("%s", errIncomparable(first))
	}
	switch op {
	case "=":
		r.Low, r.High = n.Value, n.Value
	case ">", ">=":
		r.Low, r.LowOpen = n.Value, op == ">"
	default:
		r.High, r.HighOpen = n.Value, op == "<"
	}
	return r, nil
}

// upperBound reads the second operator, whose token was read, its number, and the end of the array.
func (p *parser) upperBound(t token) (op, number string, err error) {
	if t != stringValue {
		return "", "", p.errorf("Bad value in numeric range: %s", p.text(t))
	}
	op = p.s.valueText()
	if op != "<" && op != "<=" {
		return "", "", p.errorf("Bad numeric range operator: %s", op)
	}
	if !p.s.next().isNumber() {
		return "", "", p.errorf("Value of %s must be numeric", op)
	}
	number = p.s.valueText()
	if p.s.next() != endArray {
		return "", "", p.errorf("Too many terms in numeric range expression")
	}
	return op, number, nil
}

func (p *parser) between(bottom, low, top, high string) (Range, error) {
	l, h := ParseNumber(low), ParseNumber(high)
	switch {
	case !l.Comparable:
		return Range{}, p.errorf("%s", errIncomparable(low))
	case !h.Comparable:
		return Range{}, p.errorf("%s", errIncomparable(high))
	case l.Value >= h.Value:
		return Range{}, p.errorf("Bottom must be less than top")
	}
	return Range{Low: l.Value, LowOpen: bottom == ">", High: h.Value, HighOpen: top == "<"}, nil
}

// text is how a token that should not be there is quoted; a string is read to its end.
func (p *parser) text(t token) string {
	switch t {
	case startObject:
		return "{"
	case endObject:
		return "}"
	case startArray:
		return "["
	case endArray:
		return "]"
	case fieldName:
		return p.s.name
	default:
		return p.s.valueText()
	}
}

// anythingBut reads the operand of anything-but: values, or an operator with strings.
func (p *parser) anythingBut() (Test, error) {
	t := p.s.next()
	if t == startObject {
		return p.anythingButOperator()
	}
	not, err := p.negated(t, p.plainValue, "")
	if err != nil {
		return Test{}, err
	}
	return p.end(Test{Op: AnythingBut, Not: not}, tooMany)
}

func (p *parser) anythingButOperator() (Test, error) {
	if p.s.next() != fieldName {
		return Test{}, p.errorf("Anything-But expression name not found")
	}
	name := p.s.name
	var read func(token) (Test, error)
	switch name {
	case "equals-ignore-case":
		read = p.negatedString(EqualFold, "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.")
	case "prefix":
		read = p.negatedString(Prefix, "prefix/suffix match pattern must be a string")
	case "suffix":
		read = p.negatedString(Suffix, "prefix/suffix match pattern must be a string")
	case "wildcard":
		read = p.negatedString(Wildcard, "wildcard match pattern must be a string")
	default:
		return Test{}, p.errorf("Unsupported anything-but pattern: %s", name)
	}
	not, err := p.negated(p.s.next(), read, name)
	if err != nil {
		return Test{}, err
	}
	if _, err := p.end(Test{}, tooMany); err != nil {
		return Test{}, err
	}
	return p.end(Test{Op: AnythingBut, Not: not}, tooMany)
}

// negated reads one value, whose token was read, or a list of them.
func (p *parser) negated(t token, read func(token) (Test, error), operator string) ([]Test, error) {
	switch t {
	case stringValue, integer, float:
		one, err := read(t)
		if err != nil {
			return nil, err
		}
		if one, err = p.finish(one); err != nil {
			return nil, err
		}
		return []Test{one}, nil
	case startArray:
		return p.negatedList(read, operator)
	default:
		return nil, p.errorf("Value of anything-but must be an array or single string/number value.")
	}
}

// negatedList reads a list of values. AWS's compiler catches the errors of the items and wraps them into errors of its
// own, so these say twice where they are.
func (p *parser) negatedList(read func(token) (Test, error), operator string) ([]Test, error) {
	var list []Test
	for {
		t := p.s.next()
		if t == endArray {
			break
		}
		item, err := read(t)
		if err == nil {
			err = p.syntaxError()
		}
		if err != nil {
			return nil, p.wrap(err)
		}
		list = append(list, item)
	}
	if operator == "" && !uniform(list) {
		return nil, p.errorf("Inside anything but list, either all values are number or string, mixed type is not supported")
	}
	if len(list) == 0 {
		return nil, p.errorf("Empty arrays are not allowed") // AWS fails with an InternalFailure that says nothing
	}
	for i := range list {
		var err error
		if list[i], err = p.finish(list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// uniform reports whether the list is of strings only or of numbers only, and not empty.
func uniform(list []Test) bool {
	for _, t := range list {
		if t.Op != list[0].Op {
			return false
		}
	}
	return len(list) > 0
}

// plainValue makes a test of a string or number under anything-but.
func (p *parser) plainValue(t token) (Test, error) {
	switch t {
	case stringValue:
		return Test{Op: Equal, Text: p.s.valueText()}, nil
	case integer, float:
		text := p.s.valueText()
		test := equalNumber(text)
		if !test.Comparable {
			return Test{}, p.unlocated("%s", errIncomparable(text))
		}
		return test, nil
	default:
		return Test{}, p.errorf("Inside anything but list, start|null|boolean is not supported.")
	}
}

// negatedString returns a reader of a string under anything-but and an operator.
func (p *parser) negatedString(op Op, otherwise string) func(token) (Test, error) {
	return func(t token) (Test, error) {
		if t != stringValue {
			return Test{}, p.errorf("%s", otherwise)
		}
		text := p.s.valueText()
		if text == "" && (op == Prefix || op == Suffix) {
			return Test{}, p.errorf("Null prefix/suffix not allowed")
		}
		return Test{Op: op, Text: text}, nil
	}
}

// finish parses a negated wildcard. AWS does so after it has read the whole list.
func (p *parser) finish(t Test) (Test, error) {
	if t.Op != Wildcard {
		return t, nil
	}
	t, err := wildcard(t.Text)
	if err != nil {
		return Test{}, p.errorf("%s", err)
	}
	return t, nil
}

// wrap puts an error and its place into the reason of an error at the position reached.
func (p *parser) wrap(err error) error {
	inner, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	const head = "Event pattern is not valid. Reason: "
	return p.s.errorAt(p.s.pos, strings.TrimPrefix(inner.Error(), head))
}

// syntaxError is the scanner's error, if it has one.
func (p *parser) syntaxError() error {
	if p.s.err != nil {
		return p.s.err
	}
	return nil
}
