package syntax

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ParseAddr reads an IP address as the cidr operator understands it: four decimal numbers, or an IPv6 address without a
// zone and without dots. An IPv4 address is in the last four bytes. It does not allocate.
func ParseAddr[T ~string | ~[]byte](s T) (addr [16]byte, v6, ok bool) {
	for i := range len(s) {
		if s[i] == ':' {
			addr, ok = parseIPv6(s)
			return addr, true, ok
		}
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

func parseIPv4[T ~string | ~[]byte](s T) (addr [16]byte, ok bool) {
	if len(s) > maxIPv4 {
		return addr, false
	}
	at, value, digits := 12, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			if value, digits = 10*value+int(c-'0'), digits+1; value > 255 {
				return addr, false
			}
			addr[at] = byte(value)
		case c == '.' && digits > 0 && at < 15:
			at, value, digits = at+1, 0, 0
		default:
			return addr, false
		}
	}
	return addr, at == 15 && digits > 0
}

// parseIPv6 reads groups of one to four hexadecimal digits with colons between them and at most one "::" that stands for
// those left out.
func parseIPv6[T ~string | ~[]byte](s T) (addr [16]byte, ok bool) {
	n, elided, i := 0, -1, 0 // n bytes read, elided are before the "::"
	if len(s) >= 2 && s[0] == ':' && s[1] == ':' {
		elided, i = 0, 2
	}
	for i < len(s) {
		group, digits := 0, 0
		for ; i < len(s) && digits < 4; i, digits = i+1, digits+1 {
			d := hexDigit(s[i])
			if d < 0 {
				break
			}
			group = group<<4 | d
		}
		if digits == 0 || n == 16 {
			return addr, false
		}
		addr[n], addr[n+1] = byte(group>>8), byte(group)
		n += 2
		if i == len(s) {
			break
		}
		if s[i] != ':' || i+1 == len(s) {
			return addr, false
		}
		if i++; s[i] == ':' {
			if elided >= 0 {
				return addr, false
			}
			elided, i = n, i+1
		}
	}
	if elided < 0 || n == 16 {
		return addr, elided < 0 && n == 16
	}
	tail := n - elided
	copy(addr[16-tail:], addr[elided:n])
	clear(addr[elided : 16-tail])
	return addr, true
}

// hexDigit returns the value of a digit, or -1.
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c - 'a' + 10)
	case 'A' <= c && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
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
