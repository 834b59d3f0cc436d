package hostile_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"testing"
	"testing/iotest"

	"github.com/rialto-events/rialto/target/targettest/hostile"
)

// TestServersEnd starts every server, has a client hang on it, and closes it: Close must not wait for the client.
func TestServersEnd(t *testing.T) {
	for _, k := range hostile.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			s := k.Start()
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(s.CA)
			client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
			called, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				close(called)
				resp, err := client.Get(s.URL)
				if err == nil {
					io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
					resp.Body.Close()
				}
			}()
			<-called
			s.Close()
			<-ended
			client.CloseIdleConnections()
			s.Close() // again, which is harmless
		})
	}
}

// TestABombIsOne holds that it unpacks to what it says, and costs little.
func TestABombIsOne(t *testing.T) {
	s := hostile.Bomb()
	defer s.Close()
	transport := &http.Transport{} // which unpacks
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(iotest.DataErrReader(resp.Body), 64<<20))
	if err != nil || n != 64<<20 {
		t.Errorf("%d bytes came out, %v", n, err)
	}
	if s.Sent() > 2<<20 || s.Calls() != 1 {
		t.Errorf("%d bytes were sent over %d connections", s.Sent(), s.Calls())
	}
}

// TestTrustedCertificates tells what is wrong with certificates from what the client does not know.
func TestTrustedCertificates(t *testing.T) {
	for _, c := range []struct {
		start func() *hostile.Server
		good  bool
	}{{hostile.SelfSigned, true}, {hostile.Expired, false}, {hostile.WrongHost, false}} {
		s := c.start()
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.CA)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		resp, err := (&http.Client{Transport: transport}).Get(s.URL)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != c.good {
			t.Errorf("got %v, want success to be %t", err, c.good)
		}
		transport.CloseIdleConnections()
		s.Close()
	}
}
