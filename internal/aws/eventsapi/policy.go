package eventsapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/route"
)

// A policy is the resource policy of a bus, in the form in which AWS shows it. A nil one has no statements.
type policy struct {
	Version   string      `json:"Version"`
	ID        string      `json:"Id,omitempty"`
	Statement []statement `json:"Statement"`
}

// A statement says who may do what. What may be one value or several is kept as it was given.
type statement struct {
	Sid       string          `json:"Sid"`
	Effect    string          `json:"Effect"`
	Principal json.RawMessage `json:"Principal"`
	Action    json.RawMessage `json:"Action"`
	Resource  json.RawMessage `json:"Resource"`
	Condition json.RawMessage `json:"Condition,omitempty"`
}

// Versions of the policy language (IAM user guide, "Version").
const (
	policyVersion    = "2012-10-17"
	oldPolicyVersion = "2008-10-17"
)

// with is the policy with a statement added, or put in the place of the one with its id.
func (p *policy) with(s statement) *policy {
	is := policy{Version: policyVersion}
	if p != nil {
		is = *p
	}
	is.Statement = slices.Clone(is.Statement)
	if i := is.find(s.Sid); i >= 0 {
		is.Statement[i] = s
	} else {
		is.Statement = append(is.Statement, s)
	}
	return &is
}

// without is the policy without a statement, or the same policy if it has no such statement.
func (p *policy) without(sid string) *policy {
	if p == nil {
		return p
	}
	i := p.find(sid)
	switch {
	case i < 0:
		return p
	case len(p.Statement) == 1:
		return nil
	}
	is := *p
	is.Statement = slices.Delete(slices.Clone(p.Statement), i, i+1)
	return &is
}

func (p *policy) find(sid string) int {
	return slices.IndexFunc(p.Statement, func(s statement) bool { return s.Sid == sid })
}

// document is the policy as compact JSON, or nil if there is none.
func (p *policy) document() json.RawMessage {
	if p == nil {
		return nil
	}
	b, _ := json.Marshal(p) // cannot fail: all of it was JSON before
	return normal(b)
}

// normal is a document without blanks and needless escapes. Package json puts escapes for HTML into what it writes, and does so
// when the catalog writes it, too.
func normal(document json.RawMessage) json.RawMessage {
	v := jsontext.Value(bytes.Clone(document))
	if v.Format(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return document
	}
	return json.RawMessage(v)
}

func readPolicy(document json.RawMessage) (*policy, error) {
	if document == nil {
		return nil, nil
	}
	p := new(policy)
	return p, json.Unmarshal(document, p)
}

// showPolicy is a policy as the API shows it.
func showPolicy(document json.RawMessage) *string {
	if document == nil {
		return nil
	}
	return new(string(normal(document)))
}

// principalOf is a principal of the short form: an account, or everybody.
func principalOf(s string) json.RawMessage {
	if s == "*" {
		return quoted(s)
	}
	return json.RawMessage(`{"AWS":` + string(quoted(accountRoot(s))) + `}`)
}

// accountRoot is what AWS writes for an account in a policy.
func accountRoot(account string) string {
	return rialto.ARN{Partition: rialto.Partition, Service: "iam", Account: rialto.AccountID(account), Resource: "root"}.String()
}

func quoted(s string) json.RawMessage {
	b, _ := json.Marshal(s) // a string always can be written
	return b
}

// parsePolicy reads the policy of a bus as somebody wrote it, and brings it into the form in which AWS keeps it: a single statement
// becomes a list, and an account its root. What is wrong with it is reported in AWS's words as far as these were recorded.
func parsePolicy(document string, bus route.Bus) (*policy, error) {
	if !json.Valid([]byte(document)) {
		return nil, invalid("This policy contains invalid Json")
	}
	var given struct {
		Version   *string
		ID        string `json:"Id"`
		Statement list[json.RawMessage]
	}
	if document = strings.TrimSpace(document); document[0] != '{' || json.Unmarshal([]byte(document), &given) != nil {
		return nil, errNoPolicy()
	}
	if given.Version == nil {
		return nil, errMissing("Version")
	}
	if *given.Version != policyVersion && *given.Version != oldPolicyVersion {
		return nil, invalid("The policy must contain a valid version string")
	}
	if len(given.Statement) == 0 {
		return nil, invalid("Could not parse the policy: Statement is empty!")
	}
	p := &policy{Version: *given.Version, ID: given.ID}
	for _, text := range given.Statement {
		s, err := parseStatement(text)
		if err != nil {
			return nil, err
		}
		if p.find(s.Sid) >= 0 {
			line, column := place(document, max(0, strings.LastIndex(document, string(text))))
			return nil, invalid("Invalid statement at line %d column %d: The Statement Ids in the policy are not unique", line, column)
		}
		if err := s.check(bus); err != nil {
			return nil, err
		}
		p.Statement = append(p.Statement, s)
	}
	return p, nil
}

func errNoPolicy() error { return invalid("This text appears not to be a policy") }

func errMissing(field string) error { return invalid("Missing required field %s", field) }

// place is where an offset lies in a text.
func place(text string, offset int) (line, column int) {
	before := text[:offset]
	return strings.Count(before, "\n") + 1, offset - strings.LastIndexByte(before, '\n')
}

