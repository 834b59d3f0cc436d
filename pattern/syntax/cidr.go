package syntax

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ParseAddr reads an IP address as the cidr operator understands it: four decimal numbers, or an IPv6 address without a
// zone and without dots. An IPv4 address is in the last four bytes.
func ParseAddr(s string) (addr [16]byte, v6, ok bool) {
	if strings.IndexByte(s, ':') >= 0 {
		addr, ok = parseIPv6(s)
		return addr, true, ok
	}
	addr, ok = parseIPv4(s)
	return addr, false, ok
}

// Contains reports whether the address is in the block.
func (n Net) Contains(addr [16]byte, v6 bool) bool {
	return v6 == n.V6 && string(n.First[:]) <= string(addr[:]) && string(addr[:]) <= string(n.Last[:])
}

// maxIPv4 is the longest text that is tried as an IPv4 address (Java's IPAddressUtil); leading zeros make long ones.
const maxIPv4 = 15

func parseIPv4(s string) (addr [16]byte, ok bool) {
	if len(s) > maxIPv4 {
		return addr, false
	}
	for i := 12; i < 16; i++ {
		part, rest, found := strings.Cut(s, ".")
		if found != (i < 15) || !digitsOnly(part) {
			return addr, false
		}
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return addr, false
		}
		addr[i], s = byte(n), rest
	}
	return addr, true
}

// parseIPv6 reads groups of hexadecimal digits on both sides of at most one "::".
func parseIPv6(s string) (addr [16]byte, ok bool) {
	head, tail, elided := strings.Cut(s, "::")
	front, ok1 := hexGroups(head)
	back, ok2 := hexGroups(tail)
	n := len(front) + len(back)
	if !ok1 || !ok2 || n > 16 || !elided && n != 16 || elided && n == 16 {
		return addr, false
	}
	copy(addr[:], front)
	copy(addr[16-len(back):], back)
	return addr, true
}

// hexGroups reads groups of one to four hexadecimal digits with colons between them, two bytes each.
func hexGroups(s string) (b []byte, ok bool) {
	if s == "" {
		return nil, true
	}
	for g := range strings.SplitSeq(s, ":") {
		n, err := strconv.ParseUint(g, 16, 16)
		if err != nil || len(g) > 4 {
			return nil, false
		}
		b = append(b, byte(n>>8), byte(n))
	}
	return b, true
}

func digitsOnly(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// parseNet reads a block such as 10.0.0.0/8. The bits of the host do not count. Errors are AWS's.
func parseNet(s string) (Net, error) {
	addr, length, ok := strings.Cut(s, "/")
	if !ok || length == "" || strings.Contains(length, "/") {
		return Net{}, errors.New("Malformed CIDR, one '/' required")
	}
	bits, err := strconv.ParseInt(length, 10, 32)
	if err != nil {
		return Net{}, errors.New("Malformed CIDR, mask bits must be an integer")
	}
	if bits < 0 {
		return Net{}, errors.New("Malformed CIDR, mask bits must not be negative")
	}
	first, v6, ok := ParseAddr(addr)
	switch {
	case !ok && looksLikeAddr(addr):
		return Net{}, fmt.Errorf("Invalid IP address: %s", addr)
	case !ok:
		return Net{}, fmt.Errorf("Nonstandard IP address: %s", addr)
	case v6 && bits >= 128:
		return Net{}, errors.New("IPv6 mask bits must be < 128")
	case !v6 && bits >= 32:
		return Net{}, errors.New("IPv4 mask bits must be < 32")
	}
	if !v6 {
		bits += 96
	}
	n := Net{First: first, Last: first, V6: v6}
	for i := int(bits); i < 128; i++ {
		n.First[i/8] &^= 0x80 >> (i % 8)
		n.Last[i/8] |= 0x80 >> (i % 8)
	}
	return n, nil
}

// looksLikeAddr is the test by which AWS tells addresses that are wrong from things that are no addresses.
func looksLikeAddr(s string) bool {
	if strings.IndexByte(s, ':') >= 0 {
		return strings.Trim(s, "0123456789abcdefABCDEF:") == ""
	}
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if !digitsOnly(p) {
			return false
		}
	}
	return len(parts) == 4
}
