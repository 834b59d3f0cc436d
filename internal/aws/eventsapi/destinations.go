package eventsapi

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
)

// usualRate is the limit of invocations per second of an API destination that names none (EventBridge API, CreateApiDestination).
const usualRate = 300

// destinationError is an error about an API destination, with AWS's beginning; verb is the operation's.
func destinationError(kind rialto.Kind, verb, format string, args ...any) error {
	return rialto.Errorf(kind, "Failed to "+verb+" the api-destination(s). "+format, args...)
}

func errNoDestination(verb, name string) error {
	return destinationError(rialto.NotFound, verb, "An api-destination '%s' does not exist.", name)
}

func (f *Front) CreateApiDestination(ctx context.Context, in *CreateApiDestinationInput) (*CreateApiDestinationOutput, error) {
	scope := aws.Caller(ctx).Scope
	now := f.clock.Now()
	d := &catalog.Destination{
		Name: *in.Name, ID: uuid.NewString(), Description: in.Description, ConnectionARN: *in.ConnectionArn,
		Endpoint: *in.InvocationEndpoint, Method: string(*in.HttpMethod), RateLimit: in.InvocationRateLimitPerSecond,
		Created: now, Modified: now,
	}
	defer f.control.lock(scope)()
	if err := f.checkDestination(scope, d, "create"); err != nil {
		return nil, err
	}
	if f.catalog.Destinations.Count(catalog.ScopeKey(scope)) >= f.limits.Destinations {
		return nil, errTooMany()
	}
	key := catalog.NameKey(scope, d.Name)
	_, err := f.catalog.Destinations.Edit(ctx, key, func(was *catalog.Destination) (*catalog.Destination, error) {
		if was != nil {
			return nil, destinationError(rialto.Exists, "create", "An api-destination with name '%s' already exists.", d.Name)
		}
		return d, nil
	})
	if err != nil {
		return nil, err
	}
	if f.catalog.ConnectionOf(scope, d) != nil {
		f.news.Destination(ctx, scope, d, true)
	}
	return &CreateApiDestinationOutput{
		ApiDestinationArn: new(d.ARN(scope)), ApiDestinationState: f.destinationState(scope, d),
		CreationTime: &d.Created, LastModifiedTime: &d.Modified,
	}, nil
}

// checkDestination reports why AWS would not take a destination.
func (f *Front) checkDestination(s rialto.Scope, d *catalog.Destination, verb string) error {
	return cmp.Or(f.checkCall(d, verb), f.checkConnection(s, d, verb))
}

// checkCall checks where a destination calls, and how often.
func (f *Front) checkCall(d *catalog.Destination, verb string) error {
	if !f.validEndpoint(d.Endpoint) {
		return destinationError(rialto.Invalid, verb,
			"Parameter InvocationEndpoint is not valid. Reason: Endpoint '%s' is invalid, please provide a valid HTTPS endpoint URL.", d.Endpoint)
	}
	if rate := deref(d.RateLimit); int(rate) > f.limits.DestinationRate {
		return destinationError(rialto.Exceeded, verb,
			"Invalid Invocation Rate Limit: Rate specified '%d' for '%s' exceeds maximum allowed of '%d'.", rate, d.Name, f.limits.DestinationRate)
	}
	return nil
}

// checkConnection checks that the connection of a destination is there. It need not be authorised.
func (f *Front) checkConnection(s rialto.Scope, d *catalog.Destination, verb string) error {
	arn, err := rialto.ParseARN(d.ConnectionARN)
	if err != nil || arn.Scope() != s {
		return invalid("Invalid ARN: '%s'", d.ConnectionARN)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(arn.Resource, "connection/"), "/")
	if c := f.catalog.Connections.Get(catalog.NameKey(s, name)); c == nil || c.ARN(s) != d.ConnectionARN {
		return destinationError(rialto.NotFound, verb, "Connection '%s' does not exist.", d.ConnectionARN)
	}
	return nil
}

// validEndpoint reports whether an endpoint is an HTTPS URL, in which the scheme may be left out. Only its path may hold a *, which
// stands for a value that a target gives.
func (f *Front) validEndpoint(endpoint string) bool {
	scheme, rest, ok := strings.Cut(endpoint, "://")
	if !ok {
		scheme, rest = "https", endpoint
	}
	if scheme = strings.ToLower(scheme); scheme != "https" && (scheme != "http" || !f.plain) {
		return false
	}
	u, err := url.Parse("https://" + rest)
	return err == nil && u.Hostname() != "" && !strings.Contains(u.Host, "*")
}

func (f *Front) destinationState(s rialto.Scope, d *catalog.Destination) *ApiDestinationState {
	if f.catalog.ConnectionOf(s, d) == nil {
		return new(ApiDestinationStateInactive)
	}
	return new(ApiDestinationStateActive)
}

