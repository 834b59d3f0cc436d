package eventsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/connections"
)

// deauthorizedReason is why a connection is not authorised any more (recorded on AWS).
const deauthorizedReason = "The authorization parameters were removed from this connection by a DeauthorizeConnection operation."

// connectionError is an error about a connection, with AWS's beginning; verb is the operation's.
func connectionError(kind rialto.Kind, verb, format string, args ...any) error {
	return rialto.Errorf(kind, "Failed to "+verb+" the connection(s). "+format, args...)
}

func errNoConnection(verb, name string) error {
	return connectionError(rialto.NotFound, verb, "Connection '%s' does not exist.", name)
}

// CreateConnection makes a connection. It is authorised at once, except for one with OAuth: package connections asks for its token.
func (f *Front) CreateConnection(ctx context.Context, in *CreateConnectionInput) (*CreateConnectionOutput, error) {
	if err := wantPublic(in.InvocationConnectivityParameters, in.AuthParameters.ConnectivityParameters); err != nil {
		return nil, err
	}
	secrets, err := f.mergeSecrets(catalog.ConnectionSecrets{}, *in.AuthorizationType, updateOf(in.AuthParameters))
	if err != nil {
		return nil, err
	}
	scope := aws.Caller(ctx).Scope
	defer f.control.lock(scope)()
	if f.catalog.Connections.Count(catalog.ScopeKey(scope)) >= f.limits.Connections {
		return nil, errTooMany()
	}
	key := catalog.NameKey(scope, *in.Name)
	c, err := f.catalog.Connections.Edit(ctx, key, func(was *catalog.Connection) (*catalog.Connection, error) {
		if was != nil {
			return nil, connectionError(rialto.Exists, "create", "Connection '%s' already exists.", *in.Name)
		}
		now := f.clock.Now()
		is := &catalog.Connection{
			Name: *in.Name, ID: uuid.NewString(), Description: in.Description, KMSKey: keyOf(in.KmsKeyIdentifier),
			Created: now, Modified: now,
		}
		return is, f.authorize(scope, is, secrets)
	})
	if err != nil {
		return nil, err
	}
	f.announceAuthorization(ctx, scope, c, connections.Creating)
	return &CreateConnectionOutput{
		ConnectionArn: new(c.ARN(scope)), ConnectionState: new(ConnectionState(c.State)),
		CreationTime: &c.Created, LastModifiedTime: &c.Modified,
	}, nil
}

// authorize gives a connection its secrets, sealed.
func (f *Front) authorize(s rialto.Scope, c *catalog.Connection, secrets catalog.ConnectionSecrets) error {
	plain, err := json.Marshal(secrets)
	if err != nil {
		return err
	}
	c.Secrets = f.vault.Seal(plain, []byte(c.ARN(s)))
	c.Parameters = secrets.Public()
	c.Authorization = secrets.Authorization
	if c.SecretARN == "" {
		c.SecretARN = newSecretARN(s, c.Name)
	}
	c.State, c.StateReason, c.Given = catalog.Authorized, nil, f.clock.Now()
	if secrets.Authorization == string(ConnectionAuthorizationTypeOauthClientCredentials) {
		c.State = catalog.Authorizing // until there is a token
	} else {
		c.Authorized = c.Given
	}
	return nil
}

// announceAuthorization tells that an operation has given a connection new parameters.
func (f *Front) announceAuthorization(ctx context.Context, s rialto.Scope, c *catalog.Connection, operation string) {
	f.news.Started(ctx, s, c, operation, connections.Authorizes)
	f.news.Settled(ctx, s, c)
}

// newSecretARN is the ARN under which AWS would keep the secrets: of a secret that belongs to EventBridge, with a random end.
func newSecretARN(s rialto.Scope, connection string) string {
	id := uuid.New()
	return s.ARN("secretsmanager", "secret:events!connection/"+connection+"/"+id.String()+"-"+uuid.NewString()[:6]).String()
}

