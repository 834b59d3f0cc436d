package http

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	nethttp "net/http"
	"strings"

	"github.com/rialto-events/rialto/internal/redact"
	"github.com/rialto-events/rialto/target"
)

const (
	maxResponseHeader = 64 << 10 // bytes; enough for anything but an attack
	maxResponseBody   = 64 << 10 // bytes that are read so that the connection can be used again; more costs a new one
)

// A reply is what a destination said to a call.
type reply struct {
	status int
	body   []byte // its beginning, unpacked
	whole  bool   // the body is all of it
	broken error  // why the body was not read to its end, if the other side is to blame
}

// read reads of the body of an answer what is wanted, and a little more so that the connection can be used again. Neither what
// comes over the line nor what it unpacks to is read beyond its bound, whatever the headers promise.
func read(resp *nethttp.Response, want int) reply {
	line := &io.LimitedReader{R: resp.Body, N: maxResponseBody}
	b, err := io.ReadAll(io.LimitReader(unpacked(resp.Header.Get("Content-Encoding"), line), int64(want)+1))
	r := reply{status: resp.StatusCode, body: b[:min(len(b), want)], whole: err == nil && len(b) <= want}
	if line.N > 0 { // otherwise it was we who stopped
		r.broken = err
	}
	io.Copy(io.Discard, line) // whether it comes to an end changes nothing: the status has decided
	return r
}

// unpacked reads what a body holds. A body that is not packed as it says is broken; one of an encoding that was not asked for is
// read as it is.
func unpacked(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "gzip", "x-gzip":
		return &lateReader{open: func() (io.Reader, error) { return gzip.NewReader(body) }}
	case "deflate":
		return &lateReader{open: func() (io.Reader, error) { return inflater(body) }}
	}
	return body
}

// inflater reads what servers mean by deflate: zlib by the book (RFC 9110, section 8.4.1.2), and often the bare format.
func inflater(body io.Reader) (io.Reader, error) {
	b := bufio.NewReader(body)
	head, err := b.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(b)
	}
	return flate.NewReader(b), nil
}

// A lateReader opens its source with the first read, so that an empty body costs nothing and is no error.
type lateReader struct {
	open   func() (io.Reader, error)
	source io.Reader
}

func (l *lateReader) Read(b []byte) (int, error) {
	if l.source == nil {
		var err error
		if l.source, err = l.open(); err != nil {
			return 0, err // io.EOF of an empty body
		}
	}
	return l.source.Read(b)
}

// answer is what may be shown of a reply.
func (r reply) answer(secrets redact.Redactor) target.Answer {
	a := target.Answer{Status: r.status}
	if len(r.body) > 0 {
		a.Head = secrets.Head(string(r.body), target.MaxAnswer)
	}
	return a
}

// secrets are what may not be shown of anything that the destination says: all that its connection adds to a call and does not show
// itself, in the forms in which it is sent.
func (d *Destination) secrets(tokens ...string) redact.Redactor {
	all := tokens
	switch d.Auth.Type {
	case Basic:
		all = append(all, d.Auth.Value, basic(d.Auth))
	case APIKey:
		all = append(all, d.Auth.Value)
	case OAuth:
		all = append(all, d.Auth.Grant.ClientSecret)
		all = append(all, hidden(d.Auth.Grant.Headers, d.Auth.Grant.Query, d.Auth.Grant.Body)...)
	}
	return redact.New(append(all, hidden(d.Headers, d.Query, d.Body)...)...)
}

func hidden(lists ...[]Parameter) (values []string) {
	for _, list := range lists {
		for _, p := range list {
			if p.Secret {
				values = append(values, p.Value)
			}
		}
	}
	return values
}
