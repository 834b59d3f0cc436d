package policy

import (
	"encoding/json"
	"slices"
	"strings"
)

// keyPrincipalAccount is a condition key whose value every access has (IAM user guide, "Global condition context keys").
const keyPrincipalAccount = "aws:principalaccount"

// conditions are those of a statement: operators, then condition keys, then values of which one must fit.
type conditions map[string]map[string]list[operand]

// An operand is a value of a condition, which may be written as a string, a number or a boolean.
type operand string

func (o *operand) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(o))
	}
	*o = operand(b)
	return nil
}

// An answer says whether a condition holds.
type answer uint8

const (
	no answer = iota
	unknown
	yes
)

// hold reports whether all conditions hold.
func (c conditions) hold(a Access) answer {
	all := yes
	for operator, keys := range c {
		for key, operands := range keys {
			all = min(all, test(operator, strings.ToLower(key), operands, a))
		}
	}
	return all
}

// comparisons are the operators that do not negate, as IAM names them (IAM user guide, "Condition operators").
var comparisons = map[string]func(pattern, value string) bool{
	"StringEquals":           func(p, v string) bool { return p == v },
	"StringEqualsIgnoreCase": strings.EqualFold,
	"StringLike":             glob,
	"ArnEquals":              glob, // also the ones that say Equals take wildcards
	"ArnLike":                glob,
	"Bool":                   strings.EqualFold,
}

// test tests one key. Every key has one value at most, so that ForAnyValue and ForAllValues differ only where there is none.
func test(operator, key string, operands []operand, a Access) answer {
	operator, ifExists := strings.CutSuffix(operator, "IfExists")
	operator, some := strings.CutPrefix(operator, "ForAnyValue:")
	operator, every := strings.CutPrefix(operator, "ForAllValues:")
	value, known := a.value(key)
	if !known {
		return unknown
	}
	if operator == "Null" {
		return answerOf(slices.Contains(operands, "true") == (value == ""))
	}
	compare, negated := comparisons[strings.Replace(operator, "Not", "", 1)], strings.Contains(operator, "Not")
	switch {
	case compare == nil:
		return unknown
	case value == "":
		return answerOf(ifExists || every || negated && !some)
	}
	fits := slices.ContainsFunc(operands, func(o operand) bool {
		return compare(strings.ReplaceAll(string(o), "${aws:PrincipalAccount}", string(a.Account)), value)
	})
	return answerOf(fits != negated)
}

func answerOf(holds bool) answer {
	if holds {
		return yes
	}
	return no
}

// value is the value of a condition key, which is empty if it is absent. Case does not count in names of keys; here they are in lower case.
func (a Access) value(key string) (value string, known bool) {
	if key == keyPrincipalAccount {
		return string(a.Account), true
	}
	value, known = a.Context[key]
	return value, known
}