// wantPublic refuses connections through a network of AWS, which rialto is not in. An empty ARN says that there is none.
func wantPublic(networks ...*ConnectivityResourceParameters) error {
	for _, n := range networks {
		if n != nil && deref(n.ResourceParameters.ResourceConfigurationArn) != "" {
			return invalid("Parameter ResourceConfigurationArn is not valid. Reason: rialto does not support private connectivity.")
		}
	}
	return nil
}

func (f *Front) DescribeConnection(ctx context.Context, in *DescribeConnectionInput) (*DescribeConnectionOutput, error) {
	scope := aws.Caller(ctx).Scope
	c := f.catalog.Connections.Get(catalog.NameKey(scope, *in.Name))
	if c == nil {
		return nil, errNoConnection("describe", *in.Name)
	}
	return &DescribeConnectionOutput{
		ConnectionArn: new(c.ARN(scope)), Name: &c.Name, Description: c.Description,
		ConnectionState: new(ConnectionState(c.State)), StateReason: c.StateReason,
		AuthorizationType: new(ConnectionAuthorizationType(c.Authorization)), SecretArn: text(c.SecretARN), KmsKeyIdentifier: c.KMSKey,
		AuthParameters: showAuth(c),
		CreationTime:   &c.Created, LastModifiedTime: &c.Modified, LastAuthorizedTime: authorizedAt(c.Authorized),
	}, nil
}

// UpdateConnection changes what is given. Parameters for authorisation count only together with their type.
func (f *Front) UpdateConnection(ctx context.Context, in *UpdateConnectionInput) (*UpdateConnectionOutput, error) {
	scope := aws.Caller(ctx).Scope
	authorizes := in.AuthorizationType != nil && in.AuthParameters.has(*in.AuthorizationType)
	if !authorizes && in.Description == nil && in.KmsKeyIdentifier == nil {
		return nil, connectionError(rialto.Invalid, "update", "At least one of the following is required: Description, KmsKeyIdentifier, "+
			"AuthorizationType with BasicAuthParameters, ApiKeyAuthParameters, or OAuthParameters.")
	}
	if err := wantPublic(in.InvocationConnectivityParameters, in.AuthParameters.connectivity()); err != nil {
		return nil, err
	}
	defer f.control.lock(scope)()
	var before time.Time // of the last change before this one, which is what the answer shows (recorded on AWS)
	is, err := f.editConnection(ctx, scope, *in.Name, "update", func(c *catalog.Connection) error {
		c.Description = cmp.Or(in.Description, c.Description)
		if in.KmsKeyIdentifier != nil {
			c.KMSKey = keyOf(in.KmsKeyIdentifier)
		}
		before, c.Modified = c.Modified, f.clock.Now()
		if !authorizes {
			return nil
		}
		known, err := f.openSecrets(scope, c)
		if err != nil {
			return err
		}
		secrets, err := f.mergeSecrets(known, *in.AuthorizationType, in.AuthParameters)
		if err != nil {
			return err
		}
		return f.authorize(scope, c, secrets)
	})
	if err != nil {
		return nil, err
	}
	if authorizes {
		f.announceAuthorization(ctx, scope, is, connections.Updating)
	} else {
		f.news.Started(ctx, scope, is, connections.Updating)
	}
	return &UpdateConnectionOutput{
		ConnectionArn: new(is.ARN(scope)), ConnectionState: new(ConnectionState(is.State)),
		CreationTime: &is.Created, LastModifiedTime: &before, LastAuthorizedTime: authorizedAt(is.Authorized),
	}, nil
}

// authorizedAt is when a connection was last authorised. AWS shows the beginning of 1970 for one that never was (recorded on AWS).
func authorizedAt(t time.Time) *time.Time {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return &t
}

// openSecrets opens what is known of a connection. One that was deauthorised has nothing left.
func (f *Front) openSecrets(s rialto.Scope, c *catalog.Connection) (secrets catalog.ConnectionSecrets, err error) {
	if c.Secrets == nil {
		return secrets, nil
	}
	plain, err := f.vault.Open(c.Secrets, []byte(c.ARN(s)))
	if err != nil {
		return secrets, err
	}
	return secrets, json.Unmarshal(plain, &secrets)
}

