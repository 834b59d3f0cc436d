package http_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
)

func TestGuard(t *testing.T) {
	closed := http.Guard{}
	open := http.Guard{Allow: append([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, http.Loopback...)}
	cases := []struct {
		addr         string
		closed, open bool // lets through
	}{
		{"93.184.216.34", true, true},
		{"2606:2800:220:1::1", true, true},
		{"127.0.0.1", false, true},
		{"127.9.9.9", false, true},
		{"::1", false, true},
		{"::ffff:127.0.0.1", false, true},
		{"::ffff:169.254.169.254", false, false},
		{"169.254.169.254", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"10.1.2.3", false, true},
		{"10.2.2.3", false, false},
		{"172.16.0.1", false, false},
		{"172.32.0.1", true, true},
		{"192.168.1.1", false, false},
		{"fd00:ec2::254", false, false},
		{"100.64.0.1", false, false},
		{"0.0.0.0", false, false},
		{"::", false, false},
		{"224.0.0.1", false, false},
		{"ff02::1", false, false},
		{"255.255.255.255", false, false},
		{"64:ff9b::a9fe:a9fe", false, false}, // 169.254.169.254 by NAT64
		{"64:ff9b::5db8:d822", true, true},
		{"64:ff9b::a01:203", false, true}, // 10.1.2.3 by NAT64
		{"64:ff9b:1::a9fe:a9fe", false, false},
		{"2002:a9fe:a9fe::1", false, false}, // 169.254.169.254 by 6to4
		{"::a00:1", false, false},           // 10.0.0.1, RFC 4291's old way
		{"::ffff:0:a00:1", false, false},    // 10.0.0.1 by RFC 2765
		{"168.63.129.16", false, false},     // Azure's, and public
		{"fd20:ce::254", false, false},
		{"2001:0:4136:e378:8000:63bf:5601:5601", false, false}, // 169.254.169.254 by Teredo
	}
	for _, c := range cases {
		addr := netip.MustParseAddr(c.addr)
		if got := closed.Check("", addr) == nil; got != c.closed {
			t.Errorf("%s: a closed guard lets it through: %t", addr, got)
		}
		if got := open.Check("", addr) == nil; got != c.open {
			t.Errorf("%s: an open guard lets it through: %t", addr, got)
		}
	}
}

func TestTheGuardSeesWhatIsDialled(t *testing.T) {
	e := newEndpoint(t)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(e.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} { // a name leads no further than its address
		got := asTargetError(t, send(t, "http://"+net.JoinHostPort(host, port), http.Options{}))
		if !got.Permanent || got.Code != target.CodeSDKClient || !strings.Contains(got.Message, "is a loopback address, and rialto does not call those unless its network, or the name of the host, is in --allow-targets.") {
			t.Errorf("%s: %#v", host, got)
		}
	}
	if n := len(e.received()); n != 0 {
		t.Errorf("the endpoint was called %d times", n)
	}
}

// TestRules holds what the lists of a guard do with each other.
func TestRules(t *testing.T) {
	networks := func(list string) (prefixes []netip.Prefix) {
		for s := range strings.FieldsSeq(list) {
			prefixes = append(prefixes, netip.MustParsePrefix(s))
		}
		return prefixes
	}
	hosts := func(list string) (patterns []http.HostPattern) {
		for s := range strings.FieldsSeq(list) {
			p, err := http.ParseHostPattern(s)
			if err != nil {
				t.Fatal(err)
			}
			patterns = append(patterns, p)
		}
		return patterns
	}
	cases := []struct {
		name                                     string
		allow, allowHosts, deny, denyHosts, host string
		addr                                     string
		refused                                  string // a part of the reason; empty if the call may go there
	}{
		{name: "a public address that is denied", deny: "93.184.0.0/16", addr: "93.184.216.34", refused: "calls to 93.184.216.34 are denied: the server was started with 93.184.0.0/16 in --deny-targets."},
		{name: "a mapped one", deny: "93.184.0.0/16", addr: "::ffff:93.184.216.34", refused: "are denied"},
		{name: "one behind NAT64", deny: "93.184.0.0/16", addr: "64:ff9b::5db8:d822", refused: "are denied"},
		{name: "another one", deny: "93.184.0.0/16", addr: "93.185.0.1"},
		{name: "denied within what is allowed", allow: "10.0.0.0/8", deny: "10.9.0.0/16", addr: "10.9.1.1", refused: "are denied"},
		{name: "allowed within what is denied", allow: "10.9.1.1/32", deny: "10.9.0.0/16", addr: "10.9.1.1", refused: "are denied"},
		{name: "loopback denied where it is allowed", allow: "127.0.0.0/8", deny: "127.0.0.1/32", addr: "127.0.0.1", refused: "are denied"},

		{name: "a host that is allowed", allowHosts: "db.example.com", host: "db.example.com", addr: "10.1.1.1"},
		{name: "in other letters", allowHosts: "DB.example.com.", host: "Db.Example.COM.", addr: "10.1.1.1"},
		{name: "another host", allowHosts: "db.example.com", host: "x.db.example.com", addr: "10.1.1.1", refused: "10.1.1.1 is a private address, and rialto does not call those unless its network, or the name of the host, is in --allow-targets."},
		{name: "a host of a pattern", allowHosts: "*.internal", host: "a.b.internal", addr: "10.1.1.1"},
		{name: "the pattern's own end", allowHosts: "*.internal", host: "internal", addr: "10.1.1.1", refused: "private"},
		{name: "a name with the same letters at its end", allowHosts: "*.internal", host: "notinternal", addr: "10.1.1.1", refused: "private"},
		{name: "an allowed host in a network that is denied", allowHosts: "*.internal", deny: "10.9.0.0/16", host: "a.internal", addr: "10.9.1.1", refused: "10.9.0.0/16"},
		{name: "a host that is denied", denyHosts: "*.example.com", host: "a.example.com", addr: "93.184.216.34", refused: "calls to a.example.com are denied: the server was started with *.example.com in --deny-targets."},
		{name: "denied and allowed", allowHosts: "a.internal", denyHosts: "*.internal", host: "a.internal", addr: "10.1.1.1", refused: "denied"},
		{name: "denied in a network that is allowed", allow: "10.0.0.0/8", denyHosts: "*.internal", host: "a.internal", addr: "10.1.1.1", refused: "denied"},

		{name: "metadata in a network that is allowed", allow: "169.254.0.0/16", addr: "169.254.169.254", refused: "169.254.169.254 gives out credentials of cloud machines, and rialto does not call it unless exactly this address is in --allow-targets."},
		{name: "its neighbour", allow: "169.254.0.0/16", addr: "169.254.169.253"},
		{name: "metadata where everything is allowed", allow: "0.0.0.0/0 ::/0", addr: "fd00:ec2::254", refused: "credentials"},
		{name: "metadata behind NAT64 where everything is allowed", allow: "::/0", addr: "64:ff9b::a9fe:a9fe", refused: "credentials"},
		{name: "metadata by a host that is allowed", allowHosts: "metadata.internal", host: "metadata.internal", addr: "169.254.169.254", refused: "credentials"},
		{name: "metadata by name", allow: "169.254.169.254/32", addr: "169.254.169.254"},
		{name: "metadata of IPv6 by name", allow: "fd00:ec2::254/128", addr: "fd00:ec2::254"},
	}
	for _, c := range cases {
		g := http.Guard{Allow: networks(c.allow), Deny: networks(c.deny), AllowHosts: hosts(c.allowHosts), DenyHosts: hosts(c.denyHosts)}
		err := g.Check(c.host, netip.MustParseAddr(c.addr))
		if (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.refused)
		}
	}
}

