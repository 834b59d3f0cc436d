package eventsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/route"
)

// organization is the form of an organization's id (Organizations API reference, "Organization").
var organization = regexp.MustCompile(`\Ao-[a-z0-9]{10,32}\z`)

// PutPermission has two forms: one adds a statement to the policy of a bus, the other replaces the policy.
func (f *Front) PutPermission(ctx context.Context, in *PutPermissionInput) (*aws.NoOutput, error) {
	bus, err := f.bus(ctx, in.EventBusName, "events:PutPermission")
	if err != nil {
		return nil, err
	}
	change := func(*policy) (*policy, error) { return parsePolicy(*in.Policy, bus) }
	if len(deref(in.Policy)) > policySlack*f.limits.PolicyBytes {
		return nil, errPolicyTooLong()
	}
	if in.Policy == nil {
		added, err := statementOf(in, bus)
		if err != nil {
			return nil, err
		}
		change = func(p *policy) (*policy, error) { return p.with(added), nil }
	} else if in.Action != nil || in.Principal != nil || in.StatementId != nil || in.Condition != nil {
		return nil, invalid("Action, Principal, StatementId and Condition could not be combined with Policy parameter.")
	} else if _, err := change(nil); err != nil { // what is wrong with it is told before what is wrong with the bus
		return nil, err
	}
	return f.editPolicy(ctx, bus, change)
}

// policySlack is how many times the limit of a policy somebody may send: the limit is about the policy without its blanks.
const policySlack = 4

func errPolicyTooLong() error {
	return rialto.WithCode(rialto.Exceeded, "PolicyLengthExceededException", "Policy size would be larger than the maximum allowed.")
}

// statementOf makes the statement that the short form asks for.
func statementOf(in *PutPermissionInput, bus route.Bus) (statement, error) {
	switch {
	case in.Action == nil:
		return statement{}, errUnspecified("Action")
	case in.Principal == nil:
		return statement{}, errUnspecified("Principal")
	case in.StatementId == nil:
		return statement{}, errUnspecified("StatementId")
	case *in.Action != "events:PutEvents":
		return statement{}, invalid("Provided value in parameter 'action' is not supported.")
	}
	s := statement{
		Sid: *in.StatementId, Effect: "Allow", Principal: principalOf(*in.Principal),
		Action: quoted(*in.Action), Resource: quoted(bus.ARN().String()),
	}
	if c := in.Condition; c != nil {
		switch {
		case *c.Type != "StringEquals":
			return statement{}, invalid("Provided value in parameter 'condition.type' is not supported.")
		case *c.Key != "aws:PrincipalOrgID":
			return statement{}, invalid("Provided value in parameter 'condition.key' is not supported.")
		case !organization.MatchString(*c.Value):
			return statement{}, invalid("Provided value in parameter 'condition.value' is invalid.")
		}
		s.Condition = json.RawMessage(`{"StringEquals":{"aws:PrincipalOrgID":"` + *c.Value + `"}}`)
	}
	return s, nil
}

func errUnspecified(name string) error { return invalid("Parameter(s) %s must be specified.", name) }

// RemovePermission takes one statement away, or all.
func (f *Front) RemovePermission(ctx context.Context, in *RemovePermissionInput) (*aws.NoOutput, error) {
	bus, err := f.bus(ctx, in.EventBusName, "events:RemovePermission")
	if err != nil {
		return nil, err
	}
	all := deref(in.RemoveAllPermissions)
	switch {
	case all && in.StatementId != nil:
		return nil, invalid("StatementId could not be combined with All parameter.")
	case !all && in.StatementId == nil:
		return nil, errUnspecified("StatementId")
	}
	return f.editPolicy(ctx, bus, func(p *policy) (*policy, error) {
		if all {
			return nil, nil
		}
		if rest := p.without(*in.StatementId); rest != p {
			return rest, nil
		}
		return nil, notFound("Statement with the provided id does not exist.")
	})
}

// editPolicy changes the policy of a bus. Without a statement there is no policy, and a policy that stays the same leaves the bus
// untouched.
func (f *Front) editPolicy(ctx context.Context, bus route.Bus, change func(*policy) (*policy, error)) (*aws.NoOutput, error) {
	defer f.control.lock(bus.Scope)()
	if err := f.wantBus(bus); err != nil {
		return nil, err
	}
	_, err := f.editBus(ctx, bus, func(b *catalog.Bus) error {
		was, err := readPolicy(b.Policy)
		if err != nil {
			return err
		}
		is, err := change(was)
		if err != nil {
			return err
		}
		document := is.document()
		if bytes.Equal(document, was.document()) {
			return catalog.Unchanged
		}
		if len(document) > f.limits.PolicyBytes {
			return errPolicyTooLong()
		}
		b.Policy, b.Modified = document, f.clock.Now()
		return nil
	})
	return &aws.NoOutput{}, err
}
