package http_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/http"
)

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key := newKey(t)
	a := &authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	a.pem = pemOf(t, a.cert, a.cert, key, key)
	return a
}

// issue makes a certificate with its key, for a client or for the server of a name.
func (a *authority) issue(t testing.TB, name string) (certificate, key string) {
	t.Helper()
	k := newKey(t)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, DNSNames: []string{name},
	}
	if ip := net.ParseIP(name); ip != nil {
		c.DNSNames, c.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, c, a.cert, k, a.key), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(t testing.TB, c, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// A club is a server that asks everybody for a certificate of its authority. It notes who came, and over how many connections.
type club struct {
	*httptest.Server
	mu       sync.Mutex
	guests   []string
	sessions map[string]map[string]bool // addresses of the other side, by guest
}

func newClub(t testing.TB, a *authority, name string, answer string) *club {
	t.Helper()
	c := &club{sessions: make(map[string]map[string]bool)}
	c.Server = httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		guest := r.TLS.PeerCertificates[0].Subject.CommonName
		c.mu.Lock()
		c.guests = append(c.guests, guest)
		if c.sessions[guest] == nil {
			c.sessions[guest] = make(map[string]bool)
		}
		c.sessions[guest][r.RemoteAddr] = true
		c.mu.Unlock()
		io.WriteString(w, answer)
	}))
	certificate, key := a.issue(t, name)
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	members := x509.NewCertPool()
	members.AppendCertsFromPEM([]byte(a.pem))
	c.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: members}
	c.EnableHTTP2 = true
	c.StartTLS()
	t.Cleanup(c.Close)
	return c
}

func (c *club) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.guests
}