func TestHostPatterns(t *testing.T) {
	for s, want := range map[string]http.HostPattern{
		"localhost": "localhost", "DB.Example.com": "db.example.com", "*.internal": "*.internal", "a_b.c-d.": "a_b.c-d", "xn--bcher-kva.example": "xn--bcher-kva.example",
	} {
		if got, err := http.ParseHostPattern(s); err != nil || got != want {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "*", "*.", ".", "a..b", "a.*.b", "*a.b", "bücher.example", "http://a", "a:80", "10.0.0/8", "10.0.0", "10.0.0.0/8", "1.2.3.4", "a b"} {
		if got, err := http.ParseHostPattern(s); rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
}

// TestTheGuardSeesWhichNameIsDialled calls a destination by a name for which there is a rule.
func TestTheGuardSeesWhichNameIsDialled(t *testing.T) {
	e := newEndpoint(t)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(e.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	local := []http.HostPattern{"localhost"}
	named, numbered := "http://LOCALHOST:"+port, "http://127.0.0.1:"+port
	if err := send(t, named, http.Options{Guard: http.Guard{AllowHosts: local}}); err != nil {
		t.Errorf("a name that is allowed: %v", err)
	}
	refused := func(url string, g http.Guard, says string) {
		t.Helper()
		got := asTargetError(t, send(t, url, http.Options{Guard: g}))
		if !got.Permanent || got.Code != target.CodeSDKClient || !strings.Contains(got.Message, says) {
			t.Errorf("%s: %#v", url, got)
		}
	}
	refused(numbered, http.Guard{AllowHosts: local}, "is a loopback address")
	refused(named, http.Guard{Allow: http.Loopback, DenyHosts: local}, "calls to localhost are denied")
	refused(numbered, http.Guard{Allow: http.Loopback, Deny: http.Loopback}, "calls to 127.0.0.1 are denied")
	if n := len(e.received()); n != 1 {
		t.Errorf("the endpoint was called %d times", n)
	}
}
