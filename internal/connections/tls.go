package connections

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/targets/http"
)

// expiresSoon is how long before its end a certificate is warned of.
const expiresSoon = 30 * 24 * time.Hour

// A TLS is what may be shown of a connection's certificates. The key may not.
type TLS struct {
	Certificate []http.Certificate `json:"certificate,omitempty"` // the connection's own first
	CA          []http.Certificate `json:"ca,omitempty"`
	ServerName  string             `json:"serverName,omitempty"`
	Given       time.Time          `json:"given"`
	Warnings    []string           `json:"warnings,omitempty"` // what will not work, or not for long
}

// SetTLS gives a connection certificates in place of those that it had. The next call is made with them.
func (s *Service) SetTLS(ctx context.Context, scope rialto.Scope, name string, material catalog.TLSMaterial) (*TLS, error) {
	c, err := s.edit(ctx, scope, name, func(c *catalog.Connection) error {
		if _, err := http.NewIdentity(c.ARN(scope), http.PEM(material)); err != nil {
			return err
		}
		plain, err := json.Marshal(material)
		if err != nil {
			return err
		}
		c.TLS = &catalog.ConnectionTLS{Sealed: s.vault.Seal(plain, []byte(tlsContext(c, scope))), Given: s.clock.Now()}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.describe(c, scope)
}

// TLS tells what certificates a connection has.
func (s *Service) TLS(scope rialto.Scope, name string) (*TLS, error) {
	c, err := s.find(scope, name)
	if err != nil {
		return nil, err
	}
	if !hasTLS(c) {
		return nil, rialto.Errorf(rialto.NotFound, "Connection '%s' has no certificates of its own.", name)
	}
	return s.describe(c, scope)
}

// RemoveTLS takes the certificates of a connection away. Doing so again is harmless.
func (s *Service) RemoveTLS(ctx context.Context, scope rialto.Scope, name string) error {
	_, err := s.edit(ctx, scope, name, func(c *catalog.Connection) error {
		if !hasTLS(c) {
			return catalog.Unchanged
		}
		c.TLS = &catalog.ConnectionTLS{Given: s.clock.Now()} // the time orders what tokens were got with
		return nil
	})
	return err
}

func hasTLS(c *catalog.Connection) bool { return c.TLS != nil && c.TLS.Sealed != nil }

// tlsContext is what certificates are sealed for: neither they nor the secrets open in each other's place.
func tlsContext(c *catalog.Connection, scope rialto.Scope) string { return c.ARN(scope) + "/tls" }

// identityOf opens the certificates of a connection, or returns nil if it has none.
func identityOf(v Vault, c *catalog.Connection, scope rialto.Scope) (*http.Identity, error) {
	if !hasTLS(c) {
		return nil, nil
	}
	material, err := open[catalog.TLSMaterial](v, c.TLS.Sealed, tlsContext(c, scope))
	if err != nil {
		return nil, fmt.Errorf("open the certificates of connection %s: %w", c.Name, err)
	}
	return http.NewIdentity(c.ARN(scope), http.PEM(material))
}

// describe tells what certificates a connection has that has some.
func (s *Service) describe(c *catalog.Connection, scope rialto.Scope) (*TLS, error) {
	i, err := identityOf(s.vault, c, scope)
	if err != nil {
		return nil, err
	}
	out := &TLS{ServerName: i.ServerName(), Given: c.TLS.Given.UTC()}
	for _, cert := range i.Certificates() {
		out.Certificate = append(out.Certificate, http.Describe(cert))
	}
	for _, cert := range i.Authorities() {
		out.CA = append(out.CA, http.Describe(cert))
	}
	out.warn("certificate", out.Certificate, s.wire.Now())
	out.warn("ca", out.CA, s.wire.Now())
	return out, nil
}

// warn notes which certificates are not valid at a time, or will soon not be.
func (t *TLS) warn(what string, list []http.Certificate, now time.Time) {
	for _, c := range list {
		switch {
		case now.After(c.Expires):
			t.Warnings = append(t.Warnings, fmt.Sprintf("%s: %s expired on %s.", what, c.Subject, c.Expires.Format(time.RFC3339)))
		case now.Before(c.Begins):
			t.Warnings = append(t.Warnings, fmt.Sprintf("%s: %s is not valid before %s.", what, c.Subject, c.Begins.Format(time.RFC3339)))
		case c.Expires.Sub(now) < expiresSoon:
			t.Warnings = append(t.Warnings, fmt.Sprintf("%s: %s expires on %s.", what, c.Subject, c.Expires.Format(time.RFC3339)))
		}
	}
}
