package secretsapi

import (
	"bytes"
	"encoding/json"

	"github.com/rialto-events/rialto/internal/catalog"
)

// A document is the SecretString of a connection (recorded on AWS: the members and their order).
type document struct {
	Username *string `json:"username,omitempty"`
	Password *string `json:"password,omitempty"`

	APIKeyName  *string `json:"api_key_name,omitempty"`
	APIKeyValue *string `json:"api_key_value,omitempty"`

	ClientID     *string     `json:"client_id,omitempty"`
	ClientSecret *string     `json:"client_secret,omitempty"`
	Endpoint     *string     `json:"authorization_endpoint,omitempty"`
	Method       *string     `json:"http_method,omitempty"`
	OAuth        *parameters `json:"oauth_http_parameters,omitempty"`

	Invocation *parameters `json:"invocation_http_parameters,omitempty"`
}

type parameters struct {
	Headers []parameter `json:"header_parameters,omitempty"`
	Query   []parameter `json:"query_string_parameters,omitempty"`
	Body    []parameter `json:"body_parameters,omitempty"`
}

type parameter struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Secret bool   `json:"is_value_secret"`
}

// documentOf writes the secrets of a connection as AWS stores them.
func documentOf(s catalog.ConnectionSecrets) (string, error) {
	d := document{Invocation: parametersOf(s.Headers, s.Query, s.Body)}
	switch s.Authorization {
	case "BASIC":
		d.Username, d.Password = &s.Username, &s.Password
	case "API_KEY":
		d.APIKeyName, d.APIKeyValue = &s.APIKeyName, &s.APIKeyValue
	default:
		o := s.OAuth
		d.ClientID, d.ClientSecret, d.Endpoint, d.Method = &o.ClientID, &o.ClientSecret, &o.Endpoint, &o.Method
		d.OAuth = parametersOf(o.Headers, o.Query, o.Body)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(d)
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), err
}

func parametersOf(headers, query, body []catalog.HTTPParameter) *parameters {
	if len(headers)+len(query)+len(body) == 0 {
		return nil
	}
	return &parameters{listOf(headers), listOf(query), listOf(body)}
}

func listOf(list []catalog.HTTPParameter) (out []parameter) {
	for _, p := range list {
		out = append(out, parameter(p))
	}
	return out
}
