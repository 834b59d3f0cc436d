package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// issued says what a certificate is like. The zero value is a good one for 127.0.0.1.
type issued struct {
	host  string        // that it is for
	until time.Duration // from now to its end; 0 is an hour
	next  []string      // protocols of the server; none is HTTP/1.1
}

// A certificate is one of a server, with its key and the authority that issued it.
type certificate struct {
	pair      tls.Certificate
	authority []byte // PEM
	next      []string
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.pair}, NextProtos: c.next}
}

// issue makes an authority and a certificate of it.
func issue(as issued) *certificate {
	authorityKey, key := newKey(), newKey()
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hostile authority"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "hostile"}, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if as.until != 0 {
		leaf.NotAfter = now.Add(as.until)
	}
	if as.host != "" {
		leaf.IPAddresses, leaf.DNSNames = nil, []string{as.host}
	}
	root := sign(authority, authority, authorityKey, authorityKey)
	signed := sign(leaf, authority, key, authorityKey)
	return &certificate{
		pair:      tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key},
		authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}),
		next:      as.next,
	}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("hostile: make a key: %v", err))
	}
	return key
}

func sign(what, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, what, by, &key.PublicKey, byKey)
	if err != nil {
		panic(fmt.Sprintf("hostile: sign a certificate: %v", err))
	}
	return der
}
