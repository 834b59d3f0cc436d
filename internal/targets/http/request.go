package http

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rialto-events/rialto/internal/cloudevents"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/tracecontext"
	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// Headers that AWS sends with every call (EventBridge user guide, "API destinations").
const (
	userAgent   = "Amazon/EventBridge/ApiDestinations"
	rangeOfBody = "bytes=0-1048575"
	encodings   = "gzip,deflate"
	contentType = "application/json; charset=utf-8" // unless target or connection say otherwise
	traceHeader = "X-Amzn-Trace-Id"
)

// removed are the headers that AWS takes out of what targets and connections add (EventBridge user guide, "API destinations").
var removed = headerSet("A-IM", "Accept-Charset", "Accept-Datetime", "Accept-Encoding", "Cache-Control", "Connection", "Content-Encoding",
	"Content-Length", "Content-MD5", "Date", "Expect", "Forwarded", "From", "Host", "HTTP2-Settings", "If-Match", "If-Modified-Since",
	"If-None-Match", "If-Range", "If-Unmodified-Since", "Max-Forwards", "Origin", "Pragma", "Proxy-Authorization", "Range", "Referer",
	"TE", "Trailer", "Transfer-Encoding", "User-Agent", "Upgrade", "Via", "Warning")

func headerSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[nethttp.CanonicalHeaderKey(n)] = true
	}
	return set
}

// A call is what goes out, put together from a destination and a message, except for the trace and for the token that OAuth needs.
type call struct {
	url    string
	header nethttp.Header
	body   []byte
	event  *cloudevents.Event // what the body is to be, in the formats of documents
}

// newCall puts a call together. Its errors are permanent: the same message would fail again.
func newCall(d *Destination, m *target.Message) (*call, error) {
	c, err := newItem(d, m)
	if err != nil {
		return nil, err
	}
	switch m.Definition.Format {
	case target.CloudEventsStructured:
		c.body = c.event.AppendStructured(nil)
	case target.CloudEventsBatch:
		c.body = cloudevents.AppendBatch(nil, []*cloudevents.Event{c.event})
	}
	return c, nil
}

// newItem is newCall up to the body of a format that has one document for a message, which may have to share the call with others.
func newItem(d *Destination, m *target.Message) (*call, error) {
	var shape target.HTTP
	if m.Definition.HTTP != nil {
		shape = *m.Definition.HTTP
	}
	u, err := endpoint(*d, shape, m.Event)
	if err != nil {
		return nil, err
	}
	c := &call{url: u.String(), header: make(nethttp.Header)}
	if err := addHeaders(c.header, *d, shape, m.Event); err != nil {
		return nil, err
	}
	if m.Definition.Format == "" {
		c.body, err = mergeBody(m.Payload, d.Body)
		return c, err
	}
	return c, c.format(d, m)
}

// format writes the message as a CloudEvent. The connection's members of the body become some of its data.
func (c *call) format(d *Destination, m *target.Message) (err error) {
	if c.event, err = cloudevents.ForMessage(m); err != nil {
		return invalid("the event cannot be written as a CloudEvent: %v", err)
	}
	if len(d.Body) > 0 {
		data, err := mergeBody(c.event.Data, d.Body)
		if err != nil {
			return err
		}
		c.event.SetData(data)
	}
	switch m.Definition.Format {
	case target.CloudEventsBinary:
		for name, value := range c.event.Header() {
			c.header.Set(name, value)
		}
		c.body, c.event = c.event.Data, nil
	case target.CloudEventsStructured:
		c.header.Set("Content-Type", cloudevents.StructuredType)
	case target.CloudEventsBatch:
		c.header.Set("Content-Type", cloudevents.BatchType)
	default:
		return invalid("the format %q is not known.", m.Definition.Format)
	}
	return nil
}

// request is the call as HTTP.
func (c *call) request(method, trace string) (*nethttp.Request, error) {
	body := c.body
	if method == nethttp.MethodHead {
		body = nil // whether AWS sends one is unknown, and many servers break the connection
	}
	req, err := nethttp.NewRequest(method, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, invalid("the method %q or the endpoint is not valid.", method)
	}
	req.Header = c.header
	addTrace(req.Header, trace)
	return req, nil
}

// addTrace writes a trace in both forms, so that whichever one an endpoint knows continues it.
func addTrace(h nethttp.Header, trace string) {
	parent, state := tracecontext.W3C(trace)
	for _, header := range [][2]string{{traceHeader, trace}, {"Traceparent", parent}, {"Tracestate", state}} {
		if header[1] != "" {
			h.Set(header[0], header[1])
		}
	}
}

func invalid(format string, args ...any) error {
	return &target.Error{Code: target.CodeInvalidParameter, Message: invoke + fmt.Sprintf(format, args...), Permanent: true}
}

