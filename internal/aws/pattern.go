package aws

import (
	"regexp"
	"sync"
)

// A Pattern is a regular expression of a service model. It must match a string as a whole.
type Pattern struct {
	text  string // as in the model, which is how messages show it
	match func() *regexp.Regexp
}

// NewPattern makes a Pattern from its text in the model and the same in Go's syntax, which the generator has translated. It is
// compiled when first used, since a start of the server needs none of the hundreds there are.
func NewPattern(text, expr string) *Pattern {
	return &Pattern{text: text, match: sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\A(?:` + expr + `)\z`)
	})}
}

// Match reports whether the whole of s is as the pattern says.
func (p *Pattern) Match(s string) bool { return p.match().MatchString(s) }
