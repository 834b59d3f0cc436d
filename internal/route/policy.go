package route

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
)

// An Access is what somebody wants to do on a bus.
type Access struct {
	Account  rialto.AccountID  // whose
	Action   string            // such as "events:PutEvents"
	Resource string            // an ARN, such as that of a rule on the bus; empty is the bus itself
	Context  map[string]string // see the constants for condition keys; empty is absent, and what is not there is not known

	bus rialto.BusName
}

// Allows reports whether an access to a bus is allowed. Its own account always may; others need a statement of the bus's policy.
// Where policies are not enforced, everybody may.
func (r *Router) Allows(bus Bus, a Access) bool {
	if !r.opts.Policies || a.Account == bus.Scope.Account {
		return true
	}
	b := r.catalog.Buses.Get(catalog.BusKey(bus.Scope, bus.Name))
	if b == nil || len(b.Policy) == 0 {
		return false
	}
	a.bus = bus.Name
	if a.Resource == "" {
		a.Resource = bus.ARN().String()
	}
	return allows(b.Policy, a)
}

// A policy is a resource policy, as far as it matters here.
type policy struct {
	Statement list[statement]
}

type statement struct {
	Effect    string
	Principal principal
	Action    list[string]
	Resource  list[string]
	Condition conditions
}

// A list is what IAM writes as one value or as an array.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]T)(l))
	}
	var one T
	err := json.Unmarshal(b, &one)
	*l = list[T]{one}
	return err
}

// A principal is "*" or {"AWS": one or more accounts}.
type principal struct{ AWS list[string] }

func (p *principal) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &p.AWS)
	}
	type plain principal
	return json.Unmarshal(b, (*plain)(p))
}

// allows evaluates a policy: a statement that denies beats those that allow. Where it is not known whether the conditions of a
// statement hold, because they ask for what rialto does not have, such as organisations, it allows nothing and denies.
func allows(document []byte, a Access) bool {
	var p policy
	if err := json.Unmarshal(document, &p); err != nil {
		return false
	}
	allowed := false
	for _, s := range p.Statement {
		if !s.Principal.has(a.Account) || !matches(s.Action, a.Action) || !matches(s.Resource, a.Resource) {
			continue
		}
		holds := s.Condition.hold(a)
		switch {
		case s.Effect == "Deny" && holds != no:
			return false
		case s.Effect == "Allow" && holds == yes:
			allowed = true
		}
	}
	return allowed
}

func (p principal) has(account rialto.AccountID) bool {
	return slices.ContainsFunc(p.AWS, func(s string) bool {
		return s == "*" || s == string(account) || s == "arn:aws:iam::"+string(account)+":root"
	})
}

// matches reports whether one of the patterns is the text. Case does not count in actions, and does not hurt in ARNs of buses that a
// policy of the bus itself names.
func matches(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return glob(strings.ToLower(p), strings.ToLower(text)) })
}

// glob reports whether text is a pattern, in which * stands for anything and ? for one character.
func glob(pattern, text string) bool {
	star, retry := -1, 0 // where to go on after the last star, and with which part of the text
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			star, retry = p, t
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			retry++
			p, t = star, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