// editConnection changes a connection that exists. The connection that change gets is a copy.
func (f *Front) editConnection(
	ctx context.Context, s rialto.Scope, name, verb string, change func(*catalog.Connection) error,
) (*catalog.Connection, error) {
	return f.catalog.Connections.Edit(ctx, catalog.NameKey(s, name), func(was *catalog.Connection) (*catalog.Connection, error) {
		if was == nil {
			return nil, errNoConnection(verb, name)
		}
		is := *was
		return &is, change(&is)
	})
}

// DeauthorizeConnection takes the secrets away. Doing so again is harmless.
func (f *Front) DeauthorizeConnection(ctx context.Context, in *DeauthorizeConnectionInput) (*DeauthorizeConnectionOutput, error) {
	scope := aws.Caller(ctx).Scope
	defer f.control.lock(scope)()
	changed := false
	c, err := f.editConnection(ctx, scope, *in.Name, "deauthorize", func(c *catalog.Connection) error {
		if changed = c.Secrets != nil; !changed {
			return catalog.Unchanged
		}
		c.Secrets, c.SecretARN, c.Parameters = nil, "", nil
		c.State, c.StateReason = string(ConnectionStateDeauthorized), new(deauthorizedReason)
		c.Modified = f.clock.Now()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if changed {
		f.news.Started(ctx, scope, c, connections.Deauthorizing)
		f.news.Settled(ctx, scope, c)
	}
	return &DeauthorizeConnectionOutput{
		ConnectionArn: new(c.ARN(scope)), ConnectionState: new(ConnectionStateDeauthorizing),
		CreationTime: &c.Created, LastModifiedTime: &c.Modified, LastAuthorizedTime: authorizedAt(c.Authorized),
	}, nil
}

// DeleteConnection deletes a connection also when API destinations use it; they become inactive.
func (f *Front) DeleteConnection(ctx context.Context, in *DeleteConnectionInput) (*DeleteConnectionOutput, error) {
	scope := aws.Caller(ctx).Scope
	defer f.control.lock(scope)()
	var c *catalog.Connection
	key := catalog.NameKey(scope, *in.Name)
	_, err := f.catalog.Connections.Edit(ctx, key, func(was *catalog.Connection) (*catalog.Connection, error) {
		if was == nil {
			return nil, errNoConnection("delete", *in.Name)
		}
		c = was
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	f.news.Started(ctx, scope, c, connections.Deleting)
	f.news.Destinations(ctx, scope, c, false)
	return &DeleteConnectionOutput{
		ConnectionArn: new(c.ARN(scope)), ConnectionState: new(ConnectionStateDeleting),
		CreationTime: &c.Created, LastModifiedTime: &c.Modified, LastAuthorizedTime: authorizedAt(c.Authorized),
	}, nil
}

func (f *Front) ListConnections(ctx context.Context, in *ListConnectionsInput) (*ListConnectionsOutput, error) {
	scope := aws.Caller(ctx).Scope
	prefix, state := deref(in.NamePrefix), deref(in.ConnectionState)
	l := listing{in.NextToken, in.Limit, []string{prefix, string(state)}, badTokenValue}
	list, next, err := page(ctx, l, func(after string, n int) []*catalog.Connection {
		keys := catalog.ScopeKey(scope)
		return firstOf(f.catalog.Connections.List(keys+prefix, keys+after, 0), n, func(c *catalog.Connection) bool {
			return state == "" || c.State == string(state)
		})
	}, func(c *catalog.Connection) string { return c.Name })
	if err != nil {
		return nil, err
	}
	out := &ListConnectionsOutput{Connections: make([]Connection, 0, len(list)), NextToken: next}
	for _, c := range list {
		out.Connections = append(out.Connections, Connection{
			ConnectionArn: new(c.ARN(scope)), Name: &c.Name, ConnectionState: new(ConnectionState(c.State)), StateReason: c.StateReason,
			AuthorizationType: new(ConnectionAuthorizationType(c.Authorization)),
			CreationTime:      &c.Created, LastModifiedTime: &c.Modified, LastAuthorizedTime: authorizedAt(c.Authorized),
		})
	}
	return out, nil
}
