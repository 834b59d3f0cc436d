package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// club starts a server that asks everybody for a certificate of its authority and greets those who have one by its name. It sets a variable
// to the address, and writes authority.pem, member.pem and member.key.
func club(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: club VARIABLE")
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
		return k
	}
	certificate := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
	}
	sign := func(c, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
		ts.Check(err)
		return der
	}
	write := func(file, sort string, der []byte) {
		ts.Check(os.WriteFile(ts.MkAbs(file), pem.EncodeToMemory(&pem.Block{Type: sort, Bytes: der}), 0o600))
	}

	authority, authorityKey := certificate("The Authority"), key()
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	root := sign(authority, authority, authorityKey, authorityKey)
	write("authority.pem", "CERTIFICATE", root)

	member, memberKey := certificate("A Member"), key()
	member.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	write("member.pem", "CERTIFICATE", sign(member, authority, memberKey, authorityKey))
	der, err := x509.MarshalPKCS8PrivateKey(memberKey)
	ts.Check(err)
	write("member.key", "PRIVATE KEY", der)

	house, houseKey := certificate("The House"), key()
	house.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"welcome": %q}`, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	believed := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(root)
	ts.Check(err)
	believed.AddCert(parsed)
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{sign(house, authority, houseKey, authorityKey)}, PrivateKey: houseKey}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: believed,
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of those who are not let in
	s.StartTLS()
	ts.Defer(s.Close)
	ts.Setenv(args[0], strings.TrimPrefix(s.URL, "https://"))
}
