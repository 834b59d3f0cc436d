package connections

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/targets/http"
)

// defaultRate is how many calls a second an API destination gets that says nothing (EventBridge API, CreateApiDestination).
const defaultRate = 300

// maxOpened is how many destinations are kept with their secrets open; ten times as many as we expect.
const maxOpened = 10_000

// A directory finds API destinations in the catalog and opens the secrets of their connections. It keeps what it has opened: values of
// the catalog never change, so that the same two values make the same destination.
type directory struct {
	catalog *catalog.Catalog
	vault   Vault

	mu     sync.RWMutex
	opened map[string]opened // by ARN of the destination
}

// opened is what two values of the catalog have made.
type opened struct {
	destination *catalog.Destination
	connection  *catalog.Connection
	result      http.Destination
}

var _ http.Directory = (*directory)(nil)

func newDirectory(c *catalog.Catalog, v Vault) *directory {
	return &directory{catalog: c, vault: v, opened: make(map[string]opened)}
}

// Destination looks up an API destination. One whose connection is still being authorised can be called: the call waits for the token
// that is being asked for, or gets one itself.
func (d *directory) Destination(_ context.Context, s string) (http.Destination, error) {
	arn, err := rialto.ParseARN(s)
	path, ok := strings.CutPrefix(arn.Resource, "api-destination/")
	name, id, _ := strings.Cut(path, "/")
	if err != nil || !ok {
		return http.Destination{}, rialto.Errorf(rialto.NotFound, "%s is not the ARN of an API destination.", s)
	}
	dest := d.catalog.Destinations.Get(catalog.NameKey(arn.Scope(), name))
	if dest == nil || dest.ID != id {
		d.forget(s)
		return http.Destination{}, rialto.Errorf(rialto.NotFound, "There is no API destination %s.", s)
	}
	conn := d.catalog.NamedConnection(arn.Scope(), dest.ConnectionARN)
	d.mu.RLock()
	o := d.opened[s]
	d.mu.RUnlock()
	if conn != nil && o.destination == dest && o.connection == conn {
		return o.result, nil
	}
	out := http.Destination{Endpoint: dest.Endpoint, Method: dest.Method, Rate: rateOf(dest)}
	if out.Inactive = whyInactive(dest, conn); out.Inactive != "" {
		d.forget(s)
		return out, nil
	}
	if err := d.authorize(&out, conn, arn.Scope()); err != nil {
		return out, err
	}
	d.keep(s, opened{dest, conn, out})
	return out, nil
}

func rateOf(d *catalog.Destination) float64 {
	if d.RateLimit != nil {
		return float64(*d.RateLimit)
	}
	return defaultRate
}

// whyInactive is why a destination cannot be called now, or empty if it can.
func whyInactive(dest *catalog.Destination, conn *catalog.Connection) string {
	if conn != nil && conn.Secrets != nil && (conn.State == catalog.Authorized || conn.State == catalog.Authorizing) {
		return ""
	}
	why := fmt.Sprintf("The connection %s of the API destination %s is not authorized, or is gone.", dest.ConnectionARN, dest.Name)
	if conn != nil && conn.StateReason != nil {
		why += " " + *conn.StateReason
	}
	return why
}

func (d *directory) keep(arn string, o opened) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, there := d.opened[arn]; !there && len(d.opened) >= maxOpened {
		for some := range d.opened {
			delete(d.opened, some)
			break
		}
	}
	d.opened[arn] = o
}

// forget drops secrets that are not needed any more.
func (d *directory) forget(arn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.opened, arn)
}

// authorize fills in what the connection adds to a call.
func (d *directory) authorize(out *http.Destination, conn *catalog.Connection, scope rialto.Scope) error {
	arn := conn.ARN(scope)
	s, err := open[catalog.ConnectionSecrets](d.vault, conn.Secrets, arn)
	if err != nil {
		return fmt.Errorf("open the secrets of connection %s: %w", conn.Name, err)
	}
	if out.TLS, err = identityOf(d.vault, conn, scope); err != nil {
		return err
	}
	out.Auth.Type = http.AuthType(s.Authorization)
	switch out.Auth.Type {
	case http.Basic:
		out.Auth.Name, out.Auth.Value = s.Username, s.Password
	case http.APIKey:
		out.Auth.Name, out.Auth.Value = s.APIKeyName, s.APIKeyValue
	case http.OAuth:
		o := s.OAuth
		out.Auth.Grant = &http.Grant{
			Connection: arn, Given: given(conn), TLS: out.TLS, Endpoint: o.Endpoint, Method: o.Method,
			ClientID: o.ClientID, ClientSecret: o.ClientSecret,
			Headers: parameters(o.Headers), Query: parameters(o.Query), Body: parameters(o.Body),
		}
	}
	out.Headers, out.Query, out.Body = parameters(s.Headers), parameters(s.Query), parameters(s.Body)
	return nil
}

// given is when the connection got what its tokens depend on.
func given(conn *catalog.Connection) time.Time {
	at := conn.ParametersGiven()
	if conn.TLS != nil && conn.TLS.Given.After(at) {
		at = conn.TLS.Given
	}
	return at
}

// open opens what was sealed as JSON for a context.
func open[T any](v Vault, sealed []byte, context string) (out T, err error) {
	plain, err := v.Open(sealed, []byte(context))
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(plain, &out)
}

func parameters(list []catalog.HTTPParameter) []http.Parameter {
	var out []http.Parameter
	for _, p := range list {
		out = append(out, http.Parameter(p))
	}
	return out
}
