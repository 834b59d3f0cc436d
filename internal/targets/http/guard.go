package http

import (
	"fmt"
	"net/netip"
	"syscall"
)

// A Guard decides to which addresses a call may go. It looks at the address that is dialled, after the name was resolved, so that no
// name can lead past it. The zero Guard lets calls go to public addresses only.
type Guard struct {
	Allow []netip.Prefix // go there whatever the address is
}

// Loopback is what a server that only listens on loopback allows: everybody who can define an endpoint there is on this machine
// already.
var Loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// Inner networks (IANA special-purpose address registries): who may define an endpoint must not reach them through this process.
var inner = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("::1/128"), "a loopback address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"}, // clouds give out credentials there
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address"},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address"},
	{netip.MustParsePrefix("fc00::/7"), "a private address"},
	{netip.MustParsePrefix("fec0::/10"), "a private address"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a shared address"},
	{netip.MustParsePrefix("0.0.0.0/8"), "an address of this host"},
	{netip.MustParsePrefix("::/128"), "an address of this host"},
	{netip.MustParsePrefix("192.0.0.0/24"), "a reserved address"},
	{netip.MustParsePrefix("198.18.0.0/15"), "a reserved address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
}

// Prefixes in which an IPv6 address carries an IPv4 address, at the given byte: NAT64 and 6to4.
var carriers = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

// A refusedError says that the guard does not let a call go to an address.
type refusedError struct {
	addr netip.Addr
	what string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%s is %s, and rialto does not call those unless its network is allowed.", e.addr, e.what)
}

// Check reports whether a call may go to an address.
func (g Guard) Check(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	for _, p := range g.Allow {
		if p.Contains(addr) {
			return nil
		}
	}
	for _, n := range inner {
		if n.prefix.Contains(addr) {
			return &refusedError{addr, n.what}
		}
	}
	for _, c := range carriers {
		if c.prefix.Contains(addr) {
			b := addr.As16()
			return g.Check(netip.AddrFrom4([4]byte(b[c.at : c.at+4])))
		}
	}
	return nil
}

// control is called with each address before it is dialled.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	return g.Check(to.Addr())
}
