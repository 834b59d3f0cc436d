package route

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
)

// Allows reports whether somebody of an account may do an action, such as "events:PutEvents", on a bus. Its own account always
// may; others need a statement of the bus's policy. Where policies are not enforced, everybody may.
func (r *Router) Allows(bus Bus, account rialto.AccountID, action string) bool {
	if !r.opts.Policies || account == bus.Scope.Account {
		return true
	}
	b := r.catalog.Buses.Get(catalog.BusKey(bus.Scope, bus.Name))
	if b == nil || len(b.Policy) == 0 {
		return false
	}
	return allows(b.Policy, account, action, bus.ARN().String())
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
	Condition map[string]json.RawMessage
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

// allows evaluates a policy: a statement that denies beats those that allow. A statement that allows under conditions allows
// nothing, because what conditions ask for (organisations, tags) is not known here; one that denies under conditions denies.
func allows(document []byte, account rialto.AccountID, action, resource string) bool {
	var p policy
	if err := json.Unmarshal(document, &p); err != nil {
		return false
	}
	allowed := false
	for _, s := range p.Statement {
		if !s.Principal.has(account) || !matches(s.Action, action) || !matches(s.Resource, resource) {
			continue
		}
		switch {
		case s.Effect == "Deny":
			return false
		case s.Effect == "Allow" && len(s.Condition) == 0:
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

// matches reports whether one of the patterns, in which * stands for anything, is the text. Case does not count in actions, and
// does not hurt in ARNs of buses that a policy of the bus itself names.
func matches(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return glob(strings.ToLower(p), strings.ToLower(text)) })
}

// glob reports whether text is pattern with anything in the place of each star.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(text, parts[0])
	if len(parts) == 1 {
		return ok && rest == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		if !ok {
			return false
		}
		_, rest, ok = strings.Cut(rest, part)
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}
