package http_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest/hostile"
)

// maxTaken bounds what one call takes of a server that sends without an end: two bounds of this package, and what the buffers of the
// network hold on loopback.
const maxTaken = 16 << 20

// trusting is an identity that believes the authority of a server.
func trusting(t testing.TB, s *hostile.Server) *http.Identity {
	t.Helper()
	i, err := http.NewIdentity("arn:c", http.PEM{CA: string(s.CA)})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestHostileServers calls each server as a destination, as an authorization server, and as the destination of a batch. What it takes
// is bounded, and the call ends as it says.
func TestHostileServers(t *testing.T) {
	for _, k := range hostile.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			s := k.Start()
			defer s.Close()
			d := http.Destination{Endpoint: s.URL, Method: "POST"}
			if s.CA != nil && k.Name != "a certificate of its own" {
				d.TLS = trusting(t, s)
			}
			sender := newSender(t, directory{"arn:d": d}, loopback)
			m := to("arn:d")
			m.Definition.Timeout = 300 * time.Millisecond
			wantEnd(t, k, sender.Send(t.Context(), m))
			for _, err := range sender.SendBatch(t.Context(), []*target.Message{m, m}) {
				// An answer that breaks off, or does not come to an end in time, may have had a list of failures.
				if err == nil && k.End != hostile.Taken || target.Permanent(err) != (k.End == hostile.Permanent) {
					t.Errorf("a batch ends with %v, want %s", err, k.End)
				}
			}
			if n := s.Sent(); n > 2*maxTaken {
				t.Errorf("two calls took %d bytes", n)
			}

			g := &http.Grant{Connection: "arn:c", Endpoint: s.URL, Method: "POST", ClientID: "me", ClientSecret: "s3cret", TLS: d.TLS}
			oauth := newSender(t, directory{"arn:o": withGrant(newEndpoint(t).URL, g)}, loopback)
			m = to("arn:o")
			m.Definition.Timeout = 300 * time.Millisecond
			if err := oauth.Send(t.Context(), m); err == nil || target.Permanent(err) {
				t.Errorf("as an authorization server: got %v, want an error that is no reason to give up", err)
			}
			if n := s.Sent(); n > 3*maxTaken {
				t.Errorf("the call for a token took %d bytes", n)
			}
		})
	}
}

func wantEnd(t *testing.T, k hostile.Kind, err error) {
	t.Helper()
	got := hostile.TryAgain
	switch {
	case err == nil:
		got = hostile.Taken
	case target.Permanent(err):
		got = hostile.Permanent
	}
	if got != k.End {
		t.Errorf("the call ends with %v, want %s", err, k.End)
	}
}

// TestWordsOfCertificates holds what dead letters say of servers whose certificates are no good: AWS's code and text for an endpoint
// that cannot be reached, and what is wrong.
func TestWordsOfCertificates(t *testing.T) {
	const recorded = "Unable to invoke ApiDestination endpoint: API destination endpoint cannot be reached. "
	for _, c := range []struct {
		start func() *hostile.Server
		trust bool
		says  string
	}{
		{hostile.Expired, true, `Its certificate, of "CN=hostile", expired on `},
		{hostile.WrongHost, true, "Its certificate is not one for 127.0.0.1, but for another.example. If that is the right server, give the connection this name as serverName."},
		{hostile.SelfSigned, false, `Its certificate is issued by "CN=hostile authority", which is not trusted. If it is an authority of your own, give it to the connection as ca.`},
	} {
		s := c.start()
		d := http.Destination{Endpoint: s.URL, Method: "POST"}
		if c.trust {
			d.TLS = trusting(t, s)
		}
		e := asTargetError(t, newSender(t, directory{"arn:d": d}, loopback).Send(t.Context(), to("arn:d")))
		if e.Code != target.CodeSDKClient || e.Permanent || !strings.HasPrefix(e.Message, recorded+c.says) {
			t.Errorf("got %s %q, want %q", e.Code, e.Message, recorded+c.says)
		}
		s.Close()
	}
}

// TestADeadConnectionIsNotUsedAgain calls a server that goes away without a word after its first answer: one call is lost on the
// connection that was kept, and the next one makes a new one.
func TestADeadConnectionIsNotUsedAgain(t *testing.T) {
	s := hostile.Vanishes()
	defer s.Close()
	sender := newSender(t, directory{"arn:d": {Endpoint: s.URL, Method: "POST"}}, loopback)
	for i, good := range []bool{true, false, true} {
		m := to("arn:d")
		if !good {
			m.Definition.Timeout = 100 * time.Millisecond
		}
		if err := sender.Send(t.Context(), m); (err == nil) != good || target.Permanent(err) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
}

// rebinding is a name server whose answer for every name can be changed.
func rebinding(t *testing.T) (set func(addr string)) {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan []byte, 1)
	answers <- nil
	set = func(addr string) {
		<-answers
		answers <- netip.MustParseAddr(addr).AsSlice()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			ip := <-answers
			answers <- ip
			if reply := nameReply(b[:n], ip); reply != nil {
				_, _ = p.WriteTo(reply, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", p.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		p.Close()
		<-done
	})
	return set
}

// nameReply answers a question for an address of the family that it asks for (RFC 1035, section 4.1).
func nameReply(query, ip []byte) []byte {
	const header, typeA, typeAAAA = 12, 1, 28
	end := header
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	if end+5 > len(query) {
		return nil
	}
	question := query[header : end+5]
	reply := append([]byte{query[0], query[1], 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	kind := question[len(question)-3]
	if kind == typeA && len(ip) == 4 || kind == typeAAAA && len(ip) == 16 {
		reply[7] = 1
		reply = append(reply, 0xc0, header, 0, kind, 0, 1, 0, 0, 0, 0, 0, byte(len(ip)))
		reply = append(reply, ip...)
	}
	return reply
}

// TestANameThatChangesItsAddress has one name lead to a place that is allowed, and then to places that are not. Each call is checked,
// whatever the last one found; what an address carries in itself counts as where it leads.
func TestANameThatChangesItsAddress(t *testing.T) {
	set := rebinding(t)
	e := newEndpoint(t)
	_, port, err := net.SplitHostPort(e.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o := http.Options{Guard: http.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}
	d := directory{"arn:d": {Endpoint: "http://rebind.example:" + port, Method: "POST"}}
	sender := newSender(t, d, o)

	set("127.0.0.1")
	if err := sender.Send(t.Context(), to("arn:d")); err != nil {
		t.Fatalf("the allowed address: %v", err)
	}
	for _, addr := range []string{
		"127.0.0.2", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254", "0.0.0.0",
		"::ffff:169.254.169.254", // mapped
		"64:ff9b::a9fe:a9fe",     // NAT64 of 169.254.169.254
		"2002:a9fe:a9fe::1",      // 6to4 of the same
		"::a9fe:a9fe",            // compatible, of old
		"2002:a00:1::",           // 6to4 of 10.0.0.1
	} {
		set(addr)
		fresh := newSender(t, d, o) // the first one still has a connection to where the name led
		e := asTargetError(t, fresh.Send(t.Context(), to("arn:d")))
		if !e.Permanent || e.Code != target.CodeSDKClient || !strings.Contains(e.Message, "--allow-targets") {
			t.Errorf("%s: got %v", addr, e)
		}
	}
	if n := len(e.received()); n != 1 {
		t.Errorf("the endpoint was called %d times", n)
	}
}
