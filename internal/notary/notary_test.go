package notary_test

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/notary"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/notification/notificationtest"
	"github.com/rialto-events/rialto/internal/vault"
	"github.com/rialto-events/rialto/target"
)

// A node is a server that signs, as far as this is about signing.
type node struct {
	*notary.Notary
	web *httptest.Server
}

func start(t *testing.T, kv journal.KV, v notary.Vault) *node {
	t.Helper()
	n := &node{Notary: notary.New(kv, v, notary.Options{})}
	n.web = httptest.NewServer(n.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })))
	t.Cleanup(n.web.Close)
	return n
}

func bucket(t *testing.T, sim *journal.Sim) journal.KV {
	t.Helper()
	kv, err := sim.Open().KV(t.Context(), "notary")
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func openVault(t *testing.T, dir string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// envelope is a notification as the node's subscribers get it.
func (n *node) envelope(t *testing.T, change func(*notification.Notification, *target.Subscription)) []byte {
	t.Helper()
	topic := rialto.Scope{Account: "123456789012", Region: "eu-west-1"}.ARN("sns", "orders")
	m := &notification.Notification{
		Kind: notification.Published, ID: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", Topic: topic, Subject: "Ä", Message: "line\r\n\ttwo 😀 \"<&>\u2028", Published: time.Now(),
	}
	s := &target.Subscription{Topic: topic, ARN: topic, Protocol: target.ProtocolHTTP}
	change(m, s)
	b, err := notification.Writer{URL: n.web.URL, Signer: n}.Envelope(t.Context(), m, s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fetch(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return b, err
}

func TestSignaturesAreVerified(t *testing.T) {
	n := start(t, bucket(t, journal.NewSim(1, journal.SimFaults{})), openVault(t, t.TempDir()))
	for name, change := range map[string]func(*notification.Notification, *target.Subscription){
		"as it is":   func(*notification.Notification, *target.Subscription) {},
		"no subject": func(m *notification.Notification, _ *target.Subscription) { m.Subject = "" },
		"version 1":  func(_ *notification.Notification, s *target.Subscription) { s.Signature = "1" },
		"version 2":  func(_ *notification.Notification, s *target.Subscription) { s.Signature = "2" },
		"question": func(m *notification.Notification, _ *target.Subscription) {
			m.Kind, m.Token, m.Subject = notification.SubscriptionConfirmation, "t", ""
		},
		"farewell, 2": func(m *notification.Notification, s *target.Subscription) {
			m.Kind, m.Token, m.Subject, s.Signature = notification.UnsubscribeConfirmation, "t", "", "2"
		},
	} {
		b := n.envelope(t, change)
		for range 2 { // made, then remembered
			if err := notificationtest.Verify(b, fetch); err != nil {
				t.Errorf("%s: %v\n%s", name, err, b)
			}
		}
		if again := n.envelope(t, change); string(again[:100]) != string(b[:100]) {
			t.Errorf("%s: written otherwise the second time", name)
		}
		b[len(`{ "Type" : "Notification", "MessageId" : "`)+4] ^= 1
		if err := notificationtest.Verify(b, fetch); err == nil {
			t.Errorf("%s: another message id is believed", name)
		}
	}
	if _, _, err := n.Sign(t.Context(), "3", nil); err == nil {
		t.Error("an unknown version signs")
	}
}

func TestCertificate(t *testing.T) {
	n := start(t, bucket(t, journal.NewSim(1, journal.SimFaults{})), openVault(t, t.TempDir()))
	_, path, err := n.Sign(t.Context(), "2", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := fetch(n.web.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Errorf("the certificate is not signed by its own key: %v", err)
	}
	if c.NotBefore.After(time.Now()) || c.NotAfter.Before(time.Now().AddDate(10, 0, 0)) || c.Subject.CommonName != "sns.amazonaws.com" || c.IsCA {
		t.Errorf("the certificate is %+v", c)
	}
	for request, status := range map[string]int{
		"GET /SimpleNotificationService-0123456789abcdef0123456789abcdef.pem": http.StatusNotFound,
		"GET /SimpleNotificationService-..%2Fkey.pem":                         http.StatusNotFound,
		"GET /SimpleNotificationService-.pem":                                 http.StatusNotFound,
		"HEAD " + path:                                                        http.StatusOK,
		"POST " + path:                                                        http.StatusTeapot,
		"GET /":                                                               http.StatusTeapot,
	} {
		var method, where string
		fmt.Sscan(request, &method, &where)
		r, err := http.NewRequest(method, n.web.URL+where, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: status %d, want %d", request, resp.StatusCode, status)
		}
	}
}

// TestNodesShareAKey lets two nodes sign for the first time at once, and one again after a start.
func TestNodesShareAKey(t *testing.T) {
	sim, dir := journal.NewSim(1, journal.SimFaults{}), t.TempDir()
	v := openVault(t, dir)
	paths := make([]string, 8)
	nodes := []*node{start(t, bucket(t, sim), v), start(t, bucket(t, sim), v)}
	var all sync.WaitGroup
	for i := range paths {
		all.Go(func() {
			var err error
			if _, paths[i], err = nodes[i%2].Sign(t.Context(), "1", []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, last, err := start(t, bucket(t, sim), openVault(t, dir)).Sign(t.Context(), "1", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if p != last {
			t.Errorf("certificates %v, and after a start %s", paths, last)
		}
	}
}

// TestLostVault signs with another key when the vault has lost its own, and lets what was signed before be verified.
func TestLostVault(t *testing.T) {
	sim, dir := journal.NewSim(1, journal.SimFaults{}), t.TempDir()
	same := func(*notification.Notification, *target.Subscription) {}
	before := start(t, bucket(t, sim), openVault(t, dir))
	old := before.envelope(t, same)
	if err := os.Remove(filepath.Join(dir, "vault.keys")); err != nil {
		t.Fatal(err)
	}
	after := start(t, bucket(t, sim), openVault(t, dir))
	if err := notificationtest.Verify(after.envelope(t, same), fetch); err != nil {
		t.Error(err)
	}
	before.web.Config.Handler = after.web.Config.Handler // the same address
	if err := notificationtest.Verify(old, fetch); err != nil {
		t.Errorf("what was signed before: %v", err)
	}
	_, one, _ := before.Sign(t.Context(), "1", nil)
	_, other, _ := after.Sign(t.Context(), "1", nil)
	if one == other {
		t.Error("the key that was lost is still in use")
	}
}

// TestRotatedVault seals the key with the vault's newest, so that the one before can be taken away.
func TestRotatedVault(t *testing.T) {
	sim, dir := journal.NewSim(1, journal.SimFaults{}), t.TempDir()
	v := openVault(t, dir)
	_, path, err := start(t, bucket(t, sim), v).Sign(t.Context(), "1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Rotate(); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"after the rotation", "after the next start"} {
		counting := &countingVault{Vault: v}
		_, now, err := start(t, bucket(t, sim), counting).Sign(t.Context(), "1", nil)
		if err != nil || now != path {
			t.Errorf("%s: certificate %s, then %s: %v", when, path, now, err)
		}
		if want := when == "after the rotation"; counting.sealed != want {
			t.Errorf("%s: sealed anew: %t", when, counting.sealed)
		}
	}
}

type countingVault struct {
	*vault.Vault
	sealed bool
}

func (v *countingVault) Seal(plain, context []byte) []byte {
	v.sealed = true
	return v.Vault.Seal(plain, context)
}

// A downKV cannot be reached until it is up.
type downKV struct {
	journal.KV
	up bool
}

var errDown = errors.New("down")

func (d *downKV) Get(ctx context.Context, key string) (journal.Entry, error) {
	if !d.up {
		return journal.Entry{}, errDown
	}
	return d.KV.Get(ctx, key)
}

func TestJournalIsDown(t *testing.T) {
	kv := &downKV{KV: bucket(t, journal.NewSim(1, journal.SimFaults{}))}
	n := start(t, kv, openVault(t, t.TempDir()))
	if _, _, err := n.Sign(t.Context(), "1", nil); !errors.Is(err, errDown) {
		t.Errorf("got %v", err)
	}
	resp, err := http.Get(n.web.URL + "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", resp.StatusCode)
	}
	kv.up = true
	if _, _, err := n.Sign(t.Context(), "1", nil); err != nil {
		t.Error(err)
	}
}

// BenchmarkSign is what a signature costs: the first of a message, and those for its other subscribers.
func BenchmarkSign(b *testing.B) {
	v, err := vault.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	kv, err := journal.NewSim(1, journal.SimFaults{}).Open().KV(b.Context(), "notary")
	if err != nil {
		b.Fatal(err)
	}
	n := notary.New(kv, v, notary.Options{})
	message := make([]byte, 1024)
	for _, fresh := range []bool{true, false} {
		b.Run(fmt.Sprintf("fresh=%t", fresh), func(b *testing.B) {
			for i := range b.N {
				if fresh {
					binary.BigEndian.PutUint64(message, uint64(i))
				}
				if _, _, err := n.Sign(b.Context(), "1", message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
