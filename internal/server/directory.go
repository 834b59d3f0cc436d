package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/internal/vault"
)

// defaultRate is how many calls a second an API destination gets that says nothing (EventBridge API, CreateApiDestination).
const defaultRate = 300

// A directory finds API destinations in the catalog and opens the secrets of their connections.
type directory struct {
	catalog *catalog.Catalog
	vault   *vault.Vault
}

var _ http.Directory = (*directory)(nil)

// Destination looks up an API destination.
func (d *directory) Destination(_ context.Context, s string) (http.Destination, error) {
	arn, err := rialto.ParseARN(s)
	path, ok := strings.CutPrefix(arn.Resource, "api-destination/")
	name, id, _ := strings.Cut(path, "/")
	if err != nil || !ok {
		return http.Destination{}, rialto.Errorf(rialto.NotFound, "%s is not the ARN of an API destination.", s)
	}
	dest := d.catalog.Destinations.Get(catalog.NameKey(arn.Scope(), name))
	if dest == nil || dest.ID != id {
		return http.Destination{}, rialto.Errorf(rialto.NotFound, "There is no API destination %s.", s)
	}
	out := http.Destination{Endpoint: dest.Endpoint, Method: dest.Method, Rate: defaultRate}
	if dest.RateLimit != nil {
		out.Rate = float64(*dest.RateLimit)
	}
	conn := d.catalog.ConnectionOf(arn.Scope(), dest)
	if conn == nil {
		out.Inactive = fmt.Sprintf("The connection %s of the API destination %s is not authorized, or is gone.", dest.ConnectionARN, dest.Name)
		return out, nil
	}
	return out, d.authorize(&out, conn, arn.Scope())
}

// authorize fills in what the connection adds to a call.
func (d *directory) authorize(out *http.Destination, conn *catalog.Connection, scope rialto.Scope) error {
	plain, err := d.vault.Open(conn.Secrets, []byte(conn.ARN(scope)))
	if err != nil {
		return fmt.Errorf("open the secrets of connection %s: %w", conn.Name, err)
	}
	var s catalog.ConnectionSecrets
	if err := json.Unmarshal(plain, &s); err != nil {
		return fmt.Errorf("read the secrets of connection %s: %w", conn.Name, err)
	}
	out.Auth.Type = http.AuthType(s.Authorization)
	switch out.Auth.Type {
	case http.Basic:
		out.Auth.Name, out.Auth.Value = s.Username, s.Password
	case http.APIKey:
		out.Auth.Name, out.Auth.Value = s.APIKeyName, s.APIKeyValue
	}
	out.Headers, out.Query, out.Body = parameters(s.Headers), parameters(s.Query), parameters(s.Body)
	return nil
}

func parameters(list []catalog.HTTPParameter) []http.Parameter {
	var out []http.Parameter
	for _, p := range list {
		out = append(out, http.Parameter{Key: p.Key, Value: p.Value})
	}
	return out
}
