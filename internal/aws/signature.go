package aws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rialto-events/rialto"
)

// SigV4 is the Authenticator that verifies signatures: those in the header Authorization, and those of presigned URLs.
//
// A signature covers what the request lists as SignedHeaders, and that must take in whatever decides about the request: the host,
// the time, the target and a session token. The body is always covered.
type SigV4 struct {
	keys  map[string]AccessKey
	clock rialto.Clock

	mu      sync.Mutex
	derived map[Credential][]byte // signing keys of credentials that have been verified, of which a caller uses few
}

// maxDerived bounds the signing keys that are kept. A caller may name any region and service.
const maxDerived = 1000

var _ Authenticator = (*SigV4)(nil)

// NewSigV4 makes an Authenticator for the callers that keys name. A nil clock is the real one.
func NewSigV4(keys []AccessKey, clock rialto.Clock) *SigV4 {
	if clock == nil {
		clock = rialto.SystemClock
	}
	a := &SigV4{keys: map[string]AccessKey{}, clock: clock, derived: map[Credential][]byte{}}
	for _, k := range keys {
		a.keys[k.ID] = k
	}
	return a
}

const (
	maxSkew    = 5 * time.Minute    // between the clocks of caller and server, as AWS's message says
	maxExpires = 7 * 24 * time.Hour // of a presigned URL, by AWS's documentation of Signature Version 4
	iso8601    = "20060102T150405Z"
	terminator = "aws4_request"
)

// A signature is what a request says about how it is signed.
type signature struct {
	scope     string // date/region/service/aws4_request
	headers   string // names of the signed headers, as listed
	digest    string
	date      string // as in X-Amz-Date
	token     string
	presigned bool
	expires   time.Duration // of a presigned request
}

// Authenticate verifies the signature of r.
func (a *SigV4) Authenticate(r *http.Request, body []byte, c Credential) (Identity, error) {
	s, err := signatureOf(r)
	if err != nil {
		return Identity{}, err
	}
	key, ok := a.keys[c.AccessKey]
	if !ok || key.Token != "" && key.Token != s.token {
		return Identity{}, rialto.WithCode(rialto.Denied, "UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if err := s.current(a.clock.Now(), c); err != nil {
		return Identity{}, err
	}
	if err := s.covers(r); err != nil {
		return Identity{}, err
	}
	signing, known := a.signing(c)
	if !known {
		signing = derive(key.Secret, c)
	}
	if !hmac.Equal([]byte(s.digest), []byte(s.of(r, body, signing))) {
		return Identity{}, invalidSignature("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	if !known {
		a.remember(c, signing)
	}
	return Identity{Account: key.Account, Principal: key.Principal}, nil
}

func (a *SigV4) signing(c Credential) ([]byte, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, ok := a.derived[c]
	return key, ok
}

func (a *SigV4) remember(c Credential, key []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.derived) >= maxDerived {
		clear(a.derived) // at the end of a day all are worthless anyway
	}
	a.derived[c] = key
}

// derive makes the key that a credential's scope signs with on its day.
func derive(secret string, c Credential) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{c.Date, c.Region, c.Service, terminator} {
		key = mac(key, part)
	}
	return key
}

func invalidSignature(message string) error {
	return rialto.WithCode(rialto.Denied, "InvalidSignatureException", "%s", message)
}

func incomplete(message string) error {
	return rialto.WithCode(rialto.Invalid, "IncompleteSignatureException", "%s", message)
}

// signatureOf reads the signature of a request from its header or, if it is presigned, from its query.
func signatureOf(r *http.Request) (*signature, error) {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "" {
		return presignatureOf(r)
	}
	if scheme != algorithm {
		return nil, incomplete("Unsupported AWS 'algorithm': '" + scheme + "'.")
	}
	fields := authorization(r)
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	s := &signature{
		scope: scopeOf(fields["Credential"]), headers: fields["SignedHeaders"], digest: fields["Signature"],
		date: r.Header.Get("X-Amz-Date"), token: r.Header.Get("X-Amz-Security-Token"),
	}
	if s.date == "" {
		if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			s.date = at.UTC().Format(iso8601)
		} else {
			missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
	}
	if missing != nil {
		return nil, incomplete(strings.Join(missing, " "))
	}
	return s, nil
}

