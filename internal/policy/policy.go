// Package policy says what the resource policies of buses and topics allow, and changes the statements of those of queues and topics.
//
// A policy is a JSON document of IAM's. What it can say and rialto does not know, such as conditions on organisations, never gives
// permission. Start with [Allows]; [Document] is for operations that add a statement and take it away again.
package policy

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
)

// An Access is what somebody wants to do with a resource.
type Access struct {
	Account  rialto.AccountID  // whose
	Service  string            // that does it for them, such as "events.amazonaws.com"; empty if they do it themselves
	Action   string            // such as "events:PutEvents"
	Resource string            // an ARN, such as that of a rule on a bus
	Context  map[string]string // condition keys, in lower case; empty is absent, and what is not there is not known
}

// A document is a resource policy, as far as it matters here.
type document struct {
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

// A principal is "*", {"AWS": one or more accounts} or {"Service": one or more services}.
type principal struct{ AWS, Service list[string] }

func (p *principal) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &p.AWS); err != nil {
			return err
		}
		p.Service = p.AWS
		return nil
	}
	type plain principal
	return json.Unmarshal(b, (*plain)(p))
}

// Allows evaluates a policy: a statement that denies beats those that allow. Where it is not known whether the conditions of a
// statement hold, because they ask for what rialto does not have, such as organisations, it allows nothing and denies.
func Allows(policy []byte, a Access) bool {
	var p document
	if err := json.Unmarshal(policy, &p); err != nil {
		return false
	}
	allowed := false
	for _, s := range p.Statement {
		if !s.Principal.has(a) || !matches(s.Action, a.Action) || !matches(s.Resource, a.Resource) {
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

// has reports whether somebody is meant: a service for itself, everybody else by account.
func (p principal) has(a Access) bool {
	if a.Service != "" {
		return slices.Contains(p.Service, "*") || slices.Contains(p.Service, a.Service)
	}
	return slices.ContainsFunc(p.AWS, func(s string) bool {
		return s == "*" || s == string(a.Account) || s == "arn:aws:iam::"+string(a.Account)+":root"
	})
}

// matches reports whether one of the patterns is the text. Case does not count in actions, and does not hurt in ARNs of a
// resource that its own policy names.
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
