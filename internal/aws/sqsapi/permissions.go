package sqsapi

import (
	"context"
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/policy"
)

// shared are the actions that the owner of a queue may let others do (SQS API, AddPermission).
var shared = []string{
	"*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl",
	"ListDeadLetterSourceQueues", "PurgeQueue",
}

const maxActions = 7 // of one statement (SQS developer guide, "Policy quotas")

func errPrincipal(accounts []string) error {
	return errParameter(accounts, "PrincipalId", "Unable to verify.")
}

func (f *Front) AddPermission(ctx context.Context, in *AddPermissionInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	switch n := len(in.Actions); {
	case n == 0:
		return nil, errMissing("Actions")
	case n > maxActions:
		return nil, rialto.Errorf(rialto.Exceeded, "%d Actions were found, maximum allowed is %d.", n, maxActions)
	case len(in.AWSAccountIds) == 0:
		return nil, errPrincipal(in.AWSAccountIds)
	}
	for _, account := range in.AWSAccountIds {
		if !isAccount(account) {
			return nil, errPrincipal(in.AWSAccountIds)
		}
	}
	var actions []string
	for _, action := range in.Actions {
		if !slices.Contains(shared, action) {
			return nil, errParameter("SQS:"+action, "ActionName", "Only the queue owner is allowed to invoke this action.")
		}
		actions = append(actions, "SQS:"+action)
	}
	err = f.queues.ChangePolicy(ctx, at, func(text string) (string, error) {
		p := policy.Parse(text)
		if p.Find(*in.Label) >= 0 {
			return "", errParameter(*in.Label, "Label", "Already exists.")
		}
		if p.ID == "" && len(p.Statement) == 0 {
			p.ID = at.ARN().String() + "/SQSDefaultPolicy"
		}
		if err := p.Allow(*in.Label, in.AWSAccountIds, actions, at.ARN().String()); err != nil {
			return "", err
		}
		return p.Text()
	})
	return &aws.NoOutput{}, err
}

func (f *Front) RemovePermission(ctx context.Context, in *RemovePermissionInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	err = f.queues.ChangePolicy(ctx, at, func(text string) (string, error) {
		p := policy.Parse(text)
		i := p.Find(*in.Label)
		if i < 0 {
			return "", errParameter(*in.Label, "Label", "can't find label.")
		}
		p.Statement = slices.Delete(p.Statement, i, i+1)
		if len(p.Statement) == 0 {
			return "", nil
		}
		return p.Text()
	})
	return &aws.NoOutput{}, err
}
