package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/aws/apis"
	"github.com/rialto-events/rialto/target"
)

// A Remote is where services are that rialto does not serve. The zero value is all of AWS, reached with the credentials that the SDK
// finds.
type Remote struct {
	Name        string             // for messages
	Accounts    []rialto.AccountID // nil is all
	Regions     []rialto.Region    // nil is all
	Services    []string           // as in ARNs, such as "sqs"; nil is all that rialto does not serve itself
	Endpoint    string             // URL of another emulator, for all its services; "" is AWS
	Region      rialto.Region      // that is spoken to whatever the ARN says; "" is that of the ARN
	Callers     []rialto.AccountID // whose rules may use it beside those of the resource's account; see [Options]
	Credentials Credentials
}

// Credentials says how calls to a remote are signed. The zero value is the SDK's chain: environment, shared files, the machine. With an
// endpoint it is a key that is the account of the ARN, as emulators take it.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string // may be empty
	Profile         string // of the shared files, which the SDK reads
	Role            string // ARN of a role that is assumed with the above; [TargetRole] is the one that the target names
}

// TargetRole as the Role of [Credentials] has each target delivered to with the role of its RoleArn.
const TargetRole = "target"

// ours are the services that rialto serves itself.
var ours = []string{"sqs", "events", "sns", "scheduler", "secretsmanager"}

// Check reports what cannot be in a remote.
func (r *Remote) Check() error {
	if r.Name == "" {
		return rialto.Errorf(rialto.Invalid, "A remote needs a name.")
	}
	if r.Endpoint != "" {
		u, err := url.Parse(r.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
			return rialto.Errorf(rialto.Invalid, "The endpoint of the remote %s is not a URL such as http://localhost:4566.", r.Name)
		}
	}
	for _, s := range r.Services {
		if !served(s) && !apis.Signings()[s] {
			return rialto.Errorf(rialto.Invalid, "The remote %s cannot have the service %q. It can have those of targets: %s; and for universal targets: %s.",
				r.Name, s, strings.Join(services(), ", "), strings.Join(slices.Sorted(maps.Keys(apis.Signings())), ", "))
		}
	}
	c := r.Credentials
	if (c.AccessKeyID == "") != (c.SecretAccessKey == "") {
		return rialto.Errorf(rialto.Invalid, "The remote %s needs both an access key and its secret, or neither.", r.Name)
	}
	if c.AccessKeyID != "" && c.Profile != "" {
		return rialto.Errorf(rialto.Invalid, "The remote %s has both an access key and a profile.", r.Name)
	}
	if c.Role != "" && c.Role != TargetRole && !strings.HasPrefix(c.Role, "arn:") {
		return rialto.Errorf(rialto.Invalid, "The role of the remote %s is neither the ARN of one nor the word %q.", r.Name, TargetRole)
	}
	return nil
}

// claims reports whether a resource is to be found there. Of EventBridge's it is buses alone.
func (r *Remote) claims(arn rialto.ARN) bool {
	if arn.Service == "events" && !strings.HasPrefix(arn.Resource, "event-bus/") {
		return false
	}
	if !r.covers(arn.Scope()) {
		return false
	}
	if len(r.Services) == 0 {
		return !slices.Contains(ours, arn.Service)
	}
	return slices.Contains(r.Services, arn.Service)
}

// covers reports whether a remote stands for an account and a region. What has none is everybody's, and everywhere.
func (r *Remote) covers(scope rialto.Scope) bool {
	return (len(r.Accounts) == 0 || scope.Account == "" || slices.Contains(r.Accounts, scope.Account)) &&
		(len(r.Regions) == 0 || scope.Region == "" || slices.Contains(r.Regions, scope.Region))
}

// admits reports whether the rules of an account may use the remote's credentials for a resource.
func (r *Remote) admits(caller rialto.AccountID, arn rialto.ARN) bool {
	return caller == arn.Account || slices.Contains(r.Callers, caller) || arn.Account == "" && slices.Contains(r.Accounts, caller)
}

