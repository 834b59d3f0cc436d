// Package connections looks after what API destinations are called with: it opens the secrets of connections for deliveries, asks for
// their first tokens, keeps the certificates that some have, and tries whether one works.
//
//	CreateConnection, UpdateConnection ──► AUTHORIZING ──► AUTHORIZED      a token was got; or none is needed
//	                                            │
//	                                            └───────► DEAUTHORIZED    none was to be had, after some attempts
//
// A connection with OAuth is being authorised from the moment it gets its parameters. That state is in the catalog, so that it survives
// a restart, and [Service.Run] ends it. Deliveries do not wait for it: they use the same token, or ask for it themselves. Once
// authorised, a connection stays so, whatever becomes of its tokens: an authorization server that is down for an hour is a matter of the
// deliveries that fail and are tried again, and AUTHORIZED again without anybody's doing when it is back.
//
// AWS's API has no words for certificates. They are given by rialto's own, sealed like the secrets, and belong to the connection
// like those: they stay when its parameters change, and go when it is deleted.
//
// Start with [New].
package connections

import (
	"context"
	"crypto/tls"
	"log/slog"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/targets/http"
)

// A Vault keeps secrets. What was sealed opens only with the same context. Package vault has one.
type Vault interface {
	Seal(plain, context []byte) []byte
	Open(sealed, context []byte) ([]byte, error)
	Old(sealed []byte) bool
}

// Options tunes a [Service]. The zero value is ready to use, and calls public addresses only.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
	Wire   rialto.Clock // by which calls are made, and tokens and certificates end; nil is Clock
	Guard  http.Guard   // decides to where calls may go
	TLS    *tls.Config  // nil trusts what the system trusts
	News   *News        // tells of changes; nil tells nobody

	TLSOnly bool // no URL without TLS is tried, as no API destination can have one
}

// A Service looks after connections.
type Service struct {
	catalog   *catalog.Catalog
	vault     Vault
	log       *slog.Logger
	clock     rialto.Clock
	wire      rialto.Clock
	news      *News
	directory *directory
	sender    *http.Sender
	tlsOnly   bool
	noticed   noticed
}

// New makes a Service over the connections of a catalog, whose secrets a vault keeps.
func New(c *catalog.Catalog, v Vault, opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	if opts.Wire == nil {
		opts.Wire = opts.Clock
	}
	s := &Service{catalog: c, vault: v, log: opts.Logger, clock: opts.Clock, wire: opts.Wire, news: opts.News, directory: newDirectory(c, v), tlsOnly: opts.TLSOnly}
	s.sender = http.New(s.directory, http.Options{Guard: opts.Guard, Clock: opts.Wire, TLS: opts.TLS})
	s.noticed.signal = make(chan struct{}, 1)
	return s
}

// Sender delivers to API destinations.
func (s *Service) Sender() *http.Sender { return s.sender }

// Close closes the connections that are open to other hosts.
func (s *Service) Close() { s.sender.Close() }

// find looks up a connection by its name.
func (s *Service) find(scope rialto.Scope, name string) (*catalog.Connection, error) {
	c := s.catalog.Connections.Get(catalog.NameKey(scope, name))
	if c == nil {
		return nil, errNone(name)
	}
	return c, nil
}

func errNone(name string) error {
	return rialto.Errorf(rialto.NotFound, "Connection '%s' does not exist. rialto connection list shows those that do.", name)
}

// edit changes a connection that is there. What change gets is a copy.
func (s *Service) edit(ctx context.Context, scope rialto.Scope, name string, change func(*catalog.Connection) error) (*catalog.Connection, error) {
	return s.catalog.Connections.Edit(ctx, catalog.NameKey(scope, name), func(was *catalog.Connection) (*catalog.Connection, error) {
		if was == nil {
			return nil, errNone(name)
		}
		is := *was
		return &is, change(&is)
	})
}
