package http

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/rialto-events/rialto"
)

// A Guard decides to where a call may go. It looks at the name that is dialled and at the address, after the name was resolved, so
// that no name can lead past it; not even one that meant another address a moment ago. The zero Guard lets calls go to public
// addresses only.
//
// What is denied is denied, whatever is allowed. What is allowed may be any address, except one of those that give out a machine's
// credentials: such an address must be in Allow itself, as a network of one.
type Guard struct {
	Allow, Deny           []netip.Prefix
	AllowHosts, DenyHosts []HostPattern // the names to which endpoints point; a name that is allowed may lead to any address
}

// A HostPattern is the name of a host, such as "db.example.com", or the end of names with "*." in front, such as "*.internal", which
// is every name below it. It is in lower case. Start with [ParseHostPattern].
type HostPattern string

// ParseHostPattern checks a pattern. Names are compared as they are in the DNS, so that one with other letters than those of ASCII
// must be given as "xn--…".
func ParseHostPattern(s string) (HostPattern, error) {
	p := canonicalHost(s)
	labels := strings.Split(strings.TrimPrefix(p, "*."), ".")
	bad := strings.Trim(labels[len(labels)-1], "0123456789") == "" // an address, or a piece of one
	for _, label := range labels {
		bad = bad || label == "" || strings.ContainsFunc(label, func(r rune) bool { return !isHostRune(r) })
	}
	if bad {
		return "", rialto.Errorf(rialto.Invalid, "%q is neither the name of a host nor a pattern such as *.internal.", s)
	}
	return HostPattern(p), nil
}

// isHostRune reports whether r may be in a label of a host's name; underscores are not by the book and are used.
func isHostRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

// matches reports whether a host has a name of the pattern.
func (p HostPattern) matches(host string) bool {
	if end, ok := strings.CutPrefix(string(p), "*"); ok {
		return strings.HasSuffix(host, end) && len(host) > len(end)
	}
	return host == string(p)
}

// Loopback is what a server allows that only listens on loopback, for whoever asks: everybody who can define an endpoint there is on this
// machine already.
var Loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// Inner networks (IANA special-purpose address registries): who may define an endpoint must not reach them through this process.
var inner = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("::1/128"), "a loopback address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address"},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address"},
	{netip.MustParsePrefix("fc00::/7"), "a private address"},
	{netip.MustParsePrefix("fec0::/10"), "a private address"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a private address"}, // NAT64 of an own network: where it leads cannot be seen
	{netip.MustParsePrefix("100.64.0.0/10"), "a shared address"},
	{netip.MustParsePrefix("0.0.0.0/8"), "an address of this host"},
	{netip.MustParsePrefix("::/128"), "an address of this host"},
	{netip.MustParsePrefix("192.0.0.0/24"), "a reserved address"},
	{netip.MustParsePrefix("198.18.0.0/15"), "a reserved address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address"},
	{netip.MustParsePrefix("2001::/32"), "a tunnelled address"}, // Teredo (RFC 4380): it carries an IPv4 address in disguise
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
}

// metadata are the addresses at which clouds hand a machine or a container its credentials, each by its cloud's documentation.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // EC2, Azure, Google Cloud and most others
	netip.MustParseAddr("fd00:ec2::254"),   // EC2
	netip.MustParseAddr("169.254.170.2"),   // ECS tasks
	netip.MustParseAddr("169.254.170.23"),  // EKS pods
	netip.MustParseAddr("fd00:ec2::23"),    // EKS pods
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure's wire server
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
}

// Prefixes in which an IPv6 address carries an IPv4 address, at the given byte: NAT64, 6to4, and the mappings of RFC 2765 and RFC 4291.
var carriers = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12},
	{netip.MustParsePrefix("::/96"), 12},
}

// A refusedError says why the guard does not let a call go somewhere, and what would let it.
type refusedError struct{ why string }

func (e *refusedError) Error() string { return e.why }

func refuse(format string, args ...any) error { return &refusedError{fmt.Sprintf(format, args...)} }

// Check reports whether a call for a host may go to an address. Its errors are for whoever defined the endpoint.
func (g Guard) Check(host string, addr netip.Addr) error {
	if err := g.checkHost(host); err != nil {
		return err
	}
	host = canonicalHost(host)
	addr = addr.WithZone("").Unmap()
	allowed := g.allows(addr)
	for _, p := range g.AllowHosts {
		allowed = allowed || p.matches(host)
	}
	for _, a := range leadsTo(addr) {
		if err := g.checkAddr(a, allowed); err != nil {
			return err
		}
	}
	return nil
}

// checkHost refuses names that are denied, for which nobody needs to know the address.
func (g Guard) checkHost(host string) error {
	host = canonicalHost(host)
	for _, p := range g.DenyHosts {
		if p.matches(host) {
			return refuse("calls to %s are denied: the server was started with %s in --deny-targets.", host, p)
		}
	}
	return nil
}

func (g Guard) checkAddr(addr netip.Addr, allowed bool) error {
	for _, p := range g.Deny {
		if p.Contains(addr) {
			return refuse("calls to %s are denied: the server was started with %s in --deny-targets.", addr, p)
		}
	}
	for _, m := range metadata {
		if m == addr && !g.names(addr) {
			return refuse("%s gives out credentials of cloud machines, and rialto does not call it unless exactly this address is in --allow-targets.", addr)
		}
	}
	if allowed || g.allows(addr) {
		return nil
	}
	for _, n := range inner {
		if n.prefix.Contains(addr) {
			return refuse("%s is %s, and rialto does not call those unless its network, or the name of the host, is in --allow-targets.", addr, n.what)
		}
	}
	return nil
}

func (g Guard) allows(addr netip.Addr) bool {
	for _, p := range g.Allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// names reports whether an address is allowed by itself.
func (g Guard) names(addr netip.Addr) bool {
	for _, p := range g.Allow {
		if p.IsSingleIP() && p.Addr() == addr {
			return true
		}
	}
	return false
}

// leadsTo is the address, and the one that it carries if it is of that sort.
func leadsTo(addr netip.Addr) []netip.Addr {
	for _, c := range carriers {
		if c.prefix.Contains(addr) {
			b := addr.As16()
			return []netip.Addr{addr, netip.AddrFrom4([4]byte(b[c.at : c.at+4]))}
		}
	}
	return []netip.Addr{addr}
}

func canonicalHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// dial connects to what the guard lets through. Each address that a name has is checked right before it is dialled.
func (g Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if err := g.checkHost(host); err != nil {
		return nil, err
	}
	// The transport dials on when the call that needed the connection has ended, so that dialling needs a bound of its own.
	dialer := net.Dialer{Timeout: defaultTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("dial %s: %w", address, err)
		}
		return g.Check(host, to.Addr())
	}}
	return dialer.DialContext(ctx, network, address)
}