// String says what a remote is, and no secrets.
func (r Remote) String() string {
	var b strings.Builder
	b.WriteString(r.Name)
	list := func(name string, values []string) {
		if len(values) > 0 {
			b.WriteString(" " + name + "=" + strings.Join(values, ","))
		}
	}
	list("accounts", plain(r.Accounts))
	list("regions", plain(r.Regions))
	list("services", r.Services)
	list("callers", plain(r.Callers))
	for _, x := range []struct{ name, value string }{
		{"endpoint", r.Endpoint}, {"region", string(r.Region)}, {"access-key-id", r.Credentials.AccessKeyID},
		{"profile", r.Credentials.Profile}, {"role", r.Credentials.Role},
	} {
		if x.value != "" {
			list(x.name, []string{x.value})
		}
	}
	return b.String()
}

func plain[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

// A place is a remote with the credentials that are in use for it.
type place struct {
	Remote
	load func(ctx context.Context) (sdk.Config, error)

	mu    sync.Mutex
	cache map[string]*sdk.CredentialsCache // by the ARN of the role, or "" for none
}

// maxRoles bounds the roles whose credentials are kept. Users name them in targets.
const maxRoles = 1000

// signer is who signs a call for a target. The region is where the token service is asked.
func (p *place) signer(ctx context.Context, arn rialto.ARN, role, region string) (*sdk.CredentialsCache, error) {
	if p.Credentials.Role != TargetRole {
		role = p.Credentials.Role
	}
	key := role
	if p.anonymous() {
		key = string(arn.Account) + "/" + role
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.cache[key]; c != nil {
		return c, nil
	}
	base, err := p.base(ctx, arn)
	if err != nil {
		return nil, err
	}
	c := sdk.NewCredentialsCache(base)
	if role != "" {
		client := sts.New(sts.Options{Region: region, Credentials: c, BaseEndpoint: p.endpoint(), RetryMaxAttempts: 1})
		c = sdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "rialto"
		}))
	}
	if p.cache == nil || len(p.cache) >= maxRoles {
		p.cache = make(map[string]*sdk.CredentialsCache)
	}
	p.cache[key] = c
	return c, nil
}

// forget gives up credentials that were refused because they have expired. The next call reads them anew, from files that may have changed.
// Many calls may find out at once: what another has replaced stays.
func (p *place) forget(stale *sdk.CredentialsCache) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.cache, func(_ string, c *sdk.CredentialsCache) bool { return c == stale })
}

// anonymous reports whether the remote is an emulator that asks for no particular credentials.
func (p *place) anonymous() bool {
	return p.Endpoint != "" && p.Credentials.AccessKeyID == "" && p.Credentials.Profile == ""
}

func (p *place) endpoint() *string {
	if p.Endpoint == "" {
		return nil
	}
	return &p.Endpoint
}

// base is what the remote's own credentials are.
func (p *place) base(ctx context.Context, arn rialto.ARN) (sdk.CredentialsProvider, error) {
	c := p.Credentials
	switch {
	case c.AccessKeyID != "":
		return credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken), nil
	case p.anonymous():
		return credentials.NewStaticCredentialsProvider(cmp.Or(string(arn.Account), string(rialto.DefaultAccount)), "rialto", ""), nil
	}
	loaded, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	return loaded.Credentials, nil
}

// sharedConfig reads what the SDK reads.
func (p *place) sharedConfig(ctx context.Context) (sdk.Config, error) {
	var opts []func(*config.LoadOptions) error
	if p.Credentials.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(p.Credentials.Profile))
	}
	return config.LoadDefaultConfig(ctx, opts...)
}

// signerError says why there are no credentials. A role that may not be assumed ends the delivery, as on AWS; everything else is for
// the operator to put right. What the SDK says may name files and hosts, so it is for the log alone.
func (p *place) signerError(ctx context.Context, role string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("get credentials: %w", context.Cause(ctx))
	}
	api, refused := errors.AsType[smithy.APIError](err)
	switch {
	case refused && role != "" && api.ErrorFault() != smithy.FaultServer && isDenied(api.ErrorCode()):
		return &target.Error{Code: target.CodeAssumeRole, Permanent: true, Cause: err,
			Message: fmt.Sprintf("The role %s cannot be assumed: %s", role, api.ErrorCode())}
	case refused:
		return &target.Error{Code: target.CodeTransientAssume, Cause: err,
			Message: fmt.Sprintf("The role %s cannot be assumed at the moment: %s", role, api.ErrorCode())}
	}
	return &target.Error{Code: target.CodeNoPermissions, Cause: err,
		Message: fmt.Sprintf("There are no credentials for the remote %s. Give it an access key, a profile or a role that can be assumed.", p.Name)}
}
