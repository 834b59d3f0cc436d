package aws

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/rialto-events/rialto"
)

// An Authenticator decides who sends a request. [AcceptAny] believes everyone; [SigV4] verifies signatures.
type Authenticator interface {
	// Authenticate returns who sent r, or a [rialto.Error]. The body has been read from r already. The credential is what r
	// names, or zero.
	Authenticate(r *http.Request, body []byte, c Credential) (Identity, error)
}

// An Identity is who sends a request.
type Identity struct {
	Account   rialto.AccountID
	Principal string // ARN
}

// AcceptAny is the Authenticator that checks nothing. An access key of twelve digits is the account, any other is the default one.
type AcceptAny struct{}

var _ Authenticator = AcceptAny{}

func (AcceptAny) Authenticate(_ *http.Request, _ []byte, c Credential) (Identity, error) {
	account := accountOf(c.AccessKey)
	return Identity{Account: account, Principal: rootARN(account)}, nil
}

var regionLabel = regexp.MustCompile(`\A[a-z]{2}(-[a-z]+)+-[0-9]{1,2}\z`)

// isAccount reports whether s is twelve digits.
func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// isRegion reports whether s may name a region. It becomes part of ARNs and of keys, so nothing else is let in.
func isRegion(s string) bool {
	return 0 < len(s) && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// A Credential is who a request says it is from and what for: the access key and the scope that a signature covers.
type Credential struct {
	AccessKey string
	Date      string // such as "20260102"
	Region    string // such as "eu-west-1"
	Service   string // such as "events"
}

const algorithm = "AWS4-HMAC-SHA256"

// credentialOf reads the credential of a request from its Authorization header or, if it is presigned, from its query.
func credentialOf(r *http.Request) Credential {
	if header := r.Header.Get("Authorization"); strings.HasPrefix(header, "AWS4-") {
		_, field, _ := strings.Cut(header, "Credential=")
		field, _, _ = strings.Cut(field, ",")
		return parseCredential(strings.TrimSpace(field))
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		return parseCredential(r.URL.Query().Get("X-Amz-Credential"))
	}
	return Credential{}
}

// unsigned reports whether a request does not even pretend to be signed.
func (in *incoming) unsigned() bool {
	return in.credential == (Credential{}) && in.Header.Get("Authorization") == ""
}

// authorization splits "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…" into its fields. Other schemes have none.
func authorization(r *http.Request) map[string]string {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.HasPrefix(scheme, "AWS4-") {
		return nil
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(rest, ",") {
		if name, value, ok := strings.Cut(strings.TrimSpace(field), "="); ok {
			fields[name] = value
		}
	}
	return fields
}

// parseCredential splits key/date/region/service/aws4_request. A key may hold slashes; the scope has four parts, or three with
// SigV4A, which signs for many regions and names none.
func parseCredential(s string) Credential {
	p := strings.Split(s, "/")
	n := len(p)
	switch {
	case n >= 5:
		return Credential{AccessKey: strings.Join(p[:n-4], "/"), Date: p[n-4], Region: p[n-3], Service: p[n-2]}
	case n == 4:
		return Credential{AccessKey: p[0], Date: p[1], Service: p[2]}
	}
	return Credential{AccessKey: p[0]}
}

// region is the region that the credential's scope names, or the default one.
func (c Credential) region() rialto.Region {
	if isRegion(c.Region) {
		return rialto.Region(c.Region)
	}
	return rialto.DefaultRegion
}

// region is the region that a request speaks to: that of its credential or, where nothing is signed, that of a host such as
// sqs.eu-west-1.amazonaws.com.
func (in *incoming) region() rialto.Region {
	labels := strings.SplitN(in.Host, ".", 3)
	if in.credential.Region == "" && len(labels) == 3 && regionLabel.MatchString(labels[1]) {
		return rialto.Region(labels[1])
	}
	return in.credential.region()
}
