package connections

import (
	"context"
	"errors"

	"github.com/rialto-events/rialto/internal/catalog"
)

// sealAnew seals with the newest key of the vault what older keys have sealed, so that those can be taken away. What cannot be opened is
// left as it is: the file of keys may be restored.
func (s *Service) sealAnew(ctx context.Context) {
	sealed := 0
	for _, e := range s.catalog.Connections.List("", "", 0) {
		if !s.old(e.Value) {
			continue
		}
		scope, name := catalog.SplitKey(e.Key)
		_, err := s.edit(ctx, scope, name, func(c *catalog.Connection) (err error) {
			if !s.old(c) {
				return catalog.Unchanged // another node was faster
			}
			var tlsErr error
			c.Secrets, err = s.again(c.Secrets, c.ARN(scope))
			if hasTLS(c) {
				material := *c.TLS
				material.Sealed, tlsErr = s.again(material.Sealed, tlsContext(c, scope))
				c.TLS = &material
			}
			return errors.Join(err, tlsErr)
		})
		if err != nil {
			s.log.Error("secrets not sealed anew", "connection", name, "err", err)
			continue
		}
		sealed++
	}
	if sealed > 0 {
		s.log.Info("secrets sealed anew with the newest key", "count", sealed)
	}
}

// old reports whether a connection has something that an old key has sealed.
func (s *Service) old(c *catalog.Connection) bool {
	return c.Secrets != nil && s.vault.Old(c.Secrets) || hasTLS(c) && s.vault.Old(c.TLS.Sealed)
}

func (s *Service) again(sealed []byte, context string) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	plain, err := s.vault.Open(sealed, []byte(context))
	if err != nil {
		return nil, err
	}
	return s.vault.Seal(plain, []byte(context)), nil
}
