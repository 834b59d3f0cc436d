package sqsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
)

// A policy is a resource policy. AddPermission and RemovePermission change its statements and leave those that they did not make.
type policy struct {
	Version   string            `json:"Version"`
	ID        string            `json:"Id,omitempty"`
	Statement []json.RawMessage `json:"Statement"`
}

// A statement is one that AddPermission makes.
type statement struct {
	Sid       string    `json:"Sid"`
	Effect    string    `json:"Effect"`
	Principal principal `json:"Principal"`
	Action    oneOrMany `json:"Action"`
	Resource  string    `json:"Resource"`
}

type principal struct {
	AWS oneOrMany `json:"AWS"`
}

// oneOrMany is written as one string if there is only one.
type oneOrMany []string

func (l oneOrMany) MarshalJSON() ([]byte, error) {
	if len(l) == 1 {
		return json.Marshal(l[0])
	}
	return json.Marshal([]string(l))
}

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
	s := statement{Sid: *in.Label, Effect: "Allow", Resource: at.ARN().String()}
	for _, account := range in.AWSAccountIds {
		if !isAccount(account) {
			return nil, errPrincipal(in.AWSAccountIds)
		}
		s.Principal.AWS = append(s.Principal.AWS, rialto.ARN{Partition: rialto.Partition, Service: "iam", Account: rialto.AccountID(account), Resource: "root"}.String())
	}
	for _, action := range in.Actions {
		if !slices.Contains(shared, action) {
			return nil, errParameter("SQS:"+action, "ActionName", "Only the queue owner is allowed to invoke this action.")
		}
		s.Action = append(s.Action, "SQS:"+action)
	}
	added, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	err = f.queues.ChangePolicy(ctx, at, func(text string) (string, error) {
		p := parsePolicy(text)
		if p.find(*in.Label) >= 0 {
			return "", errParameter(*in.Label, "Label", "Already exists.")
		}
		if p.ID == "" && len(p.Statement) == 0 {
			p.ID = at.ARN().String() + "/SQSDefaultPolicy"
		}
		p.Statement = append(p.Statement, added)
		return p.text()
	})
	return &aws.NoOutput{}, err
}

func (f *Front) RemovePermission(ctx context.Context, in *RemovePermissionInput) (*aws.NoOutput, error) {
	at, err := f.addressOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	err = f.queues.ChangePolicy(ctx, at, func(text string) (string, error) {
		p := parsePolicy(text)
		i := p.find(*in.Label)
		if i < 0 {
			return "", errParameter(*in.Label, "Label", "can't find label.")
		}
		p.Statement = slices.Delete(p.Statement, i, i+1)
		if len(p.Statement) == 0 {
			return "", nil
		}
		return p.text()
	})
	return &aws.NoOutput{}, err
}

// parsePolicy reads a policy that is set; a single statement may stand there without a list.
func parsePolicy(text string) policy {
	p := policy{Version: "2008-10-17"}
	var given struct {
		Version   string          `json:"Version"`
		ID        string          `json:"Id"`
		Statement json.RawMessage `json:"Statement"`
	}
	if json.Unmarshal([]byte(text), &given) != nil {
		return p
	}
	if given.Version != "" {
		p.Version = given.Version
	}
	p.ID = given.ID
	if bytes.HasPrefix(given.Statement, []byte("{")) {
		p.Statement = []json.RawMessage{given.Statement}
	} else if json.Unmarshal(given.Statement, &p.Statement) != nil {
		p.Statement = nil
	}
	return p
}

// find returns the index of the statement with a label, or -1.
func (p *policy) find(label string) int {
	return slices.IndexFunc(p.Statement, func(s json.RawMessage) bool {
		var head struct {
			Sid string `json:"Sid"`
		}
		return json.Unmarshal(s, &head) == nil && head.Sid == label
	})
}

func (p *policy) text() (string, error) {
	b, err := json.Marshal(p)
	return string(b), err
}
