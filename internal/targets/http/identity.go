package http

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net"
	"strings"

	"github.com/rialto-events/rialto"
)

const (
	maxPEM          = 64 << 10 // bytes of one text; the chain of a certificate has a few thousand
	maxCertificates = 64       // in one text
)

// PEM is the texts of which an [Identity] is made. What is empty is not there.
type PEM struct {
	Certificate string // the connection's own, followed by those that lead to its authority
	Key         string // of the certificate
	CA          string // authorities that are believed instead of the system's
	ServerName  string // the name in the certificate of a destination, if it is not that of the endpoint
}

// An Identity is how a connection proves who it is in TLS, and whom it believes. It does not change: new certificates are another one.
//
// The name and the authorities are those of destinations. An authorization server may be somebody else's, so that there the name is the
// endpoint's, and the system's authorities are believed as well.
type Identity struct {
	id         string
	pair       *tls.Certificate    // nil without a certificate
	chain      []*x509.Certificate // the same, its own first
	ca         []*x509.Certificate
	serverName string
}

// NewIdentity checks the texts. Connections never share an identity, whatever their texts, because the owner, which is the ARN of the
// connection, is a part of it. Certificates that have expired are taken: whoever shows them says so.
func NewIdentity(owner string, p PEM) (*Identity, error) {
	for name, text := range map[string]string{"certificate": p.Certificate, "key": p.Key, "ca": p.CA} {
		if len(text) > maxPEM {
			return nil, rialto.Errorf(rialto.Invalid, "%s has %d bytes, more than %d.", name, len(text), maxPEM)
		}
	}
	i := &Identity{serverName: strings.TrimSuffix(p.ServerName, ".")}
	if i.serverName != "" && !isServerName(i.serverName) {
		return nil, rialto.Errorf(rialto.Invalid, "serverName is %q, which is no name of a host.", p.ServerName)
	}
	var err error
	if i.ca, err = certificates("ca", p.CA); err != nil {
		return nil, err
	}
	if i.chain, err = certificates("certificate", p.Certificate); err != nil {
		return nil, err
	}
	switch {
	case i.chain != nil && p.Key == "":
		return nil, rialto.Errorf(rialto.Invalid, "There is a certificate and no key: give key, the private key of the certificate in PEM, too.")
	case i.chain == nil && p.Key != "":
		return nil, rialto.Errorf(rialto.Invalid, "There is a key and no certificate: give certificate, the certificate of the key in PEM, too.")
	case i.chain != nil:
		if i.pair, err = pairOf(p); err != nil {
			return nil, err
		}
	case i.ca == nil && i.serverName == "":
		return nil, rialto.Errorf(rialto.Invalid, "There is nothing to keep: give certificate and key, or ca, or serverName.")
	}
	sum := sha256.New()
	for _, part := range []string{owner, p.Certificate, p.Key, p.CA, i.serverName} {
		hash := sha256.Sum256([]byte(part))
		sum.Write(hash[:])
	}
	i.id = hex.EncodeToString(sum.Sum(nil))
	return i, nil
}

// isServerName reports whether a name can be in a certificate and in a handshake.
func isServerName(name string) bool {
	return len(name) <= 253 && (net.ParseIP(name) != nil || !strings.ContainsFunc(strings.ToLower(name), func(r rune) bool { return r != '.' && !isHostRune(r) }))
}

// certificates reads the certificates of a text.
func certificates(name, text string) (list []*x509.Certificate, err error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue // such as a key in the same file
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &rialto.Error{Kind: rialto.Invalid, Message: name + " holds a certificate that cannot be read: " + err.Error() + ".", Cause: err}
		}
		if list = append(list, c); len(list) > maxCertificates {
			return nil, rialto.Errorf(rialto.Invalid, "%s holds more than %d certificates.", name, maxCertificates)
		}
	}
	if list == nil {
		return nil, rialto.Errorf(rialto.Invalid, "%s is not PEM: it holds no block that begins with -----BEGIN CERTIFICATE-----.", name)
	}
	return list, nil
}

// pairOf puts certificate and key together.
func pairOf(p PEM) (*tls.Certificate, error) {
	block, _ := pem.Decode([]byte(p.Key))
	if block == nil {
		return nil, rialto.Errorf(rialto.Invalid, "key is not PEM: it holds no block that begins with -----BEGIN … KEY-----.")
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, rialto.Errorf(rialto.Invalid, "key is encrypted with a passphrase. Give it without, as from: openssl pkey -in FILE. rialto seals what it keeps.")
	}
	pair, err := tls.X509KeyPair([]byte(p.Certificate), []byte(p.Key))
	if err != nil {
		why := "key is not a private key that can be used." // whatever crypto/tls says may hold a part of it
		if strings.Contains(err.Error(), "does not match") {
			why = "key does not belong to the first certificate in certificate."
		}
		return nil, rialto.Errorf(rialto.Invalid, "%s", why)
	}
	return &pair, nil
}

// Certificates are the connection's own certificate and those that lead to its authority, or none.
func (i *Identity) Certificates() []*x509.Certificate { return i.chain }

// Authorities are those that are believed, or none if the system's are.
func (i *Identity) Authorities() []*x509.Certificate { return i.ca }

// ServerName is the name in the certificate of a destination, or empty if it is that of the endpoint.
func (i *Identity) ServerName() string { return i.serverName }

// ID differs between identities. It tells nothing of them.
func (i *Identity) ID() string {
	if i == nil {
		return ""
	}
	return i.id
}

// forCalls is how destinations are spoken to.
func (i *Identity) forCalls(base *tls.Config) *tls.Config {
	c := i.configure(base)
	c.ServerName = cmp.Or(i.serverName, c.ServerName)
	if i.ca != nil {
		c.RootCAs = x509.NewCertPool()
		i.trust(c.RootCAs)
	}
	return c
}

// forTokens is how authorization servers are spoken to.
func (i *Identity) forTokens(base *tls.Config) (*tls.Config, error) {
	c := i.configure(base)
	if i.ca == nil {
		return c, nil
	}
	if c.RootCAs != nil {
		c.RootCAs = c.RootCAs.Clone()
	} else {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, errors.New("the certificates that this system trusts cannot be read")
		}
		c.RootCAs = system
	}
	i.trust(c.RootCAs)
	return c, nil
}

func (i *Identity) configure(base *tls.Config) *tls.Config {
	c := new(tls.Config)
	if base != nil {
		c = base.Clone()
	}
	if i.pair != nil {
		c.Certificates = []tls.Certificate{*i.pair}
	}
	return c
}

func (i *Identity) trust(pool *x509.CertPool) {
	for _, c := range i.ca {
		pool.AddCert(c)
	}
}
