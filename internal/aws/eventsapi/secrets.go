package eventsapi

import (
	"strings"

	"github.com/rialto-events/rialto/internal/catalog"
)

// updateOf brings the parameters of a new connection into the form of those of an update, which may leave out anything.
func updateOf(p *CreateConnectionAuthRequestParameters) *UpdateConnectionAuthRequestParameters {
	u := &UpdateConnectionAuthRequestParameters{InvocationHttpParameters: p.InvocationHttpParameters}
	if b := p.BasicAuthParameters; b != nil {
		u.BasicAuthParameters = &UpdateConnectionBasicAuthRequestParameters{Username: b.Username, Password: b.Password}
	}
	if k := p.ApiKeyAuthParameters; k != nil {
		u.ApiKeyAuthParameters = &UpdateConnectionApiKeyAuthRequestParameters{ApiKeyName: k.ApiKeyName, ApiKeyValue: k.ApiKeyValue}
	}
	if o := p.OAuthParameters; o != nil {
		u.OAuthParameters = &UpdateConnectionOAuthRequestParameters{
			ClientParameters: &UpdateConnectionOAuthClientRequestParameters{
				ClientID: o.ClientParameters.ClientID, ClientSecret: o.ClientParameters.ClientSecret,
			},
			AuthorizationEndpoint: o.AuthorizationEndpoint, HttpMethod: o.HttpMethod, OAuthHttpParameters: o.OAuthHttpParameters,
		}
	}
	return u
}

// has reports whether there are parameters for a type of authorisation.
func (p *UpdateConnectionAuthRequestParameters) has(t ConnectionAuthorizationType) bool {
	if p == nil {
		return false
	}
	switch t {
	case ConnectionAuthorizationTypeBasic:
		return p.BasicAuthParameters != nil
	case ConnectionAuthorizationTypeApiKey:
		return p.ApiKeyAuthParameters != nil
	default:
		return p.OAuthParameters != nil
	}
}

func (p *UpdateConnectionAuthRequestParameters) connectivity() *ConnectivityResourceParameters {
	if p == nil {
		return nil
	}
	return p.ConnectivityParameters
}

// mergeSecrets puts the parameters of a call over what was known of a connection. What is not given stays as it was, unless the type
// of authorisation is another one; a list of HTTP parameters is replaced as a whole. In the end nothing may be missing.
func (f *Front) mergeSecrets(
	was catalog.ConnectionSecrets, t ConnectionAuthorizationType, p *UpdateConnectionAuthRequestParameters,
) (catalog.ConnectionSecrets, error) {
	is := was
	if was.Authorization != string(t) {
		is = catalog.ConnectionSecrets{Authorization: string(t), Headers: was.Headers, Query: was.Query, Body: was.Body}
	}
	mergeHTTP(p.InvocationHttpParameters, &is.Headers, &is.Query, &is.Body)
	switch t {
	case ConnectionAuthorizationTypeBasic:
		if b := p.BasicAuthParameters; b != nil {
			merge(&is.Username, b.Username)
			merge(&is.Password, b.Password)
		}
		if is.Username == "" || is.Password == "" {
			return is, errIncomplete("BasicAuthParameters")
		}
	case ConnectionAuthorizationTypeApiKey:
		if k := p.ApiKeyAuthParameters; k != nil {
			merge(&is.APIKeyName, k.ApiKeyName)
			merge(&is.APIKeyValue, k.ApiKeyValue)
		}
		if is.APIKeyName == "" || is.APIKeyValue == "" {
			return is, errIncomplete("ApiKeyAuthParameters")
		}
	default:
		is.OAuth = mergeOAuth(was.OAuth, p.OAuthParameters)
		if o := is.OAuth; o.ClientID == "" || o.ClientSecret == "" || o.Endpoint == "" || o.Method == "" {
			return is, errIncomplete("OAuthParameters")
		}
		if e := is.OAuth.Endpoint; !strings.Contains(e, "://") || !f.validEndpoint(e) { // only that of a destination may lack a scheme
			return is, invalid("Parameter AuthorizationEndpoint is not valid. Reason: "+
				"Endpoint '%s' is not valid, please provide a valid HTTPS endpoint URL.", is.OAuth.Endpoint)
		}
	}
	return is, nil
}

