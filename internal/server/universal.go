package server

import (
	"context"
	"errors"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/targets/universal"
	"github.com/rialto-events/rialto/target"
)

// here are the services that answer in this server, by the names that SDKs give them, with those that they have in signatures.
var here = map[string]string{
	"eventbridge": "events", "scheduler": "scheduler", "secretsmanager": "secretsmanager", "sns": "sns", "sqs": "sqs",
}

// own makes calls of universal targets to this server, without leaving the process.
type own struct{ server *Server }

var _ universal.Local = own{}

func (own) Serves(service string) bool { return here[service] != "" }

// Call calls as the account of the schedule: with the role that the target names if that is one of the account's, else as the account itself.
func (o own) Call(ctx context.Context, c *universal.Call) error {
	req := &aws.Request{
		Service: here[c.Service], Operation: c.Operation(), Scope: c.Scope, BaseURL: o.server.url(),
		Principal: rialto.ARN{Partition: rialto.Partition, Service: "iam", Account: c.Scope.Account, Resource: "root"}.String(),
	}
	if role, err := rialto.ParseARN(c.Role); err == nil && role.Service == "iam" && role.Account == c.Scope.Account {
		req.Principal = c.Role
	}
	err := o.server.api.Direct(ctx, req, c.Input)
	if refusal, ok := errors.AsType[*aws.Refusal](err); ok {
		if cause := context.Cause(ctx); cause != nil {
			return cause // so that whatever failed may have failed because of that
		}
		return universal.Refused(refusal.Status, refusal.Code, refusal.Message)
	}
	return err
}

// ownFunctions are the functions that are configured here, for the rules and schedules of their own account if accounts are told apart.
type ownFunctions struct {
	universal.Functions
	ownOnly bool
}

func (f ownFunctions) Send(ctx context.Context, m *target.Message) error {
	if arn, err := rialto.ParseARN(m.Definition.ARN); f.ownOnly && (err != nil || arn.Account != m.Definition.Rule.Account) {
		return denied(m.Definition.ARN).Send(ctx, m)
	}
	return f.Functions.Send(ctx, m)
}
