package aws

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
)

// maxFailures bounds the failures that one message lists, since each of them shows a value that the caller has sent.
const maxFailures = 100

// A Constraint is what a service model asks of a value. The zero value asks nothing.
type Constraint struct {
	Min          int64 // least length of a string, list or map; least value of a number
	Max          int64 // greatest length or value; 0 is no limit
	Pattern      *Pattern
	Enum         []string
	Sensitive    bool // messages do not show the value
	PatternFirst bool // messages name the pattern before the length; which comes first was recorded shape by shape
}

// A Checker collects where an input breaks the constraints of its model, so that one message can tell of all. Generated code
// calls it member by member; [Checker.Err] is the error for the caller. The zero value is ready to use.
type Checker struct {
	failures []string
	path     []step
	missing  string // the first required parameter that is absent, in a model without constraints
}

// A step leads from a value to one inside it: a member, then perhaps an item of a list.
type step struct {
	member string
	item   int // of a list, from 1; 0 is none
}

// Err is a [rialto.Error] if anything has failed.
func (c *Checker) Err() error {
	switch n := len(c.failures); {
	case c.missing != "":
		return rialto.WithCode(rialto.Invalid, "MissingRequiredParameterException", "The request must contain the parameter %s.", c.missing)
	case n == 1:
		return rialto.WithCode(rialto.Invalid, "ValidationException", "1 validation error detected: %s", c.failures[0])
	case n > 1:
		return rialto.WithCode(rialto.Invalid, "ValidationException", "%d validation errors detected: %s", n, strings.Join(c.failures, "; "))
	}
	return nil
}

// Required reports a member that is absent though it must not be.
func (c *Checker) Required(member string, present bool) {
	if !present {
		c.add("Value null at '" + c.at(member) + "' failed to satisfy constraint: Member must not be null")
	}
}

// Parameter is Required for services, such as SQS, that name the first missing parameter and check nothing else up front. An
// empty string counts as absent there.
func (c *Checker) Parameter(name string, present bool) {
	if c.missing != "" || present {
		return
	}
	var path strings.Builder
	for _, s := range c.path {
		path.WriteString(s.member + "." + strconv.Itoa(s.item) + ".")
	}
	c.missing = path.String() + name
}

// String checks a string or an enum value; absent ones pass.
func String[S ~string](c *Checker, member string, value *S, k *Constraint) {
	if value == nil {
		return
	}
	for _, text := range k.ofString(string(*value)) {
		c.fail(member, string(*value), k.Sensitive, text)
	}
}

// Int checks a number; absent ones pass.
func Int[N int32 | int64](c *Checker, member string, value *N, k *Constraint) {
	if value == nil {
		return
	}
	n, shown := int64(*value), strconv.FormatInt(int64(*value), 10)
	if k.Max != 0 && n > k.Max {
		c.fail(member, shown, k.Sensitive, "Member must be less than or equal to "+strconv.FormatInt(k.Max, 10))
	}
	if n < k.Min {
		c.fail(member, shown, k.Sensitive, "Member must be greater than or equal to "+strconv.FormatInt(k.Min, 10))
	}
}

// Struct checks a structure; absent ones pass.
func Struct[T any, P interface {
	*T
	Check(*Checker)
}](c *Checker, member string, value P) {
	if value == nil {
		return
	}
	c.path = append(c.path, step{member: member})
	value.Check(c)
	c.path = c.path[:len(c.path)-1]
}

// Structs checks the length of a list, then each structure in it; absent lists pass.
func Structs[T any, P interface {
	Output[T]
	Check(*Checker)
}](c *Checker, member string, list []T, k *Constraint) {
	if list == nil {
		return
	}
	if text := k.ofLength(len(list)); text != "" {
		var r renderer
		EncodeStructs[T, P](&r, list)
		c.fail(member, r.shown(), k.Sensitive, text)
	}
	c.path = append(c.path, step{member: member})
	for i := range list {
		if c.full() {
			break
		}
		c.path[len(c.path)-1].item = i + 1
		P(&list[i]).Check(c)
	}
	c.path = c.path[:len(c.path)-1]
}