func identity(t testing.TB, owner string, p http.PEM) *http.Identity {
	t.Helper()
	i, err := http.NewIdentity(owner, p)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestConnectionsProveThemselves sends by several connections to one server: each call arrives as the connection that it belongs to, over
// a session of its own, also after a certificate was replaced.
func TestConnectionsProveThemselves(t *testing.T) {
	a := newAuthority(t, "club")
	c := newClub(t, a, "127.0.0.1", "")
	d := directory{}
	for _, name := range []string{"ada", "bob"} {
		certificate, key := a.issue(t, name)
		d["arn:"+name] = http.Destination{Endpoint: c.URL, Method: "POST", TLS: identity(t, name, http.PEM{Certificate: certificate, Key: key, CA: a.pem})}
	}
	s := newSender(t, d, http.Options{Guard: http.Guard{Allow: http.Loopback}})
	var all sync.WaitGroup
	for range 20 {
		for _, name := range []string{"ada", "bob"} {
			all.Go(func() {
				if err := s.Send(t.Context(), to("arn:"+name)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if n := len(c.seen()); n != 40 {
		t.Errorf("%d calls arrived", n)
	}
	for address := range c.sessions["ada"] {
		if c.sessions["bob"][address] {
			t.Errorf("two connections used the session of %s", address)
		}
	}

	certificate, key := a.issue(t, "ada's new one")
	fresh := d["arn:ada"]
	fresh.TLS = identity(t, "ada", http.PEM{Certificate: certificate, Key: key, CA: a.pem})
	d["arn:ada"] = fresh
	if err := s.Send(t.Context(), to("arn:ada")); err != nil {
		t.Fatal(err)
	}
	if guests := c.seen(); guests[len(guests)-1] != "ada's new one" {
		t.Errorf("after the certificate was replaced came %s", guests[len(guests)-1])
	}

	stranger := newAuthority(t, "stranger")
	certificate, key = stranger.issue(t, "eve")
	for name, p := range map[string]http.PEM{
		"no certificate":             {CA: a.pem},
		"one of another authority":   {Certificate: certificate, Key: key, CA: a.pem},
		"another authority believed": {CA: stranger.pem},
	} {
		d["arn:eve"] = http.Destination{Endpoint: c.URL, Method: "POST", TLS: identity(t, name, p)}
		e := asTargetError(t, s.Send(t.Context(), to("arn:eve")))
		var says string
		switch name {
		case "another authority believed":
			says = `Its certificate is issued by "CN=club", which is not trusted.`
		case "no certificate", "one of another authority":
			says = "API destination endpoint cannot be reached." // the connection may have broken before the alert was read
		}
		if e.Permanent || e.Code != "SDK_CLIENT_ERROR" || !strings.Contains(e.Message, says) {
			t.Errorf("%s: got %v, want %q", name, e, says)
		}
	}
}

// TestTokensAreAskedForWithTheCertificate has destination and authorization server want a certificate. The name that replaces the
// destination's is not that of the authorization server.
func TestTokensAreAskedForWithTheCertificate(t *testing.T) {
	a := newAuthority(t, "club")
	auth := newClub(t, a, "127.0.0.1", `{"access_token":"t-1","expires_in":3600}`)
	c := newClub(t, a, "crm.internal", "")
	certificate, key := a.issue(t, "ada")
	i := identity(t, "ada", http.PEM{Certificate: certificate, Key: key, CA: a.pem, ServerName: "crm.internal"})
	d := withGrant(c.URL, &http.Grant{Connection: "arn:c", Endpoint: auth.URL, Method: "POST", ClientID: "me", ClientSecret: "s3cret", TLS: i})
	d.TLS = i
	if err := newSender(t, directory{"arn:d": d}, loopback).Send(t.Context(), to("arn:d")); err != nil {
		t.Fatal(err)
	}
	if len(auth.seen()) != 1 || len(c.seen()) != 1 {
		t.Errorf("the servers saw %v and %v", auth.seen(), c.seen())
	}
}

// TestBadCertificates gives what cannot be kept. Each refusal says what to do, and none quotes the key.
func TestBadCertificates(t *testing.T) {
	a := newAuthority(t, "club")
	certificate, key := a.issue(t, "ada")
	_, other := a.issue(t, "bob")
	for name, c := range map[string]struct {
		p    http.PEM
		says string
	}{
		"nothing":                {http.PEM{}, "There is nothing to keep"},
		"no key":                 {http.PEM{Certificate: certificate}, "give key, the private key"},
		"no certificate":         {http.PEM{Key: key}, "give certificate, the certificate of the key"},
		"another key":            {http.PEM{Certificate: certificate, Key: other}, "key does not belong to the first certificate"},
		"not PEM":                {http.PEM{CA: "hello"}, "ca is not PEM"},
		"a key for an authority": {http.PEM{CA: key}, "ca is not PEM: it holds no block that begins with -----BEGIN CERTIFICATE-----."},
		"not a certificate":      {http.PEM{CA: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "ca holds a certificate that cannot be read"},
		"not a key":              {http.PEM{Certificate: certificate, Key: certificate}, "key is not a private key that can be used"},
		"an encrypted key": {http.PEM{Certificate: certificate, Key: "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"},
			"key is encrypted with a passphrase. Give it without, as from: openssl pkey -in FILE."},
		"no name":  {http.PEM{ServerName: "https://crm.internal/"}, "which is no name of a host"},
		"too long": {http.PEM{CA: strings.Repeat("x", 1<<17)}, "ca has 131072 bytes, more than 65536"},
		"too many": {http.PEM{CA: strings.Repeat(a.pem, 65)}, "ca holds more than 64 certificates"},
	} {
		_, err := http.NewIdentity("arn", c.p)
		if rialto.KindOf(err) != rialto.Invalid || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), key[40:60]) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

// FuzzIdentity feeds texts to what reads certificates and keys: whatever comes is taken or refused.
func FuzzIdentity(f *testing.F) {
	a := newAuthority(f, "club")
	certificate, key := a.issue(f, "ada")
	f.Add(certificate, key, a.pem, "crm.internal")
	f.Add("", "", a.pem, "")
	f.Fuzz(func(t *testing.T, certificate, key, ca, name string) {
		i, err := http.NewIdentity("arn", http.PEM{Certificate: certificate, Key: key, CA: ca, ServerName: name})
		if err != nil && rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("got %v", err)
		}
		if err == nil && i.ID() == "" {
			t.Error("an identity without an id")
		}
	})
}