func (f *Front) DescribeApiDestination(ctx context.Context, in *DescribeApiDestinationInput) (*DescribeApiDestinationOutput, error) {
	scope := aws.Caller(ctx).Scope
	d := f.catalog.Destinations.Get(catalog.NameKey(scope, *in.Name))
	if d == nil {
		return nil, errNoDestination("describe", *in.Name)
	}
	return &DescribeApiDestinationOutput{
		ApiDestinationArn: new(d.ARN(scope)), Name: &d.Name, Description: d.Description,
		ApiDestinationState: f.destinationState(scope, d), ConnectionArn: &d.ConnectionARN,
		InvocationEndpoint: &d.Endpoint, HttpMethod: new(ApiDestinationHttpMethod(d.Method)),
		InvocationRateLimitPerSecond: cmp.Or(d.RateLimit, new(int32(usualRate))),
		CreationTime:                 &d.Created, LastModifiedTime: &d.Modified,
	}, nil
}

// UpdateApiDestination changes what is given and leaves the rest.
func (f *Front) UpdateApiDestination(ctx context.Context, in *UpdateApiDestinationInput) (*UpdateApiDestinationOutput, error) {
	scope := aws.Caller(ctx).Scope
	defer f.control.lock(scope)()
	key := catalog.NameKey(scope, *in.Name)
	var active bool // before
	d, err := f.catalog.Destinations.Edit(ctx, key, func(was *catalog.Destination) (*catalog.Destination, error) {
		if was == nil {
			return nil, errNoDestination("update", *in.Name)
		}
		active = f.catalog.ConnectionOf(scope, was) != nil
		is := *was
		is.Description = cmp.Or(in.Description, was.Description)
		is.RateLimit = cmp.Or(in.InvocationRateLimitPerSecond, was.RateLimit)
		merge(&is.Endpoint, in.InvocationEndpoint)
		merge(&is.Method, (*string)(in.HttpMethod))
		is.Modified = f.clock.Now()
		if in.ConnectionArn == nil { // the old one may be gone: the rest can be changed all the same
			return &is, f.checkCall(&is, "update")
		}
		is.ConnectionARN = *in.ConnectionArn
		return &is, f.checkDestination(scope, &is, "update")
	})
	if err != nil {
		return nil, err
	}
	if now := f.catalog.ConnectionOf(scope, d) != nil; now != active {
		f.news.Destination(ctx, scope, d, now)
	}
	return &UpdateApiDestinationOutput{
		ApiDestinationArn: new(d.ARN(scope)), ApiDestinationState: f.destinationState(scope, d),
		CreationTime: &d.Created, LastModifiedTime: &d.Modified,
	}, nil
}

func (f *Front) DeleteApiDestination(ctx context.Context, in *DeleteApiDestinationInput) (*DeleteApiDestinationOutput, error) {
	scope := aws.Caller(ctx).Scope
	defer f.control.lock(scope)()
	key := catalog.NameKey(scope, *in.Name)
	_, err := f.catalog.Destinations.Edit(ctx, key, func(was *catalog.Destination) (*catalog.Destination, error) {
		if was == nil {
			return nil, errNoDestination("delete", *in.Name)
		}
		return nil, nil
	})
	return &DeleteApiDestinationOutput{}, err
}

func (f *Front) ListApiDestinations(ctx context.Context, in *ListApiDestinationsInput) (*ListApiDestinationsOutput, error) {
	scope := aws.Caller(ctx).Scope
	prefix, connection := deref(in.NamePrefix), deref(in.ConnectionArn)
	if prefix != "" && connection != "" {
		return nil, destinationError(rialto.Invalid, "list",
			"Request failed because only one filter is supported per request, either ConnectionArn or NamePrefix.")
	}
	l := listing{in.NextToken, in.Limit, []string{prefix, connection}, badTokenValue}
	list, next, err := page(ctx, l, func(after string, n int) []*catalog.Destination {
		keys := catalog.ScopeKey(scope)
		return firstOf(f.catalog.Destinations.List(keys+prefix, keys+after, 0), n, func(d *catalog.Destination) bool {
			return connection == "" || d.ConnectionARN == connection
		})
	}, func(d *catalog.Destination) string { return d.Name })
	if err != nil {
		return nil, err
	}
	out := &ListApiDestinationsOutput{ApiDestinations: make([]ApiDestination, 0, len(list)), NextToken: next}
	for _, d := range list {
		out.ApiDestinations = append(out.ApiDestinations, ApiDestination{
			ApiDestinationArn: new(d.ARN(scope)), Name: &d.Name, ApiDestinationState: f.destinationState(scope, d),
			ConnectionArn: &d.ConnectionARN, InvocationEndpoint: &d.Endpoint, HttpMethod: new(ApiDestinationHttpMethod(d.Method)),
			InvocationRateLimitPerSecond: cmp.Or(d.RateLimit, new(int32(usualRate))),
			CreationTime:                 &d.Created, LastModifiedTime: &d.Modified,
		})
	}
	return out, nil
}