// Strings checks the length of a list and then what the model asks of each item. Items that break it make one failure that shows
// the whole list and all that is asked, as the service does.
func Strings[S ~string](c *Checker, member string, list []S, k, each *Constraint) {
	if list == nil {
		return
	}
	text := k.ofLength(len(list))
	bad := slices.ContainsFunc(list, func(s S) bool { return each.ofString(string(s)) != nil })
	if text == "" && !bad {
		return
	}
	var r renderer
	EncodeStrings(&r, list)
	if text != "" {
		c.fail(member, r.shown(), k.Sensitive || each.Sensitive, text)
	}
	if bad {
		c.fail(member, r.shown(), k.Sensitive || each.Sensitive, "Member must satisfy constraint: "+each.describe())
	}
}

// StringMaps checks the length of a list of maps.
func StringMaps(c *Checker, member string, list []map[string]string, k *Constraint) {
	if text := k.ofLength(len(list)); text != "" && list != nil {
		var r renderer
		EncodeStringMaps(&r, list)
		c.fail(member, r.shown(), k.Sensitive, text)
	}
}

// StringMap checks the number of a map's entries, its keys and its values, like Strings.
func StringMap(c *Checker, member string, m map[string]string, k, key, value *Constraint) {
	var texts []string
	if text := k.ofLength(len(m)); text != "" && m != nil {
		texts = append(texts, text)
	}
	badKey, badValue := false, false
	for name, v := range m {
		badKey = badKey || key.ofString(name) != nil
		badValue = badValue || value.ofString(v) != nil
	}
	if badKey {
		texts = append(texts, "Map keys must satisfy constraint: "+key.describe())
	}
	if badValue {
		texts = append(texts, "Map value must satisfy constraint: "+value.describe())
	}
	if texts == nil {
		return
	}
	var r renderer
	EncodeStringMap(&r, m)
	for _, text := range texts {
		c.fail(member, r.shown(), k.Sensitive || value.Sensitive, text)
	}
}

// ofString lists what the model asks of a string and s does not satisfy.
func (k *Constraint) ofString(s string) (texts []string) {
	if k.Enum != nil && !slices.Contains(k.Enum, s) {
		texts = append(texts, k.enum())
	}
	pattern := k.Pattern != nil && !k.Pattern.Match(s)
	if pattern && k.PatternFirst {
		texts = append(texts, k.pattern())
	}
	if k.Max != 0 || k.Min != 0 {
		if text := k.ofLength(utf8.RuneCountInString(s)); text != "" {
			texts = append(texts, text)
		}
	}
	if pattern && !k.PatternFirst {
		texts = append(texts, k.pattern())
	}
	return texts
}

// ofLength says what is wrong with a length, or nothing. The length of a string is counted in Unicode code points, as the Smithy
// specification defines it.
func (k *Constraint) ofLength(n int) string {
	switch {
	case k.Max != 0 && int64(n) > k.Max:
		return k.longest()
	case int64(n) < k.Min:
		return k.shortest()
	}
	return ""
}

// describe lists all that the model asks, which is how keys, values and items are reported.
func (k *Constraint) describe() string {
	var texts []string
	if k.Max != 0 {
		texts = append(texts, k.longest())
	}
	if k.Max != 0 || k.Min != 0 {
		texts = append(texts, k.shortest())
	}
	if k.Pattern != nil {
		texts = append(texts, k.pattern())
	}
	if k.Enum != nil {
		texts = append(texts, k.enum())
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func (k *Constraint) longest() string {
	return fmt.Sprintf("Member must have length less than or equal to %d", k.Max)
}

func (k *Constraint) shortest() string {
	return fmt.Sprintf("Member must have length greater than or equal to %d", k.Min)
}

func (k *Constraint) pattern() string {
	return "Member must satisfy regular expression pattern: " + k.Pattern.text
}

func (k *Constraint) enum() string {
	return "Member must satisfy enum value set: [" + strings.Join(k.Enum, ", ") + "]"
}

func (c *Checker) full() bool { return len(c.failures) >= maxFailures || c.missing != "" }

func (c *Checker) add(failure string) {
	if !c.full() {
		c.failures = append(c.failures, failure)
	}
}

func (c *Checker) fail(member, value string, sensitive bool, text string) {
	shown := "Value '" + value + "'"
	if sensitive {
		shown = "Value"
	}
	c.add(shown + " at '" + c.at(member) + "' failed to satisfy constraint: " + text)
}

// at is the path to a member of the value that is being checked: targets.1.member.id.
func (c *Checker) at(member string) string {
	var b strings.Builder
	for _, s := range c.path {
		b.WriteString(lowerCamel(s.member))
		if s.item != 0 {
			b.WriteString("." + strconv.Itoa(s.item) + ".member")
		}
		b.WriteByte('.')
	}
	return b.String() + lowerCamel(member)
}
