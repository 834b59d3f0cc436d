// Package filter says which messages of a topic a subscription wants: SNS's filter policies.
//
// A [Policy] is read once, by [Parse], whose errors are in AWS's words. [Policy.Match] tries one message against one policy. Who has the
// policies of a whole topic puts them into a [Table], which reads a message once for all of them, and whose cost hardly grows with their
// number.
//
// The language is that of event patterns, and so is the matcher: package pattern. What SNS does in its own way is done here:
//
//   - Message attributes are matched as the object that they are in JSON: strings, numbers, and the elements of arrays, each by its own
//     type. Binary ones are as if they were not there. What is not what its type says counts as text.
//   - A message body that is not a JSON object matches no policy.
//   - Numbers are compared to five decimals, and only those between -10⁹ and 10⁹.
//   - There are limits of its own: see MaxKeys, MaxComplexity and MaxSize.
//
// Policies and tables do not change, and may be used by any number of goroutines.
package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/pattern/syntax"
)

// A Scope is what of a message a policy is about.
type Scope string

const (
	MessageAttributes Scope = "MessageAttributes" // also where none is given
	MessageBody       Scope = "MessageBody"
)

// ParseScope reads the attribute FilterPolicyScope, which may be empty.
func ParseScope(text string) (Scope, error) {
	switch s := Scope(text); s {
	case "":
		return MessageAttributes, nil
	case MessageAttributes, MessageBody:
		return s, nil
	}
	return "", fmt.Errorf("FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", text)
}

// Limits of filter policies (SNS developer guide, "Filter policy constraints").
const (
	MaxKeys       = 5         // keys that have conditions
	MaxComplexity = 150       // combinations of conditions
	MaxSize       = 256 << 10 // bytes of a policy
	MaxPerTopic   = 200       // policies; the caller counts
)

// A Policy is a filter policy.
type Policy struct {
	scope   Scope
	pattern *pattern.Pattern // nil if the policy asks for nothing
	alone   func() *Table    // of this policy
}

// Parse reads a filter policy. Its errors say in AWS's words what is wrong, with the name of the attribute: the caller puts
// "Invalid parameter: " in front, or "Invalid parameter: Attributes Reason: ".
func Parse(policy []byte, scope Scope) (*Policy, error) {
	if len(policy) > MaxSize {
		return nil, refusal("Filter policy can not have more than %d bytes", MaxSize)
	}
	if err := syntax.CheckJSON(policy); err != nil {
		return nil, refusal("failed to parse JSON. %s", text(err))
	}
	p := &Policy{scope: scope}
	p.alone = sync.OnceValue(func() *Table { return NewTable([]*Policy{p}) })
	if asksForNothing(policy) {
		return p, nil
	}
	var err error
	if p.pattern, err = syntax.ParseUpTo(MaxSize, policy); err != nil {
		return nil, refusal("%s", text(err))
	}
	if err := p.check(policy); err != nil {
		return nil, err
	}
	if err := round(p.pattern); err != nil {
		return nil, err
	}
	return p, nil
}

// Match reports whether the subscription wants the message. Of a message that is written differently for some protocols, the body is
// that for all others.
func (p *Policy) Match(n *notification.Notification) bool { return len(p.alone().Match(n)) > 0 }

func refusal(format string, args ...any) error {
	return fmt.Errorf("FilterPolicy: "+format, args...)
}

// text is what package syntax says, without the words by which EventBridge introduces it.
func text(err error) string {
	return strings.TrimPrefix(err.Error(), "Event pattern is not valid. Reason: ")
}

func asksForNothing(policy []byte) bool {
	inside, ok := bytes.CutPrefix(bytes.TrimSpace(policy), []byte("{"))
	return ok && string(bytes.TrimSpace(inside)) == "}"
}

// check holds the policy against the limits.
func (p *Policy) check(policy []byte) error {
	var root map[string]any
	if err := json.Unmarshal(policy, &root); err != nil {
		return refusal("failed to parse JSON. %v", err)
	}
	s := survey{relations: !p.asksForOr(), keys: make(map[string]bool)}
	complexity := s.object(root, "", 1)
	switch {
	case p.scope == MessageAttributes && s.nested:
		return fmt.Errorf("Filter policy scope MessageAttributes does not support nested filter policy")
	case len(s.keys) > MaxKeys:
		return refusal("Filter policy can not have more than %d keys", MaxKeys)
	case complexity > MaxComplexity:
		return refusal("Filter policy is too complex")
	}
	return nil
}

// asksForOr reports whether $or is a key like others: it is if it could not be read as the relation.
func (p *Policy) asksForOr() bool {
	return slices.ContainsFunc(p.pattern.Alternatives, func(a syntax.Alternative) bool {
		return slices.ContainsFunc(a, func(f syntax.Field) bool { return slices.Contains(strings.Split(f.Path, "."), "$or") })
	})
}

// A survey goes through a policy and finds how large it is.
type survey struct {
	relations bool // $or is the relation
	nested    bool // there are objects in objects
	keys      map[string]bool
}

// object returns how many combinations of conditions there are. Those of a key count as often as it lies deep (SNS developer guide:
// 3 levels with 4 values and 2 levels with 3 values are 3 × 4 × 2 × 3); those of the branches of $or are added (recorded on AWS).
func (s *survey) object(object map[string]any, at string, depth int) int {
	product := 1
	for key, value := range object {
		combinations := 0
		switch v := value.(type) {
		case map[string]any:
			s.nested = true
			combinations = s.object(v, at+key+".", depth+1)
		case []any:
			if key == "$or" && s.relations {
				for _, branch := range v {
					b, _ := branch.(map[string]any)
					combinations = min(combinations+s.object(b, at, depth), MaxComplexity+1)
				}
			} else {
				s.keys[at+key] = true
				combinations = len(v) * depth
			}
		}
		product = min(product*combinations, MaxComplexity+1)
	}
	return product
}
