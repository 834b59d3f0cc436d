package secretsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
)

const (
	owner        = "events"                                           // of every secret here
	prefix       = "events!connection/"                               // of their names
	ownerTag     = "aws:secretsmanager:owningService"                 // which each of them has (recorded on AWS)
	currentStage = "AWSCURRENT"                                       // the stage of their only version
	suffixLength = len("-XXXXXX")                                     // of random characters that an ARN has behind the name
	missing      = "Secrets Manager can't find the specified secret." // recorded on AWS
)

// A secret is that of a connection.
type secret struct {
	*catalog.Connection
	scope rialto.Scope
}

// name is what the ARN of a secret has before its random end.
func (s secret) name() string {
	_, name, _ := strings.Cut(s.SecretARN, ":secret:")
	return name[:max(0, len(name)-suffixLength)]
}

// version is an id that changes with the secret and with nothing else, such as the key that seals it.
func (s secret) version() string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s %d", s.SecretARN, s.ParametersGiven().UnixNano())).String()
}

// changed is when the secret got its present value.
func (s secret) changed() *time.Time { return new(s.ParametersGiven()) }

func (s secret) tags() []Tag { return []Tag{{Key: new(ownerTag), Value: new(owner)}} }

func (s secret) stages() map[string][]string { return map[string][]string{s.version(): {currentStage}} }

// find looks a secret up by its name, its ARN, or its ARN without the random end.
func (f *Front) find(ctx context.Context, id string) (secret, error) {
	caller := aws.Caller(ctx)
	scope, name, whole := caller.Scope, id, false
	if arn, err := rialto.ParseARN(id); err == nil {
		var ok bool
		if name, ok = strings.CutPrefix(arn.Resource, "secret:"); !ok || arn.Service != "secretsmanager" {
			return secret{}, rialto.Errorf(rialto.Invalid, "Invalid name or ARN: %s is not the ARN of a secret.", id)
		}
		if f.options.OwnSecretsOnly && arn.Account != scope.Account {
			return secret{}, rialto.Errorf(rialto.Denied, "User: %s is not authorized to perform: secretsmanager:%s on resource: %s "+
				"because no resource-based policy allows the secretsmanager:%s action", caller.Principal, caller.Operation, id, caller.Operation)
		}
		if arn.Region != scope.Region {
			return secret{}, rialto.Errorf(rialto.NotFound, missing)
		}
		scope.Account, whole = arn.Account, true
	}
	path, ok := strings.CutPrefix(name, prefix)
	connection, _, _ := strings.Cut(path, "/")
	s := secret{f.catalog.Connections.Get(catalog.NameKey(scope, connection)), scope}
	if !ok || s.Connection == nil || s.SecretARN == "" || name != s.name() && !(whole && id == s.SecretARN) {
		return secret{}, rialto.Errorf(rialto.NotFound, missing)
	}
	return s, nil
}

func (f *Front) GetSecretValue(ctx context.Context, in *GetSecretValueInput) (*GetSecretValueOutput, error) {
	s, err := f.find(ctx, *in.SecretId)
	if err != nil {
		return nil, err
	}
	if v := deref(in.VersionId); v != "" && v != s.version() {
		return nil, rialto.Errorf(rialto.NotFound, "Secrets Manager can't find the specified secret value for VersionId: %s", v)
	}
	if stage := deref(in.VersionStage); stage != "" && stage != currentStage {
		return nil, rialto.Errorf(rialto.NotFound, "Secrets Manager can't find the specified secret value for staging label: %s", stage)
	}
	plain, err := f.vault.Open(s.Secrets, []byte(s.ARN(s.scope)))
	if err != nil {
		return nil, &rialto.Error{
			Kind: rialto.Internal, Code: "DecryptionFailure", Cause: err,
			Message: "Secrets Manager can't decrypt the protected secret text: the vault of rialto has lost its key, or the data are damaged.",
		}
	}
	var secrets catalog.ConnectionSecrets
	if err := json.Unmarshal(plain, &secrets); err != nil {
		return nil, fmt.Errorf("read the secrets of connection %s: %w", s.Name, err)
	}
	text, err := documentOf(secrets)
	if err != nil {
		return nil, err
	}
	return &GetSecretValueOutput{
		ARN: &s.SecretARN, Name: new(s.name()), VersionId: new(s.version()), SecretString: &text,
		VersionStages: []string{currentStage}, CreatedDate: s.changed(),
	}, nil
}

func (f *Front) DescribeSecret(ctx context.Context, in *DescribeSecretInput) (*DescribeSecretOutput, error) {
	s, err := f.find(ctx, *in.SecretId)
	if err != nil {
		return nil, err
	}
	return &DescribeSecretOutput{
		ARN: &s.SecretARN, Name: new(s.name()), KmsKeyId: s.KMSKey, OwningService: new(owner), Tags: s.tags(),
		CreatedDate: &s.Created, LastChangedDate: s.changed(), VersionIdsToStages: s.stages(),
	}, nil
}

func (f *Front) ListSecretVersionIds(ctx context.Context, in *ListSecretVersionIdsInput) (*ListSecretVersionIdsOutput, error) {
	s, err := f.find(ctx, *in.SecretId)
	if err != nil {
		return nil, err
	}
	return &ListSecretVersionIdsOutput{
		ARN: &s.SecretARN, Name: new(s.name()),
		Versions: []SecretVersionsListEntry{{
			VersionId: new(s.version()), VersionStages: []string{currentStage}, CreatedDate: s.changed(),
		}},
	}, nil
}

// GetResourcePolicy says that there is none.
func (f *Front) GetResourcePolicy(ctx context.Context, in *GetResourcePolicyInput) (*GetResourcePolicyOutput, error) {
	s, err := f.find(ctx, *in.SecretId)
	if err != nil {
		return nil, err
	}
	return &GetResourcePolicyOutput{ARN: &s.SecretARN, Name: new(s.name())}, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
