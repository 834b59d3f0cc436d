package http

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"
)

// insecure says what is wrong with the certificates of a call that got no answer, and what to do, or nothing if it failed otherwise.
// Of what the other side sent, only names and dates of its certificate are in it.
func insecure(err error) string {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("Its certificate is not one for %s, but for %s. If that is the right server, give the connection this name as serverName.",
			printable(e.Host), namesOf(e.Certificate))
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Sprintf("Its certificate is issued by %q, which is not trusted. If it is an authority of your own, give it to the connection as ca.",
			printable(e.Cert.Issuer.String()))
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return invalidCertificate(e)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "Its certificate cannot be verified."
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && e.Conn != nil {
		return "It does not speak TLS on this port."
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" { // as crypto/tls reports an alert
		return fmt.Sprintf("It refused the TLS handshake (%v). If it asks for a client certificate, give the connection the right one.", e.Err)
	}
	return ""
}

func invalidCertificate(e x509.CertificateInvalidError) string {
	if e.Reason != x509.Expired {
		return fmt.Sprintf("Its certificate, of %q, is not valid for this use.", printable(e.Cert.Subject.String()))
	}
	if time.Now().Before(e.Cert.NotBefore) { // as crypto/tls decided by the real clock
		return fmt.Sprintf("Its certificate, of %q, is not valid before %s.", printable(e.Cert.Subject.String()), e.Cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("Its certificate, of %q, expired on %s.", printable(e.Cert.Subject.String()), e.Cert.NotAfter.UTC().Format(time.RFC3339))
}

// namesOf are the names in a certificate, as far as there is room.
func namesOf(c *x509.Certificate) string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name"
	}
	const few = 3
	text := strings.Join(names[:min(few, len(names))], ", ")
	if len(names) > few {
		text += " and others"
	}
	return printable(text)
}

// printable is a text of the other side that may go into a message.
func printable(s string) string {
	const most = 200 // bytes
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
	return strings.ToValidUTF8(s[:min(most, len(s))], "")
}