func errIncomplete(block string) error {
	return invalid("Parameter %s is not valid. Reason: Missing required field(s)", block)
}

func merge(to *string, given *string) {
	if given != nil {
		*to = *given
	}
}

func mergeOAuth(was *catalog.OAuth, p *UpdateConnectionOAuthRequestParameters) *catalog.OAuth {
	is := deref(was)
	if p == nil {
		return &is
	}
	if c := p.ClientParameters; c != nil {
		merge(&is.ClientID, c.ClientID)
		merge(&is.ClientSecret, c.ClientSecret)
	}
	merge(&is.Endpoint, p.AuthorizationEndpoint)
	merge(&is.Method, (*string)(p.HttpMethod))
	mergeHTTP(p.OAuthHttpParameters, &is.Headers, &is.Query, &is.Body)
	return &is
}

func mergeHTTP(p *ConnectionHttpParameters, headers, query, body *[]catalog.HTTPParameter) {
	if p == nil {
		return
	}
	if p.HeaderParameters != nil {
		*headers = nil
		for _, h := range p.HeaderParameters {
			*headers = append(*headers, catalog.HTTPParameter{Key: deref(h.Key), Value: deref(h.Value), Secret: deref(h.IsValueSecret)})
		}
	}
	if p.QueryStringParameters != nil {
		*query = nil
		for _, q := range p.QueryStringParameters {
			*query = append(*query, catalog.HTTPParameter{Key: deref(q.Key), Value: deref(q.Value), Secret: deref(q.IsValueSecret)})
		}
	}
	if p.BodyParameters != nil {
		*body = nil
		for _, b := range p.BodyParameters {
			*body = append(*body, catalog.HTTPParameter{Key: deref(b.Key), Value: deref(b.Value), Secret: deref(b.IsValueSecret)})
		}
	}
}

// showAuth is what the API shows of how a connection authorises calls.
func showAuth(c *catalog.Connection) *ConnectionAuthResponseParameters {
	s := c.Parameters
	if s == nil {
		return &ConnectionAuthResponseParameters{}
	}
	p := &ConnectionAuthResponseParameters{InvocationHttpParameters: showHTTP(s.Headers, s.Query, s.Body)}
	switch ConnectionAuthorizationType(s.Authorization) {
	case ConnectionAuthorizationTypeBasic:
		p.BasicAuthParameters = &ConnectionBasicAuthResponseParameters{Username: &s.Username}
	case ConnectionAuthorizationTypeApiKey:
		p.ApiKeyAuthParameters = &ConnectionApiKeyAuthResponseParameters{ApiKeyName: &s.APIKeyName}
	default:
		o := s.OAuth
		p.OAuthParameters = &ConnectionOAuthResponseParameters{
			ClientParameters:      &ConnectionOAuthClientResponseParameters{ClientID: &o.ClientID},
			AuthorizationEndpoint: &o.Endpoint, HttpMethod: new(ConnectionOAuthHttpMethod(o.Method)),
			OAuthHttpParameters: showHTTP(o.Headers, o.Query, o.Body),
		}
	}
	return p
}

func showHTTP(headers, query, body []catalog.HTTPParameter) *ConnectionHttpParameters {
	if len(headers)+len(query)+len(body) == 0 {
		return nil
	}
	p := new(ConnectionHttpParameters)
	for _, h := range headers {
		p.HeaderParameters = append(p.HeaderParameters, ConnectionHeaderParameter{Key: &h.Key, Value: shown(h), IsValueSecret: &h.Secret})
	}
	for _, q := range query {
		p.QueryStringParameters = append(p.QueryStringParameters,
			ConnectionQueryStringParameter{Key: &q.Key, Value: shown(q), IsValueSecret: &q.Secret})
	}
	for _, b := range body {
		p.BodyParameters = append(p.BodyParameters, ConnectionBodyParameter{Key: &b.Key, Value: shown(b), IsValueSecret: &b.Secret})
	}
	return p
}

func shown(p catalog.HTTPParameter) *string {
	if p.Secret {
		return nil
	}
	return &p.Value
}
