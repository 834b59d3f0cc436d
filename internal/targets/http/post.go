package http

import (
	"bytes"
	"context"
	"errors"
	nethttp "net/http"
	"net/url"
	"time"

	"github.com/rialto-events/rialto/internal/redact"
	"github.com/rialto-events/rialto/target"
)

// A Post is a call that another kind of target has put together, to a URL that a user has typed in.
type Post struct {
	URL     string // user and password in it authorise the call, and are shown nowhere
	Header  nethttp.Header
	Body    []byte
	Timeout time.Duration // of the call, all in all
}

// Posted is what was answered.
type Posted struct {
	target.Answer
	RetryAfter time.Duration // that the answer asks for, or 0
}

// postWords are of no service.
var postWords = words{timeout: "The endpoint did not answer in time.", unreachable: "The endpoint cannot be reached."}

// ErrURL says that a text is no URL of a web server.
var ErrURL = errors.New("it is no URL that begins with http:// or https://")

// Post makes a call over the same connections, and within the same bounds, as those of API destinations: it goes where the guard lets it,
// follows no redirects, and reads little of the answer. There is an error only if there was no answer.
func (s *Sender) Post(ctx context.Context, p Post) (Posted, error) {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Posted{}, ErrURL
	}
	user := u.User
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	req, err := nethttp.NewRequest(nethttp.MethodPost, u.String(), bytes.NewReader(p.Body))
	if err != nil {
		return Posted{}, ErrURL
	}
	if p.Header != nil {
		req.Header = p.Header
	}
	var secrets redact.Redactor
	if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
		secrets = redact.New(password, basic(Auth{Name: user.Username(), Value: password}))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.Timeout, errTooLong)
	defer cancel()
	return s.post(ctx, req, secrets)
}

func (s *Sender) post(ctx context.Context, req *nethttp.Request, secrets redact.Redactor) (Posted, error) {
	line, err := s.lines.of(nil)
	if err != nil {
		return Posted{}, noAnswer(err, postWords)
	}
	resp, err := line.calls.RoundTrip(req.WithContext(ctx)) // a client would follow redirects
	if err != nil {
		if cause := abandoned(ctx); cause != nil {
			return Posted{}, cause
		}
		return Posted{}, noAnswer(err, postWords)
	}
	defer resp.Body.Close()
	out := Posted{Answer: read(resp, secrets.Window(target.MaxAnswer)).answer(secrets)}
	out.RetryAfter, _ = parseRetryAfter(resp.Header.Get("Retry-After"), s.clock.Now())
	return out, nil
}
