package secretsapi

import (
	"context"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
)

// An Opener opens what was sealed for a context, which is the ARN of a connection. Package vault has it.
type Opener interface {
	Open(sealed, context []byte) ([]byte, error)
}

// Options tunes a [Front]. The zero value is ready to use.
type Options struct {
	// OwnSecretsOnly keeps callers to the secrets of their own account. Without it whoever knows a secret's ARN may read it, which is
	// right where nobody has to prove who they are.
	OwnSecretsOnly bool
}

// A Front serves Secrets Manager.
type Front struct {
	catalog *catalog.Catalog
	vault   Opener
	options Options
}

// New makes a Front over the connections of the catalog, whose secrets vault opens.
func New(c *catalog.Catalog, vault Opener, opts Options) *Front { return &Front{c, vault, opts} }

// Service is the API.
func (f *Front) Service() *aws.Service {
	return aws.NewService(&model,
		// read.go, with document.go
		aws.Op(f.GetSecretValue),
		aws.Op(f.DescribeSecret),
		aws.Op(f.ListSecretVersionIds),
		aws.Op(f.GetResourcePolicy),

		// list.go
		aws.Op(f.ListSecrets),

		// The secrets belong to EventBridge, so that nobody else changes them.
		aws.Op(refuse[CancelRotateSecretInput, CancelRotateSecretOutput](f)),
		aws.Op(refuse[DeleteResourcePolicyInput, DeleteResourcePolicyOutput](f)),
		aws.Op(refuse[DeleteSecretInput, DeleteSecretOutput](f)),
		aws.Op(refuse[PutResourcePolicyInput, PutResourcePolicyOutput](f)),
		aws.Op(refuse[PutSecretValueInput, PutSecretValueOutput](f)),
		aws.Op(refuse[RemoveRegionsFromReplicationInput, RemoveRegionsFromReplicationOutput](f)),
		aws.Op(refuse[ReplicateSecretToRegionsInput, ReplicateSecretToRegionsOutput](f)),
		aws.Op(refuse[RestoreSecretInput, RestoreSecretOutput](f)),
		aws.Op(refuse[RotateSecretInput, RotateSecretOutput](f)),
		aws.Op(refuse[StopReplicationToReplicaInput, StopReplicationToReplicaOutput](f)),
		aws.Op(refuse[TagResourceInput, aws.NoOutput](f)),
		aws.Op(refuse[UntagResourceInput, aws.NoOutput](f)),
		aws.Op(refuse[UpdateSecretInput, UpdateSecretOutput](f)),
		aws.Op(refuse[UpdateSecretVersionStageInput, UpdateSecretVersionStageOutput](f)),
	)
}

// refuse is an operation that would change a secret: of one that is there it says whose it is.
func refuse[I, O any, PI interface {
	*I
	secretID() string
}](f *Front) func(context.Context, PI) (*O, error) {
	return func(ctx context.Context, in PI) (*O, error) {
		if _, err := f.find(ctx, in.secretID()); err != nil {
			return nil, err
		}
		return nil, rialto.WithCode(rialto.Denied, "InvalidRequestException", "Operation is not allowed on secret owned by %s", owner)
	}
}

func (in *CancelRotateSecretInput) secretID() string           { return *in.SecretId }
func (in *DeleteResourcePolicyInput) secretID() string         { return *in.SecretId }
func (in *DeleteSecretInput) secretID() string                 { return *in.SecretId }
func (in *PutResourcePolicyInput) secretID() string            { return *in.SecretId }
func (in *PutSecretValueInput) secretID() string               { return *in.SecretId }
func (in *RemoveRegionsFromReplicationInput) secretID() string { return *in.SecretId }
func (in *ReplicateSecretToRegionsInput) secretID() string     { return *in.SecretId }
func (in *RestoreSecretInput) secretID() string                { return *in.SecretId }
func (in *RotateSecretInput) secretID() string                 { return *in.SecretId }
func (in *StopReplicationToReplicaInput) secretID() string     { return *in.SecretId }
func (in *TagResourceInput) secretID() string                  { return *in.SecretId }
func (in *UntagResourceInput) secretID() string                { return *in.SecretId }
func (in *UpdateSecretInput) secretID() string                 { return *in.SecretId }
func (in *UpdateSecretVersionStageInput) secretID() string     { return *in.SecretId }
