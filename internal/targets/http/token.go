package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

const (
	tokenTimeout  = 5 * time.Second // of one call for a token; AWS's bound for calls of API destinations
	maxTokenReply = 64 << 10        // bytes; tokens are headers, which servers take up to 8 or 16 KiB

	unstatedLifetime = time.Hour      // of a token whose answer has no expires_in, which is only recommended (RFC 6749, section 5.1)
	longestLifetime  = 24 * time.Hour // after which a token is replaced although it might still do
)

// newTokenRequest asks for a token. The client's credentials go where AWS sends them: into the body as a form, or into the query of a
// GET. A connection's own parameters come after them and win. The body is JSON if the connection's headers say so, for
// authorization servers that take nothing else.
func newTokenRequest(ctx context.Context, g *Grant) (*nethttp.Request, error) {
	u, err := url.Parse(g.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, invalid("the authorization endpoint of the connection is not a URL.")
	}
	header := nethttp.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	for _, p := range g.Headers {
		if err := setHeader(header, p.Key, p.Value); err != nil {
			return nil, err
		}
	}
	header.Set("User-Agent", userAgent)

	query, form := u.Query(), make(url.Values)
	credentials := form
	if g.Method == nethttp.MethodGet {
		credentials = query
	}
	credentials.Set("client_id", g.ClientID)
	credentials.Set("client_secret", g.ClientSecret)
	setAll(query, g.Query)
	setAll(form, g.Body)
	if !query.Has("grant_type") && !form.Has("grant_type") {
		credentials.Set("grant_type", "client_credentials")
	}
	u.RawQuery, u.User, u.Fragment, u.RawFragment = query.Encode(), nil, "", ""

	var body []byte
	switch {
	case len(form) == 0:
		header.Del("Content-Type")
	case isJSON(header.Get("Content-Type")):
		body = jsonOf(form)
	default:
		body = []byte(form.Encode())
	}
	req, err := nethttp.NewRequestWithContext(ctx, g.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, invalid("the method %q of the authorization endpoint is not valid.", g.Method)
	}
	req.Header = header
	return req, nil
}

func setAll(values url.Values, parameters []Parameter) {
	for _, p := range parameters {
		values.Set(p.Key, p.Value)
	}
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// jsonOf is a form as an object of strings.
func jsonOf(form url.Values) []byte {
	object := make(map[string]string, len(form))
	for key := range form {
		object[key] = form.Get(key)
	}
	b, _ := json.Marshal(object) // has nothing that could fail
	return b
}

// A tokenReply is what an authorization server answers (RFC 6749, sections 5.1 and 5.2).
type tokenReply struct {
	AccessToken string          `json:"access_token"`
	ExpiresIn   json.RawMessage `json:"expires_in"` // seconds, which some servers write as a string
	Error       string          `json:"error"`
}

// lifetime is for how long the token may be used.
func (r tokenReply) lifetime() time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(r.ExpiresIn), `"`), 64)
	if !(seconds > 0) || err != nil && !errors.Is(err, strconv.ErrRange) {
		return unstatedLifetime
	}
	return time.Duration(min(seconds, longestLifetime.Seconds()) * float64(time.Second))
}

// fetch makes one call for a token. Its errors are for dead letters: nothing of the answer is in them that the endpoint could have
// taken from the request.
func (t *tokens) fetch(ctx context.Context, g *Grant) (tokenReply, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	req, err := newTokenRequest(ctx, g)
	if err != nil {
		return tokenReply{}, err
	}
	line, err := t.lines.of(g.TLS)
	if err != nil {
		return tokenReply{}, noAnswer(err, authorizationWords)
	}
	return ask(line.tokens, req, t.clock)
}

// ask has an authorization server answer a request. A client would follow redirects, and take the secret with it.
func ask(server nethttp.RoundTripper, req *nethttp.Request, clock rialto.Clock) (tokenReply, error) {
	resp, err := server.RoundTrip(req)
	if err != nil {
		return tokenReply{}, noAnswer(err, authorizationWords)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenReply+1))
	if err != nil {
		return tokenReply{}, noAnswer(err, authorizationWords)
	}
	if len(text) > maxTokenReply {
		return tokenReply{}, badReply("answered with more than %d bytes.", maxTokenReply)
	}
	var reply tokenReply
	err = json.Unmarshal(text, &reply)
	if resp.StatusCode/100 != 2 {
		return tokenReply{}, refusedToken(resp, reply.Error, clock.Now())
	}
	if err != nil {
		return tokenReply{}, badReply("answered with something else than JSON.")
	}
	if reply.AccessToken == "" || strings.ContainsFunc(reply.AccessToken, func(r rune) bool { return r <= ' ' || r >= 0x7F }) {
		return tokenReply{}, badReply("answered without an access_token that can be used.")
	}
	return reply, nil
}

// authorizationWords are like those that are recorded on AWS for the endpoint of a destination.
var authorizationWords = words{
	prefix:      invoke,
	timeout:     "timeout calling the authorization endpoint of the connection.",
	unreachable: "the authorization endpoint of the connection cannot be reached.",
}

func badReply(format string, args ...any) error {
	return &target.Error{
		Code: target.CodeErrorFromTarget, Message: invoke + "the authorization endpoint of the connection " + fmt.Sprintf(format, args...),
	}
}

// refusedToken is how an answer reads that is no success. None is permanent: the one who can correct a secret, a scope or an
// endpoint needs time to do so.
func refusedToken(resp *nethttp.Response, code string, now time.Time) error {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, nethttp.StatusText(resp.StatusCode)))
	switch {
	case resp.StatusCode/100 == 3:
		return badReply("answered with status %s, and rialto does not take a secret elsewhere. Give the connection the endpoint that answers itself.", status)
	case resp.StatusCode/100 == 4 && resp.StatusCode != nethttp.StatusTooManyRequests && resp.StatusCode != nethttp.StatusRequestTimeout:
		if oauthErrors[code] {
			status += ", " + code
		}
		return &target.Error{
			Code: target.CodeNoPermissions,
			Message: invoke + "the authorization endpoint of the connection gave no token for its client credentials: status " + status +
				". Correct them with UpdateConnection.",
		}
	}
	e := badReply("answered with status %s.", status).(*target.Error)
	e.RetryAfter, _ = parseRetryAfter(resp.Header.Get("Retry-After"), now) // never to try again is for the destination to say
	return e
}

// oauthErrors are the codes of an authorization server (RFC 6749, section 5.2). No other text of it goes into an error.
var oauthErrors = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true,
	"unsupported_grant_type": true, "invalid_scope": true,
}