func presignatureOf(r *http.Request) (*signature, error) {
	q := r.URL.Query()
	switch q.Get("X-Amz-Algorithm") {
	case algorithm:
	case "":
		return nil, rialto.WithCode(rialto.Denied, "MissingAuthenticationTokenException", "Missing Authentication Token")
	default:
		return nil, incomplete("Unsupported AWS 'algorithm': '" + q.Get("X-Amz-Algorithm") + "'.")
	}
	for _, name := range []string{"X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date", "X-Amz-Expires"} {
		if q.Get(name) == "" {
			return nil, incomplete("AWS query-string parameters must include '" + name + "'.")
		}
	}
	seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	if err != nil || seconds < 1 || seconds > int(maxExpires/time.Second) {
		return nil, incomplete("X-Amz-Expires must be a number of seconds from 1 to " + strconv.Itoa(int(maxExpires/time.Second)) + ".")
	}
	return &signature{
		scope: scopeOf(q.Get("X-Amz-Credential")), headers: q.Get("X-Amz-SignedHeaders"), digest: q.Get("X-Amz-Signature"),
		date: q.Get("X-Amz-Date"), token: q.Get("X-Amz-Security-Token"),
		presigned: true, expires: time.Duration(seconds) * time.Second,
	}, nil
}

// scopeOf is a credential without its access key, which may hold slashes.
func scopeOf(credential string) string {
	p := strings.Split(credential, "/")
	return strings.Join(p[max(len(p)-4, 0):], "/")
}

// current checks that the signature was made for this time and with a scope that is one.
func (s *signature) current(now time.Time, c Credential) error {
	at, err := time.Parse(iso8601, s.date)
	if err != nil {
		return incomplete("Date must be in ISO-8601 'basic format'. Got '" + s.date + "'.")
	}
	if c.Date != s.date[:len("20060102")] || !strings.HasSuffix(s.scope, "/"+terminator) {
		return invalidSignature("Credential should be scoped to the date of the request, a region, a service and '" + terminator + "'.")
	}
	latest := at.Add(maxSkew)
	if s.presigned {
		latest = at.Add(s.expires)
	}
	switch {
	case now.After(latest) && s.presigned:
		return invalidSignature("Signature expired: " + latest.Format(iso8601) + " is now earlier than " + now.UTC().Format(iso8601) + ".")
	case now.After(latest):
		return invalidSignature("Signature expired: " + s.date + " is now earlier than " + now.Add(-maxSkew).UTC().Format(iso8601) +
			" (" + now.UTC().Format(iso8601) + " - 5 min.)")
	case at.After(now.Add(maxSkew)):
		return invalidSignature("Signature not yet current: " + s.date + " is still later than " + now.Add(maxSkew).UTC().Format(iso8601) +
			" (" + now.UTC().Format(iso8601) + " + 5 min.)")
	}
	return nil
}

// covers checks that nothing which decides about the request was left out of the signature.
func (s *signature) covers(r *http.Request) error {
	signed := strings.Split(s.headers, ";")
	needed := []string{"host"}
	for _, name := range []string{"X-Amz-Target", "X-Amz-Date", "X-Amz-Security-Token"} {
		if r.Header.Get(name) != "" {
			needed = append(needed, strings.ToLower(name))
		}
	}
	for _, name := range needed {
		if !slices.Contains(signed, name) {
			return invalidSignature("'" + name + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	return nil
}

// of is the signature that the request should have: Signature Version 4 as AWS documents it.
func (s *signature) of(r *http.Request, body, signing []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escape(r.URL.EscapedPath(), true) + "\n" + canonicalQuery(r.URL.RawQuery) + "\n")
	for name := range strings.SplitSeq(s.headers, ";") {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + s.headers + "\n" + hexHash(body))

	toSign := algorithm + "\n" + s.date + "\n" + s.scope + "\n" + hexHash([]byte(b.String()))
	return hex.EncodeToString(mac(signing, toSign))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalQuery sorts the parameters and writes them in one way. The signature itself is not among them.
func canonicalQuery(raw string) string {
	var pairs []string
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		if part == "" || name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, unescapeEscape(name)+"="+unescapeEscape(value))
	}
	slices.SortFunc(pairs, func(a, b string) int {
		// By name, then by value: the equals sign, which sorts after some letters of a name, must not take part.
		nameA, valueA, _ := strings.Cut(a, "=")
		nameB, valueB, _ := strings.Cut(b, "=")
		if nameA != nameB {
			return strings.Compare(nameA, nameB)
		}
		return strings.Compare(valueA, valueB)
	})
	return strings.Join(pairs, "&")
}

func unescapeEscape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		s = plain
	}
	return escape(s, false)
}

// escape writes every byte but letters, digits and -._~ as %XX; in a path slashes stay. A path comes escaped and is escaped again,
// as every service but S3 has it.
func escape(s string, path bool) string {
	if path && s == "" {
		return "/"
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', path && c == '/':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

// headerValue is a header as it is signed: values joined by commas, runs of spaces as one.
func headerValue(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	values := r.Header.Values(name)
	if name == "content-length" && len(values) == 0 {
		return strconv.FormatInt(r.ContentLength, 10)
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(trimmed, ",")
}
