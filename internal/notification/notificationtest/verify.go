// Package notificationtest verifies notifications as their subscribers do.
//
// It shares no code with whoever signs: it is written from the SNS developer guide, "Verifying the signatures of Amazon SNS messages", as
// the verifiers in AWS's SDKs are. Start with [Verify].
package notificationtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
)

// Verify reports why a subscriber should not believe a notification. The fetch function reads what is at a URL.
func Verify(body []byte, fetch func(url string) ([]byte, error)) error {
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		return err
	}
	text := func(name string) string { s, _ := fields[name].(string); return s }
	certificate, err := fetchCertificate(text("SigningCertURL"), fetch)
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(text("Signature"))
	if err != nil {
		return err
	}
	names := "Message MessageId Subject Timestamp TopicArn Type"
	if text("Type") != "Notification" {
		names = "Message MessageId SubscribeURL Timestamp Token TopicArn Type"
	}
	var b strings.Builder
	for _, name := range strings.Fields(names) {
		if _, there := fields[name]; there {
			b.WriteString(name + "\n" + text(name) + "\n")
		} else if name != "Subject" {
			return fmt.Errorf("the notification has no %s", name)
		}
	}
	public, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("the certificate is not of RSA")
	}
	switch version := text("SignatureVersion"); version {
	case "1":
		sum := sha1.Sum([]byte(b.String()))
		return rsa.VerifyPKCS1v15(public, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256([]byte(b.String()))
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature)
	default:
		return fmt.Errorf("the signature version is %q", version)
	}
}

func fetchCertificate(url string, fetch func(string) ([]byte, error)) (*x509.Certificate, error) {
	if !strings.HasSuffix(url, ".pem") {
		return nil, fmt.Errorf("%q is not the URL of a certificate", url)
	}
	b, err := fetch(url)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return nil, fmt.Errorf("%q is not a certificate in PEM", b)
	}
	return x509.ParseCertificate(block.Bytes)
}