// parseStatement reads a statement, of which all members must be known.
func parseStatement(text json.RawMessage) (s statement, err error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil || members == nil {
		return s, errNoPolicy()
	}
	type field struct {
		name string
		to   any
	}
	fields := []field{
		{"Sid", &s.Sid}, {"Effect", &s.Effect}, {"Principal", &s.Principal}, {"Action", &s.Action}, {"Resource", &s.Resource},
		{"Condition", &s.Condition},
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			return s, invalid("Has prohibited field %s", name)
		}
	}
	for _, f := range fields {
		value, ok := members[f.name]
		if !ok && f.name != "Condition" {
			return s, errMissing(f.name)
		}
		if ok && json.Unmarshal(value, f.to) != nil {
			return s, errNoPolicy()
		}
	}
	if s.Effect != "Allow" && s.Effect != "Deny" {
		return s, invalid("Invalid effect: %s", s.Effect)
	}
	return s, nil
}

// check checks what a statement says about a bus, and normalises it.
func (s *statement) check(bus route.Bus) (err error) {
	var actions, resources list[string]
	if json.Unmarshal(s.Action, &actions) != nil || json.Unmarshal(s.Resource, &resources) != nil {
		return errNoPolicy()
	}
	for _, a := range actions {
		if err := checkAction(a); err != nil {
			return err
		}
	}
	for _, r := range resources {
		if err := checkResource(r, bus); err != nil {
			return err
		}
	}
	s.Principal, err = normalPrincipal(s.Principal)
	return err
}

// policyActions are what a policy of a bus can allow (recorded on AWS).
var policyActions = []string{
	"DeleteRule", "DescribeEventBus", "DescribeRule", "DisableRule", "EnableRule", "ListRuleNamesByTarget", "ListRules",
	"ListTagsForResource", "ListTargetsByRule", "PutEvents", "PutRule", "PutTargets", "RemoveTargets", "TagResource", "UntagResource",
}

// checkAction checks an action, in which * stands for anything. Case does not count in actions.
func checkAction(action string) error {
	name, ours := strings.CutPrefix(action, "events:")
	if !ours {
		return invalid("Action field includes AWS services that are inconsistent with specified vendor")
	}
	parts := strings.Split(name, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	known, err := regexp.Compile(`(?i)\A` + strings.Join(parts, ".*") + `\z`)
	if err != nil || !slices.ContainsFunc(policyActions, known.MatchString) {
		return invalid("The following action names are invalid: %q", action)
	}
	return nil
}

// checkResource checks that a statement is about the bus, or about rules on it.
func checkResource(s string, bus route.Bus) error {
	if s == "*" {
		return nil
	}
	arn, err := rialto.ParseARN(s)
	rules := "rule/"
	if bus.Name != rialto.DefaultBus {
		rules += string(bus.Name) + "/"
	}
	switch {
	case err != nil:
		return invalid(`Resource %s must be in ARN format or "*".`, s)
	case arn.Service != "events":
		return invalid("The vendor %q is invalid for ARN %q", arn.Service, s)
	case arn.Region != bus.Scope.Region:
		return invalid("The region %q is invalid for ARN %q", arn.Region, s)
	case arn.Account != bus.Scope.Account:
		return invalid("The namespace %q is invalid for ARN %q", arn.Account, s)
	case arn.Resource != busPrefix+string(bus.Name) && !strings.HasPrefix(arn.Resource, rules):
		return invalid("The relative-id %q is invalid for ARN %q", arn.Resource, s)
	}
	return nil
}

// normalPrincipal writes accounts as their root. Whether an account or a role exists is not known here.
func normalPrincipal(given json.RawMessage) (json.RawMessage, error) {
	var everybody string
	if json.Unmarshal(given, &everybody) == nil {
		if everybody != "*" {
			return nil, errPrincipal(everybody)
		}
		return given, nil
	}
	var kinds map[string]json.RawMessage
	if json.Unmarshal(given, &kinds) != nil || len(kinds) == 0 {
		return nil, errNoPolicy()
	}
	var principals list[string]
	of, ok := kinds["AWS"]
	if !ok {
		return given, nil // services and federations are kept as they are
	}
	if json.Unmarshal(of, &principals) != nil {
		return nil, errNoPolicy()
	}
	for i, p := range principals {
		switch arn, err := rialto.ParseARN(p); {
		case accountID.MatchString(p):
			principals[i] = accountRoot(p)
		case p != "*" && (err != nil || arn.Service != "iam" && arn.Service != "sts"):
			return nil, errPrincipal(p)
		}
	}
	if of[0] == '[' {
		kinds["AWS"], _ = json.Marshal([]string(principals))
	} else {
		kinds["AWS"] = quoted(principals[0])
	}
	return json.Marshal(kinds)
}

var accountID = regexp.MustCompile(`\A[0-9]{12}\z`)

func errPrincipal(p string) error { return invalid(`Invalid principal in policy: "AWS":%q`, p) }

// A list is what a policy writes as one value or as an array.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]T)(l))
	}
	var one T
	err := json.Unmarshal(b, &one)
	*l = list[T]{one}
	return err
}