// endpoint is the URL of a call: the endpoint, with the path parameters for its asterisks and the query parameters behind.
func endpoint(d Destination, shape target.HTTP, event []byte) (*url.URL, error) {
	text := d.Endpoint
	if !strings.Contains(text, "://") {
		text = "https://" + text // AWS takes such an endpoint (recorded on AWS)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, invalid("the endpoint %q is not a URL.", d.Endpoint)
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	path, err := fillPath(u.EscapedPath(), shape.PathParameters, event)
	if err != nil {
		return nil, err
	}
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, invalid("the endpoint %q is not a URL.", d.Endpoint)
	}
	u.RawPath = path
	u.RawQuery = mergeQuery(u.RawQuery, d, shape, event)
	return u, nil
}

// fillPath puts a parameter in the place of each asterisk. A parameter stays within its segment of the path: slashes are escaped,
// and dots that would lead out of it, which an event may hold, are refused.
func fillPath(path string, parameters []string, event []byte) (string, error) {
	if n := strings.Count(path, "*"); n != len(parameters) {
		return "", invalid("the endpoint has %d wildcards in its path, and the target has %d path parameters.", n, len(parameters))
	}
	for _, p := range parameters {
		value := transform.Value(p, event)
		if value == "." || value == ".." {
			return "", invalid("the path parameter %s would lead to another path.", p)
		}
		before, after, _ := strings.Cut(path, "*")
		path = before + strings.ReplaceAll(url.PathEscape(value), "*", "%2A") + after
	}
	return path, nil
}

// mergeQuery adds the parameters of the target and of the connection to the query of the endpoint; of equal keys the last counts.
func mergeQuery(own string, d Destination, shape target.HTTP, event []byte) string {
	if len(shape.Query) == 0 && len(d.Query) == 0 {
		return own
	}
	added := make(url.Values)
	for key, value := range shape.Query {
		added.Set(key, transform.Value(value, event))
	}
	for _, p := range d.Query {
		added.Set(p.Key, p.Value)
	}
	var kept []string // as they are written
	for pair := range strings.SplitSeq(own, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(name); pair != "" && (err != nil || !added.Has(key)) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(append(kept, added.Encode()), "&")
}

// addHeaders adds the headers of the target, then those of the connection, then the authorisation, and at last those that nobody
// may change.
func addHeaders(h nethttp.Header, d Destination, shape target.HTTP, event []byte) error {
	h.Set("Content-Type", contentType)
	for key, value := range shape.Headers {
		if err := setHeader(h, key, transform.Value(value, event)); err != nil {
			return err
		}
	}
	for _, p := range d.Headers {
		if err := setHeader(h, p.Key, p.Value); err != nil {
			return err
		}
	}
	var err error
	switch d.Auth.Type {
	case Basic:
		err = setHeader(h, "Authorization", "Basic "+basic(d.Auth))
	case APIKey:
		err = setHeader(h, d.Auth.Name, d.Auth.Value)
	}
	h.Set("User-Agent", userAgent)
	h.Set("Range", rangeOfBody)
	h.Set("Accept-Encoding", encodings)
	return err
}

// basic is user and password as basic authorisation sends them (RFC 7617).
func basic(a Auth) string { return base64.StdEncoding.EncodeToString([]byte(a.Name + ":" + a.Value)) }

// setHeader sets a header, unless it is one that is removed. Values come from events, and one with a line break would smuggle in
// further headers.
func setHeader(h nethttp.Header, name, value string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
		return invalid("%q is not the name of a header.", name)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }) {
		return invalid("the value of the header %s has control characters in it.", name)
	}
	if !removed[nethttp.CanonicalHeaderKey(name)] {
		h.Set(name, value)
	}
	return nil
}

// isToken reports whether r may be in the name of a header (RFC 9110, section 5.6.2).
func isToken(r rune) bool {
	return 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// mergeBody adds the connection's members to the payload, which must then be an object. Of equal names the connection's counts.
func mergeBody(payload []byte, members []Parameter) ([]byte, error) {
	if len(members) == 0 {
		return payload, nil
	}
	if !json.Valid(payload) || !bytes.HasPrefix(bytes.TrimLeft(payload, " \t\r\n"), []byte("{")) {
		return nil, &target.Error{
			Code:      target.CodeInvalidJSON,
			Message:   invoke + "the connection has body parameters, and the input for the target is not a JSON object that could take them.",
			Permanent: true,
		}
	}
	out := []byte{'{'}
	for name, value := range jsonpath.Members(payload) {
		text := string(jsonpath.AppendText(nil, slices.Concat([]byte{'"'}, name, []byte{'"'})))
		if slices.ContainsFunc(members, func(p Parameter) bool { return p.Key == text }) {
			continue
		}
		out = append(append(append(comma(out), '"'), name...), '"', ':')
		out = append(out, value...)
	}
	for i, p := range members {
		if slices.ContainsFunc(members[i+1:], func(later Parameter) bool { return later.Key == p.Key }) {
			continue
		}
		out = append(appendQuoted(comma(out), p.Key), ':')
		out = appendQuoted(out, p.Value)
	}
	return append(out, '}'), nil
}

func comma(object []byte) []byte {
	if len(object) > 1 {
		return append(object, ',')
	}
	return object
}

// appendQuoted appends s as a JSON string.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\uFFFD")) // fails on invalid UTF-8 alone
	return b
}
