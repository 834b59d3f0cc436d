package topic

import (
	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/policy"
)

// Condition keys that the policy of a topic may ask for (SNS developer guide, "Condition keys"; IAM user guide, "Global condition context
// keys").
const (
	keyOwner         = "aws:sourceowner"   // the account of who calls, in the policies of old
	keySourceAccount = "aws:sourceaccount" // of the rule that publishes
	keySourceARN     = "aws:sourcearn"     // of that rule
	keyProtocol      = "sns:protocol"      // of a subscription that is made
	keyEndpoint      = "sns:endpoint"      // of that
)

// Who publishes for a rule (EventBridge user guide, "Using resource-based policies").
const eventBridge = "events.amazonaws.com"

// An Access is what somebody wants to do with a topic.
type Access struct {
	Account  rialto.AccountID // whose
	Action   string           // such as "SNS:Publish"
	Protocol string           // of a subscription that is to be made
	Endpoint string           // of that
}

// Allows reports whether an access to a topic is allowed. Its own account always may; others need a statement of the topic's policy. Where
// policies are not enforced, everybody may.
func (s *Service) Allows(at Address, a Access) bool {
	if !s.policies || a.Account == at.Scope.Account {
		return true
	}
	return s.permits(at, policy.Access{Account: a.Account, Action: a.Action, Context: map[string]string{
		keyOwner: string(a.Account), keySourceAccount: "", keySourceARN: "", keyProtocol: a.Protocol, keyEndpoint: a.Endpoint,
	}})
}

// allowsRule reports whether a rule may publish on a topic: it is of the topic's account, or the policy lets its account or EventBridge do it.
func (s *Service) allowsRule(at Address, rule rialto.ARN) bool {
	if !s.policies || rule.Account == at.Scope.Account {
		return true
	}
	a := policy.Access{Account: rule.Account, Action: "SNS:Publish", Context: map[string]string{
		keyOwner: string(rule.Account), keySourceAccount: string(rule.Account), keySourceARN: rule.String(), keyProtocol: "", keyEndpoint: "",
	}}
	if s.permits(at, a) {
		return true
	}
	a.Service = eventBridge
	return s.permits(at, a)
}

// permits asks the policy of a topic. One that is not there permits nothing.
func (s *Service) permits(at Address, a policy.Access) bool {
	_, v, err := s.index.find(at)
	a.Resource = at.ARN().String()
	return err == nil && policy.Allows([]byte(policyOf(at, v.topic)), a)
}
